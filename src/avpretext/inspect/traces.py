"""The signals of a clip along one time axis, panel under panel, each with the pseudo-labels that are made of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from avpretext.inspect.canvas import Sheet
from avpretext.inspect.clip import Inspected
from avpretext.report.theme import COLOURS

TITLE, GAP, SECONDS = 17.0, 9.0, 34.0
"""Pixels for the title of a panel, under it, and for the time axis below the last."""

NAMES = 58
"""Pixels to the left of the axes, for names and numbers."""

_STRETCH = 1.6
"""Panels grow into room that is left, up to this share of what they are taller than at least."""

UNITS = 9
"""Action units drawn, at most, beside those that the label is made of."""


@dataclass(frozen=True)
class Panel:
    """One signal: height in pixels at its most comfortable, its least, its title, and what draws it."""

    height: float
    least: float
    title: str
    draw: Callable[[Axes], None]


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


def panels_of(clip: Inspected) -> list[Panel]:
    """Return the panels of a clip, from top to bottom."""
    sample = clip.sample
    energy = partial(_line, time_s=sample.energy_time_s, values=sample.energy_db, colour="energy")
    spoken = ", with the true phonemes" if clip.truth.phonemes else ""
    panels = [Panel(70, 34, f"Energy, dB of full scale{spoken}", partial(_energy, draw=energy, clip=clip))]
    panels += _lanes(
        sample.energy_labels, "energy", "Task 1, varied energy", " (filled; outlined: low; dotted: no label)"
    )
    if len(sample.motion_time_s):
        draw = partial(_line, time_s=sample.motion_time_s, values=sample.motion, colour="activation")
        panels.append(Panel(70, 34, "Face speed, inter-ocular distances per second", draw))
    panels += _lanes(sample.activation_labels, "activation", "Task 2, active face")
    shown = units_of(clip)
    if shown:
        true = "; dashed: the truth" if clip.truth.action_units else ""
        chosen = "; in bold those that show the label" if prototype(clip) else ""
        title = f"Action units, 0 to 1{chosen}{true}"
        panels.append(Panel(18 * len(shown), 11 * len(shown), title, partial(_ridges, clip=clip, shown=shown)))
    return panels


def required(clip: Inspected) -> list[str]:
    """Return what the emotion that a clip is labelled with requires: an action unit each, or several joined by `|`."""
    label, table = (clip.sample.emotion or {}).get("label"), clip.prototypes
    return table.emotions[label].required if table is not None and label in table.emotions else []


def prototype(clip: Inspected) -> list[str]:
    """Return the action units that the emotion label of a clip is read off."""
    return [unit for entry in required(clip) for unit in entry.split("|")]


def units_of(clip: Inspected) -> list[str]:
    """Return the action units that are drawn: those of the label, then those that reach highest; in their order."""
    if not clip.sample.action_units:
        return []
    return sorted({*prototype(clip), *clip.sample.strongest_units(UNITS)})


def height_of(panels: Sequence[Panel]) -> int:
    """Return the pixels that panels take when none is pressed together, time axis included."""
    return round(sum(TITLE + panel.height + GAP for panel in panels) + SECONDS)


def draw(
    sheet: Sheet, panels: Sequence[Panel], place: tuple[float, float, float, float], duration_s: float,
    marks_s: Sequence[float] = (),
) -> TimeAxis:  # fmt: skip
    """Draw panels one under the other, pressed together as much as the height asks.

    Parameters
    ----------
    sheet
        What is drawn on.
    panels
        From top to bottom.
    place
        Left, top, width, height, in pixels; names stand within its left `NAMES`.
    duration_s
        Of the clip: where the time axis ends.
    marks_s
        Times marked by a dotted line through all panels.
    """
    left, top, width, height = place
    spare = height - SECONDS - sum(TITLE + panel.least + GAP for panel in panels)
    wish = sum(panel.height - panel.least for panel in panels)
    share = float(np.clip(spare / wish, 0, _STRETCH)) if wish else 0.0
    below = top
    for number, panel in enumerate(panels):
        tall = panel.least + share * (panel.height - panel.least)
        axes = sheet.axes(left + NAMES, below + TITLE, width - NAMES, tall)
        panel.draw(axes)
        axes.set_title(panel.title, fontsize=11, color=COLOURS["muted"], pad=3)
        axes.set_xlim(0, duration_s)
        axes.tick_params(labelsize=10, labelbottom=number == len(panels) - 1)
        for time_s in marks_s:
            axes.axvline(time_s, color=COLOURS["muted"], linewidth=0.8, linestyle=(0, (1, 3)), zorder=0)
        below += TITLE + tall + GAP
    axes.set_xlabel("seconds", fontsize=10, labelpad=2)
    return TimeAxis(left + NAMES, left + width, top + TITLE, below - GAP, duration_s)


def _line(axes: Axes, time_s: Sequence[float], values: Sequence[float], colour: str) -> None:
    axes.plot(time_s, values, color=COLOURS[colour], linewidth=1.5)
    axes.grid(axis="y", linewidth=0.7)
    axes.yaxis.set_major_locator(MaxNLocator(3))


def _energy(axes: Axes, draw: Callable[[Axes], None], clip: Inspected) -> None:
    """Draw the energy and, above it, which phoneme is spoken when."""
    draw(axes)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + (0.22 * (high - low) if clip.truth.phonemes else 0))
    for start_s, end_s, name in clip.truth.phonemes:
        middle = (start_s + end_s) / 2
        axes.text(middle, 0.99, name, fontsize=9, color=COLOURS["muted"], ha="center", va="top", clip_on=True,
                  transform=axes.get_xaxis_transform())  # fmt: skip


def _lanes(labels: Sequence[Mapping[str, Any]], colour: str, title: str, key: str = "") -> list[Panel]:
    """Return the panel of chunk labels; none where there are none."""
    high = sum(row["label"] == 1 for row in labels)
    words = f"{title}: high in {high} of {len(labels)} chunks{key}"
    return (
        [Panel(8 * len(labels), 5 * len(labels), words, partial(_bands, labels=labels, colour=colour))]
        if labels
        else []
    )


def _bands(axes: Axes, labels: Sequence[Mapping[str, Any]], colour: str) -> None:
    """Draw a band for each chunk, one under the other, for they overlap."""
    for lane, row in enumerate(labels):
        high, without = row["label"] == 1, row["label"] is None
        axes.barh(
            lane, row["end_s"] - row["start_s"], left=row["start_s"], height=0.7, linewidth=1.0,
            color=COLOURS[colour] if high else "none", edgecolor=COLOURS["muted" if without else colour],
            linestyle=(0, (1, 2)) if without else "-", alpha=0.85,
        )  # fmt: skip
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _ridges(axes: Axes, clip: Inspected, shown: Sequence[str]) -> None:
    """Draw each action unit on a line of its own, which is as high as intensity 1."""
    sample, colour, of_label = clip.sample, COLOURS["emotion"], prototype(clip)
    for place, unit in enumerate(shown):
        height = place - 0.9 * np.asarray(sample.action_units[unit])
        axes.fill_between(sample.units_time_s, float(place), height, color=colour, alpha=0.3, linewidth=0)
        axes.plot(sample.units_time_s, height, color=colour, linewidth=1.1)
        if clip.truth.action_units:
            true = place - 0.9 * np.asarray(clip.truth.action_units[unit])
            axes.plot(clip.truth.time_s, true, color=COLOURS["ink"], linewidth=0.9, linestyle=(0, (3, 2)))
    axes.set_yticks(range(len(shown)), shown)
    for name, unit in zip(axes.get_yticklabels(), shown, strict=True):
        name.set(fontweight="bold" if unit in of_label else "normal", color=COLOURS["ink"])
    axes.set_ylim(len(shown) - 0.7, -1.0)
    axes.spines["left"].set_visible(False)


def scores(axes: Axes, clip: Inspected) -> None:
    """Draw the score of each emotion for the clip, the label's in full colour.

    Neutral comes last and in grey: it is the label where no emotion scores enough, not where it scores most.
    """
    label = (clip.sample.emotion or {}).get("label")
    neutral = clip.prototypes.neutral if clip.prototypes else None
    entries = sorted(clip.sample.scores, key=lambda entry: (entry[0] == neutral, entry[0]))
    for place, (name, value) in enumerate(entries):
        colour = COLOURS["muted" if name == neutral else "emotion"]
        axes.barh(place, value, height=0.62, color=colour, alpha=1.0 if name == label else 0.3)
        axes.text(value + 0.015, place, f"{value:.2f}", fontsize=10, va="center", color=COLOURS["muted"])
    axes.set_yticks(range(len(entries)), [name for name, _ in entries], fontsize=10)
    axes.set_ylim(len(entries) - 0.5, -0.5)
    axes.set_xlim(0, max(1.0, *(value for _, value in entries)) * 1.08)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
