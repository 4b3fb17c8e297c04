"""What each action unit does to a face: smooth displacement fields around its landmarks.

After Waters (1987), "A muscle model for animating three-dimensional facial expression": each muscle moves the skin
around a point by an amount that falls off with distance. Coordinates are in eye distances (between the irises; about
63 mm), the origin between the eyes, y downwards, so every field fits every face.

A face has slits, where skin slides against skin: between the lids and between the lips. So there are three layers of
fields, each smooth: `upper` (above the eyes), `centre` (from lower lids to upper lip), `lower` (lower lip and jaw).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avpretext.demo import mesh
from avpretext.demo.portrait import Face

Field = NDArray[np.float32]
Layer = Literal["upper", "centre", "lower"]

ACTION_UNITS = (
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU12",
    "AU15", "AU17", "AU20", "AU23", "AU24", "AU25", "AU26", "AU43",
)  # fmt: skip
"""The action units that this face can show, by their FACS numbers."""

MOVEMENTS = (*ACTION_UNITS, "round", "yaw", "pitch")
"""Everything that moves the skin: action units, rounded lips (of speech, AU18), small turns of the head."""

PRESSING = ("AU23", "AU24")
"""Movements that roll the lips in: the skin slides under the line between the lips, and the line stays."""


@dataclass(frozen=True)
class _Anchors:
    """Landmarks of one face (478, 2) and what follows from them, in eye distances."""

    points: Field
    depth: NDArray[np.float32]

    def mean(self, *indices: int) -> NDArray[np.float32]:
        return np.asarray(self.points[list(indices)].mean(axis=0))

    def mouth(self) -> tuple[NDArray[np.float32], float]:
        """Middle of the line between the lips and half its width."""
        left, right = self.points[mesh.MOUTH_CORNERS[0]], self.points[mesh.MOUTH_CORNERS[1]]
        return self.mean(13, 14), float(right[0] - left[0]) / 2


def to_face_units(face: Face, pixels: Field) -> Field:
    """Pixels (N, 2) to eye distances from the point between the eyes."""
    centre = face.points[list(mesh.IRISES)].mean(axis=0)
    return np.asarray((pixels - centre) / face.eye_distance, np.float32)


def displacements(face: Face, pixels: Field, layer: Layer) -> Field:
    """How far each movement at intensity 1 carries the skin at some points.

    Parameters
    ----------
    face
        The face at rest.
    pixels
        Points of the image, (N, 2).
    layer
        Which side of the slits the points are taken to be on.

    Returns
    -------
    ndarray
        Displacements in pixels, (movements, N, 2), in the order of `MOVEMENTS`.
    """
    anchors = _Anchors(to_face_units(face, face.points), face.depth)
    at = to_face_units(face, pixels)
    fields = {
        **_brows(anchors, at),
        **_eyes_and_nose(anchors, at, layer),
        **_mouth(anchors, at, layer),
        **_turns(anchors, at),
    }
    stacked = np.stack([fields[movement] for movement in MOVEMENTS])
    return (stacked * face.eye_distance).astype(np.float32)


def _bump(at: Field, centre: NDArray[np.float32], width: float, height: float, move: tuple[float, float]) -> Field:
    """A Gaussian hill of displacement around a point."""
    square = ((at - centre) / (width, height)) ** 2
    return np.asarray(np.exp(-0.5 * square.sum(axis=1))[:, None] * np.array(move), np.float32)


def _pair(
    anchors: _Anchors,
    at: Field,
    indices: tuple[int, int],
    width: float,
    height: float,
    move: tuple[float, float],
    offset: tuple[float, float] = (0.0, 0.0),
) -> Field:
    """The same bump on both sides; the move and the offset are written for the side of image right (outwards is +x)."""
    left, right = (anchors.points[index] for index in indices)
    flipped = np.array([-1.0, 1.0])
    mirrored = _bump(at, left + offset * flipped, width, height, (-move[0], move[1]))
    return mirrored + _bump(at, right + offset, width, height, move)


def _brows(anchors: _Anchors, at: Field) -> dict[str, Field]:
    """Brow raisers and lowerer; about 8 mm at full intensity."""
    inner, middle, outer = mesh.INNER_BROWS, mesh.MIDDLE_BROWS, mesh.OUTER_BROWS
    return {
        "AU01": _pair(anchors, at, inner, 0.2, 0.22, (0.0, -0.17), (0.0, -0.03)),
        "AU02": _pair(anchors, at, outer, 0.24, 0.22, (0.0, -0.16), (-0.06, -0.04)),
        "AU04": (
            _pair(anchors, at, inner, 0.2, 0.16, (-0.06, 0.13)) + _pair(anchors, at, middle, 0.2, 0.14, (-0.02, 0.09))
        ),
    }


def _lid_gap(anchors: _Anchors, at: Field) -> NDArray[np.float32]:
    """Height of the open eye above or below each point, 0 beside the eyes."""
    gap = np.zeros(len(at))
    for upper, lower in zip(mesh.UPPER_LIDS, mesh.LOWER_LIDS, strict=True):
        top, bottom = anchors.points[upper], anchors.points[lower]
        x = np.sort(top[:, 0])
        height = np.interp(x, bottom[:, 0], bottom[:, 1]) - np.interp(x, top[:, 0], top[:, 1])
        gap += np.interp(at[:, 0], x, np.maximum(height, 0), left=0.0, right=0.0)
    return gap.astype(np.float32)


def _lids(anchors: _Anchors, at: Field, layer: Layer) -> NDArray[np.float32]:
    """Where the lid of this layer is moved in full (1) and how that fades towards brow or cheek."""
    if layer == "lower":
        return np.zeros(len(at), np.float32)
    eyes = mesh.UPPER_LIDS if layer == "upper" else mesh.LOWER_LIDS
    line = np.concatenate([anchors.points[eye] for eye in eyes])
    order = np.argsort(line[:, 0])
    y = at[:, 1] - np.interp(at[:, 0], line[order, 0], line[order, 1])
    away = np.maximum(-y / 0.13, 0) if layer == "upper" else np.maximum(y / 0.16, 0)
    return np.asarray(np.exp(-0.5 * away**2) * _lid_gap(anchors, at), np.float32)


def _eyes_and_nose(anchors: _Anchors, at: Field, layer: Layer) -> dict[str, Field]:
    """Lids in shares of the eye's opening; cheek and nose by landmarks."""
    lid = _lids(anchors, at, layer)[:, None] * np.array([0.0, 1.0], np.float32)
    shut, widen, tighten = {
        "upper": (0.97, -0.45, 0.16),
        "centre": (-0.03, 0.05, -0.36),
        "lower": (0.0, 0.0, 0.0),
    }[layer]
    cheek = _pair(anchors, at, mesh.CHEEKS, 0.26, 0.2, (0.03, -0.13)) + lid * (-0.32 if layer == "centre" else 0.0)
    nostrils = _pair(anchors, at, mesh.NOSTRILS, 0.16, 0.16, (0.04, -0.1))
    root = _bump(at, anchors.points[mesh.NOSE_ROOT], 0.2, 0.2, (0.0, 0.05))
    lip = _pair(anchors, at, (37, 267), 0.14, 0.12, (0.0, -0.05)) if layer != "lower" else np.zeros_like(at)
    return {
        "AU05": lid * widen,
        "AU06": cheek,
        "AU07": lid * tighten,
        "AU09": nostrils + root + lip,
        "AU43": lid * shut,
    }


def _lip(anchors: _Anchors, at: Field, layer: Layer, reach: float) -> NDArray[np.float32]:
    """Along the line between the lips: 1 in the middle, 0 from the corners on; fading over `reach` away from it."""
    middle, half_width = anchors.mouth()
    along = np.clip(1 - ((at[:, 0] - middle[0]) / half_width) ** 2, 0, 1) ** 0.75
    line = anchors.points[mesh.INNER_LIP_LOWER]
    y = at[:, 1] - np.interp(at[:, 0], line[:, 0], line[:, 1])
    away = np.maximum(y if layer == "lower" else -y, 0) / reach
    return np.asarray(along * np.exp(-0.5 * away**2), np.float32)


def _mouth(anchors: _Anchors, at: Field, layer: Layer) -> dict[str, Field]:
    """Upper lip, corners, chin, lips and jaw."""
    corners = mesh.MOUTH_CORNERS
    down = np.array([0.0, 1.0], np.float32)
    is_lower = layer == "lower"
    near, far = _lip(anchors, at, layer, 0.22)[:, None] * down, _lip(anchors, at, layer, 0.5)[:, None] * down
    nothing = np.zeros_like(at)
    upper_lip = _pair(anchors, at, (39, 269), 0.2, 0.16, (0.0, -0.1)) - 0.02 * near
    folds = _pair(anchors, at, mesh.NOSTRILS, 0.14, 0.14, (0.04, -0.03), (0.1, 0.05))
    jaw = _jaw(anchors, at)
    return {
        "AU10": nothing if is_lower else upper_lip + folds,
        "AU12": (
            _pair(anchors, at, corners, 0.2, 0.2, (0.13, -0.16))
            + _pair(anchors, at, mesh.CHEEKS, 0.24, 0.2, (0.03, -0.04))
        ),
        "AU15": _pair(anchors, at, corners, 0.2, 0.2, (0.05, 0.17)),
        "AU17": _bump(at, anchors.mean(mesh.CHIN_BOSS), 0.28, 0.22, (0.0, -0.1)) - 0.075 * near,
        "AU20": _pair(anchors, at, corners, 0.18, 0.18, (0.17, 0.03)),
        "AU23": _pair(anchors, at, corners, 0.16, 0.16, (-0.09, 0.0)) + _press(anchors, at, layer) * 0.4,
        "AU24": _press(anchors, at, layer),
        "AU25": near * (0.11 if is_lower else -0.05),
        "AU26": jaw + (far * 0.26 if is_lower else nothing),
        "round": _pair(anchors, at, corners, 0.18, 0.16, (-0.13, 0.0)) + near * (0.03 if is_lower else -0.03),
    }


def _press(anchors: _Anchors, at: Field, layer: Layer) -> Field:
    """Lips pressed and rolled in: each slides towards the line between them."""
    sign = {"upper": 1.0, "centre": 1.0, "lower": -1.0}[layer]
    return (_lip(anchors, at, layer, 0.12) * sign * 0.085)[:, None] * np.array([0.0, 1.0], np.float32)


def _jaw(anchors: _Anchors, at: Field) -> Field:
    """The jaw drops: nothing at the height of the mouth, all of it at the chin, less towards the ears and the neck."""
    middle, chin = anchors.mouth()[0], anchors.points[mesh.CHIN]
    share = np.clip((at[:, 1] - middle[1]) / (chin[1] - middle[1]), 0, None)
    drop = np.where(share < 1, share**2 * (3 - 2 * share), np.exp(-0.5 * ((share - 1) / 0.8) ** 2))
    beside = np.exp(-0.5 * ((at[:, 0] - chin[0]) / 0.75) ** 4)
    field = (0.26 * drop * beside)[:, None] * np.array([0.0, 1.0])
    return np.asarray(field + _pair(anchors, at, mesh.MOUTH_CORNERS, 0.16, 0.16, (-0.03, 0.05)), np.float32)


def _turns(anchors: _Anchors, at: Field) -> dict[str, Field]:
    """Turns of the head by 1 radian, for small angles: what is nearer to the camera moves further."""
    weight = np.exp(-0.5 * ((at[:, None] - anchors.points[None]) ** 2).sum(-1) / 0.15**2)
    nearness = -(weight @ anchors.depth) / (weight.sum(axis=1) + 0.5)
    zero = np.zeros_like(nearness)
    return {
        "yaw": np.column_stack([nearness, zero]).astype(np.float32),
        "pitch": np.column_stack([zero, nearness]).astype(np.float32),
    }
