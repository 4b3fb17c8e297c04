"""Systems beside the raters: is a system confused as people are, and does it agree with them as they do?

A single rater is scored against the majority of the other raters of the clip, and a system against the same majorities,
so that the two compare. Votes are counts, so every rater of a clip takes a turn: of n raters each has the weight 1 / n,
and a clip the weight 1. Where the others tie, each class that ties is the truth in equal parts. Where the labels learnt
do not come of these votes, as acted emotions do not, both are scored against the labels too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from avpretext.config import EvaluateOptions
from avpretext.evaluation import intervals, metrics, scores
from avpretext.evaluation.kinds import within_bounds
from avpretext.evaluation.metrics import Floats, places
from avpretext.evaluation.scores import RESAMPLES, Rows, known

RATERS = "raters"
"""What single raters are called beside the systems."""

OTHERS, LABEL = "other raters", "label"
"""What raters and systems are scored against."""

MEASURES = ("uar", "war")


@dataclass(frozen=True)
class Votes:
    """Raters who chose each class, `counts` (N, K) of the clips `clip_ids`; `own`: the labels learnt come of them."""

    classes: list[str]
    clip_ids: list[str]
    counts: Floats
    own: bool

    def rated(self) -> "Votes":
        """Return the clips that at least two raters heard: a single one has no others to agree with."""
        rows = np.flatnonzero(self.counts.sum(axis=1) >= 2)
        return Votes(self.classes, [self.clip_ids[row] for row in rows], self.counts[rows], self.own)


def against_others(counts: Floats) -> Floats:
    """Return how raters of clips answer against the majority of the others, shape (N, K, K): row majority, column said.

    `counts` are the votes (N, K), at least two for each clip; each clip sums to 1.

    >>> against_others(np.array([[2.0, 1.0]]))[0].round(3)  # one of two A, beside A and B: half right
    array([[0.333, 0.333],
           [0.333, 0.   ]])
    """
    classes = counts.shape[1]
    others = counts[:, None, :] - np.eye(classes)  # (N, said, K)
    most = others == others.max(axis=2, keepdims=True)
    share = most / most.sum(axis=2, keepdims=True)
    weight = counts / counts.sum(axis=1, keepdims=True)
    return np.swapaxes(share * weight[:, :, None], 1, 2)


@dataclass(frozen=True)
class Beside:
    """Confusions of single raters or of a system with one reference, (speakers, seeds, K, K), and what they rest on."""

    name: str
    against: str
    classes: list[str]
    sums: Floats
    seeds: int
    trainings: int
    clips: int


def beside(name: str, rows: pl.DataFrame, said: Sequence[str], votes: Votes, trainings: int) -> list[Beside]:
    """Return the confusions of raters and of one system over the same clips, raters first, for each reference.

    `rows` are the test predictions of the system, `said` the class that each predicts. Clips that fewer than two raters
    have rated are left out. The raters are those of each clip of each run, so their sums have the same seeds.
    """
    votes = votes.rated()
    rows = scores.with_speakers(rows).with_columns(said=pl.Series(said, dtype=pl.String))
    rows = rows.filter(pl.col("clip_id").is_in(votes.clip_ids))
    if rows.is_empty():
        return []
    classes = sorted({*votes.classes, *rows["said"], *rows["label"].drop_nulls()})
    counts = np.zeros((len(votes.clip_ids), len(classes)))
    counts[:, places(votes.classes, classes)] = votes.counts
    clip = places(rows["clip_id"], votes.clip_ids)
    predicted = np.eye(len(classes))[places(rows["said"], classes)]
    answers = {OTHERS: against_others(counts)[clip]}
    if not votes.own:
        label = np.eye(len(classes))[places(rows["label"], classes)]
        shares = counts / counts.sum(axis=1, keepdims=True)
        answers[LABEL] = label[:, :, None] * shares[clip][:, None, :]
    found = []
    for against, of_raters in answers.items():
        of_system = of_raters.sum(axis=2)[:, :, None] * predicted[:, None, :]
        for who, tally, units in ((RATERS, of_raters, 1), (name, of_system, trainings)):
            sums, _, seeds = scores.summed(rows, tally)
            found.append(Beside(who, against, classes, sums, len(seeds), units, rows["clip_id"].n_unique()))
    return found


def rater_rows(pairs: Sequence[tuple[Beside, Beside]], options: EvaluateOptions, seed: int) -> Rows:
    """Return the rows of `raters`: the raters once for each reference, then each system and its difference to them.

    `pairs` are raters and system over the same clips.
    """
    rows: Rows = []
    for against in dict.fromkeys(system.against for _, system in pairs):
        chosen = [pair for pair in pairs if pair[1].against == against]
        rows += _rows_of(chosen[0][0], None, options, seed)
        compared = [row for raters, system in chosen for row in _rows_of(system, raters, options, seed)]
        for measure in MEASURES:
            rows += scores.corrected([row for row in compared if row["measure"] == measure], "p_value")
    return rows


def _rows_of(one: Beside, raters: Beside | None, options: EvaluateOptions, seed: int) -> Rows:
    weights = intervals.draw_resamples(len(one.sums), options.bootstrap, [seed, RESAMPLES])

    def estimate(measure: str, less: Beside | None = None) -> intervals.Estimate:
        values, drawn = (_score(one, measure, less, by) for by in (None, weights))
        return intervals.estimate(values, drawn, len(one.sums), one.trainings)

    rows: Rows = []
    for measure in MEASURES:
        found = estimate(measure)
        low, high = within_bounds(measure, found.interval(options.level))
        row: dict[str, Any] = {
            "initialisation": one.name, "against": one.against, "measure": measure, "value": known(found.value),
            "ci_low": known(low), "ci_high": known(high), "seeds": one.trainings if raters else None,
            "speakers": len(one.sums), "clips": one.clips,
        }  # fmt: skip
        if raters is not None:
            apart = estimate(measure, raters)
            ends = zip(("difference_low", "difference_high"), map(known, apart.interval(options.level)), strict=True)
            row |= {"difference": known(apart.value), **dict(ends), "p_value": apart.p_value}
        rows.append(row)
    return rows


def _score(one: Beside, measure: str, less: Beside | None, weights: Floats | None) -> Floats:
    """Return a measure of each seed, (seeds,) or (resamples, seeds), less that of others where they are given."""
    value = metrics.overall_scores(intervals.pooled(one.sums, weights))[measure]
    if less is None:
        return value
    return np.asarray(value - metrics.overall_scores(intervals.pooled(less.sums, weights))[measure])


def confusion_rows(pairs: Sequence[tuple[Beside, Beside]]) -> Rows:
    """Return the rows of `rater_confusion`: clips by reference and answer, seeds averaged, and the share of the row."""
    shown: dict[tuple[str, str], Beside] = {}
    for pair in pairs:
        for one in pair:
            shown.setdefault((one.against, one.name), one)
    return [row for (against, _), one in shown.items() for row in _confusion(one, against)]


def _confusion(one: Beside, against: str) -> Rows:
    counts = one.sums.sum(axis=0).mean(axis=0)
    return [
        {"initialisation": one.name, "against": against, "label": label, "predicted": said, "count": float(count),
         "share": float(count / row.sum()) if row.sum() else None}
        for label, row in zip(one.classes, counts, strict=True)
        for said, count in zip(one.classes, row, strict=True)
    ]  # fmt: skip


def by_name(votes: Mapping[str, Sequence[float] | None], classes: list[str], own: bool) -> Votes | None:
    """Return the votes of clips by clip_id; None where no clip has any."""
    there = {clip_id: counts for clip_id, counts in votes.items() if counts is not None}
    if not there:
        return None
    return Votes(classes, list(there), np.array(list(there.values()), np.float64), own)
