"""How often raters name two emotions together, and what the penalty loss makes of it: heat maps."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from avpretext import shards
from avpretext.evaluation.open_run import Evaluated, OpenRun
from avpretext.report.theme import COLOURS, figure, inline, style
from avpretext.training.penalty_matrices import read_matrices

Matrix = NDArray[np.float64]

_CELL, _MARGIN = 54, 76
_DARKEST = 0.6
"""Opacity of a cell that is 1; ink stays readable on it, in the light and in the dark."""


def heat_map_of(run: OpenRun, one: Evaluated, name: str) -> Markup | None:
    """Return the heat maps of a setting's first fold; None where no penalty was computed."""
    table = run.co_occurrence(one)
    return None if table is None else heat_maps(table, name)


def heat_maps(table: Path, name: str, fold: int | None = None) -> Markup:
    """Draw frequency and penalty of one fold of the stage co_occurrence side by side, to stand within the page.

    Parameters
    ----------
    table
        `schemas.CO_OCCURRENCE`.
    name
        Unique name of the figure on the page.
    fold
        Its number; None: the first.
    """
    classes: list[str] = shards.read_provenance(table)["classes"]
    frequency, penalty = (read_matrices(table, classes, column) for column in ("frequency", "penalty"))
    chosen = min(frequency) if fold is None else fold
    shown = {
        "Share of the clips of a column named so too": frequency[chosen],
        "Penalty: target (row), predicted (column)": penalty[chosen],
    }
    with style():
        chart = side_by_side(shown, classes)
        return inline(chart, name, f"Co-occurrence of fold {chosen}: {_spoken(penalty[chosen], classes)}")


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
    """Draw a cell for each number: the larger, the darker."""
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


def _spoken(penalty: Matrix, classes: Sequence[str]) -> str:
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
