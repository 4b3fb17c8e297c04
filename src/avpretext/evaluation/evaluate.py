"""The stage `evaluate`: from the predictions of every initialisation to metrics, comparisons and confusions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import EvaluateOptions
from avpretext.errors import UserError
from avpretext.evaluation import metrics, statistics
from avpretext.evaluation.metrics import Floats
from avpretext.schemas import COMPARISONS, CONFUSION, METRICS, RUNS
from avpretext.shards import PathLike

BASELINE = "scratch"
_RESAMPLES, _PERMUTATIONS = 1, 2
"""Which random stream: one for intervals, one for tests, so that neither depends on how much the other draws."""


@dataclass(frozen=True)
class Scored:
    """Test predictions of one initialisation.

    Attributes
    ----------
    name
        The initialisation.
    matrices
        Confusion matrices, shape (speakers, seeds, classes, classes).
    speakers, seeds, classes
        What the axes stand for, each sorted.
    runs
        (fold, seed) -> confusion matrix of that run, shape (classes, classes).
    clips
        Number of different clips tested.
    """

    name: str
    matrices: Floats
    speakers: list[str]
    seeds: list[int]
    classes: list[str]
    runs: dict[tuple[int, int], Floats]
    clips: int


def run(predictions: Sequence[PathLike], options: EvaluateOptions, seed: int, output_dir: PathLike) -> None:
    """Score predictions and write `metrics`, `runs`, `comparisons` and `confusion` as Parquet.

    Parameters
    ----------
    predictions
        Prediction files of one corpus, one per initialisation.
    options
        Numbers of resamples and the level of intervals.
    seed
        Seed of the resampling.
    output_dir
        Folder for the four files.
    """
    classes = _classes(predictions)
    scored = [collect(name, rows, classes) for name, rows in _by_initialisation(predictions)]
    made_by = shards.provenance(
        "evaluate", {"evaluate": options.model_dump(mode="json"), "seed": seed}, classes=classes
    )
    folder = Path(output_dir)
    shards.write_table(folder / "metrics.parquet", metric_rows(scored, options, seed), METRICS, made_by)
    shards.write_table(folder / "runs.parquet", run_rows(scored), RUNS, made_by)
    shards.write_table(folder / "comparisons.parquet", comparison_rows(scored, options, seed), COMPARISONS, made_by)
    shards.write_table(folder / "confusion.parquet", confusion_rows(scored), CONFUSION, made_by)


def _by_initialisation(predictions: Sequence[PathLike]) -> list[tuple[str, pl.DataFrame]]:
    """Return the test predictions of each initialisation: scratch first, else in the order of the files."""
    columns = ["initialisation", "fold", "seed", "split", "clip_id", "speaker", "label", "predicted"]
    rows = shards.read(predictions, columns).filter(pl.col("split") == "test", pl.col("label").is_not_null())
    if rows.is_empty():
        raise UserError(
            f"{', '.join(str(path) for path in predictions)}: no test predictions; evaluate needs labelled clips with"
            " split = test: check the labels and folds of the corpus"
        )
    names = rows["initialisation"].unique(maintain_order=True).to_list()
    names.sort(key=lambda name: name != BASELINE)
    return [(name, rows.filter(pl.col("initialisation") == name)) for name in names]


def _classes(predictions: Sequence[PathLike]) -> list[str]:
    """Return the classes of the corpus, sorted: every label or prediction of any initialisation."""
    rows = shards.read(predictions, ["label", "predicted"])
    found = set(rows["label"].drop_nulls()) | set(rows["predicted"].drop_nulls())
    return sorted(found)


def collect(name: str, rows: pl.DataFrame, classes: Sequence[str]) -> Scored:
    """Count the test predictions of one initialisation per speaker and seed, and per run.

    A clip without a known speaker counts as a speaker of its own.
    """
    rows = rows.with_columns(pl.coalesce("speaker", pl.format("clip {}", "clip_id")).alias("speaker"))
    speakers, seeds = sorted(rows["speaker"].unique()), sorted(rows["seed"].unique())
    matrices = np.zeros((len(speakers), len(seeds), len(classes), len(classes)))
    axes = {"speaker": speakers, "seed": seeds, "label": classes, "predicted": classes}
    np.add.at(matrices, tuple(_places(rows[column], names) for column, names in axes.items()), 1.0)
    runs = {(fold, seed): _count(part, classes) for (fold, seed), part in rows.group_by("fold", "seed")}
    ordered = {key: runs[key] for key in sorted(runs)}
    return Scored(name, matrices, speakers, seeds, list(classes), ordered, rows["clip_id"].n_unique())


def _places(column: pl.Series, names: Sequence[Any]) -> NDArray[np.int64]:
    """Return the place of each value among the names."""
    place = {name: number for number, name in enumerate(names)}
    return np.asarray([place[value] for value in column], dtype=np.int64)


def _count(rows: pl.DataFrame, classes: Sequence[str]) -> Floats:
    return metrics.confusion(rows["label"].to_list(), rows["predicted"].to_list(), classes)


def metric_rows(scored: Sequence[Scored], options: EvaluateOptions, seed: int) -> list[dict[str, Any]]:
    """Return the rows of `metrics`: each measure on all test clips with its interval, and its spread over the runs."""
    rows = []
    for system in scored:
        weights = statistics.draw_resamples(len(system.speakers), options.bootstrap, [seed, _RESAMPLES])
        resampled = metrics.all_scores(statistics.pooled(system.matrices, weights), system.classes)
        pooled = metrics.all_scores(statistics.pooled(system.matrices), system.classes)
        of_runs = metrics.all_scores(np.stack(list(system.runs.values())), system.classes)
        support = system.matrices.sum(axis=(0, 3)).mean(axis=0)
        for (measure, label), value in pooled.items():
            low, high = statistics.interval(
                resampled[measure, label].mean(axis=-1), len(system.speakers), options.level
            )
            valid = of_runs[measure, label][~np.isnan(of_runs[measure, label])]
            rows.append(
                {"initialisation": system.name, "measure": measure, "class": label, "value": _known(value.mean()),
                 "ci_low": _known(low), "ci_high": _known(high), "mean": _known(valid.mean()) if valid.size else None,
                 "std": _known(valid.std(ddof=1)) if valid.size > 1 else None, "runs": valid.size,
                 "speakers": len(system.speakers),
                 "clips": system.clips if label is None else round(support[system.classes.index(label)])}
            )  # fmt: skip
    return rows


def run_rows(scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """Return the rows of `runs`: every measure of every (fold, seed)."""
    return [
        {"initialisation": system.name, "fold": fold, "seed": seed, "measure": measure, "class": label,
         "value": _known(value)}
        for system in scored
        for (fold, seed), matrix in system.runs.items()
        for (measure, label), value in metrics.all_scores(matrix, system.classes).items()
    ]  # fmt: skip


def comparison_rows(scored: Sequence[Scored], options: EvaluateOptions, seed: int) -> list[dict[str, Any]]:
    """Return the rows of `comparisons`: each initialisation against scratch, p-values corrected per measure."""
    baseline = next((system for system in scored if system.name == BASELINE), None)
    others = [system for system in scored if system is not baseline]
    if baseline is None or not others:
        return []
    rows = []
    for measure in metrics.MEASURES:
        compared = [compare(other, baseline, measure, options, seed) for other in others]
        corrected = statistics.holm([row["p_value"] for row in compared])
        rows += [row | {"p_holm": value} for row, value in zip(compared, corrected, strict=True)]
    return rows


def compare(system: Scored, baseline: Scored, measure: str, options: EvaluateOptions, seed: int) -> dict[str, Any]:
    """Compare two initialisations on the speakers and seeds that both have."""
    first, second = _paired(system, baseline)
    statistic = partial(_overall, measure)
    weights = statistics.draw_resamples(len(first), options.bootstrap, [seed, _RESAMPLES])
    resampled = statistics.score(first, statistic, weights) - statistics.score(second, statistic, weights)
    low, high = statistics.interval(resampled, len(first), options.level)
    tested = statistics.paired_test(first, second, statistic, options.permutations, [seed, _PERMUTATIONS])
    difference = statistics.score(first, statistic) - statistics.score(second, statistic)
    return {
        "initialisation": system.name, "baseline": baseline.name, "measure": measure, "difference": float(difference),
        "ci_low": _known(low), "ci_high": _known(high), "p_value": tested.p_value, "speakers": len(first),
        "test": tested.test,
    }  # fmt: skip


def _overall(measure: str, matrices: Floats) -> Floats:
    return metrics.overall_scores(matrices)[measure]


def _paired(system: Scored, baseline: Scored) -> tuple[Floats, Floats]:
    """Return the matrices of both for their common speakers and seeds, in the same order."""
    speakers = [name for name in system.speakers if name in set(baseline.speakers)]
    seeds = [seed for seed in system.seeds if seed in set(baseline.seeds)]
    if not speakers or not seeds:
        raise UserError(
            f"{system.name} and {baseline.name} share no test speaker or no seed, so they cannot be compared;"
            " fine-tune both with the same folds and seeds"
        )
    first, second = (
        part.matrices[np.ix_([part.speakers.index(s) for s in speakers], [part.seeds.index(s) for s in seeds])]
        for part in (system, baseline)
    )
    return first, second


def confusion_rows(scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """Return the rows of `confusion`: clips per true and predicted class, seeds averaged, and the share of the row."""
    rows = []
    for system in scored:
        counts = system.matrices.sum(axis=0).mean(axis=0)
        for label, row in zip(system.classes, counts, strict=True):
            rows += [
                {"initialisation": system.name, "label": label, "predicted": predicted, "count": float(count),
                 "share": float(count / row.sum()) if row.sum() else None}
                for predicted, count in zip(system.classes, row, strict=True)
            ]  # fmt: skip
    return rows


def _known(value: Any) -> float | None:
    """Return a number, or None where there is none to give."""
    return None if np.isnan(value) else float(value)
