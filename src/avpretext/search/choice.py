"""Which trial each fold takes: by its own dev speakers (nested), or one for all folds (flat); no test clip counts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from avpretext import shards
from avpretext.config import EvaluateOptions
from avpretext.errors import UserError
from avpretext.evaluation import scores
from avpretext.evaluation.scores import Rows, Task

UNTUNED = 0
"""Number of the trial with the configuration as it is."""

DevScores = Mapping[int, Mapping[int, float]]
"""Of each trial, the score of the dev clips of each fold."""


class Choice(NamedTuple):
    """The trial that each fold takes by its own dev clips, and the one for all folds by the mean of theirs."""

    nested: dict[int, int]
    flat: int


def choose(dev: DevScores) -> Choice:
    """Choose by dev scores; of equal trials the first.

    >>> choose({0: {0: 0.5, 1: 0.5}, 1: {0: 0.9, 1: 0.2}, 2: {0: 0.1, 1: 0.6}})
    Choice(nested={0: 1, 1: 2}, flat=1)
    """
    trials = sorted(dev)
    folds = sorted(dev[trials[0]])
    nested = {fold: max(trials, key=lambda trial: dev[trial][fold]) for fold in folds}
    return Choice(nested, max(trials, key=lambda trial: np.mean(list(dev[trial].values()))))


def dev_scores(predictions: Path, measure: str | None) -> dict[int, float]:
    """Return the score of the dev clips of each fold, the mean over its runs.

    `measure` is one over all classes; None: the main one of the kind of target.

    Raises
    ------
    UserError
        A fold has no dev clips, or the kind of target has no such measure.
    """
    task = scores.task_of([predictions])
    rows = shards.read(predictions).filter(task.scoring.known)
    dev = rows.filter(split="dev")
    if missing := sorted(set(rows["fold"]) - set(dev["fold"])):
        raise UserError(
            f"{predictions}: fold {missing[0]} has no dev clips to choose by: use a protocol with dev speakers"
        )
    name = measure or task.scoring.main
    if name not in task.scoring.measures or name in ("kl_divergence", "rmse", "mae"):
        raise UserError(
            f"--measure {name}: expected one of {', '.join(task.scoring.measures)}, of which more is better"
        )
    runs = scores.sums_of("dev", dev, task).runs
    values = task.scoring.scores(np.stack(list(runs.values())))[name]
    folds = np.array([fold for fold, _ in runs])
    return {int(fold): float(np.nanmean(values[folds == fold])) for fold in np.unique(folds)}


def score_choices(
    choice: Choice, predictions: Mapping[int, Path], options: EvaluateOptions, seed: int
) -> tuple[Task, Rows]:
    """Return the test scores of three systems, as `metrics` has them: `untuned`, `flat` and `nested`."""
    files = [predictions[trial] for trial in sorted({UNTUNED, choice.flat, *choice.nested.values()})]
    task = scores.task_of(files)
    systems = {
        "untuned": dict.fromkeys(choice.nested, UNTUNED), "flat": dict.fromkeys(choice.nested, choice.flat),
        "nested": choice.nested,
    }  # fmt: skip
    collected = [scores.collect(name, _test_rows(chosen, predictions, task), task) for name, chosen in systems.items()]
    return task, scores.metric_rows(collected, task, options, seed)


def _test_rows(chosen: Mapping[int, int], predictions: Mapping[int, Path], task: Task) -> pl.DataFrame:
    """Return the test predictions of each fold by the trial that it takes."""
    parts: Sequence[pl.DataFrame] = [
        scores.read_test([predictions[trial]], task.scoring).filter(fold=fold) for fold, trial in chosen.items()
    ]
    return pl.concat(parts)
