"""A sheet of pixels to draw on: panels at given places in the style of the report, and the pixels as an array."""

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from avpretext.report.theme import COLOURS, style

Picture = NDArray[np.uint8]

_PIXELS_PER_INCH = 72
"""At this resolution a point is a pixel of the sheet."""


@contextmanager
def painted() -> Iterator[None]:
    """Draw in the style of the report, at places that are given."""
    with style(), mpl.rc_context({"figure.constrained_layout.use": False}):
        yield


class Sheet:
    """A drawing of so many pixels; places are left, top, width, height, from the top left corner.

    Parameters
    ----------
    width, height
        In pixels.
    scale
        Pixels are drawn this many times as fine.
    """

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
