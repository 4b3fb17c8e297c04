"""A voice to test with: sentences of espeak-ng at 16 kHz, in small noise, as a microphone has it."""

from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from avpretext.demo.voice import RATE_HZ, Delivery, speak
from avpretext.flow.schemas import SAMPLE_RATE_HZ

SENTENCES = (
    "It's eleven o'clock, and that is exactly what happened.",
    "I'm on my way to the meeting, maybe tomorrow it will be cold.",
    "I would like a new alarm clock, don't forget a jacket.",
)


@cache
def voice(sentence: int = 0, name: str = "en-us+m3", pitch: float = 50, noise: int = 0) -> NDArray[np.float32]:
    """Return a sentence, its loudest sample at .5; other noise makes it another take."""
    ratio = Fraction(SAMPLE_RATE_HZ, RATE_HZ)
    said = speak(SENTENCES[sentence], Delivery(name, pitch, pitch_range=50, words_per_minute=170)).samples
    sound = resample_poly(said, ratio.numerator, ratio.denominator)
    sound = 0.5 * sound / np.abs(sound).max()
    room = np.random.default_rng(noise).normal(0, 5e-4, len(sound))
    return np.asarray(sound + room, dtype=np.float32)
