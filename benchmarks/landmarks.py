"""Speed of the stage `landmarks` beside a bare MediaPipe loop over the same frames, in one run on one machine.

    python benchmarks/landmarks.py --model results/models/face_landmarker.task VIDEO [VIDEO ...]

The videos are decoded once into a shard of JPEG frames, as `split` stores them. Then, `--repeats` times in turn:

- bare: a loop over the frames, decoded beforehand and held in memory; a FaceLandmarker per clip, one face
- bare, with decoding: the same, each JPEG decoded when its turn comes
- bare, options of the stage: the first again, with as many faces as the stage looks for
- stage: `avpretext landmarks` on the shard, from reading to the shard that it writes

Rates are frames per second of processor time (all threads of the process), so other work on the machine disturbs them
little; the best of the repeats counts.
"""

import argparse
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import imageio_ffmpeg
import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import FaceLandmarker, FaceLandmarkerOptions, RunningMode
from numpy.typing import NDArray

from avpretext import shards
from avpretext.action_units.expressions import strength
from avpretext.config import LandmarkOptions, MediaOptions
from avpretext.face import landmarks
from avpretext.face.landmarker import quiet_stderr
from avpretext.flow.artefacts import schema_of

Images = list[list[bytes]]
Decoded = list[list[NDArray[np.uint8]]]


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="the file face_landmarker.task")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stored = [stored_frames(video, Path(folder)) for video in arguments.videos]
        shard = write_shard(stored, Path(folder) / "frames.parquet")
        ways = ways_to_run(stored, shard, arguments.model, Path(folder))
        best = dict.fromkeys(ways, 0.0)
        for _ in range(arguments.repeats):
            for name, run in ways.items():
                best[name] = max(best[name], rate(run, sum(map(len, stored))))
    report(best, stored)


def stored_frames(video: Path, folder: Path) -> list[bytes]:
    """Decode a video into JPEG frames with the options of `split`."""
    options = MediaOptions()
    target = folder / f"{len(list(folder.iterdir())):04d}"
    target.mkdir()
    scale = f"fps={options.fps},scale=-2:'min({options.height},ih)'"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(video), "-vf", scale]
    subprocess.run([*command, "-q:v", str(options.jpeg_quality), str(target / "%06d.jpg")], check=True)
    return [path.read_bytes() for path in sorted(target.iterdir())]


def write_shard(stored: Images, path: Path) -> Path:
    """Write the frames as `split` does."""
    with shards.ShardWriter(path, schema_of("split.frames"), {}, compression="none", row_group=256) as writer:
        for number, clip in enumerate(stored):
            rows = [
                {"clip_id": f"{number:04d}", "frame": k, "time_s": k / 25, "image": {"bytes": image, "path": None}}
                for k, image in enumerate(clip)
            ]
            writer.write(rows)
    return path


def ways_to_run(stored: Images, shard: Path, model: Path, folder: Path) -> dict[str, Callable[[], None]]:
    """Return what is compared."""
    decoded = [list(decode(clip)) for clip in stored]
    options, one_face, whole = LandmarkOptions(), LandmarkOptions(max_faces=1), LandmarkOptions(tiles=False)
    output, rejects, preview, thumbnails = (
        folder / f"{name}.parquet" for name in ("landmarks", "rejects", "preview", "thumbnails")
    )
    return {
        "bare": lambda: bare(decoded, model, faces=1),
        "bare, with decoding": lambda: bare((decode(clip) for clip in stored), model, faces=1),
        "bare, options of the stage": lambda: bare(decoded, model, faces=options.max_faces),
        "stage": lambda: landmarks.run(
            shard, model, options, landmarks.Artefacts(output, rejects, preview, thumbnails, strength)
        ),
        "stage, one face": lambda: landmarks.run(
            shard, model, one_face, landmarks.Artefacts(output, rejects, preview, thumbnails, strength)
        ),
        "stage, without tiles": lambda: landmarks.run(
            shard, model, whole, landmarks.Artefacts(output, rejects, preview, thumbnails, strength)
        ),
        "stage, without thumbnails": lambda: landmarks.run(
            shard, model, options, landmarks.Artefacts(output, rejects, preview)
        ),
    }


def decode(clip: list[bytes]) -> Iterator[NDArray[np.uint8]]:
    """Decode the frames of a clip one by one."""
    for jpeg in clip:
        image = landmarks.decode(jpeg)
        assert image is not None
        yield image


def bare(clips: Decoded | Iterator[Iterator[NDArray[np.uint8]]], model: Path, faces: int) -> None:
    """Run MediaPipe as a user would by hand, and keep nothing."""
    options = FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)),
        running_mode=RunningMode.VIDEO,
        num_faces=faces,
        output_face_blendshapes=True,
    )
    for clip in clips:
        with quiet_stderr(), FaceLandmarker.create_from_options(options) as landmarker:
            for frame, image in enumerate(clip):
                picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
                landmarker.detect_for_video(picture, frame * 40)


def rate(run: Callable[[], None], frames: int) -> float:
    """Return frames per second of processor time."""
    begin = time.process_time()
    run()
    return frames / (time.process_time() - begin)


def report(best: dict[str, float], stored: Images) -> None:
    """Print what was measured, and on what."""
    image = landmarks.decode(stored[0][0])
    assert image is not None
    versions = ", ".join(f"{name} {version(name)}" for name in ("mediapipe", "opencv-contrib-python", "numpy"))
    print(f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}, {versions}")
    print(f"{len(stored)} clips, {sum(map(len, stored))} frames of {image.shape[1]}x{image.shape[0]}\n")
    print("| way | frames/s per core | of bare |\n|---|---|---|")
    for name, value in best.items():
        print(f"| {name} | {value:.0f} | {value / best['bare']:.2f} |")


if __name__ == "__main__":
    main()
