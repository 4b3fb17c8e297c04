"""Landmarks, blendshapes and head pose of the clip's face, frame by frame, by MediaPipe FaceLandmarker.

The stage reads the stored JPEG frames a row group at a time and holds, of a clip, only what it needs until enough faces
are found to accept it, so that clips of any length fit. MediaPipe keeps about one processor busy: more shards, not more
threads, make it faster.
"""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from avpretext import schemas, shards
from avpretext.config import LandmarkOptions
from avpretext.features import geometry
from avpretext.features.blendshapes import BLENDSHAPES
from avpretext.features.face_tracker import Face, FaceTracker
from avpretext.features.landmark_points import DLIB_POINTS, MEDIAPIPE_POINTS, dlib_points
from avpretext.features.landmark_shards import evenly
from avpretext.features.models import FACE_MODEL, verified
from avpretext.features.thumbnails import Thumbnails
from avpretext.progress import progress
from avpretext.refusal import Refusal, reject_row

BLOCK = 512
"""Rows written at a time."""

WAITING = 16 * BLOCK
"""Rows of a clip that wait in memory: of five minutes, 50 MB."""


PREVIEW_CLIPS = 8
PREVIEW_FRAMES = 6
"""Of so many clips of a shard so many frames are kept, evenly spaced, for people to look at."""


def run(
    frames: Path,
    model: Path,
    options: LandmarkOptions,
    output: Path,
    rejects: Path,
    preview: Path,
    threads: int = 1,
    thumbnails: Path | None = None,
) -> None:
    """Find the face in every frame of a shard.

    Parameters
    ----------
    frames
        Shard of `split/frames`.
    model
        The file `face_landmarker.task`.
    options
        Which points are kept, and when a clip is refused.
    output, rejects
        Where the shard and its refused clips (`no_face`) go.
    preview
        Where a few frames of a few clips go, as they are in `frames`.
    threads
        Size of MediaPipe's pool of threads.
    thumbnails
        Where a few small pictures of the face of every clip go; None: none are kept. See `Thumbnails`.
    """
    cv2.setNumThreads(threads)
    made_by = shards.provenance("landmarks", options.model_dump(mode="json"), {FACE_MODEL: verified(model)})
    points = DLIB_POINTS if options.points == "dlib68" else MEDIAPIPE_POINTS
    lengths = shards.rows_per_clip(frames)
    clips = groupby(shards.iterate_parts(frames, ["frame", "time_s", "image"]), key=lambda part: part[0])
    label = f"landmarks {output.parent.parent.name}/{output.stem}"
    shown, small, refused = Preview(lengths), Thumbnails(wanted=thumbnails is not None), []
    with shards.ShardWriter(output, schemas.landmarks(points, len(BLENDSHAPES)), made_by, row_group=BLOCK) as writer:
        for clip_id, parts in progress(clips, total=len(lengths), unit="clips", label=label):
            rows = ClipRows(
                clip_id, points, writer, needed=options.min_face_fraction * lengths[clip_id], folder=output.parent
            )
            with FaceTracker(model, options.max_faces, options.min_confidence, threads) as tracker:
                for frame, time_s, jpeg in _frames(parts):
                    image = decode(jpeg)
                    face = None if image is None else tracker.track(image, time_s)
                    rows.add(frame, time_s, image, face)
                    shown.offer(clip_id, frame, time_s, jpeg)
                    small.offer(frame, time_s, image, face)
            rows.flush()
            small.end(clip_id, keep=rows.accepted)
            if not rows.accepted:
                shown.drop(clip_id)
                refusal = _refusal(rows.detected, lengths[clip_id], options)
                refused.append(reject_row(clip_id, None, "landmarks", refusal))
    shards.write_table(rejects, refused, schemas.REJECTS, made_by)
    shards.write_table(preview, shown.rows, schemas.FRAMES, made_by)
    if thumbnails is not None:
        shards.write_table(thumbnails, small.rows, schemas.THUMBNAILS, made_by)


def _refusal(detected: int, frames: int, options: LandmarkOptions) -> Refusal:
    limit = f"landmarks.min_face_fraction = {options.min_face_fraction}"
    return Refusal("no_face", f"a face in {detected} of {frames} frames; {limit}")


def decode(jpeg: bytes) -> NDArray[np.uint8] | None:
    """Return a stored frame as RGB, shape (height, width, 3), or None when it is damaged."""
    if not jpeg:
        return None
    image = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    return None if image is None else np.asarray(image, dtype=np.uint8)


def _frames(parts: Iterator[tuple[str, pa.Table]]) -> Iterator[tuple[int, float, bytes]]:
    """Yield frame number, time and JPEG of each row."""
    for _, rows in parts:
        columns = (rows[name].to_pylist() for name in ("frame", "time_s", "image"))
        for frame, time_s, image in zip(*columns, strict=True):
            yield frame, time_s, image["bytes"]


class Preview:
    """A few frames of a few clips of the shard, evenly spaced; `lengths` is the number of frames of each clip."""

    def __init__(self, lengths: Mapping[str, int]) -> None:
        clips = list(lengths)
        self._wanted = {
            clips[k]: {int(frame) for frame in evenly(lengths[clips[k]], PREVIEW_FRAMES)}
            for k in evenly(len(clips), PREVIEW_CLIPS)
        }
        self.rows: list[dict[str, Any]] = []

    def offer(self, clip_id: str, frame: int, time_s: float, jpeg: bytes) -> None:
        """Keep the frame if it is one of those wanted."""
        if frame in self._wanted.get(clip_id, ()):
            image = {"bytes": jpeg, "path": None}
            self.rows.append({"clip_id": clip_id, "frame": frame, "time_s": time_s, "image": image})

    def drop(self, clip_id: str) -> None:
        """Forget the frames of a clip that was refused."""
        self.rows = [row for row in self.rows if row["clip_id"] != clip_id]


@dataclass
class ClipRows:
    """The rows of one clip on their way to the shard.

    They wait until `needed` frames show a face, in memory while they are few, else in a file without a name in
    `folder`; from then on they are written block by block. A clip that ends before has none of its rows written.
    """

    clip_id: str
    points: int
    writer: shards.ShardWriter
    needed: float
    folder: Path
    detected: int = 0
    waiting: list[dict[str, Any]] = field(default_factory=list)
    aside: IO[bytes] | None = None

    @property
    def accepted(self) -> bool:
        """Whether enough frames show a face, and at least one."""
        return self.detected >= max(self.needed, 1)

    def add(self, frame: int, time_s: float, image: NDArray[np.uint8] | None, face: Face | None) -> None:
        """Append the row of one frame."""
        height, width = (None, None) if image is None else image.shape[:2]
        row = {"clip_id": self.clip_id, "frame": frame, "time_s": time_s, "height": height, "width": width}
        self.detected += face is not None
        self.waiting.append(row | _face_columns(face, self.points))
        if self.accepted and len(self.waiting) >= BLOCK:
            self.flush()
        elif len(self.waiting) >= WAITING:
            self._put_aside()

    def _put_aside(self) -> None:
        """Move the rows that wait from memory to the file."""
        if self.aside is None:
            self.aside = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115
        with pa.ipc.new_stream(self.aside, self.writer.schema) as stream:
            stream.write_table(self._take())

    def _take(self) -> pa.Table:
        """Return the rows that wait in memory, which then are there no longer."""
        _add_head_pose(self.waiting)
        rows, self.waiting = self.waiting, []
        return _as_table(rows, self.writer.schema)

    def _bring_back(self) -> None:
        """Write the rows in the file, if there is one, to the shard of an accepted clip; remove the file."""
        if self.aside is None:
            return
        with self.aside as file:
            end = file.tell()
            file.seek(0)
            while self.accepted and file.tell() < end:
                with pa.ipc.open_stream(file) as stream:
                    self.writer.write(stream.read_all())
        self.aside = None

    def flush(self) -> None:
        """Write the rows of an accepted clip, and forget those of any."""
        self._bring_back()
        if self.accepted and self.waiting:
            self.writer.write(self._take())
        self.waiting = []


def _face_columns(face: Face | None, points: int) -> dict[str, Any]:
    if face is None:
        return {"detected": False, "faces": 0, "landmarks": None, "blendshapes": None}
    kept = dlib_points(face.landmarks) if points == DLIB_POINTS else face.landmarks
    return {"detected": True, "faces": face.faces, "landmarks": kept, "blendshapes": face.blendshapes}


def _add_head_pose(rows: list[dict[str, Any]]) -> None:
    """Add the columns of the head pose to the rows of some frames, null without a face."""
    seen = [row["landmarks"] for row in rows if row["detected"]]
    angles = iter(geometry.head_pose(dlib_points(np.stack(seen))).tolist() if seen else ())
    for row in rows:
        turned = next(angles) if row["detected"] else (None, None, None)
        row["pitch_deg"], row["yaw_deg"], row["roll_deg"] = turned


def _as_table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Build an Arrow table; the long vectors go as arrays, which is 20 times as fast as as lists."""
    columns = [
        _vectors([row[name.name] for row in rows], name.type)
        if pa.types.is_fixed_size_list(name.type)
        else pa.array([row[name.name] for row in rows], type=name.type)
        for name in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _vectors(values: list[NDArray[np.float32] | None], kind: pa.FixedSizeListType) -> pa.Array:
    empty = np.zeros(kind.list_size, dtype=np.float32)
    flat = np.concatenate([empty if value is None else value.ravel() for value in values])
    missing = pa.array([value is None for value in values])
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind, mask=missing)
