"""Training that runs out of memory: which setting to change, and to what number."""

import errno
import functools
import inspect
import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from avpretext.errors import UserError
from avpretext.training import mapped, together

RUNNING = ".running"
"""File beside the results of a job while it runs: a killed job leaves it."""

GROUPS = Path("/sys/fs/cgroup")


class Job(NamedTuple):
    """The stage that runs, the group of its options, how many runs it has at a time, and their batches."""

    stage: str
    group: str
    runs: int
    batch_size: int

    def fix(self) -> str:
        """Return what to change: 1.5 times what the job had."""
        used = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        needed = 500 * -(-int(1.5 * max(limit_mb() or 0, self.runs * used / 1024)) // 500)
        told = f"give the job more: run the same command with --set-resources {self.stage}:mem_mb={needed}"
        if self.runs == 1:
            return told
        return f"{told}, or let fewer runs go at a time: {self.group}.threads: {self.runs // 2} (now {self.runs})"

    def explain(self, error: BaseException) -> str | None:
        """Return the message for a user, where memory is what was wanting."""
        if isinstance(error, torch.OutOfMemoryError):
            fewer = max(1, self.batch_size // 2)
            return (
                f"{self.stage}: the GPU's memory is full; set {self.group}.batch_size: {fewer} (now {self.batch_size})"
            )
        told = ("can't allocate memory", os.strerror(errno.ENOMEM))
        if isinstance(error, MemoryError) or any(words in str(error) for words in told):
            return f"{self.stage}: memory ran out; {self.fix()}"
        return None


_jobs: list[Job] = []


def explain(error: BaseException) -> str | None:
    """Return the message for a user, where memory is what was wanting in a job of a stage."""
    return _jobs[-1].explain(error) if _jobs else None


def fix() -> str | None:
    """Return what to change in the job of a stage; None outside of one."""
    return _jobs[-1].fix() if _jobs else None


def bounded(
    stage: str, group: str, one_run: bool = False, single: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator of a stage's `run`: its arrays lie beside its output, and want of memory is a user's error.

    `group` is that of the options of its training. There are as many runs at a time as threads, or `one_run`. The
    output is a folder, or a `single` file.
    """

    def within(run: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(run)
        def running(*arguments: Any, **named: Any) -> None:
            given = inspect.signature(run).bind(*arguments, **named).arguments
            output = given["output"]
            options = getattr(given["config"], group) if "config" in given else given["options"]
            runs = 1 if one_run else given["threads"]
            job = Job(stage, group, runs, getattr(options, "batch_size", 1))
            folder = output.parent if single else output
            with mapped.lying_in(folder), _told(job, folder / RUNNING):
                run(**given)

        return running

    return within


@contextmanager
def _told(job: Job, path: Path) -> Iterator[None]:
    """Tell of want of memory: in this job, or in one that was killed here before."""
    _jobs.append(job)
    try:
        if together.is_first():
            if (died := how_killed(path)) is not None:
                print(f"{job.stage}: the last job here was killed{died}; {job.fix()}", file=sys.stderr)
            path.write_text(json.dumps(kills()))
        yield
    except Exception as error:
        if (message := job.explain(error)) is None:
            raise
        raise UserError(message) from None
    finally:
        _jobs.remove(job)
        if together.is_first():
            path.unlink(missing_ok=True)


def kills() -> list[str]:
    """Return what tells this start of this machine, and how many processes it has killed since for their memory."""
    try:
        counts = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
        return [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), counts["oom_kill"]]
    except (OSError, KeyError, ValueError):
        return []


def how_killed(path: Path) -> str | None:
    """Return how the job that left this file was killed; None where there is none, or it was not for its memory."""
    try:
        before = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    now = kills()
    if not now or not before or before[0] != now[0]:
        return ", perhaps for want of memory"
    return ", probably for want of memory" if int(now[1]) > int(before[1]) else None


def limit_mb(groups: Path = GROUPS, own: Path = Path("/proc/self/cgroup")) -> float | None:
    """Return the memory that this process may have by its control groups, as a cluster sets it; None: as it likes."""
    found = []
    for line in own.read_text().splitlines() if own.exists() else ():
        _, kind, place = line.split(":", 2)
        if kind not in ("", "memory"):
            continue
        name = "memory.limit_in_bytes" if kind else "memory.max"
        folder = groups / kind / place.strip("/")
        for one in (folder, *folder.parents):
            limit = one / name
            if limit.is_file() and (text := limit.read_text().strip()).isdigit() and int(text) < 1 << 60:
                found.append(int(text) / 2**20)
    return min(found, default=None)
