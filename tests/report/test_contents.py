"""What the page says: sentences and curves worked out by hand."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.evaluation import fold_table, printed
from avpretext.evaluation.kinds import SCORINGS
from avpretext.evaluation.open_run import OpenRun
from avpretext.report import contents
from avpretext.report.clip import decibels, face_path

HARD, NUMBERS = SCORINGS["hard"], SCORINGS["attribute"]
CONFIG = parse({"corpora": {"mine": {"path": ".", "use": []}}})


def row(initialisation: str, main: str = "macro_f1", **values: object) -> dict[str, Any]:
    filled = {f"{main}{part}": 0.5 for part in ("", "_low", "_high")}
    name = initialisation.replace("-", " + ")
    told = {"initialisation": initialisation, "name": name, "baseline": initialisation.startswith("svm")}
    return {**told, "speakers": 12, **filled, **values}


def compared(initialisation: str, score: float, p_holm: float, main: str = "macro_f1") -> dict[str, Any]:
    parts = {f"{main}_difference{part}": score - 0.5 for part in ("", "_low", "_high")}
    return row(initialisation, main, **{main: score, f"{main}_p": p_holm / 2, f"{main}_p_holm": p_holm}, **parts)


def test_headline_names_the_best_and_says_whether_it_is_significant() -> None:
    rows = [row("scratch"), compared("energy", 0.55, 0.3), compared("energy-emotion", 0.6, 0.02)]
    sentence = printed.headline(rows, HARD, CONFIG)
    assert "Of 2 sets of pretext tasks, energy + emotion comes out highest" in sentence
    assert "is significant at the 5 % level (Holm p = 0.020; uncorrected 0.010)" in sentence
    assert "is not significant" in printed.headline([row("scratch"), compared("energy", 0.55, 0.3)], HARD, CONFIG)


def test_headline_is_about_the_main_measure_of_the_kind() -> None:
    rows = [row("scratch", "ccc"), compared("energy", 0.6, 0.02, "ccc")]
    assert printed.headline(rows, NUMBERS, CONFIG).startswith("From scratch, CCC is 0.500 [0.500, 0.500]. Of 1 set")


def test_headline_does_not_take_a_baseline_for_a_set_of_tasks() -> None:
    rows = [row("scratch"), compared("energy", 0.55, 0.02), compared("svm", 0.9, 0.001)]
    sentence = printed.headline(rows, HARD, CONFIG)
    assert "Of 1 set of pretext tasks, energy comes out highest" in sentence
    assert sentence.endswith("Without any network, ComParE + SVM reaches 0.900 [0.500, 0.500].")
    assert "nothing to compare" in printed.headline([row("scratch"), compared("svm", 0.9, 0.001)], HARD, CONFIG)


def test_headline_admits_when_nothing_helps() -> None:
    rows = [row("scratch"), compared("energy", 0.5, 1.0), compared("emotion", 0.4, 1.0)]
    assert "none of the 2 sets of pretext tasks scores higher" in printed.headline(rows, HARD, CONFIG)


def told(initialisation: str, seeds: int, pretrainings: int | None) -> tuple[str, dict[str, Any]]:
    return initialisation, {"initialisation": initialisation, "seeds": seeds, "pretrainings": pretrainings}


def test_what_intervals_cover_is_told_and_of_whom_they_do_not() -> None:
    scratch, svm = told("scratch", 3, None), told("svm", 1, None)
    assert printed.coverage([scratch, told("energy", 3, 3), svm]) == (
        "Intervals and p cover other test speakers and other trainings: 3 pre-trainings of each set of tasks."
    )
    assert "One pre-training: mine. Its luck is in no interval" in printed.coverage(
        [scratch, told("energy", 3, 3), told("mine", 3, 1)]
    )
    alone = printed.coverage([scratch, told("energy", 3, 1)])
    assert "other fine-tunings" in alone
    assert "One pre-training: energy. Its luck is in no interval and no p." in alone
    assert "One training: together" in printed.coverage([scratch, told("together", 1, None)])
    assert printed.coverage([(name, {**row, "speakers": 1}) for name, row in (scratch, svm)]).startswith(
        "One test speaker"
    )
    assert "alone: there is one training" in printed.coverage([told("scratch", 1, None), told("energy", 1, 1), svm])


def test_headline_without_a_comparison_claims_nothing() -> None:
    assert "nothing to compare" in printed.headline([row("scratch")], HARD, CONFIG)


@pytest.mark.usefixtures("plain_charts")
def test_each_result_is_drawn_by_its_own_measure_with_the_baselines_apart(results: Config) -> None:
    acted, shares, rated = contents.found_results(OpenRun(results))
    assert [one["measure"] for one in (acted, shares, rated)] == ["macro-F1", "macro-F1", "CCC"]
    assert "CCC, difference to scratch: energy" in rated["charts"][1]
    for one in (acted, shares, rated):
        assert all("SVM, speaker z-norm" in chart for chart in one["charts"])
        assert [style for _, _, style, _ in one["rows"]] == ["scratch", *[""] * 3, "baseline", "baseline"]
        assert len(one["curves"]) == 4
    assert [len(one["matrices"]) for one in (acted, shares, rated)] == [6, 0, 0]
    assert [len(one["class_rows"]) for one in (acted, shares, rated)] == [6, 6, 0]
    assert [bool(one["chance"]) for one in (acted, shares, rated)] == [True, False, False]


def test_folds_say_what_was_trained_and_tested_on(results: Config) -> None:
    run = OpenRun(results)
    (name, cells), *_ = fold_table.compact(fold_table.fold_rows(run, run.evaluated()[0]))
    assert (name, cells) == ("group 1", ["48 clips, 4 speakers", "23 clips, 2 speakers", "24 clips, 2 speakers",
                                         "1 clip, 1 speaker"])  # fmt: skip


def test_runs_that_stopped_keep_their_last_value() -> None:
    runs = [(0, 1, 0.2), (0, 2, 0.4), (1, 1, 0.4)]
    rows = pl.DataFrame({"fold": fold, "seed": 0, "epoch": epoch, "value": value} for fold, epoch, value in runs)
    (epochs, means), (low, high) = contents.over_runs(rows)
    assert epochs == [1.0, 2.0]
    assert means == pytest.approx([0.3, 0.4])
    assert (low[0], high[0]) == (pytest.approx(0.22), pytest.approx(0.38))


def test_energy_in_decibels_stops_at_silence() -> None:
    assert decibels(np.array([1.0, 0.1, 0.0])) == pytest.approx([0.0, -20.0, -80.0])


@pytest.mark.parametrize("points", [68, 478])
def test_face_is_drawn_from_either_set_of_landmarks(points: int) -> None:
    path = face_path(np.arange(points * 3, dtype=np.float32).tolist())
    assert path.count("M") == 9
    assert path.startswith("M0.0 1.0L3.0 4.0" if points == 68 else "M381.0 382.0L")
    assert face_path(None) == ""
