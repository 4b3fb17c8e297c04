"""The level of speech where someone speaks: the active speech level of ITU-T P.56 (2011), method B."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from avpretext.chunks import SAMPLE_RATE_HZ

ENVELOPE_S = 0.03
"""Time constant of the envelope, two stages of it."""

HANGOVER_S = 0.2
"""A pause this short is speech."""

MARGIN_DB = 15.9
"""Speech is what is less than this below its own level."""

THRESHOLDS = 2.0 ** np.arange(-15, 0)
"""Levels of the envelope, 6 dB apart, between which the margin is found."""


def active_level_db(signal: NDArray[np.floating]) -> float:
    """Return the level of the active part of speech (N,) at 16 kHz, in dB of full scale; minus infinity of silence.

    The part is active where the envelope exceeds a threshold, and 0.2 s longer; of the thresholds, the one 15.9 dB
    below the level of its part holds, interpolated.
    """
    energy = float(np.square(signal, dtype=np.float64).sum())
    if energy == 0:
        return -np.inf
    keep = np.exp(-1 / (SAMPLE_RATE_HZ * ENVELOPE_S))
    envelope = lfilter([(1 - keep) ** 2], [1, -2 * keep, keep**2], np.abs(signal).astype(np.float64))
    active = np.array([_active_samples(envelope >= threshold) for threshold in THRESHOLDS])
    reached = active > 0
    if not reached.any():  # below 16 bit's last digit
        return 10 * float(np.log10(energy / len(signal)))
    levels = 10 * np.log10(energy / active[reached])
    below = levels - 20 * np.log10(THRESHOLDS[reached])  # falls as the threshold rises
    return float(np.interp(-MARGIN_DB, -below, levels))


def _active_samples(above: NDArray[np.bool_]) -> int:
    """Count samples that are above, or follow one within the hangover."""
    places = np.arange(len(above))
    last = np.maximum.accumulate(np.where(above, places, -len(above) - SAMPLE_RATE_HZ))
    return int((places - last <= HANGOVER_S * SAMPLE_RATE_HZ).sum())
