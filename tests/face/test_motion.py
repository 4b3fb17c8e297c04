from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.face.faces import posed, resting_head, rotation

from avpretext import shards
from avpretext.config import MotionOptions
from avpretext.face import motion
from avpretext.face.points import REGIONS
from avpretext.flow import schemas

FPS = 25.0


def clock(frames: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    return np.arange(frames, dtype=np.int32), np.arange(frames) / FPS


def still_head_moving(frames: int) -> NDArray[np.float64]:
    """A face that does not move in a head that nods, turns, tilts, drifts and comes closer."""
    phase = np.linspace(0, 2 * np.pi, frames)
    return np.stack(
        [
            posed(
                resting_head(),
                rotation(10 * np.sin(p), 25 * np.cos(p), 8 * np.sin(2 * p)),
                1 + 0.1 * np.sin(p),
                (9 * p, p),
            )
            for p in phase
        ]
    )


def test_head_motion_alone_is_no_motion_of_the_face() -> None:
    for speed in motion.region_speeds(still_head_moving(20), *clock(20)).values():
        np.testing.assert_allclose(speed[1:], 0, atol=1e-6)


def test_a_lip_corner_of_known_speed_gives_that_speed_whatever_the_head_does() -> None:
    frames, eye_distances_per_second = 10, 0.5
    points = []
    for frame in range(frames):
        head = resting_head()
        head[48, 0] -= eye_distances_per_second * frame / FPS
        points.append(posed(head, rotation(0, 2.0 * frame, -3.0 * frame), 1 + 0.02 * frame, (4.0 * frame, 0)))
    speeds = motion.region_speeds(np.stack(points), *clock(frames))
    np.testing.assert_allclose(speeds["mouth"][1:], eye_distances_per_second / len(REGIONS["mouth"]), rtol=1e-6)
    np.testing.assert_allclose(speeds["face"][1:], eye_distances_per_second / len(REGIONS["face"]), rtol=1e-6)
    np.testing.assert_allclose(speeds["brows"][1:], 0, atol=1e-6)


def test_speed_does_not_depend_on_the_frame_rate() -> None:
    def mouth(fps: float) -> float:
        frames = int(fps)
        points = np.stack([resting_head() * 100 for _ in range(frames)])
        points[:, 48, 0] -= np.arange(frames) / fps * 20
        speeds = motion.region_speeds(points, np.arange(frames), np.arange(frames) / fps)
        return float(np.nanmean(speeds["mouth"]))

    assert mouth(25) == pytest.approx(mouth(50))


def test_gaps_stay_gaps_and_the_frame_after_one_has_no_speed() -> None:
    points = still_head_moving(8)
    points[3] = np.nan
    speed = motion.region_speeds(points, *clock(8), smooth_s=0.12)["face"]
    np.testing.assert_array_equal(np.isnan(speed), [True, False, False, True, True, False, False, False])


def test_a_missing_frame_is_a_gap() -> None:
    frame = np.array([0, 1, 5, 6], dtype=np.int32)
    speed = motion.region_speeds(still_head_moving(4), frame, frame / FPS)["face"]
    np.testing.assert_array_equal(np.isnan(speed), [True, False, True, False])


def test_smoothing_damps_jitter_and_keeps_steady_motion() -> None:
    rng = np.random.default_rng(3)
    still = np.stack([resting_head() * 100] * 40) + rng.normal(scale=0.3, size=(40, 68, 3))
    rough, smooth = (np.nanmean(motion.region_speeds(still, *clock(40), s)["mouth"]) for s in (0.0, 0.2))
    assert smooth < 0.5 * rough
    moving = np.stack([resting_head() * 100] * 40)
    moving[:, 48:68, 1] += np.arange(40)[:, None] * 2.0
    steady = motion.region_speeds(moving, *clock(40), 0.2)["mouth"][5:-5]
    np.testing.assert_allclose(steady, 2.0 / 100 * FPS, rtol=1e-6)


@pytest.mark.parametrize("points", [68, 478])
def test_a_shard_of_either_set_of_points_is_measured(tmp_path: Path, points: int) -> None:
    from avpretext.face.points import MEDIAPIPE_TO_DLIB

    tracked = still_head_moving(4)
    full = np.zeros((4, points, 3))
    full[:, MEDIAPIPE_TO_DLIB if points == 478 else np.arange(68)] = tracked
    rows = [
        {
            "clip_id": clip_id, "frame": frame, "time_s": frame / FPS, "detected": frame != 2, "faces": 1,
            "landmarks": None if frame == 2 else full[frame].ravel().tolist(),
            "blendshapes": None if frame == 2 else [0.0] * 52,
            "pitch_deg": None, "yaw_deg": None, "roll_deg": None, "width": 640, "height": 480,
        }
        for clip_id in ("a", "b ü 😀")
        for frame in range(4)
    ]  # fmt: skip
    shards.write_table(tmp_path / "landmarks.parquet", rows, schemas.landmarks(points), {})
    motion.run(tmp_path / "landmarks.parquet", MotionOptions(), tmp_path / "motion.parquet")
    found = shards.read(tmp_path / "motion.parquet")
    assert found["clip_id"].to_list() == ["a"] * 4 + ["b ü 😀"] * 4
    assert found["speed_face"].is_null().to_list() == [True, False, True, True] * 2
    assert found["speed_face"].drop_nulls().to_list() == pytest.approx([0, 0], abs=1e-5)
