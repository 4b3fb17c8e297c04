"""Curves for experiment trackers: the numbers of the history, while results and training stay as without them."""

import errno
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.interchange.test_tensorboard import events

from avpretext import shards
from avpretext.config_file import parse
from avpretext.errors import UserError
from avpretext.training import curves, finetune, pretrain, tracking
from avpretext.training.predictions import HistoryRow

from .conftest import SMALL, TinyCorpus

Curve = dict[str, dict[str, list[tuple[int, float]]]]
"""By run and name: epochs and values."""

SCRATCH = "tiny/finetune/acted.kfold/base.mean/scratch"
TASKS = "pretrain/mean/energy-emotion"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> TinyCorpus:
    return TinyCorpus(tmp_path_factory.mktemp("tracked")).write()


def tune(corpus: TinyCorpus, results: Path, *tools: str, threads: int = 1, **changes: Any) -> Path:
    """Fine-tune with these trackers; return the folder that is written."""
    settings = parse({**SMALL, "tracking": list(tools), "finetune": {**SMALL["finetune"], **changes}})
    features, targets = {corpus.name: {"speech": corpus.speech}}, {corpus.name: corpus.targets()}
    finetune.run("scratch", [], features, targets, corpus.folds, None, settings, results / SCRATCH, threads)
    return results / SCRATCH


def history(folder: Path, place: str) -> Curve:
    """Return the curves of a history, as single-precision numbers."""
    found: Curve = {}
    for row in shards.read(folder / "history.parquet").iter_rows(named=True):
        run = f"{place}/" + (f"fold{row['fold']}." if "fold" in row else "") + f"seed{row['seed']}"
        name = f"{row['measure']}/{row['split']}"
        found.setdefault(run, {}).setdefault(name, []).append((row["epoch"], float(np.float32(row["value"]))))
    return found


def event_curves(folder: Path) -> Curve:
    found: Curve = {}
    for file in sorted(folder.rglob(curves.EVENTS)):
        run = found.setdefault(file.parent.relative_to(folder).as_posix(), {})
        for event in events(file)[1:]:
            for value in event.summary.value:
                run.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_curves_are_those_of_the_history_and_results_those_without_tracking(corpus: TinyCorpus, tmp_path: Path) -> None:
    plain = tune(corpus, tmp_path / "plain")
    tracked = tune(corpus, tmp_path / "tracked", "tensorboard", threads=2)
    assert event_curves(tmp_path / "tracked/tracking/tensorboard") == history(tracked, SCRATCH)
    for name in ("predictions.parquet", "history.parquet"):
        assert (tracked / name).read_bytes() == (plain / name).read_bytes()
    assert not (tmp_path / "plain" / tracking.FOLDER).exists()


def test_pretraining_has_curves_of_each_seed(corpus: TinyCorpus, tmp_path: Path) -> None:
    changes = {"tracking": ["tensorboard"], "pretrain": {**SMALL["pretrain"], "seeds": 2}}
    labels = {corpus.name: {task: corpus.labels[task] for task in ("energy", "emotion")}}
    features, index = {corpus.name: {"speech": corpus.speech}}, {corpus.name: corpus.index}
    settings = parse({**SMALL, **changes})
    pretrain.run(("energy", "emotion"), features, index, labels, settings, tmp_path / TASKS, 1)
    assert event_curves(tmp_path / "tracking/tensorboard") == history(tmp_path / TASKS, TASKS)


def test_a_resumed_run_has_its_curves_from_the_start(tmp_path: Path) -> None:
    job = tracking.Tracking("finetune", parse({**SMALL, "tracking": ["tensorboard"]}), tmp_path / SCRATCH)
    rows = [HistoryRow(epoch, "train", "loss", 1 / epoch) for epoch in (1, 2, 4)]
    killed = job.of("fold0.seed0")(iter([SimpleNamespace(history=rows[:1])]))
    next(killed)
    list(job.of("fold0.seed0")(SimpleNamespace(history=rows[:length]) for length in (2, 3)))
    list(job.of("fold0.seed0")(iter([])))  # resumed after its last epoch
    expected = {"loss/train": [(1, 1.0), (2, 0.5), (4, 0.25)]}
    assert event_curves(tmp_path / "tracking/tensorboard") == {f"{SCRATCH}/fold0.seed0": expected}


def test_mlflow_has_curves_and_options_and_one_run_of_each_training(corpus: TinyCorpus, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed")
    tuned = tune(corpus, tmp_path, "mlflow", threads=2)
    (tuned / "predictions.parquet").unlink()
    tune(corpus, tmp_path, "mlflow")
    client = curves.load("mlflow").MlflowClient((tmp_path / "tracking/mlflow").as_uri())
    (experiment,) = client.search_experiments(filter_string=f"name = '{curves.PROJECT}'")
    found: Curve = {}
    for run in client.search_runs([experiment.experiment_id]):
        assert run.data.params["finetune.epochs"] == "4"
        assert run.info.status == "FINISHED"
        for name in run.data.metrics:
            told = client.get_metric_history(run.info.run_id, name)
            values = sorted((metric.step, float(np.float32(metric.value))) for metric in told)
            found.setdefault(run.info.run_name, {})[name] = values
    assert found == history(tuned, SCRATCH)
    tune(corpus, tmp_path, "mlflow", epochs=2)
    assert len(client.search_runs([experiment.experiment_id])) == 2 * len(found), "other options stand beside"


class FakeWandb(ModuleType):
    """Takes what Weights & Biases would."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.__spec__ = ModuleSpec("wandb", None)
        self.runs: list[dict[str, Any]] = []

    def Settings(self, **given: Any) -> dict[str, Any]:
        return given

    def init(self, **given: Any) -> Any:
        told: dict[str, Any] = {**given, "logged": {}}
        self.runs.append(told)

        def log(values: dict[str, float], step: int) -> None:
            for name, value in values.items():
                told["logged"].setdefault(name, []).append((step, float(np.float32(value))))

        return SimpleNamespace(log=log, finish=lambda exit_code: told.update(exit_code=exit_code))


def test_wandb_is_offline_and_has_curves_and_options(
    corpus: TinyCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    tuned = tune(corpus, tmp_path, "wandb")
    assert {run["name"]: run["logged"] for run in fake.runs} == history(tuned, SCRATCH)
    assert {(run["mode"], run["exit_code"], run["config"]["model.width"]) for run in fake.runs} == {("offline", 0, 8)}
    assert len({run["id"] for run in fake.runs}) == len(fake.runs)


def test_wandb_itself_takes_a_run(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="Weights & Biases is not installed")
    for _ in range(2):
        run = curves.WandbRun(tmp_path, "pretrain/mean/energy/seed0", {"seed": 1})
        run.write([HistoryRow(1, "dev", "loss", 0.5), HistoryRow(2, "dev", "loss", 0.25)])
        run.close(finished=True)
    assert len(list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))) == 1, "the second replaces the first"


class Broken:
    """Curves that cannot be written."""

    def __init__(self, *_: Any, error: Exception | None = None) -> None:
        self.error = error or ConnectionError("no\nserver")

    def write(self, rows: Any) -> None:
        raise self.error

    def close(self, finished: bool) -> None:
        raise AssertionError("told once")


def test_a_tracker_that_fails_is_told_once_a_run_and_training_goes_on(
    corpus: TinyCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(curves.TOOLS, "mlflow", Broken)
    monkeypatch.setattr(tracking, "load", lambda tool: None)
    monkeypatch.setattr(tracking, "check", lambda tools: None)
    tuned = tune(corpus, tmp_path, "mlflow", "tensorboard")
    runs = history(tuned, SCRATCH)
    told = "tracking: warning: mlflow: ConnectionError: no server; the run has no further curves there"
    assert capsys.readouterr().err.count(told) == len(runs)
    assert event_curves(tmp_path / "tracking/tensorboard") == runs


def test_a_tracker_that_cannot_be_imported_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(tool: str) -> None:
        raise ImportError("cannot import name 'x'")

    monkeypatch.setattr(tracking, "load", load)
    job = tracking.Tracking("finetune", parse({**SMALL, "tracking": ["tensorboard"]}), tmp_path / SCRATCH)
    assert job.of("fold0.seed0") is tracking.unfollowed
    assert "tensorboard: ImportError: cannot import name 'x'; there are no curves there" in capsys.readouterr().err


def test_a_full_disk_stops_training_with_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setitem(curves.TOOLS, "tensorboard", lambda *_: Broken(error=full))
    job = tracking.Tracking("finetune", parse({**SMALL, "tracking": ["tensorboard"]}), tmp_path / SCRATCH)
    states = iter([SimpleNamespace(history=[HistoryRow(1, "train", "loss", 1.0)])])
    with pytest.raises(UserError, match="tracking: tensorboard: the disk is full; free some space"):
        list(job.of("fold0.seed0")(states))


def test_a_missing_package_is_named_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(curves.PACKAGES, "wandb", ("no_such_module", "wandb"))
    with pytest.raises(UserError, match=r"tracking: \[wandb\]: the package wandb is not installed; .* -m pip install"):
        tracking.Tracking("finetune", parse({**SMALL, "tracking": ["wandb"]}), tmp_path / SCRATCH)
