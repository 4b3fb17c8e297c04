"""Synthetic faces for tests: one plausible head, put into any pose."""

import numpy as np
from numpy.typing import NDArray

from avpretext.face.geometry import HEAD
from avpretext.face.points import STABLE

EYE_DISTANCE_PX = 100.0


def resting_head() -> NDArray[np.float64]:
    """Shape (68, 3), in eye distances: the canonical head's stable points, and plausible ones around them."""
    points = np.zeros((68, 3))
    points[STABLE] = HEAD
    angles = np.linspace(np.pi * 0.9, np.pi * 0.1, 13)
    points[2:15] = np.stack([0.85 * np.cos(angles), 0.3 + 0.9 * np.sin(angles), np.full(13, 0.2)], axis=1)
    for side, brow in ((-1, range(17, 22)), (1, range(26, 21, -1))):
        for step, point in enumerate(brow):
            points[point] = [side * (0.62 - 0.12 * step), -0.35 - 0.02 * step, -0.1]
    for side, eye in ((-1, (37, 38, 40, 41)), (1, (44, 43, 47, 46))):
        for point, (x, y) in zip(eye, ((0.41, -0.13), (0.3, -0.13), (0.3, -0.06), (0.41, -0.06)), strict=True):
            points[point] = [side * x, y, -0.1]
    points[31:36] = [[x, 0.4, -0.35] for x in (-0.16, -0.08, 0, 0.08, 0.16)]
    outer = np.pi + np.linspace(0, 2 * np.pi, 13)[:12]
    points[48:60] = np.stack([0.28 * np.cos(outer), 0.7 + 0.1 * np.sin(outer), np.full(12, -0.3)], axis=1)
    inner = np.pi + np.linspace(0, 2 * np.pi, 9)[:8]
    points[60:68] = np.stack([0.2 * np.cos(inner), 0.7 + 0.03 * np.sin(inner), np.full(8, -0.3)], axis=1)
    return points


def rotation(pitch_deg: float = 0.0, yaw_deg: float = 0.0, roll_deg: float = 0.0) -> NDArray[np.float64]:
    """Return ``Rz(roll) @ Ry(yaw) @ Rx(pitch)``."""
    (a, b, c), eye = np.radians([pitch_deg, yaw_deg, roll_deg]), np.eye(3)
    about_x = eye * [1, np.cos(a), np.cos(a)] + np.array([[0, 0, 0], [0, 0, -np.sin(a)], [0, np.sin(a), 0]])
    about_y = eye * [np.cos(b), 1, np.cos(b)] + np.array([[0, 0, np.sin(b)], [0, 0, 0], [-np.sin(b), 0, 0]])
    about_z = eye * [np.cos(c), np.cos(c), 1] + np.array([[0, -np.sin(c), 0], [np.sin(c), 0, 0], [0, 0, 0]])
    return np.asarray(about_z @ about_y @ about_x)


def posed(head: NDArray[np.float64], turn: NDArray[np.float64], scale: float, shift: tuple[float, float]) -> NDArray:
    """Put a head (68, 3) into the picture: turned, scaled to pixels, shifted."""
    return head @ turn.T * (EYE_DISTANCE_PX * scale) + np.array([*shift, 0.0])
