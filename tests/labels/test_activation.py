from pathlib import Path

import numpy as np
import pytest

from avpretext import shards
from avpretext.config import ActivationLabelOptions, ChunkOptions
from avpretext.flow import schemas
from avpretext.labels import activation

FPS = 25.0


def test_a_chunk_takes_the_frames_from_its_start_to_before_its_end() -> None:
    time_s = np.arange(50) / FPS
    speed = np.where(time_s < 1.0, 1.0, 3.0)
    value = activation.chunk_motion(time_s, speed, np.array([0.0, 0.5, 1.0]), np.array([1.0, 1.5, 2.0]), 0.5)
    np.testing.assert_allclose(value, [1, (13 * 1 + 12 * 3) / 25, 3], atol=0.1)
    assert value[0] == 1
    assert value[2] == 3


def test_gaps_are_left_out_and_too_many_of_them_leave_the_chunk_unmeasured() -> None:
    time_s, speed = np.arange(4) / 4, np.array([np.nan, 2.0, np.nan, 4.0])
    whole = (np.array([0.0]), np.array([1.0]))
    assert activation.chunk_motion(time_s, speed, *whole, 0.5).tolist() == [3.0]
    assert np.isnan(activation.chunk_motion(time_s, speed, *whole, 0.6)).all()
    assert np.isnan(activation.chunk_motion(time_s, np.full(4, np.nan), *whole, 0.0)).all()


def test_a_chunk_beyond_the_video_is_not_measured() -> None:
    assert np.isnan(
        activation.chunk_motion(np.arange(25) / FPS, np.ones(25), np.array([1.0]), np.array([2.0]), 0.0)
    ).all()


def test_chunks_are_those_of_the_speech_also_for_clips_without_a_face(tmp_path: Path) -> None:
    motion_rows = [
        {"clip_id": "calm" if speed < 1 else "lively", "frame": k, "time_s": k / FPS}
        | {f"speed_{name}": None if k == 0 else speed for name in schemas.MOTION_REGIONS}
        for speed in (0.1, 2.0)
        for k in range(50)
    ]
    shards.write_table(tmp_path / "motion.parquet", motion_rows, schemas.MOTION, {})
    audio_rows = [
        {"clip_id": name, "speaker": None, "label": None, "duration_s": 2.0, "samples": 32_000, "audio": None,
         "video_frames": 50, "fps": FPS}
        for name in ("calm", "faceless", "lively")
    ]  # fmt: skip
    shards.write_table(tmp_path / "audio.parquet", audio_rows, schemas.AUDIO, {})
    output = tmp_path / "all.parquet"
    shard = [tmp_path / "motion.parquet"], [tmp_path / "audio.parquet"]
    activation.run(*shard, ActivationLabelOptions(), ChunkOptions(length_s=1.0, count=2), output)
    found = shards.read(output)
    assert found["clip_id"].to_list() == ["calm"] * 2 + ["faceless"] * 2 + ["lively"] * 2
    assert found["label"].to_list() == [0, 0, None, None, 1, 1]
    assert found["value"].to_list() == [pytest.approx(0.1), pytest.approx(0.1), None, None, 2.0, 2.0]
    assert found["confidence"].is_null().to_list() == [False, False, True, True, False, False]
    assert found["end_s"].to_list() == [1.0, 2.0] * 3
