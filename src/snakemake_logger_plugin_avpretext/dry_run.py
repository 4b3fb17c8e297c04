"""What a dry run shows: a line for each rule that would run, then the number of jobs and how long they may take."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avpretext.progress import duration
from snakemake_logger_plugin_avpretext.ahead import Seconds, on_the_clock, seconds_of

AFTER = "after other jobs"
WHY = {
    "Missing output files": "not made yet",
    "Incomplete output files": "not finished",
    "Updated input files": "newer input",
    "Input files updated by another job": AFTER,
    "Params have changed since last execution": "other options",
    "Set of input files has changed since last execution": "other inputs",
    "Code has changed since last execution": "other code",
    "Software environment definition has changed since last execution": "other environment",
    "Forced execution": "made again",
}
"""Words for Snakemake's reasons; those for others are Snakemake's own."""

BY = {False: "the benchmarks of earlier runs", True: "rates of another machine (docs/limits.md)"}
"""What an estimate of time rests on: benchmarks, or rates."""


@dataclass
class PlannedRule:
    """The jobs of a rule: why each runs, how much it asks for, how long it may take.

    `first` are the wildcards of one of them.
    """

    what: str
    first: str = ""
    reasons: list[str] = field(default_factory=list)
    asks: str = ""
    seconds: list[Seconds] = field(default_factory=list)


class DryRun:
    """The jobs that would run, gathered rule by rule; `cores` is None if the number is not known."""

    def __init__(self, cores: int | None) -> None:
        self.rules: dict[str, PlannedRule] = {}
        self._cores = cores

    def add(self, record: Any, asks: str, benchmark: Path | None) -> None:
        """Note a job; `benchmark` is where its time is written, and may be written already."""
        what = str(getattr(record, "rule_msg", None) or "").partition(": ")[2]
        wildcards = dict(getattr(record, "wildcards", None) or {})
        first = "/".join(map(str, wildcards.values()))
        rule = self.rules.setdefault(str(record.rule_name), PlannedRule(what, first))
        rule.reasons.append(why(str(getattr(record, "reason", "") or "")))
        rule.asks = max(rule.asks, asks, key=len)
        rule.seconds.append(seconds_of(str(record.rule_name), wildcards, benchmark))

    def lines(self) -> Iterator[str]:
        """Yield what is to be printed; nothing if no job would run. The next dry run begins anew."""
        rules, self.rules = self.rules, {}
        width = max(map(len, rules), default=0)
        digits = len(str(max((len(rule.reasons) for rule in rules.values()), default=0)))
        for name, rule in rules.items():
            count = len(rule.reasons)
            jobs = f"{count:>{digits}} {'job' if count == 1 else 'jobs'}"
            what = f". {rule.what}" if rule.what else ""
            more = f" and {count - 1} more" if count > 1 else ""
            which = f" [{rule.first}{more}]" if rule.first else ""
            yield f"would run {name:<{width}} {jobs}{rule.asks}: {_together(rule.reasons)}{what}{which}"
        if rules:
            yield self._sum(rules)

    def _sum(self, rules: dict[str, PlannedRule]) -> str:
        jobs = [job for rule in rules.values() for job in rule.seconds]
        known = [job.seconds for job in jobs if job.seconds is not None]
        total = f"Jobs to run: {len(jobs)}"
        if not any(known):
            return f"{total}; no estimate of time: nothing like these jobs was timed"
        cores = self._cores or 1
        where = f"on {cores} cores" if cores > 1 else "one after another"
        timed = {job.by_rate for job in jobs if job.seconds}
        by = " and ".join(BY[by_rate] for by_rate in sorted(timed))
        unknown = [name for name, rule in rules.items() if any(job.seconds is None for job in rule.seconds)]
        without = f"; not counting {', '.join(unknown)}" if unknown else ""
        return f"{total}; about {duration(on_the_clock(known, cores))} {where}, by {by}{without}"


def _together(reasons: Sequence[str]) -> str:
    """Return the reasons of several jobs; counted where they differ.

    >>> _together(["not made yet", "not made yet"]), _together(["not made yet", "other options", "other options"])
    ('not made yet', '2 other options, 1 not made yet')
    """
    counts = Counter(reasons).most_common()
    return counts[0][0] if len(counts) == 1 else ", ".join(f"{count} {reason}" for reason, count in counts)


def why(reason: str) -> str:
    """Return why a job runs, in a few words; that others run before it counts only if there is no other reason.

    >>> why("Missing output files: a, b; Input files updated by another job: c")
    'not made yet'
    >>> why("Input files updated by another job: c; Params have changed since last execution: before: 1")
    'other options'
    """
    found = [text for start, text in WHY.items() if start in reason]
    causes = [text for text in found if text != AFTER] or found
    return " and ".join(dict.fromkeys(causes)) or reason.partition(":")[0] or "needed"


def cores_of(arguments: Sequence[str]) -> int | None:
    """Return the number of cores on Snakemake's command line; None if it is not there.

    >>> cores_of(["--cores", "8", "-n"]), cores_of(["-c4"]), cores_of(["-n"])
    (8, 4, None)
    """
    found = re.search(r"(?:^|\0)(?:--cores|-c|--jobs|-j)[\0=]?(\d+|all)(?:\0|$)", "\0".join(arguments))
    if found is None:
        return None
    return os.cpu_count() if found[1] == "all" else int(found[1])
