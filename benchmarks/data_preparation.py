"""What the workflow costs beside the least that anyone could do, and beside what one would write by hand, in one run.

    python benchmarks/data_preparation.py VIDEO ... --model results/models/face_landmarker.task [--clips 20 80 320]

From videos to energy, descriptors, landmarks, the resting face and action units, for so many of the videos:

- floor: ffmpeg decodes each file to frames on the grid and 16 kHz audio, through pipes; a bare MediaPipe loop over the
  frames, one face; openSMILE's low-level descriptors of the audio. One process, nothing written, nothing checked.
- by hand: a loop over the files with OpenCV, MediaPipe and opensmile-python, as their guides have it: ffmpeg makes a
  WAV file, each frame as it comes, one CSV file of landmarks and one of descriptors for each clip.
- ours: `snakemake features`, Snakemake and the start of every process included; with `landmarks.max_faces: 1`, which is
  what the two above do, and with the default of 2.

Each on one core (`taskset`), and by hand and ours on all; of fewer clips than the most, `ours` on one core alone.
Seconds are of the clock and of processors, with children; memory is that of the largest job. In the end, what `ours`
costs a clip, and what however many there are, by a line fitted through all.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
RATE_HZ, FPS, HEIGHT = 16000, 25, 480
CLIPS_PER_SHARD = 200
"""As the README has it."""


class Cost(NamedTuple):
    """Seconds of the clock, and of all processors; memory of the largest process."""

    clock_s: float
    cpu_s: float
    peak_mb: float = 0.0


def main() -> None:
    """Measure, and print a table in Markdown; with `--way`, be one of the ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="the file face_landmarker.task")
    parser.add_argument("--clips", type=int, nargs="+", help="how many of the videos; one table row for each")
    parser.add_argument("--cores", choices=["one", "all"], help="measure on these alone")
    parser.add_argument("--way", choices=["floor", "by_hand"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        floor(arguments.videos, arguments.model) if arguments.way == "floor" else by_hand(
            arguments.videos, arguments.model
        )
        return
    print_machine()
    print("| clips | way | cores | seconds | processor seconds | memory, MB |\n|---:|---|---:|---:|---:|---:|")
    counts = arguments.clips or [len(arguments.videos)]
    chosen = [arguments.videos[:clips] for clips in counts]
    model = arguments.model.resolve()
    found = [compare(videos, model, arguments.cores, len(videos) == max(counts)) for videos in chosen]
    if len(counts) > 1 and arguments.cores != "all":
        slope, fixed = np.polyfit(counts, found, 1)
        print(f"\nours, 2 faces, one core: {fixed:.1f} s, and {1000 * slope:.0f} ms for each clip, of processors")


def compare(videos: list[Path], model: Path, on: str | None, every_way: bool) -> float:
    """Measure the ways on these videos, and print a row for each; return what the last of them cost, of processors."""
    itself = [sys.executable, __file__, *map(str, videos), "--model", str(model), "--way"]
    one_core: dict[str, Callable[[], Cost]] = {
        "floor": lambda: cost([*itself, "floor"], one_core=True),
        "by hand": lambda: cost([*itself, "by_hand"], one_core=True),
        "ours, 1 face": lambda: ours(videos, model, 1, one_core=True),
        "ours, 2 faces": lambda: ours(videos, model, 2, one_core=True),
    }
    all_cores: dict[str, Callable[[], Cost]] = {
        "by hand": lambda: cost([*itself, "by_hand"]),
        "ours, 1 face": lambda: ours(videos, model, 1),
        "ours, 2 faces": lambda: ours(videos, model, 2),
    }
    if not every_way:
        one_core, all_cores = {"ours, 2 faces": one_core["ours, 2 faces"]}, {}
    taken = Cost(0, 0)
    for cores, ways in ((os.cpu_count(), {} if on == "one" else all_cores), (1, {} if on == "all" else one_core)):
        for way, run in ways.items():
            taken = run()
            print_row(len(videos), way, cores, taken)
    return taken.cpu_s


def print_row(clips: int, way: str, cores: int | None, found: Cost) -> None:
    """Print a row of the table."""
    figures = f"{found.clock_s:.1f} | {found.cpu_s:.1f} | {found.peak_mb:.0f}"
    print(f"| {clips} | {way} | {cores} | {figures} |", flush=True)


def cost(command: list[str], one_core: bool = False, folder: Path | None = None) -> Cost:
    """Run a command and return what it took."""
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*(["taskset", "-c", "0"] if one_core else []), *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.monotonic() - begin, cpu_s)


def ours(videos: list[Path], model: Path, faces: int, one_core: bool = False) -> Cost:
    """Run the workflow to its features on a corpus of these videos; its memory is that of the largest job."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, video in enumerate(videos):
            speaker = folder / "corpus" / video.resolve().parent.name
            speaker.mkdir(parents=True, exist_ok=True)
            (speaker / f"{number:04d}{video.suffix}").symlink_to(video.resolve())
        shards = max(1 if one_core else os.cpu_count() or 1, round(len(videos) / CLIPS_PER_SHARD))
        corpus = {"path": "corpus", "use": ["pretrain"], "shards": shards}
        config: dict[str, Any] = {"results": "results", "corpora": {"it": corpus}}
        config |= {"models": {"folder": str(model.parent)}, "landmarks": {"max_faces": faces}}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        cores = "1" if one_core else str(os.cpu_count())
        command = [sys.executable, "-m", "snakemake", "features", "--snakefile", str(REPOSITORY / "Snakefile")]
        taken = cost([*command, "--cores", cores, "--configfile", "config.yaml"], one_core, folder)
        return taken._replace(peak_mb=max(map(peak_mb, (folder / "results/benchmarks").rglob("*.tsv"))))


def peak_mb(benchmark: Path) -> float:
    """Return the memory of a job, as Snakemake noted it; 0 where it was too quick to be seen."""
    name, value = (line.split("\t") for line in benchmark.read_text().splitlines()[:2])
    found = value[name.index("max_rss")]
    return float(found) if found.replace(".", "").isdigit() else 0.0


def landmarker(model: Path) -> Any:
    """Return MediaPipe's, for one face in a video."""
    from mediapipe.tasks.python import BaseOptions
    from mediapipe.tasks.python.vision import FaceLandmarker, FaceLandmarkerOptions, RunningMode

    return FaceLandmarker.create_from_options(
        FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model)),
            running_mode=RunningMode.VIDEO,
            num_faces=1,
            output_face_blendshapes=True,
        )
    )


def floor(videos: list[Path], model: Path) -> None:
    """Decode, look and listen; keep nothing."""
    import mediapipe
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.ComParE_2016, opensmile.FeatureLevel.LowLevelDescriptors)
    for video in videos:
        with landmarker(model) as looking:
            for frame, picture in enumerate(frames_of(video)):
                image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
                looking.detect_for_video(image, frame * 1000 // FPS)
        audio = np.frombuffer(ffmpeg(video, "-vn", "-ac", "1", "-ar", str(RATE_HZ), "-f", "s16le"), np.int16)
        smile.process_signal(audio.astype(np.float32) / 32768, RATE_HZ)


def frames_of(video: Path) -> Iterator[np.ndarray]:
    """Decode a video to pictures of the grid, (height, width, 3)."""
    import cv2

    probe = cv2.VideoCapture(str(video))
    width, height = (int(probe.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    scaled = min(HEIGHT, height)
    size = (scaled, round(width * scaled / height / 2) * 2, 3)
    filters = f"fps={FPS},scale={size[1]}:{size[0]}"
    pixels = ffmpeg(video, "-an", "-vf", filters, "-pix_fmt", "rgb24", "-f", "rawvideo")
    yield from np.frombuffer(pixels, np.uint8).reshape(-1, *size)


def ffmpeg(video: Path, *options: str) -> bytes:
    """Return what ffmpeg writes."""
    import imageio_ffmpeg

    program = imageio_ffmpeg.get_ffmpeg_exe()
    command = [program, "-loglevel", "error", "-nostdin", "-threads", "1", "-i", str(video), *options, "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def by_hand(videos: list[Path], model: Path) -> None:
    """Do what the guides of OpenCV, MediaPipe and opensmile-python say, file by file."""
    import cv2
    import imageio_ffmpeg
    import mediapipe
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.ComParE_2016, opensmile.FeatureLevel.LowLevelDescriptors)
    with tempfile.TemporaryDirectory() as name:
        for number, video in enumerate(videos):
            found, capture = [], cv2.VideoCapture(str(video))
            rate = capture.get(cv2.CAP_PROP_FPS)
            with landmarker(model) as looking:
                while True:
                    read, picture = capture.read()
                    if not read:
                        break
                    colours = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
                    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=colours)
                    face = looking.detect_for_video(image, int(1000 * len(found) / rate)).face_landmarks
                    found.append([value for point in face[0] for value in (point.x, point.y, point.z)] if face else [])
            wav = Path(name) / f"{number}.wav"
            extract = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(video), "-ac", "1"]
            subprocess.run([*extract, "-ar", str(RATE_HZ), str(wav)], check=True)
            (Path(name) / f"{number}.csv").write_text("\n".join(",".join(map(str, row)) for row in found))
            smile.process_file(str(wav)).to_csv(Path(name) / f"{number}.speech.csv")


def print_machine() -> None:
    """Say what was measured on."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("mediapipe", "opensmile", "snakemake"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}\n")


if __name__ == "__main__":
    main()
