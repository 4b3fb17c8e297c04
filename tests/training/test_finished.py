"""Runs that are done are taken as they were kept, and only by the job that they belong to."""

from pathlib import Path

import numpy as np
import pytest
import torch

from avpretext.training.finished import FinishedRuns, Run, fingerprint
from avpretext.training.loop import HistoryRow
from avpretext.training.predictions import Prediction

DEV = Prediction("dev", ["it/a"], np.array([[0.25, 0.75]], np.float32))
TEST = Prediction("test", ["it/b", "it/c"], np.array([[0.1, 0.9], [1.0, 0.0]], np.float32))
RUN = Run(2, 1, [DEV, TEST], [HistoryRow(1, "train", "loss", 0.1 + 0.2)])


def never() -> Run:
    raise AssertionError("it was trained again")


@pytest.mark.parametrize("parts", [[DEV, TEST], [TEST]])
def test_a_run_comes_back_to_the_bit(tmp_path: Path, parts: list[Prediction]) -> None:
    run = RUN._replace(predictions=parts)
    runs = FinishedRuns(tmp_path, "it")
    assert runs.once("2-1", lambda: run) is run
    back = FinishedRuns(tmp_path, "it").once("2-1", never)
    assert (back.fold, back.seed, back.history) == (2, 1, RUN.history)
    for found, expected in zip(back.predictions, parts, strict=True):
        assert (found.split, found.names) == (expected.split, expected.names)
        assert found.probabilities.tobytes() == expected.probabilities.tobytes()
    runs.remove()
    assert not list(tmp_path.iterdir())


def test_a_run_of_other_input_is_trained_anew_and_kept_in_its_place(tmp_path: Path) -> None:
    FinishedRuns(tmp_path, "it").once("2-1", lambda: RUN)
    other = RUN._replace(history=[])
    assert FinishedRuns(tmp_path, "other").once("2-1", lambda: other) is other
    assert FinishedRuns(tmp_path, "other").once("2-1", never).history == []


def test_whatever_a_run_is_made_from_changes_its_fingerprint() -> None:
    said, arrays = {"seed": 1}, [torch.zeros(2, 3), np.zeros(2)]
    same = fingerprint(said, arrays)
    assert same == fingerprint(dict(said), [array + 0 for array in arrays])
    others = [
        fingerprint({"seed": 2}, arrays),
        fingerprint(said, arrays[:1]),
        fingerprint(said, [torch.zeros(3, 2), np.zeros(2)]),
        fingerprint(said, [torch.zeros(2, 3), np.array([0, 1e-300])]),
        fingerprint(said, [torch.zeros(2, 3), np.zeros(2, np.int64)]),
    ]
    assert len({same, *others}) == 6
