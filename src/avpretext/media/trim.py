"""Silence before and after the speech of a clip: where it ends and begins."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avpretext.chunks import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

WINDOW = 512
"""Samples whose power is looked at: 32 ms, two periods of the lowest voice."""

MARGIN_S = 0.1
"""Kept before and after: a breath, a plosive's closure, the end of a fricative."""


class Span(NamedTuple):
    """What is kept: samples `start` to `stop`, video frames `first` to `last`; the ends are exclusive."""

    start: int
    stop: int
    first: int
    last: int


def speech_span(signal: NDArray[np.int16], below_db: float, fps: float, least_s: float) -> Span:
    """Return the stretch of (samples,) from the first to the last loud sound, with a margin, on the video grid.

    A window of 32 ms is loud if its power is at most `below_db` below that of the loudest. The stretch starts with a
    video frame, so that frame k of what is kept and its sample k * 16000 / fps are the same instant. If less than
    `least_s` would be kept, all is.
    """
    power = _power(signal)
    loud = np.flatnonzero(power >= power.max(initial=0.0) * 10 ** (-below_db / 10))
    margin = round(MARGIN_S * SAMPLE_RATE_HZ)
    begin = max(0, int(loud[0]) * SAMPLES_PER_FRAME - margin) if len(loud) else 0
    end = min(len(signal), int(loud[-1]) * SAMPLES_PER_FRAME + WINDOW + margin) if len(loud) else len(signal)
    first, last = int(begin * fps // SAMPLE_RATE_HZ), -int(-end * fps // SAMPLE_RATE_HZ)
    start, stop = (min(len(signal), round(frame * SAMPLE_RATE_HZ / fps)) for frame in (first, last))
    if stop - start < least_s * SAMPLE_RATE_HZ:
        return Span(0, len(signal), 0, -int(-len(signal) * fps // SAMPLE_RATE_HZ))
    return Span(start, stop, first, last)


def _power(signal: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the power of each window, one every 10 ms."""
    sums = np.concatenate([[0.0], np.cumsum(np.square(signal, dtype=np.float64))])
    starts = np.arange(max(1, -(-len(signal) // SAMPLES_PER_FRAME))) * SAMPLES_PER_FRAME
    power: NDArray[np.float64] = sums[np.minimum(starts + WINDOW, len(signal))] - sums[np.minimum(starts, len(signal))]
    return power
