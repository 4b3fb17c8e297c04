"""docs/action-units.md and the code say the same."""

from pathlib import Path

import pytest
from action_unit_docs import (
    emotion_rows,
    formula_rows,
    formula_text,
    generated,
    read_correlations,
)
from marked import marks, replaced

from avpretext.action_units.formulas import FORMULAS, Formula
from avpretext.flow.columns import ACTION_UNITS
from avpretext.labels.emotion import MOUTH_UNITS
from avpretext.labels.emotion_table import read_table

DOCUMENT = (Path(__file__).parents[2] / "docs" / "action-units.md").read_text("utf-8")
COMMAND = "python docs/generate/action_unit_docs.py docs/action-units.md results/tables/truth_action_units.csv"


def without_correlations(text: str) -> list[str]:
    """Leave out the last column of the formulas, which comes of a run of the demo."""
    return [line.rsplit("|", 2)[0] if line.startswith("| AU") else line for line in text.splitlines()]


@pytest.mark.parametrize("name", sorted(generated()))
def test_each_table_in_the_docs_is_that_of_the_code(name: str) -> None:
    begin, end = marks(name)
    told = DOCUMENT[DOCUMENT.index(begin) + len(begin) : DOCUMENT.index(end)]
    assert without_correlations(told) == without_correlations(generated()[name]), COMMAND


def test_a_formula_is_told_with_weights_measures_and_full_movements() -> None:
    formula = Formula("x", {"lip_gap": (-0.6, 0.1), "inner_brow": (0.35, -0.05), "jawOpen": (1.0, 0.5)}, "", "", "")
    assert formula_text(formula) == "− 0.6 lip_gap/0.1 + 0.35 inner_brow/−0.05 + 1 jawOpen/0.5"


def test_every_action_unit_has_a_name_what_is_seen_a_source_and_a_weakness() -> None:
    assert [row[0] for row in formula_rows()] == list(ACTION_UNITS)
    for unit, formula in FORMULAS.items():
        assert all([formula.name, formula.sees, formula.source, formula.weakness]), unit


def test_emotions_are_told_with_what_they_show_above_neutral() -> None:
    told = {label: columns for label, *columns in emotion_rows()}
    table = read_table("six")
    assert set(told) == set(read_table("eight").emotions)
    above = table.emotions["HAP"].shows["AU12"] - table.rest["AU12"]
    assert told["HAP"][0].startswith(f"AU12 +{above:.2f}, ")
    assert told["SUR"][0] == "–"


def test_correlations_come_from_the_demos_table_and_the_rest_of_the_document_stays(tmp_path: Path) -> None:
    scores = tmp_path / "truth_action_units.csv"
    scores.write_text("action_unit,pearson_r,f1\nAU01,0.6833,0.4784\nAU24,,\n", "utf-8")
    known = read_correlations(scores)
    assert known == {"AU01": "0.68"}
    old = "".join(f"before {name}\n{''.join(marks(name))}" for name in generated()) + "after\n"
    anew = replaced(old.replace(marks("emotions")[1], f"| stale |\n{marks('emotions')[1]}"), generated(known))
    assert replaced(anew, generated(known)) == anew
    assert [line for line in anew.splitlines() if not line.startswith("|")] == old.splitlines()
    assert "stale" not in anew
    lines = {line.split(" | ")[0]: line for line in anew.splitlines()}
    assert lines["| AU01"].endswith("| 0.68 |")
    assert lines["| AU24"].endswith("| – |")


@pytest.mark.parametrize("word", ["FACS:", "Tian, Kanade", "ARKit:", "Soukupova & Cech,", "Duchenne"])
def test_sources_are_given_in_full_below_the_table(word: str) -> None:
    assert word in DOCUMENT[DOCUMENT.index(marks("formulas")[1]) :]


def test_units_of_the_mouth_are_named_as_they_are_treated() -> None:
    assert "AU" + ", ".join(unit.removeprefix("AU") for unit in MOUTH_UNITS) in DOCUMENT
