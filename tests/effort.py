"""Which tests are quick (`make check`), and how long a choice of tests will take: the one place for both.

Times are processor time, as `--durations` and the times of child processes had it on one core of 2 GHz: they hold on a
busy machine too.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping

from avpretext.progress import duration

SLOW_S: Mapping[str, float] = {}
"""Processor time of the files that take more than a few seconds; they are not among the quick tests."""

WORKFLOW = "tests/workflow/"
"""Tests of this folder start Snakemake: none of them is quick."""

EACH_S, EACH_OF_WORKFLOW_S = 0.06, 3.0
"""Mean processor time of a test of the other files, and of one of `WORKFLOW`."""

START_S = 15
"""What starting and collecting takes in each process."""


def is_quick(file: str) -> bool:
    """Tell whether the tests of a file are quick; its name is relative to the repository."""
    return file not in SLOW_S and not file.startswith(WORKFLOW)


def announced(nodeids: Iterable[str], processes: int) -> str:
    """Return how many tests these are and about how many minutes they take on this machine, if it is idle.

    >>> announced(["tests/test_a.py::test_b"] * 1000, processes=1)
    '1,000 tests, about 1 min 15 s on 1 idle core'
    """
    count = Counter(nodeid.partition("::")[0] for nodeid in nodeids)
    busy = min(processes, cores())
    seconds = START_S + sum(_seconds(file, tests) for file, tests in count.items()) / busy
    took, plural = duration(5 * round(seconds / 5)), "s" if busy > 1 else ""
    return f"{count.total():,} tests, about {took} on {busy} idle core{plural}"


def _seconds(file: str, tests: int) -> float:
    if file in SLOW_S:
        return SLOW_S[file]
    return tests * (EACH_OF_WORKFLOW_S if file.startswith(WORKFLOW) else EACH_S)


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
