"""The mel power spectrogram that DeepEmoCluster was trained on: 32 ms windows every 16 ms, no logarithm.

As the published code computes it: librosa 0.7, `melspectrogram(signal / max|signal|, sr=16000, n_fft=512,
hop_length=256, n_mels=128)`.
"""

import numpy as np
from numpy.typing import NDArray

from avpretext.config import LogMelOptions
from avpretext.sound.log_mel import hann, mel_filters

HOP_SAMPLES = 256
"""At 16 kHz: 16 ms."""

OPTIONS = LogMelOptions(bands=128, window_s=0.032, low_hz=0.0, high_hz=8000.0)
"""Window and bands; of `log_mel` nothing else is done."""

SMALLEST = 1 / 32768
"""Of full scale, in samples of 16 bit: any signal but silence reaches it."""

Floats = NDArray[np.float32]


class MelPower:
    """Computes spectrograms; may be asked from several threads."""

    def __init__(self, options: LogMelOptions = OPTIONS, hop: int = HOP_SAMPLES) -> None:
        self._window, self._filters, self._hop = hann(options.window_s), mel_filters(options), hop

    def of(self, signal: Floats) -> Floats:
        """Return value[k, b] = sum_f filters[b, f] |X_k(f)|^2 of a signal divided by its largest absolute value.

        X_k is the discrete Fourier transform of the signal times the periodic Hann window, which is centred at sample
        256 k; the signal is reflected at both ends, its last sample not repeated. Silence stays 0 (published: NaN).

        Parameters
        ----------
        signal
            Shape (samples,), 16 kHz, more than 256 of them.

        Returns
        -------
        float32 array, shape (1 + samples // 256, bands).
        """
        size = len(self._window)
        peak = np.abs(signal).max()
        # In double precision: a band may be a millionth of another, and is normalised by itself.
        reflected = np.pad(signal.astype(np.float64) / max(peak, SMALLEST), size // 2, mode="reflect")
        around = np.lib.stride_tricks.sliding_window_view(reflected, size)[:: self._hop]
        spectrum = np.fft.rfft(around * self._window)
        power: Floats = ((np.square(spectrum.real) + np.square(spectrum.imag)) @ self._filters.T).astype(np.float32)
        return power
