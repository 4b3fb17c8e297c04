"""What the page says: sentences and curves worked out by hand."""

import numpy as np
import polars as pl
import pytest

from avpretext.report import contents
from avpretext.report.sample import decibels, face_path


def row(initialisation: str, **values: float) -> dict[str, object]:
    filled = {f"macro_f1{part}": 0.5 for part in ("", "_low", "_high")}
    return {"initialisation": initialisation, "speakers": 12, **filled, **values}


def compared(initialisation: str, score: float, p_holm: float) -> dict[str, object]:
    parts = {f"macro_f1_difference{part}": score - 0.5 for part in ("", "_low", "_high")}
    return row(initialisation, macro_f1=score, macro_f1_p=p_holm / 2, macro_f1_p_holm=p_holm, **parts)


def test_headline_names_the_best_and_says_whether_it_is_significant() -> None:
    sentence = contents.headline([row("scratch"), compared("energy", 0.55, 0.3), compared("energy-emotion", 0.6, 0.02)])
    assert "Of 2 sets of pretext tasks, energy + emotion comes out highest" in sentence
    assert "is significant at the 5 % level (Holm p = 0.020; uncorrected 0.010)" in sentence
    assert "is not significant" in contents.headline([row("scratch"), compared("energy", 0.55, 0.3)])


def test_headline_admits_when_nothing_helps() -> None:
    sentence = contents.headline([row("scratch"), compared("energy", 0.5, 1.0), compared("emotion", 0.4, 1.0)])
    assert "none of the 2 sets of pretext tasks scores higher" in sentence


def test_headline_says_when_too_few_speakers_could_ever_be_significant() -> None:
    rows = [row("scratch", speakers=4), compared("energy", 0.9, 0.125)]
    assert "cannot fall below 0.125" in contents.headline(rows)


def test_headline_without_a_comparison_claims_nothing() -> None:
    assert "nothing to compare" in contents.headline([row("scratch")])


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
