"""Who is at work in a results folder: one run at a time, and the jobs that may outlive it.

A run holds a lock in the results folder itself, so that it is found from every working directory; each of its jobs, on
whatever machine, holds one of its own. A lock ends with its process. Between machines, whose locks may not be seen,
signs of life count: holders touch their file every few seconds.
"""

import atexit
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from avpretext import locks
from avpretext.errors import UserError
from avpretext.run.recipes import OWN, RESULTS

RUN = "AVPRETEXT_RUN"
"""Environment variable of a job: the run that it belongs to."""

BEAT_S = 15.0
"""Between signs of life."""

SILENT_S = 120.0
"""Without a sign of life, a holder on another machine counts as dead."""

_GRACE_S = 3.0
"""Jobs that end with their run may take so long."""

_ANSWER_S = 60.0
"""Slurm may take so long to answer."""

_UNENDED = (
    "PENDING",
    "CONFIGURING",
    "RUNNING",
    "COMPLETING",
    "SUSPENDED",
    "REQUEUED",
    "RESIZING",
    "STOPPED",
    "SIGNALING",
)

_held: list[IO[bytes]] = []


@dataclass(frozen=True)
class Holder:
    """A process at work in a results folder; `run` is the run that it is or belongs to, `job` its number in Slurm.

    `queue` is what a run calls all of its jobs in Slurm.
    """

    run: str
    host: str
    pid: int
    since: str
    command: str
    job: str = ""
    queue: str = ""

    def __str__(self) -> str:
        number = f", Slurm job {self.job}" if self.job else ""
        return f"`{self.command}` on {self.host}, process {self.pid}{number}, since {self.since}"


_claims: dict[Path, tuple[IO[bytes], Holder]] = {}


def myself(run: str, arguments: Sequence[str]) -> Holder:
    """Return this process."""
    now, job = time.strftime("%Y-%m-%d %H:%M:%S"), os.environ.get("SLURM_JOB_ID", "")
    return Holder(run, locks.host(), os.getpid(), now, shlex.join(arguments), job)


def claim(results: Path, arguments: Sequence[str]) -> str:
    """Hold a results folder until this process ends; return the name of the run, which may hold several.

    Raises
    ------
    UserError
        Another run holds it, or jobs of a run that was killed are still at work in it.
    """
    path = results / OWN / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+b")
    try:
        _check_that_nobody_is_at_work(file, path, results)
    except UserError:
        file.close()
        raise
    run = next((holder.run for _, holder in _claims.values()), uuid.uuid4().hex)
    holder = myself(run, arguments)
    _note(file, path, holder)
    _claims[results] = (file, holder)
    atexit.register(_clear, file, os.getpid())
    return holder.run


def holder_of(results: Path) -> Holder:
    """Return this process, which holds a results folder."""
    return _claims[results][1]


def note_queue(results: Path, queue: str) -> None:
    """Note what the run that this process is calls its jobs in Slurm, before there are any."""
    file, holder = _claims[results]
    _write(file, replace(holder, queue=queue))


def _check_that_nobody_is_at_work(file: IO[bytes], path: Path, results: Path) -> None:
    """Lock the file; raise a user's error if another run has it, or jobs are left."""
    other = said_in(path)
    if locks.hold(file) is False or (other and _shows_life(path, other)):
        raise UserError(
            f"{results}: another run is at work there: {other or 'it has just begun'}; wait until it has ended, or set"
            " `results` to another folder"
        )
    if other and (queued := _queued(other.queue, results)):
        raise UserError(
            f"{results}: jobs of a run that was killed are still in Slurm's queue: {', '.join(queued.values())}. Wait"
            f" until they have ended, or cancel them (scancel {' '.join(queued)}), and give the command again"
        )
    left = _left_behind(results)
    if left:
        raise UserError(
            f"{results}: jobs of a run that was killed are still at work there: {'; '.join(map(str, left))}. Wait until"
            f" they have ended, or end them ({_how_to_end(left)}), and give the command again"
        )


def _queued(queue: str, results: Path) -> dict[str, str]:
    """Return the jobs that Slurm has under this name and that have not ended: number, and what it is in words."""
    if not queue or shutil.which("squeue") is None:
        return {}
    words = ["squeue", "--noheader", f"--name={queue}", "--format=%i|%T|%k"]
    try:
        told = subprocess.run(words, capture_output=True, text=True, check=True, timeout=_ANSWER_S).stdout
    except (OSError, subprocess.SubprocessError) as error:
        why = getattr(error, "stderr", None) or error
        raise UserError(
            f"{results}: a run was killed there, and Slurm does not say whether its jobs ({queue}) have ended"
            f" ({' '.join(str(why).split())}): give the command again when it answers"
        ) from None
    jobs = [line.split("|", 2) for line in told.splitlines() if line.count("|") > 1]
    return {
        number: f"{number} ({comment.removeprefix('rule_').replace('_wildcards_', ' ')}, {state.lower()})"
        for number, state, comment in jobs
        if state in _UNENDED
    }


def _clear(file: IO[bytes], pid: int) -> None:
    """Empty the file of a lock when its run ends: nobody shall wait for further signs of life."""
    if os.getpid() == pid and not file.closed:
        file.truncate(0)


def begin_job(arguments: Sequence[str]) -> None:
    """Make a job of the workflow known until it ends; commands that are run by hand are none.

    Raises
    ------
    UserError
        Its run has ended, and another run has the results now: a cluster may start jobs late.
    """
    results = os.environ.get(RESULTS)
    if results is None:
        return
    run, now = os.environ.get(RUN, ""), said_in(Path(results) / OWN / "lock")
    if run and run != (now.run if now else ""):
        raise UserError(f"{results}: the run that this job belongs to has ended: start the workflow again")
    path = Path(results) / OWN / "jobs" / f"{locks.host()}-{os.getpid()}"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a+b")
    locks.hold(file, wait=True)
    _note(file, path, myself(run, ["avpretext", *arguments[1:3]]))
    atexit.register(path.unlink, missing_ok=True)


def _note(file: IO[bytes], path: Path, holder: Holder) -> None:
    """Say in a file who holds it, and give signs of life from now on."""
    _write(file, holder)
    _held.append(file)
    threading.Thread(target=_beat, args=(file, path), daemon=True).start()


def _write(file: IO[bytes], holder: Holder) -> None:
    file.truncate(0)
    file.write(json.dumps(asdict(holder)).encode())
    file.flush()


def _beat(file: IO[bytes], path: Path) -> None:
    while not file.closed:
        try:
            os.utime(path)
        except OSError:
            return
        time.sleep(BEAT_S)


def _left_behind(results: Path) -> list[Holder]:
    """Return the jobs that are at work, after a moment for those that are ending; files of dead ones are removed."""
    until = time.monotonic() + _GRACE_S
    while True:
        living = list(_living(results))
        if not living or time.monotonic() > until:
            return living
        time.sleep(0.1)


def _living(results: Path) -> Iterator[Holder]:
    for path in sorted((results / OWN / "jobs").glob("*")):
        host, _, pid = path.name.rpartition("-")
        # A job that begins has its file before it has said anything in it.
        holder = said_in(path) or Holder("", host, int(pid) if pid.isdigit() else 0, "just now", "avpretext")
        if locks.is_held(path) or _shows_life(path, holder):
            yield holder
        else:
            path.unlink(missing_ok=True)


def said_in(path: Path) -> Holder | None:
    """Return the holder that a file names; None where there is none."""
    try:
        return Holder(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _shows_life(path: Path, holder: Holder) -> bool:
    """Tell whether a holder whose lock cannot be seen from here is at work, by its last sign of life.

    Its file's time is of the file system's own clock, which a file written now tells too.
    """
    if holder.host == locks.host():
        return locks.is_held(path) is None and locks.is_alive(holder.pid)
    clock = path.with_name(f"{path.name}.clock")
    try:
        clock.touch()
        return clock.stat().st_mtime - path.stat().st_mtime < SILENT_S
    except OSError:
        return False
    finally:
        clock.unlink(missing_ok=True)


def _how_to_end(holders: Sequence[Holder]) -> str:
    jobs = sorted({holder.job for holder in holders if holder.job})
    commands = [f"scancel {' '.join(jobs)}"] if jobs else []
    for host in sorted({holder.host for holder in holders if not holder.job}):
        pids = " ".join(str(holder.pid) for holder in holders if holder.host == host and not holder.job)
        commands.append(f"kill {pids}" if host == locks.host() else f"on {host}: kill {pids}")
    return "; ".join(commands)


def command() -> list[str]:
    """Return the command that this process was started with, its program by its name alone."""
    return [os.path.basename(sys.argv[0]).replace("__main__.py", "snakemake"), *sys.argv[1:]]
