"""Faces freed from head motion: every frame laid over one upright, frontal head, measured in eye distances."""

import numpy as np
from numpy.typing import NDArray

from avpretext.face.points import EYE_CORNERS_OUTER, STABLE

Floats = NDArray[np.float64]

BLOCK = 20_000
"""Frames that are worked on at a time: more than ten minutes at 30 per second, 30 MB for each array of them."""

AT_A_TIME = 2000
"""Frames that are turned at a time: 3 MB for each array of them."""

HEAD = np.array(
    [
        [-0.8708, -0.0647, 0.5194],
        [-0.8619, 0.1256, 0.5679],
        [0.8619, 0.1256, 0.5679],
        [0.8708, -0.0647, 0.5194],
        [0.0000, -0.1666, -0.2949],
        [0.0000, 0.0069, -0.4165],
        [0.0000, 0.1602, -0.5206],
        [0.0000, 0.2534, -0.5593],
        [-0.5000, -0.0983, -0.0630],
        [-0.2088, -0.0895, -0.1287],
        [0.2088, -0.0895, -0.1287],
        [0.5000, -0.0983, -0.0630],
    ]
)
"""Shape (12, 3): the points `STABLE` on the canonical face model that MediaPipe's face model carries (Apache-2.0).

x to the right of the picture, y down, z away from the camera; the unit is the distance between the outer eye corners.
"""


def similarity(points: Floats, reference: Floats) -> tuple[Floats, Floats, Floats]:
    """Find the least-squares rotation, scale and shift that lay point sets (F, N, D) over a reference (N, D).

    After Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (IEEE TPAMI 13(4),
    1991), equations 40-42; reflections are excluded.

    Returns
    -------
    rotation (F, D, D), scale (F,), shift (F, D), with ``reference ~ scale * points @ rotation.T + shift``.
    """
    centre, target = points.mean(axis=-2, keepdims=True), reference.mean(axis=0)
    spread = points - centre
    covariance = np.einsum("ni,fnj->fij", reference - target, spread)
    left, strength, right = np.linalg.svd(covariance)
    sign = np.ones_like(strength)
    sign[:, -1] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    rotation = np.einsum("fik,fk,fkj->fij", left, sign, right)
    scale = (strength * sign).sum(axis=-1) / np.maximum((spread**2).sum(axis=(-2, -1)), 1e-12)
    shift = target - scale[:, None] * np.einsum("fij,fj->fi", rotation, centre[:, 0])
    return rotation, scale, shift


def upright(landmarks: NDArray[np.floating], points: NDArray[np.floating] | None = None) -> Floats:
    """Remove position, size and rotation of the head from each frame.

    The points that move with the skull (`points.STABLE`) are laid over those of one canonical head; the other points go
    along.

    Parameters
    ----------
    landmarks
        Shape (F, 68, 3), in pixels, dlib's order; frames without a face are NaN.
    points
        Shape (F, N, 3): what to lay over the head, in the same pixels; None: the landmarks themselves.

    Returns
    -------
    Shape (F, 68, 3), or (F, N, 3), in the distance between the canonical head's outer eye corners; NaN stays NaN.
    """
    return upright_and_pose(landmarks, points)[0]


def upright_and_pose(
    landmarks: NDArray[np.floating], points: NDArray[np.floating] | None = None
) -> tuple[Floats, Floats]:
    """Return what `upright` does, and the head's pose as `head_pose` does, shape (F, 3); NaN where no face is found."""
    known = np.asarray(landmarks, dtype=np.float64)
    moved = known if points is None else np.asarray(points, dtype=np.float64)
    aligned, pose = np.full_like(moved, np.nan), np.full((len(known), 3), np.nan)
    seen = np.isfinite(known).all(axis=(1, 2))
    for rows in np.array_split(np.flatnonzero(seen), -(-len(known) // AT_A_TIME) or 1):
        if len(rows):
            rotation, scale, shift = similarity(known[rows][:, STABLE], HEAD)
            turned = np.einsum("fij,fnj->fni", rotation, moved[rows])
            aligned[rows] = scale[:, None, None] * turned + shift[:, None]
            pose[rows] = _angles(rotation)
    return aligned, pose


def head_pose(landmarks: NDArray[np.floating]) -> Floats:
    """Return pitch, yaw and roll in degrees, (F, 3), of landmarks (F, 68, 3) in pixels, dlib's order.

    They are those of the rotation ``Rz(roll) @ Ry(yaw) @ Rx(pitch)`` that lays the canonical head over this one, by the
    skull's points, about the axes x to the right of the picture, y up, z towards the camera. Pitch is positive when the
    face looks down, yaw when the nose turns to the picture's right, roll when the head tilts counter-clockwise in the
    picture. MediaPipe's own matrix, which costs it 8 % of its speed, differs by about 1 degree in yaw and roll and 1.5
    in pitch.
    """
    to_upright, _, _ = similarity(np.asarray(landmarks, dtype=np.float64)[:, STABLE], HEAD)
    return _angles(to_upright)


def _angles(to_upright: Floats) -> Floats:
    """Return pitch, yaw and roll in degrees of the rotations that lay heads over the canonical one, (F, 3, 3)."""
    y_up_z_near = np.array([1.0, -1, -1])
    turned = to_upright.transpose(0, 2, 1) * y_up_z_near[:, None] * y_up_z_near
    pitch = np.arctan2(turned[:, 2, 1], turned[:, 2, 2])
    yaw = np.arcsin(np.clip(-turned[:, 2, 0], -1, 1))
    roll = np.arctan2(turned[:, 1, 0], turned[:, 0, 0])
    return np.asarray(np.degrees(np.stack([pitch, yaw, roll], axis=1)))


def usual_size(landmarks: NDArray[np.floating]) -> float:
    """Return the median eye distance of the upright face of landmarks (F, 68, 3), see `upright`; 1 without a face."""
    starts = range(0, max(1, len(landmarks)), BLOCK)
    sizes = np.concatenate([eye_distance(upright(landmarks[start : start + BLOCK])) for start in starts])
    return float(np.nanmedian(sizes)) if np.isfinite(sizes).any() else 1.0


def eye_distance(points: NDArray[np.floating]) -> Floats:
    """Distance between the outer eye corners of each frame: shape (F, 68, D) to (F,)."""
    left, right = EYE_CORNERS_OUTER
    return np.asarray(np.linalg.norm(points[:, left] - points[:, right], axis=-1), dtype=np.float64)


def runs(seen: NDArray[np.bool_]) -> list[slice]:
    """Return the stretches of consecutive true values.

    >>> runs(np.array([True, True, False, True]))
    [slice(0, 2, None), slice(3, 4, None)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]]).astype(np.int8)))
    return [slice(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def smooth(values: NDArray[np.floating], width: int) -> Floats:
    """Average each frame of (F, ...) with its neighbours, within stretches without gaps; windows shrink at the edges.

    A window has `width` frames, odd. A frame with NaN is a gap and stays one.

    >>> smooth(np.array([0.0, 3, 0, np.nan, 5]), 3)
    array([1.5, 1. , 1.5, nan, 5. ])
    """
    result = np.asarray(values, dtype=np.float64).copy()
    if width <= 1:
        return result
    seen = np.asarray(np.isfinite(result.reshape(len(result), -1)).all(axis=1))
    for run in runs(seen):
        part = np.concatenate([np.zeros((1, *result.shape[1:])), np.cumsum(result[run], axis=0)])
        frames = np.arange(len(part) - 1)
        low, high = np.maximum(frames - width // 2, 0), np.minimum(frames + width // 2 + 1, len(frames))
        count = (high - low).reshape(-1, *[1] * (result.ndim - 1))
        result[run] = (part[high] - part[low]) / count
    return result
