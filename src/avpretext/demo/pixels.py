"""Images, masks and warps of the demo's face: OpenCV, with our types."""

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""RGB, (height, width, 3)."""

Mask = NDArray[np.uint8]
"""(height, width), 0 to 255."""

Points = NDArray[np.float32]
"""(N, 2), x and y in pixels."""

SUBPIXEL_BITS = 4
_BORDERS = {"reflect": cv2.BORDER_REFLECT_101, "repeat": cv2.BORDER_REPLICATE}


def warp(
    image: NDArray[Any], source: NDArray[np.float32], border: Literal["reflect", "repeat"], cubic: bool = False
) -> NDArray[Any]:
    """Sample an image at `source` (height, width, 2), the place in it that each pixel comes from."""
    how = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    # the stubs know no None here, but an empty second map in its place makes OpenCV 5.0 hang
    return np.asarray(cv2.remap(image, source, None, how, borderMode=_BORDERS[border]))  # type: ignore[call-overload]


def fixed_point(points: NDArray[np.floating] | float) -> NDArray[np.int32]:
    """Points in OpenCV's sixteenths of a pixel."""
    return np.round(np.asarray(points) * (1 << SUBPIXEL_BITS)).astype(np.int32)


def filled(outline: NDArray[np.floating], size: int) -> Mask:
    """A polygon filled with 255, its edge antialiased, on a square of 0."""
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [fixed_point(outline)], 255, lineType=cv2.LINE_AA, shift=SUBPIXEL_BITS)
    return mask


def line(points: NDArray[np.floating], size: int, thickness: int) -> Mask:
    """A line of 255 through the points, on a square of 0."""
    mask = np.zeros((size, size), np.uint8)
    cv2.polylines(mask, [fixed_point(points)], False, 255, thickness, cv2.LINE_AA, SUBPIXEL_BITS)
    return mask


def blurred(image: NDArray[Any], deviation: float) -> NDArray[Any]:
    """Gaussian blur; `deviation` in pixels."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), deviation))


def grown(mask: Mask, by: int) -> Mask:
    """A mask grown by some pixels on each side, or shrunk where `by` is negative."""
    kernel = np.ones((2 * abs(by) + 1, 2 * abs(by) + 1), np.uint8)
    return np.asarray(cv2.dilate(mask, kernel) if by > 0 else cv2.erode(mask, kernel), np.uint8)


def mixed(under: Image, over: Image, mask: Mask) -> Image:
    """Lay `over` on `under` where the mask is set."""
    alpha = np.repeat(mask[..., None], 3, axis=2).astype(np.uint16)
    return np.asarray((under * (255 - alpha) + over * alpha + 127) // 255, np.uint8)
