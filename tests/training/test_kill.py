"""Training that is killed, by SIGKILL: it resumes from what is left, and ends as an undisturbed run does."""

import math
import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from avpretext import shards
from avpretext.config_file import parse
from avpretext.training import checkpoint as checkpoints
from avpretext.training import deepemocluster, finetune, finished, pretrain

from .conftest import SMALL, TinyCorpus, processes
from .test_deepemocluster import SMALL as CLUSTERED
from .test_deepemocluster import write_log_mel

WRITTEN = {
    "pretrain": ("0/checkpoint.safetensors", "1/checkpoint.safetensors", "history.parquet"),
    "finetune": ("predictions.parquet", "history.parquet"),
    "deepemocluster": ("predictions.parquet", "history.parquet"),
}
OPTIONS: dict[str, Any] = {
    **SMALL,
    "pretrain": {**SMALL["pretrain"], "epochs": 5, "seeds": 2},
    "finetune": {**SMALL["finetune"], "epochs": 20, "patience": 20, "seeds": 1},
    "deepemocluster": {**CLUSTERED, "epochs": 7, "variants": ["head_trained"]},
}
MANY = [("finetune", "0-0"), ("deepemocluster", "head_trained-0-0")]


def train(stage: str, corpus: TinyCorpus, output: Path) -> Path:
    """Run a stage on a corpus."""
    settings, name = parse({**OPTIONS, "seed": 1}), corpus.name
    features, targets, index = {name: {"speech": corpus.speech}}, {name: corpus.targets()}, {name: corpus.index}
    if stage == "pretrain":
        labels = {name: {task: corpus.labels[task] for task in ("energy", "emotion")}}
        pretrain.run(("energy", "emotion"), features, index, labels, settings, output, 1)
    elif stage == "finetune":
        finetune.run("scratch", [], features, targets, corpus.folds, None, settings, output, 1)
    else:
        features = {name: {"log_mel": [corpus.folder / "log_mel.parquet"]}}
        deepemocluster.run(features, index, targets, corpus.folds, settings, output, 1)
    return output


def train_and_die(stage: str, corpus: TinyCorpus, output: Path, file: str, times: int, delay_s: float) -> None:
    """Run a stage, which keeps every epoch, until it has written a file so often and some time more."""
    finished.SHARE = math.inf
    write, written = checkpoints.write, []

    def write_and_die(path: Path, *content: Any) -> None:
        write(path, *content)
        written.append(path)
        if written.count(output / file) == times:
            threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
            if not delay_s:
                threading.Event().wait()

    checkpoints.write = write_and_die
    train(stage, corpus, output)


def killed(stage: str, corpus: TinyCorpus, output: Path, file: str, times: int = 1, delay_s: float = 0) -> None:
    """Run a stage in a process of its own, which dies; the modules are loaded once for all such processes."""
    process = processes().Process(target=train_and_die, args=(stage, corpus, output, file, times, delay_s))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> TinyCorpus:
    made = TinyCorpus(tmp_path_factory.mktemp("killed")).write()
    write_log_mel(made)
    return made


@pytest.fixture(scope="module")
def undisturbed(corpus: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What each stage writes if nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return {stage: train(stage, corpus, folder / stage) for stage in WRITTEN}


def assert_same(stage: str, found: Path, expected: Path) -> None:
    for name in WRITTEN[stage]:
        assert (found / name).read_bytes() == (expected / name).read_bytes()
    # A kill may leave a temporary file, which the next start of the workflow removes (`run.aftermath`).
    names = {path.name for path in found.iterdir() if not path.name.endswith(shards.TEMPORARY[1])}
    assert names == {path.name for path in expected.iterdir()}
    assert not list(found.rglob(pretrain.RESUME))


def test_pretraining_goes_on_from_its_last_epoch_and_ends_with_the_same_weights(
    corpus: TinyCorpus, undisturbed: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed("pretrain", corpus, tmp_path, f"1/{pretrain.RESUME}", times=2)
    assert not any((tmp_path / name).exists() for name in WRITTEN["pretrain"][1:])
    train("pretrain", corpus, tmp_path)
    told = capsys.readouterr().err
    assert f"0/{pretrain.RESUME}: going on after epoch 5" in told, "the first seed is done"
    assert f"1/{pretrain.RESUME}: going on after epoch 2" in told
    assert_same("pretrain", tmp_path, undisturbed["pretrain"])


@pytest.mark.parametrize(("stage", "first"), MANY)
def test_a_job_of_many_runs_keeps_those_that_are_done_and_ends_with_the_same_predictions(
    corpus: TinyCorpus,
    undisturbed: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    stage: str,
    first: str,
) -> None:
    killed(stage, corpus, tmp_path, f"{finished.FOLDER}/{first}.resume.safetensors")
    assert not any((tmp_path / name).exists() for name in WRITTEN[stage])
    train(stage, corpus, tmp_path)
    assert f"run {first}: done already" in capsys.readouterr().err
    assert_same(stage, tmp_path, undisturbed[stage])


@pytest.mark.parametrize(("stage", "first"), MANY)
def test_a_run_goes_on_from_its_last_epoch_and_ends_with_the_same_predictions(
    corpus: TinyCorpus,
    undisturbed: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    stage: str,
    first: str,
) -> None:
    kept, chance = f"{finished.FOLDER}/{first}.epoch.safetensors", random.Random(7)
    for delay_s in (0, chance.uniform(0, 0.01)):
        killed(stage, corpus, tmp_path, kept, times=2, delay_s=delay_s)
        assert (tmp_path / kept).exists()
    assert not (tmp_path / finished.FOLDER / f"{first}.resume.safetensors").exists(), "it was killed in its first run"
    train(stage, corpus, tmp_path)
    assert f"{first}.epoch.safetensors: going on after epoch" in capsys.readouterr().err
    assert_same(stage, tmp_path, undisturbed[stage])
