"""Frames and sound to an mp4 file, the same bytes for the same input."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.demo.voice import RATE_HZ, Samples
from avpretext.media.encode import write_mp4
from avpretext.media.filters import Samples as Stored
from avpretext.media.filters import resampled, to_16_bit


def write_clip(path: Path, frames: NDArray[np.uint8], fps: float, sound: Samples) -> None:
    """Write an mp4 with H.264 and FLAC of 16 kHz: what `split` decodes is the same on every machine.

    AAC would not do: its decoder computes in 32 bit floating numbers, which end in other digits on another processor.

    Parameters
    ----------
    path
        The file; it appears whole or not at all.
    frames
        RGB, (frames, height, width, 3).
    fps
        Frames per second.
    sound
        Full scale 1, at `voice.RATE_HZ`.
    """
    height, width = frames.shape[1:3]
    write_mp4(path, frames, (width, height), fps, as_stored(sound), SAMPLE_RATE_HZ, lossless=True)


def as_stored(sound: Samples) -> Stored:
    """Return sound at `voice.RATE_HZ` as a clip has it: 16 kHz, 16 bit."""
    return to_16_bit(np.concatenate([*resampled([sound], RATE_HZ)]))
