"""MediaPipe's FaceLandmarker, used directly: faces of a picture as arrays, quietly, with few threads."""

import ctypes
import functools
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.components.containers.category_c import MpCategoryC
from mediapipe.tasks.python.components.containers.landmark_c import MpNormalizedLandmarkC
from mediapipe.tasks.python.vision import FaceLandmarker, FaceLandmarkerOptions, RunningMode
from mediapipe.tasks.python.vision.face_landmarker import MpFaceLandmarkerResultC
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]

_QUIET = threading.Lock()


@dataclass(frozen=True)
class Seen:
    """One of the faces that MediaPipe sees in a picture: landmarks (478, 3), 0..1 of the picture; blendshapes (52,)."""

    landmarks: Floats
    blendshapes: Floats

    @property
    def box(self) -> Floats:
        """Left, top, right, bottom, from four points of its outline (ear, brow, ear, chin)."""
        x, y = self.landmarks[:, 0], self.landmarks[:, 1]
        return np.array([x[234], y[10], x[454], y[152]])


@dataclass(frozen=True)
class FaceModel:
    """The model file `face_landmarker.task` and how it is used.

    `min_confidence`, 0..1, is of detection, presence and tracking. `threads` is the size of MediaPipe's pool of
    threads, which takes one per processor of the machine otherwise.
    """

    path: Path
    max_faces: int
    min_confidence: float
    threads: int = 1


class Landmarker:
    """A FaceLandmarker for the frames of a video (each looked at with the last in mind) or for single pictures.

    `least_detection` is the detection confidence, 0..1, if that of the model's options is lower.
    """

    def __init__(self, model: FaceModel, video: bool, least_detection: float = 0.0) -> None:
        self._video, self._loud = video, True
        options = FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model.path)),
            running_mode=RunningMode.VIDEO if video else RunningMode.IMAGE,
            num_faces=model.max_faces,
            min_face_detection_confidence=max(model.min_confidence, least_detection),
            min_face_presence_confidence=model.min_confidence,
            min_tracking_confidence=model.min_confidence,
            output_face_blendshapes=True,
        )
        with quiet_stderr(), few_processors(model.threads):
            self._landmarker = FaceLandmarker.create_from_options(options)

    def close(self) -> None:
        """Free its memory."""
        self._landmarker.close()

    def see(self, image: Picture, time_ms: int = 0) -> list[Seen]:
        """Return the faces in a picture (RGB, shape (height, width, 3)); the time is that of a frame."""
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        with ExitStack() as stack:
            if self._loud:  # each of its networks logs once, when it first runs
                stack.enter_context(quiet_stderr())
            faces = detect(self._landmarker, picture, time_ms if self._video else None)
        self._loud = self._loud and not faces
        return faces


def detect(landmarker: FaceLandmarker, picture: mediapipe.Image, time_ms: int | None) -> list[Seen]:
    """Return the faces in the next frame of a video, or in a picture without time: as `detect_for_video` and `detect`.

    MediaPipe's own makes an object of each of 478 points, which takes a tenth of all its time; here the same memory
    becomes one array. Its private names stand still with its pinned version, and a test compares the two.
    """
    result = MpFaceLandmarkerResultC()
    reference = ctypes.byref(result)
    if time_ms is None:
        landmarker._lib.MpFaceLandmarkerDetectImage(landmarker._handle, picture._image_ptr, None, reference)
    else:
        landmarker._lib.MpFaceLandmarkerDetectForVideo(landmarker._handle, picture._image_ptr, None, time_ms, reference)
    try:
        return [
            Seen(_points(result.face_landmarks[number]), _scores(result.face_blendshapes[number]))
            for number in range(result.face_landmarks_count)
        ]
    finally:
        landmarker._lib.MpFaceLandmarkerCloseResult(reference)


def _points(found: Any) -> Floats:
    table = _structures(found.landmarks, found.landmarks_count, MpNormalizedLandmarkC)
    return np.stack([table[axis] for axis in "xyz"], axis=1)


def _scores(found: Any) -> Floats:
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
