"""How fast the face moves, the head's own motion removed.

Each frame is laid over one upright head by the points that move with the skull (see `geometry`); what still moves is
expression and speech. The speed of a region is the mean over its points of the distance moved since the frame before,
in distances between the outer eye corners per second. Gaps stay gaps: a frame without a face, and the first frame after
one, have no speed.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import MotionOptions
from avpretext.face import geometry
from avpretext.face.landmark_shards import ClipLandmarks, blocks, read_clips
from avpretext.face.points import REGIONS
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.writing import label_of, write_shard


def run(landmarks: Path, options: MotionOptions, output: Path) -> None:
    """Measure the speed of each region in every frame of a shard."""
    made_by = provenance("motion", options.model_dump(mode="json"))
    measured = (_columns(clip, options.smooth_s) for clip in read_clips(landmarks))
    label, total = label_of("motion", output), len(shards.rows_per_clip(landmarks))
    write_shard(label, output, schema_of("motion"), made_by, measured, total)


def _columns(clip: ClipLandmarks, smooth_s: float) -> dict[str, Any]:
    speeds = region_speeds(clip.points, clip.frame, clip.time_s, smooth_s)
    return clip.keys | {f"speed_{name}": shards.nullable(speed) for name, speed in speeds.items()}


def region_speeds(
    points: NDArray[np.floating], frame: NDArray[np.integer], time_s: NDArray[np.floating], smooth_s: float = 0.0
) -> dict[str, NDArray[np.float64]]:
    """Speed of each region of the face, head motion removed.

    Parameters
    ----------
    points
        Shape (F, 68, 3), in pixels, dlib's order; NaN where no face is found.
    frame, time_s
        Shape (F,): a jump in the number is a gap.
    smooth_s
        Landmarks are first averaged over this window; it never reaches over a gap.

    Returns
    -------
    Region to shape (F,), in distances between the outer eye corners per second; NaN in gaps and right after them.
    """
    size = geometry.usual_size(points)
    follows = np.diff(frame, prepend=frame[:1] - 2) == 1
    step_s = np.diff(time_s, prepend=np.nan)
    width = _window(time_s, smooth_s)
    speeds = {name: np.full(len(frame), np.nan) for name in REGIONS}
    for block in blocks(len(frame), geometry.BLOCK):
        # A frame's speed depends on those within the window around it and the frame before.
        around = slice(max(0, block.start - width // 2 - 1), min(len(frame), block.stop + width // 2))
        here = slice(block.start - around.start, block.stop - around.start)
        moved = _moved(geometry.upright(points[around]) / size, follows[around], width)[here]
        for name, members in REGIONS.items():
            speeds[name][block] = moved[:, members].mean(axis=1) / step_s[block]
    return speeds


def _moved(aligned: NDArray[np.float64], follows: NDArray[np.bool_], width: int) -> NDArray[np.float64]:
    """Return how far each point moved since the frame before, (F, 68); NaN in gaps, after them, and at first."""
    follows = follows.copy()
    follows[:1] = False
    stretches = np.split(aligned, np.flatnonzero(~follows)[1:])
    smoothed = np.concatenate([geometry.smooth(stretch, width) for stretch in stretches])
    moved = np.asarray(np.linalg.norm(np.diff(smoothed, axis=0, prepend=np.nan), axis=-1))
    moved[~follows] = np.nan
    return moved


def _window(time_s: NDArray[np.floating], smooth_s: float) -> int:
    """Return the odd number of frames nearest to `smooth_s`, at least 1."""
    if len(time_s) < 2 or smooth_s <= 0:
        return 1
    half = smooth_s / float(np.median(np.diff(time_s))) / 2
    return 2 * int(half) + 1
