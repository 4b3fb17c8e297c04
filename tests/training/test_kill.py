"""Training that is killed, by SIGKILL: what is left can be gone on from, and ends as an undisturbed run does."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from avpretext.training import finished, pretrain

from .conftest import SMALL, TinyCorpus
from .test_deepemocluster import SMALL as CLUSTERED
from .test_deepemocluster import write_log_mel

PRETRAINED = ("0/checkpoint.safetensors", "1/checkpoint.safetensors", "history.parquet")
TUNED = ("predictions.parquet", "history.parquet")
EPOCHS: dict[str, dict[str, Any]] = {
    "pretrain": {**SMALL["pretrain"], "epochs": 40, "seeds": 2},
    "finetune": {**SMALL["finetune"], "epochs": 20},
    "deepemocluster": CLUSTERED,
}


LONG: dict[str, dict[str, Any]] = {
    "finetune": {**SMALL["finetune"], "epochs": 100, "patience": 100, "seeds": 1},
    "deepemocluster": {**CLUSTERED, "epochs": 20, "variants": ["head_trained"]},
}
KEEP_EACH_EPOCH = """
import runpy
from avpretext.training import finished
finished.SHARE = float("inf")
runpy.run_module("avpretext", run_name="__main__")
"""
"""Trains as the command does, and keeps the state of a run after each epoch, not after seconds."""


def command(stage: str, corpus: TinyCorpus, output: Path, options: dict[str, dict[str, Any]] = EPOCHS) -> list[str]:
    """Return the command that trains on the corpus, with its options in a file."""
    file = output.with_suffix(".yaml")
    file.write_text(yaml.safe_dump({**SMALL, **options} | {"seed": 1}))
    name = corpus.name
    index = [f"--index={name}={corpus.folder / 'index0.parquet'}"]
    labelled = [f"--targets={name}={corpus.targets()}", f"--folds={corpus.folds}"]
    if stage == "pretrain":
        labels = [f"--labels={name}.{task}={corpus.folder / task}.parquet" for task in ("energy", "emotion")]
        arguments = ["energy-emotion", f"--features={name}.speech={corpus.folder / 'speech0.parquet'}", *index, *labels]
    elif stage == "finetune":
        arguments = ["scratch", f"--features={name}.speech={corpus.folder}/speech", *labelled]
    else:
        arguments = [f"--features={name}.log_mel={write_log_mel(corpus)[0]}", *index, *labelled]
    return [
        sys.executable, "-m", "avpretext", stage, *arguments, f"--output={output}", f"--config={file}", "--threads=1",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def trained_on(tmp_path_factory: pytest.TempPathFactory) -> TinyCorpus:
    """A corpus whose shards of speech are also in a folder by themselves."""
    corpus = TinyCorpus(tmp_path_factory.mktemp("killed")).write()
    (corpus.folder / "speech").mkdir()
    for file in corpus.speech:
        (corpus.folder / "speech" / file.name).symlink_to(file)
    return corpus


def killed(arguments: list[str], after: Path, wait_s: float) -> None:
    """Start a command and kill it some time after a file is there, or the command has said something."""
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        limit = time.monotonic() + 60
        while not after.exists() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.005)
        time.sleep(wait_s)
        process.send_signal(signal.SIGKILL)


@pytest.mark.workflow
def test_pretraining_goes_on_from_its_last_epoch_and_ends_with_the_same_weights(
    trained_on: TinyCorpus, tmp_path: Path
) -> None:
    undisturbed, disturbed, chance = tmp_path / "undisturbed", tmp_path / "disturbed", random.Random(6)
    subprocess.run(command("pretrain", trained_on, undisturbed), check=True, capture_output=True)
    arguments = command("pretrain", trained_on, disturbed)
    killed(arguments, disturbed / "1" / pretrain.RESUME, chance.uniform(0, 0.1))
    assert (disturbed / "1" / pretrain.RESUME).exists(), "it was killed after an epoch of the second seed"
    assert not any((disturbed / name).exists() for name in PRETRAINED[1:])
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert "starting afresh" not in done.stderr
    assert "going on after epoch 40" in done.stderr, "the first seed is done"
    for name in PRETRAINED:
        assert (disturbed / name).read_bytes() == (undisturbed / name).read_bytes()
    assert not list(disturbed.rglob(pretrain.RESUME))


@pytest.mark.workflow
@pytest.mark.parametrize(("stage", "first"), [("finetune", "0-0"), ("deepemocluster", "head_trained-0-0")])
def test_a_job_of_many_runs_keeps_those_that_are_done_and_ends_with_the_same_predictions(
    trained_on: TinyCorpus, tmp_path: Path, stage: str, first: str
) -> None:
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    subprocess.run(command(stage, trained_on, undisturbed), check=True, capture_output=True)
    assert not (undisturbed / finished.FOLDER).exists()
    arguments = command(stage, trained_on, disturbed)
    killed(arguments, disturbed / finished.FOLDER / f"{first}.resume.safetensors", 0)
    assert not any((disturbed / name).exists() for name in TUNED)
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert f"run {first}: done already" in done.stderr
    for name in TUNED:
        assert (disturbed / name).read_bytes() == (undisturbed / name).read_bytes()
    assert not (disturbed / finished.FOLDER).exists()


@pytest.mark.workflow
@pytest.mark.parametrize(("stage", "first"), [("finetune", "0-0"), ("deepemocluster", "head_trained-0-0")])
def test_a_run_goes_on_from_its_last_epoch_and_ends_with_the_same_predictions(
    trained_on: TinyCorpus, tmp_path: Path, stage: str, first: str
) -> None:
    undisturbed, disturbed, chance = tmp_path / "undisturbed", tmp_path / "disturbed", random.Random(7)
    subprocess.run(command(stage, trained_on, undisturbed, LONG), check=True, capture_output=True)
    arguments = command(stage, trained_on, disturbed, LONG)
    arguments[1:3] = ["-c", KEEP_EACH_EPOCH]
    kept = disturbed / finished.FOLDER / f"{first}.epoch.safetensors"
    for _ in range(2):
        written = kept.stat().st_mtime_ns if kept.exists() else 0
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
            while process.poll() is None and (not kept.exists() or kept.stat().st_mtime_ns == written):
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        assert kept.exists()
        assert not kept.with_name(f"{first}.resume.safetensors").exists(), "it was killed in its first run"
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert f"{first}.epoch.safetensors: going on after epoch" in done.stderr
    for name in TUNED:
        assert (disturbed / name).read_bytes() == (undisturbed / name).read_bytes()
    assert not (disturbed / finished.FOLDER).exists()
