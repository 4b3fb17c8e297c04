"""Which picture of a clip's file a row of another tool's table is of, and so when it was.

Tools count the pictures that they read, and know no times: OpenFace's are number / mean rate, py-feat has none. So the
times come from the file itself, by the numbers of the rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from avpretext.action_units.au_csv import NOT_USED, ROUNDING_S, Track
from avpretext.media.container import Pictures
from avpretext.media.stretches import Stretch

Floats = NDArray[np.float64]

RATE_TOLERANCE = 0.02
"""Frame rates that differ by no larger share count as one."""

LENGTH_TOLERANCE, LENGTH_TOLERANCE_S = 0.1, 0.5
"""Pictures that end earlier or later than their clip by more than this share, and this time, have another clock."""

UNTIMED = "have a file whose pictures cannot be timed (it is missing, or its clock jumps): their CSV is not used"
_OTHER_VIDEO = "so that it is of another video"
TOO_MANY = NOT_USED.format(f"with more rows than their video has pictures, {_OTHER_VIDEO}")
OTHER_RATE = NOT_USED.format(
    f"with another number of rows than their video has pictures, and times of another frame rate, {_OTHER_VIDEO}"
)
ROWS_LOST = "have a CSV without a row for some of their pictures, which are gaps"
SEVERAL_FACES = "show several faces: one is followed"


@dataclass(frozen=True)
class Matched:
    """A table on the clock of its clip.

    Attributes
    ----------
    time_s
        When the face was found, rising, shape (N,).
    values
        Shape (N, 20); see `Track`.
    step_s
        From one picture to the next.
    lost
        Whether pictures between one and the one before have no row, shape (N,).
    """

    time_s: Floats
    values: Floats
    step_s: float
    lost: NDArray[np.bool_] | None = None
    oddities: list[str] = field(default_factory=list)


def match(
    track: Track, read: Callable[[], Pictures | None], stretch: Stretch, clip_s: float, of_file: bool = False
) -> Matched:
    """Return when the rows of a table were; none of a table that cannot be of the clip, whose frames last `clip_s`.

    `read` gives the pictures of the clip's file, None where they cannot be told; it is not called for a table with a
    clock. `of_file`: the table is known to be that of the whole file; else it is if it has as many rows, or that of the
    stretch.
    """
    several = [SEVERAL_FACES] if track.faces > 1 else []
    if track.trouble:
        return _unused(track, track.trouble)
    if track.time_s is not None:
        since_s = stretch.start_s if of_file else 0.0
        return Matched(track.time_s - since_s, track.values, track.step_s, oddities=several)
    pictures = read()
    if pictures is None or (stretch.is_whole and _is_apart(pictures, clip_s)):
        return _unused(track, UNTIMED)
    of_file = of_file or stretch.is_whole or track.frames == len(pictures.time_s)
    shown = pictures.time_s if of_file else pictures.time_s[_within(pictures.time_s, stretch)]
    if track.frames > len(shown):
        return _unused(track, TOO_MANY)
    if track.frames != len(shown) and _is_of_another_rate(track, pictures):
        return _unused(track, OTHER_RATE)
    of_clip = np.arange(len(shown))[_within(shown, stretch)]
    told = [*several, *([ROWS_LOST] if len(np.setdiff1d(of_clip, track.looked_at)) else [])]
    return Matched(shown[track.frame] - stretch.start_s, track.values, pictures.step_s, _lost(track), told)


def _unused(track: Track, why: str) -> Matched:
    return Matched(np.empty(0), track.values[:0], float("nan"), oddities=[why])


def _lost(track: Track) -> NDArray[np.bool_]:
    """Tell where pictures without a row lie between one in which the face was found and the one before."""
    row = np.searchsorted(track.looked_at, track.frame)
    skipped = np.diff(track.frame, prepend=track.frame[:1]) - np.diff(row, prepend=row[:1])
    return np.asarray(skipped > 0)


def _is_apart(pictures: Pictures, clip_s: float) -> bool:
    """Tell whether the pictures end elsewhere than the clip that was decoded from them."""
    apart = abs(pictures.time_s[-1] - clip_s)
    return bool(apart > LENGTH_TOLERANCE_S and apart > LENGTH_TOLERANCE * clip_s)


def _within(time_s: Floats, stretch: Stretch) -> NDArray[np.bool_]:
    """Tell which pictures are in a stretch, to the rounding of its times."""
    if stretch.is_whole:
        return np.ones(len(time_s), bool)
    end_s = np.inf if stretch.end_s is None else stretch.end_s
    return np.asarray((time_s >= stretch.start_s - ROUNDING_S) & (time_s < end_s - ROUNDING_S))


def _is_of_another_rate(track: Track, pictures: Pictures) -> bool:
    """Tell whether the times of a table are made with none of the rates that the file could be taken to have."""
    rate_hz = track.rate_hz
    return rate_hz is not None and all(abs(rate_hz / known - 1) > RATE_TOLERANCE for known in pictures.rates_hz)
