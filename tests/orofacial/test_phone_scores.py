"""Scores of phone intervals, on intervals worked by hand."""

import numpy as np
import polars as pl
import pytest

from avpretext.orofacial import phone_scores


def intervals(clip: str, *rows: tuple[float, float, str, str]) -> pl.DataFrame:
    names = ["start_s", "end_s", "phone", "viseme"]
    return pl.DataFrame(list(rows), names, orient="row").select(pl.lit(clip).alias("clip_id"), *names)


def truth(clip: str, *rows: tuple[float, float, str]) -> pl.DataFrame:
    names = ["start_s", "end_s", "phoneme"]
    return pl.DataFrame(list(rows), names, orient="row").select(pl.lit(clip).alias("clip_id"), *names)


def test_frames_and_boundaries_are_counted() -> None:
    found = intervals(
        "a", (0.0, 0.1, "SIL", "SIL"), (0.1, 0.2, "P", "P"), (0.2, 0.4, "AA", "AA"), (0.4, 0.5, "SIL", "SIL")
    )
    # True: silence to .08, b to .15, ɑː to .42, silence to .5. Of 34 frames of speech ɑː is right in .20 to .40.
    true = truth("a", (0.08, 0.15, "b"), (0.15, 0.42, "ˈɑː"))
    scores = phone_scores.scores(found, true, clips=2)
    assert scores["clips_found"] == 0.5
    assert scores["phones_right"] == pytest.approx(20 / 34)
    # P and B are one class only where the table of visemes that was used has both; here it never met a B.
    assert scores["visemes_right"] == pytest.approx(20 / 34)
    assert scores["frames_right"] == pytest.approx((8 + 20 + 8) / 50)
    # SIL at 0 is no boundary; AA starts .05 too late, the last silence .02 too early.
    assert scores["boundary_median_ms"] == pytest.approx(35)
    assert scores["boundary_bias_ms"] == pytest.approx(15)
    both = pl.concat([found, intervals("b", (0.0, 0.1, "B", "P"))])
    assert phone_scores.scores(both, true, 2)["visemes_right"] == pytest.approx(25 / 34)


def test_nothing_found_is_no_score() -> None:
    assert phone_scores.scores(intervals("a", (0, 0.1, "P", "P")).clear(), truth("a", (0, 0.1, "p")), 3) == {
        "clips_found": 0
    }


def test_an_unknown_phoneme_of_the_truth_is_an_error_of_ours() -> None:
    with pytest.raises(ValueError, match=r"phone_labels\.yaml lacks: 'ʘ'"):
        phone_scores.true_intervals(truth("a", (0, 0.1, "ʘ")), 0.1)


def test_phones_are_paired_in_order_with_least_edits() -> None:
    assert phone_scores.paired(["SIL", "T", "AH", "SIL"], ["SIL", "D", "AH", "N", "SIL"]) == [(0, 0), (2, 2), (3, 4)]
    assert phone_scores.paired([], ["T"]) == []
    same = list("abcabc")
    assert phone_scores.paired(same, same) == [(k, k) for k in range(6)]


def test_perfect_phones_score_one() -> None:
    rng = np.random.default_rng(0)
    edges = np.sort(rng.choice(np.arange(1, 100), 5, replace=False)) / 100
    rows = list(zip(edges, edges[1:], ["p", "ɑː", "m", "s"], strict=False))
    names = {"p": ("P", "P"), "ɑː": ("AA", "AA"), "m": ("M", "P"), "s": ("S", "T")}
    said = [(a, b, *names[one]) for a, b, one in rows]
    found = intervals("a", (0, edges[0], "SIL", "SIL"), *said, (edges[-1], 1.0, "SIL", "SIL"))
    scores = phone_scores.scores(found, truth("a", *rows), 1)
    assert {scores[name] for name in ("clips_found", "phones_right", "visemes_right", "frames_right")} == {1.0}
    assert scores["boundary_p90_ms"] == pytest.approx(0)
