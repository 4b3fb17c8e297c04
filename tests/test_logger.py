"""The workflow's display: what it makes of Snakemake's records, and of the logs of the jobs."""

import io
import logging
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from snakemake_interface_logger_plugins.common import LogEvent

from avpretext.progress import describe
from snakemake_logger_plugin_avpretext import ahead, events
from snakemake_logger_plugin_avpretext.ahead import Ahead, Seconds
from snakemake_logger_plugin_avpretext.display import Board, Job, LiveDisplay
from snakemake_logger_plugin_avpretext.events import EventReader


def record(event: LogEvent | None, message: str = "", level: int = logging.INFO, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("snakemake", level, "", 0, message, None, None)
    made.__dict__.update(event=event, **fields)
    return made


@pytest.fixture(autouse=True)
def no_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line of the tests tells no number of cores."""
    monkeypatch.setattr(events.sys, "argv", ["snakemake"])


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


def planned(rule: str, reason: str, **fields: Any) -> logging.LogRecord:
    fields = {"wildcards": {}, "log": [], "rule_msg": f"{rule} demo/0001: Measure it.", **fields}
    return record(LogEvent.JOB_INFO, jobid=1, rule_name=rule, reason=reason, **fields)


MISSING = "Missing output files: results/a, results/b, results/c"
PARAMS = "Params have changed since last execution: before: 1 now: 2; Input files updated by another job: results/d"
COUNTS = record(LogEvent.RUN_INFO, stats={"motion": 3, "total": 3})


def test_a_dry_run_has_a_line_for_each_rule_without_paths() -> None:
    shards = [{"corpus": "demo", "shard": f"000{number}"} for number in range(3)]
    motion = [planned("motion", why, wildcards=at) for why, at in zip((MISSING, PARAMS, MISSING), shards, strict=True)]
    report = planned("report", PARAMS, threads=2)
    lines = shown(COUNTS, motion[0], report, *motion[1:], COUNTS, dry_run=True).splitlines()
    assert lines[:2] == [
        "would run motion 3 jobs: 2 not made yet, 1 other options. Measure it. [demo/0000 and 2 more]",
        "would run report 1 job, 2 threads: other options. Measure it.",
    ]
    assert lines[2].startswith("Jobs to run: 4; no estimate of time")


def test_a_dry_run_estimates_its_time_by_benchmarks_of_earlier_runs(tmp_path: Path) -> None:
    def benchmark(name: str, seconds: float | None) -> str:
        file = tmp_path / "benchmarks" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if seconds is not None:
            file.write_text(f"s\th:m:s\n{seconds}\t0:00:00\n")
        return str(file)

    run_before = planned("speech", PARAMS, benchmark=benchmark("demo/speech/0000.tsv", 100.0))
    like_it = planned("speech", MISSING, benchmark=benchmark("demo/speech/0001.tsv", None))
    of_another_corpus = planned("speech", MISSING, benchmark=benchmark("mine/speech/0000.tsv", None))
    never = planned("film", MISSING, benchmark=benchmark("mine/film/all.tsv", None))
    text = shown(run_before, like_it, of_another_corpus, never, COUNTS, dry_run=True)
    estimate = "Jobs to run: 4; about 5 min 00 s one after another, by the benchmarks of earlier runs"
    assert text.splitlines()[-1] == f"{estimate}; not counting film"


def test_a_dry_run_estimates_by_rates_what_was_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "rate", lambda rule, wildcards: {"watch": 240.0}.get(rule))
    watch, film = (planned(rule, MISSING, benchmark=str(tmp_path / f"{rule}.tsv")) for rule in ("watch", "film"))
    text = shown(watch, film, COUNTS, dry_run=True)
    estimate = "about 4 min 00 s one after another, by rates of another machine (docs/limits.md); not counting film"
    assert text.splitlines()[-1] == f"Jobs to run: 2; {estimate}"


def test_the_rest_of_a_run_takes_as_long_as_expected_at_its_own_pace() -> None:
    jobs = Ahead({1: Seconds(540.0), 2: Seconds(600.0), 3: Seconds(1200.0, by_rate=True), 4: Seconds(None)}, 2)
    assert jobs.left_s({}) == (1200.0, True)
    assert jobs.left_s({1: 100.0, 3: 900.0}) == ((440.0 + 600.0 + 300.0) / 2, True)
    jobs.ended(4, 5.0)
    jobs.ended(1, 1140.0)
    # It took 1140 s for 540 s: (1140 + 60) / (540 + 60) = 2.
    assert jobs.left_s({}) == (2400.0, False)
    assert jobs.left_s({3: 2300.0}) == (1200.0, False)
    assert jobs.left_s({2: 1300.0, 3: 2300.0}) == (100.0, False), "a job above its expected time needs no more"
    jobs.ended(2, 1300.0)
    jobs.ended(3, 2400.0)
    assert jobs.left_s({}) == (0.0, False)


def test_a_job_that_ends_shows_how_long_the_rest_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "ahead", Ahead({7: Seconds(60.0), 8: Seconds(60.0)}, 1))
    finished = record(LogEvent.JOB_FINISHED, job_id=7)
    text = shown(record(LogEvent.RUN_INFO, stats={"speech": 2, "total": 2}), STARTED, finished)
    # It ended at once: (0 + 60) / (60 + 60) of what was expected.
    assert text.splitlines()[-1].endswith(", about 30 s left")


def test_a_mistake_that_a_rule_finds_is_one_line() -> None:
    said = "InputFunctionException in rule folds:\nError:\n  WorkflowError:\n    too few; add some\nWildcards:\n  x=1"
    assert shown(record(None, f"{said}\nTraceback:\n  File", logging.ERROR)) == "avpretext: error: too few; add some\n"


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


@pytest.mark.parametrize(("width", "lines"), [(80, 3), (200, 2)])
def test_a_running_job_is_whole_in_narrow_and_in_wide_terminals(tmp_path: Path, width: int, lines: int) -> None:
    log = tmp_path / "log"
    part = "fold 0, seed 0, epoch 3: 120/3438 batches"
    log.write_text(describe("finetune acted", 0.1, 16, "runs", 75.0, part=part) + "\n")
    display = LiveDisplay(Console(file=(output := io.StringIO()), width=width))
    display.total(1)
    display.stop()
    display.started(1, Job("finetune demo_labelled/acted.speaker_kfold/base.mean/scratch", log))
    output.seek(0)
    output.truncate()
    display.console.print(display._render())
    shown = output.getvalue().splitlines()
    assert len(shown) == lines
    assert "/base.mean/scratch" in shown[1]
    assert "0/16 runs, 12 min 30 s each, 3 h 18 min left; fold 0, " in shown[-1]
    assert max(map(len, shown)) <= width
