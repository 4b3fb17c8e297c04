"""Scores of test clips in noise, by telephone, through a codec and in a room, beside those of the same clips clean."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from avpretext.config import EvaluateOptions
from avpretext.evaluation import intervals, scores, subgroups
from avpretext.evaluation.kinds import within_bounds
from avpretext.evaluation.scores import RESAMPLES, Rows, Scored, Task, known
from avpretext.options.conditions import CLEAN

_PAIRED = ["fold", "seed", "clip_id"]


def condition_rows(
    systems: Sequence[tuple[Scored, pl.DataFrame]],
    degraded: pl.DataFrame,
    task: Task,
    options: EvaluateOptions,
    seed: int,
) -> Rows:
    """Return the rows of `conditions`: each measure of each system clean, and in each condition it was tested in.

    Parameters
    ----------
    systems
        Each system and its predictions of the clips as they are.
    degraded
        Predictions of all systems in all conditions. A difference is to the same clips, folds and seeds clean, with the
        speakers in pairs.
    """
    found: Rows = []
    for system, clean in systems:
        own = degraded.filter(initialisation=system.name)
        of = {name: own.filter(split=f"test@{name}") for name in dict.fromkeys(options.conditions)}
        of = {name: rows for name, rows in of.items() if not rows.is_empty()}
        found += _rows(CLEAN, system, task, options, seed) if of else []
        for name, rows in of.items():
            same = clean.join(rows, on=_PAIRED, how="semi")
            beside = system if same.height == clean.height else scores.sums_of(system.name, same, task)
            found += _rows(name, scores.sums_of(system.name, rows, task), task, options, seed, beside)
    return found


def _rows(
    condition: str, system: Scored, task: Task, options: EvaluateOptions, seed: int, clean: Scored | None = None
) -> Rows:
    found, everyone = [], np.arange(len(system.speakers))
    weights = intervals.draw_resamples(len(everyone), options.bootstrap, [seed, RESAMPLES])
    for measure in subgroups.measures_of(task.scoring):
        value = subgroups.estimate(system, measure, task.scoring, [(everyone, weights)])
        low, high = within_bounds(measure, value.interval(options.level))
        row: dict[str, Any] = {
            "initialisation": system.name, "condition": condition, "measure": measure, "value": known(value.value),
            "ci_low": known(low), "ci_high": known(high), "speakers": len(system.speakers), "clips": system.clips,
            "seeds": scores.trainings_of(len(system.seeds), [system.pretrainings]),
        }  # fmt: skip
        if clean is not None:
            apart = scores.compare(system, clean, measure, task.scoring, options, seed)
            ends = {"difference_low": apart["ci_low"], "difference_high": apart["ci_high"]}
            row |= {"difference": apart["difference"], **ends}
        found.append(row)
    return found
