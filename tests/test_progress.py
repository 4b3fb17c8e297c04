"""Progress: what a stage says of itself, and how it is read back from its log."""

import io
import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from avpretext import progress as telling
from avpretext.pool import ordered_map
from avpretext.progress import describe, duration, last_progress, progress

T = TypeVar("T")


def test_items_pass_through_and_the_end_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter("abc"), total=3, label="speech demo/0001")) == ["a", "b", "c"]
    assert "speech demo/0001: 3/3 clips" in capsys.readouterr().err


def test_no_item_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress([], total=0, label="speech demo/0001")) == []
    assert "0/0 clips" in capsys.readouterr().err


def test_the_time_left_is_what_the_rate_gives() -> None:
    assert describe("s", 50, 200, "clips", 10.0).endswith("5.0 clips/s, 30 s left")
    assert describe("s", 50, 200, "runs", 10.0, at_most=True).endswith("5.0 runs/s, at most 30 s left")
    assert duration(59.6) == "1 min 00 s"


def test_the_last_line_of_progress_is_read_from_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_progress(log) is None
    log.write_text("a warning: nothing\n" + describe("speech demo/0001", 5, 20, "clips", 2.0) + "\nanother line\n")
    assert last_progress(log) == "5/20 clips, 2.5 clips/s, 6 s left"


@pytest.mark.parametrize(
    ("done", "total", "unit", "elapsed_s", "line"),
    [
        (2, 16, "runs", 1500.0, "2/16 runs, 12 min 30 s each, 2 h 55 min left"),
        (7, 20, "clips", 10.0, "7/20 clips, 42 clips/min, 19 s left"),
        (2000, 8000, "clips", 10.0, "2000/8000 clips, 200 clips/s, 30 s left"),
        (30.4, 120.0, "min", 30.4, "30/120 min, 60 times real time, 1 min 30 s left"),
        (30.4, None, "min", 30.4, "30 min, 60 times real time, unknown time left"),
        (16, 16, "runs", 12000.0, "16/16 runs, 12 min 30 s each, done in 3 h 20 min"),
        (0, 16, "runs", 5.0, "0/16 runs, unknown time left"),
        (0, 0, "clips", 0.0, "0/0 clips, done in 0 s"),
    ],
)
def test_slow_work_and_work_without_an_end_are_told_and_read_back(
    tmp_path: Path, done: float, total: float | None, unit: str, elapsed_s: float, line: str
) -> None:
    log = tmp_path / "log"
    log.write_text(describe("finetune demo", done, total, unit, elapsed_s) + "\n")
    assert last_progress(log) == line


def test_a_part_of_the_work_is_named(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(describe("pretrain mean/energy, epoch 3", 120, 3438, "batches", 60.0) + "\n")
    assert last_progress(log) == "epoch 3: 120/3438 batches, 2.0 batches/s, 27 min 39 s left"


class Clock:
    """Stands in for `time`: it goes on where work takes time."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def passed(self, items: Iterable[T], each_s: float) -> Iterator[T]:
        """Yield items that take so long each."""
        for item in items:
            self.now_s += each_s
            yield item


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(telling, "time", found)
    monkeypatch.setattr(telling, "_wholes", [])
    monkeypatch.setattr(telling, "_of_thread", threading.local())
    return found


def test_a_part_without_a_whole_is_silent_unless_it_takes_long(
    capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    parts: Any = {"total": 120.0, "unit": "min", "label": "segment, talk.mp4", "size": lambda _: 40.0, "within": True}
    assert list(progress(clock.passed("abc", 1), **parts)) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    assert list(progress(clock.passed("abc", 20), **parts)) == ["a", "b", "c"]
    assert capsys.readouterr().err.splitlines() == [
        "segment, talk.mp4: 40/120 min, 120 times real time, 40 s left",
        "segment, talk.mp4: 80/120 min, 120 times real time, 20 s left",
    ]


def test_a_clip_of_less_than_a_minute_is_named_without_minutes(
    capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    for name in progress(clock.passed(("a.mp4", "b.mp4"), 20), total=2, label="watch mine"):
        pieces: Any = {"total": 0.05, "unit": "min", "label": f"watch: {name}", "size": lambda _: 0.025, "within": True}
        list(progress(clock.passed(range(2), 10), **pieces))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("left; a.mp4")
    assert not any("0/0 min" in line for line in lines)


def test_batches_and_epochs_tell_the_time_left_of_all_runs_in_the_first_minute(
    capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    """Four runs of two epochs of 90 batches, each of 20 s: four hours."""
    for run in progress(range(4), total=4, unit="runs", label="finetune acted"):
        where = f"finetune: fold 0, seed {run}"
        for epoch in progress(range(2), total=2, unit="epochs", label=where, within=True):
            label = f"{where}, epoch {epoch + 1}"
            list(progress(clock.passed(range(90), 20), total=90, unit="batches", label=label, within=True))
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [
        "finetune acted: 0/4 runs, unknown time left; fold 0, seed 0, epoch 1: 1/90 batches",
        "finetune acted: 0/4 runs, 1 h 00 min each, 3 h 59 min left; fold 0, seed 0, epoch 1: 2/90 batches",
    ]
    middle = "finetune acted: 2/4 runs, 1 h 00 min each, 2 h 00 min left"
    assert middle in [line.partition(";")[0] for line in lines]
    assert lines[-1] == "finetune acted: 4/4 runs, 1 h 00 min each, done in 4 h 00 min"
    assert len(lines) < 200


def test_what_comes_before_the_first_item_is_no_part_of_the_rate(
    capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    """A minute of reading, then ten runs of six seconds."""

    def runs() -> Iterator[int]:
        clock.now_s += 60
        yield from clock.passed(range(10), 6)

    list(progress(runs(), total=10, unit="runs", label="pretrain"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [
        "pretrain: 1/10 runs, 1 min 06 s each, 9 min 54 s left",
        "pretrain: 2/10 runs, 10 runs/min, 48 s left",
    ]
    assert lines[-1].endswith("done in 2 min 00 s")


def test_what_an_earlier_job_did_counts_for_no_rate(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    """Two runs were done; half of the third too, whose other five epochs take a minute each."""
    for run in progress(range(4), total=4, unit="runs", label="finetune acted"):
        if run < 2:
            telling.note_done_before()
            continue
        epochs = range(5 if run == 2 else 0, 10)
        parts: Any = {"total": 10, "unit": "epochs", "label": "finetune: fold 0", "within": True, "before": epochs[0]}
        list(progress(clock.passed(epochs, 60), **parts))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "finetune acted: 2/4 runs, 10 min 00 s each, 14 min 00 s left; fold 0: 6/10 epochs"
    assert lines[-1] == "finetune acted: 4/4 runs, 10 min 00 s each, done in 15 min 00 s"


def test_parts_in_threads_count_towards_the_whole(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    def decode(name: str) -> str:
        list(progress(clock.passed(range(4), 30), total=4, unit="min", label=f"ffmpeg, {name}", within=True))
        return name

    assert list(progress(ordered_map(decode, ["a.mp4", "b.mp4"], 2), total=2, label="split mine/0000")) == [
        "a.mp4",
        "b.mp4",
    ]
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("split mine/0000: ") and "each" in line for line in lines)
    assert any(re.search(r"0/2 clips, .* left; [ab].mp4: \d/4 min$", line) for line in lines)


def test_quiet_work_is_told_to_its_end_if_it_is_long(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    list(progress(clock.passed("ab", 1), total=2, label="training data", quiet=True))
    assert capsys.readouterr().err == ""
    list(progress(clock.passed("ab", 10), total=2, label="training data", quiet=True))
    assert capsys.readouterr().err.splitlines() == [
        "training data: 1/2 clips, 6.0 clips/min, 10 s left",
        "training data: 2/2 clips, 6.0 clips/min, done in 20 s",
    ]


def test_a_log_of_days_has_few_lines(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    list(progress(clock.passed(range(100_000), 1.5), total=100_000, label="encoder mine/0000"))
    assert len(capsys.readouterr().err.splitlines()) < 800


def test_a_line_is_cut_to_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(telling.sys, "stderr", written)
    monkeypatch.setenv("COLUMNS", "20")
    telling.show("speech demo/0001: 5/20 clips, 2.5 clips/s", live=True, end="")
    assert written.getvalue() == "\r\x1b[2Kspeech demo/0001: 5"
