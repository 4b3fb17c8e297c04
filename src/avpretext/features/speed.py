"""Stage `speed`: a corpus played faster or slower, so that models hear more speakers than there are.

Speed changes tempo, pitch and formants alike, as if another, smaller or larger person spoke (Ko et al., "Audio
augmentation for speech recognition", Interspeech 2015). The copy is a corpus like any other, `{corpus}@{speed}`, of
which features are computed; only training clips are heard so.
"""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from avpretext import schemas, shards
from avpretext.features.audio_shards import EncodedClip, below_full_scale, decode
from avpretext.media.pool import ordered_map
from avpretext.progress import progress
from avpretext.schemas import SAMPLE_RATE_HZ

CLIPS_PER_GROUP = 64
"""Rows that a reader of the shard holds at a time."""


def run(audio: Path, speed: float, output: Path, threads: int = 1) -> None:
    """Play the clips of one shard at another speed.

    Parameters
    ----------
    audio
        The shard's `schemas.AUDIO`.
    speed
        Above 1 is faster and higher; it is rounded to a fraction of whole numbers up to 100.
    output
        `schemas.AUDIO`: clips of 1/speed times the length. A clip that cannot be read back is left out; the stage
        `speech` refuses it.
    threads
        Clips that are worked on at a time.
    """
    made_by = shards.provenance("speed", {"speed": speed})
    label = f"speed {speed:g} {Path(audio).absolute().parents[2].name}/{Path(audio).stem}"
    with shards.ShardWriter(output, schemas.AUDIO, made_by, row_group=CLIPS_PER_GROUP) as writer:
        played = ordered_map(lambda row: at_speed(row, speed), _rows(audio), threads)
        for row in progress(played, total=shards.count_rows(audio), label=label):
            if row is not None:
                writer.write([row])


def _rows(audio: Path) -> Iterator[dict[str, Any]]:
    for _, clip in shards.iterate_clips(audio):
        yield from clip.to_pylist()


def at_speed(row: dict[str, Any], speed: float) -> dict[str, Any] | None:
    """Return the row of a clip at another speed; None if it cannot be read back."""
    try:
        signal = play(decode(EncodedClip(row["clip_id"], row["audio"]["bytes"])), speed)
    except soundfile.LibsndfileError:
        return None
    encoded = io.BytesIO()
    soundfile.write(encoded, signal, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    sound = {"samples": len(signal), "duration_s": len(signal) / SAMPLE_RATE_HZ, "content": None}
    return {**row, **sound, "audio": {**row["audio"], "bytes": encoded.getvalue()}}


def play(signal: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """Return a signal, shape (N,), at another speed, shape (ceil(N / speed),), resampled without aliases.

    >>> len(play(np.zeros(12000, np.float32), 1.2)), len(play(np.zeros(12000, np.float32), 0.8))
    (10000, 15000)
    """
    ratio = 1 / Fraction(speed).limit_denominator(100)
    played: NDArray[np.float32] = resample_poly(signal, ratio.numerator, ratio.denominator).astype(np.float32)
    return below_full_scale(np.maximum(played, np.float32(-1)))
