"""Which layers of a pre-trained encoder the systems listen to: the table `layer_weights`."""

import polars as pl

from avpretext.config import LAYERS, Config
from avpretext.evaluation.open_run import Evaluated, OpenRun, Rows
from avpretext.training.predictions import LAYER

COLUMNS = ("initialisation", "encoder", "layer", "weight", "std", "runs")
"""Beside what names every result: mean and deviation of a layer's weight over the runs."""


def mixes(config: Config) -> bool:
    """Tell whether models learn a weight for each layer."""
    return config.model.encoder == LAYERS


def layer_rows(run: OpenRun, one: Evaluated) -> Rows:
    """Return the weight of each layer of each initialisation, mean and deviation over its runs."""
    return [row for start in run.config.initialisations() for row in _of_start(run, one, start)]


def _of_start(run: OpenRun, one: Evaluated, start: str) -> Rows:
    history = run.finetune_history(one, start)
    if history is None:
        return []
    rows = history.filter(pl.col("measure").str.starts_with(f"{LAYER}["))
    weights = rows.group_by("measure", maintain_order=True).agg(
        pl.col("value").sort().mean().alias("weight"), pl.col("value").sort().std().alias("std"), pl.len().alias("runs")
    )
    named = {**one.named, "initialisation": start, "encoder": run.config.model.features[0]}
    return [
        {**named, "layer": int(row.pop("measure")[len(LAYER) + 1 : -1]), **row} for row in weights.iter_rows(named=True)
    ]
