"""The page of the orofacial systems: who predicts the face best, by how much, how surely, and how it looks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from avpretext import __version__, shards
from avpretext.config import Config
from avpretext.evaluation import formats
from avpretext.evaluation.formats import probability
from avpretext.evaluation.scores import Rows
from avpretext.face.points import OROFACIAL
from avpretext.flow.paths import Layout
from avpretext.orofacial import orofacial_tables
from avpretext.orofacial.film import PREDICTED, TRACKED, Predicted, read_predicted, spread
from avpretext.orofacial.lower_face import aperture
from avpretext.orofacial.movement_scores import MEASURE_NAMES
from avpretext.orofacial.orofacial_tables import (
    REST,
    comparison_cells,
    difference_text,
    interval_text,
    note,
    predictions_of,
    shown_of,
)
from avpretext.report import figures
from avpretext.report import page as report_page
from avpretext.report.figures import Mark
from avpretext.report.theme import COLOURS, figure, inline, style

CHARTED = ("ccc_lips", "aperture_r", "error_lips", "speed_error_all", "viseme_uar", "emotion_uar")
"""Measures that are drawn."""

HEADLINED = ("ccc_all", "aperture_r")
"""Measures that are put into words."""

SHAPES = 6
"""Mouths drawn along a clip."""

MEANINGS = {
    "single": "a network of its own for movement, viseme and emotion; nothing is shared",
    "joint": "one trunk, three heads: movement, viseme, emotion",
    "cascade": "the movement head also receives the viseme and emotion representations",
    REST: "a face that stays at rest",
}


def run(config: Config, output: Path, page: Path) -> None:
    """Score the orofacial systems: write their tables and their page.

    Parameters
    ----------
    output
        Folder of the tables, see `orofacial_tables.run`.
    page
        The HTML file.
    """
    orofacial_tables.run(config, output)
    formats.write_text(page, render(config, output))


def render(config: Config, tables: Path) -> str:
    """Return the page as HTML."""
    options, found = config.orofacial, predictions_of(config)
    shown = options.shown_system
    rows, compared, refused = (
        pl.read_csv(tables / f"orofacial{name}.csv", infer_schema_length=None).to_dicts()
        for name in ("", "_comparisons", "_left_out")
    )
    measures = shown_of(rows)
    facts: dict[str, Any] = {
        "version": __version__,
        "synthetic": report_page.synthetic_sentence(config),
        "leaks": shards.read_provenance(found[shown]).get("speaker_leaks", False),
        "note": note(found[shown], config),
        "meanings": [(name, MEANINGS[name]) for name in (*options.systems, REST)],
        "headline": headline(compared),
        "tiles": tiles(rows, options.systems, refused),
        "header": [MEASURE_NAMES[name] for name in measures],
        "systems": [(row["system"], [(interval_text(row, name), row.get(name)) for name in measures]) for row in rows],
        "compared": [(comparison_cells(row), _significant(row)) for row in compared],
        "charts": [chart_of(rows, name) for name in CHARTED if name in measures],
        "curves": curves({system: path.with_name("history.parquet") for system, path in found.items()}),
        "shown": shown,
        "traces": [
            (clip, trace(clip, config.split.fps, f"trace-{place}"))
            for place, clip in enumerate(spread(read_predicted(config, shown), 3))
        ],
        "films": sorted(path.name for path in Path(Layout.of_run(config.results).path("film")).glob("*.mp4")),
        "refused": sorted(Counter((row["left_out_of"], row["stage"], row["reason"]) for row in refused).items()),
        "model": str(found[shown].with_name("model")),
        "regions": [(name, ", ".join(map(str, points.tolist()))) for name, points in OROFACIAL.items()],
        "level": f"{100 * config.evaluate.level:g} %",
    }
    return report_page.environment().get_template("orofacial.html").render(facts)


def tiles(rows: Rows, systems: Sequence[str], refused: Rows) -> list[tuple[str, str]]:
    """Return the figures on top: what was tested, and the best of the systems."""
    best = max((row for row in rows if row["system"] in systems), key=lambda row: row["aperture_r"] or -1.0)
    return [
        ("Test speakers", f"{best['speakers']}"),
        ("Test clips", f"{best['clips']}"),
        (f"Lip aperture r, {best['system']}", formats.decimal(best["aperture_r"], 2)),
        ("Clips left out", str(sum(row["left_out_of"] == "everything" for row in refused))),
    ]


def headline(compared: Rows) -> list[str]:
    """Return the tests of the systems with helper tasks against the one without, in words."""
    said = []
    for row in compared:
        if row["measure"] in HEADLINED and row["against"] == "single":
            change = "better" if row["difference"] > 0 else "worse"
            verdict = f"significantly {change}" if _significant(row) else "not significant"
            name, p = MEASURE_NAMES[row["measure"]], probability(row["p_holm"])
            said.append(f"{row['system']} against single, {name}: {difference_text(row)}, {verdict} (Holm p = {p}).")
    return said


def _significant(row: Mapping[str, Any]) -> bool:
    """Tell whether a comparison is significant at the 5 % level after correction."""
    return row["p_holm"] is not None and row["p_holm"] < 0.05


def chart_of(rows: Rows, measure: str) -> Markup:
    """Draw a measure of every system that has it."""
    marks = [
        Mark(row["system"], row[measure], row[f"{measure}_low"], row[f"{measure}_high"],
             "baseline" if row["system"] == REST else "pretext")
        for row in rows
        if row.get(measure) is not None
    ]  # fmt: skip
    return figures.intervals(marks, f"orofacial-{measure}", MEASURE_NAMES[measure])


def curves(histories: Mapping[str, Path]) -> Markup | None:
    """Draw the dev score of each system over the epochs, averaged over folds and seeds."""
    lines = {}
    for system, path in histories.items():
        rows = shards.read(path).filter(pl.col("split") == "dev", pl.col("measure") == "score")
        mean = rows.group_by("epoch").agg(pl.col("value").mean(), pl.len()).sort("epoch")
        if mean.height:
            # Runs stop at their own time: beyond the shortest, the mean would be of other runs.
            whole = mean.filter(pl.col("len") == pl.col("len").max())
            lines[system] = (whole["epoch"].to_list(), whole["value"].to_list())
    colours = dict(zip(lines, ("accent", "warm", "emotion"), strict=False))
    return figures.curves(lines, "orofacial-curves", "CCC, all points, dev speakers", colours) if lines else None


def trace(clip: Predicted, fps: float, name: str) -> Markup:
    """Draw true and predicted lip aperture over time, and the mouths at some instants below."""
    times = np.arange(len(clip.truth)) / fps
    with style():
        chart, (upper, lower) = figure(860, 340, rows=2, height_ratios=[1.8, 1])
        upper.set_title("lip aperture from rest, in inter-ocular distances", fontweight="bold")
        upper.set_xlabel("s")
        upper.set_xlim(0, times[-1])
        upper.grid(axis="y", linewidth=0.7)
        instants = np.linspace(0, len(times) - 1, SHAPES + 2).round().astype(int)[1:-1]
        for moved, label, colour, shift in (
            (clip.truth, TRACKED, "muted", 0.0),
            (clip.said, PREDICTED, "accent", 0.68),
        ):
            upper.plot(times, aperture(moved), color=COLOURS[colour], linewidth=2, label=label)
            for place, frame in enumerate(instants):
                for outline in (slice(0, 20), slice(20, 40)):  # of the lips, outer and inner
                    x, y = (clip.rest + moved[frame])[outline].take(range(21), axis=0, mode="wrap").T
                    lower.plot(x + 1.65 * place + shift, y, color=COLOURS[colour], linewidth=1.4)
        upper.legend(loc="upper right", ncols=2)
        for place, frame in enumerate(instants):
            lower.annotate(f"{times[frame]:.2f} s", (1.65 * place + 0.34, 1.08), ha="center", fontsize=10)
        lower.set_aspect("equal")
        lower.set_ylim(1.12, 0.4)
        lower.set_xlim(-0.5, 1.65 * SHAPES - 0.5)
        lower.set_axis_off()
        said = f"Lip aperture of {clip.clip_id}, true and predicted: correlation {clip.aperture_r:.2f}"
        return inline(chart, name, said)
