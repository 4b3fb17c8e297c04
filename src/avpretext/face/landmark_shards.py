"""Landmark shards as arrays, clip by clip."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from avpretext import shards
from avpretext.errors import UserError
from avpretext.face.points import DLIB_POINTS, MEDIAPIPE_POINTS, dlib_points

BLENDSHAPE_COUNT = 52


@dataclass(frozen=True)
class ClipLandmarks:
    """The F frames of one clip; NaN where no face is found.

    Attributes
    ----------
    points
        Shape (F, 68, 3), in pixels, dlib's order.
    blendshapes
        Shape (F, 52), 0..1.
    chosen
        Shape (F, N, 3), in pixels: the points of MediaPipe that were asked for; N = 0 where none were.
    """

    clip_id: str
    frame: NDArray[np.int32]
    time_s: NDArray[np.float64]
    points: NDArray[np.float32]
    blendshapes: NDArray[np.float32]
    chosen: NDArray[np.float32]

    @property
    def keys(self) -> dict[str, Any]:
        """The columns clip_id, frame and time_s."""
        return {"clip_id": [self.clip_id] * len(self.frame), "frame": self.frame, "time_s": self.time_s}


def read_clips(path: Path, chosen: Sequence[int] | NDArray[np.integer] = ()) -> Iterator[ClipLandmarks]:
    """Yield the clips of a shard of `landmarks`, whichever set of points it holds.

    `chosen` are MediaPipe indices of further points that are wanted; it is an error if the shard holds dlib's 68 alone.
    """
    columns = ["frame", "time_s", "landmarks", "blendshapes"]
    lengths = shards.rows_per_clip(path)
    for clip_id, parts in groupby(shards.iterate_parts(path, columns), key=lambda part: part[0]):
        # Part by part into their place, so that of a long clip no more than the 68 points is held, and that once.
        clip = _empty(clip_id, lengths[clip_id], len(chosen))
        first = 0
        for _, rows in parts:
            last = first + rows.num_rows
            held: tuple[NDArray[Any], ...] = (clip.frame, clip.time_s, clip.points, clip.blendshapes, clip.chosen)
            for array, values in zip(held, _arrays(rows, chosen, path), strict=True):
                array[first:last] = values
            first = last
        yield clip


def blocks(frames: int, size: int) -> list[slice]:
    """Return the stretches of at most `size` frames that frames are worked on in; at least one.

    >>> blocks(5, 2), blocks(0, 2)
    ([slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)], [slice(0, 0, None)])
    """
    return [slice(first, min(first + size, frames)) for first in range(0, max(1, frames), size)]


def _empty(clip_id: str, frames: int, chosen: int) -> ClipLandmarks:
    return ClipLandmarks(
        clip_id,
        np.empty(frames, np.int32),
        np.empty(frames, np.float64),
        np.empty((frames, DLIB_POINTS, 3), np.float32),
        np.empty((frames, BLENDSHAPE_COUNT), np.float32),
        np.empty((frames, chosen, 3), np.float32),
    )


def _arrays(rows: pa.Table, chosen: Sequence[int] | NDArray[np.integer], path: Path) -> tuple[NDArray[Any], ...]:
    """Return frame, time_s, points, blendshapes and further points of some rows."""
    points = vectors(rows["landmarks"]).reshape(rows.num_rows, -1, 3)
    if len(chosen) and points.shape[1] != MEDIAPIPE_POINTS:
        raise UserError(
            f"{path}: holds {points.shape[1]} landmarks; lips, jaw and cheeks need all {MEDIAPIPE_POINTS}: set"
            " landmarks.points: all"
        )
    further = points[:, np.asarray(chosen, dtype=np.int64)]
    return (
        rows["frame"].to_numpy(),
        rows["time_s"].to_numpy(),
        dlib_points(points),
        vectors(rows["blendshapes"]),
        further,
    )


def frame_s(time_s: NDArray[np.floating]) -> float:
    """Return the time from one frame of a clip to the next; 0 for fewer than two."""
    return float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0


def evenly(items: int, most: int) -> NDArray[np.int64]:
    """Choose at most `most` items, evenly spaced.

    >>> evenly(3, 5), evenly(10, 3)
    (array([0, 1, 2]), array([0, 4, 9]))
    """
    if items <= most:
        return np.arange(items)
    return np.round(np.linspace(0, items - 1, most)).astype(np.int64)


def vectors(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """Return a column of equally long lists as a matrix; missing lists are NaN."""
    array = pa.concat_arrays(column.chunks)
    flat = array.values.to_numpy(zero_copy_only=False)
    size = array.type.list_size
    matrix = flat[array.offset * size :][: len(array) * size].reshape(len(array), size).astype(np.float32)
    matrix[array.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return np.asarray(matrix)


def lists(values: NDArray[np.float32]) -> pa.Array:
    """Return (F, N) as a column of lists, null where a value is missing."""
    missing = pa.array(~np.isfinite(values).all(axis=1))
    flat = pa.array(np.nan_to_num(values).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1], mask=missing)
