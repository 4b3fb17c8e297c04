"""Scores of predictions, all computed from sums over clips, for one run or for thousands of resamples at once.

The sums: a confusion matrix where a clip has one class (row = true class, column = predicted class); a table of two by
two for each class where a clip may have several (row = not there, there; column = not found, found); moments where the
target is a number. What happens at the edges:

- A class without a clip in a test set has no precision, recall or F1 there (NaN), and macro measures leave it out.
  Clips taken for that class still count as errors of their true class.
- A class that has clips but is never predicted has precision 0, recall 0 and F1 0.
- Macro measures weigh classes equally. Macro recall and UAR (unweighted average recall) are the same number under the
  names that two literatures use; WAR (weighted average recall) is the share of clips that are right.

With these rules the macro measures equal scikit-learn's over the labels present, with ``zero_division=0``.

- A number that does not vary, in the truth or the predictions, has no Pearson correlation (NaN); its concordance is 0.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

CLASS_MEASURES = ("precision", "recall", "f1")

KL_FLOOR = 1e-7
"""Predicted shares count as at least this in the Kullback-Leibler divergence, for its logarithm has no bound."""

_CONSTANT = 1e-12
"""A variance below this part of the mean square is rounding: the value does not vary."""


def places(values: Collection[object], names: Sequence[object]) -> NDArray[np.int64]:
    """Return the place of each value among the names.

    Raises
    ------
    ValueError
        A value is not among them.
    """
    place = {name: number for number, name in enumerate(names)}
    unknown = sorted({str(value) for value in values if value not in place})
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not among {', '.join(map(str, names))}")
    return np.asarray([place[value] for value in values], dtype=np.int64)


def confusion(labels: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> Floats:
    """Count clips per true and predicted class, shape (classes, classes): row = true, column = predicted.

    >>> confusion(["a", "a", "b"], ["a", "b", "b"], ["a", "b"])
    array([[1., 1.],
           [0., 1.]])
    """
    counts = np.zeros((len(classes), len(classes)))
    np.add.at(counts, (places(labels, classes), places(predicted, classes)), 1)
    return counts


@dataclass(frozen=True)
class ClassScores:
    """Scores of each class, shape (..., classes); NaN where a class has no clip."""

    precision: Floats
    recall: Floats
    f1: Floats


def class_scores(matrices: Floats) -> ClassScores:
    """Score each class of confusion matrices (..., classes, classes); counts may be weighted, as in a bootstrap."""
    right = np.diagonal(matrices, axis1=-2, axis2=-1)
    return _class_scores(right, matrices.sum(axis=-1), matrices.sum(axis=-2))


def _class_scores(right: Floats, support: Floats, guessed: Floats) -> ClassScores:
    """Score classes from the clips found rightly, those there and those found, each of shape (..., classes)."""
    present = support > 0
    return ClassScores(
        precision=np.where(present, _ratio(right, guessed), np.nan),
        recall=np.where(present, _ratio(right, support), np.nan),
        f1=np.where(present, _ratio(2 * right, support + guessed), np.nan),
    )


def overall_scores(matrices: Floats) -> dict[str, Floats]:
    """Return the measures of confusion matrices of shape (..., classes, classes), as arrays of shape (...).

    >>> scores = overall_scores(np.array([[3.0, 1.0], [2.0, 4.0]]))
    >>> round(float(scores["war"]), 2), round(float(scores["uar"]), 4)
    (0.7, 0.7083)
    """
    macro, total = _macro(class_scores(matrices)), matrices.sum(axis=(-2, -1))
    war = _ratio(np.trace(matrices, axis1=-2, axis2=-1), total)
    return macro | {"uar": macro["macro_recall"], "war": np.where(total > 0, war, np.nan)}


def _macro(scores: ClassScores) -> dict[str, Floats]:
    return {f"macro_{name}": _mean_of_present(getattr(scores, name)) for name in CLASS_MEASURES}


def decisions(truth: Bools, found: Bools) -> Floats:
    """Count, clip by clip, what is decided of each class, shape (clips, classes, 2, 2): 1 at [there, found].

    `truth` and `found` (clips, classes) are whether a class is there, and whether it is predicted.

    >>> decisions(np.array([[True]]), np.array([[False]]))[0, 0]
    array([[0., 0.],
           [1., 0.]])
    """
    there, predicted = (np.stack([~values, values], axis=-1).astype(np.float64) for values in (truth, found))
    return np.asarray(there[..., :, None] * predicted[..., None, :], dtype=np.float64)


def decision_class_scores(counts: Floats) -> ClassScores:
    """Score each class of decisions that were summed over clips, shape (..., classes, 2, 2)."""
    return _class_scores(counts[..., 1, 1], counts[..., 1, :].sum(axis=-1), counts[..., :, 1].sum(axis=-1))


def decision_scores(counts: Floats) -> dict[str, Floats]:
    """Return the measures of decisions that were summed over clips, shape (..., classes, 2, 2), as arrays (...).

    `micro_f1` is over the decisions of all classes together; `hamming_accuracy` is the share of them that are right,
    one less the Hamming loss.
    """
    right = counts[..., 1, 1].sum(axis=-1)
    wrong = counts[..., 0, 1].sum(axis=-1) + counts[..., 1, 0].sum(axis=-1)
    total = counts.sum(axis=(-3, -2, -1))
    return _macro(decision_class_scores(counts)) | {
        "micro_f1": np.where(total > 0, _ratio(2 * right, 2 * right + wrong), np.nan),
        "hamming_accuracy": np.where(total > 0, _ratio(total - wrong, total), np.nan),
    }


def kl_divergence(truth: Floats, predicted: Floats) -> Floats:
    """Return the Kullback-Leibler divergence of the truth from the prediction, in nats, shape (clips,).

    Both are shares of the classes, shape (clips, classes); predicted ones count as at least `KL_FLOOR`.

    >>> kl_divergence(np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])).round(4)
    array([0.1438])
    """
    there = truth > 0
    ratio = np.where(there, truth, 1.0) / np.where(there, np.maximum(predicted, KL_FLOOR), 1.0)
    return np.asarray((truth * np.log(ratio)).sum(axis=-1), dtype=np.float64)


def moments(truth: Floats, predicted: Floats) -> Floats:
    """Return what must be summed over clips to compare numbers: 1, x, y, xx, yy, xy; shape (clips, 6)."""
    parts = (np.ones_like(truth), truth, predicted, truth**2, predicted**2, truth * predicted)
    return np.stack(parts, axis=-1).astype(np.float64)


def number_scores(sums: Floats) -> dict[str, Floats]:
    """Return the measures of `moments` summed over clips, shape (..., 6), as arrays of shape (...).

    `ccc` is the concordance correlation coefficient with population moments (L. Lin, "A concordance correlation
    coefficient to evaluate reproducibility", Biometrics 45, 1989); `rmse` has the unit of the target.
    """
    clips = sums[..., 0]
    means = [np.where(clips > 0, _ratio(sums[..., place], clips), np.nan) for place in range(1, 6)]
    x, y, xx, yy, xy = means
    variance_x, variance_y, covariance = _variance(xx, x), _variance(yy, y), xy - x * y
    spread = np.sqrt(variance_x * variance_y)
    apart = variance_x + variance_y + (x - y) ** 2
    return {
        "ccc": np.where(apart > 0, _ratio(2 * np.where(spread > 0, covariance, 0.0), apart), np.nan),
        "pearson": np.where(spread > 0, _ratio(covariance, spread), np.nan),
        "rmse": np.sqrt(np.maximum(xx - 2 * xy + yy, 0.0)),
    }


def _variance(mean_square: Floats, mean: Floats) -> Floats:
    """Return the variance, 0 where it is no more than rounding; NaN of nothing."""
    variance = mean_square - mean**2
    rounding = variance <= _CONSTANT * mean_square
    return np.asarray(np.where(rounding, 0.0, variance), dtype=np.float64)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Divide, with 0 where nothing is divided by nothing."""
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole > 0)


def _mean_of_present(scores: Floats) -> Floats:
    """Average over classes, those without clips left out; NaN where all are."""
    present = ~np.isnan(scores)
    count = present.sum(axis=-1)
    total = np.where(present, scores, 0.0).sum(axis=-1)
    return np.where(count > 0, _ratio(total, count.astype(np.float64)), np.nan)
