"""Probabilities of speech: the same however the sound comes in pieces, high for speech and low for other sound."""

import numpy as np
import pytest

from avpretext.media.voice_activity import BLOCK_SAMPLES, VoiceActivity, model_file

from .voices import voice


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """A sentence, faint noise of two seconds, another sentence."""
    noise = np.random.default_rng(1).normal(0, 30, 32_000).astype(np.int16)
    one, other = ((voice(number) * 32767).astype(np.int16) for number in (0, 1))
    return np.concatenate([one, noise, other])


def test_pieces_make_no_difference_a_rest_is_filled_up_and_speech_is_found(sound):
    whole = VoiceActivity().probabilities(sound)
    assert len(whole) == -(-len(sound) // BLOCK_SAMPLES)
    assert (whole > 0.9).sum() > 50
    assert (whole < 0.1).sum() > 10
    for size in (7, 100):
        hearing, step = VoiceActivity(), size * BLOCK_SAMPLES
        pieces = [hearing.probabilities(sound[place : place + step]) for place in range(0, len(sound), step)]
        assert np.array_equal(np.concatenate(pieces), whole)
    assert not len(VoiceActivity().probabilities(sound[:0]))


@pytest.mark.parametrize("kind", ["silence", "noise", "tone"])
def test_what_is_no_speech_is_not_taken_for_it(kind):
    times = np.arange(5 * 16_000) / 16_000
    noise = np.random.default_rng(1).normal(0, 3000, len(times))
    heard = {"silence": 0 * times, "noise": noise, "tone": 9000 * np.sin(2 * np.pi * 440 * times)}[kind]
    assert (VoiceActivity().probabilities(heard.astype(np.int16)) > 0.5).mean() < 0.02


def test_the_weights_are_those_that_the_provenance_names():
    assert model_file().is_file()
