"""Where the clips of a recording are: windows, speech, one face. Pure functions on numbers, without input or output."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avpretext.config import SegmentOptions
from avpretext.face import geometry

BLOCK_S = 0.032
"""Step of the probabilities of speech: 512 samples at 16 kHz."""

_ROUNDING_S = 1e-6


def windows(duration_s: float, options: SegmentOptions) -> list[tuple[float, float]]:
    """Return (start, end) of windows one after another from 0, in seconds; a last one under `min_s` is left out.

    >>> windows(11.5, SegmentOptions(window_s=5.0, min_s=1.0))
    [(0.0, 5.0), (5.0, 10.0), (10.0, 11.5)]
    """
    starts = [number * options.window_s for number in range(math.ceil(duration_s / options.window_s))]
    found = [(start, min(start + options.window_s, duration_s)) for start in starts]
    return _long_enough(found, options.min_s)


def speech(probabilities: NDArray[np.float32], duration_s: float, options: SegmentOptions) -> list[tuple[float, float]]:
    """Return (start, end) in seconds of the stretches of speech, from probabilities (blocks,), 0..1, of each `BLOCK_S`.

    Blocks above `speech_probability` are speech; pauses shorter than `pause_s` are bridged; `margin_s` is kept on both
    sides, at most up to the middle of a pause; stretches over `max_s` are cut, and those under `min_s` are left out.
    The last block may reach beyond the end of the recording.
    """
    spoken = bridged(geometry.runs(probabilities > options.speech_probability), options.pause_s / BLOCK_S)
    wide = widened([(first * BLOCK_S, end * BLOCK_S) for first, end in spoken], duration_s, options.margin_s)
    pieces = [piece for stretch in wide for piece in cut(stretch, probabilities, options.max_s)]
    return _long_enough(pieces, options.min_s)


def bridged(spoken: Sequence[slice], pause: float) -> list[tuple[int, int]]:
    """Join runs that stand less than `pause` blocks apart; return (first, end) of each.

    >>> bridged([slice(0, 2), slice(3, 5), slice(9, 12)], pause=4)
    [(0, 5), (9, 12)]
    """
    joined: list[tuple[int, int]] = []
    for run in spoken:
        if joined and run.start - joined[-1][1] < pause:
            joined[-1] = (joined[-1][0], run.stop)
        else:
            joined.append((run.start, run.stop))
    return joined


def widened(stretches: Sequence[tuple[float, float]], duration_s: float, margin_s: float) -> list[tuple[float, float]]:
    """Add a margin before and after each stretch, within the recording and never beyond the middle of a pause.

    >>> widened([(1.0, 2.0), (2.5, 4.0)], duration_s=4.1, margin_s=0.5)
    [(0.5, 2.25), (2.25, 4.1)]
    """
    middles = [(one[1] + other[0]) / 2 for one, other in itertools.pairwise(stretches)]
    earliest, latest = [0.0, *middles], [*middles, duration_s]
    return [
        (max(start - margin_s, low), min(end + margin_s, high))
        for (start, end), low, high in zip(stretches, earliest, latest, strict=False)
    ]


def cut(stretch: tuple[float, float], probabilities: NDArray[np.float32], max_s: float) -> list[tuple[float, float]]:
    """Cut a stretch longer than `max_s` where it is quietest, and the pieces again until none is longer.

    The place is the middle of the block with the lowest probability of speech within the middle half of the stretch;
    of equals, the one nearest to the middle.
    """
    start, end = stretch
    if end - start <= max_s:
        return [stretch]
    quarter = (end - start) / 4
    first = min(math.ceil((start + quarter) / BLOCK_S), len(probabilities) - 1)
    candidates = np.arange(first, max(first + 1, math.floor((end - quarter) / BLOCK_S)))
    from_middle = np.abs((candidates + 0.5) * BLOCK_S - (start + end) / 2)
    quietest = float(candidates[np.lexsort((from_middle, probabilities[candidates]))[0]])
    place = min(max((quietest + 0.5) * BLOCK_S, start + quarter), end - quarter)
    return [*cut((start, place), probabilities, max_s), *cut((place, end), probabilities, max_s)]


def _long_enough(stretches: Sequence[tuple[float, float]], min_s: float) -> list[tuple[float, float]]:
    return [(start, end) for start, end in stretches if end - start >= min_s - _ROUNDING_S]


def one_face_share(faces: NDArray[np.int16], fps: float, stretch: tuple[float, float]) -> float:
    """Return in which share of the looked-at frames of a stretch, (start, end) in seconds, exactly one face is seen.

    `faces` (frames,) has the faces in the frame at k / fps seconds; frames after the last show none. A stretch shorter
    than a step is judged by the frame nearest to its middle.

    >>> one_face_share(np.array([1, 1, 2, 1], dtype=np.int16), 2.0, (0.0, 2.0))
    0.75
    """
    start, end = stretch
    numbers = np.arange(math.ceil(start * fps), math.ceil(end * fps))
    if not len(numbers):
        numbers = np.array([round((start + end) / 2 * fps)])
    seen = numbers[numbers < len(faces)]
    return float((faces[seen] == 1).sum() / len(numbers))
