"""From measured values to high or low, by a quantile of the values themselves."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

UNLABELLED = -1
"""Stands for `null` in arrays of labels."""


@dataclass(frozen=True)
class Labels:
    """Labels of some values, in their order.

    `label` is 1 high, 0 low, -1 (`UNLABELLED`) in the dead zone or not measured. `confidence` is 0 at the threshold, 1
    at the far end of the values on the same side; NaN where not measured. `threshold` is in the unit of the values; NaN
    where a group has no measured value.
    """

    label: NDArray[np.int8]
    confidence: NDArray[np.float64]
    threshold: NDArray[np.float64]


def label_by_quantile(
    values: NDArray[np.floating], groups: NDArray[np.generic], quantile: float, dead_zone: float = 0.0
) -> Labels:
    """Label each value (N,), NaN where not measured, as high or low among the values of its group.

    A value is high when it lies above the quantile of its group; a value equal to it is low. Its confidence is the
    distance in rank from the threshold, as a share of the ranks on its side; equal values share their mean rank. The
    values of lowest confidence, `dead_zone` (0..1) of them on either side, get no label.

    >>> labels = label_by_quantile(np.array([1.0, 2, 3, 4]), np.zeros(4), 0.5)
    >>> labels.label, labels.confidence, labels.threshold
    (array([0, 0, 1, 1], dtype=int8), array([0.75, 0.25, 0.25, 0.75]), array([2.5, 2.5, 2.5, 2.5]))
    """
    label = np.full(len(values), UNLABELLED, dtype=np.int8)
    confidence, threshold = np.full((2, len(values)), np.nan)
    for members in _members(groups):
        measured = members[np.isfinite(values[members])]
        if len(measured):
            threshold[members] = np.quantile(values[measured], quantile)
            high = values[measured] > threshold[measured]
            confidence[measured] = _rank_distance(values[measured], high, quantile)
            label[measured] = np.where(confidence[measured] >= dead_zone, high, UNLABELLED)
    return Labels(label, confidence, threshold)


def _members(groups: NDArray[np.generic]) -> list[NDArray[np.int64]]:
    if not len(groups):
        return []
    _, number = np.unique(groups, return_inverse=True)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)


def _rank_distance(values: NDArray[np.floating], high: NDArray[np.bool_], quantile: float) -> NDArray[np.float64]:
    """Distance of each value's rank from the quantile, as a share of the ranks on its side; 0..1."""
    rank = (pl.Series(values).rank("average").to_numpy() - 0.5) / len(values)
    above = (rank - quantile) / max(1 - quantile, 1e-12)
    below = (quantile - rank) / max(quantile, 1e-12)
    return np.asarray(np.where(high, above, below).clip(0, 1))
