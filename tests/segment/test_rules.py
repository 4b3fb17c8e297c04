"""Windows, stretches of speech and the one-face rule, on numbers worked out by hand."""

import numpy as np
import pytest

from avpretext.config import SegmentOptions
from avpretext.media.stretches import Stretch
from avpretext.segment import rules
from avpretext.segment.rules import BLOCK_S

BLOCKS_PER_S = 1 / BLOCK_S  # 31.25


def probabilities(*parts: tuple[int, float]) -> np.ndarray:
    """Return so many blocks of each probability."""
    return np.concatenate([np.full(count, value, np.float32) for count, value in parts])


def blocks(found: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return times in blocks."""
    return [(round(start / BLOCK_S, 6), round(end / BLOCK_S, 6)) for start, end in found]


def speech(values: np.ndarray, **options: float) -> list[tuple[float, float]]:
    chosen = {"pause_s": 0.0, "margin_s": 0.0, "min_s": BLOCK_S, "max_s": 100.0} | options
    return blocks(rules.speech(values, len(values) * BLOCK_S, SegmentOptions(**chosen)))


def test_windows_follow_each_other_and_a_short_rest_is_left_out():
    options = SegmentOptions(window_s=5.0, min_s=1.0)
    assert rules.windows(11.0, options) == [(0, 5), (5, 10), (10, 11)]
    assert rules.windows(10.9, options) == [(0, 5), (5, 10)]
    assert rules.windows(10.0, options) == [(0, 5), (5, 10)]
    assert rules.windows(0.9, options) == []
    assert rules.windows(3.0, options) == [(0, 3)]


def test_speech_is_what_is_above_the_threshold():
    values = probabilities((10, 0.1), (40, 0.9), (20, 0.5), (30, 0.51))
    assert speech(values) == [(10, 50), (70, 100)]
    assert speech(values, speech_probability=0.4) == [(10, 100)]
    assert speech(values, speech_probability=0.95) == []


def test_pauses_shorter_than_the_option_are_bridged():
    values = probabilities((10, 0.9), (4, 0.0), (10, 0.9), (5, 0.0), (10, 0.9))
    assert speech(values, pause_s=5 * BLOCK_S) == [(0, 14 + 10), (29, 39)]
    assert speech(values, pause_s=5.1 * BLOCK_S) == [(0, 39)]


def test_a_margin_stays_within_the_recording_and_out_of_the_neighbours():
    values = probabilities((1, 0.0), (10, 0.9), (4, 0.0), (10, 0.9), (20, 0.0))
    assert speech(values, margin_s=3 * BLOCK_S) == [(0, 13), (13, 28)]
    assert speech(values, margin_s=1 * BLOCK_S) == [(0, 12), (14, 26)]


def test_a_long_stretch_is_cut_where_it_is_quietest_near_its_middle():
    values = probabilities((40, 0.9), (1, 0.6), (19, 0.9), (1, 0.7), (39, 0.9))
    values[5] = 0.55  # quieter still, but at the edge
    assert speech(values, max_s=80 * BLOCK_S) == [(0, 40.5), (40.5, 100)]
    assert speech(values, max_s=50 * BLOCK_S) == [(0, 40.5), (40.5, 60.5), (60.5, 100)]


def test_of_places_equally_quiet_the_one_in_the_middle_is_cut():
    assert speech(probabilities((100, 0.9)), max_s=99 * BLOCK_S) in ([(0, 49.5), (49.5, 100)], [(0, 50.5), (50.5, 100)])


def test_no_piece_is_longer_than_allowed_and_all_of_the_stretch_is_kept():
    values = np.random.default_rng(1).uniform(0.6, 1.0, 3000).astype(np.float32)
    found = speech(values, max_s=10.0)
    assert max(end - start for start, end in found) <= 10.0 * BLOCKS_PER_S
    assert (found[0][0], found[-1][1]) == (0, 3000)
    assert [end for _, end in found[:-1]] == [start for start, _ in found[1:]]


def test_short_stretches_are_dropped_after_margins_are_added():
    values = probabilities((20, 0.0), (10, 0.9), (50, 0.0), (12, 0.9), (20, 0.0))
    assert speech(values, min_s=14 * BLOCK_S, margin_s=BLOCK_S) == [(79, 93)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_recordings_of_almost_nothing_are_cut_too(count):
    found = speech(probabilities((count, 0.9)), max_s=BLOCK_S / 2, min_s=BLOCK_S / 100)
    assert sum(end - start for start, end in found) == pytest.approx(count)
    assert all(0 < end - start <= 0.5 for start, end in found)


def test_the_last_block_may_reach_beyond_the_end():
    found = rules.speech(probabilities((40, 0.9)), 39.5 * BLOCK_S, SegmentOptions(min_s=0.5))
    assert found == [(0.0, pytest.approx(39.5 * BLOCK_S))]


def test_the_share_of_frames_with_one_face():
    faces = np.array([0, 1, 1, 2, 1, 1], dtype=np.int16)  # at 0, 0.5, ... 2.5 s
    assert rules.one_face_share(faces, 2.0, (0.0, 3.0)) == pytest.approx(4 / 6)
    assert rules.one_face_share(faces, 2.0, (0.5, 1.5)) == 1.0
    assert rules.one_face_share(faces, 2.0, (1.2, 1.6)) == 0.0
    assert rules.one_face_share(faces, 2.0, (0.55, 0.9)) == 1.0, "no frame falls within: the nearest counts"
    assert rules.one_face_share(faces, 2.0, (2.0, 4.0)) == 0.5, "no pictures, no faces"


def test_a_stretch_knows_whether_it_is_one():
    assert Stretch().is_whole
    assert not Stretch(0.0, 5.0).is_whole
    assert [Stretch(*times).is_valid for times in ((0.0, 1.0), (5.0, None), (2.0, 2.0), (-1.0, 2.0))] == [1, 1, 0, 0]
    assert not Stretch(1.0, float("inf")).is_valid
    assert not Stretch(1.0, float("nan")).is_valid
