"""Functionals are openSMILE's own, one vector per clip; what has none is left out and told of."""

import io
from pathlib import Path

import numpy as np
import opensmile
import pytest
import soundfile

from avpretext import shards
from avpretext.config import FunctionalOptions
from avpretext.flow import schemas
from avpretext.sound import functionals

RATE = 16_000


def tone(frequency_hz: float, seconds: float) -> np.ndarray:
    """Return a tone with harmonics, as a voice has them, and a little noise."""
    time_s = np.arange(int(seconds * RATE)) / RATE
    harmonics = [np.sin(2 * np.pi * order * frequency_hz * time_s) / order for order in range(1, 15)]
    return 0.1 * np.sum(harmonics, axis=0) + np.random.default_rng(1).normal(0, 0.002, len(time_s))


def run(folder: Path, clips: dict[str, np.ndarray | bytes], feature_set: str = "eGeMAPSv02", threads: int = 1) -> Path:
    """Write an audio shard of these signals, and its functionals."""
    rows = []
    for clip_id, signal in clips.items():
        encoded = io.BytesIO(signal if isinstance(signal, bytes) else b"")
        if not isinstance(signal, bytes):
            soundfile.write(encoded, signal, RATE, "PCM_16", format="FLAC")
        rows.append({"clip_id": clip_id, "audio": {"bytes": encoded.getvalue(), "path": f"{clip_id}.flac"}})
    audio = folder / "it" / "split" / "audio" / "0000.parquet"
    shards.write_table(audio, rows, schemas.AUDIO, {})
    output = folder / "it" / "functionals" / "0000.parquet"
    functionals.run(audio, FunctionalOptions.model_validate({"feature_set": feature_set}), output, threads)
    return output


@pytest.mark.parametrize(("feature_set", "count"), [("ComParE_2016", 6373), ("eGeMAPSv02", 88)])
def test_values_are_opensmiles_own_under_its_names(tmp_path: Path, feature_set: str, count: int) -> None:
    path = run(tmp_path, {"low": tone(110, 0.8), "high": tone(220, 0.6)}, feature_set)
    table, names = shards.read(path), shards.read_provenance(path)["names"]
    expected = opensmile.Smile(feature_set, opensmile.FeatureLevel.Functionals)
    assert names == list(expected.feature_names)
    assert len(names) == count
    assert table["clip_id"].to_list() == ["low", "high"]
    for values, signal in zip(table["values"].to_list(), (tone(110, 0.8), tone(220, 0.6)), strict=True):
        stored = np.round(signal * 32768) / 32768  # as 16 bit audio holds it
        assert values == pytest.approx(expected.process_signal(stored, RATE).to_numpy()[0].tolist(), rel=1e-3, abs=1e-3)


def test_pitch_is_that_of_the_tone(tmp_path: Path) -> None:
    path = run(tmp_path, {"low": tone(110, 1.0), "high": tone(220, 1.0)})
    place = shards.read_provenance(path)["names"].index("F0semitoneFrom27.5Hz_sma3nz_amean")
    low, high = (values[place] for values in shards.read(path)["values"].to_list())
    assert low == pytest.approx(24, abs=0.3)  # two octaves above 27.5 Hz
    assert high == pytest.approx(36, abs=0.3)


def test_full_scale_does_not_wrap_round(tmp_path: Path) -> None:
    smile = opensmile.Smile("eGeMAPSv02", opensmile.FeatureLevel.Functionals)
    square = np.sign(np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE) + 0.01).astype(np.float32)
    place = smile.feature_names.index("loudness_sma3_amean")
    loud, nearly = (functionals.functionals(signal, smile)[place] for signal in (square, square * np.float32(0.999)))
    assert loud == pytest.approx(nearly, rel=0.01)


def test_clips_without_functionals_are_left_out_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run(tmp_path, {"a": tone(150, 0.5), "b": tone(150, 0.05), "c": b"no sound", "d": tone(90, 0.5)})
    assert shards.read(path)["clip_id"].to_list() == ["a", "d"]
    said = capsys.readouterr().err
    assert "1 clips are too short for functionals and left out: b" in said
    assert "1 clips cannot be read back and are left out; redo the stage split: c" in said
    assert "functionals it/0000: 4/4 clips" in said


def test_undefined_values_are_zero_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_holes(signal: np.ndarray, smile: opensmile.Smile) -> np.ndarray:
        return np.array([1, np.nan, np.inf] + [2] * 85, np.float32)

    monkeypatch.setattr(functionals, "functionals", with_holes)
    path = run(tmp_path, {"a": tone(150, 0.1), "b": tone(150, 0.1)})
    assert shards.read(path)["values"].to_list()[1][:4] == [1, 0, 0, 2]
    assert "4 values that openSMILE does not define are 0" in capsys.readouterr().err


def test_the_bytes_are_the_same_over_runs_and_threads(tmp_path: Path) -> None:
    clips = {str(number): tone(100 + 10 * number, 0.4) for number in range(6)}
    contents = [run(tmp_path / str(threads), clips, threads=threads).read_bytes() for threads in (1, 3)]
    assert contents[0] == contents[1]


def test_an_empty_shard_is_written_empty(tmp_path: Path) -> None:
    assert shards.count_rows(run(tmp_path, {})) == 0
