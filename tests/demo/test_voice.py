"""The demo's voice: the same words give the same sound, and phonemes lie where they are heard."""

import numpy as np
import pytest

from avpretext.corpora.readers.crema_d import SENTENCES
from avpretext.demo import voice
from avpretext.demo.corpus import EVERYDAY
from avpretext.demo.speakers import draw_speaker

LOW = voice.Delivery("en-us+m3", 40, 50, 175)
HIGH = voice.Delivery("en+f2", 75, 90, 220)


def pitch_hz(samples: np.ndarray) -> float:
    """Median pitch by the autocorrelation of 40 ms windows that are loud."""
    size, found = int(0.04 * voice.RATE_HZ), []
    for start in range(0, len(samples) - size, size):
        window = samples[start : start + size]
        if np.sqrt(np.mean(window**2)) < 0.05:
            continue
        echo = np.correlate(window, window, "full")[size - 1 :]
        lags = slice(int(voice.RATE_HZ / 400), int(voice.RATE_HZ / 70))
        found.append(voice.RATE_HZ / (lags.start + int(np.argmax(echo[lags]))))
    return float(np.median(found))


def test_same_words_give_the_same_samples_whatever_was_said_before() -> None:
    first = voice.speak("Don't forget a jacket.", LOW)
    voice.speak("I think I've seen this before!", HIGH)
    voice.speak("It's eleven o'clock.", voice.Delivery("en-us+klatt2", 40, 30, 150))
    again = voice.speak("Don't forget a jacket.", LOW)
    np.testing.assert_array_equal(first.samples, again.samples)
    assert first.phonemes == again.phonemes


def test_phonemes_follow_one_another_within_the_sound() -> None:
    for text in (*SENTENCES.values(), EVERYDAY[0]):
        spoken = voice.speak(text, LOW)
        duration = len(spoken.samples) / voice.RATE_HZ
        starts = [phoneme.start_s for phoneme in spoken.phonemes]
        assert len(starts) >= 8
        assert starts == sorted(starts)
        assert all(phoneme.start_s < phoneme.end_s <= duration for phoneme in spoken.phonemes)
        heard = sum(phoneme.end_s - phoneme.start_s for phoneme in spoken.phonemes)
        assert 0.7 * duration < heard <= duration


def test_stop_consonants_are_quieter_than_vowels() -> None:
    spoken = voice.speak("The baby is asleep upstairs.", LOW)
    level = voice.envelope(spoken.samples)
    loudness = {"i": [], "p": []}
    for phoneme in spoken.phonemes:
        for letter, values in loudness.items():
            if letter in phoneme.name:
                values.append(level[int(phoneme.start_s * voice.RATE_HZ) : int(phoneme.end_s * voice.RATE_HZ)].mean())
    assert np.mean(loudness["i"]) > 2 * np.mean(loudness["p"])


def test_pitch_and_rate_do_what_they_say() -> None:
    text = "The airplane is almost full."
    usual = voice.speak(text, LOW)
    higher = voice.speak(text, voice.Delivery("en-us+m3", 80, 50, 175))
    faster = voice.speak(text, voice.Delivery("en-us+m3", 40, 50, 250))
    assert pitch_hz(higher.samples) > 1.2 * pitch_hz(usual.samples)
    assert len(faster.samples) < 0.85 * len(usual.samples)


def test_every_speaker_has_a_voice_of_their_own() -> None:
    speakers = [draw_speaker(number, str(number), seed=1) for number in range(26)]
    sounds = {voice.speak("Hello.", voice.Delivery(s.delivery.voice, 50, 50, 175)).samples.tobytes() for s in speakers}
    assert len(sounds) == 26


def test_an_unknown_voice_is_named() -> None:
    with pytest.raises(ValueError, match="xx-nowhere"):
        voice.speak("Hello.", voice.Delivery("xx-nowhere", 50, 50, 175))


def test_level_and_tilt_in_decibels() -> None:
    time = np.arange(voice.RATE_HZ) / voice.RATE_HZ
    tones = (0.1 * np.sin(2 * np.pi * 500 * time) + 0.1 * np.sin(2 * np.pi * 2000 * time)).astype(np.float32)
    levelled = voice.set_level(tones, -20)
    assert 20 * np.log10(np.sqrt(np.mean(levelled.astype(float) ** 2))) == pytest.approx(-20, abs=0.01)
    spectrum = np.abs(np.fft.rfft(voice.tilt(tones, 3.0)))
    assert 20 * np.log10(spectrum[2000] / spectrum[500]) == pytest.approx(6, abs=0.2)
