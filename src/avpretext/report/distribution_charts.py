"""Charts of distributions: ridges of features, and the values behind the labels with their thresholds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from numpy.typing import NDArray

from avpretext.flow.tasks import TASKS
from avpretext.report.distributions import Features, Histogram, LabelValues
from avpretext.report.theme import COLOURS, figure, inline, style

Floats = NDArray[np.float64]

RAREST = 1e-4
"""Of action units, this share of the frames is drawn with no height, and all of them with full height."""

LONGEST_BESIDE = 6
"""Names with more letters stand above their ridge."""

FILLS = {
    "high": (1.0, "full"), "low": (0.35, "full"), "dead zone": (1.0, "grid"),
    "an emotion": (1.0, "full"), "neutral": (0.5, "full"), "ambiguous": (0.7, "muted"), "none": (1.0, "grid"),
}  # fmt: skip
"""What became of a value -> opacity, and whether it has the colour of the task or one of those that no label has."""


class Ridge(NamedTuple):
    """A distribution on a line of its own: its name, its histogram, and a number to stand at the end."""

    name: str
    histogram: Histogram
    number: str


Captioned = tuple[Markup, str]
"""A chart and its caption."""


class FeatureCharts(NamedTuple):
    """Charts that stand together: of energy and motion, and beside them of action units; `corpus` may be empty."""

    corpus: str
    signals: list[Captioned]
    units: list[Captioned]


def of_features(features: Sequence[Features]) -> list[FeatureCharts]:
    """Draw the energy of all corpora, and the motion and the action units of each corpus with video."""
    energy = [(one.corpus, one.energy) for one in features if one.energy is not None]
    first = [_energy_chart(energy)] if energy else []
    seen = [one for one in features if one.motion or one.units]
    if not seen:
        return [FeatureCharts("", first, [])] if first else []
    charts = []
    for place, one in enumerate(seen):
        motion = [_motion_chart(one, f"features-{place}-motion")] if one.motion else []
        units = [_unit_chart(one, f"features-{place}-units")] if one.units else []
        name = one.corpus if len(features) > 1 else ""
        charts.append(FeatureCharts(name, motion if place else [*first, *motion], units))
    return charts


def _energy_chart(corpora: Sequence[tuple[str, Histogram]]) -> Captioned:
    rows = [Ridge(name, found, f"{found.quantile(0.5):.0f} dB".replace("-", "−")) for name, found in corpora]
    height = 110 if len(rows) == 1 else 76
    title = "Energy, dB relative to full scale"
    return ridges(rows, "features-energy", title, "energy", height, "median"), ENERGY


def _motion_chart(features: Features, name: str) -> Captioned:
    rows = [
        Ridge(region, found, f"{found.quantile(0.5):.2g}" if found.total else "–")
        for region, found in features.motion.items()
    ]
    title = "Speed, inter-ocular distances per s"
    return ridges(rows, name, title, "activation", 46, "median"), MOTION


def _unit_chart(features: Features, name: str) -> Captioned:
    rows = [
        Ridge(unit, found, f"{100 * found.above / found.total:.1f} %" if found.total else "–")
        for unit, found in features.units.items()
    ]
    title = "Intensity of the action units"
    return ridges(rows, name, title, "emotion", 27, "at .5 +", logarithmic=True), UNITS


ENERGY = (
    "Energy of every 10 ms of a corpus; at the right its median. The right hump is speech, what lies left of it pauses"
    " and noise; a wall at the right end is clipping, one at −80 digital silence. Corpora whose humps lie apart were"
    " recorded at different levels: what is learnt on one may not carry over to the other."
)
MOTION = (
    "Speed of every video frame with a face, per region, on a logarithmic axis; at the right the median. Heights are"
    " shares of the frames, the same for all regions. The left hump is a face at rest and the jitter of the landmarks:"
    " where the humps of rest and movement fall together, the activation label has little to tell apart."
)
UNITS = (
    "Intensity of each action unit over all frames with a face, from 0 to 1. Heights are logarithmic: full height is"
    " every frame, half of it one in a hundred, nothing one in ten thousand. At the right, the share of frames at .5 or"
    " more. A unit that ends early is seldom seen; one with a wall at 1 is not calibrated."
)


def logarithmic_height(shares: Floats) -> Floats:
    """Return heights from 0 for `RAREST` to 1 for everything.

    >>> logarithmic_height(np.array([1.0, 0.01, 0.0001, 0.0])).tolist()
    [1.0, 0.5, 0.0, 0.0]
    """
    return np.asarray(1 - np.log10(np.maximum(shares, RAREST)) / np.log10(RAREST))


def ridges(
    rows: Sequence[Ridge], name: str, title: str, colour: str, height: int, number: str, logarithmic: bool = False
) -> Markup:
    """Draw distributions one below the other, on one axis and one scale; for name, title and colour see `figures`.

    A row has `height` pixels; `number` is the heading of the numbers at the end. Heights are in proportion to the
    shares of a row's bins, or `logarithmic_height`.
    """
    heights = [logarithmic_height(row.histogram.shares) if logarithmic else row.histogram.shares for row in rows]
    largest = max([float(one.max()) for one in heights] + [1e-12])
    with style():
        chart, (axes,) = figure(430, height * len(rows) + 74)
        for place, (row, shares) in enumerate(zip(rows, heights, strict=True)):
            _draw_ridge(axes, place, row, 0.86 * shares / largest, colour)
        _name_ridges(axes, [row.name for row in rows])
        axes.set_ylim(len(rows) - 0.75, -1.02)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", linewidth=0.7)
        axes.set_axisbelow(True)
        if rows[0].histogram.log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.minorticks_off()
        edges = rows[0].histogram.edges
        axes.set_xlim(edges[0], edges[-1])
        axes.set_title(title, fontweight="bold")
        axes.annotate(number, (1, 1), (4, 0), xycoords="axes fraction", textcoords="offset points", fontsize=11,
                      color=COLOURS["muted"], va="top", ha="left")  # fmt: skip
        spoken = "; ".join(f"{row.name} {row.number}" for row in rows)
        return inline(chart, name, f"{title}; {number}: {spoken}")


def _name_ridges(axes: Axes, names: Sequence[str]) -> None:
    """Write short names beside their ridges, long ones above the left end, where a name may have any length."""
    beside = max(len(name) for name in names) <= LONGEST_BESIDE
    axes.set_yticks(range(len(names)), names if beside else [""] * len(names))
    axes.tick_params(axis="y", colors=COLOURS["ink"])
    for label in axes.get_yticklabels():
        label.set_verticalalignment("bottom")
    for place, name in enumerate([] if beside else names):
        axes.annotate(name, (0, place), (2, 47), xycoords=axes.get_yaxis_transform(), textcoords="offset points")


def _draw_ridge(axes: Axes, place: int, row: Ridge, heights: Floats, colour: str) -> None:
    """Draw a distribution as steps over the line `place`; heights up to 1."""
    edges = row.histogram.edges
    axes.stairs(place - heights, edges, baseline=place, fill=True, color=COLOURS[colour], alpha=0.35, linewidth=0)
    axes.stairs(place - heights, edges, baseline=None, color=COLOURS[colour], linewidth=1.2)
    axes.annotate(row.number, (1, place), (4, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
                  fontsize=11, va="bottom", ha="left")  # fmt: skip


def of_labels(values: LabelValues, name: str) -> Markup:
    """Draw the values behind a label, by what became of them, and the threshold."""
    with style():
        chart, (axes,) = figure(340, 230)
        below = np.zeros(next(iter(values.groups.values())).bins)
        for kind, histogram in values.groups.items():
            opacity, fill = FILLS[kind]
            colour = COLOURS[values.task if fill == "full" else fill]
            axes.stairs(below + histogram.counts, histogram.edges, baseline=below, fill=True, color=colour,
                        alpha=opacity, linewidth=0, label=f"{kind} {histogram.total:,}")  # fmt: skip
            below = below + histogram.counts
        _draw_threshold(axes, values)
        axes.set_title(values.title, fontweight="bold", fontsize=11)
        axes.set_ylabel(f"{TASKS[values.task].unit}s")
        axes.grid(axis="y", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.margins(x=0)
        chart.legend(loc="outside lower left", ncols=2, handlelength=0.9, columnspacing=1.1)
        kinds = "; ".join(f"{kind} {histogram.total}" for kind, histogram in values.groups.items())
        return inline(chart, name, f"{values.title}, threshold {values.thresholds[1]:.3g}: {kinds}")


def _draw_threshold(axes: Axes, values: LabelValues) -> None:
    """Draw the threshold as a dashed line; several as a band from the smallest to the largest, the median within."""
    low, median, high = values.thresholds
    if values.several > 1:
        axes.axvspan(low, high, color=COLOURS["muted"], alpha=0.15, linewidth=0)
    axes.axvline(median, color=COLOURS["ink"], linewidth=1.4, linestyle=(0, (4, 2)))
    text = f"{median:.3g}" if values.several == 1 else f"{median:.3g}, median of {values.several:,}"
    axes.annotate(text, (median, 1), (4, -2), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
                  va="top", fontsize=11)  # fmt: skip
