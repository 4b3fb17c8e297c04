"""Stage `speech`: openSMILE low-level descriptors, energy and loudness of every 10 ms of every clip."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import soundfile
from numpy.typing import NDArray

from avpretext import shards
from avpretext.chunks import FRAME_S
from avpretext.config import SpeechOptions
from avpretext.flow import schemas
from avpretext.pool import ordered_map
from avpretext.progress import progress
from avpretext.refusal import Refusal, reject_row
from avpretext.sound.audio_shards import ROWS_PER_GROUP, Piece, count_pieces, read_pieces
from avpretext.sound.descriptors import MARGIN_FRAMES, Descriptors, frame_energy, open_descriptors


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
        Clips that are worked on at a time, or pieces of ten minutes of longer ones.
    """
    made_by = shards.provenance("speech", options.model_dump())
    total = count_pieces(audio)
    label = f"speech {Path(audio).absolute().parents[2].name}/{Path(audio).stem}"
    with open_descriptors(options) as descriptors:
        schema = schemas.speech(descriptors.names)
        with (
            shards.ShardWriter(output, schema, made_by, row_group=ROWS_PER_GROUP) as writer,
            shards.ShardWriter(rejects, schemas.REJECTS, made_by) as refused,
        ):
            results = ordered_map(lambda piece: describe(piece, descriptors, schema), read_pieces(audio), threads)
            for group in shards.in_groups(_kept(progress(results, total=total, label=label), refused), ROWS_PER_GROUP):
                writer.write(group)


def describe(piece: Piece, descriptors: Descriptors, schema: pa.Schema) -> pa.Table | dict[str, str]:
    """Return the rows of a clip or of a piece of it, or its row in `rejects`."""
    try:
        signal, start, stop = piece.signal(MARGIN_FRAMES)
    except soundfile.LibsndfileError as error:
        return reject_row(piece.clip.clip_id, None, "speech", Refusal("decode_error", str(error)))
    first, last = piece.first - start, piece.stop - start
    values = descriptors.compute_part(signal, first, last, stop - start)
    return to_table(piece, frame_energy(signal)[first:last], descriptors, values, schema)


def to_table(
    piece: Piece,
    energy: NDArray[np.float32],
    descriptors: Descriptors,
    values: NDArray[np.float32],
    schema: pa.Schema,
) -> pa.Table:
    """Return the rows of a piece, shape (T,) and (T, descriptors) put side by side, as the schema has them."""
    frames = np.arange(piece.first, piece.stop, dtype=np.int32)
    columns = [[piece.clip.clip_id] * len(values), frames, frames * FRAME_S, energy, descriptors.loudness(values)]
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
