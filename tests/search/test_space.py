"""Spaces of a search: every key and value is one of the configuration, and none decides about clips or scores."""

from pathlib import Path

import pytest

from avpretext.errors import UserError
from avpretext.search.space import Range, distributions, read, seed_of

CONTENT = {"corpora": {"mine": {"path": ".", "use": ["pretrain", "finetune"]}}}


def space(folder: Path, text: str) -> Path:
    (folder / "space.yaml").write_text(text)
    return folder / "space.yaml"


def test_choices_and_ranges_are_read(tmp_path: Path) -> None:
    text = "model.width: [16, 32]\nfinetune.learning_rate: {low: 1.0e-4, high: 0.01, log: true}\n"
    found = read(space(tmp_path, text), CONTENT)
    assert found == {"model.width": [16, 32], "finetune.learning_rate": Range(low=1e-4, high=0.01, log=True)}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model.widht: [16]", "unknown key 'model.widht'; did you mean 'width'"),
        ("model.width: [16, 0]", "model.width = 0"),
        ("finetune.learning_rate: {low: -1, high: 0.1}", "finetune.learning_rate = -1"),
        ("finetune.learning_rate: {low: 0.1}", "expected KEY: "),
        ("finetune.learning_rate: {low: 0.1, high: 0.01}", "low must not be above high"),
        ("finetune.seeds: [1, 2]", "finetune.seeds: expected a key of chunks, labels, model, pretrain, finetune"),
        ("split.fps: [25, 30]", "split.fps: expected a key of"),
        ("seed: [1, 2]", "seed: expected a key of"),
        ("model.width", "expected KEY: "),
    ],
)
def test_what_cannot_be_searched_is_told_with_the_fix(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UserError) as raised:
        read(space(tmp_path, text), CONTENT)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_values_of_a_trial_go_by_its_number_alone() -> None:
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed")
    given = distributions({"model.width": [16, 32], "finetune.epochs": Range(low=2, high=90), "pretrain.learning_rate":
                           Range(low=1e-4, high=1e-2, log=True)})  # fmt: skip
    drawn = []
    for told in (0.1, 0.9):
        study = optuna.create_study(direction="maximize")
        for number in range(3):
            study.sampler = optuna.samplers.RandomSampler(seed_of(7, number))
            trial = study.ask(given)
            drawn.append(trial.params)
            study.tell(trial, told * number)
    assert drawn[:3] == drawn[3:]
    assert len({str(values) for values in drawn}) == 3
    assert all(2 <= values["finetune.epochs"] <= 90 and isinstance(values["finetune.epochs"], int) for values in drawn)
