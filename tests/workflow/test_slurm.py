"""Slurm: a real one of one node makes the same bytes; and what is asked of it, read off a dry run."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.workflow.project import REPOSITORY, Project

ONE_NODE = REPOSITORY / "workflow" / "slurm" / "one_node.sh"
PROFILE = REPOSITORY / "workflow" / "profiles" / "slurm"
QUICK = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "4", "--latency-wait", "10")
"""A Slurm without a database tells of finished jobs by squeue; and these jobs are short."""


def one_node(*arguments: str | Path) -> None:
    """Run the script; where it cannot install or start a Slurm, skip with its reason."""
    run = subprocess.run([ONE_NODE, *arguments], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        pytest.skip(f"one_node.sh {arguments[0]}: {' | '.join(run.stderr.splitlines()[-3:])}")


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Slurm of one node, in its folder; Snakemake finds it by SLURM_CONF."""
    if not all(shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") for program in ("slurmctld", "munged")):
        one_node("install")
    folder = tmp_path / "slurm"
    one_node("start", folder)
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    yield folder
    subprocess.run([ONE_NODE, "stop", folder], check=True)


def test_where_slurm_does_not_start_the_test_skips_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scontrol", "scancel", "sinfo"):
        fails = 'echo "slurmd: fatal: no cgroup here" >&2; exit 1' if name == "slurmd" else "exit 0"
        (tmp_path / name).write_text(f"#!/bin/sh\n{fails}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(pytest.skip.Exception, match=r"start: .*slurmd: fatal: no cgroup here"):
        one_node("start", tmp_path / "slurm")


def memory_of_jobs() -> dict[str, list[int]]:
    """Return {rule: MB asked for by each of its jobs} of what Slurm has completed; comments name the rules."""
    command = ["squeue", "--states=COMPLETED", "--noheader", "--format=%m %k"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    asked: dict[str, list[int]] = {}
    for memory, comment in (line.split(maxsplit=1) for line in said):
        rule = comment.removeprefix("rule_").partition("_wildcards_")[0]
        asked.setdefault(rule, []).append(int(memory.removesuffix("M")))
    return asked


@pytest.mark.workflow
def test_slurm_makes_the_bytes_of_a_local_run(finished: Project, tmp_path: Path, slurm: Path) -> None:
    folder = tmp_path / "a project"
    shutil.copytree(finished.folder / "demo", folder / "demo")
    unlabelled = {"unlabelled": finished.config["corpora"]["unlabelled"]}
    project = Project(folder, {**finished.config, "corpora": unlabelled}, warm=False)
    some = [f"results/unlabelled/{made}.parquet" for made in ("labels_emotion/all", "speech/0001")]
    asked = project.snakemake(*some, "--dry-run").would_run()
    project.snakemake(*some, "--workflow-profile", str(PROFILE), *QUICK)

    assert asked.pop("models") == 1, "what needs the internet runs where the workflow was started"
    memory_mb = memory_of_jobs()
    assert {rule: len(jobs) for rule, jobs in memory_mb.items()} == asked
    read = sum(path.stat().st_size for path in folder.glob("results/unlabelled/landmarks/*.parquet"))
    assert memory_mb["neutral"][0] == pytest.approx(500 + 0.1 * read / 2**20, abs=2), "by the size of its input"
    made = sorted(path.relative_to(folder) for path in folder.glob("results/unlabelled/**/*.parquet"))
    assert {path.parts[2] for path in made} >= {"split", "speech", "landmarks", "action_units", "labels_emotion"}
    for path in made:
        assert (folder / path).read_bytes() == (finished.folder / path).read_bytes(), path


@pytest.mark.workflow
def test_after_a_dead_login_node_no_second_job_is_submitted(tmp_path: Path, slurm: Path) -> None:
    (tmp_path / "corpus").mkdir()
    for number in range(9):
        soundfile.write(tmp_path / "corpus" / f"{number}.wav", np.sin(np.arange(16_000) / (9 + number)), 16_000)
    mine = {"path": "corpus", "use": ["pretrain"], "video": False, "shards": 3}
    project = Project(tmp_path, {"results": "results", "corpora": {"mine": mine}}, warm=False)
    words = ("pseudo_labels", "--workflow-profile", str(PROFILE), *QUICK)
    login = project.start(*words)
    until = time.monotonic() + 60
    while not queued() and time.monotonic() < until:
        time.sleep(0.2)
    os.killpg(login.pid, signal.SIGKILL)
    login.communicate()
    before = queued()
    assert before
    again = project.snakemake(*words, check=False)
    assert again.status != 0
    assert "jobs of a run that was killed are still in Slurm's queue" in again.text
    assert queued() <= before, "no second job beside"
    subprocess.run(["scancel", *before], check=True)
    while queued():
        time.sleep(0.2)
    dry = project.snakemake("pseudo_labels", "--dry-run")
    assert dry.status == 0


def queued() -> set[str]:
    """Return the numbers of the jobs that Slurm has and that have not ended."""
    return set(subprocess.run(["squeue", "--noheader", "--format=%i"], capture_output=True, text=True).stdout.split())


def asking(project: Project, **changes: Any) -> set[str]:
    """Return the rules whose jobs ask for a GPU, by a dry run with the profile of Slurm."""
    run = project.snakemake("--dry-run", "--forceall", "--workflow-profile", str(PROFILE), **changes)
    assert {"index", "watch", "pretrain", "finetune", "baseline", "report"} <= set(run.would_run())
    return set(re.findall(r"^would run (\w+) [^:]*, 1 GPU:", run.text, re.MULTILINE))


@pytest.mark.workflow
def test_only_training_asks_for_a_gpu_and_only_where_it_shall_use_one(finished: Project) -> None:
    assert asking(finished) == set(), "the configuration says device: cpu"
    for device in ("cuda", "auto"):
        on_gpu = {name: {**finished.config[name], "device": device} for name in ("pretrain", "finetune")}
        assert asking(finished, **on_gpu) == {"pretrain", "finetune", "export"}
