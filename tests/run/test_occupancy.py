"""One run at a time in a results folder, found from any working directory; the jobs that outlive it are found too."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from avpretext import locks
from avpretext.errors import UserError
from avpretext.run import occupancy
from avpretext.run.recipes import OWN, RESULTS

RUN = """
import sys, time
from pathlib import Path
from avpretext.run import occupancy
occupancy.claim(Path(sys.argv[1]), ["snakemake", "--cores", "2"])
print("at work", flush=True)
time.sleep(60)
"""
JOB = """
import sys, time
from avpretext.run import occupancy
occupancy.begin_job(["avpretext", "finetune", "scratch"])
print("at work", flush=True)
time.sleep(60)
"""


@contextmanager
def at_work(code: str, folder: Path, *arguments: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a process, in a working directory of its own, and wait until it is at work."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", code, *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=folder, env={**os.environ, **environment}
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(occupancy, "_GRACE_S", 0.2)
    yield
    while occupancy._held:
        file = occupancy._held.pop()
        file.truncate(0)
        file.close()


def test_a_second_run_is_told_who_is_at_work_and_one_after_a_kill_is_not_refused(tmp_path: Path) -> None:
    results = tmp_path / "results"
    with at_work(RUN, tmp_path / "another folder", str(results)) as other:
        with pytest.raises(UserError) as refused:
            occupancy.claim(results, ["snakemake"])
        assert f"`snakemake --cores 2` on {locks.host()}, process {other.pid}, since 2" in str(refused.value)
        assert "\n" not in str(refused.value)
    assert occupancy.claim(results, ["snakemake"])


def test_jobs_that_outlive_their_run_are_named(tmp_path: Path) -> None:
    results = tmp_path / "results"
    with at_work(RUN, tmp_path, str(results)):
        run = json.loads((results / OWN / "lock").read_text())["run"]
    with at_work(JOB, tmp_path, **{RESULTS: str(results), occupancy.RUN: run}) as job:
        refused = pytest.raises(UserError, match=rf"`avpretext finetune scratch` on .*kill {job.pid}")
        with refused:
            occupancy.claim(results, ["snakemake"])
    assert occupancy.claim(results, ["snakemake"])
    assert not list((results / OWN / "jobs").iterdir()), "its mark is removed"


def test_a_job_that_a_cluster_starts_after_its_run_has_ended_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    occupancy.claim(tmp_path, ["snakemake"])
    monkeypatch.setenv(RESULTS, str(tmp_path))
    monkeypatch.setenv(occupancy.RUN, "an earlier one")
    with pytest.raises(UserError, match="the run that this job belongs to has ended"):
        occupancy.begin_job(["avpretext", "speech"])


def test_a_command_by_hand_is_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RESULTS, raising=False)
    occupancy.begin_job(["avpretext", "speech"])
    assert not list(tmp_path.iterdir())


def test_a_holder_on_another_machine_lives_while_it_gives_signs_of_life(tmp_path: Path) -> None:
    """Its lock may not be seen from here."""
    mark = tmp_path / OWN / "jobs" / "node7-12"
    mark.parent.mkdir(parents=True)
    holder = occupancy.Holder("r", "node7", 12, "2026-01-01 12:00:00", "avpretext pretrain energy", "4711")
    mark.write_text(json.dumps(holder.__dict__))
    with pytest.raises(UserError, match=r"Slurm job 4711.*scancel 4711"):
        occupancy.claim(tmp_path, ["snakemake"])
    silent = time.time() - occupancy.SILENT_S - 5
    os.utime(mark, (silent, silent))
    assert occupancy.claim(tmp_path, ["snakemake"])
    assert not mark.exists()


def test_signs_of_life_are_given_all_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occupancy, "BEAT_S", 0.01)
    occupancy.claim(tmp_path, ["snakemake"])
    lock = tmp_path / OWN / "lock"
    os.utime(lock, (1, 1))
    until = time.monotonic() + 10
    while lock.stat().st_mtime == 1 and time.monotonic() < until:
        time.sleep(0.01)
    assert time.time() - lock.stat().st_mtime < 60


def pretend_slurm(folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Put a `squeue` first in PATH that answers so."""
    folder.mkdir(exist_ok=True)
    (folder / "squeue").write_text(f"#!/bin/sh\n{answer}\n")
    (folder / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


NAMED_RUN = RUN.replace("print(", "occupancy.note_queue(Path(sys.argv[1]), 'a-name'); print(")


def test_jobs_that_wait_in_slurm_after_their_run_was_killed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results"
    with at_work(NAMED_RUN, tmp_path / "here", str(results)) as process:
        process.kill()
        process.wait()
    waiting = 'echo "$@" > asked; echo "7|PENDING|rule_watch_wildcards_mine_0001"; echo "8|COMPLETED|rule_index"'
    pretend_slurm(tmp_path / "bin", monkeypatch, waiting)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"still in Slurm's queue: 7 \(watch mine_0001, pending\).*scancel 7\)"):
        occupancy.claim(results, ["snakemake"])
    assert "--name=a-name" in (tmp_path / "asked").read_text()
    pretend_slurm(tmp_path / "bin", monkeypatch, "echo no controller >&2; exit 1")
    with pytest.raises(UserError, match=r"Slurm does not say whether its jobs \(a-name\) have ended \(no controller\)"):
        occupancy.claim(results, ["snakemake"])
    pretend_slurm(tmp_path / "bin", monkeypatch, 'echo "7|CANCELLED|rule_watch"')
    assert occupancy.claim(results, ["snakemake"])


def test_a_run_that_has_ended_leaves_no_jobs_to_ask_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = tmp_path / "results"
    with at_work(NAMED_RUN.replace("time.sleep(60)", ""), tmp_path / "here", str(results)) as process:
        process.wait()
    pretend_slurm(tmp_path / "bin", monkeypatch, "exit 1")
    assert occupancy.claim(results, ["snakemake"])
