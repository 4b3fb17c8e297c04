"""The signals of a clip along one time axis, panel under panel, each with the pseudo-labels that are made of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from avpretext.evaluation.open_run import Rows
from avpretext.flow.tasks import CHUNK_TASKS, TASKS
from avpretext.report.clip import Clip, Floats
from avpretext.report.theme import COLOURS, figure, inline, style


@dataclass(frozen=True)
class Panel:
    """One signal: height in pixels, title included; title; what draws it."""

    height: float
    title: str
    draw: Callable[[Axes], object]


def panels_of(clip: Clip, units: int, closely: bool = False) -> list[Panel]:
    """Return the panels of a clip, from top to bottom; of its action units so many at most, those that reach highest.

    `closely`: titles count labels, the action units behind the emotion label are shown too, and the truth is drawn.
    """
    phonemes = clip.true_phonemes if closely else []
    spoken = ", with the true phonemes" if phonemes else ""
    energy = partial(_energy, clip=clip, phonemes=phonemes)
    lanes = {task: _lanes(clip, task, closely) for task in CHUNK_TASKS}
    panels = [Panel(90, f"Energy, dB relative to full scale{spoken}", energy)] if clip.heard else []
    panels += [lane for task, of_task in lanes.items() if not TASKS[task].face for lane in of_task]
    if len(clip.motion.time_s):
        motion = partial(_line, time_s=clip.motion.time_s, values=clip.motion.values["speed_face"], colour="activation")
        panels.append(Panel(90, "Face speed, inter-ocular distances per second", motion))
    panels += [lane for task, of_task in lanes.items() if TASKS[task].face for lane in of_task]
    shown = units_of(clip, units, closely)
    if shown:
        bold, dashed = closely and bool(clip.prototype), closely and bool(clip.true_units.values)
        title = "Action units, 0 to 1: the strongest of this clip"
        title += f"{'; bold: those of its label' if bold else ''}{'; dashed: the truth' if dashed else ''}"
        panels.append(Panel(17 * len(shown) + 24, title, partial(_ridges, clip=clip, shown=shown, closely=closely)))
    nothing = "Nothing was measured: its sound is not read, and no face was followed"
    return panels or [Panel(40, nothing, lambda axes: axes.set_yticks([]))]


def units_of(clip: Clip, number: int, with_prototype: bool) -> list[str]:
    """Return the action units that are drawn, in their order: those that reach highest, and those of the label."""
    highest = sorted(clip.peaks, key=lambda unit: (-clip.peaks[unit], unit))[:number]
    return sorted({*highest, *(clip.prototype if with_prototype and highest else [])})


def traces(clip: Clip, name: str, marks_s: Sequence[float]) -> Markup:
    """Draw a clip to stand within the page, with dotted lines at some times."""
    panels = panels_of(clip, units=10)
    heights = [panel.height for panel in panels]
    with style():
        chart, axes = figure(1080, sum(heights) + 60, len(panels), sharex=True, height_ratios=heights)
        for place, panel in zip(axes, panels, strict=True):
            panel.draw(place)
            place.set_title(panel.title)
            mark(place, marks_s)
        axes[-1].set_xlabel("seconds")
        axes[-1].set_xlim(0, clip.duration_s)
        signals = ["energy"] if clip.heard else []
        signals += ["facial motion", "action units and chunk labels"] if len(clip.motion.time_s) else []
        return inline(chart, name, f"{', '.join(signals).capitalize()} of {clip.clip_id}")


def mark(axes: Axes, times_s: Sequence[float]) -> None:
    """Draw a dotted line at each of some times."""
    for time_s in times_s:
        axes.axvline(time_s, color=COLOURS["muted"], linewidth=0.8, linestyle=(0, (1, 3)), zorder=0)


def _line(axes: Axes, time_s: Floats, values: Floats, colour: str) -> None:
    """Draw a signal over time; NaN leaves a gap."""
    axes.plot(time_s, values, color=COLOURS[colour], linewidth=1.6)
    axes.grid(axis="y", linewidth=0.7)
    axes.yaxis.set_major_locator(MaxNLocator(3))


def _energy(axes: Axes, clip: Clip, phonemes: Sequence[tuple[float, float, str]]) -> None:
    """Draw the energy and, above it, which phoneme is spoken when."""
    _line(axes, clip.energy.time_s, clip.energy.values["energy"], "energy")
    if phonemes:
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.22 * (high - low))
    for start_s, end_s, name in phonemes:
        axes.text((start_s + end_s) / 2, 0.99, name, fontsize=9, color=COLOURS["muted"], ha="center", va="top",
                  clip_on=True, transform=axes.get_xaxis_transform())  # fmt: skip


def _lanes(clip: Clip, task: str, closely: bool) -> list[Panel]:
    """Return the panel of chunk labels; none where there are none."""
    labels = clip.chunks(task)
    high = sum(row["label"] == 1 for row in labels)
    counted = f": {high} of {len(labels)} high (filled; outlined: low; dotted: no label)" if closely else ""
    title = f"{TASKS[task].title} labels of the chunks{counted}"
    return [Panel(9 * len(labels) + 22, title, partial(_chunks, labels=labels, colour=task))] if labels else []


def _chunks(axes: Axes, labels: Rows, colour: str) -> None:
    """Draw a lane for each chunk, for they overlap: filled = high, outlined = low, dotted = without label."""
    for lane, row in enumerate(labels):
        high, without = row["label"] == 1, row["label"] is None
        axes.barh(
            lane, row["end_s"] - row["start_s"], left=row["start_s"], height=0.72, linewidth=1.2,
            color=COLOURS[colour] if high else "none", edgecolor=COLOURS["muted" if without else colour],
            linestyle=(0, (1, 2)) if without else "-",
        )  # fmt: skip
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _ridges(axes: Axes, clip: Clip, shown: Sequence[str], closely: bool) -> None:
    """Draw each action unit as a ridge on a line of its own; a ridge as high as its line is intensity 1."""
    colour = COLOURS["emotion"]
    for place, unit in enumerate(shown):
        heights = place - 0.9 * clip.units.values[unit]
        axes.fill_between(clip.units.time_s, float(place), heights, color=colour, alpha=0.35, linewidth=0)
        axes.plot(clip.units.time_s, heights, color=colour, linewidth=1.2)
        if closely and clip.true_units.values:
            true = place - 0.9 * clip.true_units.values[unit]
            axes.plot(clip.true_units.time_s, true, color=COLOURS["ink"], linewidth=0.9, linestyle=(0, (3, 2)))
    axes.set_yticks(range(len(shown)), shown)
    for name, unit in zip(axes.get_yticklabels() if closely else [], shown, strict=False):
        name.set(fontweight="bold" if unit in clip.prototype else "normal", color=COLOURS["ink"])
    axes.set_ylim(len(shown) - 0.6, -1.1)
    axes.spines["left"].set_visible(False)
