"""Statistics of frame features are those of their formulas, on steps worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from avpretext import shards
from avpretext.config import LogMelOptions, SpeechOptions, StatisticsOptions
from avpretext.errors import UserError
from avpretext.sound import log_mel, speech, statistics

from .test_speech import RATE, noise, shard

OPTIONS = StatisticsOptions()


def features_of(folder: Path, clips: dict[str, np.ndarray]) -> dict[str, Path]:
    """Return the shards of speech and log_mel of these clips."""
    audio = shard(folder / "it" / "split" / "audio" / "0000.parquet", clips)
    outputs = {name: folder / "it" / name / "0000.parquet" for name in ("speech", "log_mel")}
    speech.run(audio, SpeechOptions(), outputs["speech"], folder / "rejects.parquet")
    log_mel.run(audio, LogMelOptions(), outputs["log_mel"])
    return outputs


def test_statistics_are_those_worked_out_by_hand() -> None:
    values = np.array([[0, 1], [2, 1], [6, 1], [4, 1]], np.float32)  # changes of the first: 2, 4, -2
    found = statistics.statistics(values).reshape(7, 2)
    assert found[:, 0] == pytest.approx([3, np.sqrt(5), 0.6, 3, 5.4, np.sqrt(24 / 3 - (4 / 3) ** 2), 8 / 3])
    assert found[:, 1].tolist() == [1, 0, 1, 1, 1, 0, 0]


def test_a_step_is_the_mean_of_its_frames_and_a_short_clip_is_one_step() -> None:
    values = np.array([[1], [3], [5], [9], [100]], np.float32)
    assert statistics.in_steps(values, 2).tolist() == [[2], [7]], "what is left over is no step"
    assert statistics.in_steps(values[:1], 2).tolist() == [[1]]
    assert statistics.statistics(values[:1]).tolist() == [1, 0, 1, 1, 1, 0, 0]


def test_a_clip_is_described_by_its_features_in_the_order_of_the_names(tmp_path: Path) -> None:
    clips = {"loud": noise(RATE), "soft": 0.01 * noise(2 * RATE)}
    files = features_of(tmp_path, clips)
    output = tmp_path / "it" / "statistics" / "0000.parquet"
    statistics.run(files, OPTIONS, output)
    names = shards.read_provenance(output)["names"]
    found = {row["clip_id"]: dict(zip(names, row["values"], strict=True)) for row in shards.read(output).to_dicts()}
    assert len(names) == len(set(names)) == 7 * (len(shards.columns_of(files["speech"])) - 3 + 64) + 1
    assert found["soft"]["ln_duration"] == pytest.approx(np.log(2.0), abs=1e-6)
    rows = shards.read(files["log_mel"], ["clip_id", "mel[7]"]).filter(clip_id="soft")["mel[7]"].to_numpy()
    steps = rows[: len(rows) // 2 * 2].reshape(-1, 2).mean(1)
    assert found["soft"]["mel[7]:p90"] == pytest.approx(np.percentile(steps, 90), abs=1e-4)
    assert found["soft"]["mel[7]:change_size"] == pytest.approx(np.abs(np.diff(steps)).mean(), abs=1e-4)
    assert found["loud"]["mel[7]:mean"] - found["soft"]["mel[7]:mean"] == pytest.approx(np.log(1e4), abs=0.5)
    assert found["loud"]["energy:mean"] > 50 * found["soft"]["energy:mean"]


def test_features_alone_are_described_alone(tmp_path: Path) -> None:
    files = features_of(tmp_path, {"one": noise(RATE // 2)})
    output = tmp_path / "it" / "statistics" / "0000.parquet"
    statistics.run(files, StatisticsOptions(features=["log_mel"], step_frames=1), output)
    assert len(shards.read(output)["values"][0]) == 7 * 64 + 1


def test_features_of_other_clips_are_told(tmp_path: Path) -> None:
    files = features_of(tmp_path / "a", {"one": noise(RATE // 2), "two": noise(RATE // 2)})
    missing = features_of(tmp_path / "c", {"one": noise(RATE // 2)})
    others = features_of(tmp_path / "b", {"one": noise(RATE // 2), "two": noise(RATE * 3 // 4)})
    for wrong in (others, missing):
        mixed = {"speech": files["speech"], "log_mel": wrong["log_mel"]}
        with pytest.raises(UserError, match=r"are not those of .*; redo the stages speech and log_mel"):
            statistics.run(mixed, OPTIONS, tmp_path / "out.parquet")
