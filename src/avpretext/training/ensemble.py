"""Stage `ensemble`: systems that have been trained already predict together, by the mean of what they say."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from avpretext import shards
from avpretext.config import EnsembleOptions
from avpretext.errors import UserError, nearest
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.systems import ensemble_name, ensembles_of
from avpretext.training import finite
from avpretext.training.target_rows import in_words

_SAID = ("kind", "classes", "target", "setting", "sentence", "speaker_leaks")
"""Of the provenance of predictions, what holds for their mean too."""

_CLIP = ["fold", "split", "clip_id", "speaker"]


def run(predictions: Sequence[Path], options: EnsembleOptions, output: Path) -> None:
    """Write the predictions of each ensemble: p = mean over members of the mean over their seeds.

    So each member counts alike, however many seeds it has. Probabilities are averaged, shares and numbers too; the
    class predicted is that of the mean. A part of a fold that a member does not predict, such as dev, is left out,
    and so is an ensemble with a support vector machine where the target is not of kind hard.

    Parameters
    ----------
    predictions
        `finetune.predictions` of one setting, in which all members are.
    options
        The ensembles.
    output
        `finetune.predictions`: initialisation `together:MEMBER+MEMBER`, seed 0.

    Raises
    ------
    UserError
        A member is in none of the files, or predicts what is not finite.
    """
    rows = pl.concat([shards.read(path) for path in predictions])
    said: dict[str, Any] = {
        name: value for name, value in shards.read_provenance(predictions[0]).items() if name in _SAID
    }
    together = [
        row for members in ensembles_of(options.members, said["kind"]) for row in ensemble_rows(members, rows, said)
    ]
    made_by = provenance("ensemble", options.model_dump(mode="json"), **said)
    shards.write_table(output, together, schema_of("ensemble.predictions"), made_by)


def ensemble_rows(members: Sequence[str], rows: pl.DataFrame, said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of one ensemble, sorted by fold, split and clip.

    `members` are names in the column `initialisation` of `rows`; `said` has `kind` and `classes` of the predictions.
    """
    known = rows["initialisation"].unique().sort().to_list()
    if unknown := [member for member in members if member not in known]:
        raise UserError(f"ensemble.members: {unknown[0]!r} is none of {', '.join(known)}{nearest(unknown[0], known)}")
    of_members = [_mean_of_seeds(rows.filter(initialisation=member)) for member in members]
    shared = of_members[0]
    for number, other in enumerate(of_members[1:], 1):
        shared = shared.join(other.select(*_CLIP, pl.col("mean").alias(f"mean{number}")), on=_CLIP)
    columns = ["mean", *(f"mean{number}" for number in range(1, len(of_members)))]
    means = np.mean([np.array(shared[column].to_list()) for column in columns], axis=0).astype(np.float32)
    name = ensemble_name(members)
    return [
        {**row, "initialisation": name, "seed": 0, "probabilities": mean.tolist(),
         "predicted": in_words(mean, said["classes"], said["kind"])}
        for row, mean in zip(shared.select(*_CLIP, "label", "truth").iter_rows(named=True), means, strict=True)
    ]  # fmt: skip


def _mean_of_seeds(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a row per clip with the mean of the probabilities over the seeds, shape (C,), as `mean`."""
    ordered = rows.sort(*_CLIP, "seed")
    finite.check_rows(ordered)
    clips = ordered.group_by(_CLIP, maintain_order=True).agg(pl.col("label", "truth").first(), pl.len().alias("seeds"))
    seeds = clips["seeds"].to_numpy().astype(np.int64)
    sums = np.add.reduceat(np.array(ordered["probabilities"].to_list(), np.float64), np.cumsum(seeds) - seeds)
    return clips.with_columns(mean=pl.Series((sums / seeds[:, None]).tolist()))
