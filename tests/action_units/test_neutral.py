from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.face.faces import resting_head

from avpretext import shards
from avpretext.action_units import neutral
from avpretext.action_units.formulas import FULL_MOVEMENT, intensities
from avpretext.action_units.measures import BETWEEN_PEOPLE, MEASURES, TYPICAL_REST, RestingFace
from avpretext.config import ActionUnitOptions
from avpretext.errors import UserError
from avpretext.face.blendshapes import BLENDSHAPES
from avpretext.flow.artefacts import landmarks_schema, schema_of
from avpretext.flow.columns import ACTION_UNITS

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


def faces_of(clips: list[NDArray[np.float64]]) -> list[neutral.ClipFace]:
    return [face for clip in clips if (face := neutral.clip_face(clip)) is not None]


def seen(clips: list[NDArray[np.float64]], neutral_ones: list[NDArray[np.float64]] | None = None) -> neutral.Person:
    return neutral.Person(faces_of(clips), faces_of(neutral_ones or []), 2.0 * len(clips), 1.0)


def test_over_many_clips_rest_is_the_usual_face_also_when_some_are_expressions(rest: NDArray[np.float64]) -> None:
    rng = np.random.default_rng(1)
    clips = [frames_of(rest, 50, rng) for _ in range(27)] + [smiling(rest, 50, rng) for _ in range(20)]
    found = neutral.resting_face(seen(clips))
    used = np.isfinite(FULL_MOVEMENT)
    assert np.abs((found.location - rest) / FULL_MOVEMENT)[used].max() < 0.15
    assert found.clips == 47
    assert (found.source, found.seconds) == ("speaker", 94.0)


def test_whoever_is_seen_in_a_single_clip_still_shows_the_expression_held_throughout_it() -> None:
    clip = smiling(TYPICAL_REST, 50, np.random.default_rng(3))
    shown = intensities(clip, neutral.resting_face(seen([clip])))[:, ACTION_UNITS.index("AU12")]
    by_the_usual_face = intensities(clip, RestingFace(np.median(clip, axis=0), 1))
    assert np.median(by_the_usual_face[:, ACTION_UNITS.index("AU12")]) < 0.02
    assert np.median(shown) > 0.3


def test_the_weight_of_the_own_face_is_the_variance_between_people_over_that_of_expressions_and_people() -> None:
    place = MEASURES.index("inner_brow")
    # Full movements .06, .05 and .06 of the AUs 1, 4 and 9; expressions move it by a quarter of their mean.
    between, expressions = BETWEEN_PEOPLE[place] ** 2, (0.25 * 0.17 / 3) ** 2
    for clips in (1, 2, 20):
        assert neutral.own_weight(clips)[place] == pytest.approx(between / (between + expressions / clips))


def test_low_brows_of_a_single_clip_are_rather_the_person_than_a_frown() -> None:
    clip = TYPICAL_REST[None].repeat(20, axis=0)
    clip[:, [BROW, SMILE]] += [-0.03, 0.48]
    moved = (clip[0] - neutral.resting_face(seen([clip])).location)[[BROW, SMILE]] / [-0.03, 0.48]
    assert moved[0] < 0.3, "of the brows' lowness, which people differ in"
    assert moved[1] > 0.8, "of the smile, which they don't"


def test_known_neutral_clips_are_the_resting_face_and_trusted_sooner(rest: NDArray[np.float64]) -> None:
    smiles = [rest[None].repeat(8, axis=0) + 0.3 * np.eye(len(MEASURES))[SMILE] for _ in range(5)]
    calm = rest[None].repeat(8, axis=0)
    found = neutral.resting_face(seen([*smiles, calm], [calm]))
    weight = neutral.own_weight(1, neutral.NEUTRAL_EXPRESSION)
    np.testing.assert_allclose(found.location, TYPICAL_REST + weight * (rest - TYPICAL_REST))
    assert (found.source, found.seconds) == ("neutral clips", 1.0)
    assert found.trust > neutral.resting_face(seen([calm])).trust


def test_strangers_are_pulled_to_the_people_of_the_corpus_the_more_of_them_are_seen(rest: NDArray[np.float64]) -> None:
    for people, source in ((1, "people"), (10, "people"), (30, "corpus")):
        prior = neutral.face_of_corpus([seen([rest[None]])] * people, [])
        np.testing.assert_allclose(prior.location, TYPICAL_REST + people / (people + 10) * (rest - TYPICAL_REST))
        assert prior.source == source
    with_others = neutral.face_of_corpus([seen([rest[None]])] * 2, [TYPICAL_REST] * 3)
    np.testing.assert_allclose(with_others.location, TYPICAL_REST, atol=1e-12)


def test_where_neutral_clips_are_known_they_alone_make_the_face_of_the_corpus(rest: NDArray[np.float64]) -> None:
    smile = rest[None] + 0.5 * np.eye(len(MEASURES))[SMILE]
    people = [seen([smile, rest[None]], [rest[None]]), *[seen([smile]) for _ in range(9)]]
    prior = neutral.face_of_corpus(people, [])
    np.testing.assert_allclose(prior.location, TYPICAL_REST + (rest - TYPICAL_REST) / 11)


def test_the_mouth_rests_shut_though_people_are_seen_talking(rest: NDArray[np.float64]) -> None:
    clip = rest[None].repeat(20, axis=0)
    clip[4:, MEASURES.index("lip_gap")] += 0.15
    assert neutral.usual_face(faces_of([clip] * 12))[MEASURES.index("lip_gap")] == pytest.approx(
        rest[MEASURES.index("lip_gap")]
    )


def test_nobody_seen_is_a_typical_face() -> None:
    assert neutral.face_of_corpus([], []) is neutral.TYPICAL
    assert neutral.clip_face(np.full((5, len(MEASURES)), np.nan)) is None


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
        shards.write_table(landmarks[-1], rows, landmarks_schema(68), {})
        entries = [{"clip_id": name, "speaker": clips[name][0], **empty} for name in names]
        shards.write_table(index[-1], entries, schema_of("index"), {})
    return landmarks, index


def test_each_speaker_gets_a_resting_face_over_all_shards(
    tmp_path: Path, corpus: tuple[list[Path], list[Path]]
) -> None:
    output = tmp_path / "all.parquet"
    neutral.run(*corpus, ActionUnitOptions(calibration="speaker"), output)
    faces = neutral.read_resting_faces(output)
    assert sorted(faces) == ["", "anna", "ben"]
    # Three people, the unknown one among them, smile by .2, .6 and .9.
    typical = TYPICAL_REST[SMILE]
    prior = typical + 3 / 13 * (0.6 - typical)
    assert faces[""].location[SMILE] == pytest.approx(prior)
    for name, smile, clips in (("anna", 0.2, 2), ("ben", 0.6, 1)):
        weight = neutral.own_weight(clips)[SMILE]
        assert faces[name].location[SMILE] == pytest.approx(prior + weight * (smile - prior)), name
    assert faces["anna"].clips == 2
    assert faces["anna"].seconds == pytest.approx(8 / 25)


def test_without_speakers_the_corpus_alone_has_a_face(tmp_path: Path, corpus: tuple[list[Path], list[Path]]) -> None:
    output = tmp_path / "all.parquet"
    neutral.run(*corpus, ActionUnitOptions(calibration="clip"), output)
    assert list(neutral.read_resting_faces(output)) == [neutral.EVERYBODY]
    neutral.run(*corpus, ActionUnitOptions(calibration="none"), output)
    assert shards.read(output).is_empty()


def labelled(index: list[Path], labels: dict[str, str]) -> None:
    for path in index:
        rows = shards.read(path).to_dicts()
        named = [row | {"label": labels.get(row["clip_id"])} for row in rows]
        shards.write_table(path, named, schema_of("index"), {})


def test_neutral_clips_are_those_the_corpus_labels_so_or_a_table_lists(
    tmp_path: Path, corpus: tuple[list[Path], list[Path]]
) -> None:
    _, index = corpus
    labelled(index, {"a1": "NEU", "a2": "happy", "b1": "Neutral"})
    assert neutral.neutral_clips(index, ActionUnitOptions()) == set()
    assert neutral.neutral_clips(index, ActionUnitOptions(neutral_labels=True)) == {"a1", "b1"}
    table = tmp_path / "calm.csv"
    table.write_text("clip_id\na2\n", "utf-8")
    assert neutral.neutral_clips(index, ActionUnitOptions(neutral_clips=str(table))) == {"a2"}
    output = tmp_path / "all.parquet"
    neutral.run(*corpus, ActionUnitOptions(neutral_clips=str(table)), output)
    assert neutral.read_resting_faces(output)["anna"].source == "neutral clips"
    assert neutral.read_resting_faces(output)["ben"].source == "speaker"


def test_neutral_clips_that_are_not_there_are_said(tmp_path: Path, corpus: tuple[list[Path], list[Path]]) -> None:
    _, index = corpus
    with pytest.raises(UserError, match="no clip of the corpus is named neutral"):
        neutral.neutral_clips(index, ActionUnitOptions(neutral_labels=True))
    with pytest.raises(UserError, match=r"calm\.csv: no such file; correct action_units\.neutral_clips"):
        neutral.neutral_clips(index, ActionUnitOptions(neutral_clips=str(tmp_path / "calm.csv")))
    (tmp_path / "other.csv").write_text("clip\na\n", "utf-8")
    with pytest.raises(UserError, match="no column 'clip_id'"):
        neutral.neutral_clips(index, ActionUnitOptions(neutral_clips=str(tmp_path / "other.csv")))


def test_a_table_of_neutral_clips_of_other_corpora_is_told(
    tmp_path: Path, corpus: tuple[list[Path], list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "calm.csv"
    for listed, told in (("a2\nelsewhere", False), ("a2.mp4", True)):
        table.write_text(f"clip_id\n{listed}\n", "utf-8")
        neutral.neutral_clips(corpus[1], ActionUnitOptions(neutral_clips=str(table)))
        assert ("calm.csv lists no clip of this corpus" in capsys.readouterr().err) == told


def test_neutral_clips_without_a_speaker_are_told(
    tmp_path: Path, corpus: tuple[list[Path], list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "calm.csv"
    table.write_text("clip_id\na1\na2\nelsewhere\n", "utf-8")
    for calibration, told in (("speaker", ""), ("clip", "2 of 2 neutral clips have no effect")):
        options = ActionUnitOptions(neutral_clips=str(table), calibration=calibration)
        neutral.run(*corpus, options, tmp_path / "all.parquet")
        said = capsys.readouterr().err
        assert told in said
        assert ("no effect" in said) == bool(told)
