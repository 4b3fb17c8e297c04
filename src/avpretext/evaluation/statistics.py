"""How sure the scores are: intervals and tests that treat the speaker, not the clip, as the unit.

Clips of one speaker resemble each other, so resampling clips would promise more than the data hold. Everything here
works on one confusion matrix per (speaker, seed): a resample is a weighted sum of them, and thousands cost
milliseconds. A score is taken on the clips of all test folds together, seed by seed, and averaged over the seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""From confusion matrices, shape (..., classes, classes), to scores, shape (...)."""

_SLACK = 1e-12
"""Differences this close are equal: sums of the same numbers in another order are not the same bits."""


@dataclass(frozen=True)
class Significance:
    """A p-value and how it was found: `exact` over all sign flips, or `sampled` from them."""

    p_value: float
    test: str


def draw_resamples(speakers: int, resamples: int, seed: Sequence[int]) -> Floats:
    """Draw speakers with replacement.

    Returns
    -------
    Array, shape (resamples, speakers): how often each speaker is in each resample.
    """
    generator = np.random.default_rng(list(seed))
    draws = generator.multinomial(speakers, np.full(speakers, 1 / speakers), size=resamples)
    return np.asarray(draws, dtype=np.float64)


def pooled(matrices: Floats, weights: Floats | None = None) -> Floats:
    """Sum confusion matrices over speakers.

    Parameters
    ----------
    matrices
        Shape (speakers, seeds, classes, classes).
    weights
        Shape (resamples, speakers), or None: every speaker once.

    Returns
    -------
    Array, shape (seeds, classes, classes), or (resamples, seeds, classes, classes).
    """
    if weights is None:
        return np.asarray(matrices.sum(axis=0), dtype=np.float64)
    flat: Floats = weights @ matrices.reshape(len(matrices), -1)
    return flat.reshape(len(weights), *matrices.shape[1:])


def score(matrices: Floats, statistic: Statistic, weights: Floats | None = None) -> Floats:
    """Score the speakers together, seed by seed, and average over the seeds; shape () or (resamples,)."""
    return np.asarray(statistic(pooled(matrices, weights)).mean(axis=-1), dtype=np.float64)


def interval(resampled: Floats, speakers: int, level: float) -> tuple[float, float]:
    """Return the expanded percentile interval of bootstrap scores.

    Plain percentiles are too narrow for few speakers, by the factor that separates the normal from Student's t and N
    from N - 1; percentiles further out mend that (T. Hesterberg, "What teachers should know about the bootstrap", The
    American Statistician 69, 2015, section 5.3). NaN for a single speaker, from whom nothing can be said.

    Parameters
    ----------
    resampled
        Score of each resample; resamples without a score (NaN) are left out.
    speakers
        Number of speakers that were resampled.
    level
        Level of the interval, such as 0.95.
    """
    valid = resampled[~np.isnan(resampled)]
    if speakers < 2 or not valid.size:
        return float("nan"), float("nan")
    quantile = stats.t.ppf((1 - level) / 2, speakers - 1) * np.sqrt(speakers / (speakers - 1))
    tail = float(stats.norm.cdf(quantile))
    low, high = np.quantile(valid, [tail, 1 - tail])
    return float(low), float(high)


def paired_test(
    first: Floats, second: Floats, statistic: Statistic, permutations: int, seed: Sequence[int]
) -> Significance:
    """Test whether two systems score differently on the same speakers, two-sided.

    Were they alike, exchanging their predictions for any speaker would change nothing but chance. All exchanges are
    tried when they are no more than `permutations`, else that many are drawn. The smallest possible p of the exact
    test is 2 ** (1 - speakers).

    Parameters
    ----------
    first, second
        Shape (speakers, seeds, classes, classes), the same speakers in the same order.
    """
    observed = abs(float(score(first, statistic) - score(second, statistic)))
    exact = 2 ** len(first) <= permutations
    kept = _all_choices(len(first)) if exact else _drawn_choices(len(first), permutations, seed)
    differences = np.abs(_exchanged(first, second, kept, statistic) - _exchanged(second, first, kept, statistic))
    as_large = int((differences >= observed - _SLACK).sum())
    if exact:
        return Significance(as_large / len(kept), "exact")
    return Significance((as_large + 1) / (permutations + 1), "sampled")


def _exchanged(first: Floats, second: Floats, kept: Floats, statistic: Statistic) -> Floats:
    """Score `first` with the speakers that are not `kept` (resamples, speakers) replaced by those of `second`."""
    matrices = pooled(first, kept) + pooled(second, 1 - kept)
    return np.asarray(statistic(matrices).mean(axis=-1), dtype=np.float64)


def _all_choices(speakers: int) -> Floats:
    """Return every way to keep or exchange speakers, shape (2 ** speakers, speakers), as ones and zeros."""
    return ((np.arange(2**speakers)[:, None] >> np.arange(speakers)) & 1).astype(np.float64)


def _drawn_choices(speakers: int, number: int, seed: Sequence[int]) -> Floats:
    return np.random.default_rng(list(seed)).integers(0, 2, size=(number, speakers)).astype(np.float64)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for the number of comparisons (S. Holm, Scandinavian Journal of Statistics 6, 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values, dtype=np.float64)[order] * factors))
    result = np.empty(len(p_values))
    result[order] = corrected
    return [float(value) for value in result]
