"""Runs that are done, and states of those that are not, are taken as they were kept, by the job that they belong to."""

from pathlib import Path

import numpy as np
import pytest
import torch

from avpretext.training import finished
from avpretext.training.finished import FinishedRuns, Run, UnfinishedRun, fingerprint
from avpretext.training.predictions import HistoryRow, Prediction

DEV = Prediction("dev", ["it/a"], np.array([[0.25, 0.75]], np.float32))
TEST = Prediction("test", ["it/b", "it/c"], np.array([[0.1, 0.9], [1.0, 0.0]], np.float32))
RUN = Run(2, 1, [DEV, TEST], [HistoryRow(1, "train", "loss", 0.1 + 0.2)])


def never(unfinished: UnfinishedRun) -> Run:
    raise AssertionError("it was trained again")


@pytest.mark.parametrize("parts", [[DEV, TEST], [TEST]])
def test_a_run_comes_back_to_the_bit(tmp_path: Path, parts: list[Prediction]) -> None:
    run = RUN._replace(predictions=parts)
    runs = FinishedRuns(tmp_path, "it")
    assert runs.once("2-1", lambda unfinished: run) is run
    back = FinishedRuns(tmp_path, "it").once("2-1", never)
    assert (back.fold, back.seed, back.history) == (2, 1, RUN.history)
    for found, expected in zip(back.predictions, parts, strict=True):
        assert (found.split, found.names) == (expected.split, expected.names)
        assert found.probabilities.tobytes() == expected.probabilities.tobytes()
    runs.remove()
    assert not list(tmp_path.iterdir())


def test_a_run_of_other_input_is_trained_anew_and_kept_in_its_place(tmp_path: Path) -> None:
    FinishedRuns(tmp_path, "it").once("2-1", lambda unfinished: RUN)
    other = RUN._replace(history=[])
    assert FinishedRuns(tmp_path, "other").once("2-1", lambda unfinished: other) is other
    assert FinishedRuns(tmp_path, "other").once("2-1", never).history == []


def test_whatever_a_run_is_made_from_changes_its_fingerprint() -> None:
    said, arrays = {"seed": 1}, [torch.zeros(2, 3), np.zeros(2)]
    same = fingerprint("finetune", said, arrays)
    assert same == fingerprint("finetune", dict(said), [array + 0 for array in arrays])
    others = [
        fingerprint("deepemocluster", said, arrays),
        fingerprint("finetune", {"seed": 2}, arrays),
        fingerprint("finetune", said, arrays[:1]),
        fingerprint("finetune", said, [torch.zeros(3, 2), np.zeros(2)]),
        fingerprint("finetune", said, [torch.zeros(2, 3), np.array([0, 1e-300])]),
        fingerprint("finetune", said, [torch.zeros(2, 3), np.zeros(2, np.int64)]),
    ]
    assert len({same, *others}) == 7


def test_an_unfinished_run_is_taken_up_by_its_own_job_alone_and_forgotten_when_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finished, "SHARE", float("inf"))
    found: list[int] = []

    def killed_in(unfinished: UnfinishedRun) -> Run:
        unfinished.restore(lambda tensors, said: found.append(int(tensors["weight"]) + said["epoch"]))
        unfinished.keep(lambda: ({"weight": torch.tensor(40)}, {"epoch": 2}))
        raise KeyboardInterrupt

    for name in ("it", "other", "other"):
        with pytest.raises(KeyboardInterrupt):
            FinishedRuns(tmp_path, name).once("2-1", killed_in)
    assert found == [42], "the second job of the name `other` alone"
    FinishedRuns(tmp_path, "other").once("2-1", lambda unfinished: RUN)
    assert [path.name for path in (tmp_path / finished.FOLDER).iterdir()] == ["2-1.resume.safetensors"]


def test_a_state_is_kept_only_when_that_costs_little_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, wrote = [0.0], []
    monkeypatch.setattr(finished.time, "monotonic", lambda: clock[0])
    unfinished = UnfinishedRun(tmp_path / "run.epoch.safetensors", "it")

    def pack() -> finished.State:
        wrote.append(clock[0])
        clock[0] += 0.5  # so long does it take
        return {"weight": torch.zeros(1)}, {"epoch": 1}

    for second in range(300):
        clock[0] = max(clock[0], float(second))
        unfinished.keep(pack)
    assert 2 == wrote[0] < 3, "a run of two seconds pays nothing"
    assert len(wrote) * 0.5 <= 300 * 0.01 + 0.5
    assert wrote[1] - wrote[0] >= 50
