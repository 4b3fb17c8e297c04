"""Trials are chosen by dev clips alone, each fold's by its own; their test clips are scored together."""

from pathlib import Path

import pytest

from avpretext import shards
from avpretext.config import EvaluateOptions
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.search.choice import Choice, choose, dev_scores, score_choices

CLASSES = ["glad", "sad"]


def write(path: Path, right: dict[tuple[int, str], bool], seeds: int = 2) -> Path:
    """Write predictions of two clips of each class for each fold and split, all of them right or all wrong."""
    rows = []
    for (fold, split), is_right in right.items():
        for seed in range(seeds):
            for number in range(4):
                truth = CLASSES[number % 2]
                said = truth if is_right else CLASSES[1 - number % 2]
                rows.append(
                    {"initialisation": "scratch", "fold": fold, "seed": seed, "pretraining": None, "split": split,
                     "clip_id": f"{split}{fold}_{number}", "speaker": f"{split}{fold}_{number // 2}", "label": truth,
                     "predicted": said, "truth": [float(truth == name) for name in CLASSES],
                     "probabilities": [float(said == name) for name in CLASSES]}
                )  # fmt: skip
    made_by = {"stage": "finetune", "kind": "hard", "classes": CLASSES}
    shards.write_table(path, rows, schema_of("finetune.predictions"), made_by)
    return path


@pytest.fixture
def trials(tmp_path: Path) -> dict[int, Path]:
    """Trial 0 fails everywhere; trial 1 is right on dev of fold 0, trial 2 of fold 1, and both on test just there."""
    return {
        number: write(
            tmp_path / f"{number}.parquet",
            {(fold, split): fold == number - 1 for fold in (0, 1) for split in ("dev", "test")},
        )
        for number in range(3)
    }


def test_each_fold_takes_the_trial_that_its_own_dev_clips_score_best(trials: dict[int, Path]) -> None:
    dev = {number: dev_scores(path, "uar") for number, path in trials.items()}
    assert dev == {0: {0: 0, 1: 0}, 1: {0: 1, 1: 0}, 2: {0: 0, 1: 1}}
    assert choose(dev) == Choice({0: 1, 1: 2}, flat=1)


def test_test_clips_choose_nothing(trials: dict[int, Path], tmp_path: Path) -> None:
    before = {number: dev_scores(path, None) for number, path in trials.items()}
    for number, path in trials.items():
        write(path, {(fold, split): (fold == number - 1) != (split == "test")
                     for fold in (0, 1) for split in ("dev", "test")})  # fmt: skip
    assert {number: dev_scores(path, None) for number, path in trials.items()} == before


def test_the_test_clips_of_a_fold_are_scored_by_the_trial_that_it_takes(trials: dict[int, Path]) -> None:
    task, rows = score_choices(Choice({0: 1, 1: 2}, flat=1), trials, EvaluateOptions(bootstrap=20), 1)
    found = {row["initialisation"]: row["value"] for row in rows if row["measure"] == "uar" and row["class"] is None}
    assert found == {"untuned": 0, "flat": 0.5, "nested": 1}
    assert task.classes == CLASSES


def test_a_fold_without_dev_clips_cannot_choose(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {(0, "dev"): True, (0, "test"): True, (1, "test"): True})
    with pytest.raises(UserError, match="fold 1 has no dev clips to choose by: use a protocol with dev speakers"):
        dev_scores(path, None)


@pytest.mark.parametrize("measure", ["ccc", "no_such"])
def test_a_measure_of_another_kind_is_refused(trials: dict[int, Path], measure: str) -> None:
    with pytest.raises(UserError, match=f"--measure {measure}: expected one of .*macro_f1"):
        dev_scores(trials[0], measure)
