"""The page of the upstreams: what pretext tasks add to each, with intervals, and a table that can be sorted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from avpretext.config import Config
from avpretext.evaluation import compare_upstreams, formats, printed_upstreams
from avpretext.evaluation.ablated import UPSTREAM_FACTORS, Ablated
from avpretext.evaluation.kinds import MEASURE_NAMES
from avpretext.evaluation.open_run import OpenRun
from avpretext.evaluation.printed_ablation import level_name
from avpretext.report import ablation_page, figures
from avpretext.report.ablation_page import grid_rows, levels_in
from avpretext.report.figures import Mark


def run(config: Config, output: Path, page: Path) -> None:
    """Compare upstreams and initialisations: write the tables and the page.

    Parameters
    ----------
    config
        The whole configuration.
    output
        Folder for the tables, see `compare_upstreams.run`.
    page
        The HTML file.

    Raises
    ------
    UserError
        Predictions are missing, or are not of the same folds and seeds; see `compare_upstreams.run`.
    """
    formats.write_text(page, render(config, compare_upstreams.run(config, output)))


def render(config: Config, found: Sequence[Ablated]) -> str:
    """Return the page as text."""
    run = OpenRun(config)
    sections = [_section(f"upstreams-{number}", one, run) for number, one in enumerate(found)]
    notes = printed_upstreams.notes(found, config)
    return ablation_page.filled("upstreams", UPSTREAM_FACTORS, found, config, sections, notes)


def _section(name: str, found: Ablated, run: OpenRun) -> dict[str, Any]:
    """Return what the template says of one setting; `name` is unique on the page."""
    config = run.config
    measures = [*printed_upstreams.measures_of(found), "gain", "gain_p_holm", "difference", "p_holm"]
    texts = [printed_upstreams.cells(row, found, config) for row in found.systems]
    return ablation_page.section(found, run) | {
        "caption": printed_upstreams.caption(found, config),
        "headline": printed_upstreams.headline(found, config),
        "effect_caption": printed_upstreams.effect_caption(found),
        "gains": _gains(f"{name}-gains", found, config),
        "panels": ablation_page.panels(name, found, config, *UPSTREAM_FACTORS),
        "header": printed_upstreams.header(found),
        "systems": [
            ablation_page.table_row(row, found, UPSTREAM_FACTORS, measures, said)
            for row, said in zip(found.systems, texts, strict=True)
        ],
    }


def _gains(name: str, found: Ablated, config: Config) -> list[Markup]:
    """Draw what each set of tasks adds, a chart for each upstream that has any."""
    rows = [row for row in grid_rows(found) if row.get("gain") is not None]
    ends = [row[f"gain{end}"] for row in rows for end in ("", "_low", "_high")]
    known = [0.0, *(end for end in ends if end is not None)]
    charts = []
    for number, upstream in enumerate(levels_in(rows, "upstream")):
        marks = [
            Mark(level_name(row["initialisation"], config), row["gain"], row["gain_low"], row["gain_high"])
            for row in rows
            if row["upstream"] == upstream
        ]
        title = f"{upstream}: gain in {MEASURE_NAMES[found.measure]}"
        charts.append(
            figures.intervals(marks, f"{name}-{number}", title, zero=0.0, sign=True, limits=(min(known), max(known)))
        )
    return charts
