"""What the page says: rows and charts for each of its sections, read from the results folder."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from avpretext import shards
from avpretext.config import TASKS, Config
from avpretext.evaluation import summaries, tables
from avpretext.evaluation.formats import probability
from avpretext.paths import Layout
from avpretext.report import figures
from avpretext.stages import STAGES

Rows = list[dict[str, Any]]

WITHOUT_LABEL = ("dead_zone", "none", "ambiguous", "unmeasured")


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix to show: its cells are (clips, share of the row or None)."""

    initialisation: str
    classes: list[str]
    rows: list[tuple[str, list[tuple[float, float | None]]]]


@dataclass(frozen=True)
class Result:
    """Everything about one corpus with labels."""

    corpus: str
    caption: str
    header: tuple[str, ...]
    rows: list[tuple[str, list[str], list[bool]]]
    headline: str
    chance: str
    charts: list[Markup]
    classes: list[str]
    class_rows: list[tuple[str, list[float | None]]]
    matrices: list[Matrix]
    curves: list[Markup] = field(default_factory=list)


def results(config: Config, layout: Layout) -> list[Result]:
    """Return a result for each corpus that was evaluated."""
    rows = tables.main_rows(config, layout)
    per_class = tables.per_class_rows(config, layout)
    return [
        _result(corpus, _of(rows, corpus), _of(per_class, corpus), config, layout)
        for corpus in tables.evaluated(config, layout)
    ]


def _of(rows: Rows, corpus: str) -> Rows:
    return [row for row in rows if row["corpus"] == corpus]


def _result(corpus: str, rows: Rows, per_class: Rows, config: Config, layout: Layout) -> Result:
    classes = sorted({row["class"] for row in per_class})
    by_start: dict[str, dict[str, float | None]] = {row["initialisation"]: {} for row in rows}
    for row in per_class:
        by_start[row["initialisation"]][row["class"]] = row.get("f1")
    return Result(
        corpus=corpus,
        caption=tables.caption(corpus, rows, config),
        header=tables.HEADER[1:],
        rows=[
            (tables.start_name(row["initialisation"]), tables.printed(row)[1:], [row[task] for task in TASKS])
            for row in rows
        ],
        headline=headline(rows),
        chance=f"{1 / len(classes):.3f}",
        charts=_interval_charts(corpus, rows),
        classes=classes,
        class_rows=[
            (tables.start_name(start), [found.get(name) for name in classes]) for start, found in by_start.items()
        ],
        matrices=_matrices(layout.corpus(corpus, "evaluate", "confusion")),
        curves=_finetune_curves(corpus, config, layout),
    )


def headline(rows: Rows) -> str:
    """Return the result in one sentence that claims no more than the interval allows."""
    scratch = next((row for row in rows if row["initialisation"] == "scratch"), None)
    others = [row for row in rows if row.get("macro_f1_difference") is not None]
    if scratch is None or not others:
        return "There is nothing to compare: one of training from scratch and pre-training is missing."
    best = max(others, key=lambda row: float(row["macro_f1"]))
    if best["macro_f1_difference"] <= 0:
        return (
            f"From scratch, macro-F1 is {tables.with_interval(scratch, 'macro_f1')}; none of the {len(others)} sets of"
            f" pretext tasks scores higher. The nearest, {tables.start_name(best['initialisation'])}, reaches"
            f" {tables.with_interval(best, 'macro_f1')}."
        )
    judged = "significant" if best["macro_f1_p_holm"] < 0.05 else "not significant"
    corrected, uncorrected = probability(best["macro_f1_p_holm"]), probability(best["macro_f1_p"])
    return (
        f"From scratch, macro-F1 is {tables.with_interval(scratch, 'macro_f1')}. Of {len(others)} sets of pretext"
        f" tasks, {tables.start_name(best['initialisation'])} comes out highest, at"
        f" {tables.with_interval(best, 'macro_f1')}, a difference of"
        f" {tables.with_interval(best, 'macro_f1_difference', sign=True)}. Corrected for the number of comparisons it"
        f" is {judged} at the 5 % level (Holm p = {corrected}; uncorrected {uncorrected})."
        + _reach(int(scratch["speakers"]), len(others))
    )


def _reach(speakers: int, comparisons: int) -> str:
    """Say so when so few speakers were tested that no difference, however large, could be significant."""
    smallest = comparisons * 2.0 ** (1 - speakers)
    if smallest < 0.05:
        return ""
    return (
        f" With {speakers} test speakers and {comparisons} comparisons the corrected p cannot fall below"
        f" {min(smallest, 1.0):.3f}, whatever the scores: only more speakers can tell."
    )


def _interval_charts(corpus: str, rows: Rows) -> list[Markup]:
    """Draw scores and differences with their intervals."""
    charts = [figures.intervals(_marks(rows, "macro_f1"), f"{corpus}-macro-f1", "Macro-F1")]
    differences = _marks([row for row in rows if row.get("macro_f1_difference") is not None], "macro_f1_difference")
    if differences:
        title = "Macro-F1, difference to scratch"
        charts.append(figures.intervals(differences, f"{corpus}-difference", title, zero=0.0, sign=True))
    return charts


def _marks(rows: Rows, name: str) -> Rows:
    return [
        {"initialisation": row["initialisation"], "value": row[name], "low": row[f"{name}_low"],
         "high": row[f"{name}_high"]}
        for row in rows
    ]  # fmt: skip


def _matrices(path: str) -> list[Matrix]:
    rows = shards.read(path)
    return [_matrix(str(start), part) for (start,), part in rows.group_by("initialisation", maintain_order=True)]


def _matrix(initialisation: str, rows: pl.DataFrame) -> Matrix:
    lines = [
        (str(label), list(zip(part["count"], part["share"], strict=True)))
        for (label,), part in rows.group_by("label", maintain_order=True)
    ]
    classes = rows["predicted"].unique(maintain_order=True).to_list()
    return Matrix(tables.start_name(initialisation), classes, lines)


Line = tuple[list[float], list[float]]


def _finetune_curves(corpus: str, config: Config, layout: Layout) -> list[Markup]:
    """Draw macro-F1 on the development clips by epoch, averaged over the runs, scratch behind each."""
    lines: dict[str, Line] = {}
    spread: dict[str, Line] = {}
    for start in config.initialisations():
        history = summaries.read_present([layout.finetune(corpus, start, "history.parquet")])
        if history is None:
            continue
        rows = history.filter(pl.col("split") == "dev", pl.col("measure") == "macro_f1")
        if not rows.is_empty():
            lines[start], spread[start] = over_runs(rows)
    values = [value for low, high in spread.values() for value in (*low, *high)]
    limits = (min(values), max(values)) if values else None
    charts = []
    for start in lines:
        chosen = [start] if start == "scratch" else ["scratch", start]
        named = {tables.start_name(name): lines[name] for name in chosen if name in lines}
        bands = {tables.start_name(start): spread[start]}
        colours = {name: "muted" if name == "scratch" else "accent" for name in named}
        title = tables.start_name(start)
        charts.append(figures.curves(named, f"{corpus}-curve-{start}", title, colours, bands, limits, legend=False))
    return charts


def over_runs(rows: pl.DataFrame) -> tuple[Line, Line]:
    """Return (epochs, mean) and (10 % quantile, 90 % quantile) of a measure over the runs.

    Runs stop at different epochs; each keeps its last value, so that the mean is over the same runs throughout.
    """
    wide = rows.pivot("epoch", index=["fold", "seed"], values="value", sort_columns=True)
    epochs = sorted((name for name in wide.columns if name not in ("fold", "seed")), key=int)
    table = wide.select(epochs).transpose().select(pl.all().fill_null(strategy="forward")).to_numpy()
    low, high = np.quantile(table, [0.1, 0.9], axis=1)
    return ([float(epoch) for epoch in epochs], table.mean(axis=1).tolist()), (low.tolist(), high.tolist())


def pretrain_charts(config: Config, layout: Layout) -> list[tuple[str, list[Markup]]]:
    """Return, for each set of tasks, its loss and its measures on held-out speakers by epoch."""
    found = []
    for tasks in config.task_sets():
        history = summaries.read_present([layout.pretrain(tasks, "history.parquet")])
        if history is None or history.is_empty():
            continue
        name = f"pretrain-{tasks}"
        loss = _lines(history.filter(pl.col("measure") == "loss"), "split")
        charts = [figures.curves(loss, f"{name}-loss", "Loss", {"train": "muted", "dev": "accent"})]
        scores = _task_scores(history)
        if scores:
            colours = {task: task for task in scores}
            charts.append(figures.curves(scores, f"{name}-uar", "UAR of the pretext tasks", colours))
        found.append((tables.start_name(tasks), charts))
    return found


def _lines(rows: pl.DataFrame, by: str) -> dict[str, Line]:
    return {
        str(name): (part["epoch"].cast(pl.Float64).to_list(), part["value"].to_list())
        for (name,), part in rows.sort("epoch").group_by(by, maintain_order=True)
    }


def _task_scores(history: pl.DataFrame) -> dict[str, Line]:
    """Return UAR by epoch of each task; its measure is named after the task."""
    scores: dict[str, Line] = {}
    for task in TASKS:
        rows = history.filter(
            pl.col("split") == "dev", pl.col("measure").str.contains(task), pl.col("measure").str.contains("uar")
        )
        if not rows.is_empty():
            scores[task] = _lines(rows, "measure")[rows["measure"][0]]
    return scores


def balance_charts(config: Config, layout: Layout) -> list[tuple[str, list[Markup]]]:
    """Return, for each corpus, a chart of labels per pretext task and of the labels to learn."""
    rows = summaries.label_balance_rows(config, layout)
    titles = {"energy": "Energy, chunks", "activation": "Activation, chunks", "emotion": "Emotion, clips"}
    charts: dict[str, list[Markup]] = {}
    for corpus, task in dict.fromkeys((row["corpus"], row["task"]) for row in rows):
        part = [row for row in rows if (row["corpus"], row["task"]) == (corpus, task)]
        shown = [
            (row["label"].replace("_", " "), float(row["count"]), f"{row['count']:,} · {row['share'] or 0:.1%}")
            for row in part
        ]
        target = summaries.target_of(config.corpora[corpus])
        title = titles.get(task, f"Labels to learn: {target}, clips")
        faint = [label.replace("_", " ") for label in WITHOUT_LABEL]
        colour = task if task in TASKS else "accent"
        charts.setdefault(corpus, []).append(figures.bars(shown, f"{corpus}-{task}-balance", title, colour, faint))
    return list(charts.items())


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
    return figures.units(numbers, "truth-action-units")


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
