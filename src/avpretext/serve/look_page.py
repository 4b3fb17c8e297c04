"""The results of a first look as HTML, in the style of the report."""

from base64 import b64encode
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from avpretext.action_units.formulas import FORMULAS
from avpretext.corpora.settings import NUMBERS
from avpretext.evaluation.formats import decimal
from avpretext.predict.result import Prediction
from avpretext.report import page
from avpretext.report.theme import COLOURS, figure, inline, style
from avpretext.serve.face_look import FaceLook
from avpretext.serve.first_look import FirstLook

Floats = NDArray[np.float64]

WIDTH, ENERGY, NUMBER, RIDGE, AXIS = 430, 96, 110, 26, 44
"""Pixels: of the chart; of its panels of energy and of a number over time, of a ridge; of the time axis."""

ROOM = 34
"""Pixels of a panel of ridges for its title."""


class Bar(NamedTuple):
    """A class or an attribute of the whole: its value as text, and the length of its bar, in percent."""

    name: str
    value: str
    percent: float
    is_label: bool


def results(look: FirstLook) -> str:
    """Return the part of the page that shows a file."""
    whole, face = look.whole, look.face
    spoken = whole is not None and bool(whole.spoken[0])
    return _environment().get_template("first_look.html").render(
        look=look,
        spoken=spoken,
        speech="" if whole is None else f"{whole.speech[0]:.0%}",
        bars=bars(whole) if whole is not None and spoken else [],
        chart=chart(look),
        pictures=[(f"{time_s:.2f}", b64encode(jpeg).decode()) for time_s, jpeg in (face.pictures if face else [])],
        units=[] if face is None else unit_bars(face),
    )  # fmt: skip


def bars(whole: Prediction) -> list[Bar]:
    """Return the classes in their order; the bar of an attribute has no length, since its scale is not known."""
    labels = (whole.label or "").split("+")
    if whole.kind in NUMBERS:
        return [Bar(name, decimal(value, 2), 0.0, False) for name, value in whole.by_name().items()]
    return [Bar(name, decimal(value, 2), 100 * value, name in labels) for name, value in whole.by_name().items()]


def unit_bars(face: FaceLook) -> list[Bar]:
    """Return the peaks of the strongest action units, with their names."""
    peaks = {unit: float(np.nanmax(values)) for unit, values in face.units.items()}
    return [Bar(f"{unit} {FORMULAS[unit].name}", decimal(peak, 2), 100 * peak, False) for unit, peak in peaks.items()]


def chart(look: FirstLook) -> Markup:
    """Draw what goes along the time of a file, panel under panel; nothing for a file that is refused."""
    along, face = look.along, look.face
    if along is None:
        return Markup()
    curves = dict(zip(along.names, along.probabilities.T.astype(np.float64), strict=True))
    middle_s = (along.start_s + along.end_s) / 2
    window_s = along.end_s[0] - along.start_s[0]
    as_numbers = along.kind in NUMBERS
    heights = [ENERGY, *([NUMBER] * len(curves) if as_numbers else [ROOM + RIDGE * len(curves)])]
    heights += [ROOM + RIDGE * len(face.units)] if face else []
    with style():
        drawing, (energy, *others) = figure(
            WIDTH, sum(heights) + AXIS, len(heights), sharex=True, height_ratios=heights
        )
        _line(energy, look.energy_s, look.energy_db, "energy", "Vocal energy, dB relative to full scale")
        if as_numbers:
            for place, (name, values) in zip(others, curves.items(), strict=False):
                _line(place, middle_s, values, "emotion", f"{name}, windows of {window_s:g} s")
        else:
            _ridges(others[0], middle_s, curves, "accent", f"Emotion, probability in windows of {window_s:g} s")
        if face:
            _ridges(others[-1], face.time_s, face.units, "emotion", "Strongest action units, 0 to 1")
        others[-1].set_xlabel("seconds")
        others[-1].set_xlim(0, look.duration_s)
        return inline(drawing, "first-look", f"Vocal energy, emotion{' and action units' if face else ''} over time")


def _line(axes: Axes, time_s: Floats, values: Floats, colour: str, title: str) -> None:
    axes.plot(time_s, values, color=COLOURS[colour], linewidth=1.4)
    axes.grid(axis="y", linewidth=0.7)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.set_title(title)


def _ridges(axes: Axes, time_s: Floats, curves: dict[str, Floats], colour: str, title: str) -> None:
    """Draw each curve as a ridge on a line of its own; a ridge as high as its line is 1, NaN leaves a gap."""
    for place, values in enumerate(curves.values()):
        heights = place - 0.9 * values
        axes.fill_between(time_s, float(place), heights, color=COLOURS[colour], alpha=0.35, linewidth=0)
        axes.plot(time_s, heights, color=COLOURS[colour], linewidth=1.4, marker="." if len(time_s) < 2 else "")
        axes.axhline(place, color=COLOURS["grid"], linewidth=0.7, zorder=0)
    axes.set_yticks(range(len(curves)), list(curves))
    axes.set_ylim(len(curves) - 0.8, -1.05)
    axes.spines["left"].set_visible(False)
    axes.set_title(title)


def style_sheet() -> str:
    """Return the style of the results, with the colours of the report in light and dark."""
    of_report, _, _ = page.environment().get_template("report.css").render().partition("@media print")
    own = files("avpretext.serve").joinpath("templates", "first_look.css").read_text("utf-8")
    return of_report.replace(":root", ".first-look, .head") + own


@cache
def _environment() -> Environment:
    loader = PackageLoader("avpretext.serve")
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
