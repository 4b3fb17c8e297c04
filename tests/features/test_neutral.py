from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.features.faces import resting_head

from avpretext import schemas, shards
from avpretext.config import ActionUnitOptions
from avpretext.features import neutral
from avpretext.features.face_tracker import BLENDSHAPES
from avpretext.features.measures import MEASURES, TYPICAL_REST

SMILE = MEASURES.index("mouthSmile")
BROW = MEASURES.index("inner_brow")
WIDTH = MEASURES.index("mouth_width")


def frames_of(rest: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return rest + rng.normal(scale=0.004, size=(count, len(rest)))


def smiling(rest: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    clip = frames_of(rest, count, rng)
    clip[:, SMILE] += 0.6
    clip[:, WIDTH] += 0.1
    return clip


@pytest.fixture
def rest() -> NDArray[np.float64]:
    """Somebody whose brows sit high and who smiles at rest."""
    rest = TYPICAL_REST.copy()
    rest[[SMILE, BROW]] += [0.3, 0.03]
    return rest


def test_over_many_clips_rest_is_the_usual_face_also_when_some_are_expressions(rest: NDArray[np.float64]) -> None:
    rng = np.random.default_rng(1)
    clips = [frames_of(rest, 50, rng) for _ in range(7)] + [smiling(rest, 50, rng) for _ in range(5)]
    found = neutral.resting_face(clips)
    np.testing.assert_allclose(found.location, rest, atol=0.01)
    assert found.frames == 600


def test_in_a_single_clip_rest_is_where_the_face_is_calm_though_it_smiles_most_of_the_time(
    rest: NDArray[np.float64],
) -> None:
    rng = np.random.default_rng(2)
    clip = np.concatenate([frames_of(rest, 8, rng), smiling(rest, 52, rng)])
    np.testing.assert_allclose(neutral.resting_face([clip]).location, rest, atol=0.01)


def test_usual_and_calm_face_are_blended_by_the_number_of_clips(rest: NDArray[np.float64]) -> None:
    calm, smile = rest[None].repeat(4, axis=0), rest[None].repeat(20, axis=0)
    smile[:, SMILE] += 0.6
    for clips in (1, 2, 4):
        found = neutral.resting_face([np.concatenate([calm, smile])] * clips).location[SMILE]
        assert found == pytest.approx(rest[SMILE] + 0.6 * (clips - 1) / clips)


def test_the_mouth_rests_shut_though_people_are_seen_talking(rest: NDArray[np.float64]) -> None:
    clip = rest[None].repeat(20, axis=0)
    clip[4:, MEASURES.index("lip_gap")] += 0.15
    assert neutral.resting_face([clip] * 12).location[MEASURES.index("lip_gap")] == pytest.approx(
        rest[MEASURES.index("lip_gap")]
    )


def test_spread_is_how_far_the_face_strays() -> None:
    rng = np.random.default_rng(2)
    found = neutral.resting_face([TYPICAL_REST + rng.normal(scale=0.01, size=(4000, len(MEASURES)))])
    assert 0.009 < np.median(found.spread) < 0.011


def test_gaps_count_for_nothing_and_no_frames_at_all_are_a_typical_face() -> None:
    values = np.full((5, len(MEASURES)), np.nan)
    assert neutral.resting_face([values]) is neutral.TYPICAL
    values[0] = TYPICAL_REST
    assert neutral.resting_face([values, values * np.nan]).frames == 1


def landmark_rows(clip_id: str, smile: float, frames: int = 4) -> list[dict[str, object]]:
    shapes = [0.0] * 52
    for side in ("Left", "Right"):
        shapes[BLENDSHAPES.index(f"mouthSmile{side}")] = smile
    points = (resting_head() * 100 + 200).ravel().tolist()
    return [
        {
            "clip_id": clip_id, "frame": k, "time_s": k / 25, "detected": True, "faces": 1, "landmarks": points,
            "blendshapes": shapes, "pitch_deg": 0.0, "yaw_deg": 0.0, "roll_deg": 0.0, "width": 400, "height": 400,
        }
        for k in range(frames)
    ]  # fmt: skip


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[list[Path], list[Path]]:
    """Two shards: two speakers with different smiles at rest, one clip of an unknown speaker."""
    clips = {"a1": ("anna", 0.2), "b1": ("ben", 0.6), "a2": ("anna", 0.2), "x1": (None, 0.9)}
    landmarks, index = [], []
    empty = dict.fromkeys(("path", "label", "sentence", "level", "size_bytes"))
    for number, names in enumerate((["a1", "b1"], ["a2", "x1"])):
        landmarks.append(tmp_path / "landmarks" / f"{number:04d}.parquet")
        index.append(tmp_path / "index" / f"{number:04d}.parquet")
        rows = [row for name in names for row in landmark_rows(name, clips[name][1])]
        shards.write_table(landmarks[-1], rows, schemas.landmarks(68), {})
        entries = [{"clip_id": name, "speaker": clips[name][0], **empty} for name in names]
        shards.write_table(index[-1], entries, schemas.INDEX, {})
    return landmarks, index


def test_each_speaker_gets_a_resting_face_over_all_shards(
    tmp_path: Path, corpus: tuple[list[Path], list[Path]]
) -> None:
    output = tmp_path / "all.parquet"
    neutral.run(*corpus, ActionUnitOptions(calibration="speaker"), output)
    faces = neutral.read_resting_faces(output)
    assert sorted(faces) == ["anna", "ben"]
    assert faces["anna"].location[SMILE] == pytest.approx(0.2)
    assert faces["ben"].location[SMILE] == pytest.approx(0.6)
    assert faces["anna"].frames == 8


def test_other_calibrations_need_no_resting_faces(tmp_path: Path, corpus: tuple[list[Path], list[Path]]) -> None:
    output = tmp_path / "all.parquet"
    neutral.run(*corpus, ActionUnitOptions(calibration="clip"), output)
    assert shards.read(output).is_empty()
