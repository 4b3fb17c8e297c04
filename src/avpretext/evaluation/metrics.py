"""Scores of predictions, all computed from confusion matrices, for one run or for thousands of resamples at once.

A confusion matrix holds clips: row = true class, column = predicted class. What happens at the edges:

- A class without a clip in a test set has no precision, recall or F1 there (NaN), and macro measures leave it out.
  Clips taken for that class still count as errors of their true class.
- A class that has clips but is never predicted has precision 0, recall 0 and F1 0.
- Macro measures weigh classes equally. Macro recall and UAR (unweighted average recall) are the same number under the
  names that two literatures use; WAR (weighted average recall) is the share of clips that are right.

With these rules the macro measures equal scikit-learn's over the labels present, with ``zero_division=0``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

Floats = NDArray[np.float64]

CLASS_MEASURES = ("precision", "recall", "f1")
MEASURES = ("macro_precision", "macro_recall", "macro_f1", "uar", "war")


def confusion(labels: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> Floats:
    """Count clips per true and predicted class.

    Returns
    -------
    Array, shape (classes, classes): row = true, column = predicted.

    >>> confusion(["a", "a", "b"], ["a", "b", "b"], ["a", "b"])
    array([[1., 1.],
           [0., 1.]])
    """
    unknown = sorted((set(labels) | set(predicted)) - set(classes))
    if unknown:
        raise ValueError(f"classes {unknown} are not among {list(classes)}")
    return np.asarray(confusion_matrix(labels, predicted, labels=list(classes)), dtype=np.float64)


@dataclass(frozen=True)
class ClassScores:
    """Scores of each class, shape (..., classes); NaN where a class has no clip."""

    precision: Floats
    recall: Floats
    f1: Floats


def class_scores(matrices: Floats) -> ClassScores:
    """Score each class of confusion matrices.

    Parameters
    ----------
    matrices
        Shape (..., classes, classes); rows are true classes. Counts may be weighted, as in a bootstrap.
    """
    right = np.diagonal(matrices, axis1=-2, axis2=-1)
    support = matrices.sum(axis=-1)
    guessed = matrices.sum(axis=-2)
    present = support > 0
    return ClassScores(
        precision=np.where(present, _ratio(right, guessed), np.nan),
        recall=np.where(present, _ratio(right, support), np.nan),
        f1=np.where(present, _ratio(2 * right, support + guessed), np.nan),
    )


def overall_scores(matrices: Floats) -> dict[str, Floats]:
    """Return each of `MEASURES` for confusion matrices of shape (..., classes, classes), as arrays of shape (...).

    >>> scores = overall_scores(np.array([[3.0, 1.0], [2.0, 4.0]]))
    >>> round(float(scores["war"]), 2), round(float(scores["uar"]), 4)
    (0.7, 0.7083)
    """
    scores = class_scores(matrices)
    recall = _mean_of_present(scores.recall)
    total = matrices.sum(axis=(-2, -1))
    war = _ratio(np.trace(matrices, axis1=-2, axis2=-1), total)
    return {
        "macro_precision": _mean_of_present(scores.precision),
        "macro_recall": recall,
        "macro_f1": _mean_of_present(scores.f1),
        "uar": recall,
        "war": np.where(total > 0, war, np.nan),
    }


def all_scores(matrices: Floats, classes: Sequence[str]) -> dict[tuple[str, str | None], Floats]:
    """Return every measure under (measure, class), the overall ones under (measure, None)."""
    scores: dict[tuple[str, str | None], Floats] = {
        (name, None): value for name, value in overall_scores(matrices).items()
    }
    of_classes = class_scores(matrices)
    for measure in CLASS_MEASURES:
        values = getattr(of_classes, measure)
        scores |= {(measure, name): values[..., place] for place, name in enumerate(classes)}
    return scores


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Divide, with 0 where nothing is divided by nothing."""
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole > 0)


def _mean_of_present(scores: Floats) -> Floats:
    """Average over classes, those without clips left out; NaN where all are."""
    present = ~np.isnan(scores)
    count = present.sum(axis=-1)
    total = np.where(present, scores, 0.0).sum(axis=-1)
    return np.where(count > 0, _ratio(total, count.astype(np.float64)), np.nan)
