"""A few frames of a few clips of a shard, kept for people to look at when the frames are gone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avpretext.face.landmark_shards import evenly
from avpretext.face.thumbnails import jpeg, picture_rows

CLIPS = 8
FRAMES = 6
"""Of so many clips of a shard so many frames are kept, evenly spaced."""

JPEG_QUALITY = 90


def wanted_clips(clips: Sequence[str]) -> set[str]:
    """Choose the clips of a shard of which frames are kept, evenly spaced in their order."""
    return {clips[place] for place in evenly(len(clips), CLIPS)}


class Preview:
    """Frames of one clip, evenly spaced, of which nobody knows beforehand how many there are.

    Every frame is held at first; when there are twice as many as wanted, every other one is dropped, and of the frames
    that follow as many are passed over. So at most a dozen are held.
    """

    def __init__(self) -> None:
        self._held: list[tuple[int, float, bytes]] = []
        self._step = 1

    def offer(self, frame: int, time_s: float, image: NDArray[np.uint8] | None) -> None:
        """Look at one frame: RGB, shape (height, width, 3); None: it is damaged."""
        if image is None or frame % self._step:
            return
        self._held.append((frame, time_s, jpeg(image, JPEG_QUALITY)))
        if len(self._held) > 2 * FRAMES:
            self._step *= 2
            self._held = [entry for entry in self._held if entry[0] % self._step == 0]

    def rows(self, clip_id: str) -> list[dict[str, Any]]:
        """Return the rows of the clip, `split.frames`."""
        return picture_rows(clip_id, (self._held[place] for place in evenly(len(self._held), FRAMES)))
