"""The workflow's display: what it makes of Snakemake's records, and of the logs of the jobs."""

import io
import logging
from pathlib import Path
from typing import Any

from rich.console import Console
from snakemake_interface_logger_plugins.common import LogEvent

from avpretext.progress import describe
from snakemake_logger_plugin_avpretext.display import Board, Job
from snakemake_logger_plugin_avpretext.events import EventReader


def record(event: LogEvent | None, message: str = "", level: int = logging.INFO, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("snakemake", level, "", 0, message, None, None)
    made.__dict__.update(event=event, **fields)
    return made


def shown(*records: logging.LogRecord, dry_run: bool = False) -> str:
    output = io.StringIO()
    reader = EventReader(Board(Console(file=output, width=200)), dry_run)
    for entry in records:
        reader.read(entry)
    return output.getvalue()


STARTED = record(LogEvent.JOB_INFO, jobid=7, rule_name="speech", wildcards={"corpus": "demo", "shard": "0001"}, log=[])


def test_a_job_that_ends_is_counted() -> None:
    finished = record(LogEvent.JOB_FINISHED, job_id=7)
    text = shown(record(LogEvent.RUN_INFO, stats={"speech": 12, "total": 12}), STARTED, finished)
    assert text.startswith("[ 1/12] speech demo/0001: done in ")


def test_a_failure_shows_the_users_mistake_and_where_the_log_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("speech: 1/2 clips\navpretext: error: no such file; mend it\n")
    started = record(LogEvent.JOB_INFO, jobid=1, rule_name="speech", wildcards={}, log=[str(log)])
    text = shown(started, record(LogEvent.JOB_ERROR, jobid=1))
    assert "FAILED speech" in text
    assert "avpretext: error: no such file; mend it" in text
    assert "1/2 clips" not in text
    assert str(log) in text.replace("\n", "")


def test_a_dry_run_lists_jobs_with_their_reason() -> None:
    entry = record(LogEvent.JOB_INFO, jobid=1, rule_name="motion", wildcards={}, log=[], reason="Params have changed")
    assert shown(entry, dry_run=True) == "would run motion: Params have changed\n"


def test_chatter_is_left_out_and_warnings_are_not() -> None:
    text = shown(
        record(None, "Building DAG of jobs..."),
        record(None, "Nothing to be done."),
        record(None, "Building failed", logging.WARNING),
    )
    assert text == "Nothing to be done.\nBuilding failed\n"


def test_how_far_a_running_job_is_comes_from_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    job = Job("speech demo/0001", log)
    assert job.progress().startswith("running for")
    log.write_text(describe("speech demo/0001", 5, 20, "clips", 2.0) + "\n")
    assert job.progress() == "5/20 clips, 2.5 clips/s, 6 s left"
