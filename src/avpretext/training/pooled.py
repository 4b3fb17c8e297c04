"""Pooled hidden states of a pre-trained encoder: a vector for each layer of each chunk, or of each clip."""

import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from avpretext import shards
from avpretext.chunks import FRAME_S
from avpretext.config import ChunkOptions
from avpretext.errors import UserError
from avpretext.flow.paths import expand
from avpretext.progress import progress
from avpretext.training import mapped

SHAPING = ("encoder", "kind", "hub", "layers", "size", "chunks", "models", "options")
"""Parts of the provenance that must be equal in all shards."""


@dataclass(frozen=True)
class PooledClips:
    """N clips, sorted by name.

    Attributes
    ----------
    clip_ids
        (N,) their names.
    values
        (N, K, L, D) float16 or float32, as stored, on disk: K chunks, or 1 with `pool: clip`, of L layers.
    frames
        (N,) 10 ms frames of each clip; with `chunks.method: published` those up to the end of its last chunk.
    provenance
        Of the shards.
    """

    clip_ids: list[str]
    values: NDArray[Any]
    frames: NDArray[np.int64]
    provenance: Mapping[str, Any]


def read(files: Sequence[shards.PathLike], wanted: Collection[str], chunks: ChunkOptions | None = None) -> PooledClips:
    """Read the clips of these names.

    Shards are read twice, so that no more than a row group is held in memory.

    Parameters
    ----------
    files
        `encoder`: shards, or folders of them.
    wanted
        Names of clips. Those that are in no shard are left out, with a warning.
    chunks
        The grid that chunks must be those of; None: any.

    Raises
    ------
    UserError
        No clip is there, or the shards are not alike, not pooled, or on another grid.
    """
    paths = [path for file in files for path in expand(os.fspath(file))]
    said = _provenance(paths, chunks)
    counts = {clip_id: count for path in paths for clip_id, count in shards.rows_per_clip(path).items()}
    clip_ids = sorted(set(wanted) & counts.keys())
    if not clip_ids:
        raise UserError(
            f"none of {len(wanted)} clips is in the shards of encoder {said['encoder']} ({paths[0]}, ...); redo the"
            " stage encoder"
        )
    if left_out := len(wanted) - len(clip_ids):
        print(
            f"warning: {left_out} of {len(wanted)} clips have no {said['encoder']} features: left out", file=sys.stderr
        )
    rows = {counts[clip_id] for clip_id in clip_ids}
    if len(rows) > 1:
        raise UserError(
            f"encoder {said['encoder']}: clips of {min(rows)} and of {max(rows)} chunks; redo the stage encoder"
        )
    return _filled(paths, clip_ids, rows.pop(), said)


def _filled(paths: Sequence[Any], clip_ids: list[str], rows: int, said: Mapping[str, Any]) -> PooledClips:
    shape = (len(clip_ids), rows, len(said["layers"]), said["size"])
    values = mapped.empty(shape, said["options"]["dtype"])
    frames = np.zeros(len(clip_ids), np.int64)
    place = {clip_id: row for row, clip_id in enumerate(clip_ids)}
    found = ((place[clip_id], table) for clip_id, table in _clips(paths) if clip_id in place)
    for row, table in progress(found, total=len(place), label=f"training data, {said['encoder']}", quiet=True):
        values[row] = flat(table["values"]).reshape(shape[1:])
        times = table["time_s"].to_numpy()
        # The middle of the last chunk is as far from the end as that of the first one from the start.
        frames[row] = round((times[0] + times[-1]) / FRAME_S)
    return PooledClips(clip_ids, values, frames, said)


def _clips(paths: Sequence[Any]) -> Iterator[tuple[str, pa.Table]]:
    for path in paths:
        yield from shards.iterate_clips(path, ["time_s", "values"])


def flat(column: pa.ChunkedArray) -> NDArray[Any]:
    """Return the numbers of a column of lists, end to end."""
    return np.concatenate([chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks])


def _provenance(paths: Sequence[Any], chunks: ChunkOptions | None) -> dict[str, Any]:
    """Return what made the shards, which must be the same of all."""
    said = [{name: shards.read_provenance(path).get(name) for name in SHAPING} for path in paths]
    first = said[0] if said else {}
    if not first or first["options"] is None or first["options"].get("pool") not in ("chunks", "clip"):
        raise UserError(
            f"{paths[0] if paths else 'encoder'}: no pooled features of a pre-trained encoder; redo the stage"
        )
    for path, other in zip(paths, said, strict=True):
        if different := [name for name in SHAPING if other[name] != first[name]]:
            raise UserError(f"{path}: other {different[0]} than {paths[0]}; redo the stage encoder")
    if chunks is not None and first["chunks"] not in (None, chunks.model_dump()):
        raise UserError(f"{paths[0]}: chunks of another grid than `chunks` describes; redo the stage encoder")
    return first
