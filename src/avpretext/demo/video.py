"""Frames and sound to an mp4 file, the same bytes for the same input."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext.demo.voice import RATE_HZ, Samples
from avpretext.media.encode import write_mp4


def write_clip(path: Path, frames: NDArray[np.uint8], fps: float, sound: Samples) -> None:
    """Write an mp4 with H.264 and AAC.

    Parameters
    ----------
    path
        The file; it appears whole or not at all.
    frames
        RGB, (frames, height, width, 3).
    fps
        Frames per second.
    sound
        float32, full scale 1, at `voice.RATE_HZ`.
    """
    height, width = frames.shape[1:3]
    write_mp4(path, frames, (width, height), fps, (sound * 32767).astype(np.int16), RATE_HZ)
