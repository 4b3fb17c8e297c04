"""Stage `functionals`: openSMILE functionals, one vector per clip, for the baseline."""

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import opensmile
import pyarrow as pa
import soundfile
from numpy.typing import NDArray

from avpretext import shards
from avpretext.chunks import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from avpretext.config import FunctionalOptions
from avpretext.flow.provenance import provenance
from avpretext.pool import ordered_map
from avpretext.sound import vectors
from avpretext.sound.audio_shards import LONG_FRAMES, EncodedClip, below_full_scale, decode, read_clips, sample_count
from avpretext.writing import warn_of

_SHORT = "are too short for functionals and left out"
_LONG = "are longer than ten minutes and described by the five in their middle"
_UNREADABLE = "cannot be read back and are left out; redo the stage split"


class Described(NamedTuple):
    """A clip's functionals, shape (functionals,), NaN where openSMILE has no value; None: it cannot be read back."""

    clip_id: str
    values: NDArray[np.float32] | None
    shortened: bool = False


def run(audio: Path, options: FunctionalOptions, output: Path, threads: int = 1) -> None:
    """Describe each clip of one shard by one vector.

    Values are openSMILE's own (Eyben et al., "openSMILE", ACM Multimedia 2010): 6,373 of ComParE_2016, 88 of
    eGeMAPSv02. NaN, where it has no value, becomes 0, and a warning counts them. Clips shorter than its longest window,
    60 ms, have no functionals, and neither have clips whose audio cannot be read back: they are left out, with a
    warning. A clip longer than ten minutes is described by the five in its middle, with a warning: openSMILE holds
    all that it describes.

    Parameters
    ----------
    output
        `functionals`, in the order of `audio`; `names` in its provenance names the values.
    threads
        Clips that are worked on at a time; each takes some 700 KB for each of its seconds.
    """
    smile = opensmile.Smile(options.feature_set, opensmile.FeatureLevel.Functionals)
    made_by = provenance("functionals", options.model_dump(), names=list(smile.feature_names))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Segment too short")  # such clips are told of at the end, all at once
        results = ordered_map(lambda clip: describe(clip, smile), read_clips(audio), threads)
        vectors.write("functionals", output, _usable(results), made_by, shards.count_rows(audio))


def describe(clip: EncodedClip, smile: opensmile.Smile) -> Described:
    """Return the functionals of one clip."""
    try:
        samples, most = sample_count(clip), LONG_FRAMES * SAMPLES_PER_FRAME
        if samples <= most:
            return Described(clip.clip_id, functionals(decode(clip), smile))
        pa.default_memory_pool().release_unused()  # what Arrow needed to read a clip of hours
        start = (samples - most // 2) // 2
        return Described(clip.clip_id, functionals(decode(clip, start, start + most // 2), smile), shortened=True)
    except soundfile.LibsndfileError:
        return Described(clip.clip_id, None)


def functionals(signal: NDArray[np.float32], smile: opensmile.Smile) -> NDArray[np.float32]:
    """Return the functionals of a signal, shape (functionals,); all NaN where it is too short for openSMILE.

    Parameters
    ----------
    signal
        Shape (samples,), 16 kHz, full scale 1.
    """
    if not len(signal):
        return np.full(len(smile.feature_names), np.nan, np.float32)
    values: NDArray[np.float32] = smile(below_full_scale(signal), SAMPLE_RATE_HZ)[0, :, 0].astype(np.float32)
    return values


def _usable(results: Iterator[Described]) -> Iterator[vectors.Vector | None]:
    """Yield the functionals of clips, NaN replaced by 0, None for none; in the end warn of what was odd."""
    odd: dict[str, list[str]] = {what: [] for what in (_SHORT, _LONG, _UNREADABLE)}
    replaced = 0
    for clip_id, values, shortened in results:
        if shortened:
            odd[_LONG].append(clip_id)
        if values is None or not (finite := np.isfinite(values)).any():
            odd[_UNREADABLE if values is None else _SHORT].append(clip_id)
            yield None
        else:
            replaced += int((~finite).sum())
            yield vectors.Vector(clip_id, np.where(finite, values, np.float32(0)))
    for what, clip_ids in odd.items():
        warn_of("functionals", what, clip_ids)
    if replaced:
        print(f"functionals: warning: {replaced} values that openSMILE does not define are 0", file=sys.stderr)
