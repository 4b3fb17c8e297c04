"""Progress: what a stage says of itself, and how it is read back from its log."""

from pathlib import Path

import pytest

from avpretext import progress as telling
from avpretext.progress import describe, duration, last_progress, progress


def test_items_pass_through_and_the_end_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter("abc"), total=3, label="speech demo/0001")) == ["a", "b", "c"]
    assert "speech demo/0001: 3/3 clips" in capsys.readouterr().err


def test_no_item_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress([], total=0, label="speech demo/0001")) == []
    assert "0/0 clips" in capsys.readouterr().err


def test_the_time_left_is_what_the_rate_gives() -> None:
    assert describe("s", 50, 200, "clips", 10.0).endswith("5.0 clips/s, 30 s left")
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
        (30.4, 120.0, "min", 30.4, "30/120 min, 1.0 min/s, 1 min 30 s left"),
        (30.4, None, "min", 30.4, "30 min, 1.0 min/s, unknown time left"),
        (16, 16, "runs", 12000.0, "16/16 runs, 12 min 30 s each, done in 3 h 20 min"),
        (0, 16, "runs", 5.0, "0/16 runs, 0.0 runs/s, unknown time left"),
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


def test_a_part_is_silent_unless_it_takes_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {"total": 120.0, "unit": "min", "label": "segment, talk.mp4", "size": lambda _: 40.0, "within": True}
    assert list(progress("abc", **parts)) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(telling.time, "monotonic", lambda: next(clock))
    assert list(progress("abc", **parts)) == ["a", "b", "c"]
    assert capsys.readouterr().err.splitlines() == [
        "segment, talk.mp4: 40/120 min, 2.0 min/s, 40 s left",
        "segment, talk.mp4: 80/120 min, 2.0 min/s, 20 s left",
    ]
