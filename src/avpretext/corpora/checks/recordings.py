"""Which clips are copies of one recording, re-encoded, by their acoustic fingerprints; see `media.fingerprint`.

Words that clips share propose pairs at a time shift, and the bits of all frames that overlap at this shift decide. So a
hundred thousand clips are compared without looking at all pairs.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

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

_PAIRS_AT_ONCE = 1 << 20
"""Pairs of frames that are looked at together, besides those of one clip."""

Words = Sequence[int] | NDArray[np.uint32]
Places = NDArray[np.int32]


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
    """Yield (clip, later clip, shift in frames between them) of those that share words at this shift, sorted.

    Pairs of frames grow with the square of the clips. Those of some clips are counted at a time.
    """
    clip, frame, word = _loud_frames(words)
    begins = np.flatnonzero(np.diff(word, prepend=np.uint32(0)))  # words are not 0
    sizes = np.diff(begins, append=len(word))
    ends = np.repeat(np.where(sizes <= COMMON_WORD, begins + sizes, 0), sizes)
    later = np.maximum(ends - np.arange(1, len(word) + 1), 0)  # frames with the same word, of this and later clips
    by_clip = np.argsort(clip, kind="stable")
    pairs = np.cumsum(later[by_clip])
    frames = np.cumsum(np.bincount(clip, minlength=len(words)))  # up to the end of each clip
    full = np.searchsorted(pairs, np.arange(_PAIRS_AT_ONCE, pairs[-1:].sum(), _PAIRS_AT_ONCE))
    stops = frames[np.searchsorted(frames, full, side="right")]
    for start, stop in pairwise([0, *np.unique([*stops, len(clip)])]):
        here = by_clip[start:stop]
        one = np.repeat(here, later[here])
        before = np.repeat(np.cumsum(later[here]) - later[here], later[here])
        other = one + 1 + np.arange(len(one)) - before
        apart = clip[one] < clip[other]
        one, other = one[apart], other[apart]
        yield from _shared(clip[one], clip[other], frame[one] - frame[other], len(words))


def _loud_frames(words: Sequence[NDArray[np.uint32]]) -> tuple[Places, Places, NDArray[np.uint32]]:
    """Return clip, frame and word of each frame that has a word, sorted by word, then by clip."""
    loud = [np.flatnonzero(one).astype(np.int32) for one in words]
    clip = np.repeat(np.arange(len(words), dtype=np.int32), [len(one) for one in loud])
    frame = np.concatenate([np.zeros(0, np.int32), *loud])
    word = np.concatenate([np.zeros(0, np.uint32), *(one[one != 0] for one in words)])
    order = np.argsort(word, kind="stable")
    return clip[order], frame[order], word[order]


def _shared(one: Places, other: Places, shift: Places, clips: int) -> Iterator[tuple[int, int, int]]:
    """Yield (clip, other, shift) of those that share `PROPOSED_BY` words, sorted, from one row for each shared word."""
    if not len(one):
        return
    least, span = int(shift.min()), int(np.ptp(shift)) + 2
    keys, votes = np.unique((one.astype(np.int64) * clips + other) * span + (shift - least), return_counts=True)
    # A copy may lie between two shifts, whose votes then count together.
    near, place = np.unique(np.concatenate([keys, keys + 1]), return_inverse=True)
    pair, place = np.divmod(near[np.bincount(place, np.concatenate([votes, votes])) >= PROPOSED_BY], span)
    yield from zip(*(part.tolist() for part in (*np.divmod(pair, clips), place + least)), strict=True)


def _agreement(first: NDArray[np.uint32], second: NDArray[np.uint32], shift: int) -> float:
    """Return the share of equal bits where frame k + shift of the first is frame k of the second; 0 for too few."""
    start, stop = max(0, shift), min(len(first), len(second) + shift)
    one, other = first[start:stop], second[start - shift : max(start, stop) - shift]
    loud = (one != 0) & (other != 0)
    needed = max(OVERLAP_FRAMES, OVERLAP * min(np.count_nonzero(first), np.count_nonzero(second)))
    if loud.sum() < needed:
        return 0.0
    return 1 - float(np.bitwise_count(one[loud] ^ other[loud]).sum()) / (BITS * int(loud.sum()))
