"""Trimming: what is kept of a clip with silence around its speech, by hand."""

import numpy as np
import pytest

from avpretext.media.trim import Span, speech_span

RATE = 16_000


def clip(silence_s: float, speech_s: float, after_s: float, noise: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    parts = [np.zeros(round(silence_s * RATE)), 8000 * np.sign(rng.normal(size=round(speech_s * RATE)))]
    signal = np.concatenate([*parts, np.zeros(round(after_s * RATE))])
    return (signal + noise * rng.normal(size=len(signal))).astype(np.int16)


@pytest.mark.parametrize("noise", [0.0, 20.0])  # 52 dB below the speech
def test_speech_is_kept_with_a_tenth_of_a_second_around_it(noise: float) -> None:
    span = speech_span(clip(1.0, 2.0, 0.6, noise), 35.0, 25.0, 0.3)
    # .9 s is in frame 22 (.88 s); the last loud window ends within 32 ms after 3.0 s, 100 ms later: frame 79 at most.
    assert span.first in (21, 22)
    assert span.start == span.first * 640
    assert 3.1 * RATE <= span.stop <= 3.2 * RATE
    assert span.stop == span.last * 640


def test_frames_and_samples_start_at_the_same_instant_on_any_grid() -> None:
    for fps in (10.0, 24.0, 29.97, 50.0):
        span = speech_span(clip(1.234, 1.0, 0.777), 35.0, fps, 0.3)
        assert abs(span.start - span.first * RATE / fps) <= 0.5
        assert 0 < span.first <= (1.234 - 0.1 + 0.01) * fps


def test_noise_within_the_threshold_keeps_everything() -> None:
    signal = clip(1.0, 2.0, 0.6, 400.0)  # 26 dB below the speech
    assert speech_span(signal, 35.0, 25.0, 0.3) == Span(0, len(signal), 0, 90)


@pytest.mark.parametrize("signal", [np.zeros(RATE, np.int16), np.zeros(0, np.int16), np.ones(100, np.int16)])
def test_silence_nothing_and_too_little_are_left_as_they_are(signal: np.ndarray) -> None:
    span = speech_span(signal, 35.0, 25.0, 0.3)
    assert (span.start, span.stop, span.first) == (0, len(signal), 0)


def test_a_click_alone_is_no_clip() -> None:
    signal = np.zeros(2 * RATE, np.int16)
    signal[RATE] = 10_000
    assert speech_span(signal, 35.0, 25.0, 0.5) == Span(0, 2 * RATE, 0, 50), "less than .5 s would be left"
