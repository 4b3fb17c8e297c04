"""Score systems by their predictions and compare them: for the stages `evaluate` and `ablate`."""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from avpretext import shards
from avpretext.config import EvaluateOptions
from avpretext.corpora.settings import NUMBERS, Kind
from avpretext.errors import UserError
from avpretext.evaluation import intervals
from avpretext.evaluation.kinds import SCORINGS, Scoring, within_bounds
from avpretext.evaluation.metrics import Floats, places
from avpretext.progress import progress
from avpretext.shards import PathLike
from avpretext.systems import stands_beside
from avpretext.training import finite

Rows = list[dict[str, Any]]

RESAMPLES, PERMUTATIONS = 1, 2
"""Which random stream: one for intervals, one for tests, so that neither depends on how much the other draws."""


@dataclass(frozen=True)
class Task:
    """What was predicted: the kind of a clip's label, and its classes, sorted; of attributes, their names.

    `target` and `setting` are names of the target, and of target and protocol; None where the predictions don't tell.
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
    """Test predictions of one initialisation, `name`.

    `sums` (speakers, seeds, ...) are what the measures are made of, see `kinds`; `speakers` and `seeds` are what its
    first axes stand for, each sorted. `runs` has the sums of each (fold, seed). `clips` is the number of different
    clips tested. The runs start from so many `pretrainings`, seed i from number i modulo this; 0: none.
    """

    name: str
    sums: Floats
    speakers: list[str]
    seeds: list[int]
    runs: dict[tuple[int, int], Floats]
    clips: int
    pretrainings: int = 0

    def pretraining(self, seed: int) -> int | None:
        """Return the number of the pre-training that the runs of a seed start from."""
        return seed % self.pretrainings if self.pretrainings else None


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


def read_test(predictions: Sequence[PathLike], scoring: Scoring) -> pl.DataFrame:
    """Return the predictions of test clips that have a target.

    Raises
    ------
    UserError
        There are none, or one is not finite.
    """
    rows = _read(predictions, scoring).filter(split="test")
    if rows.is_empty():
        raise UserError(
            f"{', '.join(str(path) for path in predictions)}: no test predictions; evaluate needs labelled clips with"
            " split = test: check the labels and folds of the corpus"
        )
    finite.check_rows(rows)
    return rows


def read_degraded(predictions: Sequence[PathLike], scoring: Scoring) -> pl.DataFrame:
    """Return the predictions of test clips in conditions, `split` being `test@{condition}`, that have a target."""
    rows = _read(predictions, scoring).filter(pl.col("split").str.starts_with("test@"))
    finite.check_rows(rows)
    return rows


def _read(predictions: Sequence[PathLike], scoring: Scoring) -> pl.DataFrame:
    columns = ["initialisation", "fold", "seed", "pretraining", "split", "clip_id", "speaker", "label", "predicted",
               "truth", "probabilities"]  # fmt: skip
    return shards.read(predictions, columns).filter(scoring.known)


def _tell_constant(name: str, rows: pl.DataFrame, task: Task) -> None:
    """Warn of runs that predict one and the same for all test clips, which differ."""
    for of, said, true in _said_and_true(task):
        varied = rows.group_by("fold", "seed").agg(said.n_unique().alias("said"), true.n_unique().alias("true"))
        constant = varied.filter(pl.col("said") == 1, pl.col("true") > 1).sort("fold", "seed")
        if constant.height:
            first = constant.row(0, named=True)
            print(
                f"evaluate: warning: {name} predicts the same{of} for all test clips in {constant.height} of"
                f" {varied.height} runs, such as fold {first['fold']}, seed {first['seed']}: it has learnt nothing"
                " there",
                file=sys.stderr,
            )


def _said_and_true(task: Task) -> list[tuple[str, pl.Expr, pl.Expr]]:
    """Return of what, the prediction and the truth: of several attributes one by one."""
    if task.kind not in NUMBERS:
        return [("", pl.col("predicted"), pl.col("label"))]
    told = [f" {name}" for name in task.classes] if task.kind == "attributes" else [""]
    said, true = pl.col("probabilities").list, pl.col("truth").list
    return [(of, said.get(place), true.get(place)) for place, of in enumerate(told)]


def collect(name: str, rows: pl.DataFrame, task: Task) -> Scored:
    """Sum the test predictions of one initialisation, see `sums_of`; warn of runs that have learnt nothing."""
    _tell_constant(name, rows, task)
    return sums_of(name, rows, task)


def sums_of(name: str, rows: pl.DataFrame, task: Task) -> Scored:
    """Sum the test predictions of one initialisation per speaker and seed, and per run.

    A clip without a known speaker counts as a speaker of its own.
    """
    rows = with_speakers(rows)
    tally = task.scoring.tally(rows, task.classes)
    sums, speakers, seeds = summed(rows, tally)
    keys = list(zip(rows["fold"], rows["seed"], strict=True))
    runs = sorted(set(keys))
    totals = np.zeros((len(runs), *tally.shape[1:]))
    np.add.at(totals, places(keys, runs), tally)
    pretrainings = rows["pretraining"].drop_nulls().n_unique()
    by_run = dict(zip(runs, totals, strict=True))
    return Scored(name, sums, speakers, seeds, by_run, rows["clip_id"].n_unique(), pretrainings)


def with_speakers(rows: pl.DataFrame) -> pl.DataFrame:
    """Return predictions in which a clip without a known speaker is of a speaker of its own."""
    return rows.with_columns(pl.coalesce("speaker", pl.format("clip {}", "clip_id")).alias("speaker"))


def summed(rows: pl.DataFrame, tally: Floats) -> tuple[Floats, list[str], list[int]]:
    """Return the sums (speakers, seeds, ...) of what each prediction counts for, (rows, ...), and what the axes are."""
    speakers, seeds = sorted(rows["speaker"].unique()), sorted(rows["seed"].unique())
    sums = np.zeros((len(speakers), len(seeds), *tally.shape[1:]))
    np.add.at(sums, (places(rows["speaker"], speakers), places(rows["seed"], seeds)), tally)
    return sums, speakers, seeds


def trainings_of(seeds: int, pretrainings: Iterable[int]) -> int:
    """Return how many of so many seeds are trainings of their own: those that share no pre-training in any system.

    Of one pre-training, shared by all seeds, nothing is known but what fine-tuning does with it.

    >>> trainings_of(6, [0, 1]), trainings_of(6, [0, 3]), trainings_of(6, [6, 3])
    (6, 3, 3)
    """
    return math.gcd(seeds, *(count for count in pretrainings if count > 1))


def metric_rows(scored: Sequence[Scored], task: Task, options: EvaluateOptions, seed: int) -> Rows:
    """Return the rows of `metrics`: each measure on all test clips with its interval, and its spread over the runs."""
    rows = []
    for system in progress(scored, total=len(scored), unit="systems", label="evaluate, intervals", quiet=True):
        weights = intervals.draw_resamples(len(system.speakers), options.bootstrap, [seed, RESAMPLES])
        resampled = task.scoring.all_scores(intervals.pooled(system.sums, weights), task.classes)
        pooled = task.scoring.all_scores(intervals.pooled(system.sums), task.classes)
        of_runs = task.scoring.all_scores(np.stack(list(system.runs.values())), task.classes)
        clips, trainings = _clips_of(system, task), trainings_of(len(system.seeds), [system.pretrainings])
        for (measure, label), values in pooled.items():
            found = intervals.estimate(values, resampled[measure, label], len(system.speakers), trainings)
            low, high = within_bounds(measure, found.interval(options.level))
            valid = of_runs[measure, label][~np.isnan(of_runs[measure, label])]
            rows.append(
                {"initialisation": system.name, "measure": measure, "class": label, "value": known(found.value),
                 "ci_low": known(low), "ci_high": known(high), "mean": known(valid.mean()) if valid.size else None,
                 "std": known(valid.std(ddof=1)) if valid.size > 1 else None, "seed_std": known(found.spread),
                 "runs": valid.size, "seeds": trainings, "pretrainings": system.pretrainings or None,
                 "speakers": len(system.speakers), "clips": clips[label]}
            )  # fmt: skip
    return rows


def _clips_of(system: Scored, task: Task) -> dict[str | None, int]:
    """Return the number of clips tested that have each class; under None, of all."""
    support = task.scoring.support(intervals.pooled(system.sums))
    if support is None:
        return {None: system.clips}
    per_class = zip(task.classes, support.mean(axis=0), strict=True)
    return {None: system.clips} | {name: round(count) for name, count in per_class}


def compare(
    system: Scored, scratch: Scored, measure: str, scoring: Scoring, options: EvaluateOptions, seed: int
) -> dict[str, Any]:
    """Compare two systems on the speakers and seeds that both have; p_value is NaN without a score."""
    first, second = _paired(system, scratch)

    def differences(weights: Floats | None = None) -> Floats:
        of_both = (scoring.scores(intervals.pooled(sums, weights))[measure] for sums in (first, second))
        return np.subtract(*of_both)

    weights = intervals.draw_resamples(len(first), options.bootstrap, [seed, RESAMPLES])
    pretrainings = [count for count in (system.pretrainings, scratch.pretrainings) if count]
    trainings = trainings_of(first.shape[1], pretrainings)
    found = intervals.estimate(differences(), differences(weights), len(first), trainings)
    low, high = found.interval(options.level)
    return {
        "initialisation": system.name, "baseline": scratch.name, "measure": measure, "difference": known(found.value),
        "ci_low": known(low), "ci_high": known(high), "p_value": found.p_value, "std_error": known(found.std_error),
        "df": known(found.df), "speakers": len(first), "seeds": trainings,
        "pretrainings": min(pretrainings, default=None),
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


def corrected(rows: Rows, p: str) -> Rows:
    """Return comparisons of one family with `p_holm`, Holm's correction of their p-values in the column `p`.

    These are NaN where there is no score, which becomes None.
    """
    values = intervals.holm([row[p] for row in rows])
    return [row | {p: known(row[p]), "p_holm": known(value)} for row, value in zip(rows, values, strict=True)]


def known(value: Any) -> float | None:
    """Return a number, or None where there is none to give."""
    return None if np.isnan(value) else float(value)
