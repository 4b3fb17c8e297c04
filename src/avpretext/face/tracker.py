"""MediaPipe's FaceLandmarker as a tracker of one face through one clip."""

import ctypes
import functools
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.components.containers.category_c import MpCategoryC
from mediapipe.tasks.python.components.containers.landmark_c import MpNormalizedLandmarkC
from mediapipe.tasks.python.vision import FaceLandmarker, FaceLandmarkerOptions, RunningMode
from mediapipe.tasks.python.vision.face_landmarker import MpFaceLandmarkerResultC
from numpy.typing import NDArray

from avpretext.face.face_choice import choose_face

Floats = NDArray[np.float32]

UNSMOOTHED = 1_000_000
"""MediaPipe is told that so many times as much time passes. When it looks for one face alone it smooths the landmarks
over time, which blurs what moves fast: on the demo, lips and lids correlate .03 to .05 less with the truth. Its filter
(one-euro) trusts a picture that comes long after the last. Nothing else in it looks at the time."""


_QUIET = threading.Lock()


@dataclass(frozen=True)
class Face:
    """What MediaPipe sees in one frame.

    Attributes
    ----------
    landmarks
        Shape (478, 3): x to the right, y down, z away from the camera, all in pixels of the frame; z has the scale of
        x and its zero at the middle of the head.
    blendshapes
        Shape (52,), 0..1, in the order of `blendshapes.BLENDSHAPES`.
    faces
        How many faces the frame shows.
    """

    landmarks: Floats
    blendshapes: Floats
    faces: int


@dataclass(frozen=True)
class Seen:
    """One of the faces that MediaPipe sees in a frame: landmarks (478, 3), 0..1 of the frame; blendshapes (52,)."""

    landmarks: Floats
    blendshapes: Floats

    @property
    def box(self) -> Floats:
        """Left, top, right, bottom, from four points of its outline (ear, brow, ear, chin)."""
        x, y = self.landmarks[:, 0], self.landmarks[:, 1]
        return np.array([x[234], y[10], x[454], y[152]])


class FaceTracker:
    """Follow one face through the frames of one clip; a context manager, one instance per clip.

    Parameters
    ----------
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
            faces = detect(self._landmarker, picture, self._time_ms * UNSMOOTHED)
        if not faces:
            return None
        boxes = [face.box for face in faces]
        number = choose_face(boxes, self._followed) if len(faces) > 1 else 0
        chosen, self._followed = faces[number], boxes[number]
        height, width = image.shape[:2]
        scale = np.array([width, height, width], dtype=np.float32)
        return Face(chosen.landmarks * scale, chosen.blendshapes, len(faces))


def detect(landmarker: FaceLandmarker, picture: mediapipe.Image, time_ms: int) -> list[Seen]:
    """Return the faces in the next frame of a video: what `detect_for_video` returns, as arrays.

    MediaPipe's own makes an object of each of 478 points, which takes a tenth of all its time; here the same memory
    becomes one array. Its private names stand still with its pinned version, and a test compares the two.
    """
    result = MpFaceLandmarkerResultC()
    reference = ctypes.byref(result)
    landmarker._lib.MpFaceLandmarkerDetectForVideo(landmarker._handle, picture._image_ptr, None, time_ms, reference)
    try:
        return [
            Seen(_points(result.face_landmarks[number]), _scores(result.face_blendshapes[number]))
            for number in range(result.face_landmarks_count)
        ]
    finally:
        landmarker._lib.MpFaceLandmarkerCloseResult(reference)


def _points(found: Any) -> Floats:
    """Copy x, y and z of the landmarks of a face."""
    table = _structures(found.landmarks, found.landmarks_count, MpNormalizedLandmarkC)
    return np.stack([table[axis] for axis in "xyz"], axis=1)


def _scores(found: Any) -> Floats:
    """Copy the blendshapes of a face."""
    return np.array(_structures(found.categories, found.categories_count, MpCategoryC)["score"])


def _structures(first: Any, count: int, kind: type[ctypes.Structure]) -> NDArray[np.void]:
    """Return an array of C structures, of each what is a number; it is gone with the result that it is part of."""
    memory: Any = ctypes.cast(first, ctypes.POINTER(ctypes.c_char * (count * ctypes.sizeof(kind))))
    return np.frombuffer(memory.contents, dtype=_layout(kind))


@functools.cache
def _layout(kind: type[ctypes.Structure]) -> np.dtype[np.void]:
    """Return where the float32 numbers of a C structure stand."""
    names = [name for name, of, *_ in kind._fields_ if of is ctypes.c_float]
    offsets = [getattr(kind, name).offset for name in names]
    return np.dtype(
        {"names": names, "formats": [np.float32] * len(names), "offsets": offsets, "itemsize": ctypes.sizeof(kind)}
    )


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what native code writes to standard error: MediaPipe logs a dozen lines per instance that no setting stops.

    Its errors come as Python exceptions, which this does not touch. One thread at a time: of two that overlap, the
    second would take the null device for standard error, and leave it there.
    """
    with _QUIET:
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
