"""What every backend writes: the action units of a shard, frame by frame."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.provenance import provenance
from avpretext.writing import label_of, write_shard

Units = tuple[Mapping[str, Any], NDArray[np.floating]]
"""Of a clip, the columns clip_id, frame and time_s, and its action units: (F, 20), 0..1, NaN in gaps."""


def write(output: Path, clips: Iterable[Units], total: int, options: Mapping[str, Any], **made_of: Any) -> None:
    """Write `action_units`; for options and what it is made of see `flow.provenance.provenance`."""
    made_by = provenance("action_units", options, **made_of)
    rows = (
        {**keys, **{unit: shards.nullable(values[:, k]) for k, unit in enumerate(ACTION_UNITS)}}
        for keys, values in clips
    )
    write_shard(label_of("action_units", output), output, schema_of("action_units"), made_by, rows, total)
