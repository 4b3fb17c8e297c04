import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avpretext.action_units.expressions import DIRECTIONS, strength
from avpretext.face.blendshapes import BLENDSHAPES
from avpretext.face.points import MEDIAPIPE_TO_DLIB
from avpretext.face.thumbnails import BLOCK, PIXELS, Thumbnails, cut_face
from avpretext.face.tracker import Face

SMILE, SNEER = DIRECTIONS.index(("AU06", "AU12")), DIRECTIONS.index(("AU09", "AU10"))


def face(points: NDArray[np.float32], **blendshapes: float) -> Face:
    shapes = np.zeros(len(BLENDSHAPES), dtype=np.float32)
    for k, name in enumerate(BLENDSHAPES):
        shapes[k] = blendshapes.get(name.removesuffix("Left").removesuffix("Right"), 0.0)
    return Face(points, shapes, 1)


@pytest.fixture
def points() -> NDArray[np.float32]:
    """The canonical head's points that matter, the others on the nose; in pixels of a picture of 200 by 200."""
    from avpretext.face.geometry import HEAD
    from avpretext.face.points import STABLE

    placed = np.tile(HEAD[7], (478, 1))
    placed[MEDIAPIPE_TO_DLIB[STABLE]] = HEAD
    return np.asarray(placed * 60 + 100, dtype=np.float32)


def picture(shade: int) -> NDArray[np.uint8]:
    return np.full((200, 200, 3), shade, dtype=np.uint8)


def shade(row: dict) -> int:
    return int(cv2.imdecode(np.frombuffer(row["image"]["bytes"], np.uint8), cv2.IMREAD_COLOR).mean().round())


def test_the_frame_that_goes_furthest_is_kept_for_each_direction_also_beyond_a_block(
    points: NDArray[np.float32],
) -> None:
    smiles = {7: 0.6, BLOCK + 5: 0.8, 2 * BLOCK + 1: 0.7}
    found = Thumbnails(strength)
    for frame in range(3 * BLOCK):
        shapes = {"mouthSmile": smiles.get(frame, 0.0), "mouthUpperUp": 0.5 if frame == 3 else 0.0}
        found.offer(frame, frame / 25, picture(frame), face(points, **shapes))
    rows = {row["frame"]: row for row in found.rows("a")}
    assert list(rows) == sorted(rows)
    assert {3, BLOCK + 5} <= set(rows)
    assert not {7, 2 * BLOCK + 1} & set(rows)
    assert len(rows) <= len(DIRECTIONS)
    assert rows[BLOCK + 5]["time_s"] == pytest.approx((BLOCK + 5) / 25)
    assert abs(shade(rows[BLOCK + 5]) - (BLOCK + 5)) <= 2


def test_a_blink_is_no_expression(points: NDArray[np.float32]) -> None:
    shapes = [face(points, mouthSmile=0.5).blendshapes, face(points, mouthSmile=0.6, eyeBlink=1.0).blendshapes]
    dlib = points[MEDIAPIPE_TO_DLIB]
    found = strength(np.stack([dlib, dlib]), np.stack(shapes))
    assert found.shape == (2, len(DIRECTIONS))
    assert found[0, SMILE] > found[1, SMILE]
    assert found[0, SNEER] > found[1, SNEER]


def test_frames_without_a_face_are_passed_over(points: NDArray[np.float32]) -> None:
    found = Thumbnails(strength)
    found.offer(0, 0.0, picture(10), face(points))
    found.offer(1, 0.04, picture(20), None)
    found.offer(2, 0.08, None, None)
    assert {(row["clip_id"], row["frame"]) for row in found.rows("a")} == {("a", 0)}
    assert Thumbnails(strength).rows("b") == []


def test_no_more_than_a_block_of_frames_waits(points: NDArray[np.float32]) -> None:
    found = Thumbnails(strength)
    for frame in range(5 * BLOCK):
        found.offer(frame, frame / 25, picture(1), face(points))
        assert len(found._waiting) < BLOCK


@pytest.mark.parametrize(
    ("size", "centre", "reach"), [((480, 640), (300, 200), 60), ((90, 300), (10, 80), 100), ((64, 64), (32, 32), 1)]
)
def test_a_cut_face_is_a_square_within_the_picture_around_the_face(
    size: tuple[int, int], centre: tuple[int, int], reach: int
) -> None:
    height, width = size
    columns = np.broadcast_to(np.arange(width)[None, :, None] / width * 255, (height, width, 3))
    corners = np.array([[centre[0] - reach, centre[1] - reach, 0], [centre[0] + reach, centre[1] + reach, 0]])
    cut = cut_face(columns.astype(np.uint8), corners)
    assert cut.shape == (PIXELS, PIXELS, 3)
    if reach == 60:
        # The box is 120 wide, 150 with its margin: columns 225 to 375 of 640.
        assert [round(float(cut[50, k, 0])) for k in (0, -1)] == pytest.approx(
            [225 / 640 * 255, 375 / 640 * 255], abs=2
        )
