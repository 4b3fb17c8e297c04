"""What is measured in a face before action units are made of it: distances between landmarks, and blendshapes.

Distances are taken on the upright face (see `geometry`), in distances between the outer eye corners. Heights are
positive upwards from the line through the corners of the eyes, or as described. They follow the geometric
features of Tian, Kanade & Cohn, "Recognizing action units for facial expression analysis" (IEEE TPAMI 23(2), 2001),
tables 1 and 2, taken from dlib's 68 points. Blendshapes are the mean of left and right, or the stronger side
(`ONE_SIDED`). MediaPipe's depths are not exact enough for distances to stay when a face turns, and lids droop to an eye
that looks down: what the pose adds is subtracted.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files

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
    """A measure on the landmarks: from an upright face, shape (F, 68, 3), in eye distances, to shape (F,)."""

    description: str
    of: Callable[[Floats], Floats]


GEOMETRY: dict[str, Distance] = {
    "inner_brow": Distance("inner brows above the eye line", lambda f: _y(f, *EYE_LINE) - _y(f, 20, 21, 22, 23)),
    "outer_brow": Distance("outer brows above the eye line", lambda f: _y(f, *EYE_LINE) - _y(f, 17, 18, 25, 26)),
    "brow_slant": Distance("inner brows above outer brows", lambda f: _y(f, 17, 18, 25, 26) - _y(f, 20, 21, 22, 23)),
    "brow_gap": Distance("between the inner ends of the brows", lambda f: _apart(f, (21, 22))),
    "eye_opening": Distance("between upper and lower lid", lambda f: _apart(f, (37, 41), (38, 40), (43, 47), (44, 46))),
    "upper_lid": Distance("upper lids above the eye line", lambda f: _y(f, *EYE_LINE) - _y(f, 37, 38, 43, 44)),
    "lower_lid": Distance("lower lids above the eye line", lambda f: _y(f, *EYE_LINE) - _y(f, 40, 41, 46, 47)),
    "nose_wings": Distance("wings of the nose below the eye line", lambda f: _y(f, *NOSE_WINGS) - _y(f, *EYE_LINE)),
    "nose_width": Distance("between the wings of the nose", lambda f: _apart(f, NOSE_WINGS)),
    "upper_lip": Distance("upper lip below the base of the nose", lambda f: _y(f, 50, 51, 52) - _y(f, *NOSE_BASE)),
    "lip_sides": Distance("sides of the upper lip below its middle", lambda f: _y(f, 49, 53) - _y(f, 50, 51, 52)),
    "corner_height": Distance(
        "corners of the lips above the middle of the upper lip's lower edge",
        lambda f: _y(f, 61, 62, 63) - _y(f, *LIP_CORNERS),
    ),
    "corner_drop": Distance("corners of the lips below the eye line", lambda f: _y(f, *LIP_CORNERS) - _y(f, *EYE_LINE)),
    "mouth_width": Distance("between the corners of the lips", lambda f: _apart(f, LIP_CORNERS)),
    "lip_gap": Distance("between the lips", lambda f: _apart(f, (61, 67), (62, 66), (63, 65))),
    "lip_height": Distance(
        "thickness of the red of both lips",
        lambda f: _apart(f, (50, 61), (51, 62), (52, 63)) + _apart(f, (56, 65), (57, 66), (58, 67)),
    ),
    "chin_drop": Distance("chin below the base of the nose", lambda f: _y(f, 8) - _y(f, *NOSE_BASE)),
    "chin_height": Distance("from the chin up to the lower lip", lambda f: _y(f, 8) - _y(f, 56, 57, 58)),
}
"""The measures on the landmarks, by name."""

ONE_SIDED = ("mouthDimple", "mouthFrown", "mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer")
"""Blendshapes of which the stronger side counts, since one side alone may move: a smirk, a sneer."""

PAIRED = (
    "browDown", "browOuterUp", "cheekSquint", "eyeBlink", "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown",
    "mouthLowerDown", "mouthPress", "mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer",
)  # fmt: skip
SINGLE = (
    "browInnerUp", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper",
)  # fmt: skip
"""The blendshapes, by name."""

MEASURES = (*GEOMETRY, *PAIRED, *SINGLE)
"""All measures, in the order of the columns of `measure`."""

PEOPLE = "action_units/people.csv"
"""What was measured on people, per measure: see `TYPICAL_REST` and `TURNED`; `benchmarks/fit_faces.py` writes it."""


def _of_people(*columns: str) -> Floats:
    with files("avpretext").joinpath(PEOPLE).open(encoding="utf-8") as table:
        rows = {row["measure"]: row for row in csv.DictReader(table)}
    return np.array([[float(rows[name][column]) for name in MEASURES] for column in columns])


TYPICAL_REST, BETWEEN_PEOPLE = _of_people("typical", "between")
"""Shape (M,) each: the face that people have while they talk, and how far people stray from it, as a standard
deviation: median and 1.4826 times the median absolute deviation over the faces of 52 people, each the median of its
frames (of an opening mouth the lower decile): speakers of talks, and seven of GRID who read words calmly.
"""

TURNED = _of_people("pitch", "pitch_squared", "yaw_squared")
"""Shape (3, M): what a measure changes by when the same face turns: per 10 degrees of pitch, per their square, and per
the square of 10 degrees of yaw. Measured on pictures of 21 people, turned as textured meshes by up to 20 degrees.
"""

FURTHEST = 30.0
"""Heads turned by more degrees than this count as turned by this much; no wider turn was measured."""


@dataclass(frozen=True)
class RestingFace:
    """The face that counts as zero.

    Attributes
    ----------
    location
        Shape (M,), in the order of `MEASURES`.
    source
        What it rests on: `people` in general, people of the `corpus`, the `clip`, the `speaker`, `neutral clips`.
    seconds
        For how long that face was seen.
    trust
        0..1: how much the person's own face counts beside that of people, on average.
    """

    location: Floats
    clips: int
    source: str = "people"
    seconds: float = 0.0
    trust: float = 0.0


def measure(points: NDArray[np.floating], blendshapes: NDArray[np.floating]) -> Floats:
    """Measure the face of each frame, (F, M); what the pose of the head adds is taken out, and NaN stands for no face.

    `points` (F, 68, 3) are in pixels, dlib's order; `blendshapes` (F, 52), 0..1, in MediaPipe's.
    """
    size = geometry.usual_size(points)
    measured = np.empty((len(points), len(MEASURES)))
    for block in blocks(len(points), geometry.BLOCK):
        face, pose = geometry.upright_and_pose(points[block])
        measured[block] = as_seen(face / size, blendshapes[block]) - pose_effect(pose)
    return measured


def pose_effect(pose: NDArray[np.floating]) -> Floats:
    """Return what the pose of the head adds to each measure, shape (F, 3) in degrees to (F, M); see `TURNED`."""
    pitch, yaw = np.clip(pose[:, :2], -FURTHEST, FURTHEST).T / 10
    return np.asarray(np.stack([pitch, pitch**2, yaw**2], axis=1) @ TURNED)


def as_seen(face: Floats, blendshapes: NDArray[np.floating]) -> Floats:
    """Measure upright faces of the size 1, (F, 68, 3), with their blendshapes, (F, 52), whatever the pose: (F, M)."""
    distances = [distance.of(face) for distance in GEOMETRY.values()]
    shapes = np.asarray(blendshapes, dtype=np.float64)
    paired = [_both_sides(shapes, name) for name in PAIRED]
    single = [shapes[:, BLENDSHAPES.index(name)] for name in SINGLE]
    return np.stack([*distances, *paired, *single], axis=1)


def _both_sides(shapes: Floats, name: str) -> Floats:
    left, right = (shapes[:, BLENDSHAPES.index(f"{name}{side}")] for side in ("Left", "Right"))
    return np.maximum(left, right) if name in ONE_SIDED else (left + right) / 2
