"""The page of the ablation: what each factor does, every system with its interval, and a table that can be sorted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from avpretext import __version__
from avpretext.config import Config
from avpretext.evaluation import ablate, formats, printed_ablation
from avpretext.evaluation.ablated import FACTORS, Ablated
from avpretext.evaluation.fold_table import protocol_of
from avpretext.evaluation.kinds import MEASURE_NAMES
from avpretext.evaluation.open_run import OpenRun, Rows
from avpretext.evaluation.printed import is_sure
from avpretext.evaluation.printed_ablation import level_name, shown_measures, system_name
from avpretext.report import figures, page
from avpretext.report.figures import Mark

LOSS_COLOURS = {"base": "accent", "penalty": "warm"}

Cell = tuple[str, float | None, bool]
"""What a cell says, the number that it is sorted by, and whether it is significant."""

_TESTED = {"difference": "p_holm", "gain": "gain_p_holm"}
"""Columns of differences, and of their corrected p."""


def run(config: Config, output: Path, page: Path) -> None:
    """Compare initialisations, losses and aggregators.

    Parameters
    ----------
    output
        Folder for the tables, see `ablate.run`.
    page
        The HTML file.
    """
    formats.write_text(page, render(config, ablate.run(config, output)))


def render(config: Config, found: Sequence[Ablated]) -> str:
    """Return the page as text."""
    run = OpenRun(config)
    sections = [_section(f"ablation-{number}", one, run) for number, one in enumerate(found)]
    return filled("ablation", FACTORS, found, config, sections, printed_ablation.notes(found, config))


def filled(
    subject: str,
    factors: Sequence[str],
    found: Sequence[Ablated],
    config: Config,
    sections: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
) -> str:
    """Return the page of a comparison, whose template, tables and target are named after its subject."""
    facts: dict[str, Any] = {
        "version": __version__,
        "subject": subject,
        "synthetic": page.synthetic_sentence(config),
        "factors": {factor: _levels(found, factor, config) for factor in factors},
        "sections": sections,
        "level": f"{100 * config.evaluate.level:g} %",
        "notes": notes,
    }
    return page.environment().get_template(f"{subject}.html").render(facts)


def _levels(found: Sequence[Ablated], factor: str, config: Config) -> list[str]:
    rows = [row for one in found for row in grid_rows(one)]
    return [level_name(level, config, factor) for level in dict.fromkeys(row[factor] for row in rows)]


def grid_rows(found: Ablated) -> Rows:
    """Return the rows of the systems that are compared, without what stands beside."""
    return [row for row in found.systems if row["role"] != "baseline"]


def _section(name: str, found: Ablated, run: OpenRun) -> dict[str, Any]:
    """Return what the template says of one setting; `name` is unique on the page."""
    config = run.config
    measures = [found.measure, f"{found.measure}_mean", "difference", "p", "p_holm", *shown_measures(found)]
    return section(found, run) | {
        "caption": printed_ablation.system_caption(found, config),
        "headline": printed_ablation.headline(found, config),
        "effect_caption": printed_ablation.effect_caption(found),
        "effect_chart": _effect_chart(f"{name}-effects", found, config),
        "losses": [(level_name(loss, config), LOSS_COLOURS[loss]) for loss in levels_in(grid_rows(found), "loss")],
        "co_occurrence": figures.heat_maps(run.co_occurrence(found.one), f"{name}-together"),
        "panels": _panels(name, found, config),
        "header": printed_ablation.header(found),
        "systems": [
            table_row(row, found, FACTORS, measures, printed_ablation.cells(row, found, config))
            for row in found.systems
        ],
    }


def section(found: Ablated, run: OpenRun) -> dict[str, Any]:
    """Return what the template says of one setting in every comparison."""
    protocol, config = protocol_of(run, found.one), run.config
    return {
        "heading": found.one.heading,
        "warnings": protocol.warnings,
        "notes": protocol.notes,
        "effect_header": printed_ablation.EFFECT_HEADER,
        "effects": [(printed_ablation.effect_cells(row, config), is_sure(row)) for row in found.effects],
    }


def levels_in(rows: Rows, factor: str) -> list[str]:
    """Return the levels of a factor in reading order."""
    return list(dict.fromkeys(row[factor] for row in rows))


def table_row(
    row: dict[str, Any], found: Ablated, factors: Sequence[str], measures: Sequence[str], texts: Sequence[str]
) -> tuple[list[Cell], str]:
    """Return a row of the table and its style; levels are sorted in reading order, numbers by their value.

    `texts` are what its cells say, `measures` the columns whose values they are sorted by.
    """
    numbers = [levels_in(found.systems, factor).index(row[factor]) for factor in factors]
    values = [*numbers, *(row.get(name) for name in measures)]
    sure = [False] * len(factors) + [name in _TESTED and is_sure(row, _TESTED[name]) for name in measures]
    style = {"reference": "scratch", "baseline": "baseline", "system": ""}[row["role"]]
    return list(zip(texts, values, sure, strict=True)), style


def _effect_chart(name: str, found: Ablated, config: Config) -> Markup | None:
    """Draw the effect of each level with its interval; None where there is nothing to compare."""
    marks = [
        Mark(
            f"{row['factor']}: {level_name(row['level'], config)} against {level_name(row['against'], config)}",
            row["difference"],
            row["difference_low"],
            row["difference_high"],
        )
        for row in found.effects
        if row.get("difference") is not None
    ]
    title = f"{MEASURE_NAMES[found.measure]}, effect over all else"
    return figures.intervals(marks, name, title, zero=0.0, sign=True) if marks else None


def _panels(name: str, found: Ablated, config: Config) -> list[Markup]:
    """Draw every system: a chart per initialisation, a line per aggregator; one chart where there is one aggregator."""
    several = len(levels_in(grid_rows(found), "aggregator")) > 1
    by, lines = ("initialisation", "aggregator") if several else ("aggregator", "initialisation")
    return panels(name, found, config, by, lines)


def panels(name: str, found: Ablated, config: Config, by: str, lines: str) -> list[Markup]:
    """Draw every system on one scale: a chart per level of one factor, a line per level of another."""
    grid = [row for row in grid_rows(found) if row.get(found.measure) is not None]
    ends = [row[f"{found.measure}{end}"] for row in grid for end in ("", "_low", "_high")]
    known = [end for end in ends if end is not None]
    charts = []
    for number, level in enumerate(levels_in(grid, by)):
        spans = [_span(row, lines, found.measure, config) for row in grid if row[by] == level]
        title, limits = level_name(level, config, by), (min(known), max(known))
        chart = figures.spans(spans, f"{name}-{number}", title, found.reference.get(found.measure), limits)
        charts.append(chart)
    return charts


def _span(row: dict[str, Any], lines: str, measure: str, config: Config) -> Mark:
    low, high = row[f"{measure}_low"], row[f"{measure}_high"]
    line, colour = level_name(row[lines], config, lines), LOSS_COLOURS.get(row["loss"], "accent")
    return Mark(system_name(row, config), row[measure], low, high, line=line, colour=colour)
