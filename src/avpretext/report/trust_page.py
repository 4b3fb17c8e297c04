"""The report's section on trust: calibration, speakers, sexes, the raters beside the systems, noise and the like."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from avpretext.config import Config
from avpretext.evaluation import printed, results
from avpretext.evaluation.formats import decimal, probability
from avpretext.evaluation.open_run import Evaluated, OpenRun
from avpretext.evaluation.raters import LABEL, OTHERS, RATERS
from avpretext.evaluation.reliability import CHANCE
from avpretext.evaluation.reliability import MEASURES as CALIBRATION
from avpretext.evaluation.subgroups import DIFFERENCE, SEXES
from avpretext.options.conditions import CLEAN, Condition
from avpretext.report import figures
from avpretext.report.theme import COLOURS, figure, inline, style
from avpretext.systems import SCRATCH, stands_beside

SPEAKERS_DRAWN = 300
"""So many speakers, those with most clips, are dots of a chart; the table has all."""

_MARKS = {"female": ("o", "warm"), "male": ("s", "accent"), None: ("D", "muted")}
"""Sex to the mark of a speaker and its colour."""

_SERIES = ((COLOURS["ink"], "D"), (COLOURS["accent"], "o"), (COLOURS["warm"], "s"))
"""Colour and mark of the systems of a chart, of which there are three at most."""

Cells = list[list[str]]


def found_trust(run: OpenRun) -> list[dict[str, Any]]:
    """Return what the template shows of each corpus and setting; nothing of those without the stage `trust`."""
    found = [
        _section(f"trust-{number}", one, run)
        for number, one in enumerate(run.evaluated())
        if run.trust(one, "speakers") is not None
    ]
    return [section for section in found if any(section[part] for part in ("calibration", "speakers", "raters"))]


def _section(name: str, one: Evaluated, run: OpenRun) -> dict[str, Any]:
    tables = {part: _table(run, one, part) for part in ("calibration", "reliability", "speakers", "spread", "sexes")}
    raters, confusion = _table(run, one, "raters"), _table(run, one, "rater_confusion")
    conditions = _table(run, one, "conditions")
    conditions = conditions if conditions.is_empty() else conditions.filter(measure=one.scoring.main)
    shown = shown_systems(run, one)
    sexes, main = tables["sexes"].filter(measure=one.scoring.main), one.scoring.main
    speakers = tables["speakers"].filter(measure=main)
    return {
        "heading": one.heading,
        "measure": one.scoring.main_name[0].upper() + one.scoring.main_name[1:],
        "reader": run.config.corpora[one.corpus].reader,
        "calibration": calibration_cells(tables["calibration"], run.config),
        "reliability": reliability_charts(tables["reliability"], shown, name, run.config),
        "speakers": speaker_chart(speakers, tables["spread"].filter(measure=main), shown, name, one, run.config),
        "spread": spread_cells(tables["spread"].filter(measure=main), run.config),
        "sexes": sex_cells(sexes, run.config),
        "raters": rater_cells(raters, run.config),
        "by_label": not raters.filter(against=LABEL).is_empty(),
        "confusions": confusion_charts(confusion, shown, name, run.config),
        "heard": names_of(conditions),
        "conditions": condition_cells(conditions, run.config),
        "degraded": condition_chart(conditions, shown, name, one, run.config),
    }


def _table(run: OpenRun, one: Evaluated, part: str) -> pl.DataFrame:
    found = run.trust(one, part)
    return pl.DataFrame() if found is None else found


def shown_systems(run: OpenRun, one: Evaluated) -> list[str]:
    """Return the systems that charts are of: scratch, and the highest among the others and what stands beside."""
    main = one.scoring.main
    rows = [row for row in results.main_rows(run, one) if row.get(main) is not None]
    groups = [
        [row for row in rows if row["initialisation"] == SCRATCH],
        [row for row in rows if row["initialisation"] != SCRATCH and not stands_beside(row["initialisation"])],
        [row for row in rows if stands_beside(row["initialisation"])],
    ]
    return [str(max(group, key=lambda row: float(row[main]))["initialisation"]) for group in groups if group]


def _of_systems(rows: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    if rows.is_empty():
        return []
    parts = rows.partition_by("initialisation", maintain_order=True)
    return [(str(part["initialisation"][0]), part) for part in parts]


def _with_interval(row: dict[str, Any], value: str = "value", sign: bool = False) -> str:
    ends = ("ci_low", "ci_high") if value == "value" else (f"{value}_low", f"{value}_high")
    return printed.with_interval({"x": row[value], "x_low": row[ends[0]], "x_high": row[ends[1]]}, "x", sign)


def calibration_cells(rows: pl.DataFrame, config: Config) -> Cells:
    """Return a row per system: name, expected calibration error, that by chance, Brier score, overconfidence."""
    found = []
    for name, part in _of_systems(rows):
        of = {row["measure"]: row for row in part.to_dicts()}
        ece, brier, over = (
            _with_interval(of[measure], sign=measure == "overconfidence") if measure in of else ""
            for measure in CALIBRATION
        )
        found.append([printed.start_name(name, config), ece, printed.number(of[CHANCE]["value"]), brier, over])
    return found


def reliability_charts(rows: pl.DataFrame, shown: Sequence[str], name: str, config: Config) -> list[Markup]:
    """Draw the share of forecasts that came true by their probability, for each of the systems."""
    charts = []
    for number, (system, part) in enumerate(_of_systems(rows)):
        if system not in shown:
            continue
        title = printed.start_name(system, config)
        with style():
            chart, (axes,) = figure(280, 280)
            sure, right = part["probability"].to_numpy(), part["outcome"].to_numpy()
            axes.plot([0, 1], [0, 1], color=COLOURS["muted"], linewidth=1, linestyle=(0, (3, 3)), zorder=0)
            axes.vlines(sure, sure, right, color=COLOURS["soft"], linewidth=5)
            axes.plot(sure, right, "o-", color=COLOURS["accent"], linewidth=1.6, markersize=5)
            _unit_axes(axes)
            axes.set_title(title, fontweight="bold")
            spoken = "; ".join(f"{decimal(x, 2)} said, {decimal(y, 2)} true" for x, y in zip(sure, right, strict=True))
            counts = sorted({round(count) for count in part["count"]})
            each = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
            axes.annotate(f"{part.height} bins of {each}", (1, 0), (-2, 5), textcoords="offset points", ha="right",
                          color=COLOURS["muted"])  # fmt: skip
            charts.append(inline(chart, f"{name}-reliability-{number}", f"Reliability of {title}: {spoken}"))
    return charts


def _unit_axes(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("probability said")
    axes.set_ylabel("share true")
    axes.set_aspect("equal")
    axes.grid(linewidth=0.7)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def speaker_chart(
    rows: pl.DataFrame, spread: pl.DataFrame, shown: Sequence[str], name: str, one: Evaluated, config: Config
) -> Markup | None:
    """Draw the score of every test speaker, a line per system, and how far they would spread by luck; None of one."""
    drawn = [(system, part) for system, part in _of_systems(rows.drop_nulls("value")) if system in shown]
    drawn = [(system, part) for system, part in drawn if part.height > 1]
    if not drawn:
        return None
    by_system = {row["initialisation"]: row for row in spread.to_dicts()}
    title = f"{one.scoring.main_name[0].upper()}{one.scoring.main_name[1:]} of each test speaker"
    with style():
        chart, (axes,) = figure(430, 60 * len(drawn) + 84)
        for place, (system, part) in enumerate(drawn):
            _draw_speakers(axes, place, part.sort("clips", descending=True, maintain_order=True), by_system[system])
            axes.annotate(printed.start_name(system, config), (0, place), (0, 17), fontweight="bold", va="bottom",
                          xycoords=axes.get_yaxis_transform(), textcoords="offset points")  # fmt: skip
        axes.set_ylim(len(drawn) - 0.45, -0.75)
        axes.set_yticks([])
        axes.margins(x=0.06)
        axes.grid(axis="x", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines["left"].set_visible(False)
        for sex in (sex for sex in _MARKS if sex in set(rows["sex"])):
            marker, colour = _MARKS[sex]
            axes.plot([], [], marker, color=COLOURS[colour], label=sex or "sex not known")
        chart.legend(loc="outside lower left", ncols=3)
        axes.set_title(title, fontweight="bold")
        return inline(chart, f"{name}-speakers", f"{title}: " + "; ".join(_spoken(*one, by_system) for one in drawn))


def _draw_speakers(axes: Axes, place: int, part: pl.DataFrame, spread: dict[str, Any]) -> None:
    """Draw one line: a dot per speaker, apart by a little so that equal ones show, their mean, and the band of luck."""
    if spread["std_by_luck"] is not None:
        ends = spread["mean"] - spread["std_by_luck"], spread["mean"] + spread["std_by_luck"]
        axes.fill_between(ends, place - 0.2, place + 0.2, color=COLOURS["soft"], alpha=0.45, linewidth=0)
    axes.plot([spread["mean"]] * 2, [place - 0.2, place + 0.2], color=COLOURS["ink"], linewidth=1.6)
    part = part.head(SPEAKERS_DRAWN)
    apart = place + 0.12 * (np.arange(part.height) % 3 - 1)
    for sex, (marker, colour) in _MARKS.items():
        own = part["sex"].is_null().to_numpy() if sex is None else (part["sex"] == sex).fill_null(False).to_numpy()
        axes.plot(part["value"].to_numpy()[own], apart[own], marker, color=COLOURS[colour], markersize=5.5, alpha=0.85)
    for kind in ("worst", "best"):
        axes.annotate(spread[f"{kind}_speaker"], (spread[kind], place + 0.2), (0, -2), textcoords="offset points",
                      ha="center", va="top", fontsize=11, color=COLOURS["muted"])  # fmt: skip


def _spoken(system: str, part: pl.DataFrame, by_system: dict[str, dict[str, Any]]) -> str:
    row = by_system[system]
    worst, best = (f"{kind} {row[f'{kind}_speaker']} {decimal(row[kind], 3)}" for kind in ("worst", "best"))
    return f"{system}, {part.height} speakers, mean {decimal(row['mean'], 3)}, {worst}, {best}"


def spread_cells(rows: pl.DataFrame, config: Config) -> Cells:
    """Return a row per system: mean, deviation, worst, best; where it is known, deviation and worst by luck, and p."""
    luck = not rows.is_empty() and rows["std_by_luck"].null_count() == 0
    return [
        [printed.start_name(row["initialisation"], config), *map(printed.number, (row["mean"], row["std"])),
         f"{printed.number(row['worst'])} ({row['worst_speaker']})",
         f"{printed.number(row['best'])} ({row['best_speaker']})",
         *([printed.number(row["std_by_luck"]), printed.number(row["worst_by_luck"]), probability(row["p_value"])]
           if luck else [])]
        for row in rows.to_dicts()
    ]  # fmt: skip


def sex_cells(rows: pl.DataFrame, config: Config) -> Cells:
    """Return a row per system: female, male, the difference, p, p after Holm's correction; none if sex is not known."""
    found = []
    for name, part in _of_systems(rows):
        of = {row["sex"]: row for row in part.to_dicts()}
        if not set(SEXES) & set(of):
            return []
        told = [_with_interval(of[sex]) if sex in of else "" for sex in SEXES]
        apart = of.get(DIFFERENCE)
        tested = [_with_interval(apart, sign=True), *map(probability, (apart["p_value"], apart["p_holm"]))] \
            if apart else ["", "", ""]  # fmt: skip
        found.append([printed.start_name(name, config), *told, *tested])
    return found


def rater_cells(rows: pl.DataFrame, config: Config) -> Cells:
    """Return a row for single raters and per system: UAR by other raters, difference, p (Holm); the same by label."""
    found = []
    for name, part in _of_systems(rows.filter(measure="uar") if not rows.is_empty() else rows):
        cells = [_rater_name(name, config)]
        for row in (row for against in (OTHERS, LABEL) for row in part.filter(against=against).to_dicts()):
            apart = _with_interval(row, "difference", sign=True) if name != RATERS else ""
            cells += [_with_interval(row), apart, probability(row["p_holm"])]
        found.append(cells)
    return found


def confusion_charts(rows: pl.DataFrame, shown: Sequence[str], name: str, config: Config) -> list[Markup]:
    """Draw the confusion of single raters and that of the highest system, by the majority of the other raters."""
    of = dict(_of_systems(rows.filter(against=OTHERS))) if not rows.is_empty() else {}
    systems = [system for system in shown if system in of]
    if RATERS not in of or not systems:
        return []
    classes = of[RATERS]["predicted"].unique(maintain_order=True).to_list()
    charts = []
    for number, system in enumerate((RATERS, systems[min(1, len(systems) - 1)])):
        title = _rater_name(system, config)
        shares = of[system]["share"].fill_null(0.0).to_numpy().reshape(len(classes), -1)
        kept = zip(classes, np.diagonal(shares), strict=True)
        with style():
            chart = figures.side_by_side({title: shares}, classes)
            # Names of classes are short, which makes the cells higher.
            chart.set_figheight(chart.get_figheight() + 0.3)
            spoken = ", ".join(f"{label} {decimal(share, 2)}" for label, share in kept)
            charts.append(inline(chart, f"{name}-raters-{number}", f"Confusion of {title}, recall: {spoken}"))
    return charts


def _rater_name(system: str, config: Config) -> str:
    return "single raters" if system == RATERS else printed.start_name(system, config)


def names_of(conditions: pl.DataFrame) -> list[str]:
    """Return the conditions of a table in its order, clean first; none where nothing was tested in any."""
    return [] if conditions.is_empty() else conditions["condition"].unique(maintain_order=True).to_list()


def condition_cells(rows: pl.DataFrame, config: Config) -> Cells:
    """Return a row per system: name, score clean, difference to it in each condition; empty where it has none."""
    found = []
    for name, part in _of_systems(rows):
        of = {row["condition"]: row for row in part.to_dicts()}
        drops = [of.get(one, {}).get("difference") for one in names_of(rows)[1:]]
        apart = [printed.with_interval({"x": drop}, "x", sign=True) for drop in drops]
        found.append([printed.start_name(name, config), _with_interval(of[CLEAN]), *apart])
    return found


def condition_chart(
    rows: pl.DataFrame, shown: Sequence[str], name: str, one: Evaluated, config: Config
) -> Markup | None:
    """Draw the score of systems in each condition with its interval; lines join degrees of one kind. None without."""
    known = rows if rows.is_empty() else rows.drop_nulls("value")
    drawn = [(system, part) for system, part in _of_systems(known) if system in shown]
    if not drawn:
        return None
    conditions, spoken = names_of(rows), []
    with style():
        chart, (axes,) = figure(max(320, 90 * len(conditions)), 260)
        for number, (system, part) in enumerate(drawn):
            of = {row["condition"]: row for row in part.to_dicts()}
            places = {one: place + 0.16 * (number - (len(drawn) - 1) / 2) for place, one in enumerate(conditions)}
            _draw_conditions(axes, of, places, *_SERIES[number % len(_SERIES)], printed.start_name(system, config))
            spoken.append(f"{system}: " + ", ".join(f"{one} {decimal(row['value'], 3)}" for one, row in of.items()))
        axes.set_xticks(range(len(conditions)), conditions)
        axes.set_xlim(-0.5, len(conditions) - 0.5)
        axes.grid(axis="y", linewidth=0.7)
        axes.set_axisbelow(True)
        chart.legend(loc="outside lower left", ncols=3)
        title = f"{one.scoring.main_name[0].upper()}{one.scoring.main_name[1:]} by condition of the test clips"
        axes.set_title(title, fontweight="bold")
        return inline(chart, f"{name}-conditions", f"{title}: " + "; ".join(spoken))


def _draw_conditions(
    axes: Axes, of: dict[str, dict[str, Any]], places: dict[str, float], colour: str, mark: str, label: str
) -> None:
    for condition, row in of.items():
        if row["ci_low"] is not None:
            ends = row["ci_low"], row["ci_high"]
            axes.plot([places[condition]] * 2, ends, color=colour, linewidth=1.4, alpha=0.6)
    for first, second in pairwise(name for name in of if name != CLEAN):
        if Condition.of(first).kind == Condition.of(second).kind:
            ends = of[first]["value"], of[second]["value"]
            axes.plot([places[first], places[second]], ends, color=colour, linewidth=1.2)
    values = [row["value"] for row in of.values()]
    axes.plot([places[name] for name in of], values, mark, color=colour, markersize=6, label=label)
