"""Windows along a recording: where they lie, whatever pieces the frames come in."""

import numpy as np
import pytest
from numpy.typing import NDArray

from avpretext.errors import UserError
from avpretext.predict.windows import AlongTime, batches


def windows(length: int, along: AlongTime, least: int = 30, pieces: int = 7) -> list[tuple[int, NDArray[np.float32]]]:
    """Return start and first column of each window of frames 0, 1, 2, ... that come in so many pieces."""
    frames = np.arange(length, dtype=np.float32)[:, None]
    found = []
    for batch in batches(np.array_split(frames, pieces), along, least):
        for first, count, start in zip(batch.first, batch.lengths, batch.start, strict=True):
            found.append((int(start), batch.frames[first : first + count, 0]))
    return found


def spans(length: int, along: AlongTime, **more: int) -> list[tuple[int, int]]:
    found = windows(length, along, **more)
    for start, frames in found:
        assert frames.tolist() == list(range(start, start + len(frames))), "a window holds its own frames"
    return [(start, start + len(frames)) for start, frames in found]


def test_windows_stand_every_hop_and_the_last_reaches_the_end() -> None:
    assert spans(1000, AlongTime(3, 2)) == [(0, 300), (200, 500), (400, 700), (600, 900), (800, 1000)]


def test_none_follows_one_that_has_reached_the_end() -> None:
    assert spans(500, AlongTime(3, 1)) == [(0, 300), (100, 400), (200, 500)]


def test_a_rest_that_is_too_short_is_left_out() -> None:
    assert spans(620, AlongTime(3, 3)) == [(0, 300), (300, 600)]
    assert spans(630, AlongTime(3, 3)) == [(0, 300), (300, 600), (600, 630)]


def test_what_is_shorter_than_a_window_is_one() -> None:
    assert spans(200, AlongTime(3, 1)) == [(0, 200)]
    assert spans(10, AlongTime(3, 1), least=30) == [(0, 10)]


def test_gaps_between_windows_are_skipped() -> None:
    assert spans(1000, AlongTime(1, 4)) == [(0, 100), (400, 500), (800, 900)]
    assert spans(850, AlongTime(1, 4)) == [(0, 100), (400, 500), (800, 850)]


@pytest.mark.parametrize("pieces", [1, 2, 3, 50, 333])
def test_windows_do_not_depend_on_the_pieces(pieces: int) -> None:
    assert spans(997, AlongTime(1.5, 0.4), pieces=pieces) == spans(997, AlongTime(1.5, 0.4), pieces=1)


def test_nothing_has_no_window() -> None:
    assert list(batches([], AlongTime(1, 1), 30)) == []


@pytest.mark.parametrize("text", ["", "3,", "a,b", "3;1", "3,1,2", "-3,1", "0,1", "3,0.001", "1e9,1", "nan,1"])
def test_what_is_no_window_is_said_so(text: str) -> None:
    with pytest.raises(UserError, match=r"expected WINDOW,HOP|each must be between"):
        AlongTime.parse(text)
