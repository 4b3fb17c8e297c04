"""Who speaks in each clip, as far as that is known; what stands for a speaker where it is not."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from avpretext import shards


def who_speaks(clips: Sequence[Path]) -> pl.DataFrame:
    """Return `clip_id`, `speaker`, `known` (whether the speaker is) of each clip of `index` or `segment`.

    A clip of unknown speaker is of the one whom all other clips of its file are of, if there is one; else the path of
    the file stands for the speaker, so that clips of a recording stay together.
    """
    rows = shards.read(clips, ["clip_id", "speaker", "path"])
    named = pl.col("speaker").drop_nulls()
    alone = pl.when(named.n_unique().over("path") == 1).then(named.first().over("path"))
    speaker = pl.coalesce("speaker", alone)
    return rows.select("clip_id", pl.coalesce(speaker, "path").alias("speaker"), speaker.is_not_null().alias("known"))


def speaker_of_each(clips: Sequence[Path]) -> dict[str, str]:
    """Return clip_id: speaker; see `who_speaks`."""
    return dict(who_speaks(clips).select("clip_id", "speaker").iter_rows())


def named_speakers(clips: Iterable[Path]) -> dict[str, str | None]:
    """Return clip_id: speaker, None where the corpus does not know."""
    table = shards.read(list(clips), ["clip_id", "speaker"])
    return dict(zip(table["clip_id"], table["speaker"], strict=True))
