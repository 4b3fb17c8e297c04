"""How fast and how large is `avpretext predict`? Clips and a long recording, on one core, with and without start-up.

    taskset -c 0 python benchmarks/predict.py MODEL CLIPS [--minutes 60] [--work FOLDER]

MODEL is an exported model, CLIPS a folder of audio clips (for the figures in predict.md: RAVDESS, FLAC). The long
recording is made of the clips, end to end, as MP3 at 44.1 kHz. Each figure is one run of the command, as a user starts
it: seconds on the clock, seconds of processor (ffmpeg's included), peak memory of the largest process; and the time of
the same files within one Python process that has loaded the model.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import imageio_ffmpeg

from avpretext.corpora.reader import is_media


def seconds_of(file: Path) -> float:
    """Return how long a file says that it is."""
    with av.open(str(file)) as media:
        return (media.duration or 0) / av.time_base


def long_recording(files: list[Path], minutes: float, folder: Path) -> Path:
    """Write the files end to end, again and again, as one MP3 of so many minutes at 44.1 kHz."""
    names = "".join(f"file '{file.resolve()}'\n" for file in files)
    listed, output = folder / "list.txt", folder / f"{minutes:g} min.mp3"
    listed.write_text(names * (1 + int(minutes * 60 / sum(map(seconds_of, files)))))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", "-f", "concat", "-safe", "0", "-i", listed]
    subprocess.run([*command, "-t", str(minutes * 60), "-ar", "44100", "-b:a", "96k", output], check=True)
    return output


def command_line(name: str, audio_s: float, model: Path, *arguments: str) -> None:
    """Time one run of the command in a process of its own, and print a row."""
    code = "import sys; from avpretext.cli import main; main()"
    command = [sys.executable, "-c", code, "predict", str(model), *arguments, "--threads", "1", "--format", "csv"]
    begin = time.monotonic()
    child = os.posix_spawn(command[0], command, os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ])  # fmt: skip
    _, status, used = os.wait4(child, 0)
    wall_s = time.monotonic() - begin
    cpu_s = used.ru_utime + used.ru_stime
    done = "" if status == 0 else f" (status {status})"
    print(f"| {name}{done} | {audio_s:.0f} | {wall_s:.1f} | {cpu_s:.1f} | {audio_s / wall_s:.0f} |"
          f" {audio_s / cpu_s:.0f} | {used.ru_maxrss / 1024:.0f} |", flush=True)  # fmt: skip


def within_python(name: str, audio_s: float, model: Path, files: list[Path], along: tuple[float, float] | None) -> None:
    """Time the same in this process, the model loaded; ffmpeg's time is that of ended children."""
    import avpretext

    loaded = avpretext.load(model)
    list(loaded.predict_many(files[:1], along_time=along) if along is None else ())

    def cpu_s() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)

    begin, before = time.monotonic(), cpu_s()
    for _ in loaded.predict_many(files, along_time=along):
        pass
    wall_s, spent_s = time.monotonic() - begin, cpu_s() - before
    print(f"| {name}, model loaded | {audio_s:.0f} | {wall_s:.1f} | {spent_s:.1f} | {audio_s / wall_s:.0f} |"
          f" {audio_s / spent_s:.0f} | |", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", default=[60.0], help="lengths of the long recording")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), help="where it is made")
    arguments = parser.parse_args()
    files = sorted(path for path in arguments.clips.rglob("*") if is_media(path.name))
    total_s = sum(map(seconds_of, files))
    print("| what | sound, s | clock, s | processor, s | times real time, clock | processor | peak memory, MB |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    command_line("one clip", seconds_of(files[0]), arguments.model, str(files[0]))
    command_line(f"{len(files)} clips", total_s, arguments.model, str(arguments.clips))
    within_python(f"{len(files)} clips", total_s, arguments.model, files, None)
    for minutes in arguments.minutes:
        recording = long_recording(files, minutes, arguments.work)
        name = f"{minutes:g} min of MP3, windows of 3 s each second"
        command_line(name, minutes * 60, arguments.model, str(recording), "--along-time", "3,1")
        if minutes == min(arguments.minutes):
            within_python(name, minutes * 60, arguments.model, [recording], (3.0, 1.0))
        recording.unlink()


if __name__ == "__main__":
    main()
