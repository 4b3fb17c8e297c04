"""The values behind the labels, and the thresholds that make labels of them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.tasks import CHUNK_TASKS, TASKS
from avpretext.report.distributions import Histogram, histogram_of


class LabelValues(NamedTuple):
    """How the values of one decision of a pretext task are distributed.

    Attributes
    ----------
    groups
        What became of them (`high`, `low`, `dead zone`; `labelled`, `none`, ...) to their histogram, all of the same
        bins.
    thresholds
        The smallest, the median and the largest of `several` thresholds; all alike where one holds for all.
    """

    task: str
    title: str
    groups: Mapping[str, Histogram]
    thresholds: tuple[float, float, float]
    several: int = 1


def label_values(run: OpenRun) -> dict[str, list[LabelValues]]:
    """Return, for each corpus with pseudo-labels, the values of each decision and its thresholds."""
    found = {}
    for corpus in run.config.corpora:
        charts = [chart for task in CHUNK_TASKS for chart in of_chunks(run, corpus, task)]
        charts += of_emotions(run, corpus)
        if charts:
            found[corpus] = charts
    return found


def of_chunks(run: OpenRun, corpus: str, task: str) -> list[LabelValues]:
    """Return the values of a task that labels chunks as high or low; none where nothing was measured."""
    labels = run.labels(corpus, task, ["value", "label", "threshold"])
    rows = pl.DataFrame() if labels is None else labels.filter(pl.col("value").is_not_null())
    if rows.is_empty():
        return []
    options = run.made_by(corpus, f"labels_{task}").get("options", {}).get(f"labels.{task}", {})
    measured = TASKS[task].measures
    title = measured.get(options.get("measure", ""), TASKS[task].value[0]).format_map({"region": "face", **options})
    kinds = {"high": pl.col("label") == 1, "low": pl.col("label") == 0, "dead zone": pl.col("label").is_null()}
    groups = {name: rows.filter(kind)["value"].to_numpy() for name, kind in kinds.items()}
    edges = rows["threshold"].drop_nulls().unique().sort().to_numpy()
    spread = (float(edges[0]), float(np.median(edges)), float(edges[-1]))
    kept = {name: histogram for name, histogram in histogram_of(groups, spread[1]).items() if histogram.total}
    return [LabelValues(task, title, kept, spread, len(edges))]


def of_emotions(run: OpenRun, corpus: str) -> list[LabelValues]:
    """Return the values of the decisions that give a clip its emotion, for the clips that were measured."""
    rows, made_by = run.labels(corpus, "emotion"), run.made_by(corpus, "labels_emotion")
    limits: dict[str, Any] = made_by.get("options", {})
    neutral = (made_by.get("table") or {}).get("neutral")
    if rows is None or "min_confidence" not in limits:
        return []
    rows = rows.filter(pl.col("outcome") != "unmeasured")
    if rows.is_empty():
        return []
    scores = rows.select(pl.col("^score_.*$").cast(pl.Float64).fill_null(0.0)).to_numpy()
    second, best = np.sort(scores, axis=1)[:, -2:].T
    kind = pl.when(pl.col("label") == (neutral or "")).then(pl.lit("neutral")).otherwise(pl.col("outcome"))
    outcome = rows.select(kind).to_series().replace("labelled", "an emotion").to_numpy()
    return [
        _decision("Probability of the best class", best, outcome, limits["min_confidence"]),
        _decision("Lead over the second class", best - second, outcome, limits["min_margin"]),
    ]


def _decision(title: str, values: Any, outcome: Any, threshold: float) -> LabelValues:
    kinds = [name for name in ("an emotion", "neutral", "ambiguous", "none") if (outcome == name).any()]
    groups = histogram_of({name: values[outcome == name] for name in kinds}, threshold, bins=30)
    return LabelValues("emotion", title, groups, (threshold, threshold, threshold))
