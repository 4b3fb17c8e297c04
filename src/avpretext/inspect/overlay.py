"""A face with its landmarks: which part of the picture is shown, and the lines drawn on it."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from avpretext.face.points import dlib_points
from avpretext.report.clip import FACE_LINES

Picture = NDArray[np.uint8]

LINE, DOT, SHADOW = (98, 234, 255), (255, 255, 255), (12, 34, 43)
"""RGB: the 68 points' lines, the other points, and what sets both off against light skin."""

_SHIFT = 6
"""Bits after the binary point of the coordinates that OpenCV draws with: a 64th of a pixel."""

_DOT_RADIUS = round(0.6 * (1 << _SHIFT))

FINE = 360
"""On pictures lower than so many pixels the lines stand alone: more would hide lips and lids."""

ROOM = 0.35
"""Kept around the face when a picture is cut to it, in sides of the box of all its landmarks."""


class View(NamedTuple):
    """The part of a picture that is shown: left, top, width, height in its pixels, and how much larger it is drawn."""

    left: int
    top: int
    width: int
    height: int
    scale: float

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as drawn."""
        return max(1, round(self.width * self.scale)), max(1, round(self.height * self.scale))


def view_of(size: tuple[int, int], points: NDArray[np.floating] | None, box: tuple[int, int], whole: bool) -> View:
    """Return what is shown of every picture of a clip, so that it fits a box: the same part of each.

    `size` and `box` are width and height; points (frames, N, 3), NaN without a face, are where the face goes in the
    clip. `whole`: all of the picture; else it is cut to where the face goes, with room around it.
    """
    left, top, right, bottom = 0, 0, *size
    if not whole and points is not None and np.isfinite(points).any():
        x, y = points[..., 0], points[..., 1]
        room = ROOM * max(np.nanmax(x) - np.nanmin(x), np.nanmax(y) - np.nanmin(y))
        left, right = _within(np.nanmin(x) - room, np.nanmax(x) + room, size[0])
        top, bottom = _within(np.nanmin(y) - room, np.nanmax(y) + room, size[1])
    width, height = right - left, bottom - top
    return View(left, top, width, height, min(box[0] / width, box[1] / height))


def _within(low: float, high: float, most: int) -> tuple[int, int]:
    """Return whole pixels of a stretch, kept within the picture and at least two wide."""
    first = int(np.clip(np.floor(low), 0, most - 2))
    return first, int(np.clip(np.ceil(high), first + 2, most))


def drawn(picture: Picture, points: NDArray[np.floating] | None, view: View) -> Picture:
    """Return the part of an RGB picture (height, width, 3) that is shown, enlarged, with the landmarks on it.

    Points (N, 3) are in pixels: 0 is the left edge of the first pixel, as MediaPipe counts; NaN or None: no face.
    """
    cut = picture[view.top : view.top + view.height, view.left : view.left + view.width]
    method = cv2.INTER_CUBIC if view.scale > 1 else cv2.INTER_AREA
    shown = np.ascontiguousarray(cv2.resize(cut, view.size, interpolation=method), dtype=np.uint8)
    if points is not None and np.isfinite(points).all():
        _draw(shown, placed(points, view), fine=view.size[1] < FINE)
    return shown


def placed(points: NDArray[np.floating], view: View) -> NDArray[np.float64]:
    """Return where points lie in the picture as it is shown, for OpenCV, to which 0 is the middle of the first pixel.

    >>> placed(np.array([[0.5, 0.5, 0.0], [12.0, 10.0, 0.0]]), View(0, 0, 100, 100, 1.0))
    array([[ 0. ,  0. ],
           [11.5,  9.5]])
    """
    exact = np.array([view.size[0] / view.width, view.size[1] / view.height])
    inside: NDArray[np.float64] = (points[:, :2].astype(np.float64) - [view.left, view.top]) * exact - 0.5
    return inside


def _draw(shown: Picture, points: NDArray[np.float64], fine: bool) -> None:
    """Draw the lines of the 68 points; on pictures that have room for it also what sets them off, and all points."""
    lines = _fixed(dlib_points(points))
    paths = [lines[list(line)].reshape(-1, 1, 2) for line in FACE_LINES]
    if not fine:
        cv2.polylines(shown, paths, False, SHADOW, 3, cv2.LINE_AA, _SHIFT)
    cv2.polylines(shown, paths, False, LINE, 1, cv2.LINE_AA, _SHIFT)
    if not fine and len(points) > len(lines):
        for x, y in _fixed(points).tolist():
            cv2.circle(shown, (x, y), _DOT_RADIUS, DOT, -1, cv2.LINE_AA, _SHIFT)


def _fixed(points: NDArray[np.floating]) -> NDArray[np.int32]:
    """Return points as OpenCV draws them to a fraction of a pixel: whole numbers of 64ths."""
    return np.round(points * (1 << _SHIFT)).astype(np.int32)
