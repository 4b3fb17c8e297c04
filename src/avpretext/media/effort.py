"""What a process and its children have done so far: processor time, and whether anything moves.

A clock on the wall would count the time in which a job is suspended, its processor is given to others, or a network
disk does not answer.
"""

import os
import time
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_ASLEEP = frozenset("SIZX")
"""States of a thread that neither computes, nor waits for a processor or a disk, nor is stopped (proc(5))."""

POLL_S = 0.5
"""Time between two looks. A longer one is one in which this process was suspended too, and is not counted."""


class Effort:
    """What a process uses, from look to look; without /proc, the time between looks is all that is known."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._last_s = time.monotonic()
        self._moved = -1
        self.cpu_s = 0.0
        """Processor time of the process and its children."""
        self.stalled_s = 0.0
        """Time since a byte was last read or written, in which all of them were asleep."""

    def look(self) -> None:
        """Bring both up to date."""
        now_s = time.monotonic()
        passed_s, self._last_s = min(now_s - self._last_s, 2 * POLL_S), now_s
        if not _PROC.joinpath(str(self._process)).exists():
            self.stalled_s += 0.0 if _PROC.joinpath("self").exists() else passed_s
            return
        family = _family(self._process)
        cpu_s, moved = max(self.cpu_s, sum(map(_cpu_s, family))), sum(map(_moved, family))
        worked, self.cpu_s = cpu_s > self.cpu_s, cpu_s
        if moved != self._moved:
            self._moved, self.stalled_s = moved, 0.0
        elif not worked and all(map(_is_asleep, family)):
            self.stalled_s += passed_s


def _family(process: int) -> list[int]:
    """Return a process and its children, and theirs."""
    found = [process]
    for one in found:
        for children in _PROC.glob(f"{one}/task/*/children"):
            found += map(int, _text(children).split())
    return found


def _fields(file: Path) -> list[str]:
    """Return what follows the name in a `stat` file, from the state on (proc(5))."""
    return _text(file).rpartition(")")[2].split()


def _cpu_s(process: int) -> float:
    fields = _fields(_PROC / str(process) / "stat")
    return sum(map(int, fields[11:15])) / _TICKS_PER_S


def _moved(process: int) -> int:
    return sum(int(line.split()[1]) for line in _text(_PROC / str(process) / "io").splitlines()[:2])


def _is_asleep(process: int) -> bool:
    states = [_fields(thread)[:1] for thread in _PROC.glob(f"{process}/task/*/stat")]
    return all(state[0] in _ASLEEP for state in states if state)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:  # it has ended meanwhile
        return ""
