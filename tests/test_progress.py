"""Progress: what a stage says of itself, and how it is read back from its log."""

from pathlib import Path

import pytest

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
