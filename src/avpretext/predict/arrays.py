"""Sound given as numbers, as a file, so that it is heard as any other."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from avpretext.errors import UserError
from avpretext.flow.schemas import SAMPLE_RATE_HZ

MAX_CHANNELS = 8
RATES_HZ = (1000, 384_000)


def write_sound(file: Path, samples: NDArray[Any], rate: int | None) -> Path:
    """Write samples as a WAV file; of 16 kHz mono, rounded to 16 bit as ffmpeg does it.

    Parameters
    ----------
    file
        Where to.
    samples
        (samples,) or (samples, channels); floating with full scale 1, or int16.
    rate
        Samples per second.

    Raises
    ------
    UserError
        They are no sound.
    """
    if rate is None or not RATES_HZ[0] <= rate <= RATES_HZ[1]:
        raise UserError(f"rate = {rate}: samples need their rate, in samples per second, such as 16000")
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not 1 <= samples.shape[1] <= MAX_CHANNELS):
        raise UserError(
            f"samples of shape {samples.shape}: expected (samples,) or (samples, channels), at most"
            f" {MAX_CHANNELS} channels; transpose (channels, samples)"
        )
    floating = np.issubdtype(samples.dtype, np.floating)
    if not floating and samples.dtype != np.int16:
        raise UserError(f"samples of type {samples.dtype}: expected floating numbers with full scale 1, or int16")
    if floating and not np.isfinite(samples).all():
        raise UserError("samples with NaN or infinite values: put silence, 0, in their place")
    if floating and rate == SAMPLE_RATE_HZ and (samples.ndim == 1 or samples.shape[1] == 1):
        samples = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    subtype = "PCM_16" if samples.dtype == np.int16 else "FLOAT"
    soundfile.write(file, samples, int(rate), subtype, format="WAV")
    return file
