"""Audio shards as signals, clip by clip, and clips of hours piece by piece."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import soundfile
from numpy.typing import NDArray

from avpretext import shards
from avpretext.flow.schemas import SAMPLES_PER_FRAME

FULL_SCALE = 32767 / 32768
"""The largest sample of 16 bit audio; openSMILE's wrapper makes -1.0 of +1.0."""

LONG_FRAMES = 60_000
"""Ten minutes: longer clips are worked on this much at a time, so that their length does not change the memory."""


ROWS_PER_GROUP = 16_384
"""Rows that a reader of 10 ms frames holds at a time: some fifty clips."""


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

    def signal(self, margin_frames: int) -> tuple[NDArray[np.float32], int, int]:
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
    """Yield the clips of an audio shard, in its order, with no more than a row group in memory."""
    for clip_id, table in shards.iterate_clips(audio, ["clip_id", "audio"]):
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


def decode(clip: EncodedClip, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
    """Return the signal of a clip, from one sample to before another, shape (samples,), full scale 1.

    Raises
    ------
    soundfile.LibsndfileError
        It cannot be read.
    """
    signal: NDArray[np.float32] = soundfile.read(
        pa.BufferReader(clip.encoded), start=start, stop=stop, dtype="float32"
    )[0]
    return signal


def below_full_scale(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the signal with nothing above the largest sample that openSMILE can be given."""
    clipped: NDArray[np.float32] = np.minimum(signal, np.float32(FULL_SCALE))
    return clipped
