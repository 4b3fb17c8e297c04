"""Whether anybody speaks in what is heard, frame by frame, so that a row of silence is not taken for an emotion."""

import numpy as np
from numpy.typing import NDArray

from avpretext.flow.schemas import SAMPLES_PER_FRAME
from avpretext.media.voice_activity import BLOCK_SAMPLES, VoiceActivity
from avpretext.sound.live import Part, Samples

PROBABILITY = 0.5
"""Of speech, above which a frame counts as spoken."""

CLEAR_SHARE = 0.25
"""A part with as much speech is believed; else it is listened to once more at `LEVEL`."""

LEVEL = 0.02
"""Root mean square, of full scale, at which the network is the surest: speech below .002 and screams escape it."""

MAX_GAIN = 1000.0
LOUD_SHARE = 0.05
"""The level of a part is that which its loudest blocks exceed: this share of it, so that clicks do not decide."""

Floats = NDArray[np.float32]


def spoken(part: Part) -> Floats:
    """Return 1 for each frame of a part in which somebody speaks, else 0, shape (stop - first,)."""
    middles = np.arange(part.first, part.stop) * SAMPLES_PER_FRAME + SAMPLES_PER_FRAME // 2
    blocks = np.minimum(middles, len(part.samples) - 1) // BLOCK_SAMPLES
    return np.asarray((probabilities(part.samples) > PROBABILITY)[blocks], np.float32)


def probabilities(samples: Samples) -> Floats:
    """Return the probability of speech of each block of `BLOCK_SAMPLES`, whatever the level of the sound."""
    found = VoiceActivity().probabilities(samples)
    if (found > PROBABILITY).mean() >= CLEAR_SHARE or not samples.any():
        return found
    return np.maximum(found, VoiceActivity().probabilities(at_level(samples)))


def at_level(samples: Samples) -> Samples:
    """Return sound without its mean, louder or softer."""
    centred = samples - samples.mean(dtype=np.float64)
    blocks = np.pad(centred, (0, -len(centred) % BLOCK_SAMPLES)).reshape(-1, BLOCK_SAMPLES)
    level = np.quantile(np.sqrt(np.square(blocks).mean(axis=1)), 1 - LOUD_SHARE) / 32768
    gain = min(LEVEL / max(level, 1e-9), MAX_GAIN)
    return np.asarray(np.clip(np.rint(centred * gain), -32767, 32767), np.int16)
