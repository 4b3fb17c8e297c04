"""Copies of a corpus, whose clips are the same with other sound: `{corpus}@{speed}`, `{corpus}@{condition}`."""

import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import soundfile
from numpy.typing import NDArray

from avpretext import shards
from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import MEDIA, arrow_type
from avpretext.pool import ordered_map
from avpretext.sound.audio_shards import stored
from avpretext.writing import label_of, write_shard

CLIPS_PER_GROUP = 64
"""Rows that a reader of the shard holds at a time."""

Change = Callable[[str, soundfile.SoundFile], Iterable[NDArray[np.float32]]]
"""From a clip_id and its sound to the samples of the copy, in blocks."""


def write_copy(stage: str, audio: Path, output: Path, made_by: Mapping[str, Any], change: Change, threads: int) -> None:
    """Write the copy of a shard of `split.audio`; a clip that cannot be read back is left out."""
    rows = (clip.slice(row, 1) for _, clip in shards.iterate_clips(audio) for row in range(len(clip)))
    copies = ordered_map(lambda row: _copied(row, change), rows, threads)
    label = label_of(stage, audio.parent.parent / audio.name)
    layout: dict[str, Any] = {"compression": "none", "row_group": CLIPS_PER_GROUP}
    write_shard(label, output, schema_of("split.audio"), made_by, copies, shards.count_rows(audio), **layout)


def _copied(row: pa.Table, change: Change) -> pa.Table | None:
    """Return the row of a clip, a table of one row, with other sound; None if it cannot be read back."""
    [original], [clip_id] = stored(row["audio"]), row["clip_id"].to_pylist()
    encoded = io.BytesIO()
    try:
        with (
            soundfile.SoundFile(pa.BufferReader(original)) as clip,
            soundfile.SoundFile(encoded, "w", SAMPLE_RATE_HZ, 1, "PCM_16", format="FLAC") as copy,
        ):
            for piece in change(clip_id, clip):
                copy.write(piece)
            samples = copy.frames
    except soundfile.LibsndfileError:
        return None
    [path] = (chunk.field("path") for chunk in row["audio"].chunks)
    audio = pa.StructArray.from_arrays([_one_value(encoded), path], fields=list(arrow_type(MEDIA)))
    changed = {"samples": [samples], "duration_s": [samples / SAMPLE_RATE_HZ], "audio": audio}
    changed |= {"content": [None], "fingerprint": [None]}
    for name, value in changed.items():
        field = schema_of("split.audio").field(name)
        row = row.set_column(row.schema.get_field_index(name), field, pa.chunked_array([pa.array(value, field.type)]))
    return row


def _one_value(encoded: io.BytesIO) -> pa.Array:
    """Return a column of one value, which is not copied: of a clip of hours it has hundreds of MB."""
    content = pa.py_buffer(encoded.getbuffer())
    return pa.Array.from_buffers(pa.binary(), 1, [None, pa.py_buffer(np.array([0, content.size], np.int32)), content])
