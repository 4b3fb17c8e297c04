"""Stage `rejects`: every clip that a corpus lost, and a stop when too many are lost."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from avpretext import shards
from avpretext.config import RejectsOptions
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.refusal import REASONS

EARLY = ("index", "segment")
"""Stages whose refused files or recordings never were clips."""


def run(clips: Sequence[Path], rejects: Sequence[Path], corpus: str, options: RejectsOptions, output: Path) -> None:
    """Gather the refused clips of all stages of a corpus.

    It is an error if all clips are refused, or more than `max_reject_fraction`: the message counts the reasons and
    names the fix.

    Parameters
    ----------
    clips
        All shards that list the clips: those of `segment` where recordings are cut into clips, else of `index`.
    rejects
        All shards of the rejects of `index`, `split` and every later stage that can refuse.
    output
        `rejects`, sorted by clip_id and path.
    """
    table = with_paths(shards.read(rejects), shards.read(clips, ["clip_id", "path"])).sort("clip_id", "path", "stage")
    refused_early = table.filter(pl.col("stage").is_in(EARLY)).height
    total = sum(shards.count_rows(path) for path in clips) + refused_early
    refused = table.select("clip_id", "path").unique().height
    if total == 0:
        raise UserError(f"corpus {corpus!r}: it has no clips; correct corpora.{corpus}.path or .reader")
    if refused >= total or refused > options.max_reject_fraction * total:
        raise UserError(_message(table, refused, total, corpus, options))
    made_by = provenance("rejects", options.model_dump(), clips=total)
    shards.write_table(output, table, schema_of("rejects"), made_by)


def with_paths(refused: pl.DataFrame, clips: pl.DataFrame) -> pl.DataFrame:
    """Name the file of each refused clip: stages after `split` know its clip_id alone, the list of clips the rest.

    What was refused before it became a clip is not in that list, and may bear the clip_id of a clip that is.
    """
    known = refused.join(clips.rename({"path": "listed"}), on="clip_id", how="left", maintain_order="left")
    path = pl.when(pl.col("stage").is_in(EARLY)).then("path").otherwise(pl.coalesce("listed", "path"))
    return known.with_columns(path.alias("path")).drop("listed")


def _message(table: pl.DataFrame, refused: int, total: int, corpus: str, options: RejectsOptions) -> str:
    counts = table.group_by("reason").agg(pl.len().alias("clips"), pl.col("path").min())
    reasons = "; ".join(
        f"{clips} x {reason}: {REASONS.get(reason, reason).replace('NAME', corpus)} (e.g. {path})"
        for reason, clips, path in counts.sort("clips", "reason", descending=[True, False]).iter_rows()
    )
    if refused >= total:
        return f"corpus {corpus!r}: all {total} clips are refused: {reasons}. Mend these files and run again"
    return (
        f"corpus {corpus!r}: {refused} of {total} clips are refused ({refused / total:.0%}; at most"
        f" {options.max_reject_fraction:.0%} may be): {reasons}. Mend or remove these files, or raise"
        " rejects.max_reject_fraction"
    )
