"""Calibration: whether a system is right as often as it is sure.

A forecast is a probability and what became of it. Where a clip has one class, there is one forecast per clip: the
probability of the predicted class, and whether it is right. Of several labels, or of shares, there is one for each
class: its probability, and whether the class is there, or its share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext.config import EvaluateOptions
from avpretext.evaluation import intervals, scores
from avpretext.evaluation.metrics import Floats, places
from avpretext.evaluation.scores import RESAMPLES, Rows, Scored, Task, known

BINS = 10
"""Bins of a reliability diagram, each with as many forecasts as another."""

MEASURES = ("ece", "brier", "overconfidence")
CHANCE = "ece_by_chance"
"""The expected calibration error that a calibrated system would have: that many forecasts in a bin err by luck."""

_BOUNDS = {"ece": (0.0, 1.0), "brier": (0.0, np.inf), "overconfidence": (-1.0, 1.0)}
_COUNT, _SURE, _RIGHT = range(3)


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of N predictions: probability and outcome (N, F), and the Brier score of each prediction, (N,)."""

    probability: Floats
    outcome: Floats
    brier: Floats


def forecasts(rows: pl.DataFrame, task: Task) -> Forecasts:
    """Return the forecasts of predictions of classes.

    The Brier score of a clip is sum_k (p_k - y_k)^2 over its classes, 0..2 for one class per clip (G. Brier, Monthly
    Weather Review 78, 1950).
    """
    truth, said = (np.array(rows[name].to_list(), np.float64) for name in ("truth", "probabilities"))
    brier = ((said - truth) ** 2).sum(axis=1)
    if task.kind != "hard":
        return Forecasts(said, truth, brier)
    right = said.argmax(axis=1) == truth.argmax(axis=1)
    return Forecasts(said.max(axis=1, keepdims=True), right[:, None].astype(np.float64), brier)


def bins_of(probability: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """Return the bin of each probability: between the quantiles that give each bin equally many, as scikit-learn's.

    Equal probabilities are in one bin, so that some bins may have more, and others none.

    >>> bins_of(np.array([0.9, 0.1, 0.4, 0.6]), 2)
    array([1, 0, 0, 1])
    """
    edges = np.quantile(probability, np.linspace(0, 1, bins + 1))
    return np.searchsorted(edges[1:-1], probability)


def tally(found: Forecasts, seeds: NDArray[np.int64]) -> Floats:
    """Return what is summed of each prediction, (N, 3 bins + 2): of each bin forecasts, probability, outcome; 1; Brier.

    `seeds` (N,) numbers the seed of each prediction: every seed has bins of its own.
    """
    sums = np.zeros((len(seeds), BINS, 3))
    for seed in np.unique(seeds):
        of_seed = np.flatnonzero(seeds == seed)
        probability, outcome = found.probability[of_seed], found.outcome[of_seed]
        clip, place = np.repeat(of_seed, probability.shape[1]), bins_of(probability.ravel())
        values = np.column_stack([np.ones(probability.size), probability.ravel(), outcome.ravel()])
        np.add.at(sums, (clip, place), values)
    return np.column_stack([sums.reshape(len(seeds), -1), np.ones(len(seeds)), found.brier])


def measures(sums: Floats) -> dict[str, Floats]:
    """Return the measures of `tally` summed over predictions, shape (..., 3 bins + 2), as arrays of shape (...).

    `ece`, the expected calibration error, is sum_b n_b / n |mean probability of b - mean outcome of b| over the bins b
    (M. Naeini, G. Cooper & M. Hauskrecht, AAAI 2015) with equally many forecasts each (K. Nguyen & B. O'Connor, EMNLP
    2015). `overconfidence` is the mean probability less the mean outcome.
    """
    bins, clips, brier = sums[..., :-2].reshape(*sums.shape[:-1], BINS, 3), sums[..., -2], sums[..., -1]
    apart, count = bins[..., _SURE] - bins[..., _RIGHT], bins[..., _COUNT].sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return {
            "ece": np.abs(apart).sum(axis=-1) / count,
            "brier": brier / clips,
            "overconfidence": apart.sum(axis=-1) / count,
        }


def by_chance(found: Forecasts, seeds: NDArray[np.int64]) -> float:
    """Return the `ece` that is expected of a calibrated system with these probabilities, by the number of forecasts.

    The outcomes of a bin then err from their probabilities by a deviation of s_b = sqrt(sum p (1 - p)), and |error| is
    sqrt(2 / pi) s_b on average, errors being nearly normal and clips independent.
    """
    expected = []
    for seed in np.unique(seeds):
        probability = found.probability[seeds == seed].ravel()
        variance = np.bincount(bins_of(probability), probability * (1 - probability), BINS)
        expected.append(np.sqrt(2 / np.pi * variance).sum() / len(probability))
    return float(np.mean(expected))


@dataclass(frozen=True)
class Calibrated:
    """What `tally` sums to for one system, (speakers, seeds, 3 bins + 2), and the error expected by chance.

    `shares`: whether shares are forecast, whose sum is 1 in truth as in the forecast, so that none is too sure.
    """

    system: Scored
    sums: Floats
    by_chance: float
    shares: bool


def of_system(system: Scored, rows: pl.DataFrame, task: Task) -> Calibrated:
    """Return the calibration of a system on its test predictions; by chance is NaN where shares are forecast."""
    rows = scores.with_speakers(rows)
    found, seeds = forecasts(rows, task), places(rows["seed"], system.seeds)
    shares = task.kind == "distribution"
    chance = float("nan") if shares else by_chance(found, seeds)
    return Calibrated(system, scores.summed(rows, tally(found, seeds))[0], chance, shares)


def calibration_rows(found: Sequence[Calibrated], options: EvaluateOptions, seed: int) -> Rows:
    """Return the rows of `calibration`: each measure with its interval over speakers and trainings."""
    rows: Rows = []
    for one in found:
        system = one.system
        weights = intervals.draw_resamples(len(system.speakers), options.bootstrap, [seed, RESAMPLES])
        trainings = scores.trainings_of(len(system.seeds), [system.pretrainings])
        values, drawn = (measures(intervals.pooled(one.sums, by)) for by in (None, weights))
        counts = {"seeds": trainings, "speakers": len(system.speakers), "clips": system.clips}
        for name in MEASURES[:2] if one.shares else MEASURES:
            estimate = intervals.estimate(values[name], drawn[name], len(system.speakers), trainings)
            low, high = np.clip(estimate.interval(options.level), *_BOUNDS[name])
            rows.append(
                {"initialisation": system.name, "measure": name, "value": known(estimate.value), "ci_low": known(low),
                 "ci_high": known(high), "seed_std": known(estimate.spread), **counts}
            )  # fmt: skip
        rows.append({"initialisation": system.name, "measure": CHANCE, "value": known(one.by_chance), **counts})
    return rows


def reliability_rows(found: Sequence[Calibrated]) -> Rows:
    """Return the rows of `reliability`: of each bin its forecasts, their probability and outcome; seeds together."""
    rows: Rows = []
    for one in found:
        bins = one.sums.sum(axis=0)[..., :-2].reshape(-1, BINS, 3)
        for number, (count, sure, right) in enumerate(bins.sum(axis=0)):
            if count:
                rows.append(
                    {"initialisation": one.system.name, "bin": number, "probability": float(sure / count),
                     "outcome": float(right / count), "count": float(count / len(bins))}
                )  # fmt: skip
    return rows
