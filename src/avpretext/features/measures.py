"""What is measured in a face before action units are made of it: distances between landmarks, and blendshapes.

Distances are taken on the upright face (see `geometry`), in distances between the outer eye corners. Heights are
positive upwards from the line through the corners of the eyes, or as their description says. They follow the geometric
features of Tian, Kanade & Cohn, "Recognizing action units for facial expression analysis" (IEEE TPAMI 23(2), 2001),
tables 1 and 2, taken from dlib's 68 points. Blendshapes are the mean of left and right.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avpretext.features import geometry
from avpretext.features.face_tracker import BLENDSHAPES

Floats = NDArray[np.float64]

EYE_LINE = (36, 39, 42, 45)
NOSE_BASE = (32, 33, 34)
NOSE_WINGS = (31, 35)
LIP_CORNERS = (48, 54)


def _y(face: Floats, *points: int) -> Floats:
    """Mean height of some points in each frame, downwards."""
    return np.asarray(face[:, list(points), 1].mean(axis=1))


def _apart(face: Floats, *pairs: tuple[int, int]) -> Floats:
    """Mean distance of some pairs of points in each frame."""
    distances = [np.linalg.norm(face[:, one] - face[:, other], axis=-1) for one, other in pairs]
    return np.asarray(np.mean(distances, axis=0))


@dataclass(frozen=True)
class Distance:
    """A measure on the landmarks.

    Attributes
    ----------
    description
        What it is.
    typical
        Its value on the canonical head that MediaPipe's face model carries, which is at rest.
    of
        The measure itself: from an upright face, shape (F, 68, 3), in eye distances, to shape (F,).
    """

    description: str
    typical: float
    of: Callable[[Floats], Floats]


GEOMETRY: dict[str, Distance] = {
    "inner_brow": Distance("inner brows above the eye line", 0.273, lambda f: _y(f, *EYE_LINE) - _y(f, 20, 21, 22, 23)),
    "outer_brow": Distance("outer brows above the eye line", 0.214, lambda f: _y(f, *EYE_LINE) - _y(f, 17, 18, 25, 26)),
    "brow_slant": Distance(
        "inner brows above outer brows",
        0.059,
        lambda f: _y(f, 17, 18, 25, 26) - _y(f, 20, 21, 22, 23),
    ),
    "brow_gap": Distance("between the inner ends of the brows", 0.314, lambda f: _apart(f, (21, 22))),
    "eye_opening": Distance(
        "between upper and lower lid",
        0.069,
        lambda f: _apart(f, (37, 41), (38, 40), (43, 47), (44, 46)),
    ),
    "upper_lid": Distance("upper lids above the eye line", 0.036, lambda f: _y(f, *EYE_LINE) - _y(f, 37, 38, 43, 44)),
    "lower_lid": Distance("lower lids above the eye line", -0.032, lambda f: _y(f, *EYE_LINE) - _y(f, 40, 41, 46, 47)),
    "nose_wings": Distance(
        "wings of the nose below the eye line", 0.488, lambda f: _y(f, *NOSE_WINGS) - _y(f, *EYE_LINE)
    ),
    "nose_width": Distance("between the wings of the nose", 0.316, lambda f: _apart(f, NOSE_WINGS)),
    "upper_lip": Distance(
        "upper lip below the base of the nose", 0.148, lambda f: _y(f, 50, 51, 52) - _y(f, *NOSE_BASE)
    ),
    "lip_sides": Distance(
        "sides of the upper lip below its middle", 0.016, lambda f: _y(f, 49, 53) - _y(f, 50, 51, 52)
    ),
    "corner_height": Distance(
        "corners of the lips above the middle of the upper lip's lower edge",
        -0.039,
        lambda f: _y(f, 61, 62, 63) - _y(f, *LIP_CORNERS),
    ),
    "corner_drop": Distance(
        "corners of the lips below the eye line",
        0.784,
        lambda f: _y(f, *LIP_CORNERS) - _y(f, *EYE_LINE),
    ),
    "mouth_width": Distance("between the corners of the lips", 0.552, lambda f: _apart(f, LIP_CORNERS)),
    "lip_gap": Distance("between the lips", 0.064, lambda f: _apart(f, (61, 67), (62, 66), (63, 65))),
    "lip_height": Distance(
        "thickness of the red of both lips",
        0.202,
        lambda f: _apart(f, (50, 61), (51, 62), (52, 63)) + _apart(f, (56, 65), (57, 66), (58, 67)),
    ),
    "chin_drop": Distance("chin below the base of the nose", 0.828, lambda f: _y(f, 8) - _y(f, *NOSE_BASE)),
    "chin_height": Distance("from the chin up to the lower lip", 0.460, lambda f: _y(f, 8) - _y(f, 56, 57, 58)),
}
"""The measures on the landmarks, by name."""

PAIRED = (
    "browDown", "browOuterUp", "cheekSquint", "eyeBlink", "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown",
    "mouthLowerDown", "mouthPress", "mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer",
)  # fmt: skip
SINGLE = (
    "browInnerUp", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper",
)  # fmt: skip

MEASURES = (*GEOMETRY, *PAIRED, *SINGLE)
"""All measures, in the order of the columns of `measure`."""

TYPICAL_REST = np.array([distance.typical for distance in GEOMETRY.values()] + [0.0] * (len(PAIRED) + len(SINGLE)))
"""Shape (M,): what counts as zero for a face that nothing is known of: the canonical head, all blendshapes off."""


def measure(points: NDArray[np.floating], blendshapes: NDArray[np.floating]) -> Floats:
    """Measure the face of each frame.

    Parameters
    ----------
    points
        Shape (F, 68, 3), in pixels, dlib's order; NaN where no face is found.
    blendshapes
        Shape (F, 52), 0..1, MediaPipe's order.

    Returns
    -------
    Shape (F, M), one column for each of `MEASURES`; NaN where no face is found.
    """
    face = geometry.upright(points)
    if np.isfinite(face).any():
        face /= np.nanmedian(geometry.eye_distance(face))
    distances = [distance.of(face) for distance in GEOMETRY.values()]
    shapes = np.asarray(blendshapes, dtype=np.float64)
    paired = [
        (shapes[:, BLENDSHAPES.index(f"{name}Left")] + shapes[:, BLENDSHAPES.index(f"{name}Right")]) / 2
        for name in PAIRED
    ]
    single = [shapes[:, BLENDSHAPES.index(name)] for name in SINGLE]
    return np.stack([*distances, *paired, *single], axis=1)
