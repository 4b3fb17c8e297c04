"""The charts of the report: each takes plain rows or arrays and returns SVG to stand within the page.

Of every chart `name` is unique on the page, `title` says what is shown, colours are names of `theme.COLOURS`, and rows
come from top to bottom.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from avpretext import shards
from avpretext.evaluation.formats import decimal
from avpretext.report.theme import COLOURS, figure, inline, style

_ROW_HEIGHT = 26
"""Pixels for a line of text beside its mark."""

_MARK_HEIGHT = 38
"""Pixels for a mark with a line of text above it."""

_LETTERS = 54
"""So many letters of a name stand above a mark."""


Matrix = NDArray[np.float64]

_CELL, _MARGIN = 54, 76
_DARKEST = 0.6
"""Opacity of a cell that is 1; ink stays readable on it, in the light and in the dark."""


class Mark(NamedTuple):
    """A score with its interval, of which low and high may be None.

    `kind` is `pretext`, `scratch`, or `baseline` for what is no initialisation; `parts` are scores that it is the mean
    of, drawn small. Of `spans`, `line` is the line that the
    score is on, which it may share with others, and `colour` its colour.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    kind: str = "pretext"
    parts: Sequence[float] = ()
    line: str = ""
    colour: str = "accent"


def intervals(
    marks: Sequence[Mark],
    name: str,
    title: str,
    *,
    zero: float | None = None,
    sign: bool = False,
    limits: tuple[float, float] | None = None,
) -> Markup:
    """Draw a mark and an interval per score, its name above and the number beside, with a dashed line at `zero`.

    Names stand above their line, not beside it, so that the chart is narrow enough for a phone. `sign`: numbers carry
    their sign. `limits` is the range of the scores, so that figures side by side compare.
    """
    with style():
        chart, (axes,) = figure(430, _MARK_HEIGHT * len(marks) + 52)
        for place, mark in enumerate(marks):
            _draw_mark(axes, place, mark, decimal(mark.value, 3, sign).replace("-", "−"))
        if zero is not None:
            axes.axvline(zero, color=COLOURS["muted"], linewidth=1, linestyle=(0, (3, 3)), zorder=0)
        axes.set_ylim(len(marks) - 0.65, -0.75)
        axes.margins(x=0.06)
        if limits is not None:
            axes.set_xlim(*_with_margin(limits, 0.06))
        axes.set_yticks([])
        axes.grid(axis="x", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_title(title, fontweight="bold")
        return inline(chart, name, f"{title}: " + "; ".join(_spoken(mark, sign) for mark in marks))


def _draw_mark(axes: Axes, place: int, mark: Mark, number: str) -> None:
    """Draw one score: filled in colour for a set of pretext tasks, in grey for scratch, hollow for a baseline."""
    colour = COLOURS["accent" if mark.kind == "pretext" else "muted"]
    hollow = mark.kind == "baseline"
    if mark.low is not None and mark.high is not None:
        axes.plot([mark.low, mark.high], [place, place], color=colour, linewidth=2.2, alpha=0.4 if hollow else 0.65)
    face = COLOURS["raised"] if hollow else colour
    axes.plot(mark.parts, [place] * len(mark.parts), "|", color=colour, markersize=9, alpha=0.8)
    axes.plot(mark.value, place, "D" if hollow else "o", color=colour, markersize=6 if hollow else 7,
              markerfacecolor=face)  # fmt: skip
    above: dict[str, Any] = {
        "xycoords": axes.get_yaxis_transform(), "textcoords": "offset points", "va": "bottom",
        "color": COLOURS["muted" if hollow else "ink"],
        "bbox": {"facecolor": COLOURS["raised"], "edgecolor": "none", "pad": 1},
    }  # fmt: skip
    axes.annotate(_fitted(mark.name), (0, place), (0, 7), **above)
    axes.annotate(number, (1, place), (0, 7), ha="right", **above)


def _fitted(name: str) -> str:
    """Return a name that leaves room for the number beside it; tables have the whole of it."""
    return name if len(name) <= _LETTERS else name[: _LETTERS - 1].rstrip(" ,;+") + "…"


def spans(marks: Sequence[Mark], name: str, title: str, reference: float | None, limits: tuple[float, float]) -> Markup:
    """Draw scores on named lines, those of one line side by side, with a dashed line at the score to compare with.

    `limits` is the range of the scores, so that figures side by side compare.
    """
    lines = list(dict.fromkeys(mark.line for mark in marks))
    colours = list(dict.fromkeys(mark.colour for mark in marks))
    with style():
        chart, (axes,) = figure(340, 34 * len(lines) + 56)
        for mark in marks:
            place = lines.index(mark.line) + 0.3 * (colours.index(mark.colour) - (len(colours) - 1) / 2)
            if mark.low is not None and mark.high is not None:
                ends = [mark.low, mark.high]
                axes.plot(ends, [place, place], color=COLOURS[mark.colour], linewidth=2.2, alpha=0.6)
            axes.plot(mark.value, place, "os"[colours.index(mark.colour) % 2], color=COLOURS[mark.colour], markersize=6)
        if reference is not None:
            axes.axvline(reference, color=COLOURS["muted"], linewidth=1, linestyle=(0, (3, 3)), zorder=0)
        _name_rows(axes, lines)
        axes.set_xlim(*_with_margin(limits, 0.04))
        axes.set_title(title, fontweight="bold")
        return inline(chart, name, f"{title}: " + "; ".join(_spoken(mark, False) for mark in marks))


def _with_margin(limits: tuple[float, float], share: float) -> tuple[float, float]:
    margin = share * (limits[1] - limits[0])
    return limits[0] - margin, limits[1] + margin


def _spoken(mark: Mark, sign: bool) -> str:
    text = f"{mark.name} {decimal(mark.value, 3, sign)}"
    if mark.low is None:
        return text
    return f"{text}, from {decimal(mark.low, 3, sign)} to {decimal(mark.high, 3, sign)}"


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write a name beside each row, the first on top, and lay a faint line under each."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", colors=COLOURS["ink"])
    axes.grid(axis="x", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5))


def bars(
    rows: Sequence[tuple[str, float, str]], name: str, title: str, colour: str, faint: Sequence[str] = ()
) -> Markup:
    """Draw a bar per row: its name, its length, and what to write at its end; bars in `faint` are drawn in grey."""
    with style():
        chart, (axes,) = figure(340, _ROW_HEIGHT * 0.85 * len(rows) + 34)
        lengths = [length for _, length, _ in rows]
        colours = [COLOURS["grid" if label in faint else colour] for label, _, _ in rows]
        axes.barh(range(len(rows)), lengths, color=colours, height=0.68)
        for place, (_, length, text) in enumerate(rows):
            axes.annotate(text, (length, place), (5, 0), textcoords="offset points", va="center", fontsize=11)
        _name_rows(axes, [label for label, _, _ in rows])
        axes.set_xlim(0, 1.3 * max([*lengths, 1e-9]))
        axes.grid(visible=False)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.set_title(title, fontweight="bold")
        return inline(chart, name, f"{title}: " + "; ".join(f"{label} {text}" for label, _, text in rows))


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    name: str,
    title: str,
    colours: Mapping[str, str],
    bands: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    limits: tuple[float, float] | None = None,
    legend: bool = True,
) -> Markup:
    """Draw values by epoch: lines by name, each (epochs, values), in colours by name.

    `bands` are (lower, upper) drawn around a line. `limits` is the range of the values, so that figures side by side
    compare. `legend`: whether to name several lines within the figure.
    """
    with style():
        named = legend and len(lines) > 1
        chart, (axes,) = figure(280, 214 if named else 190)
        for label, (epochs, values) in lines.items():
            colour = COLOURS[colours[label]]
            if bands and label in bands:
                axes.fill_between(epochs, *bands[label], color=colour, alpha=0.18, linewidth=0)
            axes.plot(epochs, values, color=colour, linewidth=1.8, label=label)
        axes.set_title(title, fontweight="bold")
        axes.set_xlabel("epoch")
        axes.grid(axis="y", linewidth=0.7)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        if limits:
            axes.set_ylim(*limits)
        if named:
            chart.legend(loc="outside lower left", ncols=3, handlelength=1.2, columnspacing=1.2)
        ends = "; ".join(f"{label} ends at {decimal(values[-1], 3)}" for label, (_, values) in lines.items())
        return inline(chart, name, f"{title}: {ends}")


def units(rows: Sequence[tuple[str, float | None, float | None]], name: str, other: str) -> Markup:
    """Draw how far each action unit agrees with `other`: its correlation, and F1 of its presence."""
    with style():
        chart, (axes,) = figure(430, 19 * len(rows) + 62)
        for place, (_, correlation, f1) in enumerate(rows):
            if correlation is not None:
                axes.plot([0, correlation], [place, place], color=COLOURS["soft"], linewidth=2.2)
                axes.plot(correlation, place, "o", color=COLOURS["accent"], markersize=6)
            if f1 is not None:
                axes.plot(f1, place, "D", color=COLOURS["warm"], markersize=5, markerfacecolor="none")
        _name_rows(axes, [unit for unit, _, _ in rows])
        axes.plot([], [], "o", color=COLOURS["accent"], label="Pearson r")
        axes.plot([], [], "D", color=COLOURS["warm"], markerfacecolor="none", label="F1")
        axes.axvline(0, color=COLOURS["muted"], linewidth=1)
        chart.legend(loc="outside upper left", ncols=2)
        spoken = "; ".join(f"{unit} {decimal(correlation, 2)}" for unit, correlation, _ in rows)
        return inline(chart, name, f"Correlation with {other}: {spoken}")


def firing(rows: Sequence[tuple[str, float, float]], name: str) -> Markup:
    """Draw how often each action unit is active: its share of the clips and of the frames, 0..1."""
    with style():
        chart, (axes,) = figure(430, 19 * len(rows) + 62)
        places = range(len(rows))
        axes.barh(places, [100 * clips for _, clips, _ in rows], color=COLOURS["soft"], height=0.68, label="clips")
        axes.plot([100 * frames for _, _, frames in rows], places, "o", color=COLOURS["emotion"], markersize=5,
                  label="frames")  # fmt: skip
        _name_rows(axes, [unit for unit, _, _ in rows])
        axes.set_xlim(left=0)
        axes.set_xlabel("per cent")
        chart.legend(loc="outside upper left", ncols=2)
        spoken = "; ".join(f"{unit} {100 * clips:.0f} % of the clips" for unit, clips, _ in rows)
        return inline(chart, name, f"How often each action unit is active: {spoken}")


def heat_maps(table: Path | None, name: str) -> Markup | None:
    """Draw frequency and penalty of the first fold of `co_occurrence` side by side; None without the table."""
    if table is None:
        return None
    # Here, since it imports torch, and loading that takes longer than the rest of most reports.
    from avpretext.training.co_occurrence import read_matrices

    classes: list[str] = shards.read_provenance(table)["classes"]
    frequency, penalty = (read_matrices(table, classes, column) for column in ("frequency", "penalty"))
    chosen = min(frequency)
    shown = {
        "Share of the clips of a column named so too": frequency[chosen],
        "Penalty: target (row), predicted (column)": penalty[chosen],
    }
    with style():
        chart = side_by_side(shown, classes)
        return inline(chart, name, f"Co-occurrence of fold {chosen}: {_costs(penalty[chosen], classes)}")


def side_by_side(matrices: Mapping[str, Matrix], classes: Sequence[str]) -> Figure:
    """Draw matrices side by side, a title above each."""
    side = _MARGIN + _CELL * len(classes)
    chart, _ = figure(side * len(matrices), side)
    chart.clear()
    panels = chart.subplots(1, len(matrices), squeeze=False)[0]
    for axes, (title, matrix) in zip(panels, matrices.items(), strict=True):
        _heat_map(axes, matrix, classes, title)
    return chart


def _heat_map(axes: Axes, matrix: Matrix, classes: Sequence[str], title: str) -> None:
    for (row, column), value in np.ndenumerate(matrix):
        axes.add_patch(
            Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, linewidth=0, facecolor=COLOURS["accent"],
                      alpha=_DARKEST * float(value))
        )  # fmt: skip
        axes.annotate(f"{value:.2f}", (column, row), ha="center", va="center", color=COLOURS["ink"])
    places = range(len(classes))
    axes.set_xticks(places, classes)
    axes.set_yticks(places, classes)
    axes.tick_params(colors=COLOURS["ink"])
    axes.xaxis.tick_top()
    axes.set_xlim(-0.5, len(classes) - 0.5)
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.spines[:].set_visible(False)
    axes.set_title(title, color=COLOURS["ink"], fontweight="bold", pad=9)


def _costs(penalty: Matrix, classes: Sequence[str]) -> str:
    """Say which wrong prediction costs least and most."""
    wrong = ~np.eye(len(classes), dtype=bool)
    least = np.where(wrong, penalty, np.inf)
    most = np.where(wrong, penalty, -np.inf)
    said = []
    for word, values, place in (("least", least, least.argmin()), ("most", most, most.argmax())):
        target, predicted = divmod(int(place), len(classes))
        value = values[target, predicted]
        said.append(f"{classes[predicted]} for {classes[target]} costs {word}, {value:.2f}")
    return "; ".join(said)
