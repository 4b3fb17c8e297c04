"""Frames of a video that are looked at one by one: landmarks, blendshapes, and a few pictures to draw on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext.action_units import neutral
from avpretext.action_units.from_landmarks import from_blendshapes
from avpretext.config import LandmarkOptions
from avpretext.face.landmark_shards import BLENDSHAPE_COUNT, ClipLandmarks, evenly
from avpretext.face.landmarks import decode
from avpretext.face.points import DLIB_POINTS, MEDIAPIPE_POINTS, dlib_points
from avpretext.face.preview import Preview
from avpretext.face.thumbnails import jpeg
from avpretext.face.tracker import Face, FaceTracker
from avpretext.inspect.overlay import drawn, view_of
from avpretext.media.decode import Picture

Floats = NDArray[np.float64]


class FaceFrames:
    """The frames of one clip, at `fps`, as `follow` looks at them."""

    def __init__(self, model: Path, options: LandmarkOptions, fps: float) -> None:
        self._model, self._options, self._fps = model, options, fps
        self._faces: list[Face | None] = []
        self._preview = Preview()

    @property
    def detected(self) -> int:
        """Frames with a face."""
        return sum(face is not None for face in self._faces)

    @property
    def time_s(self) -> Floats:
        """(F,) seconds."""
        return np.arange(len(self._faces)) / self._fps

    def follow(self, frames: Iterator[Picture]) -> None:
        """Follow the face through the frames; begins anew if it is called again."""
        self._faces, self._preview = [], Preview()
        options = self._options
        tracking = FaceTracker(self._model, options.max_faces, options.min_confidence, tiles=options.tiles)
        with tracking as tracker:
            for number, picture in enumerate(frames):
                self._faces.append(tracker.track(picture, number / self._fps))
                self._preview.offer(number, number / self._fps, picture)

    def action_units(self) -> Floats:
        """Return the action units, (F, 20), 0..1, NaN without a face; calibrated by the face of the clip."""
        points = self._stacked([None if face is None else dlib_points(face.landmarks) for face in self._faces])
        shapes = np.full((len(self._faces), BLENDSHAPE_COUNT), np.nan, np.float32)
        for number, face in enumerate(self._faces):
            if face is not None:
                shapes[number] = face.blendshapes
        frames = np.arange(len(self._faces), dtype=np.int32)
        clip = ClipLandmarks("", frames, self.time_s, points, shapes, points[:, :0])
        return from_blendshapes(clip, (neutral.TYPICAL, True))

    def pictures(self, most: int, box: tuple[int, int]) -> Iterator[tuple[float, bytes]]:
        """Yield time and JPEG of a few frames, cut to the face, with the landmarks on them, to fit a box."""
        rows = self._preview.rows("")
        landmarks = self._stacked([None if face is None else face.landmarks for face in self._faces], MEDIAPIPE_POINTS)
        shown = [row for row in rows if self._faces[row["frame"]] is not None] or rows
        for place in evenly(len(shown), most):
            row = shown[place]
            picture = decode(row["image"]["bytes"])
            if picture is not None:
                view = view_of((picture.shape[1], picture.shape[0]), landmarks, box, whole=False)
                yield row["time_s"], jpeg(drawn(picture, landmarks[row["frame"]], view), 90)

    @staticmethod
    def _stacked(faces: list[NDArray[np.floating] | None], points: int = DLIB_POINTS) -> NDArray[np.float32]:
        """Return landmarks (F, points, 3), NaN without a face."""
        empty = np.full((points, 3), np.nan, np.float32)
        return np.stack([empty if face is None else np.asarray(face, np.float32) for face in faces])
