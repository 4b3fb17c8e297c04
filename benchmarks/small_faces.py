"""How high a face must be to be found, with and without `landmarks.tiles`, and what that costs.

    python benchmarks/small_faces.py --model results/models/face_landmarker.task VIDEO [VIDEO ...]

The head of each video is scaled until its face (forehead to chin) has a given share of the height, and pasted into a
frame of 16:9 as `split` makes it: into a photograph, or with its own border repeated, at a place that differs
from video to video. Both ways look at the same frames in turn. Rates are frames per second of processor time.

Two more tables: landmarks and blendshapes of the same heads in fewer pixels beside those in all their pixels; and faces
that are found in pictures without any (photographs and drawings of scikit-image, whole and enlarged, mirrored too).
"""

import argparse
import itertools
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from avpretext.face import small_faces
from avpretext.face.geometry import Floats
from avpretext.face.landmarker import FaceModel, Landmarker
from avpretext.face.tracker import FaceTracker

Picture = NDArray[np.uint8]

SHARES = (0.06, 0.07, 0.08, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.22, 0.25, 0.3)
SIZE = (480, 854)
PIXELS = (16, 20, 24, 30, 36, 42, 48, 60, 80, 120)
MOVES = 0.08
"""Standard deviation over the faces that a blendshape must have to be compared."""

FACELESS = (
    "brick", "cat", "cell", "clock", "coffee", "colorwheel", "grass", "gravel", "horse", "hubble_deep_field",
    "immunohistochemistry", "logo", "moon", "page", "retina", "rocket", "stereo_motorcycle", "text",
)  # fmt: skip
PLACES = ((0.5, 0.45), (0.2, 0.3), (0.8, 0.7), (0.12, 0.6), (0.63, 0.2))
"""Of the face's centre, in widths and heights."""


def main() -> None:
    """Measure, and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="the file face_landmarker.task")
    parser.add_argument("--frames", type=int, default=50, help="of each video")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    heads = [head for video in arguments.videos if (head := head_of(video, arguments.frames, arguments.model))]
    versions = ", ".join(f"{name} {version(name)}" for name in ("mediapipe", "opencv-contrib-python", "numpy"))
    print(f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}, {versions}")
    print(f"{len(heads)} of {len(arguments.videos)} videos, {sum(len(frames) for frames, _ in heads)} frames\n")
    print(
        "| height of the face | pixels | found, whole | found, tiles | elsewhere | frames/s, whole | frames/s, tiles |"
    )
    print("|---|---|---|---|---|---|---|")
    for share in SHARES:
        clips = [pasted(*head, share, number) for number, head in enumerate(heads)]
        print(row(share, clips, arguments.model), flush=True)
    nothing = [(np.stack([backdrop(SIZE)] * arguments.frames), (0.0, 0.0))] * 4
    print(row(0.0, nothing, arguments.model))
    points_by_pixels(heads, FaceModel(arguments.model, 1, 0.5))
    false_faces(FaceModel(arguments.model, 2, 0.5))


def head_of(video: Path, count: int, model: Path) -> tuple[list[Picture], Floats] | None:
    """Return the frames of a video and the box of its first face in pixels; None if there is none."""
    with av.open(str(video)) as container:
        frames = [
            np.ascontiguousarray(frame.to_ndarray(format="rgb24"))
            for frame in itertools.islice(container.decode(video=0), count)
        ]
    with FaceTracker(model, 1, 0.5, tiles=True) as tracker:
        face = tracker.track(frames[0], 0.0)
    if face is None:
        return None
    points = face.landmarks
    return frames, np.array([points[234, 0], points[10, 1], points[454, 0], points[152, 1]])


def backdrop(size: tuple[int, int]) -> Picture:
    """Return a photograph without faces, of a size."""
    from skimage import data

    photograph = data.stereo_motorcycle()[0]
    scale = max(size[0] / photograph.shape[0], size[1] / photograph.shape[1])
    return np.ascontiguousarray(cv2.resize(photograph, None, fx=scale, fy=scale)[: size[0], : size[1]])


def pasted(frames: list[Picture], box: Floats, share: float, number: int) -> tuple[Picture, tuple[float, float]]:
    """Return frames (F, height, width, 3) with a small face, and its centre in pixels."""
    scale = share * SIZE[0] / (box[3] - box[1])
    centre, reach = (box[:2] + box[2:]) / 2, 1.1 * (box[3] - box[1])
    left, top = (max(0, int(value)) for value in centre - reach)
    right, bottom = (int(value) for value in centre + reach)
    wanted = np.array(PLACES[number % len(PLACES)]) * SIZE[::-1]
    pictures = []
    for frame in frames:
        part = cv2.resize(frame[top:bottom, left:right], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        most = np.array(SIZE[::-1]) - part.shape[1::-1]
        x, y = np.clip(wanted - (centre - [left, top]) * scale, 0, most).astype(int)
        if number % 2:
            around = (y, most[1] - y, x, most[0] - x)
            pictures.append(cv2.copyMakeBorder(part, *(int(side) for side in around), cv2.BORDER_REPLICATE))
        else:
            pictures.append(backdrop(SIZE))
            pictures[-1][y : y + part.shape[0], x : x + part.shape[1]] = part
    there = (centre - [left, top]) * scale + [x, y]
    return np.stack(pictures), (float(there[0]), float(there[1]))


def row(share: float, clips: Sequence[tuple[Picture, tuple[float, float]]], model: Path) -> str:
    """Return the row of a table: shares of frames in which the face is found, and speed, without and with tiles."""
    results = [looked_at(share, clips, model, tiles) for tiles in (False, True)]
    (whole, wrong_whole, rate), (tiles, wrong, rate_tiles) = results
    return (
        f"| {share:.0%} | {share * SIZE[0]:.0f} | {whole:.2f} | {tiles:.2f} | {wrong_whole:.2f}, {wrong:.2f}"
        f" | {rate:.0f} | {rate_tiles:.0f} |"
    )


def looked_at(
    share: float, clips: Sequence[tuple[Picture, tuple[float, float]]], model: Path, tiles: bool
) -> tuple[float, float, float]:
    """Return shares of frames with the face found, and with another, and frames per second of processor time."""
    found = wrong = total = 0
    begin = time.process_time()
    for frames, there in clips:
        with FaceTracker(model, 2, 0.5, tiles=tiles) as tracker:
            for number, frame in enumerate(frames):
                face = tracker.track(frame, number / 25)
                total += 1
                if face is not None:
                    apart = np.linalg.norm(face.landmarks[:, :2].mean(axis=0) - there)
                    right = apart < 0.75 * share * SIZE[0]
                    found, wrong = found + right, wrong + (not right)
    return found / total, wrong / total, total / (time.process_time() - begin)


def points_by_pixels(heads: Sequence[tuple[list[Picture], Floats]], model: FaceModel) -> None:
    """Print how far landmarks and blendshapes of a face in few pixels are from those of the same face in all."""
    print("\n| pixels of height | faces | distance of landmarks, in eye distances | r of blendshapes |")
    print("|---|---|---|---|")
    with closing(Landmarker(model, video=False)) as landmarker:
        large = [(part, seen[0], height) for part, height in faces_of(heads) if (seen := landmarker.see(part))]
        for pixels in PIXELS:
            apart, shapes = [], []
            for part, truth, height in large:
                scale = pixels / height
                small = landmarker.see(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
                if scale < 1 and small:
                    eyes = np.linalg.norm((truth.landmarks[33] - truth.landmarks[263])[:2])
                    off = np.linalg.norm((small[0].landmarks - truth.landmarks)[:, :2], axis=1)
                    apart.append(off.mean() / eyes)
                    shapes.append((small[0].blendshapes, truth.blendshapes))
            few, all_pixels = np.array(shapes).transpose(1, 2, 0)
            moving = all_pixels.std(axis=1) > MOVES
            r = [np.corrcoef(one, other)[0, 1] for one, other in zip(few[moving], all_pixels[moving], strict=True)]
            print(f"| {pixels} | {len(apart)} of {len(large)} | {np.mean(apart):.3f} | {np.mean(r):.2f} |", flush=True)


def faces_of(heads: Sequence[tuple[list[Picture], Floats]]) -> Iterator[tuple[Picture, float]]:
    """Yield every eighth picture of each head, square, and the height of its face in pixels."""
    for frames, box in heads:
        (x, y), reach = (box[:2] + box[2:]) / 2, 0.95 * (box[3] - box[1])
        left, right, top, bottom = (max(0, int(value)) for value in (x - reach, x + reach, y - reach, y + reach))
        for frame in frames[::8]:
            yield np.ascontiguousarray(frame[top:bottom, left:right]), float(box[3] - box[1])


def false_faces(model: FaceModel) -> None:
    """Print in how many pictures without faces tiles show one, by the detector's confidence."""
    pictures = list(faceless())
    print("\n| confidence of detection in tiles | pictures without faces | of them with a face |\n|---|---|---|")
    kept = small_faces.CONFIDENCE
    for confidence in (0.5, 0.6, 0.7, 0.8):
        small_faces.CONFIDENCE = confidence
        with closing(small_faces.SmallFaces(model)) as small:
            found = sum(bool(small.search(picture)) for picture in pictures)
        print(f"| {confidence} | {len(pictures)} | {found} |", flush=True)
    small_faces.CONFIDENCE = kept


def faceless() -> Iterator[Picture]:
    """Yield pictures without faces: the middle of each at three sizes, mirrored too."""
    from skimage import data

    for name in FACELESS:
        picture = data.stereo_motorcycle()[0] if name == "stereo_motorcycle" else getattr(data, name)()
        picture = picture * np.uint8(255) if picture.dtype == bool else picture
        picture = picture[..., :3] if picture.ndim == 3 else np.stack([picture] * 3, axis=-1)
        for zoom in (1, 1.4, 2):
            scale = zoom * max(SIZE[0] / picture.shape[0], SIZE[1] / picture.shape[1])
            large = cv2.resize(picture.astype(np.uint8), None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
            top, left = (large.shape[0] - SIZE[0]) // 2, (large.shape[1] - SIZE[1]) // 2
            part = large[top : top + SIZE[0], left : left + SIZE[1]]
            yield np.ascontiguousarray(part)
            yield np.ascontiguousarray(part[:, ::-1])


if __name__ == "__main__":
    main()
