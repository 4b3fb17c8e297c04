"""The chunk grid: numbers worked by hand, and what `exact` promises of every clip."""

import numpy as np
import pytest

from avpretext.chunks import ChunkMethod, chunk_places, chunk_span, chunk_starts
from avpretext.errors import UserError


def test_published_starts_are_the_formula_of_the_paper() -> None:
    # (300 - 62) / (11 - 1) = 23.8, floored to 23
    assert chunk_starts(300, 62, 11, method="published").tolist() == [23 * k for k in range(11)]
    # (130 - 62) / (2 * 5 - 1) = 7.6, floored to 7
    assert chunk_starts(130, 62, 5, factor=2, method="published").tolist() == [7 * k for k in range(10)]


def test_published_keeps_its_flaws() -> None:
    assert set(chunk_starts(71, 62, 11, method="published").tolist()) == {0}  # eleven copies of one chunk
    starts = chunk_starts(300, 62, 11, method="published")
    assert starts[-1] + 62 == 292  # eight frames of the end unread
    starts = chunk_starts(1000, 62, 11, method="published")
    read = {frame for start in starts.tolist() for frame in range(start, start + 62)}
    assert 1000 - len(read) == 318  # gaps between chunks


def test_published_refuses_what_its_formula_cannot_do() -> None:
    with pytest.raises(UserError, match=r"61 frames.*62 frames.*exact"):
        chunk_starts(61, 62, 11, method="published")
    with pytest.raises(UserError, match="single chunk"):
        chunk_starts(100, 62, 1, method="published")


def test_exact_starts_worked_by_hand() -> None:
    # (300 - 62) / 10 = 23.8 apart: 0, 23.8, 47.6, 71.4, 95.2, 119, 142.8, 166.6, 190.4, 214.2, 238
    expected = [0, 24, 48, 71, 95, 119, 143, 167, 190, 214, 238]
    assert chunk_starts(300, 62, 11).tolist() == expected
    assert chunk_starts(250, 100, 5).tolist() == [0, 38, 75, 113, 150]  # 37.5 and 112.5 are rounded up


def test_exact_takes_a_short_clip_whole() -> None:
    assert chunk_span(40, 100, 5) == 40
    assert chunk_starts(40, 100, 5).tolist() == [0] * 5
    assert chunk_starts(1, 100, 5).tolist() == [0] * 5


def test_exact_widens_the_chunks_of_a_long_clip() -> None:
    # Eleven chunks of 62 hold 682 frames; of 1000 each must hold ceil(1000 / 11) = 91
    assert chunk_span(1000, 62, 11) == 91
    assert chunk_starts(1000, 62, 11).tolist() == [0, 91, 182, 273, 364, 455, 545, 636, 727, 818, 909]
    assert chunk_span(250, 100, 1) == 250


@pytest.mark.parametrize("chunks", [(62, 1, 1), (62, 2, 1), (62, 11, 1), (100, 5, 1), (100, 5, 3), (1, 4, 1)])
def test_exact_reads_every_frame_of_every_clip(chunks: tuple[int, int, int]) -> None:
    for frames in [*range(1, 400), 681, 682, 683, 1000, 1001, 12_345]:
        starts, span = chunk_starts(frames, *chunks), chunk_span(frames, *chunks)
        assert len(starts) == chunks[1] * chunks[2]
        assert starts[0] == 0
        assert starts[-1] + span == frames
        assert (np.diff(starts) >= 0).all()
        assert (np.diff(starts) <= span).all()  # no gap


@pytest.mark.parametrize("method", ["exact", "published"])
def test_clips_together_have_the_places_that_they_have_alone(method: ChunkMethod) -> None:
    frames = np.array([62, 63, 300, 683, 5000])
    starts, spans = chunk_places(frames, 62, 11, 2, method)
    assert starts.tolist() == [chunk_starts(int(count), 62, 11, 2, method).tolist() for count in frames]
    assert spans.tolist() == [chunk_span(int(count), 62, 11, 2, method) for count in frames]


def test_the_shortest_of_several_clips_is_refused() -> None:
    with pytest.raises(UserError, match="61 frames"):
        chunk_places(np.array([100, 61, 62]), 62, 11, method="published")


def test_impossible_arguments_are_errors() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        chunk_starts(0, 62, 11)
    with pytest.raises(ValueError, match="method"):
        chunk_starts(100, 62, 11, method="other")  # type: ignore[arg-type]
