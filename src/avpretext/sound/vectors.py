"""One vector for each clip: what the stages `functionals` and `statistics` write."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from avpretext import shards
from avpretext.flow import schemas

CLIPS_PER_GROUP = 256
"""Clips that a reader of the shard holds at a time."""


class Vector(NamedTuple):
    """The values of a clip, shape (D,)."""

    clip_id: str
    values: NDArray[np.float32]


def write(output: Path, clips: Iterable[Vector], made_by: Mapping[str, Any]) -> None:
    """Write `schemas.FUNCTIONALS`, in the order of the clips."""
    with shards.ShardWriter(output, schemas.FUNCTIONALS, made_by, row_group=CLIPS_PER_GROUP) as writer:
        for group in shards.in_groups((_row(clip) for clip in clips), CLIPS_PER_GROUP):
            writer.write(group)


def _row(clip: Vector) -> pa.Table:
    schema = schemas.FUNCTIONALS
    return pa.table([pa.array([value], field.type) for value, field in zip(clip, schema, strict=True)], schema)
