"""Single raters beside systems, rater by rater as a person would count."""

import numpy as np
import polars as pl
import pytest

from avpretext.config import EvaluateOptions
from avpretext.evaluation import raters
from avpretext.evaluation.raters import LABEL, OTHERS, RATERS, Votes

OPTIONS = EvaluateOptions(bootstrap=100)


def by_hand(counts: list[int]) -> np.ndarray:
    """Return what `against_others` does for one clip, one rater after the other."""
    answers = [place for place, count in enumerate(counts) for _ in range(count)]
    table = np.zeros((len(counts), len(counts)))
    for number, said in enumerate(answers):
        others = np.bincount(answers[:number] + answers[number + 1 :], minlength=len(counts))
        winners = np.flatnonzero(others == others.max())
        for winner in winners:
            table[winner, said] += 1 / len(winners) / len(answers)
    return table


@pytest.mark.parametrize("counts", [[3, 0, 0], [2, 1, 0], [2, 2, 0], [1, 1, 1], [4, 3, 3], [1, 1, 0], [5, 4, 1]])
def test_every_rater_is_held_against_the_majority_of_the_others(counts: list[int]) -> None:
    found = raters.against_others(np.array([counts, counts], dtype=float))
    np.testing.assert_allclose(found, [by_hand(counts)] * 2, atol=1e-12)


def predictions(said: dict[str, str], labels: dict[str, str], seeds: int = 1) -> pl.DataFrame:
    return pl.DataFrame(
        [{"clip_id": clip, "speaker": f"s{number % 2}", "seed": seed, "label": labels[clip], "said": said[clip]}
         for number, clip in enumerate(said) for seed in range(seeds)]
    )  # fmt: skip


LABELS = dict.fromkeys(("one", "two"), "A") | dict.fromkeys(("three", "four"), "B")


def pairs(said: dict[str, str], votes: Votes, seeds: int = 1) -> dict[str, tuple[raters.Beside, raters.Beside]]:
    rows = predictions(said, LABELS, seeds)
    found = raters.beside("scratch", rows.drop("said"), rows["said"].to_list(), votes, 1)
    return {system.against: (alone, system) for alone, system in zip(found[::2], found[1::2], strict=True)}


def test_system_and_raters_are_scored_by_the_same_majorities() -> None:
    votes = Votes(["A", "B"], list(LABELS), np.array([[3.0, 0], [2, 1], [0, 3], [1, 2]]), own=True)
    found = pairs(dict(LABELS), votes)
    assert list(found) == [OTHERS], "the labels are the raters' own"
    alone, system = found[OTHERS]
    # Of clip two, the raters who say A have A and B beside them, who says B has two A: 1/3 right, 2/3 of truth A.
    assert alone.sums.sum(axis=(0, 1)) == pytest.approx(np.array([[4 / 3, 2 / 3], [2 / 3, 4 / 3]]))
    assert system.sums.sum(axis=(0, 1)) == pytest.approx(np.array([[5 / 3, 1 / 3], [1 / 3, 5 / 3]]))
    rows = {(row["initialisation"], row["measure"]): row for row in raters.rater_rows(list(found.values()), OPTIONS, 1)}
    assert rows[RATERS, "uar"]["value"] == pytest.approx(4 / 6)
    assert rows["scratch", "uar"]["value"] == pytest.approx(5 / 6)
    assert rows["scratch", "uar"]["difference"] == pytest.approx(1 / 6)
    assert rows["scratch", "uar"]["clips"] == 4


def test_labels_that_are_not_the_raters_own_are_a_second_truth() -> None:
    votes = Votes(["A", "B"], list(LABELS), np.array([[1.0, 2], [2, 1], [0, 3], [0, 3]]), own=False)
    alone, system = pairs(dict(LABELS), votes, seeds=3)[LABEL]
    assert alone.sums.sum(axis=0).mean(axis=0) == pytest.approx(np.array([[1, 1], [0, 2]]))
    assert system.sums.sum(axis=0).mean(axis=0) == pytest.approx(np.array([[2, 0], [0, 2]]))
    rows = raters.rater_rows([(alone, system)], OPTIONS, 1)
    assert [row["value"] for row in rows if row["measure"] == "uar"] == pytest.approx([0.75, 1.0])


def test_clips_with_a_single_rater_are_left_out() -> None:
    votes = Votes(["A", "B"], list(LABELS), np.array([[1.0, 0], [0, 0], [0, 3], [0, 2]]), own=True)
    _, system = pairs(dict(LABELS), votes)[OTHERS]
    assert system.clips == 2
    assert system.sums.sum() == pytest.approx(2)
    alone = Votes(["A", "B"], ["one"], np.array([[1.0, 0]]), own=True)
    assert pairs(dict(LABELS), alone) == {}


def test_confusions_are_shares_of_the_truth() -> None:
    votes = Votes(["A", "B"], list(LABELS), np.array([[3.0, 0], [3, 0], [0, 3], [0, 3]]), own=True)
    found = pairs({**LABELS, "four": "C"}, votes)
    rows = {(row["initialisation"], row["label"], row["predicted"]): row
            for row in raters.confusion_rows(list(found.values()))}  # fmt: skip
    assert rows[RATERS, "B", "B"]["share"] == 1
    assert rows["scratch", "B", "C"]["share"] == 0.5
    assert rows["scratch", "C", "C"]["share"] is None, "nobody names C"
