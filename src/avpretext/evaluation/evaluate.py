"""The stage `evaluate`: from the predictions of every initialisation to metrics, comparisons and confusions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from avpretext import shards
from avpretext.config import EvaluateOptions
from avpretext.evaluation import intervals, scores
from avpretext.evaluation.kinds import Scoring
from avpretext.evaluation.scores import Rows, Scored, Task, known
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.progress import progress
from avpretext.systems import SCRATCH, stands_beside


def run(predictions: Sequence[Path], options: EvaluateOptions, seed: int, output: Path) -> None:
    """Score predictions and write `metrics`, `runs`, `seeds`, `comparisons` and `confusion` as Parquet.

    Parameters
    ----------
    predictions
        Prediction files of one setting of a corpus: one per initialisation, and those of the baselines.
    options
        Numbers of resamples and the level of intervals.
    seed
        Seed of the resampling.
    output
        Folder for the five files; `confusion` has no rows but for targets of one class per clip.

    Raises
    ------
    UserError
        There are no test predictions, or the files are of different targets.
    """
    task = scores.task_of(predictions)
    scored = [scores.collect(name, rows, task) for name, rows in by_initialisation(predictions, task.scoring)]
    made_by = provenance(
        "evaluate",
        {"evaluate": options.model_dump(mode="json"), "seed": seed},
        kind=task.kind,
        classes=task.classes,
        target=task.target,
        setting=task.setting,
    )
    tables = {
        "metrics": scores.metric_rows(scored, task, options, seed),
        "runs": run_rows(scored, task),
        "seeds": seed_rows(scored, task.scoring),
        "comparisons": comparison_rows(scored, task.scoring, options, seed),
        "confusion": confusion_rows(scored, task.classes) if task.scoring.matrix else [],
    }
    for name, rows in tables.items():
        shards.write_table(output / f"{name}.parquet", rows, schema_of(f"evaluate.{name}"), made_by)


def by_initialisation(predictions: Sequence[Path], scoring: Scoring) -> list[tuple[str, pl.DataFrame]]:
    """Return the test predictions of each initialisation: scratch first, baselines last, else as the files come."""
    rows = scores.read_test(predictions, scoring)
    names = rows["initialisation"].unique(maintain_order=True).to_list()
    names.sort(key=lambda name: (stands_beside(name), name != SCRATCH))
    return [(name, rows.filter(pl.col("initialisation") == name)) for name in names]


def run_rows(scored: Sequence[Scored], task: Task) -> Rows:
    """Return the rows of `runs`: every measure of every (fold, seed)."""
    return [
        {"initialisation": system.name, "fold": fold, "seed": seed, "pretraining": system.pretraining(seed),
         "measure": measure, "class": label, "value": known(value)}
        for system in scored
        for (fold, seed), sums in system.runs.items()
        for (measure, label), value in task.scoring.all_scores(sums, task.classes).items()
    ]  # fmt: skip


def seed_rows(scored: Sequence[Scored], scoring: Scoring) -> Rows:
    """Return the rows of `seeds`: every measure of every seed on all test clips, and its difference to scratch."""
    of_systems = {system.name: scoring.scores(intervals.pooled(system.sums)) for system in scored}
    scratch = next((system for system in scored if system.name == SCRATCH), None)
    beside = {seed: place for place, seed in enumerate(scratch.seeds)} if scratch else {}
    rows: Rows = []
    for system in scored:
        for measure, values in of_systems[system.name].items():
            for seed, value in zip(system.seeds, values, strict=True):
                paired = seed in beside and system is not scratch
                difference = value - of_systems[SCRATCH][measure][beside[seed]] if paired else np.nan
                rows.append(
                    {"initialisation": system.name, "seed": seed, "pretraining": system.pretraining(seed),
                     "measure": measure, "value": known(value), "difference": known(difference)}
                )  # fmt: skip
    return rows


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
    label = "evaluate, comparisons"
    for measure in progress(scoring.measures, total=len(scoring.measures), unit="measures", label=label, quiet=True):
        for family, systems in families.items():
            compared = [scores.compare(system, scratch, measure, scoring, options, seed) for system in systems]
            rows += [row | {"family": family} for row in scores.corrected(compared, "p_value")]
    return rows


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
