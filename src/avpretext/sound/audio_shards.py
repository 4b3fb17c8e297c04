"""Audio shards as signals, clip by clip, and clips of hours piece by piece."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import soundfile
from numpy.typing import NDArray

from avpretext import shards
from avpretext.chunks import FRAME_S, SAMPLES_PER_FRAME
from avpretext.errors import UserError
from avpretext.pool import ordered_map
from avpretext.refusal import Refusal, reject_row
from avpretext.writing import label_of, write_shard

FULL_SCALE = 32767 / 32768
"""The largest sample of 16 bit audio; openSMILE's wrapper makes -1.0 of +1.0."""

LONG_FRAMES = 60_000
"""Ten minutes: longer clips are worked on this much at a time, so that their length does not change the memory."""

ROWS_PER_GROUP = 16_384
"""Rows that a reader of 10 ms frames holds at a time: some fifty clips."""

Signal = NDArray[np.float32]
Measure = Callable[[Signal, int, int, int], Signal]
"""Measures frames `first` to before `stop` of a signal, shape (samples,), of `frames` 10 ms frames, as (T, columns)."""


class EncodedClip(NamedTuple):
    """A clip as its shard holds it: FLAC, 16 kHz, mono."""

    clip_id: str
    encoded: bytes | pa.Buffer


class Piece(NamedTuple):
    """Frames `first` to before `stop` of a clip of `frames` 10 ms frames and so many samples; None: unreadable."""

    clip: EncodedClip
    first: int
    stop: int
    frames: int
    samples: int | None

    def signal(self, margin_frames: int) -> tuple[Signal, int, int]:
        """Return the signal of the piece with a margin on both sides within the clip, and its frames: start, stop.

        Raises
        ------
        soundfile.LibsndfileError
            It cannot be read.
        """
        start, stop = max(0, self.first - margin_frames), min(self.frames, self.stop + margin_frames)
        if self.samples is None or (start == 0 and stop == self.frames):
            return decode(self.clip), start, stop
        end = self.samples if stop == self.frames else stop * SAMPLES_PER_FRAME
        return decode(self.clip, start * SAMPLES_PER_FRAME, end), start, stop


def read_clips(audio: Path) -> Iterator[EncodedClip]:
    """Yield the clips of an audio shard, in its order, with no more than a row group in memory.

    Raises
    ------
    UserError
        It is of a corpus whose sound is not read.
    """
    for clip_id, table in shards.iterate_clips(audio, ["clip_id", "audio"]):
        if table["audio"].null_count:
            raise UserError(
                f"{audio}: the corpus has audio: false, so there are no speech features of it, nor anything made of"
                " them: set audio: true if its files have sound"
            )
        for encoded in stored(table["audio"]):
            yield EncodedClip(clip_id, encoded)


def stored(audio: pa.ChunkedArray) -> Iterator[pa.Buffer]:
    """Yield the files in a column of sound, none of them copied: a clip of hours has hundreds of MB."""
    for chunk in audio.chunks:
        values = chunk.field("bytes")
        _, places, content = values.buffers()
        ends = np.frombuffer(places, np.int32)[values.offset : values.offset + len(values) + 1].tolist()
        for start, stop in itertools.pairwise(ends):
            yield content.slice(start, stop - start)


def read_pieces(audio: Path) -> Iterator[Piece]:
    """Yield each clip of an audio shard whole, or in pieces of ten minutes if it is longer.

    A clip that cannot be read to its end comes as one piece without samples: `decode` then says why.
    """
    for clip in read_clips(audio):
        try:
            samples = sample_count(clip)
        except soundfile.LibsndfileError:
            yield Piece(clip, 0, 1, 1, None)
            continue
        frames = max(1, samples // SAMPLES_PER_FRAME)
        for first in range(0, frames, LONG_FRAMES):
            yield Piece(clip, first, min(first + LONG_FRAMES, frames), frames, samples)


def write_frames(
    stage: str, audio: Path, output: Path, schema: pa.Schema, made_by: Mapping[str, Any], measure: Measure,
    margin_frames: int, threads: int = 1, rejects: shards.ShardWriter | None = None,
) -> None:  # fmt: skip
    """Write a row for every 10 ms of every clip of an audio shard: clip_id, frame, time_s and what is measured.

    Parameters
    ----------
    output, schema, made_by
        See `writing.write_shard`.
    measure
        Measures a clip, or a piece of a clip of more than ten minutes, together with `margin_frames` on both sides.
    threads
        Clips or pieces that are worked on at a time.
    rejects
        Gets the clips that cannot be read back.
    """

    def describe(piece: Piece) -> pa.Table | dict[str, str | None]:
        try:
            signal, start, stop = piece.signal(margin_frames)
        except soundfile.LibsndfileError as error:
            return reject_row(piece.clip.clip_id, None, stage, Refusal("decode_error", str(error)))
        values = measure(signal, piece.first - start, piece.stop - start, stop - start)
        frames = np.arange(piece.first, piece.stop, dtype=np.int32)
        columns = [[piece.clip.clip_id] * len(frames), frames, frames * FRAME_S, *np.ascontiguousarray(values.T)]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        return pa.table(arrays, schema=schema)

    def kept(found: pa.Table | dict[str, str | None]) -> pa.Table | None:
        if isinstance(found, pa.Table):
            return found
        if rejects is not None:
            rejects.write([found])
        return None

    described = map(kept, ordered_map(describe, read_pieces(audio), threads))
    label, total = label_of(stage, output), count_pieces(audio)
    write_shard(label, output, schema, made_by, described, total, ROWS_PER_GROUP)


def count_pieces(audio: Path) -> int:
    """Return how many pieces an audio shard has, by what it says of the lengths of its clips."""
    samples = shards.read(audio, ["samples"])["samples"].to_numpy()
    return int(np.maximum(1, -(-(samples // SAMPLES_PER_FRAME) // LONG_FRAMES)).sum())


def sample_count(clip: EncodedClip) -> int:
    """Return the number of samples of a clip; one longer than ten minutes is read to its end.

    Raises
    ------
    soundfile.LibsndfileError
        It cannot be read.
    """
    block = LONG_FRAMES * SAMPLES_PER_FRAME
    with soundfile.SoundFile(pa.BufferReader(clip.encoded)) as file:
        if file.frames <= block:
            return int(file.frames)
        samples = 0
        while read := len(file.read(block, dtype="int16")):
            samples += read
        return samples


def decode(clip: EncodedClip, start: int = 0, stop: int | None = None) -> Signal:
    """Return the signal of a clip, from one sample to before another, shape (samples,), full scale 1.

    Raises
    ------
    soundfile.LibsndfileError
        It cannot be read.
    """
    signal: Signal = soundfile.read(pa.BufferReader(clip.encoded), start=start, stop=stop, dtype="float32")[0]
    return signal


def below_full_scale(signal: Signal) -> Signal:
    """Return the signal with nothing above the largest sample that openSMILE can be given."""
    clipped: Signal = np.minimum(signal, np.float32(FULL_SCALE))
    return clipped
