"""Stage `encoder`: hidden states of a pre-trained speech encoder, as means per chunk or clip, or row by row."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import soundfile
import torch
from numpy.typing import NDArray

from avpretext import shards
from avpretext.chunks import FRAME_S, SAMPLE_RATE_HZ, frame_count
from avpretext.config import ChunkOptions, Config
from avpretext.errors import UserError, nearest
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.options.base import settled
from avpretext.options.pretrained_encoders import EncoderOptions
from avpretext.pool import ordered_map
from avpretext.progress import progress
from avpretext.sound import encoder_files
from avpretext.sound.audio_shards import EncodedClip, decode, read_clips
from avpretext.sound.encoder_model import Batches, Floats, Rows, SpeechEncoder
from avpretext.sound.encoder_pooling import chunk_edges, means
from avpretext.writing import label_of, warn_of, write_shard

ROWS_PER_GROUP = {"chunks": 512, "clip": 256, "frames": 4096}
"""Rows that a reader of the shard holds at a time."""

_UNREADABLE = "cannot be read back and are left out; redo the stage split"
_NOT_FINITE = "have hidden states that are not finite and are left out"

_STEP = 320
"""Samples that the pieces of a long clip, all but the last, are a multiple of: the distance of two rows."""


class Encoded(NamedTuple):
    """A clip's rows, None where there are none, and its 10 ms frames."""

    clip_id: str
    rows: Rows | None
    frames: int = 0


def run(encoder: str, audio: Path, config: Config, output: Path, threads: int = 1) -> None:
    """Encode the clips of one shard.

    Parameters
    ----------
    encoder
        Its name in `encoders`.
    audio
        The shard's `split.audio`. Clips that cannot be read back are left out: `speech` has refused them.
    config
        Read: `encoders`, and for `pool: chunks` also `chunks`.
    output
        `encoder`. `values` are the means of layer 0, of layer 1, and so on, end to end; with `pool: frames` the
        rows themselves. Values beyond the range of float16 are its largest.
    threads
        Clips that are encoded at a time, each with one thread: the same bytes for any number.

    Raises
    ------
    UserError
        Its files are not there or not those of a speech model, or no clip has finite hidden states.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    options = options_of(config, encoder)
    model = SpeechEncoder(encoder_files.find(encoder, options), options)
    made_by = made_by_of(model, options, config.chunks)
    schema = encoded_schema(options, len(model.layers) * model.size)
    clips = encode_all(model, options, read_clips(audio), threads)
    tables = (_table(clip, options, config.chunks, schema) for clip in _usable(clips))
    label, total = label_of(f"encoder {encoder}", output), shards.count_rows(audio)
    write_shard(label, output, schema, made_by, tables, total, ROWS_PER_GROUP[options.pool])


def made_by_of(model: SpeechEncoder, options: EncoderOptions, chunks: ChunkOptions) -> dict[str, Any]:
    """Return the provenance of `encoder`; where the files lay and what computed is no part of it."""
    return provenance(
        "encoder",
        settled(options),
        model.digests,
        encoder=model.files.name,
        hub=None if options.folder else encoder_files.hub_name(model.files.name, options),
        kind=model.files.kind,
        layers=model.layers,
        size=model.size,
        chunks=chunks.model_dump() if options.pool == "chunks" else None,
    )


def options_of(config: Config, encoder: str) -> EncoderOptions:
    """Return the options of an encoder."""
    if encoder not in config.encoders:
        raise UserError(f"no encoder {encoder!r} in the configuration{nearest(encoder, config.encoders)}")
    return config.encoders[encoder]


def encoded_schema(options: EncoderOptions, values: int) -> pa.Schema:
    """Return the schema of `encoder` for rows of so many numbers."""
    kind = {"float16": "halffloat", "float32": "float"}[options.dtype]
    return schema_of("encoder", types={"values": f"{kind}[{values}]"})


def encode_all(
    model: SpeechEncoder, options: EncoderOptions, clips: Iterator[EncodedClip], threads: int
) -> Iterator[Encoded]:
    """Yield each clip's rows, in order: on a CPU one clip per thread, on a GPU in batches of like lengths."""
    if model.device.type == "cpu":
        window_s = model.window_s(options.window_s)

        def rows_of(pieces: Sequence[Floats]) -> list[Rows]:
            parts = progress(pieces, total=len(pieces), unit="windows", label="encoder, clip", within=True)
            return [row for piece in parts for row in model.rows_of_each([piece])]

        return ordered_map(lambda clip: next(_encode(rows_of, window_s, [clip])), clips, threads)
    return in_batches(model, options, clips)


def in_batches(model: SpeechEncoder, options: EncoderOptions, clips: Iterator[EncodedClip]) -> Iterator[Encoded]:
    """Yield each clip's rows, in order, computed in batches of pieces of like lengths."""
    batches = Batches(model, options.batch_s)
    for some in _gathered(clips, 4 * options.batch_s):
        yield from _encode(batches.rows, model.window_s(options.window_s), some)


def _gathered(clips: Iterator[EncodedClip], seconds: float) -> Iterator[list[EncodedClip]]:
    """Yield clips in lists of so many seconds, to be sorted by length."""
    some: list[EncodedClip] = []
    held = 0.0
    for clip in clips:
        some.append(clip)
        held += _seconds(clip)
        if held >= seconds:
            yield some
            some, held = [], 0.0
    if some:
        yield some


def _seconds(clip: EncodedClip) -> float:
    try:
        with soundfile.SoundFile(pa.BufferReader(clip.encoded)) as file:
            return float(file.frames) / SAMPLE_RATE_HZ
    except soundfile.LibsndfileError:
        return 0.0


def _encode(
    rows_of: Callable[[Sequence[Floats]], list[Rows]], window_s: float, clips: Sequence[EncodedClip]
) -> Iterator[Encoded]:
    """Yield the rows of clips, whose pieces are computed together."""
    signals: list[Floats | None] = []
    for clip in clips:
        try:
            signals.append(decode(clip))
        except soundfile.LibsndfileError:
            signals.append(None)
    pieces = [[] if signal is None else cut(signal, window_s) for signal in signals]
    computed = iter(rows_of([piece for of_clip in pieces for piece in of_clip]))
    for clip, signal, of_clip in zip(clips, signals, pieces, strict=True):
        if signal is None:
            yield Encoded(clip.clip_id, None)
        else:
            rows = joined([next(computed) for _ in of_clip], [len(piece) for piece in of_clip])
            yield Encoded(clip.clip_id, rows, frame_count(len(signal)))


def cut(signal: Floats, window_s: float) -> list[Floats]:
    """Return a signal in pieces of about equal length, none longer than a window (of 20 ms at least)."""
    window = max(1, int(window_s * SAMPLE_RATE_HZ) // _STEP) * _STEP
    count = max(1, -(-len(signal) // window))
    # Rounded up: rounded otherwise, the last piece may be longer than the window, and Whisper would cut its end off.
    edges = [-(-place * len(signal) // (count * _STEP)) * _STEP for place in range(count)] + [len(signal)]
    return [signal[start:stop] for start, stop in itertools.pairwise(edges)]


def joined(rows: Sequence[Rows], samples: Sequence[int]) -> Rows:
    """Return the rows of pieces of so many samples, one after another, on the clock of the whole."""
    values = rows[0].values if len(rows) == 1 else np.concatenate([part.values for part in rows])
    return Rows(values, on_one_clock([part.times_s for part in rows], samples))


def on_one_clock(times_s: Sequence[NDArray[np.float64]], samples: Sequence[int]) -> NDArray[np.float64]:
    """Return the times of the rows of pieces of so many samples, one after another, from the start of the whole."""
    starts = np.cumsum([0, *samples[:-1]]) / SAMPLE_RATE_HZ
    return np.concatenate([part + start for part, start in zip(times_s, starts, strict=True)])


def _usable(clips: Iterator[Encoded]) -> Iterator[Encoded | None]:
    """Yield the clips that have finite rows, None for others; in the end warn of these."""
    unreadable, odd, fine = [], [], 0
    for clip in clips:
        if clip.rows is None:
            unreadable.append(clip.clip_id)
        elif not np.isfinite(clip.rows.values).all():
            odd.append(clip.clip_id)
        else:
            fine += 1
            yield clip
            continue
        yield None
    if odd and not fine:
        raise UserError(f"encoder: all {len(odd)} clips have hidden states that are not finite; use another model")
    warn_of("encoder", _UNREADABLE, unreadable)
    warn_of("encoder", _NOT_FINITE, odd)


def edges_of(frames: int, options: EncoderOptions, chunks: ChunkOptions) -> NDArray[np.int64]:
    """Return start and end of each stretch of which a mean is kept, (K, 2), in 10 ms frames."""
    return chunk_edges(frames, chunks) if options.pool == "chunks" else np.array([[0, frames]])


def pooled(rows: Rows, frames: int, options: EncoderOptions, chunks: ChunkOptions) -> Rows:
    """Return the means of a clip of so many 10 ms frames, (K, L, D), and the middles of what they are over."""
    if options.pool == "frames":
        return rows
    edges = edges_of(frames, options, chunks)
    return Rows(means(rows.values, rows.times_s, edges), edges.sum(1) * FRAME_S / 2)


def stored(values: Floats, options: EncoderOptions) -> NDArray[Any]:
    """Return values (N, ...) as (N, L D) numbers of the type in which they are stored."""
    flat = values.reshape(len(values), -1)
    return np.clip(flat, -65504, 65504).astype(np.float16) if options.dtype == "float16" else flat


def _table(clip: Encoded | None, options: EncoderOptions, chunks: ChunkOptions, schema: pa.Schema) -> pa.Table | None:
    if clip is None or clip.rows is None:
        return None
    values, times = pooled(clip.rows, clip.frames, options, chunks)
    flat = pa.array(stored(values, options).reshape(-1))
    lists = pa.FixedSizeListArray.from_arrays(flat, type=schema.field("values").type)
    columns = [[clip.clip_id] * len(times), np.arange(len(times), dtype=np.int32), times]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=False)]
    return pa.table([*arrays, lists], schema=schema)
