"""DeepEmoCluster's spectrogram is that of librosa, with the settings of the published code."""

import numpy as np
import pytest

from avpretext.sound.mel_power import MelPower


def chirp() -> np.ndarray:
    """Return 1.25 s with a rising tone, a high one from .5 s on, and a faint one, rounded to 16 bit."""
    time = np.arange(20_000) / 16_000
    tones = 0.3 * np.sin(2 * np.pi * (200 * time + 300 * time**2))
    tones += 0.1 * np.sin(2 * np.pi * 3000 * time) * (time > 0.5) + 0.02 * np.cos(2 * np.pi * 7000 * time)
    return np.round(tones.astype(np.float32) * 32768).astype(np.float32) / 32768


LIBROSA = {(0, 8): 40.793251, (0, 100): 1.0015743e-4, (10, 12): 171.88087, (31, 60): 1.4924142e-3}
LIBROSA |= {(70, 30): 2.7345843e-4, (78, 14): 0.061117224, (78, 121): 1.1922590e-3}
"""(frame, band): value of librosa 0.11.0, `melspectrogram(y=x / max(abs(x)), sr=16000, n_fft=512, hop_length=256,
n_mels=128, pad_mode="reflect")`, for `chirp`; 0.7, as published, reflects unasked."""


def test_values_are_those_of_librosa() -> None:
    power = MelPower().of(chirp())
    assert power.shape == (79, 128)
    assert power.dtype == np.float32
    for place, value in LIBROSA.items():
        assert power[place] == pytest.approx(value, rel=2e-4, abs=1e-8), place
    assert power.sum(dtype=np.float64) == pytest.approx(45233.848, rel=1e-5)


def test_loudness_does_not_matter_and_silence_is_zero() -> None:
    power = MelPower()
    assert power.of(chirp() / 8) == pytest.approx(power.of(chirp()), rel=1e-6)
    assert not power.of(np.zeros(16_000, np.float32)).any()
