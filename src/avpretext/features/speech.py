"""Stage `speech`: openSMILE low-level descriptors, energy and loudness of every 10 ms of every clip."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import soundfile
from numpy.typing import NDArray

from avpretext import schemas, shards
from avpretext.chunks import FRAME_S
from avpretext.config import SpeechOptions
from avpretext.features.audio_shards import EncodedClip, decode, read_clips
from avpretext.features.descriptors import Descriptors, frame_energy, open_descriptors
from avpretext.media.pool import ordered_map
from avpretext.progress import progress
from avpretext.refusal import Refusal, reject_row

ROWS_PER_GROUP = 16_384
"""Rows that a reader of the shard holds at a time: some fifty clips."""


def run(audio: Path, options: SpeechOptions, output: Path, rejects: Path, threads: int = 1) -> None:
    """Describe the clips of one shard.

    Parameters
    ----------
    audio
        The shard's `schemas.AUDIO`.
    options
        Feature set, with or without deltas.
    output
        `schemas.speech`: T = max(1, samples // 160) rows per clip. Row k stands at k * 10 ms. `energy` is the RMS of
        the 25 ms around it, linear, full scale 1; `loudness` is openSMILE's.
    rejects
        `schemas.REJECTS`: clips whose audio cannot be read back.
    threads
        Clips that are worked on at a time.
    """
    made_by = shards.provenance("speech", options.model_dump())
    total = shards.count_rows(audio)
    label = f"speech {Path(audio).absolute().parents[2].name}/{Path(audio).stem}"
    with open_descriptors(options) as descriptors:
        schema = schemas.speech(descriptors.names)
        with (
            shards.ShardWriter(output, schema, made_by, row_group=ROWS_PER_GROUP) as writer,
            shards.ShardWriter(rejects, schemas.REJECTS, made_by) as refused,
        ):
            results = ordered_map(lambda clip: describe(clip, descriptors, schema), read_clips(audio), threads)
            for group in in_groups(_kept(progress(results, total=total, label=label), refused), ROWS_PER_GROUP):
                writer.write(group)


def describe(clip: EncodedClip, descriptors: Descriptors, schema: pa.Schema) -> pa.Table | dict[str, str]:
    """Return the rows of one clip, or its row in `rejects`."""
    try:
        signal = decode(clip)
    except soundfile.LibsndfileError as error:
        return reject_row(clip.clip_id, None, "speech", Refusal("decode_error", str(error)))
    return to_table(clip.clip_id, frame_energy(signal), descriptors, descriptors.compute(signal), schema)


def to_table(
    clip_id: str,
    energy: NDArray[np.float32],
    descriptors: Descriptors,
    values: NDArray[np.float32],
    schema: pa.Schema,
) -> pa.Table:
    """Return the rows of a clip, shape (T,) and (T, descriptors) put side by side, as the schema has them."""
    frames = np.arange(len(values), dtype=np.int32)
    columns = [[clip_id] * len(values), frames, frames * FRAME_S, energy, descriptors.loudness(values)]
    columns += list(np.ascontiguousarray(values.T))
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def _kept(results: Iterator[pa.Table | dict[str, str]], refused: shards.ShardWriter) -> Iterator[pa.Table]:
    """Yield the described clips; write the others to `rejects`."""
    for result in results:
        if isinstance(result, pa.Table):
            yield result
        else:
            refused.write([result])


def in_groups(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield the tables joined to at least `rows` rows each, so that a shard has few row groups."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(len(part) for part in waiting) >= rows:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()
