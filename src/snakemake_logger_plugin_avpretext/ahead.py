"""How long jobs may take: each by its benchmark of an earlier run, else by those of jobs like it, else by a rate."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

rate: Callable[[str, Mapping[str, str]], float | None] | None = None
"""Returns the processor seconds of a job of a rule that rates tell; set by the workflow."""

SETTLING_S = 60.0
"""So many seconds of a run count as if its jobs took as long as expected, so that its first jobs do not decide."""


class Seconds(NamedTuple):
    """How long a job may take, None if nothing tells it; and whether a rate tells it, not a benchmark."""

    seconds: float | None
    by_rate: bool = False


def seconds_of(rule: str, wildcards: Mapping[str, str], benchmark: Path | None) -> Seconds:
    """Return how long a job may take; without a benchmark it is a target, which takes no time."""
    if benchmark is None:
        return Seconds(0.0)
    own = _seconds(benchmark)
    known = own if own is not None else _mean(benchmark.parent)
    if known is not None or rate is None:
        return Seconds(known)
    return Seconds(rate(rule, wildcards), by_rate=True)


def _seconds(benchmark: Path) -> float | None:
    """Return the first number below the header of a benchmark file of Snakemake: seconds."""
    try:
        return float(benchmark.read_text("utf-8").splitlines()[1].split("\t")[0])
    except (OSError, IndexError, ValueError):
        return None


@functools.cache
def _mean(folder: Path) -> float | None:
    """Return the mean over the benchmarks in a folder, or in that of the same stage of other corpora."""
    depth = next((depth for depth, parent in enumerate(folder.parents) if parent.name == "benchmarks"), None)
    files = list(folder.glob("*.tsv"))
    if not files and depth is not None:
        stage = folder.relative_to(folder.parents[depth]).parts[1:2]
        files = [file for place in stage for file in folder.parents[depth].glob(f"*/{place}/**/*.tsv")]
    known = [seconds for file in files if (seconds := _seconds(file)) is not None]
    return sum(known) / len(known) if known else None


def on_the_clock(seconds: list[float], cores: int) -> float:
    """Return how long jobs take that share so many cores, in seconds."""
    return max(sum(seconds) / cores, max(seconds, default=0.0))


class Ahead:
    """The jobs that a run has before it, by their number; jobs of unknown time count as none."""

    def __init__(self, jobs: Mapping[int, Seconds], cores: int) -> None:
        self._cores = cores
        self._left = {job: found.seconds for job, found in jobs.items() if found.seconds is not None}
        self._unknown = {job for job, found in jobs.items() if found.seconds is None}
        self._expected_s = self._took_s = SETTLING_S

    def ended(self, job: int, took_s: float) -> None:
        """Note that a job ended, and how long it took."""
        self._unknown.discard(job)
        if expected_s := self._left.pop(job, None):
            self._expected_s += expected_s
            self._took_s += took_s

    def left_s(self, running_s: Mapping[int, float]) -> tuple[float, bool]:
        """Return the seconds that are left, and whether it may be more.

        `running_s` are the jobs at work, and for how long. Jobs to come are expected to be as much slower or faster as
        those that ended.
        """
        pace = self._took_s / self._expected_s
        left = [max(0.0, pace * seconds - running_s.get(job, 0.0)) for job, seconds in self._left.items()]
        return on_the_clock(left, self._cores), bool(self._unknown)
