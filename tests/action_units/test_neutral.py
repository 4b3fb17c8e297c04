from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.face.faces import resting_head

from avpretext import shards
from avpretext.action_units import neutral
from avpretext.action_units.formulas import intensities
from avpretext.action_units.measures import MEASURES, TYPICAL_REST, RestingFace
from avpretext.config import ActionUnitOptions
from avpretext.face.blendshapes import BLENDSHAPES
from avpretext.flow import schemas
from avpretext.flow.schemas import ACTION_UNITS

SMILE = MEASURES.index("mouthSmile")
BROW = MEASURES.index("inner_brow")
SLANT = MEASURES.index("brow_slant")
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


def test_a_person_whose_face_moves_at_a_clips_onset_alone_is_calibrated_by_the_onset() -> None:
    rng = np.random.default_rng(2)
    clip = np.concatenate([frames_of(TYPICAL_REST, 20, rng), smiling(TYPICAL_REST, 40, rng)])
    np.testing.assert_allclose(neutral.resting_face([clip]).location, TYPICAL_REST, atol=0.01)


def test_whoever_is_seen_in_a_single_clip_still_shows_the_expression_held_throughout_it() -> None:
    clip = smiling(TYPICAL_REST, 50, np.random.default_rng(3))
    shown = intensities(clip, neutral.resting_face([clip]))[:, ACTION_UNITS.index("AU12")]
    by_the_usual_face = intensities(clip, RestingFace(np.median(clip, axis=0), np.zeros(len(MEASURES)), 50))
    assert np.median(by_the_usual_face[:, ACTION_UNITS.index("AU12")]) < 0.02
    assert np.median(shown) > 0.3


def test_low_brows_of_a_single_clip_are_rather_the_person_than_a_frown() -> None:
    clip = TYPICAL_REST[None].repeat(20, axis=0)
    clip[:, [BROW, SMILE]] += [-0.03, 0.48]
    moved = (clip[0] - neutral.resting_face([clip]).location)[[BROW, SMILE]] / [-0.03, 0.48]
    assert moved[0] < 0.4, "of the brows' lowness, which people differ in"
    assert moved[1] == pytest.approx(0.8), "of the smile, which they don't: 4 parts of doubt to 1 of the clip"


def test_doubt_is_the_variance_of_expressions_over_that_between_people() -> None:
    doubt = dict(zip(MEASURES, neutral.doubt(), strict=True))
    # Full movements: mean of .06, .05 and .06 for the brows, of the AUs 1, 4 and 9; people differ by .026.
    assert doubt["inner_brow"] == pytest.approx((0.2 * 0.17 / 3 / 0.026) ** 2)
    assert doubt["mouthSmile"] == neutral.MOST_DOUBT
    assert doubt["nose_width"] == 0, "no AU is made of it"


def test_with_more_clips_the_persons_own_face_takes_over(rest: NDArray[np.float64]) -> None:
    smile = rest[SMILE] - TYPICAL_REST[SMILE]
    for clips in (1, 2, 4, 20):
        found = neutral.resting_face([rest[None].repeat(8, axis=0)] * clips).location[SMILE] - TYPICAL_REST[SMILE]
        assert found == pytest.approx(smile * clips**2 / (clips**2 + 4))


def test_usual_and_calm_face_are_blended_by_the_number_of_clips() -> None:
    # Brow slant: no AU but AU01 is made of it, and the calm quarter of the frames is the face of people at rest.
    calm, moved = TYPICAL_REST[None].repeat(6, axis=0), TYPICAL_REST[None].repeat(18, axis=0)
    moved[:, SLANT] += 0.03
    for clips in (1, 2, 4):
        own = 0.03 * (clips - 1) / (clips + 1)
        found = neutral.resting_face([np.concatenate([calm, moved])] * clips).location[SLANT] - TYPICAL_REST[SLANT]
        assert found == pytest.approx(own * clips**2 / (clips**2 + neutral.doubt()[SLANT]))


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
    typical = TYPICAL_REST[SMILE]
    assert faces["anna"].location[SMILE] == pytest.approx(typical + (0.2 - typical) * 4 / (4 + 4)), "two clips"
    assert faces["ben"].location[SMILE] == pytest.approx(typical + (0.6 - typical) * 1 / (1 + 4)), "one clip"
    assert faces["anna"].frames == 8


def test_other_calibrations_need_no_resting_faces(tmp_path: Path, corpus: tuple[list[Path], list[Path]]) -> None:
    output = tmp_path / "all.parquet"
    neutral.run(*corpus, ActionUnitOptions(calibration="clip"), output)
    assert shards.read(output).is_empty()
