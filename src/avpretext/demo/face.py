"""A face that moves: a speaker's resting image, warped frame by frame as the action units say."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_smoothing_spline

from avpretext.demo import mesh, pixels
from avpretext.demo.muscles import MOVEMENTS, PRESSING, Layer, displacements
from avpretext.demo.pixels import Image, Mask, Points
from avpretext.demo.portrait import Face

_GRID_STEP = 2
"""The displacement fields are smooth: one value for this many pixels each way is enough."""

_ITERATIONS = 3


class HeadMotion(NamedTuple):
    """Where the head is, per frame: shift (frames, 2) in eye distances, roll (frames,) in radians, scale (frames,)."""

    shift: NDArray[np.float32]
    roll: NDArray[np.float32]
    scale: NDArray[np.float32]


class _Band(NamedTuple):
    """One layer of the face: the rows of the image that it covers and how each movement displaces them."""

    top: int
    bottom: int
    fields: NDArray[np.float32]  # (movements, rows * columns * 2), in steps of the grid
    pixels: NDArray[np.float32]  # (rows, columns, 2), where the grid's points lie in the image
    head_weight: NDArray[np.float32]  # (rows, columns, 1), how far they go along with the head


class Puppet:
    """One speaker's face, ready to be moved."""

    def __init__(self, face: Face) -> None:
        self.face = face
        self.size = face.image.shape[0]
        self._bands = [self._band("upper"), self._band("centre"), self._band("lower")]
        self._skin = _without_openings(face)
        self._eyes = _without_lids(face)
        self._mouth = _inside_mouth(face)
        self._lines = self._moving_lines()

    def _band(self, layer: Layer) -> _Band:
        """Sample the fields of one layer on a grid over the rows that it can cover."""
        points, unit = self.face.points, self.face.eye_distance
        eyes, mouth = points[list(mesh.IRISES), 1].mean(), points[13, 1]
        top, bottom = {
            "upper": (0.0, eyes + 0.7 * unit),
            "centre": (eyes - 0.6 * unit, mouth + 0.6 * unit),
            "lower": (mouth - 0.6 * unit, float(self.size)),
        }[layer]
        rows = (max(0, int(top)) // _GRID_STEP * _GRID_STEP, min(self.size, int(bottom) // _GRID_STEP * _GRID_STEP))
        x, y = np.meshgrid(np.arange(0, self.size, _GRID_STEP), np.arange(*rows, _GRID_STEP))
        grid = np.column_stack([x.ravel(), y.ravel()]).astype(np.float32)
        fields = displacements(self.face, grid, layer).reshape(len(MOVEMENTS), -1) / np.float32(_GRID_STEP)
        return _Band(*rows, fields, grid.reshape(*x.shape, 2), _head_weight(self.face, grid).reshape(*x.shape, 1))

    def _moving_lines(self) -> dict[str, tuple[Points, NDArray[np.float32]]]:
        """The edges of lids and lips: points at rest (N, 2) and how each movement carries them (movements, N * 2)."""
        lines: dict[str, tuple[Points, NDArray[np.float32]]] = {}
        parts: list[tuple[str, list[int], Layer]] = [
            ("left_upper", mesh.UPPER_LIDS[0], "upper"),
            ("left_lower", mesh.LOWER_LIDS[0], "centre"),
            ("right_upper", mesh.UPPER_LIDS[1], "upper"),
            ("right_lower", mesh.LOWER_LIDS[1], "centre"),
            ("lip_upper", mesh.INNER_LIP_UPPER, "centre"),
            ("lip_lower", mesh.INNER_LIP_LOWER, "lower"),
        ]
        for name, indices, layer in parts:
            at = _smooth_line(self.face.points[indices])
            moves = displacements(self.face, at, layer)
            if name.startswith("lip"):
                moves[[MOVEMENTS.index(pressing) for pressing in PRESSING], :, 1] = 0
            lines[name] = (at, moves.reshape(len(MOVEMENTS), -1))
        return lines

    def render(self, activity: NDArray[np.float32], head: HeadMotion) -> NDArray[np.uint8]:
        """Draw the RGB frames of a clip, (frames, size, size, 3).

        `activity` (frames, movements) is the intensity of each movement, in the order of `MOVEMENTS`.
        """
        fields = [activity @ band.fields for band in self._bands]
        lines = {
            name: at + (activity @ moves).reshape(len(activity), -1, 2) for name, (at, moves) in self._lines.items()
        }
        frames = np.empty((len(activity), self.size, self.size, 3), np.uint8)
        for index in range(len(activity)):
            matrix = self._head_matrix(head, index)
            moved = {name: line[index] @ matrix[:, :2].T + matrix[:, 2] for name, line in lines.items()}
            frames[index] = self._frame([field[index] for field in fields], moved, matrix)
        return frames

    def _head_matrix(self, head: HeadMotion, index: int) -> NDArray[np.float64]:
        """The affine motion (2, 3) that carries the resting head to where it is in a frame; turns about the neck."""
        pivot = self.face.points[mesh.CHIN] + (0, 0.5 * self.face.eye_distance)
        cosine, sine = np.cos(head.roll[index]), np.sin(head.roll[index])
        turn = head.scale[index] * np.array([[cosine, -sine], [sine, cosine]])
        shift = pivot - turn @ pivot + head.shift[index] * self.face.eye_distance
        return np.column_stack([turn, shift])

    def _frame(self, fields: list[NDArray[np.float32]], lines: dict[str, Points], matrix: NDArray[np.float64]) -> Image:
        """Draw one frame: the three layers of skin from the top down, then what the lids and lips leave open."""
        frame = np.empty((self.size, self.size, 3), np.uint8)
        under_eyes = np.concatenate([lines["left_lower"], lines["right_lower"]])
        for band, field, above in zip(self._bands, fields, (None, under_eyes, lines["lip_lower"]), strict=True):
            skin = pixels.warp(self._skin, self._sources(band, field, matrix), "reflect")
            rows = slice(band.top, band.bottom)
            frame[rows] = skin if above is None else pixels.mixed(frame[rows], skin, _below(above, self.size)[rows])
        for side in ("left", "right"):
            _fill_opening(frame, self._eyes, lines[f"{side}_upper"], lines[f"{side}_lower"], matrix)
        _fill_opening(frame, self._mouth, lines["lip_upper"], lines["lip_lower"], matrix)
        return frame

    def _sources(self, band: _Band, field: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
        """Where each pixel of a band comes from: the q with q + field(q) = p, by fixed-point iteration."""
        undone = cv2.invertAffineTransform(matrix).astype(np.float32)
        origin = np.array([0, band.top], np.float32)
        back = cv2.transform(band.pixels, undone)
        target = (band.pixels + (back - band.pixels) * band.head_weight - origin) / np.float32(_GRID_STEP)
        step = field.reshape(target.shape)
        source = target
        for _ in range(_ITERATIONS):
            source = target - pixels.warp(step, source, "repeat")
        # cv2.resize aligns the corners of pixels, the grid lies on their centres: hence the half step
        fine = cv2.resize(
            source * _GRID_STEP + (origin + (_GRID_STEP - 1) / 2),
            (self.size, band.bottom - band.top),
            interpolation=cv2.INTER_LINEAR,
        )
        return np.asarray(fine, np.float32)


def _smooth_line(points: Points) -> Points:
    """Nine to eleven landmarks of a lid or a lip, made a smooth line of 33 points."""
    spline = make_smoothing_spline(np.arange(len(points)), points, lam=0.1)
    return np.asarray(spline(np.linspace(0, len(points) - 1, 33)), np.float32)


def _below(line: Points, size: int) -> Mask:
    """Mask (size, size) of what lies below a line, level beyond its ends: 0 or 255, its edge antialiased."""
    left, right = -2.0, size + 2.0
    edge: list[Any] = [[[left, line[0, 1]]], line, [[right, line[-1, 1]], [right, right], [left, right]]]
    return pixels.filled(np.concatenate(edge), size)


def _fill_opening(frame: Image, inside: Image, upper: Points, lower: Points, matrix: NDArray[np.float64]) -> None:
    """Show what lies behind the skin (eyeball, mouth) between an upper and a lower edge; crossed edges are shut."""
    gap = np.maximum(lower - upper, 0)
    if gap[:, 1].max() < 0.3:
        return
    opening = np.concatenate([lower - gap, lower[::-1]])
    low = np.maximum(np.floor(opening.min(axis=0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(opening.max(axis=0)).astype(int) + 3, frame.shape[0])
    mask = pixels.filled(opening, frame.shape[0])[low[1] : high[1], low[0] : high[0]]
    shifted = matrix.copy()
    shifted[:, 2] -= low
    patch = cv2.warpAffine(inside, shifted, (high - low).tolist(), flags=cv2.INTER_LINEAR)
    region = frame[low[1] : high[1], low[0] : high[0]]
    region[:] = pixels.mixed(region, np.asarray(patch, np.uint8), mask)


def _without_openings(face: Face) -> Image:
    """The skin alone: eyes and the line between the lips are filled in from the skin around them."""
    size = face.image.shape[0]
    seam = _smooth_line(face.points[mesh.INNER_LIP_LOWER])
    holes = np.maximum(pixels.grown(_eyes(face), 1), pixels.line(seam, size, 4))
    skin = cv2.inpaint(np.ascontiguousarray(face.image), holes, 4, cv2.INPAINT_TELEA)  # Telea, 2004
    shade = pixels.blurred(pixels.line(seam, size, 1), 0.8) / 255
    return np.asarray(skin * (1 - 0.7 * shade)[..., None], np.uint8)


def _eyes(face: Face) -> Mask:
    """What the lids leave visible of the eyes of the resting face."""
    left, right = (
        pixels.filled(np.concatenate([face.points[upper], face.points[lower][::-1]]), face.image.shape[0])
        for upper, lower in zip(mesh.UPPER_LIDS, mesh.LOWER_LIDS, strict=True)
    )
    return np.maximum(left, right)


def _without_lids(face: Face) -> Image:
    """The eyeballs alone: where the lids hide them, the white and the iris are continued."""
    seen = pixels.grown(_eyes(face), -1)
    colours = face.image[seen > 128].astype(np.float32)
    white, dark = 0.85 * np.percentile(colours, 80, axis=0), np.percentile(colours, 15, axis=0)
    eyeballs = np.empty_like(face.image)
    eyeballs[:] = white
    for iris in mesh.IRISES:
        centre, radius = (pixels.fixed_point(part).tolist() for part in (face.points[iris], 0.1 * face.eye_distance))
        cv2.circle(eyeballs, centre, radius, dark.tolist(), -1, cv2.LINE_AA, pixels.SUBPIXEL_BITS)
    soft = np.asarray(pixels.blurred(eyeballs, 0.7), np.uint8)
    return pixels.mixed(soft, face.image, np.asarray(pixels.blurred(seen, 0.7), np.uint8))


def _inside_mouth(face: Face) -> Image:
    """A dark mouth with a row of upper teeth and a tongue, drawn where the resting mouth is."""
    size, unit = face.image.shape[0], face.eye_distance
    corners = face.points[list(mesh.MOUTH_CORNERS)]
    middle, half_width = (face.points[13] + face.points[14]) / 2, float(np.linalg.norm(corners[1] - corners[0])) / 2
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    across, down = (x - middle[0]) / half_width, (y - middle[1]) / unit
    skin = face.image[int(middle[1] - 0.3 * unit), int(middle[0])].astype(np.float32).mean() / 180
    inside = np.empty((size, size, 3), np.float32)
    inside[:] = np.array([52, 18, 18]) * skin
    tongue = np.exp(-0.5 * ((across / 0.55) ** 2 + ((down - 0.36) / 0.1) ** 2))[..., None]
    inside += tongue * np.array([105, 45, 45]) * skin
    edge = 0.045 - 0.05 * across**2
    teeth = 1 / (1 + np.exp((down - edge) * unit * 1.2))
    teeth = (teeth * np.clip(1.6 - 1.7 * np.abs(across), 0, 1))[..., None]
    grooves = 1 - 0.08 * np.clip(np.cos(across * 25), 0, 1)[..., None] ** 4
    shaded = np.array([240, 218, 190]) * skin * grooves
    return np.asarray(np.clip(inside * (1 - teeth) + shaded * teeth, 0, 255), np.uint8)


def _head_weight(face: Face, at: Points) -> NDArray[np.float32]:
    """How far points (N, 2) of the image go along with the head: 1 on it, 0 towards the edge of the frame; (N,)."""
    away = (at - face.points[mesh.FACE_OVAL].mean(axis=0)) / (1.15, 1.0)
    distance = np.linalg.norm(away, axis=1) / face.eye_distance
    return np.asarray(1 / (1 + np.exp((distance - 1.85) / 0.13)), np.float32)
