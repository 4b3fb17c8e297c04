"""Vectors of the clips that the baseline learns and tests, and how they are standardised."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.errors import UserError
from avpretext.flow.paths import original_of
from avpretext.training import finite, pooled
from avpretext.training.predictions import LabelledFolds

ROUNDING = 1e-7
"""A column whose deviation is a smaller share of its mean is constant: float32 tells no more."""

FARTHEST = 10.0
"""Deviations at which values are cut, one in ten thousand of them. A functional that hardly varies among the clips
learnt from can be thousands of deviations off in another, some are in copies at another speed, and hides the rest."""

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class DescribedClips:
    """Vectors and classes of N clips.

    Attributes
    ----------
    names
        `{corpus}/{clip_id}` of each; of a copy at another speed, `{corpus}@{speed}/{clip_id}`.
    speakers
        (N,) `{corpus}/{speaker}`; a copy is of a speaker of its own.
    vectors
        (N, D), in the units of their stage.
    labels
        (N,) numbers of their classes.
    originals
        (N,) the row of the clip that a row is a copy of; its own row if it is none.
    """

    names: list[str]
    speakers: NDArray[np.str_]
    vectors: NDArray[np.float32]
    labels: Rows
    originals: Rows

    def at_every_speed(self, rows: Rows) -> Rows:
        """Return these rows and those of their copies, ascending."""
        return np.flatnonzero(np.isin(self.originals, rows))


def read_clips(vectors: Mapping[str, Sequence[Path]], labelled: LabelledFolds, stage: str) -> DescribedClips:
    """Read the vectors of the clips that the folds name, and of their copies at other speeds.

    Parameters
    ----------
    vectors
        corpus, or `{corpus}@{speed}`: shards.
    labelled
        The clips.
    stage
        The stage that made the vectors, for messages.

    Raises
    ------
    UserError
        A corpus has none, or they are of other values than those of the rest, or not finite.
    """
    known, table = labelled
    wanted = table.by_key
    table.refuse_missing(vectors, stage)
    sets = {_kind_of(files[0]) for files in vectors.values()}
    if len(sets) > 1:
        raise UserError(f"{table.setting}: {stage} are of different feature sets; redo the stage {stage}")
    found = {
        f"{heard}/{clip_id}": values
        for heard, files in vectors.items()
        for clip_id, values in _vectors(files)
        if f"{original_of(heard)}/{clip_id}" in wanted
    }
    names = sorted(found)
    clips = [original_of(name) for name in names]
    left_out = len(wanted) - len(set(names) & set(wanted))
    if left_out == len(wanted):
        raise UserError(f"{table.setting}: no clip of the folds has {stage}; redo the stage {stage}")
    if left_out:
        print(f"baseline: warning: {left_out} of {len(wanted)} clips have no {stage}: left out", file=sys.stderr)
    for name in names:
        fix = f"redo the stage {stage}, or look at the clip's sound"
        finite.check_values(found[name], f"{table.setting}: {stage} of {name}", fix)
    place = {name: row for row, name in enumerate(names)}
    return DescribedClips(
        names,
        np.array([f"{name.partition('/')[0]}/{wanted[clip].speaker}" for name, clip in zip(names, clips, strict=True)]),
        np.stack([found[name] for name in names]),
        known.values_of(clips).argmax(1),
        np.array([place.get(clip, -1) for clip in clips]),
    )


def _kind_of(file: Path) -> str:
    """Return what the vectors of a shard are: the names of their values, or the encoder that made them."""
    said = shards.read_provenance(file)
    return json.dumps([said.get(name) for name in ("names", *pooled.SHAPING)])


def _vectors(files: Sequence[Path]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield clip_id and vector of each clip of a corpus; of a pre-trained encoder the mean over chunks and layers."""
    for file in files:
        size = shards.read_provenance(file).get("size")
        for clip_id, rows in shards.iterate_clips(file, ["values"]):
            if size is None:
                yield clip_id, rows["values"].combine_chunks().flatten().to_numpy()
            else:
                yield (
                    clip_id,
                    pooled.flat(rows["values"]).reshape(-1, size).mean(0, dtype=np.float64).astype(np.float32),
                )


def normalised(clips: DescribedClips, rows: Mapping[str, Rows], learnt: Rows, by: str) -> Floats:
    """Return vectors (N, D) in deviations: of the clips `learnt`, or of each speaker's own clips in the fold.

    A copy at another speed is standardised as the clip itself would be, or by its own speaker's copies.

    A speaker with a single clip, of which nothing would be left, is standardised by the clips learnt.
    """
    inputs = standardise(clips.vectors, clips.vectors[learnt])
    if by == "train":
        return inputs
    used = np.concatenate(list(rows.values()))
    for speaker in np.unique(clips.speakers[used]):
        own = used[clips.speakers[used] == speaker]
        if len(own) > 1:
            inputs[own] = standardise(clips.vectors[own], clips.vectors[own])
    return inputs


def standardise(values: NDArray[np.float32], source: NDArray[np.float32]) -> Floats:
    """Return values (N, D) in deviations from the mean of `source` (M, D), cut at `FARTHEST`; 0 if that is constant."""
    mean, deviation = source.mean(0, dtype=np.float64), source.std(0, dtype=np.float64)
    constant = deviation <= ROUNDING * np.abs(mean)
    scaled: Floats = values - mean
    scaled /= np.where(constant, 1.0, deviation)  # in place: a corpus of thousands of clips is hundreds of megabytes
    scaled[:, constant] = 0
    return np.clip(scaled, -FARTHEST, FARTHEST, out=scaled)
