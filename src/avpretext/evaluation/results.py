"""The scores of every corpus and setting as rows: a row per initialisation, per class, per test."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from avpretext import shards
from avpretext.config import TASKS, Config
from avpretext.corpora.settings import Setting, settings_of
from avpretext.evaluation.kinds import SCORINGS, Scoring
from avpretext.evaluation.summaries import Rows, present
from avpretext.flow.paths import Layout
from avpretext.systems import stands_beside

SCORE = ("", "_low", "_high", "_mean", "_std", "_seed_std")
"""What a table says of a measure: score on all test clips, its interval, spread over runs and over trainings."""

DIFFERENCE = ("_difference", "_difference_low", "_difference_high", "_p", "_p_holm")
"""What the main table says of it beside scratch: difference, its interval, p, p after Holm's correction."""


@dataclass(frozen=True)
class Evaluated:
    """A corpus that was scored in a setting."""

    corpus: str
    setting: Setting

    @property
    def heading(self) -> str:
        """Its name, as people read it."""
        return f"{self.corpus}, target {self.setting.target_name}, protocol {self.setting.protocol}"

    @property
    def scoring(self) -> Scoring:
        """How it was scored."""
        return SCORINGS[self.setting.kind]

    @property
    def named(self) -> dict[str, Any]:
        """The columns that name it in every table."""
        return {"corpus": self.corpus, "target": self.setting.target_name, "protocol": self.setting.protocol}

    def read(self, layout: Layout, name: str) -> pl.DataFrame:
        """Return one of the tables of `evaluate`: metrics, runs, comparisons, confusion."""
        return shards.read(layout.evaluate(self.corpus, self.setting.name, name))


def evaluated(config: Config, layout: Layout) -> list[Evaluated]:
    """Return what has metrics, in the order of corpora and their targets."""
    return [
        Evaluated(name, setting)
        for name, options in config.corpora.items()
        for setting in settings_of(options)
        if present([layout.evaluate(name, setting.name, "metrics")])
    ]


def main_rows(one: Evaluated, layout: Layout) -> Rows:
    """Return a row per initialisation: every measure over all classes, and its difference to scratch."""
    metrics = one.read(layout, "metrics").filter(pl.col("class").is_null())
    comparisons = one.read(layout, "comparisons")
    rows: Rows = []
    for start in metrics["initialisation"].unique(maintain_order=True):
        of_start = metrics.filter(pl.col("initialisation") == start).to_dicts()
        row = {**one.named, "initialisation": start, "baseline": stands_beside(start)}
        row |= {task: task in start.split("-") for task in TASKS}
        row |= {key: of_start[0][key] for key in ("speakers", "clips", "seeds", "pretrainings")}
        row["runs"] = max(measured["runs"] for measured in of_start)
        for measured in of_start:
            row |= score_cells(measured)
        for compared in comparisons.filter(pl.col("initialisation") == start).to_dicts():
            row |= difference_cells(compared)
        rows.append(row)
    return rows


def score_cells(row: dict[str, Any]) -> dict[str, Any]:
    """Return the cells of a measure: score, its interval, spread over runs and over trainings."""
    measure = row["measure"]
    values = (row["value"], row["ci_low"], row["ci_high"], row["mean"], row["std"], row["seed_std"])
    return {f"{measure}{part}": value for part, value in zip(SCORE, values, strict=True)}


def difference_cells(row: dict[str, Any]) -> dict[str, Any]:
    """Return the cells of a comparison: difference, its interval, p, p after correction."""
    values = (row["difference"], row["ci_low"], row["ci_high"], row["p_value"], row["p_holm"])
    return {f"{row['measure']}{part}": value for part, value in zip(DIFFERENCE, values, strict=True)}


def per_class_rows(one: Evaluated, layout: Layout) -> Rows:
    """Return a row per initialisation and class: precision, recall and F1; none for a target without classes."""
    metrics = one.read(layout, "metrics").filter(pl.col("class").is_not_null())
    rows: Rows = []
    for (start, label), part in metrics.group_by("initialisation", "class", maintain_order=True):
        row = {**one.named, "initialisation": start, "class": label, "clips": part["clips"][0]}
        for measured in part.to_dicts():
            row |= score_cells(measured)
        rows.append(row)
    return rows


CO_OCCURRENCE_COLUMNS = (
    "corpus", "target", "protocol", "fold", "emotion", "with", "count", "frequency", "penalty"
)  # fmt: skip
"""Of the table: how often raters name an emotion `with` another, in the training clips of a fold."""


def co_occurrence_rows(one: Evaluated, layout: Layout) -> Rows:
    """Return the matrix that the penalty loss reads; none where it is not asked for."""
    return [
        one.named | {"emotion": row.pop("target"), "with": row.pop("predicted")} | row
        for path in present([layout.co_occurrence(one.corpus, one.setting.name)])
        for row in shards.read(path).to_dicts()
    ]


def seed_rows(one: Evaluated, layout: Layout) -> Rows:
    """Return every measure of every seed on all test clips, beside scratch."""
    return [one.named | row for row in one.read(layout, "seeds").to_dicts()]


def significance_rows(one: Evaluated, layout: Layout) -> Rows:
    """Return every paired test against scratch."""
    return [one.named | row for row in one.read(layout, "comparisons").to_dicts()]
