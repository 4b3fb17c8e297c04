"""A constant offset (DC), or one that drifts, changes nothing that is measured of the sound."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from tests.predict.conftest import MakeModel, make_model, speechlike  # noqa: F401

import avpretext
from avpretext.config import LogMelOptions, MediaOptions, SpeechOptions
from avpretext.labels.energy import chunk_energy, decibels
from avpretext.media.decode import Decoded, decode
from avpretext.media.filters import HighPass
from avpretext.media.stretches import WHOLE, Stretch
from avpretext.media.trim import speech_span
from avpretext.sound.live import LiveFeatures, parts

FLOOR_DB = -60.0
SECONDS = 6.0


def spoken(rate: int) -> NDArray[np.float64]:
    """Return speech with pauses of which only noise is left."""
    time = np.arange(round(SECONDS * rate)) / rate
    loud = np.clip(1.5 - 3 * np.cos(2 * np.pi * time / 1.5), 0, 1)
    noise = np.random.default_rng(2).normal(size=len(time))
    return loud * speechlike(SECONDS, rate=rate) + 0.002 * noise


def kept(file: Path, ffmpeg: str, stretch: Stretch = WHOLE) -> NDArray[np.int16]:
    clip = decode(file, ffmpeg, MediaOptions(), False, file.parent, stretch)
    assert isinstance(clip, Decoded), clip
    samples: NDArray[np.int16] = soundfile.read(io.BytesIO(clip.flac), dtype="int16")[0]
    return samples


def energy_db(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return what task 1 reads: the energy of each 10 ms."""
    features = LiveFeatures(SpeechOptions(), None, ["energy"])
    try:
        return decibels(np.concatenate([features.of(part) for part in parts([samples])])[:, 0], FLOOR_DB)
    finally:
        features.close()


def deviations(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    starts = np.arange(0, len(energy) - 100, 50)
    return chunk_energy(energy, starts, starts + 100, "deviation")


OFFSETS = {
    "small": lambda time: 0.01 + 0 * time,
    "3 %": lambda time: 0.03 + 0 * time,
    "below": lambda time: -0.1 + 0 * time,
    "large": lambda time: 0.4 + 0 * time,
    "drifts": lambda time: 0.1 * np.sin(2 * np.pi * 0.3 * time),
}


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize(("name", "rate", "subtype"), [
    ("a.wav", 16_000, "PCM_16"), ("a.flac", 48_000, "PCM_24"), ("a.wav", 44_100, "FLOAT"),
])  # fmt: skip
def test_an_offset_changes_no_energy_and_no_label(
    tmp_path: Path, ffmpeg: str, name: str, rate: int, subtype: str, offset: str
) -> None:
    clean = spoken(rate)
    added = clean + OFFSETS[offset](np.arange(len(clean)) / rate)
    assert np.abs(added).max() < 1, "nothing is clipped"
    measured = []
    for folder, sound in (("clean", clean), ("offset", added)):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / name, sound, rate, subtype)
        measured.append(energy_db(kept(tmp_path / folder / name, ffmpeg)))
    without, with_it = measured
    assert without.min() < -50 < -25 < without.max()
    # A drift is not known at the start, of which only the mean is taken.
    settled = 10 if offset == "drifts" else 0
    assert with_it[settled:] == pytest.approx(without[settled:], abs=0.1), "dB"
    values, others = deviations(without), deviations(with_it)
    sure = np.abs(values - np.median(values)) > 0.1
    assert np.array_equal((others > np.median(values))[sure], (values > np.median(values))[sure])


def test_clean_speech_is_as_it_was(tmp_path: Path, ffmpeg: str) -> None:
    clean = spoken(16_000)
    soundfile.write(tmp_path / "a.wav", clean, 16_000, "PCM_16")
    samples = kept(tmp_path / "a.wav", ffmpeg)
    as_written = np.rint(clean * 32768).astype(np.int16)
    # Low voices come half a millisecond early: where loudness rises or falls fast, that is a part of a dB.
    difference = np.abs(energy_db(samples) - energy_db(as_written))
    assert (difference.max() < 1, np.median(difference) < 0.05) == (True, True)
    assert deviations(energy_db(samples)) == pytest.approx(deviations(energy_db(as_written)), abs=0.1)
    assert speech_span(samples, 35.0, 25.0, 0.3) == speech_span(as_written, 35.0, 25.0, 0.3)


def test_a_stretch_of_a_file_with_an_offset_is_that_part_of_the_whole(tmp_path: Path, ffmpeg: str) -> None:
    soundfile.write(tmp_path / "a.flac", spoken(44_100) + 0.3, 44_100)
    whole, part = (kept(tmp_path / "a.flac", ffmpeg, stretch) for stretch in (WHOLE, Stretch(2.3, 5.1)))
    assert np.array_equal(part, whole[36_800:81_600])


def test_predict_says_the_same_with_an_offset(make_model: MakeModel, tmp_path: Path) -> None:  # noqa: F811
    clean = spoken(16_000)
    for name, sound in (("clean", clean), ("offset", clean + 0.4)):
        soundfile.write(tmp_path / f"{name}.wav", sound, 16_000, "FLOAT")
    model = avpretext.load(make_model(log_mel=LogMelOptions(bands=16)))
    said = [model.predict(tmp_path / f"{name}.wav", min_speech=0) for name in ("clean", "offset")]
    assert said[0].label == said[1].label
    assert list(said[0].by_name().values()) == pytest.approx(list(said[1].by_name().values()), abs=0.01)


def test_the_high_pass_is_what_it_is_said_to_be() -> None:
    """20 Hz is 3 dB down, 75 Hz whole, and sound of 80 Hz and above comes less than 1 ms early."""
    rate = 16_000
    time = np.arange(4 * rate) / rate

    def gain_db_and_early_s(hz: float) -> tuple[float, float]:
        wave = np.exp(2j * np.pi * hz * time)
        passed = HighPass(rate, wave.real)(wave.real)[-rate:] @ wave.conj()[-rate:] / (rate / 2)
        return 20 * np.log10(abs(passed)), float(np.angle(passed)) / (2 * np.pi * hz)

    assert gain_db_and_early_s(20)[0] == pytest.approx(-3.0, abs=0.1)
    assert gain_db_and_early_s(75)[0] == pytest.approx(-0.02, abs=0.01)
    assert 0 < gain_db_and_early_s(80)[1] < 0.001
    steps = [HighPass(rate, np.ones(rate))(np.ones(rate)), HighPass(rate, np.zeros(rate))(np.zeros(rate))]
    assert np.abs(steps).max() < 1e-9
