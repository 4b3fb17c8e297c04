"""Phone intervals of a clip: what every backend of `phones` gives, and how they come to cover the clip."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from avpretext.orofacial.visemes import SILENCE

SHORTEST_S = 1e-6
"""Shorter intervals and gaps are rounding."""


class Interval(NamedTuple):
    """A phone (of `visemes.PHONES`), from when to when in seconds, and how well it fits, 0..1; None: not known."""

    start_s: float
    end_s: float
    phone: str
    confidence: float | None = None


def covering(intervals: Iterable[Interval], duration_s: float) -> list[Interval]:
    """Return intervals that follow each other without gap from 0 to the end of the clip.

    Gaps become silence, silences that touch become one, what lies outside of the clip is cut off, and of two that
    overlap the later one yields.

    >>> covering([Interval(0.1, 0.2, "P"), Interval(0.15, 0.3, "AA"), Interval(0.3, 0.5, "SIL")], 0.4)
    ... # doctest: +NORMALIZE_WHITESPACE
    [Interval(start_s=0.0, end_s=0.1, phone='SIL', confidence=None),
     Interval(start_s=0.1, end_s=0.2, phone='P', confidence=None),
     Interval(start_s=0.2, end_s=0.3, phone='AA', confidence=None),
     Interval(start_s=0.3, end_s=0.4, phone='SIL', confidence=None)]
    """
    covered: list[Interval] = []
    at = 0.0
    for interval in sorted(intervals, key=lambda one: (one.start_s, one.end_s)):
        start, end = max(at, interval.start_s), min(duration_s, interval.end_s)
        if end - start <= SHORTEST_S:
            continue
        if start - at > SHORTEST_S:
            _append(covered, Interval(at, start, SILENCE))
        else:
            start = at
        _append(covered, interval._replace(start_s=start, end_s=end))
        at = end
    if duration_s - at > SHORTEST_S:
        _append(covered, Interval(at, duration_s, SILENCE))
    elif covered:
        covered[-1] = covered[-1]._replace(end_s=duration_s)
    return covered


def _append(covered: list[Interval], interval: Interval) -> None:
    """Append an interval, or lengthen the silence before it."""
    if covered and interval.phone == covered[-1].phone == SILENCE:
        covered[-1] = covered[-1]._replace(end_s=interval.end_s)
    else:
        covered.append(interval)


def clip_confidence(intervals: Sequence[Interval]) -> float | None:
    """Return how well the phones of a clip fit, 0..1: the geometric mean over their time; None where it is not known.

    >>> round(clip_confidence([Interval(0, 1, "SIL", 0.9), Interval(1, 2, "P", 0.1), Interval(2, 3, "AA", 0.4)]), 3)
    0.2
    """
    known = [
        (one.end_s - one.start_s, one.confidence)
        for one in intervals
        if one.phone != SILENCE and one.confidence is not None
    ]
    if not known:
        return None
    lengths, values = np.array(known).T
    return float(np.exp((lengths * np.log(np.maximum(values, 1e-9))).sum() / lengths.sum()))
