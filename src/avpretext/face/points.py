"""The 68 points in dlib's order: where they lie among MediaPipe's 478, and which belong to which part of the face.

Left and right are those of the picture: dlib numbers the face from the picture's left, the person's right side.
"""

import numpy as np
from numpy.typing import NDArray

MEDIAPIPE_POINTS = 478
DLIB_POINTS = 68

MEDIAPIPE_TO_DLIB = np.array(
    [
        127, 234, 93, 132, 58, 136, 150, 176,  # 0-7 jaw, from the picture's left ear down
        152,  # 8 chin
        400, 379, 365, 288, 361, 323, 454, 356,  # 9-16 jaw, up to the picture's right ear
        70, 63, 105, 66, 107,  # 17-21 brow on the picture's left, outer to inner
        336, 296, 334, 293, 300,  # 22-26 brow on the picture's right, inner to outer
        168, 197, 5, 4,  # 27-30 bridge of the nose, top to tip
        98, 97, 2, 326, 327,  # 31-35 underside of the nose, wing to wing
        33, 160, 158, 133, 153, 144,  # 36-41 eye on the picture's left: outer corner, upper lid, inner corner, lower
        362, 385, 387, 263, 373, 380,  # 42-47 eye on the picture's right: inner corner, upper lid, outer corner, lower
        61, 39, 37, 0, 267, 269, 291,  # 48-54 upper edge of the lips, corner to corner
        321, 314, 17, 84, 91,  # 55-59 lower edge of the lips, back again
        78, 82, 13, 312, 308,  # 60-64 inner edge of the upper lip
        317, 14, 87,  # 65-67 inner edge of the lower lip
    ]
)  # fmt: skip
"""Shape (68,): the MediaPipe index of each dlib point; symmetric, point for point."""

EYE_CORNERS_OUTER = (36, 45)
STABLE = np.array([0, 1, 15, 16, 27, 28, 29, 30, 36, 39, 42, 45])
"""Points that move with the skull rather than with expression: temples, bridge of the nose, corners of the eyes."""

REGIONS = {
    "face": np.arange(17, 68),
    "brows": np.arange(17, 27),
    "eyes": np.array([37, 38, 40, 41, 43, 44, 46, 47]),
    "mouth": np.arange(48, 68),
    "jaw": np.arange(4, 13),
}
"""Points of each region of `motion`. The eyes' corners are left out: they are what the head is aligned by."""

OROFACIAL = {
    "lips": np.array(
        [
            61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291,  # upper edge, from the corner on the picture's left
            375, 321, 405, 314, 17, 84, 181, 91, 146,  # lower edge, back again
            78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308,  # inner edge of the upper lip
            324, 318, 402, 317, 14, 87, 178, 88, 95,  # inner edge of the lower lip, back again
        ]
    ),
    "jaw": np.array(
        [
            58, 136, 150, 176,  # from the angle of the jaw on the picture's left down
            152,  # chin
            400, 379, 365, 288,  # up again
            175, 199,  # front of the chin
        ]
    ),
    "cheeks": np.array(
        [
            205, 187, 207, 216, 212,  # lower cheek on the picture's left, from the cheek bone down
            425, 411, 427, 436, 432,  # the same on the picture's right
        ]
    ),
}  # fmt: skip
"""Region: MediaPipe indices of the points whose movement `lower_face` holds, in its order."""

OROFACIAL_POINTS = np.concatenate(list(OROFACIAL.values()))
"""Shape (61,): the same, region after region."""

INNER_LIPS = (13, 14)
"""MediaPipe indices of the middle of the inner edge, upper and lower: lip aperture is the distance between them."""


def dlib_points(landmarks: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the 68 points (..., 68, D) in dlib's order, out of MediaPipe's 478 or the same 68, (..., N, D)."""
    points = landmarks.shape[-2]
    if points == DLIB_POINTS:
        return landmarks
    if points == MEDIAPIPE_POINTS:
        return landmarks[..., MEDIAPIPE_TO_DLIB, :]
    raise ValueError(f"{points} landmarks; expected {MEDIAPIPE_POINTS} (MediaPipe) or {DLIB_POINTS} (dlib)")
