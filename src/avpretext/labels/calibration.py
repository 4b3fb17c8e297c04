"""Calibration of labels: how often they are right, against their confidence."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BINS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def calibration(confidence: Floats, right: NDArray[np.bool_]) -> pl.DataFrame:
    """Return how often labels are right, by their confidence: from, confidence (the mean), clips, right (a share).

    >>> calibration(np.array([0.55, 0.95, 0.95]), np.array([False, True, True])).rows()
    [(0.5, 0.55, 1, 0.0), (0.9, 0.95, 2, 1.0)]
    """
    start = np.searchsorted(BINS, confidence, side="right") - 1
    table = pl.DataFrame({"from": np.array(BINS)[start], "confidence": confidence, "right": right})
    return (
        table.group_by("from")
        .agg(pl.col("confidence").mean(), clips=pl.len(), right=pl.col("right").mean())
        .sort("from")
        .select("from", "confidence", "clips", "right")
    )
