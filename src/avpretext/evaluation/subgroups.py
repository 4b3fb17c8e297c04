"""Scores by speaker and by sex: who is served worst, and whether that is more than luck."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext.config import EvaluateOptions
from avpretext.corpora.reader import Person
from avpretext.evaluation import intervals, scores
from avpretext.evaluation.kinds import Scoring, within_bounds
from avpretext.evaluation.metrics import Floats, places
from avpretext.evaluation.scores import PERMUTATIONS, RESAMPLES, Rows, Scored, Task, known

SEXES = ("female", "male")
DIFFERENCE = "female - male"
SHUFFLES = 200
"""Times that the clips are dealt to the speakers anew."""

_BLOCK = 500
_SLACK = 1e-12
_SHUFFLED = 3
"""Which random stream, beside those of `scores`."""


def measures_of(scoring: Scoring) -> tuple[str, str]:
    """Return the measures that are told of speakers and sexes: the main one and the first beside it."""
    return scoring.main, scoring.shown[0]


def by_speaker(system: Scored, scoring: Scoring) -> dict[str, Floats]:
    """Return the measures of each speaker, (speakers,), averaged over the seeds; NaN where there is none."""
    found = scoring.scores(system.sums)
    return {name: np.asarray(found[name].mean(axis=-1)) for name in measures_of(scoring)}


def clips_of(rows: pl.DataFrame, system: Scored) -> list[int]:
    """Return how many clips of each speaker of a system are tested."""
    counts = scores.with_speakers(rows).group_by("speaker").agg(pl.col("clip_id").n_unique())
    by_name = dict(counts.iter_rows())
    return [by_name[name] for name in system.speakers]


def speaker_rows(system: Scored, rows: pl.DataFrame, task: Task, people: Mapping[str, Person]) -> Rows:
    """Return the rows of `speakers`: each measure of each test speaker."""
    clips = clips_of(rows, system)
    return [
        {"initialisation": system.name, "speaker": name, "sex": people.get(name, Person()).sex, "measure": measure,
         "value": known(value), "clips": count}
        for measure, values in by_speaker(system, task.scoring).items()
        for name, count, value in zip(system.speakers, clips, values, strict=True)
    ]  # fmt: skip


def spread_rows(system: Scored, rows: pl.DataFrame, task: Task, seed: int) -> Rows:
    """Return the rows of `spread`: worst and best speaker and deviation over speakers, and what luck would give.

    Luck: the clips of each class are dealt to the speakers anew, each of whom keeps the number of clips of each class,
    `SHUFFLES` times. `p_value` is the share of deals whose deviation over speakers is as large as the true one, that
    one counted in. It is not known of targets that are no classes.
    """
    found: Rows = []
    dealt = _shuffled(system, rows, task, seed) if task.kind == "hard" else {}
    for measure, values in by_speaker(system, task.scoring).items():
        there = np.flatnonzero(~np.isnan(values))
        if len(there) < 2:
            continue
        worst, best = (int(there[pick(values[there])]) for pick in (np.argmin, np.argmax))
        spread = float(values[there].std(ddof=1))
        found.append(
            {"initialisation": system.name, "measure": measure, "speakers": len(there),
             "mean": float(values[there].mean()), "std": spread, "worst_speaker": system.speakers[worst],
             "worst": float(values[worst]), "best_speaker": system.speakers[best], "best": float(values[best]),
             **(_luck(spread, dealt[measure]) if measure in dealt else {})}
        )  # fmt: skip
    return found


def _luck(spread: float, dealt: Floats) -> dict[str, float]:
    """Return what the scores of speakers, (shuffles, speakers), spread by luck, and the p of the true spread."""
    deviations = np.nanstd(dealt, axis=1, ddof=1)
    as_large = int((deviations >= spread - _SLACK).sum())
    return {
        "std_by_luck": float(deviations.mean()),
        "worst_by_luck": float(np.nanmin(dealt, axis=1).mean()),
        "p_value": (as_large + 1) / (len(dealt) + 1),
    }


def _shuffled(system: Scored, rows: pl.DataFrame, task: Task, seed: int) -> dict[str, Floats]:
    """Return the measures of the speakers after each deal, (shuffles, speakers); nothing if a seed lacks a clip."""
    units = scores.with_speakers(rows).sort("clip_id", "fold", "seed")
    if units.height % len(system.seeds) or len(system.speakers) < 2:
        return {}
    label, said = (places(units[name], task.classes) for name in ("label", "predicted"))
    shape = (-1, len(system.seeds))
    if (units["seed"].to_numpy().reshape(shape) != np.array(system.seeds)).any():
        return {}
    speaker, of_class = (values.reshape(shape)[:, 0] for values in (places(units["speaker"], system.speakers), label))
    size = len(task.classes)
    code = (label * size + said).reshape(shape) + size**2 * np.arange(len(system.seeds))
    generator, found = np.random.default_rng([seed, _SHUFFLED]), []
    for _ in range(SHUFFLES):
        dealt = deal(speaker, of_class, generator)
        flat = dealt[:, None] * (size**2 * len(system.seeds)) + code
        counts = np.bincount(flat.ravel(), minlength=system.sums.size).reshape(system.sums.shape)
        found.append(task.scoring.scores(counts.astype(np.float64)))
    return {name: np.stack([one[name].mean(axis=-1) for one in found]) for name in measures_of(task.scoring)}


def deal(speaker: NDArray[np.int64], of_class: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the speakers of clips, exchanged at random among the clips of each class."""
    dealt = np.empty_like(speaker)
    dealt[np.argsort(of_class, kind="stable")] = speaker[np.lexsort((generator.random(len(speaker)), of_class))]
    return dealt


def sex_rows(
    system: Scored, rows: pl.DataFrame, task: Task, people: Mapping[str, Person], options: EvaluateOptions, seed: int
) -> Rows:
    """Return the rows of `sexes`: each measure on the clips of each sex, and the difference with its test.

    Speakers whose sex is not known, if there are any, are scored as a group of their own, null.
    """
    clips = np.array(clips_of(rows, system))
    told = np.array([people.get(name, Person()).sex or "" for name in system.speakers])
    found: Rows = []
    for sex in (*SEXES, ""):
        own = np.flatnonzero(told == sex)
        if not len(own):
            continue
        weights = intervals.draw_resamples(len(own), options.bootstrap, [seed, RESAMPLES])
        for measure in measures_of(task.scoring):
            value = estimate(system, measure, task.scoring, [(own, weights)])
            low, high = within_bounds(measure, value.interval(options.level))
            found.append(
                {"initialisation": system.name, "sex": sex or None, "measure": measure, "value": known(value.value),
                 "ci_low": known(low), "ci_high": known(high), "speakers": len(own), "clips": int(clips[own].sum())}
            )  # fmt: skip
    members = [np.flatnonzero(told == sex) for sex in SEXES]
    return found + _differences(system, clips, task.scoring, members, options, seed)


def _differences(
    system: Scored,
    clips: NDArray[np.int64],
    scoring: Scoring,
    members: Sequence[NDArray[np.int64]],
    options: EvaluateOptions,
    seed: int,
) -> Rows:
    if not all(map(len, members)):
        return []
    drawn = [
        intervals.draw_resamples(len(own), options.bootstrap, [seed, RESAMPLES, place])
        for place, own in enumerate(members)
    ]
    found = []
    both = np.concatenate(members)
    for measure in measures_of(scoring):
        value = estimate(system, measure, scoring, list(zip(members, drawn, strict=True)))
        low, high = value.interval(options.level)
        p_value, test = permutation_test(system.sums[both], len(members[0]), scoring, measure, options, seed)
        found.append(
            {"initialisation": system.name, "sex": DIFFERENCE, "measure": measure, "value": known(value.value),
             "ci_low": known(low), "ci_high": known(high), "speakers": len(both), "clips": int(clips[both].sum()),
             "p_value": known(p_value), "test": test}
        )  # fmt: skip
    return found


def estimate(
    system: Scored, measure: str, scoring: Scoring, groups: Sequence[tuple[NDArray[np.int64], Floats]]
) -> intervals.Estimate:
    """Return the score of a group of speakers, or the first's less the second's, each resampled for itself.

    Of two, the degrees of freedom are those of the smaller group, which widens the interval.
    """

    def score(own: NDArray[np.int64], weights: Floats | None = None) -> Floats:
        return scoring.scores(intervals.pooled(system.sums[own], weights))[measure]

    values, drawn = [score(own) for own, _ in groups], [score(*group) for group in groups]
    if len(groups) > 1:
        values, drawn = [values[0] - values[1]], [drawn[0] - drawn[1]]
    trainings = scores.trainings_of(len(system.seeds), [system.pretrainings])
    return intervals.estimate(values[0], drawn[0], min(len(own) for own, _ in groups), trainings)


def permutation_test(
    sums: Floats, first: int, scoring: Scoring, measure: str, options: EvaluateOptions, seed: int
) -> tuple[float, str]:
    """Test whether the `first` speakers of sums (speakers, seeds, ...) score otherwise than the rest, two-sided.

    Were the sexes alike, any division of the speakers into groups of these sizes would be as likely, which holds for
    any number of speakers (R. Fisher, The Design of Experiments, 1935). All divisions are tried if they are no more
    than `permutations` (`exact`), else that many are drawn (`sampled`).
    """

    def apart(chosen: Floats) -> Floats:
        of_groups = (scoring.scores(intervals.pooled(sums, by))[measure].mean(axis=-1) for by in (chosen, 1 - chosen))
        return np.asarray(np.abs(np.subtract(*of_groups)), dtype=np.float64)

    speakers = len(sums)
    exact = math.comb(speakers, first) <= options.permutations
    observed = apart((np.arange(speakers) < first)[None].astype(np.float64))[0]
    if np.isnan(observed):
        return float("nan"), ""
    tried = as_large = 0
    divisions = _all_divisions(speakers, first) if exact else _drawn(speakers, first, options.permutations, seed)
    for chosen in divisions:
        # Written so that a division without a score (NaN) counts against the difference.
        as_large += int((~(apart(chosen) < observed - _SLACK)).sum())
        tried += len(chosen)
    return (as_large / tried, "exact") if exact else ((as_large + 1) / (tried + 1), "sampled")


def _all_divisions(speakers: int, first: int) -> Iterator[Floats]:
    divisions = itertools.combinations(range(speakers), first)
    while block := list(itertools.islice(divisions, _BLOCK)):
        chosen = np.zeros((len(block), speakers))
        np.put_along_axis(chosen, np.array(block), 1.0, axis=1)
        yield chosen


def _drawn(speakers: int, first: int, number: int, seed: int) -> Iterator[Floats]:
    generator = np.random.default_rng([seed, PERMUTATIONS])
    for start in range(0, number, _BLOCK):
        order = generator.random((min(_BLOCK, number - start), speakers)).argsort(axis=1)
        yield (order < first).astype(np.float64)


def corrected(rows: Rows) -> Rows:
    """Return the rows of `sexes` of all systems, the p-values of each measure corrected for their number (Holm)."""
    tested = [row for row in rows if "p_value" in row]
    by_measure: dict[str, list[dict[str, Any]]] = {}
    for row in tested:
        by_measure.setdefault(row["measure"], []).append(row)
    for of_measure in by_measure.values():
        values = intervals.holm([math.nan if row["p_value"] is None else row["p_value"] for row in of_measure])
        for row, value in zip(of_measure, values, strict=True):
            row["p_holm"] = known(value)
    return rows
