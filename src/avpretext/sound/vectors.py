"""One vector for each clip: what the stages `functionals` and `statistics` write."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from avpretext.flow.artefacts import schema_of
from avpretext.writing import label_of, write_shard

CLIPS_PER_GROUP = 256
"""Clips that a reader of the shard holds at a time."""


class Vector(NamedTuple):
    """The values of a clip, shape (D,)."""

    clip_id: str
    values: NDArray[np.float32]


def write(stage: str, output: Path, clips: Iterable[Vector | None], made_by: Mapping[str, Any], total: int) -> None:
    """Write `functionals`, in the order of the clips; see `writing.write_shard`."""
    schema = schema_of("functionals")
    rows = (
        clip and pa.table([pa.array([value], field.type) for value, field in zip(clip, schema, strict=True)], schema)
        for clip in clips
    )
    write_shard(label_of(stage, output), output, schema, made_by, rows, total, CLIPS_PER_GROUP)
