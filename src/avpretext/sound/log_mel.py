"""Stage `log_mel`: the log-mel spectrogram, on the 10 ms frames of `speech`."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from avpretext.chunks import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, frame_count
from avpretext.config import LogMelOptions
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.sound.audio_shards import write_frames

FLOOR = 1e-10
"""Added to the power before its logarithm: a fifth of what the rounding of 16 bit audio leaves in a band."""

PIECE_FRAMES = 1000
"""Spectra that are held at a time: 2 MB, which stay in the processor's cache."""

LINEAR_HZ = 1000.0
LINEAR_MEL = 15.0
OCTAVE_MEL = 27.0 / np.log(6.4)
"""Slaney's scale: 15 mel up to 1 kHz, linearly; from there on 27 mel to the factor of 6.4, logarithmically."""

Floats = NDArray[np.float32]


def schema(options: LogMelOptions) -> pa.Schema:
    """Return the schema of `log_mel`."""
    return schema_of("log_mel", {"mel[*]": [f"mel[{band}]" for band in range(options.bands)]})


def run(audio: Path, options: LogMelOptions, output: Path, threads: int = 1) -> None:
    """Compute the spectrograms of one shard.

    Parameters
    ----------
    audio
        The shard's `split.audio`. Clips that cannot be read back are left out: `speech` has refused them.
    output
        `log_mel`: the rows that `speech` has of a clip, row k of the samples around k * 10 ms.
    """
    window, filters = hann(options.window_s), mel_filters(options)
    made_by = provenance("log_mel", options.model_dump(), floor=FLOOR)

    def measure(signal: Floats, first: int, stop: int, frames: int) -> Floats:
        return log_mel(signal, window, filters)[first:stop]

    write_frames("log_mel", audio, output, schema(options), made_by, measure, PIECE_FRAMES, threads)


def log_mel(signal: Floats, window: Floats, filters: Floats) -> Floats:
    """Return the log-mel spectrogram of a clip.

    value[k, b] = ln(FLOOR + sum_f filters[b, f] |X_k(f)|^2), X_k the discrete Fourier transform of the signal times the
    window, which is centred at sample 160 k: it covers 160 k - W / 2 <= n < 160 k + W / 2. The signal is mirrored at
    both ends. ``exp(value) - FLOOR`` is the mel power.

    Parameters
    ----------
    signal
        Shape (samples,), 16 kHz, full scale 1.
    window, filters
        See `hann` and `mel_filters`.

    Returns
    -------
    float32 array, shape (T, bands), T = max(1, samples // 160).
    """
    frames, size = frame_count(len(signal)), len(window)
    if not len(signal):
        signal = np.zeros(1, np.float32)
    after = max(0, (frames - 1) * SAMPLES_PER_FRAME + size - size // 2 - len(signal))
    mirrored = np.pad(signal, (size // 2, after), mode="symmetric")
    around = np.lib.stride_tricks.sliding_window_view(mirrored, size)[::SAMPLES_PER_FRAME][:frames]
    power = np.empty((frames, len(filters)), np.float32)
    for piece in (slice(first, first + PIECE_FRAMES) for first in range(0, frames, PIECE_FRAMES)):
        spectrum = np.fft.rfft(around[piece] * window, transform_size(size))
        power[piece] = (np.square(spectrum.real) + np.square(spectrum.imag)) @ filters.T
    power += np.float32(FLOOR)
    return np.log(power, out=power)


def hann(window_s: float) -> Floats:
    """Return the periodic Hann window, sin^2(pi n / W) for n = 0..W - 1, of so many seconds at 16 kHz."""
    samples = max(2, round(window_s * SAMPLE_RATE_HZ))
    return np.square(np.sin(np.pi * np.arange(samples) / samples)).astype(np.float32)


def transform_size(window: int) -> int:
    """Return the length of the Fourier transform of a window: the next power of two.

    >>> transform_size(400), transform_size(512)
    (512, 512)
    """
    return 1 << (window - 1).bit_length()


def to_mel(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return frequencies on Slaney's mel scale.

    ``3 f / 200`` below 1 kHz, ``15 + 27 ln(f / 1000) / ln 6.4`` above (Slaney, "Auditory Toolbox", 1998; the scale that
    librosa takes unless told otherwise, and so DeepEmoCluster).

    >>> to_mel(np.array([0.0, 200.0, 1000.0, 6400.0])).round(9).tolist()
    [0.0, 3.0, 15.0, 42.0]
    """
    above = LINEAR_MEL + OCTAVE_MEL * np.log(np.maximum(frequency_hz, LINEAR_HZ) / LINEAR_HZ)
    return np.where(frequency_hz < LINEAR_HZ, frequency_hz * (LINEAR_MEL / LINEAR_HZ), above)


def to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the frequencies of places on the mel scale, the inverse of `to_mel`."""
    above = LINEAR_HZ * np.exp((np.maximum(mel, LINEAR_MEL) - LINEAR_MEL) / OCTAVE_MEL)
    return np.where(mel < LINEAR_MEL, mel * (LINEAR_HZ / LINEAR_MEL), above)


def mel_filters(options: LogMelOptions) -> Floats:
    """Return the weights of each frequency in each band, (bands, transform / 2 + 1).

    Band b is a triangle over frequency: zero at edge b, ``2 / (edge[b + 2] - edge[b])`` at edge b + 1, zero at edge
    b + 2, the bands + 2 edges lying evenly on the mel scale from the lowest to the highest frequency. So each triangle
    has area 1 (Slaney 1998).

    Raises
    ------
    UserError
        The highest frequency is not above the lowest, or a band is so narrow that it holds no frequency of the
        transform.
    """
    if options.high_hz <= options.low_hz:
        raise UserError(
            f"log_mel.high_hz = {options.high_hz:g}: must be above log_mel.low_hz, which is {options.low_hz:g}; set"
            " one of them"
        )
    size = transform_size(len(hann(options.window_s)))
    low, high = to_mel(np.array([options.low_hz, options.high_hz])).tolist()
    edges = to_hz(np.linspace(low, high, options.bands + 2))[:, None]
    frequencies = np.arange(size // 2 + 1) * SAMPLE_RATE_HZ / size
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])
    if empty := int((~filters.any(1)).sum()):
        raise UserError(
            f"log_mel.bands = {options.bands}: {empty} of them lie between two frequencies of a window of"
            f" {options.window_s:g} s; take fewer bands, or a longer log_mel.window_s"
        )
    return filters.astype(np.float32)
