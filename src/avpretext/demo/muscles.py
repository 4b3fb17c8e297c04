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

_DOWN = np.array([0.0, 1.0], np.float32)


def displacements(face: Face, pixels: Field, layer: Layer) -> Field:
    """Return how far each movement at intensity 1 carries points (N, 2) of the image, on one side of the slits.

    They are in pixels, (movements, N, 2), in the order of `MOVEMENTS`.
    """
    skin = _Skin(to_face_units(face, face.points), face.depth, to_face_units(face, pixels), layer)
    fields = {**skin.brows(), **skin.eyes_and_nose(), **skin.mouth(), **skin.turns()}
    stacked = np.stack([fields[movement] for movement in MOVEMENTS])
    return (stacked * face.eye_distance).astype(np.float32)


def to_face_units(face: Face, pixels: Field) -> Field:
    """Pixels (N, 2) to eye distances from the point between the eyes."""
    centre = face.points[list(mesh.IRISES)].mean(axis=0)
    return np.asarray((pixels - centre) / face.eye_distance, np.float32)


@dataclass(frozen=True)
class _Skin:
    """Points of the skin, `at` (N, 2), on one side of the slits, and the landmarks of the face; in eye distances."""

    points: Field  # (478, 2)
    depth: NDArray[np.float32]  # (478,)
    at: Field
    layer: Layer

    @property
    def is_lower(self) -> bool:
        return self.layer == "lower"

    @property
    def between_lips(self) -> Field:
        """Middle of the line between the lips."""
        return np.asarray(self.points[[13, 14]].mean(axis=0))

    def bump(self, centre: Field, width: float, height: float, move: tuple[float, float]) -> Field:
        """A Gaussian hill of displacement around a point."""
        square = ((self.at - centre) / (width, height)) ** 2
        return np.asarray(np.exp(-0.5 * square.sum(axis=1))[:, None] * np.array(move), np.float32)

    def pair(
        self,
        indices: tuple[int, int],
        width: float,
        height: float,
        move: tuple[float, float],
        offset: tuple[float, float] = (0.0, 0.0),
    ) -> Field:
        """The same bump on both sides; move and offset are written for the side of image right (outwards is +x)."""
        left, right = (self.points[index] for index in indices)
        flipped = np.array([-1.0, 1.0])
        mirrored = self.bump(left + offset * flipped, width, height, (-move[0], move[1]))
        return mirrored + self.bump(right + offset, width, height, move)

    def brows(self) -> dict[str, Field]:
        """Brow raisers and lowerer; about 8 mm at full intensity."""
        inner, middle = mesh.INNER_BROWS, mesh.MIDDLE_BROWS
        return {
            "AU01": self.pair(inner, 0.2, 0.22, (0.0, -0.17), (0.0, -0.03)),
            "AU02": self.pair(mesh.OUTER_BROWS, 0.24, 0.22, (0.0, -0.16), (-0.06, -0.04)),
            "AU04": self.pair(inner, 0.2, 0.16, (-0.06, 0.13)) + self.pair(middle, 0.2, 0.14, (-0.02, 0.09)),
        }

    def lids(self) -> NDArray[np.float32]:
        """How far the lid of this layer moves in full, and how that fades towards brow or cheek; 0 beside the eyes."""
        if self.is_lower:
            return np.zeros(len(self.at), np.float32)
        gap = np.zeros(len(self.at))  # height of the open eye above or below each point
        for upper, lower in zip(mesh.UPPER_LIDS, mesh.LOWER_LIDS, strict=True):
            top, bottom = self.points[upper], self.points[lower]
            x = np.sort(top[:, 0])
            height = np.interp(x, bottom[:, 0], bottom[:, 1]) - np.interp(x, top[:, 0], top[:, 1])
            gap += np.interp(self.at[:, 0], x, np.maximum(height, 0), left=0.0, right=0.0)
        line = self.points[np.ravel(mesh.UPPER_LIDS if self.layer == "upper" else mesh.LOWER_LIDS)]
        order = np.argsort(line[:, 0])
        y = self.at[:, 1] - np.interp(self.at[:, 0], line[order, 0], line[order, 1])
        away = np.maximum(-y / 0.13, 0) if self.layer == "upper" else np.maximum(y / 0.16, 0)
        return np.asarray(np.exp(-0.5 * away**2) * gap.astype(np.float32), np.float32)

    def eyes_and_nose(self) -> dict[str, Field]:
        """Lids in shares of the eye's opening; cheek and nose by landmarks."""
        lid = self.lids()[:, None] * _DOWN
        shut, widen, tighten, pushed = {
            "upper": (0.97, -0.45, 0.16, 0.0),
            "centre": (-0.03, 0.05, -0.36, -0.32),
            "lower": (0.0, 0.0, 0.0, 0.0),
        }[self.layer]
        nostrils = self.pair(mesh.NOSTRILS, 0.16, 0.16, (0.04, -0.1))
        root = self.bump(self.points[mesh.NOSE_ROOT], 0.2, 0.2, (0.0, 0.05))
        lip = np.zeros_like(self.at) if self.is_lower else self.pair((37, 267), 0.14, 0.12, (0.0, -0.05))
        return {
            "AU05": lid * widen,
            "AU06": self.pair(mesh.CHEEKS, 0.26, 0.2, (0.03, -0.13)) + lid * pushed,
            "AU07": lid * tighten,
            "AU09": nostrils + root + lip,
            "AU43": lid * shut,
        }

    def lip(self, reach: float) -> Field:
        """Along the line between the lips: 1 down in the middle, 0 from the corners on; fading over `reach` from it."""
        left, right = self.points[list(mesh.MOUTH_CORNERS), 0]
        half_width = float(right - left) / 2
        along = np.clip(1 - ((self.at[:, 0] - self.between_lips[0]) / half_width) ** 2, 0, 1) ** 0.75
        line = self.points[mesh.INNER_LIP_LOWER]
        y = self.at[:, 1] - np.interp(self.at[:, 0], line[:, 0], line[:, 1])
        away = np.maximum(y if self.is_lower else -y, 0) / reach
        return np.asarray(along * np.exp(-0.5 * away**2), np.float32)[:, None] * _DOWN

    def mouth(self) -> dict[str, Field]:
        """Upper lip, corners, chin, lips and jaw."""
        corners, cheeks, nostrils = mesh.MOUTH_CORNERS, mesh.CHEEKS, mesh.NOSTRILS
        near, far, nothing = self.lip(0.22), self.lip(0.5), np.zeros_like(self.at)
        # Lips pressed and rolled in: each slides towards the line between them.
        press = self.lip(0.12) * (-1.0 if self.is_lower else 1.0) * 0.085
        upper_lip = self.pair((39, 269), 0.2, 0.16, (0.0, -0.1)) - 0.02 * near
        folds = self.pair(nostrils, 0.14, 0.14, (0.04, -0.03), (0.1, 0.05))
        return {
            "AU10": nothing if self.is_lower else upper_lip + folds,
            "AU12": self.pair(corners, 0.2, 0.2, (0.13, -0.16)) + self.pair(cheeks, 0.24, 0.2, (0.03, -0.04)),
            "AU15": self.pair(corners, 0.2, 0.2, (0.05, 0.17)),
            "AU17": self.bump(self.points[mesh.CHIN_BOSS], 0.28, 0.22, (0.0, -0.1)) - 0.075 * near,
            "AU20": self.pair(corners, 0.18, 0.18, (0.17, 0.03)),
            "AU23": self.pair(corners, 0.16, 0.16, (-0.09, 0.0)) + press * 0.4,
            "AU24": press,
            "AU25": near * (0.11 if self.is_lower else -0.05),
            "AU26": self.jaw() + (far * 0.26 if self.is_lower else nothing),
            "round": self.pair(corners, 0.18, 0.16, (-0.13, 0.0)) + near * (0.03 if self.is_lower else -0.03),
        }

    def jaw(self) -> Field:
        """The jaw drops: nothing at the height of the mouth, all of it at the chin, less towards ears and neck."""
        middle, chin = self.between_lips, self.points[mesh.CHIN]
        share = np.clip((self.at[:, 1] - middle[1]) / (chin[1] - middle[1]), 0, None)
        drop = np.where(share < 1, share**2 * (3 - 2 * share), np.exp(-0.5 * ((share - 1) / 0.8) ** 2))
        beside = np.exp(-0.5 * ((self.at[:, 0] - chin[0]) / 0.75) ** 4)
        field = (0.26 * drop * beside)[:, None] * np.array([0.0, 1.0])
        return np.asarray(field + self.pair(mesh.MOUTH_CORNERS, 0.16, 0.16, (-0.03, 0.05)), np.float32)

    def turns(self) -> dict[str, Field]:
        """Turns of the head by 1 radian, for small angles: what is nearer to the camera moves further."""
        weight = np.exp(-0.5 * ((self.at[:, None] - self.points[None]) ** 2).sum(-1) / 0.15**2)
        nearness = (-(weight @ self.depth) / (weight.sum(axis=1) + 0.5))[:, None]
        return {"yaw": (nearness * _DOWN[::-1]).astype(np.float32), "pitch": (nearness * _DOWN).astype(np.float32)}
