"""Which clips are copies of one recording, re-encoded, by their acoustic fingerprints; see `media.fingerprint`.

Words that clips share propose pairs at a time shift, and the bits of all frames that overlap at this shift decide. So a
hundred thousand clips are compared without looking at all pairs.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from avpretext.media.fingerprint import BITS

COMMON_WORD = 200
"""A word that more frames have than this proposes no pair."""

PROPOSED_BY = 2
"""Words that two clips must share at the same time shift."""

OVERLAP_FRAMES = 30
OVERLAP = 0.5
"""Loud frames that must overlap: half a second, and half of those of the shorter clip."""

AGREEMENT = 0.82
"""Share of bits that are equal: .5 by chance, .77 for the most alike takes of one person, .84 for the poorest codec."""

_PAIRS_AT_ONCE = 1 << 22

Words = Sequence[int] | NDArray[np.uint32]


def with_recordings(clips: pl.DataFrame) -> pl.DataFrame:
    """Return clips, whose `content` becomes that of the first of all with the same recording, by `fingerprint`.

    Clips of equal `content` are compared once; those whose `content` is not known are left as they are.
    """
    each = clips.drop_nulls("content").unique("content", keep="first", maintain_order=True)
    recording = pl.Series("recording", groups(words_of(each["fingerprint"])))
    first = pl.col("content").first().over("recording").alias("first")
    origin = each.with_columns(recording).select("content", first)
    same = clips.select("content").join(origin, on="content", how="left", maintain_order="left")
    return clips.with_columns(same["first"].alias("content")).drop("fingerprint")


def words_of(column: pl.Series) -> list[NDArray[np.uint32]]:
    """Return a column of fingerprints as arrays, without a copy of each."""
    lengths = column.list.len().fill_null(0).to_numpy()
    flat = column.explode(empty_as_null=False, keep_nulls=False).to_numpy()
    return np.split(flat, np.cumsum(lengths)[:-1]) if len(column) else []


def copies(fingerprints: Sequence[Words | None]) -> list[tuple[int, int, float]]:
    """Return pairs of clips that hold the same recording, with the share of bits that agree.

    A fingerprint that is None or empty is not known.
    """
    words = [np.asarray([] if one is None else one, np.uint32) for one in fingerprints]
    found: dict[tuple[int, int], float] = {}
    for first, second, shift in _proposed(words):
        agreement = max(_agreement(words[first], words[second], shift + step) for step in (-1, 0, 1))
        if agreement >= AGREEMENT:
            found[first, second] = max(agreement, found.get((first, second), 0.0))
    return [(first, second, agreement) for (first, second), agreement in sorted(found.items())]


def groups(fingerprints: Sequence[Words | None]) -> NDArray[np.int32]:
    """Return the number of its recording for each clip: equal for copies of one."""
    pairs = copies(fingerprints)
    first, second = ([pair[place] for pair in pairs] for place in range(2))
    size = len(fingerprints)
    _, numbers = connected_components(coo_array((np.ones(len(pairs)), (first, second)), shape=(size, size)), False)
    return np.asarray(numbers, dtype=np.int32)


def _proposed(words: Sequence[NDArray[np.uint32]]) -> Iterator[tuple[int, int, int]]:
    """Yield (clip, later clip, shift in frames between them) of those that share words at this shift."""
    clip = np.repeat(np.arange(len(words), dtype=np.int64), [len(one) for one in words])
    frame = np.concatenate([np.arange(len(one), dtype=np.int64) for one in words] or [np.zeros(0, np.int64)])
    table = pl.DataFrame({"clip": clip, "frame": frame, "word": np.concatenate([np.zeros(0, np.uint32), *words])})
    table = table.filter(pl.col("word") != 0)
    table = table.filter(pl.len().over("word") <= COMMON_WORD, pl.col("clip").n_unique().over("word") > 1)
    sizes = table.group_by("word").len().sort("word").with_columns((pl.col("len").cast(pl.Int64) ** 2).cum_sum())
    votes = []
    for part in sizes.with_columns((pl.col("len") // _PAIRS_AT_ONCE).alias("part")).partition_by("part"):
        some = table.join(part, on="word", how="semi")
        pairs = some.join(some.rename({"clip": "other", "frame": "there"}), on="word")
        shift = (pl.col("frame") - pl.col("there")).alias("shift")
        votes.append(pairs.filter(pl.col("clip") < pl.col("other")).group_by("clip", "other", shift).len())
    if votes:
        keys = ["clip", "other", "shift"]
        counted = pl.concat(votes).group_by(keys).agg(pl.col("len").sum())
        # A copy may lie between two shifts, whose votes then count together.
        near = counted.with_columns(pl.col("shift") + 1).join(counted, on=keys, how="full", coalesce=True)
        total = pl.col("len").fill_null(0) + pl.col("len_right").fill_null(0)
        yield from near.filter(total >= PROPOSED_BY).sort(*keys).select(keys).iter_rows()


def _agreement(first: NDArray[np.uint32], second: NDArray[np.uint32], shift: int) -> float:
    """Return the share of equal bits where frame k + shift of the first is frame k of the second; 0 for too few."""
    start, stop = max(0, shift), min(len(first), len(second) + shift)
    one, other = first[start:stop], second[start - shift : max(start, stop) - shift]
    loud = (one != 0) & (other != 0)
    needed = max(OVERLAP_FRAMES, OVERLAP * min(np.count_nonzero(first), np.count_nonzero(second)))
    if loud.sum() < needed:
        return 0.0
    return 1 - float(np.bitwise_count(one[loud] ^ other[loud]).sum()) / (BITS * int(loud.sum()))
