"""Who speaks in each clip, as far as that is known; what stands for a speaker where it is not."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl

from avpretext import shards
from avpretext.corpora.reader import Person

SEXES: Mapping[str, str] = {"female": "female", "f": "female", "male": "male", "m": "male"}
"""How tables write the sex of a speaker, in small letters."""


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
    return {clip_id: sys.intern(speaker) for clip_id, speaker, _ in who_speaks(clips).iter_rows()}


def named_speakers(clips: Iterable[Path]) -> dict[str, str | None]:
    """Return clip_id: speaker, None where the corpus does not know."""
    table = shards.read(list(clips), ["clip_id", "speaker"])
    return dict(zip(table["clip_id"], table["speaker"], strict=True))


def people_in(rows: pl.DataFrame) -> dict[str, Person]:
    """Return the sex of each speaker of rows with `speaker`, `sex`; left out where it is not told, or told as both.

    >>> people_in(pl.DataFrame({"speaker": ["a", "a", "b", "c", "c"], "sex": ["F", "female ", "?", "m", "f"]}))
    {'a': Person(sex='female', age=None)}
    """
    word = pl.col("sex").str.strip_chars().str.to_lowercase()
    told = rows.select("speaker", sex=word.replace_strict(SEXES, default=None, return_dtype=pl.String)).drop_nulls()
    by_speaker = told.group_by("speaker", maintain_order=True).agg(pl.col("sex").unique())
    return {name: Person(sexes[0]) for name, sexes in by_speaker.iter_rows() if len(sexes) == 1}
