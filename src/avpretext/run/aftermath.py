"""What a killed run leaves behind: Snakemake's marks and half-written files, removed when the next run starts.

Snakemake marks its folder as locked with files, which outlive a run that is killed: the next one would refuse to start
and ask for `--unlock`. `tidy` therefore keeps a lock that the operating system drops with the process, however that
ends. Where nobody else holds it, the marks are a dead run's.
"""

import time
from pathlib import Path
from typing import IO

from avpretext import locks
from avpretext.shards import TEMPORARY

ABANDONED_S = 86_400.0
"""A half-written file of another machine, whose lock may not be seen from here, counts as left after so long."""

_OPENED_S = 60.0
"""A process that has made a file and not locked it yet has it locked by then."""

_LOCK = "avpretext.lock"
_held: list[IO[bytes]] = []


def tidy(records: Path, results: Path) -> bool:
    """Remove what killed runs left; from now on this process counts as a run at work. Return whether no other run was.

    Of `records`, Snakemake's own folder `.snakemake`, what is in `locks` is removed, if no other run is at work; of
    `results` the half-written files that no process may still write. Runs with other results folders may work side by
    side in one working directory: then Snakemake's marks stay, and decide. So they do where the file system knows no
    locks.
    """
    for left in results.rglob(f"{TEMPORARY[0]}*{TEMPORARY[1]}"):
        if is_abandoned(left):
            left.unlink(missing_ok=True)
    try:
        records.mkdir(parents=True, exist_ok=True)
        lock = (records / _LOCK).open("ab")
    except OSError:  # read-only: Snakemake says so itself
        return False
    alone = locks.hold(lock) is True
    if alone:
        for mark in (records / "locks").glob("*"):
            mark.unlink(missing_ok=True)
    # Shared, so that several runs are at work at a time; until a run has it, it has set no marks of its own.
    if locks.hold(lock, shared=True):
        _held.append(lock)
    return alone


def is_abandoned(path: Path) -> bool:
    """Tell whether no process writes a half-written file any more; one that cannot be asked has a day."""
    held = locks.is_held(path)
    try:
        age_s = time.time() - path.stat().st_mtime
    except OSError:
        return False
    host, _, rest = path.name.removeprefix(TEMPORARY[0]).partition("-")
    pid = rest.partition("-")[0]
    if held or host != locks.host() or not pid.isdigit():
        return not held and age_s > ABANDONED_S
    return not (locks.is_alive(int(pid)) and (held is None or age_s < _OPENED_S))
