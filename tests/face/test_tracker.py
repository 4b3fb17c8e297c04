import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mediapipe
import numpy as np
import pytest
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import FaceLandmarker, FaceLandmarkerOptions, RunningMode
from numpy.typing import NDArray

from avpretext.face.blendshapes import BLENDSHAPES
from avpretext.face.face_choice import choose_face
from avpretext.face.geometry import head_pose
from avpretext.face.landmarker import detect, few_processors, quiet_stderr
from avpretext.face.points import EYE_CORNERS_OUTER, MEDIAPIPE_TO_DLIB, dlib_points
from avpretext.face.tracker import FaceTracker


def box(left: float, size: float) -> NDArray[np.float32]:
    return np.array([left, 0, left + size, size], dtype=np.float32)


def test_the_largest_face_is_followed_first_then_the_nearest_until_another_is_clearly_larger() -> None:
    small, large, larger = box(0, 1.0), box(5, 1.2), box(5, 2.0)
    assert choose_face([small, large], None) == 1
    assert choose_face([large, small], followed=small) == 1
    assert choose_face([larger, small], followed=small) == 0


def test_native_output_is_dropped_and_pythons_exceptions_are_not(capfd: pytest.CaptureFixture[str]) -> None:
    def fail_noisily() -> None:
        with quiet_stderr():
            os.write(2, b"native noise\n")
            raise ValueError("seen")

    with pytest.raises(ValueError, match="seen"):
        fail_noisily()
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is a matter of Linux")
def test_processors_are_given_back() -> None:
    before = os.sched_getaffinity(0)
    with few_processors(1):
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[0:240, 100:340])


def test_a_portrait_is_found_with_every_point_in_its_place(face_model: Path, portrait: NDArray[np.uint8]) -> None:
    with FaceTracker(face_model, 2, 0.5) as tracker:
        face = tracker.track(portrait, 0.0)
    assert face is not None
    assert face.faces == 1
    points = dlib_points(face.landmarks)
    assert points.shape == (68, 3)
    assert (points[:, :2] > 0).all()
    assert (points[:, :2] < 240).all()
    left, right = points[EYE_CORNERS_OUTER[0]], points[EYE_CORNERS_OUTER[1]]
    assert 50 < right[0] - left[0] < 100, "landmarks are in pixels"
    assert points[8, 1] > points[57, 1] > points[33, 1] > points[36, 1], "chin, lip, nose, eye from below"
    assert MEDIAPIPE_TO_DLIB[30] == 4
    assert points[30, 2] < points[0, 2], "the tip of the nose is nearer than the ear"
    assert face.blendshapes.shape == (len(BLENDSHAPES),) == (52,)
    assert face.blendshapes[BLENDSHAPES.index("mouthSmileLeft")] > 0.5, "she smiles"


def test_a_tilted_picture_tilts_the_head_by_as_much(face_model: Path, portrait: NDArray[np.uint8]) -> None:
    import cv2

    rolls = []
    for angle in (0, 20):  # counter-clockwise
        turn = cv2.getRotationMatrix2D((120, 120), angle, 1.0)
        with FaceTracker(face_model, 1, 0.5) as tracker:
            face = tracker.track(cv2.warpAffine(portrait, turn, (240, 240), borderMode=cv2.BORDER_REPLICATE), 0.0)
        assert face is not None
        rolls.append(head_pose(dlib_points(face.landmarks)[None])[0, 2])
    assert rolls[1] - rolls[0] == pytest.approx(20, abs=4)


def test_two_people_are_two_faces_and_the_larger_is_followed(face_model: Path, portrait: NDArray[np.uint8]) -> None:
    import cv2

    both = np.zeros((240, 400, 3), dtype=np.uint8)
    both[:, :240] = portrait
    both[40:200, 240:] = cv2.resize(portrait, (160, 160))
    with FaceTracker(face_model, 2, 0.5) as tracker:
        for frame in range(3):
            face = tracker.track(both, frame / 25)
    assert face is not None
    assert face.faces == 2
    assert face.landmarks[:, 0].mean() < 200


def test_no_face_is_none(face_model: Path) -> None:
    with FaceTracker(face_model, 2, 0.5) as tracker:
        assert tracker.track(np.full((120, 160, 3), 90, dtype=np.uint8), 0.0) is None


def test_mediapipe_stays_silent(
    face_model: Path, portrait: NDArray[np.uint8], capfd: pytest.CaptureFixture[str]
) -> None:
    with FaceTracker(face_model, 2, 0.5) as tracker:
        tracker.track(portrait, 0.0)
    assert capfd.readouterr().err == ""


def test_standard_error_is_back_after_threads_that_overlap(capfd: pytest.CaptureFixture[str]) -> None:
    def quiet(seconds: float) -> None:
        time.sleep(seconds)
        with quiet_stderr():
            os.write(2, b"a line of native code")
            time.sleep(0.06)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(quiet, (0.0, 0.03)))
    os.write(2, b"the stage goes on")
    assert capfd.readouterr().err == "the stage goes on"


@pytest.mark.parametrize("faces", [1, 2])
def test_faces_are_what_mediapipes_own_function_returns(
    face_model: Path, portrait: NDArray[np.uint8], faces: int
) -> None:
    options = FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(face_model)),
        running_mode=RunningMode.VIDEO,
        num_faces=faces,
        output_face_blendshapes=True,
    )
    both = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.hstack([portrait, portrait[:, ::-1]]))
    with FaceLandmarker.create_from_options(options) as ours, FaceLandmarker.create_from_options(options) as theirs:
        for frame in range(3):
            seen, expected = detect(ours, both, 40 * frame), theirs.detect_for_video(both, 40 * frame)
            assert len(seen) == len(expected.face_landmarks) == faces
            for face, landmarks, shapes in zip(seen, expected.face_landmarks, expected.face_blendshapes, strict=True):
                assert face.landmarks.tolist() == [[point.x, point.y, point.z] for point in landmarks]
                assert face.blendshapes.tolist() == [shape.score for shape in shapes]


def test_a_face_that_jumps_is_where_it_is_at_once(face_model: Path, portrait: NDArray[np.uint8]) -> None:
    """MediaPipe smooths the landmarks of one face over time unless much of it has passed; a lip would lag behind."""
    moved = np.roll(portrait, 6, axis=1)
    with FaceTracker(face_model, 1, 0.5) as tracker:
        before = [tracker.track(portrait, frame / 25) for frame in range(4)][-1]
        after = tracker.track(moved, 4 / 25)
    assert before is not None
    assert after is not None
    assert (after.landmarks - before.landmarks)[:, 0].mean() == pytest.approx(6, abs=0.7)
