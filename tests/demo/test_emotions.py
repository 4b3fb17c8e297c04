"""The demo's emotions: faces show their prototypes, mouths follow the phonemes, voices and faces go together."""

import numpy as np
import pytest

from avpretext.demo import emotions
from avpretext.demo.muscles import ACTION_UNITS, MOVEMENTS
from avpretext.demo.voice import Phoneme

FPS = 25.0


def mean_expression(emotion: str, clips: int = 30) -> dict[str, float]:
    """Mean intensity of each action unit over some clips."""
    total = dict.fromkeys(ACTION_UNITS, 0.0)
    for clip in range(clips):
        rng = np.random.default_rng(clip)
        tracks = emotions.draw_expression(emotion, 1.0, np.zeros(50, np.float32), FPS, 0.1, rng)
        for name, track in tracks.items():
            total[name] += float(track.mean()) / clips
    return total


@pytest.mark.parametrize("emotion", emotions.EMOTIONS)
def test_the_face_shows_the_units_of_its_prototype(emotion: str) -> None:
    shown, usual = mean_expression(emotion), emotions.PROTOTYPES[emotion]
    assert all(shown[name] > 0.4 * usual[name] for name in usual if name != "AU43")
    assert all(shown[name] < 0.15 for name in ACTION_UNITS if name not in usual and name != "AU43")


def test_intensities_stay_between_nothing_and_all() -> None:
    rng = np.random.default_rng(1)
    emphasis = emotions.smooth_noise(80, FPS, 1.2, rng)
    tracks = emotions.draw_expression("FEA", 1.2, emphasis, FPS, 0.4, rng)
    moves = emotions.combine(tracks, np.ones(80, np.float32), np.ones(80, np.float32), 1.2)
    assert moves.shape == (80, len(MOVEMENTS))
    assert moves.min() >= 0
    assert moves.max() <= 1


def test_the_mouth_opens_on_vowels_and_shuts_on_m() -> None:
    phonemes = (Phoneme(0.2, 0.5, "ˈɑː"), Phoneme(0.5, 0.7, "m"), Phoneme(0.7, 1.0, "uː"))
    openness, roundness = emotions.articulate(phonemes, 30, FPS)
    vowel, hum, rounded, silence = 9, 15, 21, 28
    assert openness[vowel] > 0.9
    assert openness[hum] < 0.1
    assert openness[silence] == 0
    assert roundness[rounded] > 0.8
    assert roundness[vowel] < 0.1


def test_facial_strength_goes_with_vocal_arousal_as_told() -> None:
    rng = np.random.default_rng(3)
    arousal = rng.standard_normal(4000)
    gains = [emotions.facial_gain(value, 0.6, rng) for value in arousal]
    assert np.corrcoef(arousal, gains)[0, 1] == pytest.approx(0.6, abs=0.05)


def test_noise_is_as_slow_and_as_large_as_told() -> None:
    noise = np.concatenate([emotions.smooth_noise(500, FPS, 1.0, np.random.default_rng(seed)) for seed in range(8)])
    assert noise.std() == pytest.approx(1, abs=0.1)
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / FPS)
    assert power[hertz > 2].sum() < 0.01 * power.sum()


def test_no_overlap_means_every_clip_of_an_emotion_is_said_alike() -> None:
    said = {emotions.draw_prosody("SAD", 0.7, 0.0, np.random.default_rng(seed)) for seed in range(3)}
    assert said == {emotions.PROSODY["SAD"]}
