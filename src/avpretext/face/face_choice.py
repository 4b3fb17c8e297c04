"""Which of the faces in a frame is the one that the clip is about: the same rule for every detector."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]

SWITCH_RATIO = 1.5
"""Another face takes over once it is this many times as tall as the one followed."""


def choose_face(boxes: Sequence[Floats] | Floats, followed: Floats | None) -> int:
    """Return the place of the clip's face among the boxes (left, top, right, bottom, in any unit) of a frame.

    The largest face at first; then the one nearest to the box followed so far, until another is clearly larger
    (`SWITCH_RATIO`), so that a passer-by neither takes over for a frame nor is followed for ever.

    >>> boxes = [np.array([0.0, 0, 1, 1]), np.array([5.0, 0, 6.2, 1.2])]
    >>> choose_face(boxes, None), choose_face(boxes, boxes[0])
    (1, 0)
    """
    heights = np.array([box[3] - box[1] for box in boxes])
    largest = int(heights.argmax())
    if followed is None:
        return largest
    centre = (followed[:2] + followed[2:]) / 2
    distances = [np.linalg.norm((box[:2] + box[2:]) / 2 - centre) for box in boxes]
    nearest = int(np.argmin(distances))
    return largest if heights[largest] > SWITCH_RATIO * heights[nearest] else nearest
