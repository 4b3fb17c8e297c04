"""Rows and charts of the report's sections on results, training, label balance and truth; time and memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from avpretext.config import Config
from avpretext.evaluation import fold_table, label_counts, printed, published_results, results
from avpretext.evaluation.formats import decimal, probability
from avpretext.evaluation.kinds import MEASURE_NAMES, Scoring
from avpretext.evaluation.open_run import Evaluated, OpenRun, Rows, read_csv
from avpretext.flow.artefacts import STAGES
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.paths import Layout
from avpretext.flow.tasks import TASKS
from avpretext.report import figures, gains, layer_chart
from avpretext.systems import SCRATCH


def found_results(run: OpenRun) -> list[dict[str, Any]]:
    """Return what the template shows of each corpus and setting that was evaluated."""
    return [_result(f"result-{number}", one, run) for number, one in enumerate(run.evaluated())]


def _result(name: str, one: Evaluated, run: OpenRun) -> dict[str, Any]:
    rows, scoring, config = results.main_rows(run, one), one.scoring, run.config
    protocol = fold_table.protocol_of(run, one)
    for row in rows:
        row["name"] = printed.start_name(row["initialisation"], config)
    by_start: dict[str, dict[str, float | None]] = {row["name"]: {} for row in rows}
    per_class = results.per_class_rows(run, one)
    for row in per_class:
        by_start[printed.start_name(row["initialisation"], config)][row["class"]] = row.get(scoring.of_class)
    classes = sorted({row["class"] for row in per_class})
    tests = sorted(run.scores(one, "comparisons").to_dicts(), key=lambda row: row["measure"] != scoring.main)
    counted = run.co_occurrence(one) if config.finetune.loss == "penalty" else None
    return {
        "heading": one.heading,
        "caption": printed.caption(one, rows, config),
        "covered": printed.coverage(printed.named(rows, config)),
        "warnings": protocol.warnings,
        "notes": protocol.notes,
        "headline": printed.headline(rows, scoring, config),
        "gains": gains.of_table(rows, scoring, config),
        "speakers": rows[0]["speakers"],
        "header": printed.header(scoring)[1:],
        "rows": [_table_row(row, scoring, config) for row in rows],
        "published": published_results.table(run, one, rows),
        "measure": scoring.main_name,
        "chance": f"Guessing would give a UAR of {1 / len(classes):.3f}." if scoring.matrix else "",
        "charts": _interval_charts(name, rows, scoring),
        "classes": classes,
        "of_class": MEASURE_NAMES.get(scoring.of_class, scoring.of_class.upper()),
        "each": "attribute" if one.setting.kind == "attributes" else "class",
        "class_rows": [(start, [found.get(name) for name in classes]) for start, found in by_start.items() if classes],
        "matrices": _matrices(run.scores(one, "confusion"), config),
        "folds": fold_table.compact(fold_table.fold_rows(run, one)),
        "tests": [_test(row, config) for row in tests],
        "co_occurrence": figures.heat_maps(counted, f"{name}-together"),
        "curves": _finetune_curves(name, one, run),
        "layers": layer_chart.chart_of(run, one, f"{name}-layers"),
    }


def _test(row: dict[str, Any], config: Config) -> dict[str, Any]:
    """Return a paired test; of each number its text, the value to sort by, and whether it stands out."""
    sure = printed.is_sure(row)
    texts = {name: decimal(row[name], 3, sign=True) for name in ("difference", "ci_low", "ci_high")}
    texts |= {name: probability(row[name]) for name in ("p_value", "p_holm")}
    return row | {
        "name": printed.start_name(row["initialisation"], config),
        "measure": MEASURE_NAMES[row["measure"]],
        "numbers": [(text.replace("-", "−"), row[name], sure and name == "p_holm") for name, text in texts.items()],
    }


def _table_row(row: dict[str, Any], scoring: Scoring, config: Config) -> tuple[str, list[str], str, list[bool]]:
    """Return the name, cells, class and pretext tasks of a row of the main table."""
    style = "baseline" if row["baseline"] else "scratch" if row["initialisation"] == SCRATCH else ""
    tasks = [] if row["baseline"] else [row[task] for task in TASKS]
    return row["name"], printed.printed(row, scoring, config)[1:], style, tasks


def _interval_charts(name: str, rows: Rows, scoring: Scoring) -> list[Markup]:
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


def _matrices(rows: pl.DataFrame, config: Config) -> list[dict[str, Any]]:
    """Return the confusion matrices; cells are (clips, share of the row or None)."""
    return [
        {"initialisation": printed.start_name(str(start), config),
         "classes": part["predicted"].unique(maintain_order=True).to_list(),
         "rows": [(str(label), list(zip(cells["count"], cells["share"], strict=True)))
                  for (label,), cells in part.group_by("label", maintain_order=True)]}
        for (start,), part in rows.group_by("initialisation", maintain_order=True)
    ]  # fmt: skip


Line = tuple[list[float], list[float]]


def _finetune_curves(name: str, one: Evaluated, run: OpenRun) -> list[Markup]:
    """Draw the main measure on the development clips by epoch, averaged over the runs, scratch behind each."""
    lines: dict[str, Line] = {}
    spread: dict[str, Line] = {}
    for start in run.config.initialisations():
        history = run.finetune_history(one, start)
        if history is None:
            continue
        rows = history.filter(pl.col("split") == "dev", pl.col("measure") == one.scoring.main)
        if not rows.is_empty():
            lines[start], spread[start] = over_runs(rows)
    values = [value for low, high in spread.values() for value in (*low, *high)]
    limits = (min(values), max(values)) if values else None
    charts = []
    for start in lines:
        title = printed.start_name(start, run.config)
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


def pretrain_charts(run: OpenRun) -> list[tuple[str, list[Markup]]]:
    """Return, for each set of tasks, its loss and its measures on held-out speakers by epoch."""
    found = []
    for tasks in run.config.task_sets():
        history = run.pretrain_history(tasks)
        if history is None or history.is_empty():
            continue
        name = f"pretrain-{tasks}"
        loss, bands = _lines(history.filter(pl.col("measure") == "loss").partition_by("split", as_dict=True))
        charts = [figures.curves(loss, f"{name}-loss", "Loss", {"train": "muted", "dev": "accent"}, bands)]
        scores, bands = _lines(_task_scores(history))
        if scores:
            colours = {task: task for task in scores}
            charts.append(figures.curves(scores, f"{name}-uar", "UAR of the pretext tasks", colours, bands))
        found.append((printed.start_name(tasks, run.config), charts))
    return found


def _lines(parts: Mapping[tuple[Any, ...], pl.DataFrame]) -> tuple[dict[str, Line], dict[str, Line]]:
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


def balance_charts(run: OpenRun) -> list[tuple[str, list[Markup]]]:
    """Return, for each corpus, a chart of labels per pretext task and of the labels to learn, per target."""
    titles = {name: f"{task.title}, {task.unit}s" for name, task in TASKS.items()}
    faint = [label.replace("_", " ") for label in label_counts.WITHOUT_LABEL]
    grouped: dict[tuple[str, str, str], Rows] = {}
    for row in label_counts.balance_rows(run):
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


def truth_chart(rows: Sequence[Mapping[str, str]]) -> Markup | None:
    """Draw how well each action unit is measured; None without rows."""
    return figures.units(_numbers(rows), "truth-action-units", "the true action units") if rows else None


def compared_charts(rows: Sequence[Mapping[str, str]], other: str) -> list[tuple[str, Markup]]:
    """Draw, for each corpus, how far its action units agree with those of another run."""
    charts = []
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        units = [row for row in rows if row["corpus"] == corpus and row["action_unit"] in ACTION_UNITS]
        chart = figures.units(_numbers(units), f"{corpus}-compared-units", f"the action units of {other}")
        charts.append((corpus, chart))
    return charts


def _numbers(rows: Sequence[Mapping[str, str]]) -> list[tuple[str, float | None, float | None]]:
    """Return each action unit with its correlation and F1, None where a cell is empty."""
    known = ([float(row[name]) if row[name] else None for row in rows] for name in ("pearson_r", "f1"))
    return list(zip([row["action_unit"] for row in rows], *known, strict=True))


MEASURED = ("stage", "jobs", "all_s", "longest_s", "memory_mb")
"""Columns of `time.csv`."""


def benchmark_rows(layout: Layout) -> Rows:
    """Sum up the workflow's benchmark files: jobs, seconds and the highest memory of each stage, in its order."""
    folder = layout.folder / "benchmarks"
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.rglob("*.tsv")):
        parts = path.relative_to(folder).with_suffix("").parts
        stage = next((part for part in parts if part in STAGES), None)
        if stage is None:
            continue
        row = found.setdefault(stage, {"stage": stage, "jobs": 0, "all_s": 0.0, "longest_s": 0.0, "memory_mb": 0.0})
        for line in read_csv(path, "\t"):
            seconds = _measured(line.get("s"))
            row["jobs"] += 1
            row["all_s"] += seconds
            row["longest_s"] = max(row["longest_s"], seconds)
            row["memory_mb"] = max(row["memory_mb"], _measured(line.get("max_rss")))
    return sorted(found.values(), key=lambda row: list(STAGES).index(row["stage"]))


def _measured(text: str | None) -> float:
    """Return a number of a benchmark file; a job too short to be measured has none."""
    try:
        return float(text or "")
    except ValueError:
        return 0.0
