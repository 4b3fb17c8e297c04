"""A lower face drawn from its points: lips, jaw, cheeks, with eyes and nose of a plain head for orientation."""

import cv2
import numpy as np
from numpy.typing import NDArray

from avpretext.face.geometry import HEAD
from avpretext.face.points import OROFACIAL

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

LEFT, TOP, SPAN = -0.86, -0.4, 1.72
"""What a square picture shows of the upright face, in inter-ocular distances: from this corner, so wide and high."""

_PAPER: Colour = (250, 248, 244)
_INK: Colour = (60, 60, 68)
_FAINT: Colour = (196, 192, 186)
_LIPS: Colour = (196, 98, 98)
_INSIDE: Colour = (70, 24, 28)
_SHIFT = 4
"""Bits of a pixel's fractions, so that small movements are seen."""


def draw(shape: NDArray[np.floating], size: int, title: str = "") -> Picture:
    """Return an RGB picture (size, size, 3) of a lower face, a title on top.

    The shape (P, 2) has `OROFACIAL_POINTS` on the upright face, in inter-ocular distances; NaN: no face was found.
    """
    picture = np.full((size, size, 3), _PAPER, np.uint8)
    _write(picture, title, (size // 30, size // 12), size / 620)
    if not np.isfinite(shape).all():
        _write(picture, "no face found", (size // 3, size // 2), size / 700)
        return picture
    _draw_head(picture)
    lips, jaw, cheeks = np.split(shape, np.cumsum([len(OROFACIAL["lips"]), len(OROFACIAL["jaw"])]))
    outer, inner = lips[:20], lips[20:]
    _line(picture, jaw[:9], _INK)
    for outline, colour in ((outer, _LIPS), (inner, _INSIDE)):
        cv2.fillPoly(picture, [_pixels(outline, size)], colour, 16, _SHIFT)
    for outline in (outer, inner):
        _line(picture, outline, _INK, closed=True)
    for x, y in _pixels(np.concatenate([jaw[9:], cheeks]), size)[:, 0].tolist():
        cv2.circle(picture, (x, y), max(1, size // 160) << _SHIFT, _FAINT, -1, cv2.LINE_AA, _SHIFT)
    return picture


def _draw_head(picture: Picture) -> None:
    """Draw corners of the eyes and the bridge of a plain head: they never move."""
    bridge, eyes = HEAD[4:8, :2], HEAD[8:12, :2]
    _line(picture, bridge, _FAINT)
    for corners in (eyes[:2], eyes[2:]):
        middle, width = corners.mean(axis=0), abs(corners[1, 0] - corners[0, 0]) / 2
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        _line(picture, middle + width * np.stack([np.cos(angles), 0.4 * np.sin(angles)], axis=1), _FAINT, closed=True)


def _pixels(points: NDArray[np.floating], size: int) -> NDArray[np.int32]:
    placed = (points - (LEFT, TOP)) / SPAN * size * (1 << _SHIFT)
    return np.round(placed).astype(np.int32).reshape(-1, 1, 2)


def _line(picture: Picture, points: NDArray[np.floating], colour: Colour, closed: bool = False) -> None:
    size = len(picture)
    cv2.polylines(picture, [_pixels(points, size)], closed, colour, max(1, size // 220), cv2.LINE_AA, _SHIFT)


def _write(picture: Picture, text: str, at: tuple[int, int], size: float) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, _INK, 1, cv2.LINE_AA)


def fitted(image: Picture, size: int, title: str) -> Picture:
    """Return a picture made to fit a square of this size, with a title below which it stands."""
    height, width = image.shape[:2]
    scale = size / max(height, width)
    small = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    square = np.full((size, size, 3), _PAPER, np.uint8)
    top, left = (size - small.shape[0]) // 2, (size - small.shape[1]) // 2
    square[top : top + small.shape[0], left : left + small.shape[1]] = small
    strip = size // 8
    square[:strip] = (square[:strip] * 0.25 + np.array(_PAPER) * 0.75).astype(np.uint8)
    _write(square, title, (size // 30, size // 12), size / 620)
    return square
