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
from avpretext.evaluation.printed import SIGNIFICANT
from avpretext.evaluation.printed_ablation import level_name, shown_measures, system_name
from avpretext.report import figures, page
from avpretext.report.figures import Mark

LOSS_COLOURS = {"base": "accent", "penalty": "warm"}

Cell = tuple[str, float | None]
"""What a cell says, and the number that it is sorted by."""


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
    facts: dict[str, Any] = {
        "version": __version__,
        "synthetic": page.synthetic_sentence(config),
        "factors": {factor: _levels(found, factor, config) for factor in FACTORS},
        "sections": [_section(f"ablation-{number}", one, run) for number, one in enumerate(found)],
        "level": f"{100 * config.evaluate.level:g} %",
        "notes": printed_ablation.notes(found, config),
    }
    return page.environment().get_template("ablation.html").render(facts)


def _levels(found: Sequence[Ablated], factor: str, config: Config) -> list[str]:
    rows = [row for one in found for row in _grid(one)]
    return [level_name(level, config) for level in dict.fromkeys(row[factor] for row in rows)]


def _grid(found: Ablated) -> Rows:
    return [row for row in found.systems if row["role"] != "baseline"]


def _section(name: str, found: Ablated, run: OpenRun) -> dict[str, Any]:
    """Return what the template says of one setting; `name` is unique on the page."""
    protocol, config = protocol_of(run, found.one), run.config
    return {
        "heading": found.one.heading,
        "caption": printed_ablation.system_caption(found, config),
        "warnings": protocol.warnings,
        "headline": printed_ablation.headline(found, config),
        "notes": protocol.notes,
        "effect_caption": printed_ablation.effect_caption(found),
        "effect_header": printed_ablation.EFFECT_HEADER,
        "effects": [(printed_ablation.effect_cells(row, config), _significant(row)) for row in found.effects],
        "effect_chart": _effect_chart(f"{name}-effects", found, config),
        "losses": [(level_name(loss, config), LOSS_COLOURS[loss]) for loss in _of(_grid(found), "loss")],
        "co_occurrence": figures.heat_maps(run.co_occurrence(found.one), f"{name}-together"),
        "panels": _panels(name, found, config),
        "header": printed_ablation.header(found),
        "systems": [_table_row(row, found, config) for row in found.systems],
    }


def _of(rows: Rows, factor: str) -> list[str]:
    return list(dict.fromkeys(row[factor] for row in rows))


def _significant(row: Mapping[str, Any]) -> bool:
    return row.get("p_holm") is not None and row["p_holm"] < SIGNIFICANT


def _table_row(row: dict[str, Any], found: Ablated, config: Config) -> tuple[list[Cell], str, bool]:
    """Return a row of the table; levels are sorted in reading order, numbers by their value."""
    numbers = [_of(found.systems, factor).index(row[factor]) for factor in FACTORS]
    measures = [found.measure, f"{found.measure}_mean", "difference", "p", "p_holm", *shown_measures(found)]
    values = [*numbers, *(row.get(name) for name in measures)]
    style = {"reference": "scratch", "baseline": "baseline", "system": ""}[row["role"]]
    texts = printed_ablation.cells(row, found, config)
    return list(zip(texts, values, strict=True)), style, _significant(row)


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
    grid = [row for row in _grid(found) if row.get(found.measure) is not None]
    by, lines = (
        ("initialisation", "aggregator") if len(_of(grid, "aggregator")) > 1 else ("aggregator", "initialisation")
    )
    ends = [row[f"{found.measure}{end}"] for row in grid for end in ("", "_low", "_high")]
    known = [end for end in ends if end is not None]
    charts = []
    for number, level in enumerate(_of(grid, by)):
        spans = [_span(row, lines, found.measure, config) for row in grid if row[by] == level]
        title, limits = level_name(level, config), (min(known), max(known))
        chart = figures.spans(spans, f"{name}-{number}", title, found.reference.get(found.measure), limits)
        charts.append(chart)
    return charts


def _span(row: dict[str, Any], lines: str, measure: str, config: Config) -> Mark:
    low, high = row[f"{measure}_low"], row[f"{measure}_high"]
    line, colour = level_name(row[lines], config), LOSS_COLOURS[row["loss"]]
    return Mark(system_name(row, config), row[measure], low, high, line=line, colour=colour)
