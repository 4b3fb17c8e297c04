"""The picture of `docs/tasks.md`: macro-F1 after fine-tuning against the share of right emotion labels.

`python docs/generate/label_quality_picture.py benchmarks/label-quality.md docs/label-quality.png` draws the first table
of the page of the benchmark.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from marked import marks
from matplotlib.figure import Figure

from avpretext import shards
from avpretext.report.theme import COLOURS, figure, style

TABLE = "quality"
CLASSES = 6

NUMBERS = re.compile(r"[+-]?\d*\.\d+")


class Point(NamedTuple):
    """A set of labels.

    Attributes
    ----------
    title
        Which.
    right
        Share of its labels that are right, 0..1.
    score
        Macro-F1 after fine-tuning.
    difference
        To training from scratch, and the ends of its interval.
    """

    title: str
    right: float
    score: float
    difference: tuple[float, float, float]


def read(page: str) -> tuple[float, list[Point]]:
    """Return the score from scratch and the points of the table."""
    begin, end = marks(TABLE)
    lines = page.partition(begin)[2].partition(end)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    points = [
        Point(title, float(right), numbers(score)[0], numbers(difference))
        for title, _, right, score, difference, *_ in cells
        if difference
    ]
    return next(numbers(row[3])[0] for row in cells if not row[4]), points


def numbers(cell: str) -> tuple[float, float, float]:
    """Return the three numbers of a cell.

    >>> numbers("scratch: +0.041 [-0.020, +0.102]")
    (0.041, -0.02, 0.102)
    """
    value, low, high = map(float, NUMBERS.findall(cell))
    return value, low, high


def draw(scratch: float, points: Sequence[Point]) -> Figure:
    """Draw the points; a bar is the interval of the difference to scratch, so one off the line is a difference."""
    chart, (axes,) = figure(640, 380)
    axes.axhline(scratch, color=COLOURS["muted"], linestyle="--", linewidth=1.2, zorder=0)
    axes.text(1.045, scratch, "from scratch", color=COLOURS["muted"], va="center", fontsize=10)
    axes.axvline(1 / CLASSES, color=COLOURS["grid"], zorder=0)
    axes.text(1 / CLASSES + 0.008, 0.98, "chance", color=COLOURS["muted"], fontsize=10, va="top",
              transform=axes.get_xaxis_transform())  # fmt: skip
    for place, point in enumerate(sorted(points, key=lambda point: point.right)):
        _, low, high = point.difference
        axes.plot([point.right] * 2, [scratch + low, scratch + high], color=COLOURS["emotion"], linewidth=2, alpha=0.45)
        axes.plot(point.right, point.score, "o", color=COLOURS["emotion"], markersize=8)
        above = place % 2 == 0
        axes.annotate(
            point.title,
            (point.right, scratch + (high if above else low)),
            xytext=(0, 7 if above else -7),
            textcoords="offset points",
            horizontalalignment="center",
            verticalalignment="bottom" if above else "top",
            fontsize=9,
            zorder=1,
            bbox={"facecolor": COLOURS["raised"], "edgecolor": "none", "pad": 1.5},
        )
    axes.set(xlabel="Share of emotion labels that are right", ylabel="Macro-F1 after fine-tuning", xlim=(0.1, 1.04))
    axes.margins(y=0.12)
    return chart


def write(page: Path, picture: Path) -> None:
    """Draw the table of a page as PNG."""
    with style(), mpl.rc_context({"figure.facecolor": COLOURS["raised"], "savefig.facecolor": COLOURS["raised"]}):
        chart = draw(*read(page.read_text("utf-8")))
        with shards.atomic_path(picture) as temporary:
            chart.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:]))
