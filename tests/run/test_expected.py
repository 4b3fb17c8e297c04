"""Expected times of jobs, from rates and the clips of a corpus."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from avpretext import corpora
from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.run import expected
from avpretext.run.expected import Expected


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of 2 s for each of two speakers, and one that is no sound."""
    folder = tmp_path_factory.mktemp("corpus")
    for speaker in ("anna", "ben"):
        (folder / speaker).mkdir()
        for clip in range(3):
            soundfile.write(folder / speaker / f"{clip}.wav", np.zeros(32_000, np.float32), 16_000)
    return folder


def of(folder: Path, **more: object) -> tuple[Expected, Config]:
    entry = {"path": str(folder), "reader": "folder", "use": ["pretrain"], "video": False, "shards": 2}
    config = parse({"corpora": {"c": entry, "d": {**entry, "use": ["finetune"], "targets": ["acted"]}}, **more})
    return Expected(config, lambda name: corpora.scan(config.corpora[name])), config


def test_a_stage_takes_its_rate_for_the_recordings_of_its_shard(folder: Path) -> None:
    rates, _ = of(folder)
    of_shard = rates.seconds("speech", {"corpus": "c", "shard": "0000"})
    assert of_shard == pytest.approx(expected.START_S + expected.MEDIA_S["speech"] * 12 / 2)
    of_copy = rates.seconds("speech", {"corpus": "c@0.84", "shard": "0000"})
    assert of_copy == of_shard
    of_corpus = rates.seconds("labels_energy", {"corpus": "c"})
    assert of_corpus == pytest.approx(expected.START_S + expected.MEDIA_S["labels_energy"] * 12)


def test_trainings_count_their_clips_epochs_and_runs(folder: Path) -> None:
    rates, config = of(folder, pretrain={"epochs": 10, "seeds": 2}, finetune={"epochs": 5, "seeds": 4, "speeds": [0.9]})
    pretrain = rates.seconds("pretrain", {"tasks": "energy"})
    assert pretrain == pytest.approx(expected.TRAINING_START_S + expected.EPOCH_S["pretrain"] * 6 * 10 * 2)
    for tasks, times in {"activation-emotion": 1, "energy-emotion": 2, "energy-activation-emotion": 2}.items():
        more = rates.seconds("pretrain", {"tasks": tasks})
        assert more == pytest.approx(expected.TRAINING_START_S + times * (pretrain - expected.TRAINING_START_S))
    finetune = rates.seconds("finetune", {"corpus": "d"})
    assert finetune == pytest.approx(expected.TRAINING_START_S + expected.EPOCH_S["finetune"] * 12 * 4 * 5 * 4)
    folds, costs = config.corpora["d"].protocol.folds, len(config.baseline.costs["linear"])
    baseline = rates.seconds("baseline", {"corpus": "d"})
    assert baseline == pytest.approx(expected.TRAINING_START_S + expected.BASELINE_S * 6 * folds * costs)


def test_what_has_no_rate_is_not_known(folder: Path) -> None:
    rates, _ = of(folder, model={"width": 96})
    assert rates.seconds("pretrain", {"tasks": "energy"}) is None
    assert rates.seconds("encoder", {"corpus": "c", "shard": "0000"}) is None
    assert rates.seconds("report", {}) == expected.START_S


def test_recordings_that_cannot_be_opened_have_no_length(tmp_path: Path) -> None:
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "1.wav").write_bytes(b"no sound")
    rates, _ = of(tmp_path)
    assert rates.seconds("speech", {"corpus": "c", "shard": "0000"}) is None
