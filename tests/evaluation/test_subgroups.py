"""Scores by speaker and sex, on systems whose faults are known, and beside scikit-learn and SciPy."""

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from avpretext.config import EvaluateOptions
from avpretext.corpora.reader import Person
from avpretext.evaluation import scores, subgroups
from avpretext.evaluation.kinds import SCORINGS
from avpretext.evaluation.scores import Scored, Task

CLASSES = ["anger", "fear", "neutral"]
TASK = Task("hard", CLASSES, None, None)
OPTIONS = EvaluateOptions(bootstrap=100, permutations=1000)


def predictions(skills: list[float], takes: int = 8, seeds: int = 2) -> pl.DataFrame:
    """Return predictions of a speaker for each skill: the share of clips that are right, as near as may be."""
    rng = np.random.default_rng(4)
    rows = []
    for speaker, skill in enumerate(skills):
        for label in CLASSES:
            for take in range(takes):
                for seed in range(seeds):
                    wrong = CLASSES[(CLASSES.index(label) + 1 + int(rng.integers(2))) % 3]
                    rows.append(
                        {"fold": 0, "seed": seed, "clip_id": f"s{speaker}-{label}-{take}", "speaker": f"s{speaker}",
                         "label": label, "predicted": label if (take + seed) % takes < skill * takes else wrong}
                    )  # fmt: skip
    return pl.DataFrame(rows).with_columns(pretraining=pl.lit(None, pl.Int32))


def scored(rows: pl.DataFrame) -> Scored:
    return scores.sums_of("scratch", rows, TASK)


def people(sexes: str) -> dict[str, Person]:
    """Return speakers by the letters f and m, and ? for one who is not known."""
    told = {"f": "female", "m": "male"}
    return {f"s{place}": Person(told[letter]) for place, letter in enumerate(sexes) if letter in told}


def test_each_speaker_is_scored_as_scikit_learn_does_averaged_over_seeds() -> None:
    rows = predictions([1.0, 0.5, 0.25])
    found = subgroups.speaker_rows(scored(rows), rows, TASK, people("fm?"))
    macro = {row["speaker"]: row for row in found if row["measure"] == "macro_f1"}
    of_s1 = [part for _, part in rows.filter(speaker="s1").group_by("seed")]
    expected = np.mean([f1_score(part["label"], part["predicted"], average="macro") for part in of_s1])
    assert macro["s1"]["value"] == pytest.approx(expected)
    assert macro["s0"]["value"] == 1
    assert [(row["sex"], row["clips"]) for row in macro.values()] == [("female", 24), ("male", 24), (None, 24)]


def test_a_speaker_who_is_served_worse_is_named_and_is_no_luck() -> None:
    rows = predictions([0.75, 0.75, 0.75, 0.25, 0.75])
    found = {row["measure"]: row for row in subgroups.spread_rows(scored(rows), rows, TASK, 1)}["uar"]
    values = [0.75, 0.75, 0.75, 0.25, 0.75]
    assert (found["worst_speaker"], found["worst"], found["best"]) == ("s3", 0.25, 0.75)
    assert (found["mean"], found["std"]) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert found["p_value"] < 0.02
    assert found["std_by_luck"] < 0.6 * found["std"]
    assert found["worst_by_luck"] > 0.4


def test_speakers_who_are_served_alike_differ_less_than_by_luck() -> None:
    rows = predictions([0.5] * 6)
    for row in subgroups.spread_rows(scored(rows), rows, TASK, 1):
        assert row["p_value"] > 0.5


def test_a_deal_leaves_every_speaker_as_many_clips_of_each_class() -> None:
    rng = np.random.default_rng(0)
    speaker, of_class = rng.integers(0, 5, 200), rng.integers(0, 3, 200)
    dealt = subgroups.deal(speaker, of_class, rng)
    assert (dealt != speaker).any()
    for one in range(5):
        before, after = (np.bincount(of_class[who == one], minlength=3) for who in (speaker, dealt))
        assert (before == after).all()


def test_three_women_above_three_men_is_two_divisions_of_twenty() -> None:
    rows = predictions([0.75, 0.75, 0.75, 0.25, 0.25, 0.25])
    found = subgroups.sex_rows(scored(rows), rows, TASK, people("fffmmm"), OPTIONS, 1)
    uar = {row["sex"]: row for row in found if row["measure"] == "uar"}
    assert (uar["female"]["value"], uar["male"]["value"]) == (0.75, 0.25)
    apart = uar[subgroups.DIFFERENCE]
    assert (apart["value"], apart["p_value"], apart["test"]) == (0.5, 0.1, "exact")
    assert (apart["speakers"], apart["clips"], uar["male"]["clips"]) == (6, 144, 72)


def test_the_exact_p_is_that_of_scipy() -> None:
    rng = np.random.default_rng(8)
    right = rng.integers(5, 20, (8, 1)).astype(float)  # of 20 clips of each speaker
    sums = np.zeros((8, 1, 2, 2))
    sums[:, :, 0, 0], sums[:, :, 0, 1] = right, 20 - right
    found, test = subgroups.permutation_test(sums, 3, SCORINGS["hard"], "war", OPTIONS, 1)
    share = right[:, 0] / 20
    expected = stats.permutation_test(
        (share[:3], share[3:]), lambda one, other: abs(one.mean() - other.mean()), alternative="greater",
        n_resamples=np.inf,
    )  # fmt: skip
    assert test == "exact"
    assert found == pytest.approx(expected.pvalue)
    drawn, test = subgroups.permutation_test(sums, 3, SCORINGS["hard"], "war", EvaluateOptions(permutations=55), 1)
    assert test == "sampled"
    assert 1 / 56 <= drawn <= 1


def test_p_of_the_sexes_is_corrected_over_the_systems_of_a_measure() -> None:
    rows = [{"sex": "female", "measure": "uar"}]
    rows += [{"measure": measure, "p_value": p} for measure, p in (("uar", 0.01), ("uar", 0.03), ("war", 0.04))]
    assert [row.get("p_holm") for row in subgroups.corrected(rows)] == [None, 0.02, 0.03, 0.04]


def test_speakers_of_unknown_sex_are_a_group_that_is_not_compared() -> None:
    rows = predictions([0.5, 0.5, 0.75])
    found = subgroups.sex_rows(scored(rows), rows, TASK, {}, OPTIONS, 1)
    assert [(row["sex"], row["speakers"]) for row in found] == [(None, 3), (None, 3)]
    mixed = subgroups.sex_rows(scored(rows), rows, TASK, people("f?m"), OPTIONS, 1)
    assert {row["sex"] for row in mixed} == {"female", "male", None, subgroups.DIFFERENCE}
    assert [row["speakers"] for row in mixed if row["sex"] == subgroups.DIFFERENCE] == [2, 2]
