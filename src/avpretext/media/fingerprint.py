"""An acoustic fingerprint: equal for copies of a recording, however they are coded, and for them alone.

It is that of Haitsma & Kalker ("A highly robust audio fingerprinting system", ISMIR 2002) for speech of a second: 24
bits every 16 ms, each telling whether the difference between two neighbouring bands of 300 to 3,400 Hz rises or falls
over 64 ms. Level, codec, container and sampling rate leave most bits as they are; another take of the same sentence by
the same person shares no more than chance. Frames far below the loudest have none: a codec changes them at will.
"""

import io
from functools import cache

import numpy as np
import scipy.fft
import soundfile
from numpy.typing import NDArray

from avpretext.chunks import SAMPLE_RATE_HZ

HOP, WINDOW = 256, 2048
"""In samples: 16 ms and 128 ms."""

BITS = 24
LAG = 4
"""Frames over which bands rise or fall."""

BANDS_HZ = (300.0, 3400.0)
"""What telephones pass too."""

LOUD_DB = -30.0
"""Below the loudest frame; quieter frames are 0."""

_BLOCK_FRAMES = 2048
_FLOOR = 1e-3
_TAPER = np.asarray(np.hanning(WINDOW), dtype=np.float32)

Words = NDArray[np.uint32]


def fingerprint_of(flac: bytes) -> Words:
    """Return the fingerprint of 16 kHz mono sound; see `fingerprint`."""
    with soundfile.SoundFile(io.BytesIO(flac)) as file:
        powers, kept = [], np.zeros(0, np.float32)
        while len(block := file.read(_BLOCK_FRAMES * HOP, dtype="float32")):
            sound = np.concatenate([kept, block])
            powers.append(band_power(sound))
            kept = sound[len(powers[-1]) * HOP :]
    return fingerprint(np.concatenate([np.zeros((0, BITS + 1), np.float32), *powers]))


def band_power(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the power in each band: shape (samples,) to (frames, bands), of whole windows."""
    if len(sound) < WINDOW:
        return np.zeros((0, BITS + 1), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(sound * np.float32(32768), WINDOW)[::HOP]
    spectrum = scipy.fft.rfft(windows * _TAPER, axis=1)[:, : len(_bands())]
    power: NDArray[np.float32] = (np.square(spectrum.real) + np.square(spectrum.imag)) @ _bands()
    return power


@cache
def _bands() -> NDArray[np.float32]:
    """Return how much of each bin of the spectrum lies in each band: shape (bins up to the last band, bands)."""
    edges = np.geomspace(*BANDS_HZ, BITS + 2) * WINDOW / SAMPLE_RATE_HZ
    bins = np.arange(round(edges[-1]) + 1)[:, None]
    shares = np.minimum(bins + 0.5, edges[1:]) - np.maximum(bins - 0.5, edges[:-1])
    return np.asarray(np.clip(shares, 0, None), dtype=np.float32)


def fingerprint(power: NDArray[np.float32]) -> Words:
    """Return a word of 24 bits for each frame of power (frames, bands), 0 where it is too quiet."""
    if len(power) <= LAG:
        return np.zeros(0, np.uint32)
    levels = np.log(power + np.float32(_FLOOR))
    slopes = levels[:, :-1] - levels[:, 1:]
    bits = slopes[LAG:] > slopes[:-LAG]
    words: Words = (bits.astype(np.uint32) << np.arange(BITS, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)
    energy = power[LAG:].sum(axis=1)
    return np.where(energy > energy.max() * 10 ** (LOUD_DB / 10), words, np.uint32(0))
