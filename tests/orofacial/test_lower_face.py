"""Movement of the lower face: a head that turns moves nothing, and an opened mouth moves by what it opens."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.face.faces import posed, resting_head, rotation

from avpretext import shards
from avpretext.action_units.measures import TYPICAL_REST
from avpretext.errors import UserError
from avpretext.face.blendshapes import MOUTH_BLENDSHAPES
from avpretext.face.landmark_shards import ClipLandmarks
from avpretext.face.points import (
    INNER_LIPS,
    MEDIAPIPE_POINTS,
    MEDIAPIPE_TO_DLIB,
    OROFACIAL,
    OROFACIAL_POINTS,
)
from avpretext.flow.artefacts import landmarks_schema, schema_of
from avpretext.flow.provenance import provenance
from avpretext.orofacial import lower_face, resting_shape

FPS = 25.0


def whole_head() -> NDArray[np.float64]:
    """Shape (478, 3), in eye distances: dlib's points where they belong, the others somewhere about the mouth."""
    rng = np.random.default_rng(3)
    points = np.column_stack([rng.uniform(-0.4, 0.4, 478), rng.uniform(0.4, 1.1, 478), rng.uniform(-0.3, 0.1, 478)])
    points[MEDIAPIPE_TO_DLIB] = resting_head()
    return points


def opened(by: float) -> NDArray[np.float64]:
    """A head whose lower lip is `by` eye distances lower."""
    head = whole_head()
    head[INNER_LIPS[1], 1] += by
    return head


def clip_of(heads: list[NDArray[np.float64]], name: str = "a") -> ClipLandmarks:
    """Landmarks of heads that nod, turn, tilt, drift and come closer."""
    frames = len(heads)
    points = np.stack(
        [
            posed(head, rotation(8 * np.sin(k), 15 * np.cos(k), 5 * np.sin(2 * k)), 1 + 0.1 * np.sin(k), (5 * k, k))
            for k, head in enumerate(heads)
        ]
    )
    return ClipLandmarks(
        name,
        np.arange(frames, dtype=np.int32),
        np.arange(frames) / FPS,
        points[:, MEDIAPIPE_TO_DLIB].astype(np.float32),
        np.zeros((frames, 52), np.float32),
        points[:, OROFACIAL_POINTS].astype(np.float32),
    )


def test_a_still_face_in_a_turning_head_does_not_move() -> None:
    points = resting_shape.aligned(clip_of([whole_head()] * 12))
    moved = points - points[0]
    np.testing.assert_allclose(moved, 0, atol=1e-5)


def test_a_known_opening_gives_that_aperture_whatever_the_head_does() -> None:
    by = [0.0, 0.05, 0.1, 0.2, 0.0]
    points = resting_shape.aligned(clip_of([opened(opening) for opening in by]))
    moved = points - points[0]
    np.testing.assert_allclose(lower_face.aperture(moved), by, atol=1e-4)
    jaw = slice(len(OROFACIAL["lips"]), len(OROFACIAL["lips"]) + len(OROFACIAL["jaw"]))
    np.testing.assert_allclose(moved[:, jaw], 0, atol=1e-5)


def test_regions_are_disjoint_points_of_the_face_model() -> None:
    assert len(set(OROFACIAL_POINTS.tolist())) == len(OROFACIAL_POINTS)
    assert set(OROFACIAL_POINTS.tolist()) <= set(range(MEDIAPIPE_POINTS - 10)), "the last ten are irises"
    assert schema_of("lower_face").field("movement").type.list_size == 2 * len(OROFACIAL_POINTS)
    assert schema_of("lower_face").field("blendshapes").type.list_size == len(MOUTH_BLENDSHAPES)


def test_the_resting_shape_is_the_median_of_the_frames_nearest_to_rest() -> None:
    distance = np.linspace(0, 1, 100)
    points = np.zeros((100, 2, 2)) + distance[:, None, None]
    found = resting_shape.resting_shape(distance, points, np.zeros((100, 1)))
    assert found.frames == 10
    np.testing.assert_allclose(found.points, np.median(distance[:10]))


def test_a_mouth_at_rest_is_nearer_to_rest_than_one_that_is_wide_open() -> None:
    measures = np.stack([TYPICAL_REST, TYPICAL_REST + 0.2])
    shut, wide = resting_shape.from_rest(measures, TYPICAL_REST)
    assert shut == 0
    assert wide > 0.3


def write_landmarks(path: Path, clips: list[ClipLandmarks], points: int = 478, gap: int | None = None) -> None:
    """Write a shard of `landmarks`; frame `gap` of each clip shows no face."""
    rows = []
    for clip in clips:
        for frame in range(len(clip.frame)):
            whole = np.zeros((points, 3), np.float32)
            if points == MEDIAPIPE_POINTS:
                whole[MEDIAPIPE_TO_DLIB], whole[OROFACIAL_POINTS] = clip.points[frame], clip.chosen[frame]
            seen = frame != gap
            rows.append(
                {
                    "clip_id": clip.clip_id, "frame": frame, "time_s": frame / FPS, "detected": seen,
                    "faces": int(seen),
                    "landmarks": whole.ravel().tolist() if seen else None,
                    "blendshapes": [0.0] * 52 if seen else None, "pitch_deg": 0.0, "yaw_deg": 0.0, "roll_deg": 0.0,
                    "width": 640, "height": 480,
                }
            )  # fmt: skip
    shards.write_table(path, rows, landmarks_schema(points), provenance("landmarks"))


def write_index(path: Path, speakers: dict[str, str | None]) -> None:
    empty = dict.fromkeys(schema_of("index").names)
    rows = [{**empty, "clip_id": clip, "path": clip, "speaker": speaker} for clip, speaker in speakers.items()]
    shards.write_table(path, rows, schema_of("index"), {})


def test_the_stages_measure_each_person_from_their_own_rest_and_leave_gaps(tmp_path: Path) -> None:
    shut, wide = [opened(0.0)] * 20, [opened(0.15)] * 20
    write_landmarks(tmp_path / "l.parquet", [clip_of(shut + wide, "a"), clip_of(shut, "b")], gap=3)
    write_index(tmp_path / "i.parquet", {"a": "ann", "b": None})
    shards.write_table(tmp_path / "n.parquet", [], schema_of("neutral"), {})
    paths = [tmp_path / f"{name}.parquet" for name in ("l", "i", "n", "shape", "moved")]
    resting_shape.run([paths[0]], [paths[1]], paths[2], paths[3])
    assert set(resting_shape.read_shapes(paths[3])) == {"ann", "b"}, "a clip of nobody known stands for itself"
    lower_face.run(paths[0], paths[1], paths[3], paths[4])
    rows = shards.read(paths[4])
    assert rows["clip_id"].to_list() == ["a"] * 40 + ["b"] * 20
    assert rows["movement"].null_count() == 2, "a frame without a face has no movement"
    moved = np.array(rows.filter(clip_id="a")["movement"].drop_nulls().to_list()).reshape(39, -1, 2)
    np.testing.assert_allclose(lower_face.aperture(moved[:19]), 0, atol=1e-3)
    np.testing.assert_allclose(lower_face.aperture(moved[19:]), 0.15, atol=1e-3)


def test_68_landmarks_are_too_few_and_it_says_what_to_do(tmp_path: Path) -> None:
    write_landmarks(tmp_path / "l.parquet", [clip_of([whole_head()])], points=68)
    write_index(tmp_path / "i.parquet", {"a": "ann"})
    shards.write_table(tmp_path / "n.parquet", [], schema_of("neutral"), {})
    with pytest.raises(UserError, match=r"landmarks\.points: all"):
        resting_shape.run(
            [tmp_path / "l.parquet"], [tmp_path / "i.parquet"], tmp_path / "n.parquet", tmp_path / "s.parquet"
        )
