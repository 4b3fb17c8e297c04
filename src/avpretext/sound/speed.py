"""Stage `speed`: a corpus played faster or slower, so that models hear more speakers than there are.

Speed changes tempo, pitch and formants alike, as if another, smaller or larger person spoke (Ko et al., "Audio
augmentation for speech recognition", Interspeech 2015). The copy is a corpus like any other, `{corpus}@{speed}`, of
which features are computed; only training clips are heard so.
"""

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from avpretext import shards
from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import MEDIA, arrow_type
from avpretext.flow.provenance import provenance
from avpretext.pool import ordered_map
from avpretext.sound.audio_shards import below_full_scale, stored
from avpretext.writing import label_of, write_shard

CLIPS_PER_GROUP = 64
"""Rows that a reader of the shard holds at a time."""

BLOCK = 60 * SAMPLE_RATE_HZ
"""Samples that are resampled at a time: a minute, so that the length of a clip hardly changes the memory."""


def run(audio: Path, speed: float, output: Path, threads: int = 1) -> None:
    """Play the clips of one shard at another speed.

    Parameters
    ----------
    speed
        Above 1 is faster and higher; it is rounded to a fraction of whole numbers up to 100.
    output
        `split.audio`: clips of 1/speed times the length. A clip that cannot be read back is left out; the stage
        `speech` refuses it.
    """
    made_by = provenance("speed", {"speed": speed})
    rows = (clip.slice(row, 1) for _, clip in shards.iterate_clips(audio) for row in range(len(clip)))
    played = ordered_map(lambda row: at_speed(row, speed), rows, threads)
    label = label_of(f"speed {speed:g}", audio.parent.parent / audio.name)
    layout: dict[str, Any] = {"compression": "none", "row_group": CLIPS_PER_GROUP}
    write_shard(label, output, schema_of("split.audio"), made_by, played, shards.count_rows(audio), **layout)


def at_speed(row: pa.Table, speed: float) -> pa.Table | None:
    """Return the row of a clip, a table of one row, at another speed; None if it cannot be read back."""
    [original] = stored(row["audio"])
    encoded = io.BytesIO()
    try:
        with (
            soundfile.SoundFile(pa.BufferReader(original)) as clip,
            soundfile.SoundFile(encoded, "w", SAMPLE_RATE_HZ, 1, "PCM_16", format="FLAC") as copy,
        ):
            for piece in play(_blocks(clip), speed):
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


def _blocks(clip: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    while len(block := clip.read(BLOCK, dtype="float32")):
        yield block


def play(blocks: Iterable[NDArray[np.float32]], speed: float) -> Iterator[NDArray[np.float32]]:
    """Yield a signal of N samples, given in blocks, at another speed: ceil(N / speed) samples, without aliases.

    Each sample is the same, to the bit, however the signal is cut into blocks: a block is resampled with as much of its
    neighbours as the filter reaches, from a place that falls on a sample of the result.

    >>> [len(part) for part in play([np.zeros(12000, np.float32)], 1.2)]
    [9985, 15]
    >>> sum(len(part) for part in play([np.zeros(6000, np.float32)] * 2, 0.8))
    15000
    """
    ratio = 1 / Fraction(speed).limit_denominator(100)
    up, down = ratio.numerator, ratio.denominator
    # scipy's filter reaches 10 * max(up, down) samples of the signal with `up` times as many.
    reach = (10 * max(up, down) // (up * down) + 1) * down
    before, waiting = 0, np.zeros(0, np.float32)
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        ready = max(0, len(waiting) - before - reach) // down * down
        if ready:
            yield _resampled(waiting, up, down, before, before + ready)
            kept = max(0, before + ready - reach)
            before, waiting = before + ready - kept, waiting[kept:]
    yield _resampled(waiting, up, down, before, None)


def _resampled(signal: NDArray[np.float32], up: int, down: int, start: int, stop: int | None) -> NDArray[np.float32]:
    """Return what becomes of the samples from `start` to before `stop`, multiples of `down`, of a stretch of signal."""
    played: NDArray[np.float32] = resample_poly(signal, up, down)
    part = played[start * up // down : None if stop is None else stop * up // down]
    return below_full_scale(np.maximum(part, np.float32(-1)))
