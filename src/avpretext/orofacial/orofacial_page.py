"""The page of the orofacial systems: who predicts the face best, by how much, how surely, and how it looks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup
from matplotlib.axes import Axes
from numpy.typing import NDArray

from avpretext import __version__, shards
from avpretext.config import Config
from avpretext.evaluation import formats
from avpretext.evaluation.formats import probability
from avpretext.face.points import OROFACIAL
from avpretext.flow.paths import Layout
from avpretext.orofacial import movement_tables
from avpretext.orofacial.film import Predicted, read_predicted, spread
from avpretext.orofacial.lower_face import aperture
from avpretext.orofacial.movement_tables import difference_text, interval_text, note
from avpretext.orofacial.resting_shape import read_shapes
from avpretext.orofacial.table_names import MEASURE_NAMES, REST, SHOWN
from avpretext.report import contents, figures, page
from avpretext.report.figures import Mark
from avpretext.report.theme import COLOURS, figure, inline, style

Rows = list[dict[str, Any]]

CHARTED = ("ccc_lips", "aperture_r", "error_lips", "speed_error_all", "viseme_uar", "emotion_uar")
"""Measures that are drawn."""

HEADLINED = ("ccc_all", "aperture_r")
"""Measures that are put into words."""

SHAPES = 6
"""Mouths drawn along a clip."""

MEANINGS = {
    "single": "movement, viseme and emotion each by a network of its own",
    "joint": "one trunk, three heads: movement, viseme, emotion",
    "cascade": "the movement head also hears what the viseme and emotion heads make of the trunk",
    REST: "a face that stays at rest",
}


@dataclass(frozen=True)
class Trace:
    """A clip: name, how well the aperture follows, its chart."""

    name: str
    aperture_r: float
    chart: Markup


def run(config: Config, output: Path, page: Path) -> None:
    """Score the orofacial systems: write their tables and their page.

    Parameters
    ----------
    config
        The whole configuration.
    output
        Folder of the tables, see `movement_tables.run`.
    page
        The HTML file.
    """
    movement_tables.run(config, output)
    formats.write_text(page, render(config, output))


def render(config: Config, tables: Path) -> str:
    """Return the page as text."""
    layout, options = Layout(config.results), config.orofacial
    found = {system: Path(layout.orofacial(system, "predictions.parquet")) for system in options.systems}
    shown = options.film_system if options.film_system in found else options.systems[0]
    rows = numbers(contents.read_table(str(tables / "orofacial.csv")))
    compared = numbers(contents.read_table(str(tables / "orofacial_comparisons.csv")))
    refused = contents.read_table(str(tables / "orofacial_left_out.csv"))
    measures = [name for name in SHOWN if any(row.get(name) is not None for row in rows)]
    facts: dict[str, Any] = {
        "version": __version__,
        "synthetic": page.synthetic_sentence(config),
        "leaks": shards.read_provenance(found[shown]).get("speaker_leaks", False),
        "note": note(found[shown], config),
        "meanings": [(name, MEANINGS[name]) for name in (*options.systems, REST)],
        "headline": headline(compared),
        "tiles": tiles(rows, options.systems, refused),
        "header": [MEASURE_NAMES[name] for name in measures],
        "systems": [(row["system"], [(interval_text(row, name), row.get(name)) for name in measures]) for row in rows],
        "compared": [comparison_cells(row) for row in compared],
        "charts": [chart_of(rows, name) for name in CHARTED if name in measures],
        "curves": curves({system: path.with_name("history.parquet") for system, path in found.items()}),
        "shown": shown,
        "traces": traces(found[shown], config),
        "films": sorted(path.name for path in Path(layout.results, "orofacial", "films").glob("*.mp4")),
        "refused": reasons(refused),
        "regions": [(name, ", ".join(map(str, points.tolist()))) for name, points in OROFACIAL.items()],
        "level": f"{100 * config.evaluate.level:g} %",
    }
    return page.environment().get_template("orofacial.html").render(facts)


def numbers(rows: Sequence[dict[str, str]]) -> Rows:
    """Return rows of a CSV with their numbers as numbers, None where a cell is empty."""
    words = {"system", "against", "measure", "test"}
    return [
        {name: text if name in words else (float(text) if text else None) for name, text in row.items()} for row in rows
    ]


def tiles(rows: Rows, systems: Sequence[str], refused: Sequence[Any]) -> list[tuple[str, str]]:
    """Return the figures on top: what was tested, and the best of the systems."""
    best = max((row for row in rows if row["system"] in systems), key=lambda row: row["aperture_r"] or -1.0)
    return [
        ("Test speakers", f"{best['speakers']:.0f}"),
        ("Test clips", f"{best['clips']:.0f}"),
        (f"Lip aperture r, {best['system']}", formats.decimal(best["aperture_r"], 2)),
        ("Clips left out", str(sum(row["left_out_of"] == "everything" for row in refused))),
    ]


def headline(compared: Rows) -> list[str]:
    """Return what the tests say of the helper tasks, claiming no more than they allow."""
    said = []
    for row in compared:
        if row["measure"] in HEADLINED and row["against"] == "single":
            sure = row["p_holm"] is not None and row["p_holm"] < 0.05
            change = "better" if row["difference"] > 0 else "worse"
            verdict = f"{change}, and not by chance" if sure else "a difference that chance explains"
            name = MEASURE_NAMES[row["measure"]]
            said.append(f"{row['system']} against single, {name}: {difference_text(row)}, {verdict}.")
    return said


def comparison_cells(row: dict[str, Any]) -> tuple[list[str], bool]:
    """Return the cells of a comparison, and whether it is significant at the 5 % level after correction."""
    cells = [
        f"{row['system']} against {row['against']}", MEASURE_NAMES[row["measure"]], difference_text(row),
        probability(row["p"]), probability(row["p_holm"]),
    ]  # fmt: skip
    return cells, row["p_holm"] is not None and row["p_holm"] < 0.05


def chart_of(rows: Rows, measure: str) -> Markup:
    """Draw a measure of every system that has it."""
    marks = [
        Mark(row["system"], row[measure], row[f"{measure}_low"], row[f"{measure}_high"],
             "baseline" if row["system"] == REST else "pretext")
        for row in rows
        if row.get(measure) is not None
    ]  # fmt: skip
    return figures.intervals(marks, f"orofacial-{measure}", MEASURE_NAMES[measure])


def reasons(refused: Sequence[dict[str, str]]) -> list[tuple[str, str, str, int]]:
    """Return of what clips were left out, by which stage and why, and how many."""
    counts: dict[tuple[str, str, str], int] = {}
    for row in refused:
        key = (row["left_out_of"], row["stage"], row["reason"])
        counts[key] = counts.get(key, 0) + 1
    return [(*key, count) for key, count in sorted(counts.items())]


def curves(histories: dict[str, Path]) -> Markup | None:
    """Draw the dev score of each system over the epochs, averaged over folds and seeds."""
    lines = {}
    for system, path in histories.items():
        rows = shards.read(path).filter((pl.col("split") == "dev") & (pl.col("measure") == "score"))
        mean = rows.group_by("epoch").agg(pl.col("value").mean(), pl.len()).sort("epoch")
        if mean.height:
            # Runs stop at their own time: beyond the shortest, the mean would be of other runs.
            whole = mean.filter(pl.col("len") == pl.col("len").max())
            lines[system] = (whole["epoch"].to_numpy(), whole["value"].to_numpy())
    if not lines:
        return None
    with style():
        chart, (axes,) = figure(620, 240)
        for (system, (epoch, value)), colour in zip(lines.items(), ("accent", "warm", "emotion"), strict=False):
            axes.plot(epoch, value, color=COLOURS[colour], linewidth=2, label=system)
        axes.set_xlabel("epoch")
        axes.set_title("CCC of the movement on dev", fontweight="bold")
        axes.grid(axis="y", linewidth=0.7)
        axes.legend(loc="lower right")
        return inline(chart, "orofacial-curves", "Concordance of the movement on dev over the epochs")


def traces(predictions: Path, config: Config) -> list[Trace]:
    """Draw lip aperture and mouths of a badly, a middling and a well predicted clip."""
    chosen = spread(read_predicted(predictions), 3)
    return [
        Trace(
            f"{clip.corpus}/{clip.clip_id}", clip.aperture_r, trace(clip, _rest(clip, config), config, f"trace-{place}")
        )
        for place, clip in enumerate(chosen)
    ]


def _rest(clip: Predicted, config: Config) -> NDArray[np.float64]:
    shapes = read_shapes(Path(Layout(config.results).corpus(clip.corpus, "resting_shape")))
    return shapes[clip.speaker.removeprefix(f"{clip.corpus}/")].points


def trace(clip: Predicted, rest: NDArray[np.float64], config: Config, name: str) -> Markup:
    """Draw true and predicted lip aperture over time, and the mouths at some instants below."""
    times = np.arange(len(clip.truth)) / config.split.fps
    with style():
        chart, (upper, lower) = figure(860, 340, rows=2, height_ratios=[1.8, 1])
        upper.plot(times, aperture(clip.truth), color=COLOURS["muted"], linewidth=2, label="seen")
        upper.plot(times, aperture(clip.said), color=COLOURS["accent"], linewidth=2, label="heard")
        upper.set_title("lip aperture from rest, in inter-ocular distances", fontweight="bold")
        upper.set_xlabel("s")
        upper.set_xlim(0, times[-1])
        upper.grid(axis="y", linewidth=0.7)
        upper.legend(loc="upper right", ncols=2)
        instants = np.linspace(0, len(times) - 1, SHAPES + 2).round().astype(int)[1:-1]
        for place, frame in enumerate(instants):
            _draw_mouth(lower, rest + clip.truth[frame], 1.65 * place, COLOURS["muted"])
            _draw_mouth(lower, rest + clip.said[frame], 1.65 * place + 0.68, COLOURS["accent"])
            lower.annotate(f"{times[frame]:.2f} s", (1.65 * place + 0.34, 1.08), ha="center", fontsize=10)
        lower.set_aspect("equal")
        lower.set_ylim(1.12, 0.4)
        lower.set_xlim(-0.5, 1.65 * SHAPES - 0.5)
        lower.set_axis_off()
        said = f"Lip aperture of {clip.clip_id}, true and predicted: correlation {clip.aperture_r:.2f}"
        return inline(chart, name, said)


def _draw_mouth(axes: Axes, shape: NDArray[np.float64], shift: float, colour: str) -> None:
    """Draw the two outlines of the lips."""
    for part in (slice(0, 20), slice(20, 40)):
        outline = np.concatenate([shape[part], shape[part][:1]])
        axes.plot(outline[:, 0] + shift, outline[:, 1], color=colour, linewidth=1.4)
