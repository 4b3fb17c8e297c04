from pathlib import Path

import numpy as np
import pytest

from avpretext import shards
from avpretext.config import ChunkOptions, EnergyLabelOptions
from avpretext.flow import schemas
from avpretext.labels import energy


def test_energy_is_counted_in_decibels_with_a_floor_for_silence() -> None:
    np.testing.assert_allclose(energy.decibels(np.array([1.0, 0.5, 0.01, 0.0]), -60), [0, -6.0206, -40, -60], atol=1e-4)


def test_deviation_and_mean_are_over_the_chunk() -> None:
    track = np.array([-10.0, -30, -20, -20])
    starts, ends = np.array([0, 2]), np.array([2, 4])
    np.testing.assert_allclose(energy.chunk_energy(track, starts, ends, "deviation"), [10, 0])
    np.testing.assert_allclose(energy.chunk_energy(track, starts, ends, "mean"), [-20, -20])


def speech_shard(path: Path, clips: dict[str, np.ndarray]) -> Path:
    rows = [
        {"clip_id": clip_id, "frame": k, "time_s": k * 0.01, "energy": float(value), "loudness": 0.0}
        for clip_id, track in clips.items()
        for k, value in enumerate(track)
    ]
    shards.write_table(path, rows, schemas.speech([]), {})
    return path


def index_shard(path: Path, speakers: dict[str, str | None]) -> Path:
    empty = dict.fromkeys(("path", "label", "sentence", "level", "size_bytes"))
    shards.write_table(path, [{"clip_id": c, "speaker": s, **empty} for c, s in speakers.items()], schemas.INDEX, {})
    return path


def test_chunks_of_varied_energy_are_high(tmp_path: Path) -> None:
    steady, varied = np.full(200, 0.1), np.where(np.arange(200) // 10 % 2, 0.1, 0.001)
    speech = speech_shard(tmp_path / "speech.parquet", {"a": steady, "b": varied})
    index = index_shard(tmp_path / "index.parquet", {"a": "s1", "b": "s2"})
    output = tmp_path / "all.parquet"
    energy.run([speech], [index], EnergyLabelOptions(), ChunkOptions(length_s=1.0, count=3), output)
    found = shards.read(output)
    assert found["clip_id"].to_list() == ["a"] * 3 + ["b"] * 3
    assert found["chunk"].to_list() == [0, 1, 2] * 2
    assert found["start_s"].to_list() == [0, 0.5, 1.0] * 2
    assert found["end_s"].to_list() == [1.0, 1.5, 2.0] * 2
    assert found["label"].to_list() == [0, 0, 0, 1, 1, 1]
    assert found["value"].to_list() == pytest.approx([0, 0, 0, 20, 20, 20], abs=1e-6)


def test_the_threshold_may_be_the_speakers_own(tmp_path: Path) -> None:
    clips = {"a1": np.r_[np.full(50, 0.1), np.full(50, 0.05)], "a2": np.full(100, 0.1)}
    clips |= {"b1": np.r_[np.full(50, 0.5), np.full(50, 0.001)], "b2": np.r_[np.full(50, 0.5), np.full(50, 0.01)]}
    speech = speech_shard(tmp_path / "speech.parquet", clips)
    index = index_shard(tmp_path / "index.parquet", {"a1": "a", "a2": "a", "b1": "b", "b2": "b"})
    output = tmp_path / "all.parquet"
    chunks = ChunkOptions(length_s=1.0, count=1)
    energy.run([speech], [index], EnergyLabelOptions(scope="speaker"), chunks, output)
    assert shards.read(output)["label"].to_list() == [1, 0, 1, 0]
    energy.run([speech], [index], EnergyLabelOptions(scope="corpus"), chunks, output)
    assert shards.read(output)["label"].to_list() == [0, 0, 1, 1]


def test_the_balance_is_told_and_a_nearly_empty_class_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speech = speech_shard(tmp_path / "speech.parquet", {"a": np.full(100, 0.1)})
    index = index_shard(tmp_path / "index.parquet", {"a": None})
    energy.run([speech], [index], EnergyLabelOptions(), ChunkOptions(count=4), tmp_path / "all.parquet")
    told = capsys.readouterr().err
    assert "labels_energy: high 0 (0.0%), low 4 (100.0%), dead zone 0 (0.0%), not measured 0 (0.0%)" in told
    assert "warning: the class 'high' is nearly empty" in told
