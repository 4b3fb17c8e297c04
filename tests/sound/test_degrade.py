"""Degraded clips are as their names tell: SNR, band, codec, reverberation; the same bytes however they are made."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import welch

from avpretext import shards
from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.config_file import parse
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.options.conditions import FORMS, Condition
from avpretext.sound import degradations, degrade
from avpretext.sound.audio_shards import FULL_SCALE, decode, read_clips
from avpretext.sound.speech_level import HANGOVER_S, active_level_db


def drawn() -> np.random.Generator:
    return np.random.default_rng([1, 2])


def talk(pause_s: float = 1.0, level: float = 0.05) -> np.ndarray:
    """Return half a second of noise, a pause, and another half."""
    burst = drawn().normal(scale=level, size=SAMPLE_RATE_HZ // 2)
    burst *= level / np.sqrt(np.mean(burst**2))
    return np.concatenate([burst, np.zeros(round(pause_s * SAMPLE_RATE_HZ)), burst]).astype(np.float32)


def heard(signal: np.ndarray, name: str, seed: int = 1) -> np.ndarray:
    return degradations.degraded(signal, Condition.of(name), np.random.default_rng(seed))


def spectrum_db(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    hertz, power = welch(signal, SAMPLE_RATE_HZ, nperseg=2048)
    return hertz, 10 * np.log10(power + 1e-20)


def test_the_active_level_is_that_of_the_talk_without_its_pauses() -> None:
    """Of a second of noise at -26 dB, with or without a pause longer than the hangover, which counts as talk."""
    bursts = 20 * np.log10(0.05)
    hangover = 10 * np.log10(1 + 2 * HANGOVER_S)  # after each of two bursts of half a second, cut off at the end
    assert active_level_db(talk(pause_s=0.0)) == pytest.approx(bursts, abs=0.2)  # the envelope rises first
    assert active_level_db(talk(pause_s=3.0)) == pytest.approx(bursts - hangover / 2, abs=0.4)
    assert active_level_db(talk(3.0)) - active_level_db(talk(3.0) / 10) == pytest.approx(20, abs=0.3)
    assert active_level_db(np.zeros(100, np.float32)) == -np.inf


@pytest.mark.parametrize(("snr_db", "level"), [(20, 0.05), (10, 0.002), (0, 0.05), (-5, 0.3)])
def test_noise_is_so_many_db_below_the_active_level_of_speech(snr_db: int, level: float) -> None:
    clean = talk(level=level)
    noisy = heard(clean, f"noise{snr_db}").astype(np.float64)
    pink = degradations.pink_noise(len(clean), np.random.default_rng(1))
    # What of the result is the clip, and what noise, also where all of it was made quieter.
    (speech, noise), *_ = np.linalg.lstsq(np.stack([clean.astype(np.float64), pink], 1), noisy, rcond=None)
    found = active_level_db(clean * speech) - 10 * np.log10(np.mean(np.square(noise * pink)))
    assert found == pytest.approx(snr_db, abs=0.1)
    assert np.abs(noisy).max() <= FULL_SCALE + 1e-6
    assert noisy == pytest.approx(clean * speech + pink * noise, abs=1e-6)


def test_noise_falls_by_3_db_per_octave_and_lasts() -> None:
    noise = degradations.pink_noise(60 * SAMPLE_RATE_HZ, drawn())
    hertz, power = spectrum_db(noise)
    levels = [power[(hertz > middle * 0.9) & (hertz < middle * 1.1)].mean() for middle in (250, 500, 1000, 2000, 4000)]
    assert np.diff(levels) == pytest.approx([-3.01] * 4, abs=0.3)
    seconds = 10 * np.log10(np.square(noise).reshape(60, -1).mean(1))
    assert np.std(seconds) < 1.5
    assert not heard(np.zeros(1000, np.float32), "noise0").any(), "none beside silence"


def test_a_telephone_has_its_band() -> None:
    white = drawn().normal(scale=0.05, size=10 * SAMPLE_RATE_HZ).astype(np.float32)
    hertz, power = spectrum_db(heard(white, "telephone"))
    change = power - spectrum_db(white)[1]
    assert np.abs(change[(hertz > 400) & (hertz < 3300)]).max() < 1.0
    assert change[(hertz > 20) & (hertz < 200)].max() < -25
    assert change[(hertz > 3600) & (hertz < 3900)].max() < -25
    assert change[hertz > 4300].max() < -45, "nothing above the half of 8 kHz"
    assert len(heard(white[:1001], "telephone")) == 1001


@pytest.mark.parametrize("name", ["mp3_32", "opus_12"])
def test_a_codec_keeps_length_and_place_and_little_above_what_its_bits_allow(name: str) -> None:
    clean = np.convolve(talk(pause_s=0.3), np.ones(8) / 8, mode="same").astype(np.float32)
    coded = heard(clean, name)
    assert len(coded) == len(clean)
    shifts = range(-300, 301)
    fits = [float(np.dot(np.roll(clean, shift), coded)) for shift in shifts]
    assert abs(shifts[int(np.argmax(fits))]) <= 1
    assert 0.3 < np.corrcoef(clean, coded)[0, 1] < 0.9999, "something is lost"
    assert heard(clean, name).tobytes() == coded.tobytes()


@pytest.mark.parametrize("milliseconds", [300, 800])
def test_a_room_decays_in_its_time_and_is_as_loud_as_the_direct_sound(milliseconds: int) -> None:
    """The time is found by Schroeder's backward integration, from -5 to -35 dB of the reverberation."""
    response = degradations.room_response(milliseconds / 1000, drawn())
    assert 10 * np.log10(response[0] ** 2 / np.square(response[1:]).sum()) == pytest.approx(0, abs=1e-9)
    decay = 10 * np.log10(np.cumsum(np.square(response[1:])[::-1])[::-1])
    places = np.flatnonzero((decay <= decay[0] - 5) & (decay >= decay[0] - 35))
    slope = np.polyfit(places / SAMPLE_RATE_HZ, decay[places], 1)[0]
    assert -60 / slope == pytest.approx(milliseconds / 1000, rel=0.06)
    click = np.zeros(SAMPLE_RATE_HZ, np.float32)
    click[100] = 0.5
    ringing = heard(click, f"room{milliseconds}")
    assert np.abs(ringing[:100]).max() < 1e-9
    assert ringing[100] == pytest.approx(0.5, abs=1e-4)
    assert len(ringing) == len(click)


def flac(signal: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, signal, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def shard(path: Path, clips: dict[str, bytes]) -> Path:
    known = {"speaker": "s", "label": "a", "duration_s": 2.0, "samples": 2 * SAMPLE_RATE_HZ, "content": "x"}
    rows = [{**known, "clip_id": name, "audio": {"bytes": content, "path": name}} for name, content in clips.items()]
    shards.write_table(path, rows, schema_of("split.audio"), provenance("split", {}))
    return path


def test_a_clip_is_the_same_in_any_shard_for_any_number_of_threads_and_what_cannot_be_read_is_left_out(
    tmp_path: Path,
) -> None:
    clips = {"a": flac(talk()), "b": b"broken", "c": flac(talk())}
    together = shard(tmp_path / "in.parquet", clips)
    for name, threads in (("one", 1), ("two", 2)):
        degrade.run(together, "noise10", 1, tmp_path / f"{name}.parquet", threads)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    found = {clip.clip_id: decode(clip) for clip in read_clips(tmp_path / "one.parquet")}
    assert list(found) == ["a", "c"]
    assert not np.array_equal(found["a"], found["c"])
    degrade.run(shard(tmp_path / "c.parquet", {"c": clips["c"]}), "noise10", 1, tmp_path / "alone.parquet")
    [alone] = map(decode, read_clips(tmp_path / "alone.parquet"))
    assert np.array_equal(alone, found["c"])
    degrade.run(together, "noise10", 2, tmp_path / "seed.parquet")
    assert not np.array_equal(decode(next(read_clips(tmp_path / "seed.parquet"))), found["a"])


def test_names_are_read_and_others_refused_with_what_is_expected() -> None:
    assert [Condition.of(form.example).kind for form in FORMS.values()] == list(FORMS)
    corpora = {"corpora": {"it": {"path": ".", "use": []}}}
    for name, expected in {
        "nois10": r"evaluate\.conditions\.0 = 'nois10': expected one such as .*; did you mean 'noise10'\?",
        "noise": "a number after noise: -20 to 60",
        "mp3_33": "a number after mp3_: one of 8, 16, 24",
        "telephone8": "expected one such as noise10, telephone",
    }.items():
        with pytest.raises(UserError, match=expected):
            parse({**corpora, "evaluate": {"conditions": [name]}})
