"""Stage `speed`: a corpus played faster or slower, so that models hear more speakers than there are.

Speed changes tempo, pitch and formants alike, as if another, smaller or larger person spoke (Ko et al., "Audio
augmentation for speech recognition", Interspeech 2015). The copy is a corpus like any other, `{corpus}@{speed}`, of
which features are computed; only training clips are heard so.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.flow.provenance import provenance
from avpretext.sound.audio_shards import below_full_scale
from avpretext.sound.copies import write_copy

BLOCK = 60 * SAMPLE_RATE_HZ
"""Samples that are resampled at a time: a minute, so that the length of a clip hardly changes the memory."""


def run(audio: Path, speed: float, output: Path, threads: int = 1) -> None:
    """Play the clips of one shard at another speed.

    Parameters
    ----------
    speed
        Above 1 is faster and higher; it is rounded to a fraction of whole numbers up to 100.
    output
        `split.audio`: clips of 1/speed times the length. A clip that cannot be read back is left out; the stage
        `speech` refuses it.
    """
    made_by = provenance("speed", {"speed": speed})
    write_copy(f"speed {speed:g}", audio, output, made_by, lambda _, clip: play(_blocks(clip), speed), threads)


def _blocks(clip: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    while len(block := clip.read(BLOCK, dtype="float32")):
        yield block


def play(blocks: Iterable[NDArray[np.float32]], speed: float) -> Iterator[NDArray[np.float32]]:
    """Yield a signal of N samples, given in blocks, at another speed: ceil(N / speed) samples, without aliases.

    Each sample is the same, to the bit, however the signal is cut into blocks: a block is resampled with as much of its
    neighbours as the filter reaches, from a place that falls on a sample of the result.

    >>> [len(part) for part in play([np.zeros(12000, np.float32)], 1.2)]
    [9985, 15]
    >>> sum(len(part) for part in play([np.zeros(6000, np.float32)] * 2, 0.8))
    15000
    """
    ratio = 1 / Fraction(speed).limit_denominator(100)
    up, down = ratio.numerator, ratio.denominator
    # scipy's filter reaches 10 * max(up, down) samples of the signal with `up` times as many.
    reach = (10 * max(up, down) // (up * down) + 1) * down
    before, waiting = 0, np.zeros(0, np.float32)
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        ready = max(0, len(waiting) - before - reach) // down * down
        if ready:
            yield _resampled(waiting, up, down, before, before + ready)
            kept = max(0, before + ready - reach)
            before, waiting = before + ready - kept, waiting[kept:]
    yield _resampled(waiting, up, down, before, None)


def _resampled(signal: NDArray[np.float32], up: int, down: int, start: int, stop: int | None) -> NDArray[np.float32]:
    """Return what becomes of the samples from `start` to before `stop`, multiples of `down`, of a stretch of signal."""
    played: NDArray[np.float32] = resample_poly(signal, up, down)
    part = played[start * up // down : None if stop is None else stop * up // down]
    return below_full_scale(np.maximum(part, np.float32(-1)))
