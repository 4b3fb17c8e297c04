from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avpretext.segment.face_count import count_faces


def jpeg(*pasted: tuple[int, int, int]) -> bytes:
    """A photograph of 16:9 with the astronaut pasted into it: (left, top, pixels of the side)."""
    from skimage import data

    portrait = data.astronaut()[0:240, 100:340]
    scene: NDArray[np.uint8] = cv2.resize(data.stereo_motorcycle()[0], (854, 480), interpolation=cv2.INTER_AREA)
    for left, top, side in pasted:
        scene[top : top + side, left : left + side] = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", scene[:, :, ::-1])[1].tobytes()


def test_faces_are_counted_large_and_small_up_to_two(face_model: Path) -> None:
    one_small, large = jpeg((600, 200, 110)), jpeg((100, 20, 400))
    three = jpeg((50, 50, 110), (350, 300, 110), (600, 200, 120))
    counts = count_faces([large, jpeg(), one_small, three, b"damaged", one_small], face_model, 2.0)
    assert counts.tolist() == [1, 0, 1, 2, 0, 1]
