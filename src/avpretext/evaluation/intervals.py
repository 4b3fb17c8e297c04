"""Intervals and tests of scores, over speakers, not clips, and over trainings.

Clips of one speaker resemble each other, so resampling clips would promise more than the data hold. Everything here
works on one array of sums per (speaker, seed), such as a confusion matrix: a resample is a weighted sum of them, and
thousands cost milliseconds. A score is taken on the clips of all test folds together, seed by seed, and averaged over
the seeds.

Another result would come of other speakers, and of other seeds: `estimate` counts both. It is the analysis of several
readers and several cases of Obuchowski and Rockette, with trainings in the place of readers, all tested on the same
speakers, and speakers in that of cases.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""From sums, shape (..., what `kinds` makes of a clip), to scores, shape (...)."""

_SLACK = 1e-12
"""Differences this close are equal: sums of the same numbers in another order are not the same bits."""

_BLOCK = 500
"""Exchanges scored at once."""


@dataclass(frozen=True)
class Estimate:
    """A score, or a difference of scores, and how sure it is.

    `value` is the mean over the seeds, `std_error` its standard error over speakers and trainings (NaN where nothing
    can be said of it) with `df` degrees of freedom, `spread` the standard deviation over the trainings (NaN of a single
    one).
    """

    value: float
    std_error: float
    df: float
    spread: float

    def interval(self, level: float) -> tuple[float, float]:
        """Return the interval by Student's t, for a level such as 0.95."""
        reach = float(stats.t.ppf((1 + level) / 2, self.df)) * self.std_error
        return self.value - reach, self.value + reach

    @property
    def p_value(self) -> float:
        """Two-sided p of the value being 0; NaN where it does not vary, which proves nothing."""
        if self.std_error == 0:
            return 1.0 if abs(self.value) < _SLACK else float("nan")
        return float(2 * stats.t.sf(abs(self.value) / self.std_error, self.df))


@dataclass(frozen=True)
class Significance:
    """A p-value and how it was found: `exact` over all sign flips, or `sampled` from them."""

    p_value: float
    test: str


def draw_resamples(speakers: int, resamples: int, seed: Sequence[int]) -> Floats:
    """Draw speakers with replacement; return how often each is in each resample, shape (resamples, speakers)."""
    generator = np.random.default_rng(list(seed))
    draws = generator.multinomial(speakers, np.full(speakers, 1 / speakers), size=resamples)
    return np.asarray(draws, dtype=np.float64)


def pooled(sums: Floats, weights: Floats | None = None) -> Floats:
    """Sum over the speakers of sums (speakers, seeds, ...): shape (seeds, ...), or (resamples, seeds, ...).

    `weights` are (resamples, speakers); None: every speaker once.
    """
    if weights is None:
        return np.asarray(sums.sum(axis=0), dtype=np.float64)
    flat: Floats = weights @ sums.reshape(len(sums), -1)
    return flat.reshape(len(weights), *sums.shape[1:])


def score(sums: Floats, statistic: Statistic, weights: Floats | None = None) -> Floats:
    """Score the speakers together, seed by seed, and average over the seeds; shape () or (resamples,)."""
    return np.asarray(statistic(pooled(sums, weights)).mean(axis=-1), dtype=np.float64)


def estimate(scores: Floats, resampled: Floats, speakers: int, trainings: int) -> Estimate:
    """Return a mean over seeds with the standard error that other speakers and other trainings give it.

    With K trainings of S speakers, b the variance of their scores (ddof 1), and c the mean covariance that resampling
    the speakers gives the scores of two different trainings, the variance of the mean is b / K + max(c, 0), with
    (b / K + c)^2 / [(b / K)^2 / (K - 1) + c^2 / (S - 1)] degrees of freedom: N. Obuchowski and H. Rockette,
    Communications in Statistics, Simulation and Computation 24, 285-308, 1995; degrees of freedom by S. Hillis,
    Statistics in Medicine 26, 596-619, 2007, and for few speakers by the term of c after F. Satterthwaite, Biometrics
    Bulletin 2, 110-114, 1946. It is never less than the variance over speakers alone, which is what a negative estimate
    of the variance of trainings, set to 0, comes to. Covariances are those of the bootstrap times S / (S - 1).

    Of a single training, only what other speakers change is known.

    Parameters
    ----------
    scores
        Score of each seed on all speakers, shape (seeds,).
    resampled
        The same of each resample, shape (resamples, seeds); resamples without a score (NaN) are left out.
    speakers
        Number of speakers that were resampled.
    trainings
        K, how many of the seeds are trainings of their own: seeds with the same remainder share a pre-training.
    """
    return estimate_over([scores], [resampled], [speakers], trainings)


def estimate_over(
    scores: Sequence[Floats], resampled: Sequence[Floats], speakers: Sequence[int], trainings: int
) -> Estimate:
    """Return the same of the mean over several corpora, whose speakers were resampled apart.

    Each argument but the last has an entry for each corpus. What a training does is shared by them; what their speakers
    do is independent, so the covariances add up, with degrees of freedom after Satterthwaite.
    """
    units = _by_training(np.mean(scores, axis=0), trainings)
    value, several = float(np.mean(scores, axis=0).mean()), trainings > 1
    spread = float(units.std(ddof=1)) if several else float("nan")
    found = [_covariance(drawn, count, trainings) for drawn, count in zip(resampled, speakers, strict=True)]
    known = [covariance for covariance in found if covariance is not None]
    if len(known) < len(found):
        return Estimate(value, float("nan"), float("nan"), spread)
    covariance = np.sum(known, axis=0) / len(known) ** 2
    of_speakers = _pooled_df([float(one.mean()) for one in known], [count - 1.0 for count in speakers])
    variance, df = float(covariance.mean()), of_speakers
    if several:
        apart = float(covariance[~np.eye(trainings, dtype=bool)].mean())
        by_training, by_speaker = spread**2 / trainings, max(apart, 0.0)
        if by_training + by_speaker > variance:
            variance = by_training + by_speaker
            df = variance**2 / (by_training**2 / (trainings - 1) + by_speaker**2 / of_speakers)
    return Estimate(value, float(np.sqrt(variance)) if variance > _SLACK**2 else 0.0, df, spread)


def _covariance(resampled: Floats, speakers: int, trainings: int) -> Floats | None:
    """Return the covariance of trainings that resampling speakers gives, (K, K); None where nothing can be said."""
    drawn = _by_training(resampled, trainings)
    drawn = drawn[~np.isnan(drawn).any(axis=1)]
    if speakers < 2 or len(drawn) < 2:
        return None
    covariance: Floats = np.atleast_2d(np.cov(drawn, rowvar=False)) * speakers / (speakers - 1)
    return covariance


def _pooled_df(variances: Sequence[float], df: Sequence[float]) -> float:
    """Return the degrees of freedom of a sum of variances (Satterthwaite)."""
    total = sum(variances)
    if len(df) == 1 or total <= 0:
        return sum(df)
    return total**2 / sum(variance**2 / own for variance, own in zip(variances, df, strict=True))


def _by_training(values: Floats, trainings: int) -> Floats:
    """Average over the seeds, the last axis, that share a pre-training."""
    return np.asarray(values.reshape(*values.shape[:-1], -1, trainings).mean(axis=-2), dtype=np.float64)


def interval(resampled: Floats, speakers: int, level: float) -> tuple[float, float]:
    """Return the expanded percentile interval of bootstrap scores, for a level such as 0.95.

    Plain percentiles are too narrow for few speakers, by the factor that separates the normal from Student's t and N
    from N - 1; percentiles further out mend that (T. Hesterberg, "What teachers should know about the bootstrap", The
    American Statistician 69, 2015, section 5.3). NaN for a single speaker, from whom nothing can be said; resamples
    without a score (NaN) are left out.
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
    """Test whether two systems, trained as they are, score differently on the same speakers, two-sided.

    Were they alike, exchanging their predictions for any speaker would change nothing but chance. All exchanges are
    tried when they are no more than `permutations`, else that many are drawn. The smallest possible p of the exact test
    is 2 ** (1 - speakers). Both sums are (speakers, seeds, ...), the same speakers in the same order; p is NaN where
    one of the systems has no score.
    """
    observed = abs(float(score(first, statistic) - score(second, statistic)))
    exact = 1 << len(first) <= permutations
    test = "exact" if exact else "sampled"
    if np.isnan(observed):
        return Significance(float("nan"), test)
    tried = as_large = 0
    for kept in _all_choices(len(first)) if exact else _drawn_choices(len(first), permutations, seed):
        differences = np.abs(_exchanged(first, second, kept, statistic) - _exchanged(second, first, kept, statistic))
        # Written so that an exchange without a score (NaN) counts against the difference.
        as_large += int((~(differences < observed - _SLACK)).sum())
        tried += len(kept)
    return Significance(as_large / tried if exact else (as_large + 1) / (tried + 1), test)


def _exchanged(first: Floats, second: Floats, kept: Floats, statistic: Statistic) -> Floats:
    """Score `first` with the speakers that are not `kept` (resamples, speakers) replaced by those of `second`."""
    sums = pooled(first, kept) + pooled(second, 1 - kept)
    return np.asarray(statistic(sums).mean(axis=-1), dtype=np.float64)


def _all_choices(speakers: int) -> Iterator[Floats]:
    """Yield blocks of every way to keep or exchange speakers, shape (block, speakers), as ones and zeros."""
    for start in range(0, 2**speakers, _BLOCK):
        numbers = np.arange(start, min(start + _BLOCK, 2**speakers))
        yield ((numbers[:, None] >> np.arange(speakers)) & 1).astype(np.float64)


def _drawn_choices(speakers: int, number: int, seed: Sequence[int]) -> Iterator[Floats]:
    """Yield blocks of so many ways drawn at random: all at once they would fill the memory, were speakers thousands."""
    generator = np.random.default_rng(list(seed))
    for start in range(0, number, _BLOCK):
        size = (min(_BLOCK, number - start), speakers)
        yield generator.integers(0, 2, size=size).astype(np.float64)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for the number of comparisons (S. Holm, Scandinavian Journal of Statistics 6, 1979).

    What could not be tested (NaN) stays so, and counts as no comparison.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")[: int((~np.isnan(values)).sum())]
    factors = len(order) - np.arange(len(order))
    result = np.full(len(values), np.nan)
    result[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return [float(value) for value in result]
