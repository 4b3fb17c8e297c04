"""Landmarks, blendshapes and head pose of the clip's face, frame by frame, by MediaPipe FaceLandmarker.

The stage reads stored JPEG frames a row group at a time; `watch` hands it frames as they are decoded. Of a clip it
holds some minutes of rows, and the rest in a file, so that clips of any length fit. MediaPipe keeps about one processor
busy: more shards, not more threads, make it faster.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import IO, Any, Self

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import LandmarkOptions
from avpretext.face import geometry
from avpretext.face.blendshapes import BLENDSHAPES
from avpretext.face.model_file import FACE_MODEL, verified
from avpretext.face.points import DLIB_POINTS, MEDIAPIPE_POINTS, dlib_points
from avpretext.face.preview import Preview, wanted_clips
from avpretext.face.small_faces import MEASURED_AT, larger_frames_help, smallest_face
from avpretext.face.thumbnails import Strength, Thumbnails
from avpretext.face.tracker import Face, FaceTracker
from avpretext.flow.artefacts import landmarks_schema, schema_of
from avpretext.flow.provenance import provenance
from avpretext.progress import progress
from avpretext.refusal import Refusal, reject_row
from avpretext.writing import label_of

BLOCK = 512
"""Rows of a row group."""

WAITING = 4 * BLOCK
"""Rows of a clip that wait in memory until it has ended: of a minute and a half, 12 MB."""

_LARGER_FRAMES = "a larger split.height finds smaller ones if the video is taller"
_CROP = "for smaller ones crop the video"

Picture = NDArray[np.uint8]

Frame = tuple[int, float, Picture | None]
"""Number, time in seconds, and RGB picture of shape (height, width, 3); None where it is damaged."""


@dataclass(frozen=True)
class Artefacts:
    """The files that the stage writes for one shard.

    Attributes
    ----------
    landmarks
        `landmarks`, a row for each frame of the clips that are not refused.
    faceless
        Clips refused: `no_face`.
    preview
        A few frames of a few clips.
    thumbnails
        A few small pictures of the face of every clip; None: none are kept. See `Thumbnails`.
    strength
        Chooses them, see `action_units.expressions`.
    """

    landmarks: Path
    faceless: Path
    preview: Path
    thumbnails: Path | None = None
    strength: Strength | None = None


def run(frames: Path, model: Path, options: LandmarkOptions, artefacts: Artefacts, threads: int = 1) -> None:
    """Find the face in every stored frame of a shard; `threads` is the size of MediaPipe's pool of threads."""
    clips = shards.rows_per_clip(frames)
    stored = groupby(shards.iterate_parts(frames, ["frame", "time_s", "image"]), key=lambda part: part[0])
    label = label_of("landmarks", artefacts.landmarks)
    with LandmarkWriter(model, options, artefacts, list(clips), threads) as writer:
        for clip_id, parts in progress(stored, total=len(clips), label=label):
            seen = _stored_frames(parts)
            seen = progress(seen, total=clips[clip_id], unit="frames", label=f"landmarks, {clip_id}", within=True)
            writer.keep(writer.look(clip_id, seen))


def decode(jpeg: bytes) -> Picture | None:
    """Return a stored frame as RGB, shape (height, width, 3), or None when it is damaged."""
    if not jpeg:
        return None
    image = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    return None if image is None else np.asarray(image, dtype=np.uint8)


def _stored_frames(parts: Iterable[tuple[str, pa.Table]]) -> Iterator[Frame]:
    for _, rows in parts:
        columns = (rows[name].to_pylist() for name in ("frame", "time_s", "image"))
        for frame, time_s, image in zip(*columns, strict=True):
            yield frame, time_s, decode(image["bytes"])


class LandmarkWriter:
    """Follows the face through clips, and writes what it sees of a shard of `clips`; a context manager."""

    def __init__(
        self, model: Path, options: LandmarkOptions, artefacts: Artefacts, clips: Sequence[str], threads: int = 1
    ) -> None:
        cv2.setNumThreads(threads)
        self._model, self._options, self._artefacts, self._threads = model, options, artefacts, threads
        self._made_by = provenance("landmarks", options.model_dump(mode="json"), {FACE_MODEL: verified(model)})
        self._points = DLIB_POINTS if options.points == "dlib68" else MEDIAPIPE_POINTS
        self._schema = landmarks_schema(self._points, len(BLENDSHAPES))
        self._shown = wanted_clips(clips)
        self._preview: list[dict[str, Any]] = []
        self._thumbnails: list[dict[str, Any]] = []
        self._refused: list[dict[str, Any]] = []
        self._writer = shards.ShardWriter(artefacts.landmarks, self._schema, self._made_by, row_group=BLOCK)

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._writer.__exit__(*error)
        if error[0] is not None:
            return
        shards.write_table(self._artefacts.faceless, self._refused, schema_of("rejects"), self._made_by)
        shards.write_table(self._artefacts.preview, self._preview, schema_of("split.frames"), self._made_by)
        if self._artefacts.thumbnails is not None:
            shards.write_table(
                self._artefacts.thumbnails, self._thumbnails, schema_of("landmarks.thumbnails"), self._made_by
            )

    def look(self, clip_id: str, frames: Iterable[Frame]) -> "ClipSeen":
        """Follow the face through the frames of one clip; may be called from several threads."""
        seen = ClipSeen(clip_id, self._points, self._schema, self._artefacts.landmarks.parent)
        if clip_id in self._shown:
            seen.preview = Preview()
        if self._artefacts.thumbnails is not None:
            assert self._artefacts.strength is not None, "`thumbnails` needs `strength`"
            seen.thumbnails = Thumbnails(self._artefacts.strength)
        options = self._options
        tracking = FaceTracker(self._model, options.max_faces, options.min_confidence, self._threads, options.tiles)
        with tracking as tracker:
            for frame, time_s, image in frames:
                seen.add(frame, time_s, image, None if image is None else tracker.track(image, time_s))
        return seen

    def keep(self, seen: "ClipSeen") -> None:
        """Write what was seen of a clip, or refuse it when too few of its frames show a face."""
        if seen.detected < max(self._options.min_face_fraction * seen.frames, 1):
            refusal = Refusal("no_face", faces_missed(seen, self._options))
            self._refused.append(reject_row(seen.clip_id, None, "landmarks", refusal))
            seen.close()
            return
        for rows in seen.take():
            self._writer.write(rows)
        if seen.preview is not None:
            self._preview += seen.preview.rows(seen.clip_id)
        if seen.thumbnails is not None:
            self._thumbnails += seen.thumbnails.rows(seen.clip_id)


@dataclass
class ClipSeen:
    """What was seen of one clip, until it is known whether it is kept: in memory while that is little, else in a file.

    `points` is the number of landmarks kept of each face; `folder` is where the file is, which has no name and vanishes
    with the process; `size` is height and width of the frames, in pixels. Preview and thumbnails are None if not
    wanted.
    """

    clip_id: str
    points: int
    schema: pa.Schema
    folder: Path
    size: tuple[int, int] | None = None
    frames: int = 0
    detected: int = 0
    preview: Preview | None = None
    thumbnails: Thumbnails | None = None
    _waiting: list[dict[str, Any]] = field(default_factory=list)
    _aside: IO[bytes] | None = None

    def add(self, frame: int, time_s: float, image: Picture | None, face: Face | None) -> None:
        """Note one frame."""
        height, width = (None, None) if image is None else image.shape[:2]
        row = {"clip_id": self.clip_id, "frame": frame, "time_s": time_s, "height": height, "width": width}
        self.size = self.size if height is None or width is None else (height, width)
        self.frames += 1
        self.detected += face is not None
        self._waiting.append(row | _face_columns(face, self.points))
        if self.preview is not None:
            self.preview.offer(frame, time_s, image)
        if self.thumbnails is not None:
            self.thumbnails.offer(frame, time_s, image, face)
        if len(self._waiting) >= WAITING:
            self._put_aside()

    def _put_aside(self) -> None:
        """Move the rows that wait from memory to the file."""
        if self._aside is None:
            self._aside = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115
        with pa.ipc.new_stream(self._aside, self.schema) as stream:
            stream.write_table(self._in_memory())

    def _in_memory(self) -> pa.Table:
        """Return the rows that wait in memory, which then are there no longer."""
        _add_head_pose(self._waiting)
        rows, self._waiting = self._waiting, []
        return _as_table(rows, self.schema)

    def take(self) -> Iterator[pa.Table]:
        """Yield all rows, in order, once."""
        if self._aside is not None:
            end = self._aside.tell()
            self._aside.seek(0)
            while self._aside.tell() < end:
                with pa.ipc.open_stream(self._aside) as stream:
                    yield stream.read_all()
        self.close()
        if self._waiting:
            yield self._in_memory()

    def close(self) -> None:
        """Remove the file."""
        if self._aside is not None:
            self._aside.close()
            self._aside = None


def faces_missed(seen: ClipSeen, options: LandmarkOptions) -> str:
    """Return what was looked for in a clip that is refused for want of a face, and which option finds more."""
    limit = f"landmarks.min_face_fraction = {options.min_face_fraction}"
    parts = [f"a face in {seen.detected} of {seen.frames} frames", limit]
    if seen.size is not None:
        (height, width), least = seen.size, smallest_face(*seen.size, options.tiles)
        at = f", at landmarks.min_confidence = {MEASURED_AT}" if options.min_confidence != MEASURED_AT else ""
        parts.append(f"in {width}x{height} a face must be about {least} pixels high ({least / height:.0%}{at})")
        if options.tiles:
            parts.append(_LARGER_FRAMES if larger_frames_help(height, width) else _CROP)
        elif (found := smallest_face(height, width, tiles=True)) < least:
            parts.append(f"landmarks.tiles: true finds faces from {found} pixels ({found / height:.0%})")
    return "; ".join(parts)


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
