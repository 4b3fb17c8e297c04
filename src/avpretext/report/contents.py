"""What the page says: rows and charts for each of its sections, read from the results folder."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from avpretext.config import TASKS, Config
from avpretext.evaluation import fold_table, printed, results, summaries
from avpretext.evaluation.fold_table import Protocol
from avpretext.evaluation.kinds import Scoring
from avpretext.evaluation.results import Evaluated
from avpretext.evaluation.summaries import Rows
from avpretext.flow.artefacts import STAGES
from avpretext.flow.paths import Layout
from avpretext.flow.schemas import ACTION_UNITS
from avpretext.report import figures
from avpretext.report.co_occurrence_chart import heat_map_of
from avpretext.report.significance import PairedTest, tests_of
from avpretext.systems import SCRATCH

WITHOUT_LABEL = ("dead_zone", "none", "ambiguous", "unmeasured")


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix to show: its cells are (clips, share of the row or None)."""

    initialisation: str
    classes: list[str]
    rows: list[tuple[str, list[tuple[float, float | None]]]]


@dataclass(frozen=True)
class Folds:
    """Which clips trained, chose the epoch and tested: header, and cells of each fold after its name."""

    notes: list[str]
    header: tuple[str, ...]
    rows: list[tuple[str, list[str]]]


@dataclass(frozen=True)
class Result:
    """Everything about one corpus, label target and protocol.

    Attributes
    ----------
    heading, caption, covered, warnings, headline
        What it is, what the table was made on, what must not be missed, and what came out, in sentences.
    header, rows
        The printed table: of each row its name, its cells, its class (baseline, scratch or none), and for each
        pretext task whether it is in; no tasks for what is no initialisation.
    measure
        The measure of the charts.
    chance
        What guessing would score, as a sentence; empty where that is not known.
    class_rows, matrices
        F1 of each class, and confusion matrices; empty where there are no classes, or several per clip.
    tests
        Each system against scratch.
    """

    heading: str
    caption: str
    warnings: list[str]
    covered: str
    headline: str
    header: tuple[str, ...]
    rows: list[tuple[str, list[str], str, list[bool]]]
    measure: str
    chance: str
    charts: list[Markup]
    classes: list[str]
    class_rows: list[tuple[str, list[float | None]]]
    matrices: list[Matrix]
    folds: Folds | None
    tests: list[PairedTest]
    co_occurrence: Markup | None = None
    curves: list[Markup] = field(default_factory=list)


def found_results(config: Config, layout: Layout) -> list[Result]:
    """Return a result for each corpus and setting that was evaluated."""
    shown = results.evaluated(config, layout)
    return [_result(f"result-{number}", one, config, layout) for number, one in enumerate(shown)]


def _result(name: str, one: Evaluated, config: Config, layout: Layout) -> Result:
    """Gather a result; `name` is unique on the page."""
    rows, scoring = results.main_rows(one, layout), one.scoring
    protocol = fold_table.protocol_of(one.corpus, one.setting, layout)
    for row in rows:
        row["name"] = printed.start_name(row["initialisation"], config)
    by_start: dict[str, dict[str, float | None]] = {row["name"]: {} for row in rows}
    per_class = results.per_class_rows(one, layout)
    for row in per_class:
        by_start[printed.start_name(row["initialisation"], config)][row["class"]] = row.get("f1")
    classes = sorted({row["class"] for row in per_class})
    return Result(
        heading=one.heading,
        caption=printed.caption(one, rows, None, config),
        covered=printed.coverage(printed.named(rows, config)),
        warnings=protocol.warnings if protocol else [],
        headline=printed.headline(rows, scoring, config),
        header=printed.header(scoring)[1:],
        rows=[_table_row(row, scoring, config) for row in rows],
        measure=scoring.main_name,
        chance=f"Guessing would give a UAR of {1 / len(classes):.3f}." if scoring.matrix else "",
        charts=_interval_charts(name, rows, scoring),
        classes=classes,
        class_rows=[(start, [found.get(label) for label in classes]) for start, found in by_start.items() if classes],
        matrices=_matrices(one.read(layout, "confusion"), config),
        folds=_folds(one, protocol, layout),
        tests=tests_of(one, config, layout),
        co_occurrence=(heat_map_of(one, f"{name}-together", layout) if config.finetune.loss == "penalty" else None),
        curves=_finetune_curves(name, one, config, layout),
    )


def _table_row(row: dict[str, Any], scoring: Scoring, config: Config) -> tuple[str, list[str], str, list[bool]]:
    """Return the name, cells, class and pretext tasks of a row of the main table."""
    style = "baseline" if row["baseline"] else "scratch" if row["initialisation"] == SCRATCH else ""
    tasks = [] if row["baseline"] else [row[task] for task in TASKS]
    return row["name"], printed.printed(row, scoring, config)[1:], style, tasks


def _folds(one: Evaluated, protocol: Protocol | None, layout: Layout) -> Folds | None:
    rows = fold_table.compact(fold_table.rows_of(one.corpus, one.setting, layout))
    if protocol is None or not rows:
        return None
    return Folds(protocol.notes, ("Trained on", "Epoch chosen on", "Tested on", "Left out")[: len(rows[0][1])], rows)


def _interval_charts(name: str, rows: Rows, scoring: Scoring) -> list[Markup]:
    """Draw scores and differences with their intervals."""
    main, title = scoring.main, scoring.main_name[0].upper() + scoring.main_name[1:]
    charts = [figures.intervals(_marks(rows, main), f"{name}-score", title)]
    differences = _marks(rows, f"{main}_difference")
    if differences:
        label = f"{title}, difference to scratch"
        charts.append(figures.intervals(differences, f"{name}-difference", label, zero=0.0, sign=True))
    return charts


def _marks(rows: Rows, column: str) -> list[figures.Mark]:
    """Return what a chart shows of a column, for the rows that have it."""
    return [
        figures.Mark(
            name=row["name"],
            value=row[column],
            low=row[f"{column}_low"],
            high=row[f"{column}_high"],
            kind="baseline" if row["baseline"] else "scratch" if row["initialisation"] == SCRATCH else "pretext",
        )
        for row in rows
        if row.get(column) is not None
    ]


def _matrices(rows: pl.DataFrame, config: Config) -> list[Matrix]:
    by_start = rows.group_by("initialisation", maintain_order=True)
    return [_matrix(printed.start_name(str(start), config), part) for (start,), part in by_start]


def _matrix(name: str, rows: pl.DataFrame) -> Matrix:
    lines = [
        (str(label), list(zip(part["count"], part["share"], strict=True)))
        for (label,), part in rows.group_by("label", maintain_order=True)
    ]
    return Matrix(name, rows["predicted"].unique(maintain_order=True).to_list(), lines)


Line = tuple[list[float], list[float]]


def _finetune_curves(name: str, one: Evaluated, config: Config, layout: Layout) -> list[Markup]:
    """Draw the main measure on the development clips by epoch, averaged over the runs, scratch behind each."""
    lines: dict[str, Line] = {}
    spread: dict[str, Line] = {}
    for start in config.initialisations():
        path = layout.finetune(one.corpus, one.setting.name, config.variant.name, start, "history.parquet")
        history = summaries.read_present([path])
        if history is None:
            continue
        rows = history.filter(pl.col("split") == "dev", pl.col("measure") == one.scoring.main)
        if not rows.is_empty():
            lines[start], spread[start] = over_runs(rows)
    values = [value for low, high in spread.values() for value in (*low, *high)]
    limits = (min(values), max(values)) if values else None
    charts = []
    for start in lines:
        title = printed.start_name(start, config)
        shown = {SCRATCH: lines[SCRATCH]} if SCRATCH in lines else {}
        shown |= {title: lines[start]}
        colours = {label: "muted" if label == SCRATCH else "accent" for label in shown}
        bands = {title: spread[start]}
        charts.append(figures.curves(shown, f"{name}-curve-{start}", title, colours, bands, limits, legend=False))
    return charts


def over_runs(rows: pl.DataFrame) -> tuple[Line, Line]:
    """Return (epochs, mean) and (10 % quantile, 90 % quantile) of a measure over the runs: folds and seeds, or seeds.

    Runs stop at different epochs; each keeps its last value, so that the mean is over the same runs throughout.
    """
    runs = [name for name in ("fold", "seed") if name in rows.columns]
    wide = rows.pivot("epoch", index=runs, values="value", sort_columns=True)
    epochs = sorted((name for name in wide.columns if name not in runs), key=int)
    table = wide.select(epochs).transpose().select(pl.all().fill_null(strategy="forward")).to_numpy()
    low, high = np.quantile(table, [0.1, 0.9], axis=1)
    return ([float(epoch) for epoch in epochs], table.mean(axis=1).tolist()), (low.tolist(), high.tolist())


def pretrain_charts(config: Config, layout: Layout) -> list[tuple[str, list[Markup]]]:
    """Return, for each set of tasks, its loss and its measures on held-out speakers by epoch."""
    found = []
    for tasks in config.task_sets():
        history = summaries.read_present([layout.pretrain(config.variant.aggregator, tasks, "history.parquet")])
        if history is None or history.is_empty():
            continue
        name = f"pretrain-{tasks}"
        loss, bands = _lines(history.filter(pl.col("measure") == "loss").partition_by("split", as_dict=True))
        charts = [figures.curves(loss, f"{name}-loss", "Loss", {"train": "muted", "dev": "accent"}, bands)]
        scores, bands = _lines(_task_scores(history))
        if scores:
            colours = {task: task for task in scores}
            charts.append(figures.curves(scores, f"{name}-uar", "UAR of the pretext tasks", colours, bands))
        found.append((printed.start_name(tasks, config), charts))
    return found


def _lines(parts: Mapping[tuple[Any, ...], pl.DataFrame]) -> tuple[dict[str, Line], dict[str, Line]]:
    """Return the mean of each part over the runs, and its band."""
    found = {str(name): over_runs(part) for (name,), part in parts.items()}
    return {name: mean for name, (mean, _) in found.items()}, {name: band for name, (_, band) in found.items()}


def _task_scores(history: pl.DataFrame) -> dict[tuple[Any, ...], pl.DataFrame]:
    """Return UAR by epoch of each task; its measure is named after the task."""
    scores: dict[tuple[Any, ...], pl.DataFrame] = {}
    for task in TASKS:
        rows = history.filter(
            pl.col("split") == "dev", pl.col("measure").str.contains(task), pl.col("measure").str.contains("uar")
        )
        if not rows.is_empty():
            scores[task,] = rows.filter(measure=rows["measure"][0])
    return scores


def balance_charts(config: Config, layout: Layout) -> list[tuple[str, list[Markup]]]:
    """Return, for each corpus, a chart of labels per pretext task and of the labels to learn, per target."""
    titles = {"energy": "Energy, chunks", "activation": "Activation, chunks", "emotion": "Emotion, clips"}
    faint = [label.replace("_", " ") for label in WITHOUT_LABEL]
    grouped: dict[tuple[str, str, str], Rows] = {}
    for row in summaries.label_balance_rows(config, layout):
        grouped.setdefault((row["corpus"], row["task"], row.get("target", "")), []).append(row)
    charts: dict[str, list[Markup]] = {}
    for number, ((corpus, task, target), rows) in enumerate(grouped.items()):
        shown = [(row["label"].replace("_", " "), float(row["count"]), _counted(row)) for row in rows]
        title = titles.get(task, f"Labels to learn: {target}, clips")
        colour = task if task in TASKS else "accent"
        charts.setdefault(corpus, []).append(figures.bars(shown, f"balance-{number}", title, colour, faint))
    return list(charts.items())


def _counted(row: dict[str, Any]) -> str:
    """Return a count and its share; of shares of clips, which add up to no whole number, one decimal."""
    count = row["count"]
    return f"{count:,.1f} · {row['share'] or 0:.1%}" if isinstance(count, float) else f"{count:,} · {row['share']:.1%}"


def read_table(path: str) -> Rows:
    """Read a CSV table; no rows where there is none."""
    if not Path(path).is_file():
        return []
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def truth_chart(rows: Sequence[Mapping[str, str]]) -> Markup | None:
    """Draw how well each action unit is measured; None without rows."""
    if not rows:
        return None
    numbers = [(row["action_unit"], _number(row["pearson_r"]), _number(row["f1"])) for row in rows]
    return figures.units(numbers, "truth-action-units", "the true action units")


def compared_charts(rows: Sequence[Mapping[str, str]], other: str) -> list[tuple[str, Markup]]:
    """Draw, for each corpus, how far its action units agree with those of another run."""
    charts = []
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        units = [row for row in rows if row["corpus"] == corpus and row["action_unit"] in ACTION_UNITS]
        numbers = [(row["action_unit"], _number(row["pearson_r"]), _number(row["f1"])) for row in units]
        charts.append((corpus, figures.units(numbers, f"{corpus}-compared-units", f"the action units of {other}")))
    return charts


def _number(text: str) -> float | None:
    return float(text) if text else None


def benchmark_rows(layout: Layout) -> Rows:
    """Sum up the workflow's benchmark files: jobs, seconds and the highest memory of each stage, in its order."""
    folder = Path(layout.benchmark("x")).parent
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.rglob("*.tsv")):
        parts = path.relative_to(folder).with_suffix("").parts
        stage = next((part for part in parts if part in STAGES), None)
        if stage is None:
            continue
        row = found.setdefault(stage, {"stage": stage, "jobs": 0, "seconds": 0.0, "longest": 0.0, "memory_mb": 0.0})
        with path.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file, delimiter="\t"):
                seconds = _measured(line.get("s"))
                row["jobs"] += 1
                row["seconds"] += seconds
                row["longest"] = max(row["longest"], seconds)
                row["memory_mb"] = max(row["memory_mb"], _measured(line.get("max_rss")))
    return sorted(found.values(), key=lambda row: list(STAGES).index(row["stage"]))


def _measured(text: str | None) -> float:
    """Return a number of a benchmark file; a job too short to be measured has none."""
    try:
        return float(text or "")
    except ValueError:
        return 0.0
