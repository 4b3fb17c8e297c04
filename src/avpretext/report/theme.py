"""Charts as inline SVG whose colours and font are the page's, so that they follow light, dark and print."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from html import escape
from importlib.resources import files
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from avpretext.flow.tasks import TASKS


def _colours() -> dict[str, str]:
    """Return the colours of the page in the light, as its style sheet and the pretext tasks define them."""
    style_sheet = files("avpretext.report").joinpath("templates", "report.css").read_text("utf-8")
    own = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", style_sheet.partition("\n}")[0]))
    return own | {name: task.colour[0] for name, task in TASKS.items()}


COLOURS = _colours()
"""Name to colour. `inline` turns each into the CSS variable of its name, so that a drawing follows light and dark."""

_POINTS_PER_INCH = 72
"""Matplotlib writes SVG in points; at this resolution a point is a unit of the drawing, shown as a CSS pixel."""

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "avpretext",
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "axes.edgecolor": COLOURS["grid"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.linewidth": 1.0,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": COLOURS["ink"],
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": COLOURS["grid"],
    "text.color": COLOURS["ink"],
    "text.parse_math": False,
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 11,
}


style = partial(mpl.rc_context, _STYLE)
"""Context in which charts are drawn in the style of the page."""


def figure(width: float, height: float, rows: int = 1, **grid: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure of so many pixels and its axes, stacked."""
    chart = Figure(figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH), dpi=_POINTS_PER_INCH)
    axes = chart.subplots(rows, 1, squeeze=False, **grid)[:, 0]
    return chart, list(axes)


Draw = Callable[[Figure, str, str], None]

_ALSO: ContextVar[Draw | None] = ContextVar("_ALSO", default=None)


@contextmanager
def also(draw: Draw) -> Iterator[None]:
    """Call a function for each chart of the pages made within: the figure, its name and description (see `inline`)."""
    token = _ALSO.set(draw)
    try:
        yield
    finally:
        _ALSO.reset(token)


UNDATED: Any = {"Date": None, "Creator": None, "Format": None, "Type": None}
"""Metadata of an SVG without what differs from run to run."""


def inline(chart: Figure, name: str, description: str) -> Markup:
    """Return a figure as an SVG element to stand within HTML.

    Its identifiers are put under `name`, unique on the page, by which it is saved too; `description` is what a screen
    reader says in its place.
    """
    buffer = io.StringIO()
    chart.savefig(buffer, format="svg", metadata=UNDATED)
    svg = buffer.getvalue()
    if (draw := _ALSO.get()) is not None:
        draw(chart, name, description)
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    width, box = round(chart.get_figwidth() * _POINTS_PER_INCH), re.search(r'viewBox="([^"]*)"', svg)
    if box is None:
        raise ValueError("the drawing has no viewBox")
    size = f"--width:{width}px;max-width:{width}px"
    known = f'data-name="{escape(name)}" role="img" aria-label="{escape(description)}"'
    opening = f'<svg viewBox="{box[1]}" style="{size}" {known}>'
    svg = opening + svg[svg.index(">") + 1 :]
    return Markup(_themed(_own_identifiers(svg, name)).strip())


def _own_identifiers(svg: str, name: str) -> str:
    """Put identifiers that are referred to under the figure's name, and drop the others."""
    used = set(re.findall(r"url\(#([^)]+)\)|xlink:href=\"#([^\"]+)\"", svg))
    referred = {first or second for first, second in used}
    svg = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in referred else "", svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    return re.sub(r'xlink:href="#([^"]+)"', rf'href="#{name}-\1"', svg)


def _themed(svg: str) -> str:
    """Replace colours by CSS variables, leave the font to the page, and drop what no eye can see."""
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # it speaks of `*`: of the whole page
    svg = re.sub(r"font-family: [^;\"]*; ", "", svg)
    svg = re.sub(r' transform="rotate\(-0[^"]*"', "", svg)
    svg = re.sub(r' (?:d|x|y)="[^"]*"', lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), svg)
    svg = re.sub(r"<g>\s*</g>|<g/>|<defs>\s*</defs>", "", svg)
    return re.sub(r"\s*\n\s*", "\n", svg)
