"""Frames of clips on disk: any number of per-frame features, side by side on the 10 ms clock, in one array."""

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.errors import UserError, nearest
from avpretext.progress import progress
from avpretext.training import mapped
from avpretext.training.sources import Extent, Source, open_source

_FEATURES = Mapping[str, Sequence[shards.PathLike]]


@dataclass(frozen=True)
class FrameStore:
    """The frames of N clips, end to end in one array, so that a batch's chunks are one gather.

    Attributes
    ----------
    clip_ids
        (N,) in the order of their frames.
    channels
        (F,) names of the features.
    frames
        (T, F) float32: the 10 ms frames of all clips, in the units of the features; NaN where one has no value.
    offsets
        (N + 1,) int64: clip i is ``frames[offsets[i] : offsets[i + 1]]``.
    """

    clip_ids: list[str]
    channels: list[str]
    frames: NDArray[np.float32]
    offsets: NDArray[np.int64]

    @classmethod
    def empty(cls, lengths: Mapping[str, int], channels: Sequence[str]) -> Self:
        """Return a store for clips of so many frames, by name, its frames not yet filled in."""
        clip_ids = sorted(lengths)
        offsets = np.cumsum([0, *(lengths[clip_id] for clip_id in clip_ids)], dtype=np.int64)
        frames = mapped.empty((int(offsets[-1]), len(channels)), "f4")
        return cls(clip_ids, list(channels), frames, offsets)

    @classmethod
    def of(cls, clips: Mapping[str, NDArray[np.float32]], channels: Sequence[str]) -> Self:
        """Return a store of clips, (T, F) each, by name."""
        store = cls.empty({clip_id: len(frames) for clip_id, frames in clips.items()}, channels)
        for row, clip_id in enumerate(store.clip_ids):
            store.clip(row)[:] = clips[clip_id]
        return store

    def __len__(self) -> int:
        return len(self.clip_ids)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) frames of each clip."""
        return np.diff(self.offsets)

    def clip(self, row: int) -> NDArray[np.float32]:
        """Return the frames of a clip, (T, F): a view."""
        return self.frames[self.offsets[row] : self.offsets[row + 1]]

    def blocks(self, frames: int) -> Iterator[slice]:
        """Yield the rows of the clips in blocks of so many frames at most, or of a single clip."""
        first = 0
        while first < len(self):
            last = int(np.searchsorted(self.offsets, self.offsets[first] + frames, side="right")) - 1
            last = max(first + 1, last)
            yield slice(first, last)
            first = last


def choose_channels(columns: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the columns, in their order, that a pattern matches (`*` and `?` as in file names; case counts).

    >>> choose_channels(["energy", "mfcc_sma[1]", "mel[0]"], ["mfcc*", "mel[0]"])
    ['mfcc_sma[1]', 'mel[0]']
    """
    chosen = [name for name in columns if matches(name, patterns)]
    if not chosen:
        hint = nearest(patterns[0], columns) if patterns else ""
        raise UserError(
            f"model.channels: {list(patterns)} match none of the columns of the features{hint};"
            f" columns are {', '.join(columns[:8])}, ...; ['*'] takes all"
        )
    return chosen


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Return whether one of the patterns matches.

    openSMILE writes "mfcc_sma[1]"; brackets in a pattern stand for themselves, so such a name can be given as it is.
    """
    return any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns)


def read_frames(features: _FEATURES, wanted: Collection[str], patterns: Sequence[str]) -> FrameStore:
    """Read per-frame features of a corpus and put them side by side on the 10 ms clock.

    Features are read twice: their clip_ids and times to measure the clips, then the chosen columns into their place in
    the one array, so that no more than a row group is held in memory.

    Parameters
    ----------
    features
        name: shards, or the folder of the user's own Parquet files; see :mod:`avpretext.training.sources`.
    wanted
        Names of clips. Those that one of the features lacks are left out, with a warning.
    patterns
        Which columns to take, see :func:`choose_channels`.

    Raises
    ------
    UserError
        No clip has all features, or the features do not fit together.
    """
    sources = [open_source(name, paths) for name, paths in features.items()]
    chosen = choose_channels([name for source in sources for name in source.channels], patterns)
    sources = [source for source in sources if not set(chosen).isdisjoint(source.channels)]
    _refuse_equal_names(sources, chosen)
    found = [source.extents(wanted) for source in sources]
    store = FrameStore.empty(_common_lengths(sources, found, wanted), chosen)
    place = 0
    for source in sources:
        names = [name for name in source.channels if name in chosen]
        _fill(store, source, names, place)
        place += len(names)
    return store


def _refuse_equal_names(sources: Sequence[Source], chosen: Collection[str]) -> None:
    for place, source in enumerate(sources):
        for other in sources[:place]:
            if same := [name for name in source.channels if name in other.channels and name in chosen]:
                raise UserError(
                    f"model.features: {other.name} and {source.name} both have a column {same[0]!r}; rename it in the"
                    " features of your own, or leave it out by model.channels"
                )


def _common_lengths(
    sources: Sequence[Source], found: Sequence[Mapping[str, Extent]], wanted: Collection[str]
) -> dict[str, int]:
    """Return the 10 ms frames of each clip that all features have.

    The first features on the clock say how many there are, or the first of all where none is.
    """
    for source, extents in zip(sources, found, strict=True):
        if not extents:
            raise UserError(source.no_clip_message(wanted))
    clip_ids = sorted(set.intersection(*(set(extents) for extents in found)))
    names = " and ".join(source.name for source in sources)
    if not clip_ids:
        raise UserError(f"no clip has all of {names}; their clip_ids must be those of the corpus's index")
    if left_out := len(wanted) - len(clip_ids):
        print(f"warning: {left_out} of {len(wanted)} clips have no {names} features: left out", file=sys.stderr)
    clock = next((place for place, source in enumerate(sources) if source.on_clock), 0)
    for source, extents in zip(sources, found, strict=True):
        for clip_id in clip_ids:
            frames, slack = extents[clip_id]
            expected = found[clock][clip_id]
            if abs(frames - expected.frames) > slack + expected.slack:
                raise UserError(source.length_message(clip_id, frames, expected.frames, sources[clock].name))
    return {clip_id: found[clock][clip_id].frames for clip_id in clip_ids}


def _fill(store: FrameStore, source: Source, names: Sequence[str], place: int) -> None:
    """Write the columns of these names of a source into the columns of the store from `place` on."""
    row = {clip_id: row for row, clip_id in enumerate(store.clip_ids)}
    measured = np.full(len(names), source.on_clock)
    found = source.clips(names, {name: int(store.lengths[at]) for name, at in row.items()})
    for clip_id, values in progress(found, total=len(row), label=f"training data, {source.name}", quiet=True):
        store.clip(row[clip_id])[:, place : place + len(names)] = values
        if not measured.all():
            measured |= np.isfinite(values).any(0)
    if not measured.all():
        name = names[int(measured.argmin())]
        raise UserError(
            f"features {source.name}: column {name!r} has no number in any clip; leave it out by model.channels, or"
            " mend the files"
        )
