"""MediaPipe's FaceLandmarker as a tracker of one face through one clip."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import FaceLandmarker, FaceLandmarkerOptions, RunningMode
from numpy.typing import NDArray

from avpretext.features.face_choice import choose_face

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Face:
    """What MediaPipe sees in one frame.

    Attributes
    ----------
    landmarks
        Shape (478, 3): x to the right, y down, z away from the camera, all in pixels of the frame; z has the scale of
        x and its zero at the middle of the head.
    blendshapes
        Shape (52,), 0..1, in the order of `BLENDSHAPES`.
    faces
        How many faces the frame shows.
    """

    landmarks: Floats
    blendshapes: Floats
    faces: int


class FaceTracker:
    """Follow one face through the frames of one clip; a context manager, one instance per clip.

    Parameters
    ----------
    model
        The file `face_landmarker.task`.
    max_faces
        How many faces are looked for in a frame.
    min_confidence
        Of detection, presence and tracking, 0..1.
    threads
        Size of MediaPipe's pool of threads; it takes one per processor of the machine otherwise.
    """

    def __init__(self, model: Path, max_faces: int, min_confidence: float, threads: int = 1) -> None:
        self._options = FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model)),
            running_mode=RunningMode.VIDEO,
            num_faces=max_faces,
            min_face_detection_confidence=min_confidence,
            min_face_presence_confidence=min_confidence,
            min_tracking_confidence=min_confidence,
            output_face_blendshapes=True,
        )
        self._threads = threads
        self._time_ms = -1
        self._followed: Floats | None = None

    def __enter__(self) -> Self:
        with quiet_stderr(), few_processors(self._threads):
            self._landmarker = FaceLandmarker.create_from_options(self._options)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._landmarker.close()

    def track(self, image: NDArray[np.uint8], time_s: float) -> Face | None:
        """Return the clip's face in the next frame (RGB, shape (height, width, 3)), or None."""
        self._time_ms = max(self._time_ms + 1, round(time_s * 1000))  # MediaPipe wants each later than the last
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
        with ExitStack() as stack:
            if self._followed is None:  # each of its networks logs once, when it first runs
                stack.enter_context(quiet_stderr())
            result = self._landmarker.detect_for_video(picture, self._time_ms)
        if not result.face_landmarks:
            return None
        height, width = image.shape[:2]
        chosen = choose_face([_box(found) for found in result.face_landmarks], self._followed)
        self._followed = _box(result.face_landmarks[chosen])
        scale = np.array([width, height, width], dtype=np.float32)
        return Face(
            landmarks=_coordinates(result.face_landmarks[chosen]) * scale,
            blendshapes=np.array([shape.score for shape in result.face_blendshapes[chosen]], dtype=np.float32),
            faces=len(result.face_landmarks),
        )


def _coordinates(found: Sequence[Any]) -> Floats:
    return np.array([(point.x, point.y, point.z) for point in found], dtype=np.float32)


def _box(found: Sequence[Any]) -> Floats:
    """Return left, top, right, bottom of a face from four points of its outline (ear, brow, ear, chin)."""
    return np.array([found[234].x, found[10].y, found[454].x, found[152].y], dtype=np.float32)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what native code writes to standard error: MediaPipe logs a dozen lines per instance that no setting stops.

    Its errors come as Python exceptions, which this does not touch.
    """
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def few_processors(count: int) -> Iterator[None]:
    """Let the process see `count` processors for a while: MediaPipe starts one thread for each that it sees.

    Many jobs times many threads slow each other down (mediapipe issues 2323 and 5465). Afterwards all threads may run
    on any processor again, so that jobs side by side do not crowd onto one. Linux only; elsewhere nothing is done.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(allowed)[:count]))
    try:
        yield
    finally:
        for thread in os.listdir("/proc/self/task"):
            try:
                os.sched_setaffinity(int(thread), allowed)
            except ProcessLookupError:  # a thread that has ended meanwhile
                continue
