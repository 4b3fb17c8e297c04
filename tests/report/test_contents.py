"""What the page says: sentences and curves worked out by hand."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from avpretext.config import Config
from avpretext.evaluation.kinds import SCORINGS
from avpretext.paths import Layout
from avpretext.report import contents
from avpretext.report.sample import decibels, face_path

HARD, NUMBERS = SCORINGS["hard"], SCORINGS["attribute"]


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
    sentence = contents.headline(rows, HARD)
    assert "Of 2 sets of pretext tasks, energy + emotion comes out highest" in sentence
    assert "is significant at the 5 % level (Holm p = 0.020; uncorrected 0.010)" in sentence
    assert "is not significant" in contents.headline([row("scratch"), compared("energy", 0.55, 0.3)], HARD)


def test_headline_is_about_the_main_measure_of_the_kind() -> None:
    rows = [row("scratch", "ccc"), compared("energy", 0.6, 0.02, "ccc")]
    assert contents.headline(rows, NUMBERS).startswith("From scratch, CCC is 0.500 [0.500, 0.500]. Of 1 set")


def test_headline_does_not_take_a_baseline_for_a_set_of_tasks() -> None:
    rows = [row("scratch"), compared("energy", 0.55, 0.02), compared("svm", 0.9, 0.001)]
    sentence = contents.headline(rows, HARD)
    assert "Of 1 set of pretext tasks, energy comes out highest" in sentence
    assert sentence.endswith("Without any network, svm reaches 0.900 [0.500, 0.500].")
    assert "nothing to compare" in contents.headline([row("scratch"), compared("svm", 0.9, 0.001)], HARD)


def test_headline_admits_when_nothing_helps() -> None:
    rows = [row("scratch"), compared("energy", 0.5, 1.0), compared("emotion", 0.4, 1.0)]
    assert "none of the 2 sets of pretext tasks scores higher" in contents.headline(rows, HARD)


def test_headline_says_when_too_few_speakers_could_ever_be_significant() -> None:
    rows = [row("scratch", speakers=4), compared("energy", 0.9, 0.125)]
    assert "cannot fall below 0.125" in contents.headline(rows, HARD)


def test_headline_without_a_comparison_claims_nothing() -> None:
    assert "nothing to compare" in contents.headline([row("scratch")], HARD)


def test_each_result_is_drawn_by_its_own_measure_with_the_baselines_apart(results: Config) -> None:
    acted, shares, rated = contents.found_results(results, Layout(results.results))
    assert [one.measure for one in (acted, shares, rated)] == ["macro-F1", "macro-F1", "CCC"]
    assert "CCC, difference to scratch: energy" in rated.charts[1]
    for one in (acted, shares, rated):
        assert all("linear SVM, speaker-normalised" in chart for chart in one.charts)
        assert [style for _, _, style, _ in one.rows] == ["scratch", *[""] * 7, "baseline", "baseline"]
        assert len(one.curves) == 8
    assert [len(one.matrices) for one in (acted, shares, rated)] == [10, 0, 0]
    assert [len(one.class_rows) for one in (acted, shares, rated)] == [10, 10, 0]
    assert [bool(one.chance) for one in (acted, shares, rated)] == [True, False, False]


def test_folds_say_what_was_trained_and_tested_on(results: Config) -> None:
    found = contents.found_results(results, Layout(results.results))[0].folds
    assert found is not None
    assert found.header == ("Trained on", "Epoch chosen on", "Tested on", "Left out")
    assert found.rows[0] == ("group 1", ["48 clips, 4 speakers", "23 clips, 2 speakers", "24 clips, 2 speakers",
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
