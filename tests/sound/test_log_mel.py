"""The log-mel spectrogram stands where the grid says and has the values of its formula."""

from pathlib import Path

import numpy as np
import pytest

from avpretext import shards
from avpretext.config import LogMelOptions, SpeechOptions
from avpretext.errors import UserError
from avpretext.flow import schemas
from avpretext.sound import log_mel, speech
from avpretext.sound.log_mel import FLOOR, hann, mel_filters, to_hz, to_mel

from .test_speech import RATE, noise, shard, tone

OPTIONS = LogMelOptions()


def spectrogram(signal: np.ndarray, options: LogMelOptions = OPTIONS) -> np.ndarray:
    return log_mel.log_mel(signal.astype(np.float32), hann(options.window_s), mel_filters(options))


def run(folder: Path, clips: dict[str, np.ndarray], threads: int = 1) -> Path:
    audio = shard(folder / "it" / "split" / "audio" / "0000.parquet", clips)
    output = folder / "it" / "log_mel" / "0000.parquet"
    log_mel.run(audio, OPTIONS, output, threads)
    return output


def test_the_mel_scale_is_linear_to_1_khz_and_logarithmic_above():
    frequencies = np.array([0, 100, 200, 999, 1000, 6400, 8000])
    # 1000 * 6.4 is 27 mel above 1000; 8000 is 27 ln 8 / ln 6.4 above
    expected = [0, 1.5, 3, 14.985, 15, 42, 15 + 27 * np.log(8) / np.log(6.4)]
    assert to_mel(frequencies) == pytest.approx(expected)
    assert to_hz(to_mel(frequencies)) == pytest.approx(frequencies)


def test_filters_below_1_khz_are_the_triangles_worked_out_by_hand():
    filters = mel_filters(LogMelOptions(bands=8, low_hz=0, high_hz=900, window_s=0.064))
    frequency = np.arange(513) * 15.625
    assert filters.shape == (8, 513)
    for band in range(8):  # edges 0, 100, ..., 900 Hz; a triangle of base 200 Hz and area 1 is 0.01 high
        expected = np.maximum(0, 1 - np.abs(frequency - 100 * (band + 1)) / 100) * 0.01
        assert filters[band] == pytest.approx(expected, abs=1e-8)


def test_filters_above_1_khz_widen_by_the_same_factor():
    filters = mel_filters(LogMelOptions(bands=8, low_hz=1000, high_hz=6400, window_s=0.064))
    edges = 1000 * 6.4 ** (np.arange(10) / 9)
    frequency = np.arange(513) * 15.625
    for band, row in enumerate(filters):
        low, peak, high = edges[band : band + 3]
        expected = np.interp(frequency, [low, peak, high], [0, 2 / (high - low), 0])
        assert row == pytest.approx(expected, abs=1e-8)


def test_a_tone_has_the_power_that_the_formula_gives():
    signal = 0.5 * np.cos(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    # Hann, W = 512: the transform at 1000 Hz, frequency 32, is amplitude * W / 4, at its neighbours half of that
    spectrum = np.zeros(257)
    spectrum[31:34] = [32, 64, 32]
    expected = mel_filters(OPTIONS) @ spectrum**2
    power = np.exp(spectrogram(signal)[5:-5].astype(np.float64)) - FLOOR
    assert power[:, expected > 0] == pytest.approx(np.tile(expected[expected > 0], (90, 1)), rel=1e-4)
    assert power[:, expected == 0] == pytest.approx(0, abs=1e-7)


def test_a_click_is_weighed_by_the_window_of_each_frame():
    signal = np.zeros(RATE)
    signal[160 * 40] = 0.25
    values = spectrogram(signal)
    for frame in range(35, 46):
        from_centre = 160 * (40 - frame)
        weight = np.cos(np.pi * from_centre / 512) ** 2 if abs(from_centre) < 256 else 0
        expected = np.log(FLOOR + mel_filters(OPTIONS).sum(1) * (0.25 * weight) ** 2)
        assert values[frame] == pytest.approx(expected, abs=1e-3)


def test_both_ends_are_mirrored():
    signal = np.random.default_rng(0).normal(size=1600)
    again = spectrogram(np.concatenate([signal[:480][::-1], signal, signal[-480:][::-1]]))
    assert spectrogram(signal) == pytest.approx(again[3:13], abs=1e-4)


def test_silence_is_the_logarithm_of_the_floor_and_every_clip_has_its_frames():
    for samples in (0, 1, 159, 160, 700, 16_000, 16_159):
        values = spectrogram(np.zeros(samples))
        assert values.shape == (max(1, samples // 160), 64)
        assert values.dtype == np.float32
        assert values == pytest.approx(np.log(FLOOR))


def test_the_floor_is_below_the_rounding_of_16_bit_audio():
    rounding = np.random.default_rng(0).uniform(-0.5, 0.5, 10 * RATE) / 32768
    power = np.exp(spectrogram(rounding).astype(np.float64)).mean(0) - FLOOR
    assert 0.15 < FLOOR / power.mean() < 0.25


def test_a_long_clip_in_pieces_is_the_same_as_in_one(monkeypatch):
    signal = noise(5 * RATE)
    whole = spectrogram(signal)
    monkeypatch.setattr("avpretext.sound.log_mel.PIECE_FRAMES", 33)
    assert spectrogram(signal) == pytest.approx(whole, abs=1e-4)


def test_rows_are_those_of_speech(tmp_path):
    clips = {"a": noise(16_100), "b": tone(120, 0.5), "short": noise(100)}
    output = run(tmp_path, clips)
    audio = tmp_path / "it" / "split" / "audio" / "0000.parquet"
    speech.run(audio, SpeechOptions(), tmp_path / "speech.parquet", tmp_path / "rejects.parquet")
    keys = ["clip_id", "frame", "time_s"]
    assert shards.read(output, keys).equals(shards.read(tmp_path / "speech.parquet", keys))
    assert shards.columns_of(output) == [*keys, *(f"mel[{band}]" for band in range(64))]
    assert shards.read_provenance(output)["floor"] == FLOOR


def test_audio_that_cannot_be_read_back_is_left_out(tmp_path):
    audio = tmp_path / "it" / "split" / "audio" / "0000.parquet"
    rows = shards.read(shard(audio, {"a": noise(8000), "b": noise(8000)})).to_dicts()
    rows[0]["audio"]["bytes"] = b"no sound"
    shards.write_table(audio, rows, schemas.AUDIO, {})
    log_mel.run(audio, OPTIONS, tmp_path / "out.parquet")
    assert set(shards.read(tmp_path / "out.parquet")["clip_id"]) == {"b"}


def test_the_bytes_are_the_same_over_runs_and_threads(tmp_path):
    clips = {str(number): noise(8000 + 100 * number, number) for number in range(6)}
    contents = [run(tmp_path / name, clips, threads).read_bytes() for name, threads in [("a", 1), ("b", 3), ("c", 1)]]
    assert len(set(contents)) == 1


def test_bands_without_a_frequency_and_ends_in_the_wrong_order_are_refused():
    with pytest.raises(UserError, match=r"bands = 256: \d+ of them lie between.*longer log_mel.window_s"):
        mel_filters(LogMelOptions(bands=256))
    with pytest.raises(UserError, match=r"high_hz = 100: must be above log_mel.low_hz, which is 200"):
        mel_filters(LogMelOptions(low_hz=200, high_hz=100))
    assert mel_filters(LogMelOptions(bands=128)).any(1).all()
