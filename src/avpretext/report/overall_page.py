"""The report's section on all corpora together: what systems reach on average, and on each corpus."""

from typing import Any

from markupsafe import Markup

from avpretext.config import Config
from avpretext.evaluation import printed_overall
from avpretext.evaluation.open_run import OpenRun
from avpretext.evaluation.printed import start_name
from avpretext.evaluation.printed_overall import Overall, style_of
from avpretext.report import figures, gains


def found_overall(run: OpenRun) -> list[dict[str, Any]]:
    """Return what the template shows of each group of settings; nothing where no two corpora are tested alike."""
    return [_group(f"overall-{n}", one, run.config) for n, one in enumerate(printed_overall.groups_of(run))]


def _group(name: str, one: Overall, config: Config) -> dict[str, Any]:
    return {
        "heading": one.heading[0].upper() + one.heading[1:],
        "caption": printed_overall.caption(one),
        "warnings": one.warnings,
        "headline": printed_overall.headline(one, config),
        "measure": one.scoring.main_name,
        "gains": gains.of_overall(one, config),
        "charts": _charts(name, one, config),
        "header": printed_overall.header(one)[1:],
        "rows": [(style_of(row), printed_overall.cells(row, one, config)) for row in one.rows],
    }


def _charts(name: str, one: Overall, config: Config) -> list[Markup]:
    title = one.scoring.main_name[0].upper() + one.scoring.main_name[1:]
    score = figures.intervals(_marks(one, config, "value", "ci"), f"{name}-score", f"{title}, mean over the corpora")
    differences = _marks(one, config, "difference", "difference")
    if not differences:
        return [score]
    label = f"{title}, difference to scratch"
    return [score, figures.intervals(differences, f"{name}-difference", label, zero=0.0, sign=True)]


def _marks(one: Overall, config: Config, column: str, ends: str) -> list[figures.Mark]:
    """Return what a chart shows of a column: the mean over the corpora with its interval, and each corpus."""
    each = [{row["initialisation"]: row[column] for row in rows} for rows in one.of_corpora.values()]
    return [
        figures.Mark(
            start_name(row["initialisation"], config),
            row[column],
            row[f"{ends}_low"],
            row[f"{ends}_high"],
            style_of(row),
            [of[row["initialisation"]] for of in each if of.get(row["initialisation"]) is not None],
        )
        for row in one.rows
        if row[column] is not None
    ]
