"""Small pictures of each clip's face, kept while its frames are there, for people to look at once its label is known.

Which frame shows a label best is known only after the labels are made, when the frames are gone. So for each direction
in which faces move, such as a smile (`action_units.expressions`), the frame that goes furthest is kept. They are
candidates: an edit of the formulas puts none of them out of date.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avpretext.face.points import dlib_points
from avpretext.face.tracker import Face

Picture = NDArray[np.uint8]

Strength = Callable[[NDArray[np.floating], NDArray[np.floating]], NDArray[np.floating]]
"""From points (F, 68, 3), in pixels, and blendshapes (F, 52) to how far each frame goes in each direction, (F, D)."""

PIXELS = 112
"""Width and height of a thumbnail."""

MARGIN = 1.25
"""Side of the square that is cut out, in sides of the box around the landmarks."""

JPEG_QUALITY = 80

BLOCK = 64
"""Frames that wait until they are measured together: 59 MB of 640 x 480 pixels."""


class Thumbnails:
    """The frames of one clip that go furthest in each direction, cut to the face.

    No more than `BLOCK` frames and one per direction are held, however long the clip is.
    """

    def __init__(self, strength: Strength) -> None:
        self._strength = strength
        self._waiting: list[tuple[int, float, Picture, Face]] = []
        self._best: dict[int, tuple[float, int, float, Picture]] = {}

    def offer(self, frame: int, time_s: float, image: Picture | None, face: Face | None) -> None:
        """Look at one frame: RGB, shape (height, width, 3), and the face in it; None: there is none."""
        if image is None or face is None:
            return
        self._waiting.append((frame, time_s, image, face))
        if len(self._waiting) >= BLOCK:
            self._measure()

    def rows(self, clip_id: str) -> list[dict[str, Any]]:
        """Return the rows of the clip, `landmarks.thumbnails`, each frame once, in order."""
        self._measure()
        chosen = {frame: (frame, time_s, jpeg(picture)) for _, frame, time_s, picture in self._best.values()}
        return picture_rows(clip_id, (chosen[frame] for frame in sorted(chosen)))

    def _measure(self) -> None:
        """Find the furthest of the frames that wait, and forget the others."""
        if not self._waiting:
            return
        points = np.stack([dlib_points(face.landmarks) for *_, face in self._waiting])
        strength = self._strength(points, np.stack([face.blendshapes for *_, face in self._waiting]))
        for way, place in enumerate(strength.argmax(axis=0)):
            found = float(strength[place, way])
            if way not in self._best or found > self._best[way][0]:
                frame, time_s, image, face = self._waiting[place]
                self._best[way] = (found, frame, time_s, cut_face(image, face.landmarks))
        self._waiting = []


def cut_face(image: Picture, landmarks: NDArray[np.floating]) -> Picture:
    """Return the square of an image (height, width, 3) around the face, `PIXELS` wide; it stays within the picture.

    `landmarks` (N, 3) are in pixels.
    """
    left, top, side = face_square(image.shape, landmarks)
    cut = image[top : top + side, left : left + side]
    return np.asarray(cv2.resize(cut, (PIXELS, PIXELS), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def face_square(shape: Sequence[int], landmarks: NDArray[np.floating]) -> tuple[int, int, int]:
    """Return left, top and side of the square around the face, in a picture of shape (height, width, ...)."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    height, width = shape[:2]
    side = int(np.clip(round(MARGIN * float((high - low).max())), 2, min(height, width)))
    left, top = (int(np.clip(round(float(c) - side / 2), 0, most)) for c, most in
                 zip((low + high) / 2, (width - side, height - side), strict=True))  # fmt: skip
    return left, top, side


def picture_rows(clip_id: str, pictures: Iterable[tuple[int, float, bytes]]) -> list[dict[str, Any]]:
    """Return the rows of a clip's pictures: number of the frame, time in seconds, JPEG of each."""
    return [
        {"clip_id": clip_id, "frame": frame, "time_s": time_s, "image": {"bytes": content, "path": None}}
        for frame, time_s, content in pictures
    ]


def jpeg(picture: Picture, quality: int = JPEG_QUALITY) -> bytes:
    """Return an RGB picture as JPEG."""
    _, content = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(content)
