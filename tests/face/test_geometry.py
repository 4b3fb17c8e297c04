import numpy as np
import pytest
from tests.face.faces import posed, resting_head, rotation

from avpretext.face import geometry
from avpretext.face.points import MEDIAPIPE_TO_DLIB, REGIONS, STABLE, dlib_points


def test_similarity_recovers_a_known_transformation() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(1, 9, 3))
    turn = rotation(10, -20, 30)
    reference = 2.5 * points[0] @ turn.T + np.array([1.0, -2, 3])
    found_turn, scale, shift = geometry.similarity(points, reference)
    np.testing.assert_allclose(found_turn[0], turn, atol=1e-9)
    np.testing.assert_allclose(scale, 2.5)
    np.testing.assert_allclose(shift[0], [1, -2, 3], atol=1e-9)


def test_similarity_never_mirrors() -> None:
    rng = np.random.default_rng(2)
    points = rng.normal(size=(1, 9, 3))
    turn, _, _ = geometry.similarity(points, points[0] * [-1, 1, 1])
    np.testing.assert_allclose(np.linalg.det(turn), 1.0)


def test_upright_removes_position_size_and_rotation_of_the_head() -> None:
    head = resting_head()
    poses = [
        ((0, 0, 0), 1.0, (0, 0)),
        ((15, 0, 0), 0.5, (300, 20)),
        ((0, -35, 0), 2.0, (-50, 7)),
        ((5, 20, 40), 1, (9, 9)),
    ]
    frames = np.stack([posed(head, rotation(*angles), scale, shift) for angles, scale, shift in poses])
    aligned = geometry.upright(frames)
    np.testing.assert_allclose(aligned, np.broadcast_to(head, aligned.shape), atol=1e-9)


def test_upright_keeps_gaps() -> None:
    frames = np.stack([posed(resting_head(), np.eye(3), 1, (0, 0)), np.full((68, 3), np.nan)])
    aligned = geometry.upright(frames)
    assert np.isfinite(aligned[0]).all()
    assert np.isnan(aligned[1]).all()


def test_smoothing_never_reaches_over_a_gap() -> None:
    values = np.array([0.0, 0, 0, np.nan, 9, 9, 9])
    np.testing.assert_allclose(geometry.smooth(values, 5), values)


def test_the_points_of_dlib_are_distinct_and_inside_the_478() -> None:
    assert len(set(MEDIAPIPE_TO_DLIB.tolist())) == 68
    assert MEDIAPIPE_TO_DLIB.max() < 468, "irises are no part of dlib's points"


def test_no_region_moves_the_points_that_the_head_is_aligned_by_but_the_face() -> None:
    for name, members in REGIONS.items():
        if name != "face":
            assert not set(members.tolist()) & set(STABLE.tolist()), name


def test_the_68_points_pass_through_and_the_478_are_picked() -> None:
    full = np.arange(478 * 3, dtype=float).reshape(1, 478, 3)
    np.testing.assert_array_equal(dlib_points(full), full[:, MEDIAPIPE_TO_DLIB])
    np.testing.assert_array_equal(dlib_points(dlib_points(full)), dlib_points(full))


@pytest.mark.parametrize("angles", [(0, 0, 0), (10, 0, 0), (0, -30, 0), (0, 0, 25), (-12, 40, -8)])
def test_head_pose_gives_back_the_angles_of_a_turned_head(angles: tuple[float, float, float]) -> None:
    y_up_z_near = np.diag([1.0, -1, -1])
    turn = y_up_z_near @ rotation(*angles) @ y_up_z_near
    np.testing.assert_allclose(
        geometry.head_pose(posed(resting_head(), turn, 1.3, (50, 70))[None]), [angles], atol=1e-9
    )
