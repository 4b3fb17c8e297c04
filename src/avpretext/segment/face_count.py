"""How many faces pictures show, by MediaPipe FaceLandmarker."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAX_FACES = 2
"""Enough to tell one face from several; MediaPipe is slower the more it looks for."""

MIN_CONFIDENCE = 0.5

FACE_HEIGHT = 480
"""Frames are scaled down to this before faces are counted, in pixels: tiles of half of that find faces from 8 %."""


def count_faces(images: Iterable[bytes], model: Path, fps: float) -> NDArray[np.int16]:
    """Return the number of faces in each picture, (pictures,), at most `MAX_FACES`; small ones are found in tiles.

    The pictures are JPEG files in the order of time, taken one at a time; `model` is the file `face_landmarker.task`.
    """
    # MediaPipe takes seconds to load: only where faces are counted.
    import cv2

    from avpretext.face.landmarker import FaceModel
    from avpretext.face.landmarks import decode
    from avpretext.face.small_faces import SmallFaces
    from avpretext.face.tracker import FaceTracker

    cv2.setNumThreads(1)
    counts = []
    with (
        FaceTracker(model, MAX_FACES, MIN_CONFIDENCE) as tracker,
        closing(SmallFaces(FaceModel(model, MAX_FACES, MIN_CONFIDENCE))) as small,
    ):
        for number, jpeg in enumerate(images):
            image = decode(jpeg)
            if image is None:
                counts.append(0)
            elif (face := tracker.track(image, number / fps)) is not None:
                counts.append(face.faces)
            else:
                counts.append(min(len(small.search(image)), MAX_FACES))
    return np.array(counts, dtype=np.int16)
