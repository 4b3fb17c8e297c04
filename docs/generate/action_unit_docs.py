"""The tables of `docs/action-units.md`: the formulas of the action units, and the prototypes of the emotions.

`python docs/generate/action_unit_docs.py docs/action-units.md results/tables/truth_action_units.csv` writes them
anew, with the correlations that the demo came to.
"""

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from marked import replaced

from avpretext.action_units.formulas import CODED, FORMULAS, Formula
from avpretext.labels.emotion_table import EmotionTable, read_table

HEADER = ("AU", "FACS name", "formula", "known weakness", "AUC, people", "r, demo")


def formula_text(formula: Formula) -> str:
    """Return a formula as people read it: weight, measure, and after the slash its movement at full intensity.

    >>> formula_text(FORMULAS["AU14"])
    '1 mouthDimple/0.4'
    """
    terms = [
        f"{'− ' if weight < 0 else '+ '}{abs(weight):g} {measure}/{f'{movement:g}'.replace('-', '−')}"
        for measure, (weight, movement) in formula.evidence.items()
    ]
    return " ".join(terms).removeprefix("+ ")


def formula_rows(correlations: Mapping[str, str] | None = None) -> list[tuple[str, ...]]:
    """Return a row for each action unit, in the columns of `HEADER`.

    Parameters
    ----------
    correlations
        Action unit to its correlation with the truth of the demo, as text; empty where the demo never shows it.
    """
    known = correlations or {}
    return [
        (unit, formula.name, f"`{formula_text(formula)}`", formula.weakness, _coded(unit), known.get(unit) or "–")
        for unit, formula in FORMULAS.items()
    ]


def _coded(unit: str) -> str:
    return f"{CODED[unit]:.2f}" if unit in CODED else "–"


def generated(correlations: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what is generated of the document, as Markdown, by the name in its marks."""
    return {
        "formulas": _table(HEADER, formula_rows(correlations)),
        "emotions": _table(("label", "six classes: mean above neutral", "eight classes"), emotion_rows()),
    }


def emotion_rows() -> list[tuple[str, ...]]:
    """Return a row for each emotion of the shipped tables: label, and what it shows above neutral, strongest first."""
    tables = read_table("six"), read_table("eight")
    labels = dict.fromkeys(label for table in tables for label in table.emotions)
    return [(label, *(_shown(table, label) for table in tables)) for label in labels]


def _shown(table: EmotionTable, label: str) -> str:
    if label not in table.emotions:
        return "–"
    shows = table.emotions[label].shows
    return ", ".join(f"{unit} +{shows[unit] - table.rest[unit]:.2f}" for unit in table.shown_by(label)[:6])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def read_correlations(path: Path) -> dict[str, str]:
    """Return the correlation of each action unit from the table `truth_action_units`, with two decimals."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row["action_unit"]: f"{float(row['pearson_r']):.2f}" for row in csv.DictReader(file) if row["pearson_r"]
        }


if __name__ == "__main__":
    target, scores = (Path(argument) for argument in sys.argv[1:3])
    target.write_text(replaced(target.read_text("utf-8"), generated(read_correlations(scores))), "utf-8")
