"""What a killed run leaves behind, and how the next run tells it from a run that is at work.

Snakemake marks its folder as locked with files, which outlive a run that is killed: the next one would refuse to start
and ask for `--unlock`. `tidy` therefore keeps a lock that the operating system drops with the process, however that
ends. Where nobody else holds it, no run is at work: the marks are a dead run's, and so are half-written files.
"""

import fcntl
import shutil
from pathlib import Path
from typing import IO

from avpretext.shards import TEMPORARY

_LOCK = "avpretext.lock"
_held: list[IO[bytes]] = []


def tidy(records: Path, results: Path) -> bool:
    """Remove what killed runs left, unless a run is at work; from now on this process counts as one that is.

    Runs that make different files may still work side by side: then nothing is removed, and Snakemake's own marks
    decide. So they do where the file system knows no locks.

    Parameters
    ----------
    records
        Snakemake's own folder, `.snakemake`: its `locks` are removed.
    results
        The results folder: half-written files in it are removed.

    Returns
    -------
    Whether no other run was at work.
    """
    try:
        records.mkdir(parents=True, exist_ok=True)
        lock = (records / _LOCK).open("ab")
    except OSError:  # read-only: Snakemake says so itself
        return False
    alone = _locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if alone:
        shutil.rmtree(records / "locks", ignore_errors=True)
        for left in results.rglob(f"{TEMPORARY[0]}*{TEMPORARY[1]}"):
            left.unlink(missing_ok=True)
    # Shared, so that several runs are at work at a time; until a run has it, it has set no marks of its own.
    if _locked(lock, fcntl.LOCK_SH):
        _held.append(lock)
    return alone


def release() -> None:
    """Count as a run at work no longer; the end of the process does the same."""
    while _held:
        _held.pop().close()


def _locked(file: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(file, kind)
    except OSError:
        return False
    return True
