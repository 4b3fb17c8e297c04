"""The stage `evaluate`: from the predictions of every initialisation to metrics, comparisons and confusions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from avpretext import shards
from avpretext.config import EvaluateOptions
from avpretext.corpora.settings import Kind
from avpretext.errors import UserError
from avpretext.evaluation import statistics
from avpretext.evaluation.kinds import SCORINGS, Scoring, places
from avpretext.evaluation.metrics import Floats
from avpretext.schemas import COMPARISONS, CONFUSION, METRICS, RUNS
from avpretext.shards import PathLike
from avpretext.systems import SCRATCH, stands_beside

Rows = list[dict[str, Any]]

RESAMPLES, PERMUTATIONS = 1, 2
"""Which random stream: one for intervals, one for tests, so that neither depends on how much the other draws."""


@dataclass(frozen=True)
class Task:
    """What was predicted.

    Attributes
    ----------
    kind
        What a clip's label is.
    classes
        Sorted; of an attribute, its name.
    target, setting
        Names of the target, and of target and protocol; None where the predictions don't tell.
    """

    kind: Kind
    classes: list[str]
    target: str | None
    setting: str | None

    @property
    def scoring(self) -> Scoring:
        """How it is scored."""
        return SCORINGS[self.kind]


@dataclass(frozen=True)
class Scored:
    """Test predictions of one initialisation.

    Attributes
    ----------
    name
        The initialisation.
    sums
        What the measures are made of, shape (speakers, seeds, ...); see `kinds`.
    speakers, seeds
        What the first axes stand for, each sorted.
    runs
        (fold, seed) -> the sums of that run, shape (...).
    clips
        Number of different clips tested.
    """

    name: str
    sums: Floats
    speakers: list[str]
    seeds: list[int]
    runs: dict[tuple[int, int], Floats]
    clips: int


def run(predictions: Sequence[PathLike], options: EvaluateOptions, seed: int, output_dir: PathLike) -> None:
    """Score predictions and write `metrics`, `runs`, `comparisons` and `confusion` as Parquet.

    Parameters
    ----------
    predictions
        Prediction files of one setting of a corpus: one per initialisation, and those of the baselines.
    options
        Numbers of resamples and the level of intervals.
    seed
        Seed of the resampling.
    output_dir
        Folder for the four files; `confusion` has no rows but for targets of one class per clip.

    Raises
    ------
    UserError
        There are no test predictions, or the files are of different targets.
    """
    task = task_of(predictions)
    scored = [collect(name, rows, task) for name, rows in _by_initialisation(predictions, task.scoring)]
    made_by = shards.provenance(
        "evaluate",
        {"evaluate": options.model_dump(mode="json"), "seed": seed},
        kind=task.kind,
        classes=task.classes,
        target=task.target,
        setting=task.setting,
    )
    folder = Path(output_dir)
    shards.write_table(folder / "metrics.parquet", metric_rows(scored, task, options, seed), METRICS, made_by)
    shards.write_table(folder / "runs.parquet", run_rows(scored, task), RUNS, made_by)
    compared = comparison_rows(scored, task.scoring, options, seed)
    shards.write_table(folder / "comparisons.parquet", compared, COMPARISONS, made_by)
    confused = confusion_rows(scored, task.classes) if task.scoring.matrix else []
    shards.write_table(folder / "confusion.parquet", confused, CONFUSION, made_by)


def task_of(predictions: Sequence[PathLike]) -> Task:
    """Return what the files predict, which must be the same for all.

    Where a clip has one class, the classes are those that a clip has or is taken for.
    """
    made = [shards.read_provenance(path) for path in predictions]
    kinds = sorted({str(made_by.get("kind", "hard")) for made_by in made})
    if len(kinds) > 1 or kinds[0] not in SCORINGS:
        raise UserError(
            f"{', '.join(map(str, predictions))}: predictions of the kinds {', '.join(kinds)}; evaluate needs one of"
            f" {', '.join(SCORINGS)}: give it the files of one setting"
        )
    kind: Kind = next(known for known in SCORINGS if known == kinds[0])
    classes = _classes_found(predictions) if kind == "hard" else _classes_declared(predictions, made)
    return Task(kind, classes, made[0].get("target"), made[0].get("setting"))


def _classes_found(predictions: Sequence[PathLike]) -> list[str]:
    found: set[str] = set()
    for path in predictions:
        rows = shards.read(path, ["label", "predicted"])
        found |= set(rows["label"].drop_nulls().unique()) | set(rows["predicted"].drop_nulls().unique())
    return sorted(found)


def _classes_declared(predictions: Sequence[PathLike], made: Sequence[Mapping[str, Any]]) -> list[str]:
    declared = [list(made_by.get("classes", [])) for made_by in made]
    for path, classes in zip(predictions, declared, strict=True):
        if not classes or classes != declared[0]:
            raise UserError(
                f"{path}: classes {', '.join(classes) or 'not given'}, but {', '.join(declared[0])} in"
                f" {predictions[0]}; evaluate needs the files of one setting"
            )
    return declared[0]


def _by_initialisation(predictions: Sequence[PathLike], scoring: Scoring) -> list[tuple[str, pl.DataFrame]]:
    """Return the test predictions of each initialisation: scratch first, baselines last, else as the files come."""
    rows = read_test(predictions, scoring)
    names = rows["initialisation"].unique(maintain_order=True).to_list()
    names.sort(key=lambda name: (stands_beside(name), name != SCRATCH))
    return [(name, rows.filter(pl.col("initialisation") == name)) for name in names]


def read_test(predictions: Sequence[PathLike], scoring: Scoring) -> pl.DataFrame:
    """Return the predictions of test clips that have a target.

    Raises
    ------
    UserError
        There are none.
    """
    columns = ["initialisation", "fold", "seed", "split", "clip_id", "speaker", "label", "predicted", "truth"]
    rows = shards.read(predictions, [*columns, "probabilities"]).filter(pl.col("split") == "test", scoring.known)
    if rows.is_empty():
        raise UserError(
            f"{', '.join(str(path) for path in predictions)}: no test predictions; evaluate needs labelled clips with"
            " split = test: check the labels and folds of the corpus"
        )
    return rows


def collect(name: str, rows: pl.DataFrame, task: Task) -> Scored:
    """Sum the test predictions of one initialisation per speaker and seed, and per run.

    A clip without a known speaker counts as a speaker of its own.
    """
    rows = rows.with_columns(pl.coalesce("speaker", pl.format("clip {}", "clip_id")).alias("speaker"))
    speakers, seeds = sorted(rows["speaker"].unique()), sorted(rows["seed"].unique())
    tally = task.scoring.tally(rows, task.classes)
    sums = np.zeros((len(speakers), len(seeds), *tally.shape[1:]))
    np.add.at(sums, (places(rows["speaker"], speakers), places(rows["seed"], seeds)), tally)
    keys = list(zip(rows["fold"], rows["seed"], strict=True))
    runs = sorted(set(keys))
    totals = np.zeros((len(runs), *tally.shape[1:]))
    np.add.at(totals, places(keys, runs), tally)
    return Scored(name, sums, speakers, seeds, dict(zip(runs, totals, strict=True)), rows["clip_id"].n_unique())


def metric_rows(scored: Sequence[Scored], task: Task, options: EvaluateOptions, seed: int) -> Rows:
    """Return the rows of `metrics`: each measure on all test clips with its interval, and its spread over the runs."""
    rows = []
    for system in scored:
        weights = statistics.draw_resamples(len(system.speakers), options.bootstrap, [seed, RESAMPLES])
        resampled = task.scoring.all_scores(statistics.pooled(system.sums, weights), task.classes)
        pooled = task.scoring.all_scores(statistics.pooled(system.sums), task.classes)
        of_runs = task.scoring.all_scores(np.stack(list(system.runs.values())), task.classes)
        clips = _clips_of(system, task)
        for (measure, label), value in pooled.items():
            low, high = statistics.interval(
                resampled[measure, label].mean(axis=-1), len(system.speakers), options.level
            )
            valid = of_runs[measure, label][~np.isnan(of_runs[measure, label])]
            rows.append(
                {"initialisation": system.name, "measure": measure, "class": label, "value": known(value.mean()),
                 "ci_low": known(low), "ci_high": known(high), "mean": known(valid.mean()) if valid.size else None,
                 "std": known(valid.std(ddof=1)) if valid.size > 1 else None, "runs": valid.size,
                 "speakers": len(system.speakers), "clips": clips[label]}
            )  # fmt: skip
    return rows


def _clips_of(system: Scored, task: Task) -> dict[str | None, int]:
    """Return the number of clips tested that have each class; under None, of all."""
    support = task.scoring.support(statistics.pooled(system.sums))
    if support is None:
        return {None: system.clips}
    per_class = zip(task.classes, support.mean(axis=0), strict=True)
    return {None: system.clips} | {name: round(count) for name, count in per_class}


def run_rows(scored: Sequence[Scored], task: Task) -> Rows:
    """Return the rows of `runs`: every measure of every (fold, seed)."""
    return [
        {"initialisation": system.name, "fold": fold, "seed": seed, "measure": measure, "class": label,
         "value": known(value)}
        for system in scored
        for (fold, seed), sums in system.runs.items()
        for (measure, label), value in task.scoring.all_scores(sums, task.classes).items()
    ]  # fmt: skip


def comparison_rows(scored: Sequence[Scored], scoring: Scoring, options: EvaluateOptions, seed: int) -> Rows:
    """Return the rows of `comparisons`: each initialisation against scratch.

    P-values are corrected per measure and family: the initialisations are one, what stands beside them another, so that
    asking how good a baseline is makes no claim about pre-training harder to prove.
    """
    scratch = next((system for system in scored if system.name == SCRATCH), None)
    others = [system for system in scored if system is not scratch]
    if scratch is None:
        return []
    families = {
        "pretext": [system for system in others if not stands_beside(system.name)],
        "baseline": [system for system in others if stands_beside(system.name)],
    }
    rows = []
    for measure in scoring.measures:
        for family, systems in families.items():
            compared = [compare(system, scratch, measure, scoring, options, seed) for system in systems]
            corrected = statistics.holm([row["p_value"] for row in compared])
            rows += [
                row | {"family": family, "p_value": known(row["p_value"]), "p_holm": known(value)}
                for row, value in zip(compared, corrected, strict=True)
            ]
    return rows


def compare(
    system: Scored, scratch: Scored, measure: str, scoring: Scoring, options: EvaluateOptions, seed: int
) -> dict[str, Any]:
    """Compare two initialisations on the speakers and seeds that both have; p_value is NaN without a score."""
    first, second = _paired(system, scratch)

    def statistic(sums: Floats) -> Floats:
        return scoring.scores(sums)[measure]

    weights = statistics.draw_resamples(len(first), options.bootstrap, [seed, RESAMPLES])
    resampled = statistics.score(first, statistic, weights) - statistics.score(second, statistic, weights)
    low, high = statistics.interval(resampled, len(first), options.level)
    tested = statistics.paired_test(first, second, statistic, options.permutations, [seed, PERMUTATIONS])
    difference = statistics.score(first, statistic) - statistics.score(second, statistic)
    return {
        "initialisation": system.name, "baseline": scratch.name, "measure": measure, "difference": known(difference),
        "ci_low": known(low), "ci_high": known(high), "p_value": tested.p_value, "speakers": len(first),
        "test": tested.test,
    }  # fmt: skip


def _paired(system: Scored, scratch: Scored) -> tuple[Floats, Floats]:
    """Return the sums of both for their common speakers and seeds, in the same order.

    The one run of a baseline, which often draws nothing at random, stands beside every seed of scratch.
    """
    once = stands_beside(system.name) and len(system.seeds) == 1
    speakers = [name for name in system.speakers if name in set(scratch.speakers)]
    seeds = [seed for seed in scratch.seeds if once or seed in set(system.seeds)]
    if not speakers or not seeds:
        raise UserError(
            f"{system.name} and {scratch.name} share no test speaker or no seed, so they cannot be compared;"
            " fine-tune both with the same folds and seeds"
        )
    rows, columns = [system.speakers.index(name) for name in speakers], [scratch.seeds.index(seed) for seed in seeds]
    own = [0] * len(seeds) if once else [system.seeds.index(seed) for seed in seeds]
    return system.sums[np.ix_(rows, own)], scratch.sums[np.ix_([scratch.speakers.index(s) for s in speakers], columns)]


def confusion_rows(scored: Sequence[Scored], classes: Sequence[str]) -> Rows:
    """Return the rows of `confusion`: clips per true and predicted class, seeds averaged, and the share of the row."""
    rows: Rows = []
    for system in scored:
        counts = system.sums.sum(axis=0).mean(axis=0)
        for label, row in zip(classes, counts, strict=True):
            rows += [
                {"initialisation": system.name, "label": label, "predicted": predicted, "count": float(count),
                 "share": float(count / row.sum()) if row.sum() else None}
                for predicted, count in zip(classes, row, strict=True)
            ]  # fmt: skip
    return rows


def known(value: Any) -> float | None:
    """Return a number, or None where there is none to give."""
    return None if np.isnan(value) else float(value)
