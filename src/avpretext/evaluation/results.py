"""The scores of every corpus and setting as rows: a row per initialisation, per class, per test."""

from typing import Any

import polars as pl

from avpretext import shards
from avpretext.evaluation.open_run import NAMED, Evaluated, OpenRun, Rows
from avpretext.flow.tasks import TASKS
from avpretext.systems import stands_beside

SCORE = ("", "_low", "_high", "_mean", "_std", "_seed_std")
"""What a table says of a measure: score on all test clips, its interval, spread over runs and over trainings."""

DIFFERENCE = ("_difference", "_difference_low", "_difference_high", "_p", "_p_holm")
"""What the main table says of it beside scratch: difference, its interval, p, p after Holm's correction."""


def main_rows(run: OpenRun, one: Evaluated) -> Rows:
    """Return a row per initialisation: every measure over all classes, and its difference to scratch."""
    comparisons = run.scores(one, "comparisons").to_dicts()
    rows: Rows = []
    for start, cells in by_system(run.scores(one, "metrics").to_dicts()).items():
        row = {**one.named, "initialisation": start, "baseline": stands_beside(start)}
        row |= {task: task in start.split("-") for task in TASKS} | cells
        for compared in comparisons:
            if compared["initialisation"] == start:
                values = (compared[name] for name in ("difference", "ci_low", "ci_high", "p_value", "p_holm"))
                row |= {f"{compared['measure']}{part}": cell for part, cell in zip(DIFFERENCE, values, strict=True)}
        rows.append(row)
    return rows


def by_system(metrics: Rows) -> dict[str, dict[str, Any]]:
    """Return each system's cells over all classes: how much it was tested on, and the scores of every measure."""
    systems: dict[str, dict[str, Any]] = {}
    for row in metrics:
        if row["class"] is None:
            counts = {name: row[name] for name in ("speakers", "clips", "seeds", "pretrainings")}
            cells = systems.setdefault(row["initialisation"], {**counts, "runs": 0})
            cells |= score_cells(row) | {"runs": max(cells["runs"], row["runs"])}
    return systems


def score_cells(row: dict[str, Any]) -> dict[str, Any]:
    """Return the cells of a measure: score, its interval, spread over runs and over trainings."""
    values = (row[name] for name in ("value", "ci_low", "ci_high", "mean", "std", "seed_std"))
    return {f"{row['measure']}{part}": value for part, value in zip(SCORE, values, strict=True)}


def per_class_rows(run: OpenRun, one: Evaluated) -> Rows:
    """Return a row per initialisation and class or attribute, with its measures; none for a single attribute."""
    metrics = run.scores(one, "metrics").filter(pl.col("class").is_not_null())
    rows: Rows = []
    for (start, label), part in metrics.group_by("initialisation", "class", maintain_order=True):
        row = {**one.named, "initialisation": start, "class": label, "clips": part["clips"][0]}
        for measured in part.to_dicts():
            row |= score_cells(measured)
        rows.append(row)
    return rows


CO_OCCURRENCE_COLUMNS = [*NAMED, "fold", "emotion", "with", "count", "frequency", "penalty"]
"""Of the table: how often raters name an emotion `with` another, in the training clips of a fold."""


def co_occurrence_rows(run: OpenRun, one: Evaluated) -> Rows:
    """Return the matrix that the penalty loss reads; none where it is not asked for."""
    path = run.co_occurrence(one)
    rows = [] if path is None else shards.read(path).to_dicts()
    return [one.named | {"emotion": row.pop("target"), "with": row.pop("predicted")} | row for row in rows]
