"""What is done to the numbers of a sound: its slow part is taken away, its rate changed; in 64 bit.

The sums are plain loops of scipy, with the same result on every x86-64 processor.
"""

import itertools
import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, firwin, sosfilt, sosfilt_zi, upfirdn

from avpretext.chunks import SAMPLE_RATE_HZ

Floats = NDArray[np.float64]
Samples = NDArray[np.int16]

CUTOFF_HZ = 20.0
"""Of the high-pass, a Butterworth filter of order 2: an offset and its drift go, a voice of 75 Hz loses 0.02 dB."""

OPENING_S = 0.1
"""The mean of so much sound at the start is its offset there."""

_LOBES = 16
_PASSED = 0.97
_KAISER_BETA = 9.0
"""Of the low-pass before a change of rate: length, edge and window are those of ffmpeg's resampler."""


class HighPass:
    """Takes away what is slower than `CUTOFF_HZ`, an offset among it; sound is given to it piece by piece.

    The filter is causal: it moves sound of 80 Hz by less than 1 ms, faster sound by less.
    """

    def __init__(self, rate_hz: int, opening: Floats) -> None:
        """Start as if the offset of this sound's first `OPENING_S` had been there for ever: it makes no click."""
        heard = opening[: round(OPENING_S * rate_hz)]
        offset = heard.mean() if len(heard) else 0.0
        self._sections = butter(2, CUTOFF_HZ, "highpass", fs=rate_hz, output="sos")
        self._state = sosfilt_zi(self._sections) * offset

    def __call__(self, samples: Floats) -> Floats:
        """Return the next samples, filtered."""
        filtered, self._state = sosfilt(self._sections, samples, zi=self._state)
        return np.asarray(filtered)


def to_16_bit(samples: NDArray[np.floating]) -> Samples:
    """Return samples of full scale 1 as 16 bit integers: 32767 / 32768 at most.

    >>> to_16_bit(np.array([0.5, 1.0, -1.5]))
    array([ 16384,  32767, -32768], dtype=int16)
    """
    whole: Samples = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    return whole


def resampled(blocks: Iterable[Floats], rate_hz: int) -> Iterator[Floats]:
    """Yield sound at 16 kHz: sample k stands at k / 16000 s, as sample 0 of the input stands at 0.

    So what starts at a whole second of a sound gets the very samples that the whole sound gets there.
    """
    if rate_hz == SAMPLE_RATE_HZ:
        yield from blocks
        return
    common = math.gcd(rate_hz, SAMPLE_RATE_HZ)
    up, down = SAMPLE_RATE_HZ // common, rate_hz // common
    half = -(-_LOBES * max(up, down) // down) * down
    low_pass = up * firwin(2 * half + 1, _PASSED / max(up, down), window=("kaiser", _KAISER_BETA))
    around = -(-half // (up * down)) * down  # as many samples before and after a sample count, in whole steps of `down`
    skipped = (around * up + half) // down
    held, taken, given = np.zeros(around), 0, 0
    for block in itertools.chain(blocks, (None,)):
        taken += 0 if block is None else len(block)
        held = np.concatenate([held, np.zeros(down + around) if block is None else block])
        ready = (len(held) - 2 * around) // down
        # Few large steps: each costs as much as is around it.
        if ready > 0 and (block is None or ready * down >= rate_hz):
            found = upfirdn(low_pass, held[: ready * down + 2 * around], up, down)[skipped : skipped + ready * up]
            held = held[ready * down :]
            yield found if block is not None else found[: round(taken * up / down) - given]
            given += len(found)
