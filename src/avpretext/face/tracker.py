"""One face, followed through the frames of one clip by MediaPipe's FaceLandmarker."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from avpretext.face.face_choice import choose_face
from avpretext.face.landmarker import FaceModel, Landmarker
from avpretext.face.small_faces import SmallFaces

Floats = NDArray[np.float32]

UNSMOOTHED = 1_000_000
"""Factor on the times of frames that MediaPipe is given. When it looks for one face alone it smooths the landmarks
over time, which blurs what moves fast: on the demo, lips and lids correlate .03 to .05 less with the truth. Its filter
(one-euro) trusts a picture that comes long after the last. Nothing else in it looks at the time."""


@dataclass(frozen=True)
class Face:
    """What MediaPipe sees in one frame.

    `landmarks` (478, 3) have x to the right, y down, z away from the camera, all in pixels of the frame; z has the
    scale of x and its zero at the middle of the head. `blendshapes` (52,) are 0..1, in the order of
    `blendshapes.BLENDSHAPES`. `faces` is the number of faces in the frame, or in the tile in which the face was found.
    """

    landmarks: Floats
    blendshapes: Floats
    faces: int


class FaceTracker:
    """Follow one face through the frames of one clip; a context manager, one instance per clip.

    See `FaceModel` for most parameters; `tiles`: a frame without a face is looked at again in tiles, see `SmallFaces`.
    """

    def __init__(
        self, model: Path, max_faces: int, min_confidence: float, threads: int = 1, tiles: bool = False
    ) -> None:
        self._model = FaceModel(model, max_faces, min_confidence, threads)
        self._small = SmallFaces(self._model) if tiles else None
        self._time_ms = -1
        self._followed: Floats | None = None

    def __enter__(self) -> Self:
        self._landmarker = Landmarker(self._model, video=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._landmarker.close()
        if self._small is not None:
            self._small.close()

    def track(self, image: NDArray[np.uint8], time_s: float) -> Face | None:
        """Return the clip's face in the next frame (RGB, shape (height, width, 3)), or None."""
        self._time_ms = max(self._time_ms + 1, round(time_s * 1000))  # MediaPipe wants each later than the last
        faces = self._landmarker.see(image, self._time_ms * UNSMOOTHED)
        if not faces and self._small is not None:
            faces = self._small.look(image, time_s)
        if not faces:
            return None
        boxes = [face.box for face in faces]
        number = choose_face(boxes, self._followed) if len(faces) > 1 else 0
        chosen, self._followed = faces[number], boxes[number]
        if self._small is not None:
            self._small.follow(boxes[number], time_s)
        height, width = image.shape[:2]
        scale = np.array([width, height, width], dtype=np.float32)
        return Face(chosen.landmarks * scale, chosen.blendshapes, min(len(faces), self._model.max_faces))
