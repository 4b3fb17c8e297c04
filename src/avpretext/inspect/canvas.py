"""A sheet of pixels on which a clip is drawn in the style of the report: panels along one time axis, scores, text."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from avpretext.report.clip import Clip
from avpretext.report.clip_panels import Panel, mark
from avpretext.report.theme import COLOURS, style

Picture = NDArray[np.uint8]

TITLE, GAP, SECONDS = 17.0, 9.0, 34.0
"""Pixels for the title of a panel, under it, and for the time axis below the last."""

NAMES = 58
"""Pixels to the left of the axes, for names and numbers."""

UNITS = 9
"""Action units drawn, at most, beside those that the label is made of."""

_LEAST, _STRETCH = 0.55, 1.3
"""Panels shrink and grow by these factors, to fit."""

_PIXELS_PER_INCH = 72
"""At this resolution a point is a pixel of the sheet."""


@contextmanager
def painted() -> Iterator[None]:
    """Draw in the style of the report, at places that are given."""
    with style(), mpl.rc_context({"figure.constrained_layout.use": False}):
        yield


class Sheet:
    """A drawing of so many pixels, `scale` times as fine; places are left, top, width, height, from the top left."""

    def __init__(self, width: int, height: int, scale: float = 1.0) -> None:
        self.width, self.height, self.scale = width, height, scale
        inches = (width / _PIXELS_PER_INCH, height / _PIXELS_PER_INCH)
        self._figure = Figure(figsize=inches, dpi=_PIXELS_PER_INCH * scale, facecolor=COLOURS["surface"])
        self._canvas = FigureCanvasAgg(self._figure)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Return empty axes at a place."""
        low = self.height - top - height
        place = (left / self.width, low / self.height, width / self.width, height / self.height)
        return self._figure.add_axes(place)

    def text(
        self, left: float, top: float, words: str, size: float = 12, colour: str = "ink", bold: bool = False
    ) -> None:
        """Write words whose upper left corner is at a place."""
        self._figure.text(
            left / self.width, 1 - top / self.height, words, fontsize=size, color=COLOURS[colour],
            fontweight="bold" if bold else "normal", verticalalignment="top",
        )  # fmt: skip

    def pixels(self) -> Picture:
        """Return the drawing: RGB, (height * scale, width * scale, 3)."""
        self._canvas.draw()  # type: ignore[no-untyped-call]
        return np.ascontiguousarray(np.asarray(self._canvas.buffer_rgba())[..., :3])  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class TimeAxis:
    """Where in a drawing the time axis lies: pixels of its start, its end, its top and its bottom."""

    left: float
    right: float
    top: float
    bottom: float
    duration_s: float

    def at(self, time_s: float) -> float:
        """Return the pixel of a time."""
        return self.left + (self.right - self.left) * time_s / self.duration_s


def height_of(panels: Sequence[Panel]) -> int:
    """Return the pixels that panels take when none is pressed together, time axis included."""
    return round(sum(panel.height + GAP for panel in panels) + SECONDS)


def draw(
    sheet: Sheet, panels: Sequence[Panel], place: tuple[float, float, float, float], duration_s: float,
    marks_s: Sequence[float] = (),
) -> TimeAxis:  # fmt: skip
    """Draw panels one under the other, pressed together as much as the height asks.

    `place` is left, top, width, height, in pixels; names stand within its left `NAMES`. The time axis ends at
    `duration_s`; `marks_s` are marked by a dotted line through all panels.
    """
    left, top, width, height = place
    wish = sum(panel.height - TITLE for panel in panels)
    room = height - SECONDS - len(panels) * (TITLE + GAP)
    share = float(np.clip(room / wish, _LEAST, _STRETCH))
    below = top
    for number, panel in enumerate(panels):
        tall = share * (panel.height - TITLE)
        axes = sheet.axes(left + NAMES, below + TITLE, width - NAMES, tall)
        panel.draw(axes)
        axes.set_title(panel.title, fontsize=11, color=COLOURS["muted"], pad=3)
        axes.set_xlim(0, duration_s)
        axes.tick_params(labelsize=10, labelbottom=number == len(panels) - 1)
        mark(axes, marks_s)
        below += TITLE + tall + GAP
    axes.set_xlabel("seconds", fontsize=10, labelpad=2)
    return TimeAxis(left + NAMES, left + width, top + TITLE, below - GAP, duration_s)


def scores(axes: Axes, clip: Clip) -> None:
    """Draw the score of each emotion for the clip, the label's in full colour.

    Neutral comes last and in grey.
    """
    label = (clip.emotion or {}).get("label")
    neutral = clip.table.neutral if clip.table else None
    entries = sorted(clip.scores, key=lambda entry: (entry[0] == neutral, entry[0]))
    for place, (name, value) in enumerate(entries):
        colour = COLOURS["muted" if name == neutral else "emotion"]
        axes.barh(place, value, height=0.62, color=colour, alpha=1.0 if name == label else 0.3)
        axes.text(value + 0.015, place, f"{value:.2f}", fontsize=10, va="center", color=COLOURS["muted"])
    axes.set_yticks(range(len(entries)), [name for name, _ in entries], fontsize=10)
    axes.set_ylim(len(entries) - 0.5, -0.5)
    axes.set_xlim(0, max(1.0, *(value for _, value in entries)) * 1.08)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
