"""Peak memory and threads of every stage before training, for one clip of ten minutes and one of hours.

    python benchmarks/memory.py [--minutes 10 180] [--faces-minutes 10 20] [--stages speech motion ...]

A clip is made of noise: sound so soft that FLAC stores it in 12 KB/s, as it does speech (RAVDESS); landmarks at chance;
a video of 64 x 64 pixels, since what is held of pictures does not depend on their
number. Each stage is a process of its own, `avpretext STAGE`, that declares one thread; its peak is `VmHWM`, of itself
and of ffmpeg beside it, and its threads are counted in `/proc/PID/task` ten times a second. `landmarks` looks at fewer
minutes, `--faces-minutes`, as it takes ten times as long as the others. Prints the first table of benchmarks/memory.md.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pyarrow as pa
import soundfile

from avpretext import shards
from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.flow.artefacts import landmarks_schema, schema_of
from avpretext.flow.columns import ACTION_UNITS

FPS = 25
LOUDNESS = 0.0005
CLIP = "someone/a clip"
OPTIONS = (
    "corpora: {noise: {path: ., use: [pretrain]}}\n"
    "split: {max_duration_s: 100000, min_duration_s: 0}\n"
    "landmarks: {min_face_fraction: 0}\n"
    "segment: {one_face: 0}\n"
)
Row = tuple[str, str, float, int, int, float]


@dataclass
class Folder:
    """Where a clip of so many minutes and what is made of it lie."""

    path: Path
    minutes: float

    def __truediv__(self, name: str) -> Path:
        folder = self.path / "results" / "noise" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "0000.parquet"

    @property
    def frames(self) -> int:
        """Video frames of the clip."""
        return round(self.minutes * 60 * FPS)


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[10.0, 180.0])
    parser.add_argument("--faces-minutes", type=float, nargs="+", default=[10.0, 20.0])
    parser.add_argument("--stages", nargs="*", help="these alone, in the order of the flow")
    parser.add_argument("--model", type=Path, help="face_landmarker.task; without it landmarks is left out")
    arguments = parser.parse_args()
    print("| stage | minutes | peak, MB | ffmpeg's, MB | threads | seconds |\n|---|---|---|---|---|---|")
    for minutes in arguments.minutes:
        with tempfile.TemporaryDirectory() as folder:
            for row in measured(Folder(Path(folder), minutes), arguments.stages):
                print("| " + " | ".join(map(str, row)) + " |", flush=True)
    for minutes in arguments.faces_minutes if arguments.model else ():
        with tempfile.TemporaryDirectory() as folder:
            for row in looked_at(Folder(Path(folder), minutes), arguments.model):
                print("| " + " | ".join(map(str, row)) + " |", flush=True)


def measured(clip: Folder, stages: list[str] | None) -> Iterator[tuple[object, ...]]:
    """Yield a row of the table for each stage, in the order of the flow; their inputs are made as they are needed."""
    (clip.path / "config.yaml").write_text(OPTIONS)
    write_index(clip)
    audio, landmarks = clip / "split/audio", clip / "landmarks"
    index, speech = clip / "index", clip / "speech"
    for stage, arguments in {
        "split": [f"--index={index}", "--folder=.", f"--audio={audio}", f"--rejects={clip / 'split/rejects'}",
                  f"--frames={clip / 'split/frames'}"],
        "segment": ["--corpus=noise", f"--index={index}", "--folder=.", f"--output={clip / 'segment'}",
                    f"--rejects={clip / 'segment/rejects'}"],
        "speech": [f"--audio={audio}", f"--output={speech}", f"--rejects={clip / 'speech/rejects'}"],
        "log_mel": [f"--audio={audio}", f"--output={clip / 'log_mel'}"],
        "speed": ["1.08", f"--audio={audio}", f"--output={clip / 'speed'}"],
        "functionals": [f"--audio={audio}", f"--output={clip / 'functionals'}"],
        "statistics": [f"--features=speech={speech}", f"--features=log_mel={clip / 'log_mel'}",
                       f"--output={clip / 'statistics'}"],
        "labels_energy": [f"--speech={speech}", f"--index={index}", f"--output={clip / 'labels_energy'}"],
        "motion": [f"--landmarks={landmarks}", f"--output={clip / 'motion'}"],
        "neutral": [f"--landmarks={landmarks}", f"--index={index}", f"--output={clip / 'neutral'}"],
        "action_units": [f"--landmarks={landmarks}", f"--index={index}", f"--neutral={clip / 'neutral'}",
                         f"--output={clip / 'action_units'}"],
        "labels_activation": [f"--motion={clip / 'motion'}", f"--audio={audio}",
                              f"--output={clip / 'labels_activation'}"],
        "labels_emotion": [f"--action-units={clip / 'action_units'}", f"--output={clip / 'labels_emotion'}"],
    }.items():  # fmt: skip
        if stages and stage not in stages:
            continue
        make_inputs(clip, stage, arguments)
        yield stage, clip.minutes, *peak(clip, stage, arguments)


def looked_at(clip: Folder, model: Path) -> Iterator[tuple[object, ...]]:
    """Yield the row of `landmarks`, on frames that show nobody: none can be refused, see `OPTIONS`."""
    (clip.path / "config.yaml").write_text(OPTIONS)
    write_index(clip)
    write_video(clip)
    split = [f"--index={clip / 'index'}", "--folder=.", f"--audio={clip / 'split/audio'}",
             f"--rejects={clip / 'split/rejects'}", f"--frames={clip / 'split/frames'}"]  # fmt: skip
    peak(clip, "split", split)
    arguments = [f"--frames={clip / 'split/frames'}", f"--model={model.absolute()}",
                 f"--landmarks={clip / 'landmarks'}", f"--faceless={clip / 'landmarks/rejects'}",
                 f"--preview={clip / 'landmarks/preview'}"]  # fmt: skip
    yield "landmarks", clip.minutes, *peak(clip, "landmarks", arguments)


def make_inputs(clip: Folder, stage: str, arguments: list[str]) -> None:
    """Make the shards that a stage reads and none before it has left."""
    if stage in ("split", "segment") and not (clip.path / "clip.mkv").exists():
        write_video(clip)
    for file, write in {
        clip / "split/audio": write_audio,
        clip / "landmarks": write_landmarks,
        clip / "speech": write_speech,
        clip / "log_mel": write_log_mel,
        clip / "motion": write_motion,
        clip / "action_units": write_action_units,
        clip / "neutral": write_neutral,
    }.items():
        read = [argument for argument in arguments if not argument.startswith("--output")]
        if (
            stage not in ("split", "segment")
            and not file.exists()
            and any(argument.endswith(f"={file}") for argument in read)
        ):
            write(clip, file)


def peak(clip: Folder, stage: str, arguments: list[str]) -> tuple[int, int, int, float]:
    """Run a stage; return its peak memory and ffmpeg's in MB, the most threads that it had, and its seconds."""
    command = [sys.executable, "-m", "avpretext", stage, *arguments]
    if stage in ("split", "speech", "log_mel", "speed", "functionals"):
        command.append("--threads=1")
    begin = time.monotonic()
    process = subprocess.Popen(command, cwd=clip.path, stderr=subprocess.PIPE, text=True)
    own = ffmpeg = threads = 0
    while process.poll() is None:
        own, threads = max(own, high_water(process.pid)), max(threads, count_threads(process.pid))
        ffmpeg = max([ffmpeg, *map(high_water, children(process.pid))])
        time.sleep(0.1)
    assert process.stderr is not None
    if process.returncode:
        raise SystemExit(f"{stage}: {process.stderr.read()}")
    return own, ffmpeg, threads, round(time.monotonic() - begin)


def high_water(process: int) -> int:
    """Return the most memory that a process has held so far, in MB; 0 if it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) // 1000 if lines else 0


def count_threads(process: int) -> int:
    """Return the number of threads of a process; 0 if it has ended."""
    try:
        return len(os.listdir(f"/proc/{process}/task"))
    except OSError:
        return 0


def children(process: int) -> list[int]:
    """Return the processes that a process has started and that still run."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return found


def write_index(clip: Folder) -> None:
    """Write an index of one clip."""
    row = dict.fromkeys(schema_of("index").names) | {"clip_id": CLIP, "path": "clip.mkv", "speaker": "someone"}
    shards.write_table(clip / "index", [row], schema_of("index"), {})


def write_video(clip: Folder) -> None:
    """Write a small video with noise for sound."""
    seconds = clip.minutes * 60
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i",
        f"testsrc2=size=64x64:rate={FPS}:duration={seconds}", "-f", "lavfi", "-i",
        f"anoisesrc=sample_rate={SAMPLE_RATE_HZ}:amplitude={LOUDNESS}:duration={seconds}",
        "-c:v", "mpeg4", "-c:a", "flac", str(clip.path / "clip.mkv"),
    ]  # fmt: skip
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def write_audio(clip: Folder, path: Path) -> None:
    """Write a shard of one clip of noise."""
    rng, encoded = np.random.default_rng(1), io.BytesIO()
    with soundfile.SoundFile(encoded, "w", SAMPLE_RATE_HZ, 1, "PCM_16", format="FLAC") as file:
        for _ in range(round(clip.minutes * 60)):
            file.write(rng.normal(scale=LOUDNESS, size=SAMPLE_RATE_HZ).astype(np.float32))
    samples = round(clip.minutes * 60) * SAMPLE_RATE_HZ
    row = dict.fromkeys(schema_of("split.audio").names) | {
        "clip_id": CLIP, "speaker": "someone", "duration_s": samples / SAMPLE_RATE_HZ, "samples": samples,
        "audio": {"bytes": encoded.getvalue(), "path": None}, "video_frames": clip.frames, "fps": float(FPS),
    }  # fmt: skip
    with shards.ShardWriter(path, schema_of("split.audio"), {}, compression="none", row_group=64) as writer:
        writer.write([row])


def in_parts(clip: Folder, path: Path, schema: pa.Schema, frames: int, step_s: float) -> None:
    """Write a shard of numbers at chance, as many rows as frames, some at a time."""
    rng = np.random.default_rng(1)
    with shards.ShardWriter(path, schema, {}, row_group=512) as writer:
        for first in range(0, frames, 10_240):
            numbers = np.arange(first, min(first + 10_240, frames), dtype=np.int32)
            known = {"clip_id": [CLIP] * len(numbers), "frame": numbers, "time_s": numbers * step_s}
            writer.write(
                known | {field.name: chance(rng, field, len(numbers)) for field in schema if field.name not in known}
            )


def chance(rng: np.random.Generator, field: pa.Field, rows: int) -> pa.Array:
    """Return a column of numbers at chance."""
    if pa.types.is_fixed_size_list(field.type):
        flat = rng.random(rows * field.type.list_size, dtype=np.float32)
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=field.type)
    if pa.types.is_boolean(field.type):
        return pa.array(np.ones(rows, bool))
    return pa.array(rng.random(rows, dtype=np.float32)).cast(field.type, safe=False)


def write_landmarks(clip: Folder, path: Path) -> None:
    """Write all 478 points of every frame."""
    in_parts(clip, path, landmarks_schema(478), clip.frames, 1 / FPS)


def write_speech(clip: Folder, path: Path) -> None:
    """Write 65 descriptors of every 10 ms."""
    schema = schema_of("speech", {"DESCRIPTOR": [f"descriptor{number}" for number in range(65)]})
    in_parts(clip, path, schema, round(clip.minutes * 6000), 0.01)


def write_log_mel(clip: Folder, path: Path) -> None:
    """Write the bands of every 10 ms."""
    in_parts(
        clip,
        path,
        schema_of("log_mel", {"mel[*]": [f"mel[{band}]" for band in range(80)]}),
        round(clip.minutes * 6000),
        0.01,
    )


def write_motion(clip: Folder, path: Path) -> None:
    """Write speeds of every frame."""
    in_parts(clip, path, schema_of("motion"), clip.frames, 1 / FPS)


def write_action_units(clip: Folder, path: Path) -> None:
    """Write action units of every frame."""
    assert len(ACTION_UNITS) == 20
    in_parts(clip, path, schema_of("action_units"), clip.frames, 1 / FPS)


def write_neutral(clip: Folder, path: Path) -> None:
    """Write resting faces of nobody: the clip is calibrated by itself."""
    shards.write_table(path, [], schema_of("neutral"), {})


if __name__ == "__main__":
    main()
