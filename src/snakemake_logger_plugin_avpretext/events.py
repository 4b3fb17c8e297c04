"""Snakemake's log records to what a display shows."""

import contextlib
import logging
import re
import sys
from collections.abc import Callable
from logging import LogRecord
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_avpretext.ahead import Ahead
from snakemake_logger_plugin_avpretext.display import Board, Job
from snakemake_logger_plugin_avpretext.dry_run import DryRun, cores_of

LOG_LINES = 15
NOISE = re.compile(
    r"^(Select jobs to execute|Assuming unrestricted|Using shell:|host:|Provided cores|Rules claiming more threads|"
    r"Execute \d+ jobs|Building DAG|Activating conda|Using workflow specific profile|Complete log|Config file|"
    r"Job stats|Conda environments: ignored|Singularity|Using profile|None$|Reasons:|Finished job|"
    r"Storing |Finished upload|Retrieving |Finished retrieval|Removing local copy|Uploading source archive|"
    r"Submitted job|Removing temporary output|Touching output|Some jobs were triggered by provenance|"
    r"\s*\d+ jobs have missing prov)"
)

_OF_FUNCTION = re.compile(r"InputFunctionException in .*?\n *WorkflowError:\n(.*?)\nWildcards:", re.DOTALL)
_OF_RULES = re.compile(r'WorkflowError in file "[^"\n]*/rules/common.smk", line \d+:\n(.*?)(?:\n  File |\Z)', re.DOTALL)

located: Callable[[str], Path] = Path
"""Returns where a log is, or will be, from what Snakemake's records call it."""

fetch: Callable[[Path], object] = Path.exists
"""Called with the log of a failed job, which may be in a bucket: it brings the log here."""

ahead: Ahead | None = None
"""The jobs of the run; set by the workflow when they are known."""


class EventReader:
    """Turn log records into calls of a display.

    Parameters
    ----------
    display
        Where things are shown.
    dry_run
        True: the jobs are gathered, and shown rule by rule when all are known; see `finish`.
    """

    def __init__(self, display: Board, dry_run: bool) -> None:
        self.display = display
        self._planned = DryRun(cores_of(sys.argv)) if dry_run else None

    def read(self, record: LogRecord) -> None:
        """Show one record."""
        event = getattr(record, "event", None)
        reader = {
            LogEvent.RUN_INFO: self._run_info,
            LogEvent.JOB_INFO: self._job_info,
            LogEvent.JOB_FINISHED: self._job_finished,
            LogEvent.JOB_ERROR: self._job_error,
            LogEvent.ERROR: self._message,
            None: self._message,
        }.get(event)
        if reader:
            reader(record)

    def _run_info(self, record: LogRecord) -> None:
        counts: dict[str, int] = dict(getattr(record, "stats", {}) or {})
        total = counts.pop("total", sum(counts.values()))
        if self._planned is None:
            self.display.total(total)
        else:
            self.finish()  # a dry run counts its jobs before and after it names them

    def finish(self) -> None:
        """Show what a dry run has gathered."""
        for line in self._planned.lines() if self._planned else ():
            self.display.say(line)

    def _job_info(self, record: LogRecord) -> None:
        name = job_name(record)
        if self._planned is not None:
            benchmark = getattr(record, "benchmark", None)
            self._planned.add(record, asks(record), located(benchmark) if benchmark else None)
            return
        logs = [located(path) for path in getattr(record, "log", None) or []]
        self.display.started(int(record.jobid), Job(name, logs[0] if logs else None))  # type: ignore[attr-defined]

    def _job_finished(self, record: LogRecord) -> None:
        self.display.ahead = ahead
        self.display.finished(int(record.job_id))  # type: ignore[attr-defined]

    def _job_error(self, record: LogRecord) -> None:
        job = self.display.failed(int(getattr(record, "jobid", -1)))
        if job is None:
            return
        self.display.say(f"FAILED {job.name}", "bold red")
        if job.log:
            with contextlib.suppress(Exception):  # a bucket out of reach must not hide the failure
                fetch(job.log)
        if job.log and job.log.is_file():
            lines = job.log.read_text("utf-8", "replace").splitlines()
            mistake = [line for line in lines if line.startswith("avpretext: error:")]
            for line in mistake[-1:] or lines[-LOG_LINES:]:
                self.display.say(f"  {line}", "red" if mistake else "")
            self.display.say(f"  whole log: {job.log}")

    def _message(self, record: LogRecord) -> None:
        message = record.getMessage()
        if NOISE.match(message) and record.levelno < logging.WARNING:
            return
        if "RuleException" in message or message.startswith("Error in rule"):
            return  # said already, shorter, by the job's own error
        message = mistake_in(message)
        style = {logging.ERROR: "red", logging.WARNING: "yellow"}.get(record.levelno, "")
        self.display.say(message, style)


def mistake_in(message: str) -> str:
    """Return the user's mistake that a function of ours found, without the rule and the traceback; others as is.

    >>> mistake_in("InputFunctionException in rule a:\\nError:\\n  WorkflowError:\\n    too few\\nWildcards:\\n  x=1")
    'avpretext: error: too few'
    >>> mistake_in('WorkflowError in file "/a/rules/common.smk", line 64:\\ntoo few\\n  File "b", line 3, in c')
    'avpretext: error: too few'
    """
    found = _OF_FUNCTION.match(message) or _OF_RULES.match(message)
    return "avpretext: error: " + "\n".join(map(str.strip, found[1].splitlines())) if found else message


def asks(record: Any) -> str:
    """Return what a job asks a cluster for beyond a core, e.g. `, 2 threads, 1 GPU`; nothing for what is usual."""
    gpus = dict(getattr(record, "resources", None) or {}).get("gpu", 0)
    parts = [(int(getattr(record, "threads", 1)), 1, "threads"), (gpus, 0, "GPU")]
    return "".join(f", {count} {what}" for count, usual, what in parts if count != usual)


def job_name(record: Any) -> str:
    """Return rule and wildcards as the stage itself names its work, e.g. `speech demo/0001`."""
    wildcards = getattr(record, "wildcards", None) or {}
    rule = str(getattr(record, "rule_name", "job"))
    return " ".join([rule, "/".join(str(value) for value in dict(wildcards).values())]).strip()
