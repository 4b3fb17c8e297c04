"""Audio shards as signals, clip by clip."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from avpretext import shards

FULL_SCALE = 32767 / 32768
"""The largest sample of 16 bit audio; openSMILE's wrapper makes -1.0 of +1.0."""


class EncodedClip(NamedTuple):
    """A clip as its shard holds it: FLAC, 16 kHz, mono."""

    clip_id: str
    encoded: bytes


def read_clips(audio: Path) -> Iterator[EncodedClip]:
    """Yield the clips of an audio shard, in its order, with no more than a row group in memory."""
    for clip_id, table in shards.iterate_clips(audio, ["clip_id", "audio"]):
        for row in table["audio"].to_pylist():
            yield EncodedClip(clip_id, row["bytes"])


def decode(clip: EncodedClip) -> NDArray[np.float32]:
    """Return the signal of a clip, shape (samples,), full scale 1.

    Raises
    ------
    soundfile.LibsndfileError
        It cannot be read.
    """
    signal: NDArray[np.float32] = soundfile.read(io.BytesIO(clip.encoded), dtype="float32")[0]
    return signal


def below_full_scale(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the signal with nothing above the largest sample that openSMILE can be given."""
    clipped: NDArray[np.float32] = np.minimum(signal, np.float32(FULL_SCALE))
    return clipped
