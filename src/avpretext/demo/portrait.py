"""Composite faces out of two public-domain portraits: who the demo's speakers are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator

from avpretext.demo import mesh, pixels
from avpretext.demo.pixels import Image, Points
from avpretext.face.tracker import FaceTracker

EYE_DISTANCE_SHARE = 0.25
"""Distance between the irises, in frame widths."""

EYES_AT = (0.5, 0.44)
"""Midpoint of the irises, in frame widths from the top left."""


@dataclass(frozen=True)
class Portrait:
    """A photograph (RGB) and its 478 MediaPipe landmarks in pixels (478, 2), with their depth (478,) in pixels too."""

    image: Image
    points: Points
    depth: NDArray[np.float32]


@dataclass(frozen=True)
class Look:
    """What tells one speaker from another.

    Attributes
    ----------
    shape_mix
        0: the astronaut's face shape, 1: Grace Hopper's.
    skin_mix
        The same for the texture of the lower face.
    glasses
        Grace Hopper's eyes and glasses in place of the astronaut's eyes.
    hat
        Grace Hopper's hat, hair and background in place of the astronaut's.
    mirror
        Which of the photographs are mirrored: the astronaut's, Grace Hopper's.
    zoom
        Size of the face, 1 is `EYE_DISTANCE_SHARE`.
    lightness, warmth
        Shift of skin lightness and of its yellow, in units of 8-bit CIELAB.
    backdrop
        Shift of the hue around the face, in OpenCV's 180 units.
    jaw, nose, length, mouth, lips, brows
        Deviations of the face's proportions, about -1 to 1.
    """

    shape_mix: float
    skin_mix: float
    glasses: bool
    hat: bool
    mirror: tuple[bool, bool]
    zoom: float
    lightness: float
    warmth: float
    backdrop: float
    jaw: float
    nose: float
    length: float
    mouth: float
    lips: float
    brows: float


@dataclass(frozen=True)
class Face:
    """A speaker at rest, mouth closed: square RGB image, landmarks (478, 2) in pixels, depth in eye distances."""

    image: Image
    points: Points
    depth: NDArray[np.float32]

    @property
    def eye_distance(self) -> float:
        """Distance between the irises in pixels."""
        return _eye_distance(self.points)


class Portraits(NamedTuple):
    """The two photographs, each as it is and mirrored."""

    astronaut: list[Portrait]
    hopper: list[Portrait]


def load_portraits(model: Path) -> Portraits:
    """The astronaut (scikit-image) and Grace Hopper (matplotlib), with landmarks by MediaPipe's model file.

    Both photographs are in the public domain and ship inside the two packages.
    """
    from matplotlib import cbook
    from PIL import Image as PillowImage
    from skimage import data

    file = cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    hopper = np.asarray(PillowImage.open(str(file)).convert("RGB"))
    astronaut: Image = data.astronaut()  # type: ignore[no-untyped-call]
    both = ([_locate(image, model), _locate(image[:, ::-1], model)] for image in (astronaut, hopper))
    return Portraits(*both)


def _locate(photograph: Image, model: Path) -> Portrait:
    image = np.ascontiguousarray(photograph)
    with FaceTracker(model, max_faces=1, min_confidence=0.5) as tracker:
        face = tracker.track(image, time_s=0)
    assert face is not None  # the photographs are always the same two
    return Portrait(image, face.landmarks[:, :2], face.landmarks[:, 2])


def compose(portraits: Portraits, look: Look, size: int) -> Face:
    """Make one speaker's resting face out of the two portraits, in a square image of `size` pixels."""
    a = _upright(portraits.astronaut[look.mirror[0]], size, look.zoom)
    h = _upright(portraits.hopper[look.mirror[1]], size, look.zoom)
    points = _resting_shape(a.points, h.points, look)
    image = _blend_textures(_warp(a, points, size), _warp(h, points, size), points, look)
    depth = (a.depth * (1 - look.shape_mix) + h.depth * look.shape_mix) / _eye_distance(points)
    return Face(_recolour(image, points, look), points.astype(np.float32), depth.astype(np.float32))


def _eye_distance(points: Points) -> float:
    return float(np.linalg.norm(points[mesh.IRISES[0]] - points[mesh.IRISES[1]]))


def _upright(portrait: Portrait, size: int, zoom: float) -> Portrait:
    """Rotate, scale and shift a portrait so that its irises lie level at the agreed place of a square frame."""
    left, right = portrait.points[list(mesh.IRISES)]
    across = right - left
    scale = EYE_DISTANCE_SHARE * zoom * size / np.linalg.norm(across)
    cosine, sine = scale * across / np.linalg.norm(across)
    turn = np.array([[cosine, sine], [-sine, cosine]])
    shift = np.array(EYES_AT) * size - turn @ ((left + right) / 2)
    image = cv2.warpAffine(
        portrait.image, np.column_stack([turn, shift]), (size, size),
        flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101,
    )  # fmt: skip
    points = (portrait.points @ turn.T + shift).astype(np.float32)
    return Portrait(np.asarray(image, np.uint8), points, (portrait.depth * scale).astype(np.float32))


def _resting_shape(a: Points, h: Points, look: Look) -> Points:
    """Mix the two face shapes; the mouth is Grace Hopper's, since the astronaut smiles with open lips."""
    points = a + (h - a) * look.shape_mix
    eye_distance = _eye_distance(points)
    mouth = h[mesh.LIPS].mean(axis=0)
    distance = np.linalg.norm((h - mouth) / eye_distance / (1.0, 0.7), axis=1)
    weight = np.clip(1.6 - 1.6 * distance, 0, 1)[:, None]
    points = points + (h - points) * weight
    points = _close_mouth(points, look.lips)
    return _proportions(points, look, eye_distance).astype(np.float32)


def _close_mouth(points: Points, lips: float) -> Points:
    """Bring the inner lips together and thicken or thin the outer ones around the line between them."""
    closed = points.copy()
    line = (points[mesh.INNER_LIP_UPPER] + points[mesh.INNER_LIP_LOWER]) / 2
    centre, thickness = line[:, 1].mean(), 1.3 + 0.25 * lips
    for group in (mesh.OUTER_LIP_UPPER[1:-1], mesh.OUTER_LIP_LOWER[1:-1], mesh.BETWEEN_LIPS):
        at = np.interp(points[group, 0], line[:, 0], line[:, 1], left=centre, right=centre)
        closed[group, 1] = at + (points[group, 1] - at) * thickness
    inner = slice(1, -1)
    closed[mesh.INNER_LIP_UPPER[inner]] = line[inner] - (0, 0.05)
    closed[mesh.INNER_LIP_LOWER[inner]] = line[inner] + (0, 0.05)
    return closed


def _proportions(points: Points, look: Look, eye_distance: float) -> Points:
    """Widen or narrow jaw, nose and mouth, lengthen the face, raise the brows."""
    centre = points[list(mesh.IRISES)].mean(axis=0)
    x, y = ((points - centre) / eye_distance).T
    below = 1 / (1 + np.exp(-4 * (y - 0.9)))
    nose = np.exp(-0.5 * ((x / 0.35) ** 2 + ((y - 0.6) / 0.3) ** 2))
    mouth = np.exp(-0.5 * ((x / 0.5) ** 2 + ((y - 1.15) / 0.25) ** 2))
    brow = np.exp(-0.5 * ((y + 0.35) / 0.15) ** 2)
    wider = 1 + 0.09 * look.jaw * below + 0.14 * look.nose * nose + 0.1 * look.mouth * mouth
    longer = y * (1 + 0.07 * look.length * (y > 0)) - 0.05 * look.brows * brow
    moved = np.column_stack([x * wider, longer]) * eye_distance + centre
    return np.asarray(moved, np.float32)


def _warp(portrait: Portrait, points: Points, size: int) -> Image:
    """Move a portrait's texture to new landmarks, linear within each triangle between them."""
    edge = np.linspace(0, size - 1, 5)
    border = np.array([(x, y) for x in edge for y in edge if x in (0, size - 1) or y in (0, size - 1)])
    interpolate = LinearNDInterpolator(np.vstack([points, border]), np.vstack([portrait.points, border]))
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    source = interpolate(x, y).astype(np.float32)
    return np.asarray(pixels.warp(portrait.image, source, "reflect", cubic=True), np.uint8)


def _soft_mask(outline: Points, size: int, blur: float) -> NDArray[np.float32]:
    """A polygon filled with 1, its edge blurred; (size, size, 1)."""
    mask = pixels.filled(outline, size).astype(np.float32) / 255
    return np.asarray(pixels.blurred(mask, blur)[..., None], np.float32)


def _blend_textures(from_a: Image, from_h: Image, points: Points, look: Look) -> Image:
    """Choose what each region shows: around the face, the eyes, the lower face."""
    size, unit = from_a.shape[0], _eye_distance(points)
    oval = points[mesh.FACE_OVAL]
    inner = oval.mean(axis=0) + (oval - oval.mean(axis=0)) * (0.86, 0.9)
    face = _soft_mask(inner, size, unit / 9)
    ground = (from_h if look.hat else from_a).astype(np.float32)
    eyes_from = from_h if look.glasses else from_a
    rows = np.arange(size, dtype=np.float32)[:, None, None]
    nose_tip = points[mesh.NOSE_TIP, 1]
    lower = 1 / (1 + np.exp(-(rows - nose_tip) / (unit / 14)))
    lower_skin = from_a * (1 - look.skin_mix) + _match_colour(from_h, from_a, face) * look.skin_mix
    skin = _match_colour(eyes_from, from_a, face) * (1 - lower) + lower_skin * lower
    skin = _match_colour(skin, ground, face)
    return np.clip(ground * (1 - face) + skin * face, 0, 255).astype(np.uint8)


def _match_colour(image: NDArray[Any], target: NDArray[Any], mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give an image the mean and spread that the target's colours have under the mask."""
    weight = (mask / mask.sum()).astype(np.float64)

    def moments(part: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        mean = (part * weight).sum(axis=(0, 1))
        return mean, np.sqrt((((part - mean) ** 2) * weight).sum(axis=(0, 1)))

    (mean, spread), (wanted_mean, wanted_spread) = moments(image), moments(target)
    gain = np.clip(wanted_spread / np.maximum(spread, 1e-6), 0.7, 1.4)
    return np.asarray((image - mean) * gain + wanted_mean, np.float32)


def _recolour(image: Image, points: Points, look: Look) -> Image:
    """Shift the skin's lightness and warmth inside the face, and the hue of everything around it."""
    size, unit = image.shape[0], _eye_distance(points)
    face = _soft_mask(points[mesh.FACE_OVAL], size, unit / 6)
    hue = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hue[..., 0] = (hue[..., 0].astype(np.int32) + round(look.backdrop)) % 180
    around = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)
    elsewhere = (1 - face) * (1 - _skin_likeness(image, face))
    mixed = (image * (1 - elsewhere) + around * elsewhere).astype(np.uint8)
    lab = cv2.cvtColor(mixed, cv2.COLOR_RGB2LAB).astype(np.float32)
    lab[..., 0] *= 1 + look.lightness / 128
    lab[..., 2] += look.warmth * face[..., 0]
    return np.asarray(cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8)


def _skin_likeness(image: Image, face: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much each pixel's colour, lightness aside, is that of the face (as neck and ears are): 0..1."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[..., 1:].astype(np.float32)
    skin = (lab * face).sum(axis=(0, 1)) / face.sum()
    distance = np.linalg.norm(lab - skin, axis=-1, keepdims=True)
    return np.asarray(np.exp(-((distance / 14) ** 4)), np.float32)
