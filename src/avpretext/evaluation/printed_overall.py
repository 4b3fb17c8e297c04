"""The table over all corpora as people read it, as Markdown and LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from avpretext.config import Config
from avpretext.evaluation.fold_table import protocol_of
from avpretext.evaluation.formats import Document, Section, Table, probability
from avpretext.evaluation.kinds import IN_UNITS, MEASURE_NAMES, SCORINGS, Scoring
from avpretext.evaluation.open_run import Evaluated, OpenRun, Rows
from avpretext.evaluation.printed import SIGNIFICANT, number, start_name, with_interval
from avpretext.run.plan import ScoredTogether
from avpretext.systems import SCRATCH

TESTED = {"within": "trained and tested within each corpus", "across": "trained on other corpora than tested"}
"""What a group is called."""


@dataclass(frozen=True)
class Overall:
    """One group of `overall` by its main measure: a row for each system over all corpora, and on each of them."""

    tested: str
    scoring: Scoring
    rows: Rows
    of_corpora: dict[str, Rows]
    others: dict[str, Rows]
    """Rows over all corpora of the measures that the printed tables show beside the main one."""
    targets: dict[str, str]
    """What is learnt of each corpus."""
    warnings: list[str]
    """What makes scores of its settings wrong."""

    @property
    def heading(self) -> str:
        """Its name, as people read it."""
        return f"{len(self.of_corpora)} corpora, {TESTED[self.tested]}"


def groups_of(run: OpenRun) -> list[Overall]:
    """Return the groups that a run has scores of."""
    table = run.overall()
    if table is None:
        return []
    parts = [(group, table.filter(kind=group.kind, tested=group.tested)) for group in run.plan.groups]
    return [_overall(group, part, run) for group, part in parts if not part.is_empty()]


def _overall(group: ScoredTogether, part: pl.DataFrame, run: OpenRun) -> Overall:
    scoring = SCORINGS[group.kind]
    shown = [name for name in (scoring.main, *scoring.shown) if name not in IN_UNITS]
    of_all = part.filter(pl.col("corpus").is_null())
    by_measure = {name: of_all.filter(measure=name).to_dicts() for name in shown}
    main = part.filter(pl.col("corpus").is_not_null(), measure=scoring.main)
    return Overall(
        group.tested,
        scoring,
        by_measure.pop(scoring.main),
        {str(name): rows.to_dicts() for (name,), rows in main.group_by("corpus", maintain_order=True)},
        by_measure,
        {name: _targets(of, run) for name, of in group.settings.items()},
        _warnings(group, run),
    )


def _targets(settings: Sequence[tuple[str, str]], run: OpenRun) -> str:
    names = dict.fromkeys(run.plan.setting(corpus, name).target_name for corpus, name in settings)
    return " and ".join(names)


def _warnings(group: ScoredTogether, run: OpenRun) -> list[str]:
    """Return what makes scores of a group's settings wrong, with the names of their corpora."""
    of: dict[str, list[str]] = {}
    for corpus, name in group.members:
        protocol = protocol_of(run, Evaluated(corpus, run.plan.setting(corpus, name)))
        for warning in (*protocol.leaks, *protocol.wrong):
            of.setdefault(warning, []).append(corpus)
    return [f"{', '.join(corpora)}: {warning}" for warning, corpora in of.items()]


def document(run: OpenRun) -> Document:
    """Return the tables over all corpora: a section per group."""
    found = groups_of(run)
    return Document("Results over all corpora", [section(one, run.config) for one in found], notes(found, run.config))


def notes(found: Sequence[Overall], config: Config) -> list[str]:
    """Return what the reader of all these tables must know, in sentences."""
    if not found:
        return ["There is no mean: fewer than two corpora that are tested alike have three test speakers."]
    return [
        "Each corpus counts the same; of several settings of one corpus, the mean counts.",
        f"Brackets: {100 * config.evaluate.level:g} % interval for other speakers of these corpora and other trainings;"
        " p (Holm): of the difference to scratch, corrected for the systems of its family. Support vector machines,"
        " linear discriminants (LDA) and ensembles are a family of their own.",
        "p, other corpora: Student's t over the corpora's differences, not corrected. It asks more than p (Holm):"
        " whether the gain holds for corpora that are not here.",
        "Scores of each corpus with intervals are in main.csv; every measure is in overall.csv.",
    ]


def section(one: Overall, config: Config) -> Section:
    """Return what is printed of a group."""
    return Section(
        heading=one.heading,
        caption=" ".join([caption(one), *one.warnings]),
        headline=[headline(one, config)],
        tables=[Table(header(one), [cells(row, one, config) for row in one.rows], 1, f"overall-{one.tested}")],
        notes=[],
    )


def caption(one: Overall) -> str:
    """Return on what a table was made."""
    row = one.rows[0]
    left_out = row["left_out"]
    said = (
        f" Too few test speakers for a mean: {', '.join(left_out)}, whose scores are in main.csv." if left_out else ""
    )
    settings = f" in {row['settings']} settings" if row["settings"] > row["corpora"] else ""
    corpora = ", ".join(f"{name} ({one.targets[name]})" for name in one.of_corpora)
    return (
        f"{one.heading}: {corpora}; {row['speakers']:,} test speakers{settings}."
        f" Scores are {one.scoring.main_name} unless another measure is named.{said}"
    )


def headline(one: Overall, config: Config) -> str:
    """Return what pre-training is worth, in a sentence that claims no more than the corrected test allows."""
    compared = [row for row in one.rows if row["family"] == "pretext" and row["difference"] is not None]
    if not compared:
        return "There is nothing to compare: one of training from scratch and pre-training is missing."
    best = max(compared, key=lambda row: float(row["difference"]))
    name, gain = start_name(best["initialisation"], config), with_interval(best, "difference", sign=True)
    if best["difference"] <= 0:
        return f"No set of pretext tasks is better than scratch on average; the nearest is {name}: {gain}."
    sure = best["p_holm"] is not None and best["p_holm"] < SIGNIFICANT
    return (
        f"Of {len(compared)} sets of pretext tasks {name} gains most over scratch, {gain}, on {best['better']} of"
        f" {best['corpora']} corpora; {'significant' if sure else 'not significant'} at the 5 % level (Holm p ="
        f" {probability(best['p_holm'])}; for other corpora p = {probability(best['p_corpora']) or 'not known'})."
    )


def header(one: Overall) -> tuple[str, ...]:
    """Return the header of the table."""
    shown = [MEASURE_NAMES[name] for name in one.others]
    tests = ("difference to scratch", "p (Holm)", "better on", "p, other corpora")
    return ("Initialisation", "mean", *tests, *one.of_corpora, *shown)


def cells(row: dict[str, Any], one: Overall, config: Config) -> list[str]:
    """Return the cells of `header` for a system."""
    name = row["initialisation"]
    better = "" if row["better"] is None else f"{row['better']} of {row['corpora']}"
    return [
        start_name(name, config),
        with_interval({**row, "value_low": row["ci_low"], "value_high": row["ci_high"]}, "value"),
        with_interval(row, "difference", sign=True),
        probability(row["p_holm"]),
        better,
        probability(row["p_corpora"]),
        *(number(_of(name, rows)) for rows in one.of_corpora.values()),
        *(number(_of(name, rows)) for rows in one.others.values()),
    ]


def _of(name: str, rows: Sequence[dict[str, Any]]) -> float | None:
    return next((row["value"] for row in rows if row["initialisation"] == name), None)


def style_of(row: dict[str, Any]) -> str:
    """Return what a system is: `scratch`, `pretext` or `baseline`."""
    return SCRATCH if row["initialisation"] == SCRATCH else str(row["family"])
