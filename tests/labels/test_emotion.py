from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import EmotionLabelOptions
from avpretext.errors import UserError
from avpretext.flow import schemas
from avpretext.flow.schemas import ACTION_UNITS
from avpretext.labels import emotion
from avpretext.labels.emotion_table import EmotionTable, Prototype, read_table, scores

PROTOTYPES = {
    "ANG": {"AU04": 0.8, "AU07": 0.6, "AU23": 0.6},
    "DIS": {"AU09": 0.8, "AU10": 0.5, "AU17": 0.3},
    "FEA": {"AU01": 0.7, "AU02": 0.5, "AU04": 0.4, "AU05": 0.7, "AU20": 0.6},
    "HAP": {"AU06": 0.6, "AU12": 0.8, "AU25": 0.3},
    "NEU": {},
    "SAD": {"AU01": 0.7, "AU04": 0.5, "AU15": 0.6},
}
"""Textbook faces (Ekman, Friesen & Hager 2002, table 10-2)."""


def face(**units: float) -> NDArray[np.float64]:
    values = np.zeros(len(ACTION_UNITS))
    for unit, value in units.items():
        values[ACTION_UNITS.index(unit)] = value
    return values


@pytest.mark.parametrize("name", sorted(PROTOTYPES))
def test_the_shipped_table_knows_the_textbook_faces(name: str) -> None:
    verdict = emotion.judge(read_table(None), [face(**PROTOTYPES[name])], EmotionLabelOptions())[0]
    assert (verdict.outcome, verdict.label) == ("labelled", name)
    assert 0 < verdict.confidence <= 1


def test_the_score_is_the_formula_in_the_table() -> None:
    table = EmotionTable(
        optional_weight=0.5,
        excluding_weight=0.4,
        emotions={
            "X": Prototype(name="x", required=["AU01", "AU02|AU04"], optional=["AU05"], excluding=["AU12", "AU15"]),
            "Y": Prototype(name="y", required=["AU12"]),
        },
    )
    clip = face(AU01=0.4, AU02=0.1, AU04=0.9, AU05=0.6, AU12=0.5)
    expected = np.sqrt(0.4 * 0.9) * (1 + 0.5 * 0.6) / 1.5 * (1 - 0.4 * 0.5)
    np.testing.assert_allclose(scores(table, clip[None])[0], [expected, 0.5 / 1.5])


def test_what_is_required_must_be_there() -> None:
    table = read_table(None)
    without_brows = scores(table, face(AU05=1.0, AU07=1.0, AU23=1.0, AU24=1.0)[None])[0]
    assert without_brows[list(table.emotions).index("ANG")] == 0


def test_weak_close_and_unseen_clips_are_dropped_with_the_reason() -> None:
    table = EmotionTable(
        emotions={"A": Prototype(name="a", required=["AU01"]), "B": Prototype(name="b", required=["AU12"])}
    )
    options = EmotionLabelOptions(min_score=0.2, min_margin=0.1)
    clips = [face(AU01=0.1), face(AU01=0.9, AU12=0.85), face() * np.nan, face(AU01=0.9)]
    verdicts = emotion.judge(table, clips, options)
    assert [verdict.outcome for verdict in verdicts] == ["none", "ambiguous", "unmeasured", "labelled"]
    assert [verdict.label for verdict in verdicts] == [None, None, None, "A"]
    # Score .9 / 1.5 = .6, the second 0, the least that counts .2.
    assert verdicts[3].confidence == pytest.approx((0.6 - 0.2) / 0.6)


def test_talking_is_no_expression_of_the_mouth() -> None:
    frames = np.zeros((100, len(ACTION_UNITS)))
    frames[::4, ACTION_UNITS.index("AU24")] = 0.9
    frames[::3, ACTION_UNITS.index("AU04")] = 0.9
    clip = emotion.clip_intensities(frames, EmotionLabelOptions(upper_quantile=0.75, mouth_quantile=0.5))
    assert clip[ACTION_UNITS.index("AU24")] == 0
    assert clip[ACTION_UNITS.index("AU04")] == pytest.approx(0.9)


def test_a_face_seen_too_seldom_is_not_measured() -> None:
    frames = np.full((10, len(ACTION_UNITS)), np.nan)
    frames[:4] = 0.5
    assert np.isnan(emotion.clip_intensities(frames, EmotionLabelOptions(min_coverage=0.5))).all()
    assert (emotion.clip_intensities(frames, EmotionLabelOptions(min_coverage=0.4)) == 0.5).all()


def unknown(clip: NDArray[np.float64], *units: str) -> NDArray[np.float64]:
    return np.where(np.isin(ACTION_UNITS, units), np.nan, clip)


SMILE_OR_STARE = EmotionTable(
    emotions={
        "A": Prototype(name="a", required=["AU04", "AU05|AU24"], optional=["AU07", "AU23"], excluding=["AU09", "AU12"]),
        "B": Prototype(name="b", required=["AU12"], optional=["AU28"]),
    }
)


def test_unknown_units_among_optional_and_excluding_are_left_out_of_the_match() -> None:
    clip = unknown(face(AU04=0.4, AU05=0.9, AU07=0.6, AU12=0.5), "AU09", "AU23", "AU24", "AU28")
    # Optional: AU07 alone, its mean is .6; excluding: AU12 alone. Of AU05 and AU24 the known one counts.
    expected = np.sqrt(0.4 * 0.9) * (1 + 0.5 * 0.6) / 1.5 * (1 - 0.5 * 0.5)
    np.testing.assert_allclose(scores(SMILE_OR_STARE, clip[None])[0], [expected, 0.5 / 1.5])


def test_an_emotion_whose_required_unit_is_unknown_has_no_score_and_never_wins() -> None:
    both = unknown(face(AU05=0.9, AU12=0.9), "AU04")
    verdict = emotion.judge(SMILE_OR_STARE, [both], EmotionLabelOptions(min_score=0.2))[0]
    assert (verdict.outcome, verdict.label) == ("labelled", "B")
    assert np.isnan(verdict.scores["A"])
    # Score .9 / 1.5 = .6; there is no second, the least that counts is .2.
    assert verdict.confidence == pytest.approx((0.6 - 0.2) / 0.6)
    none_known = unknown(face(AU05=0.9), "AU04", "AU12")
    assert emotion.judge(SMILE_OR_STARE, [none_known], EmotionLabelOptions())[0].outcome == "unmeasured"


def test_units_null_throughout_do_not_make_a_clip_unmeasured() -> None:
    frames = np.tile(unknown(face(AU04=0.8, AU12=0.2), "AU24", "AU43"), (10, 1))
    frames[7:] = np.nan
    clip = emotion.clip_intensities(frames, EmotionLabelOptions(min_coverage=0.7))
    assert np.isnan(clip).tolist() == np.isin(ACTION_UNITS, ["AU24", "AU43"]).tolist()
    assert clip[ACTION_UNITS.index("AU04")] == 0.8
    assert np.isnan(emotion.clip_intensities(frames, EmotionLabelOptions(min_coverage=0.71))).all()


@pytest.mark.parametrize("name", sorted(PROTOTYPES))
def test_the_shipped_table_knows_the_textbook_faces_without_the_units_that_openface_lacks(name: str) -> None:
    clip = unknown(face(**PROTOTYPES[name]), "AU11", "AU24", "AU28", "AU43")
    verdict = emotion.judge(read_table(None), [clip], EmotionLabelOptions())[0]
    assert (verdict.outcome, verdict.label) == ("labelled", name)


def test_emotions_without_score_are_null_in_the_artefact_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    units = write_units(tmp_path / "0000.parquet", {"a": unknown(face(AU12=0.9), "AU09", "AU10")})
    emotion.run([units], EmotionLabelOptions(), tmp_path / "all.parquet")
    found = shards.read(tmp_path / "all.parquet")
    assert found["label"].to_list() == ["HAP"]
    assert found["score_DIS"].to_list() == [None]
    assert "warning: 'DIS' has no score in 1 of 1 measured clips" in capsys.readouterr().err


def known(values: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]


def write_units(path: Path, clips: dict[str, NDArray[np.float64] | None]) -> Path:
    rows = [
        {"clip_id": name, "frame": k, "time_s": k / 25}
        | dict(zip(ACTION_UNITS, [None] * 20 if values is None else known(values), strict=True))
        for name, values in clips.items()
        for k in range(3)
    ]
    shards.write_table(path, rows, schemas.ACTION_UNIT_FRAMES, {})
    return path


def test_every_clip_has_a_row_and_the_balance_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write_units(tmp_path / "0000.parquet", {"z": face(AU12=0.9, AU06=0.5), "b": None})
    second = write_units(tmp_path / "0001.parquet", {"a": face()})
    emotion.run([first, second], EmotionLabelOptions(), tmp_path / "all.parquet")
    found = shards.read(tmp_path / "all.parquet")
    assert found["clip_id"].to_list() == ["a", "b", "z"]
    assert found["outcome"].to_list() == ["labelled", "unmeasured", "labelled"]
    assert found["label"].to_list() == ["NEU", None, "HAP"]
    assert [name for name in found.columns if name.startswith("score_")] == [
        f"score_{name}" for name in ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
    ]
    told = capsys.readouterr().err
    assert "HAP 1 (33.3%)" in told
    assert "unmeasured 1 (33.3%)" in told
    assert "warning: the class 'SAD' is nearly empty" in told


def test_the_users_own_table_is_used(tmp_path: Path) -> None:
    table = tmp_path / "mine.yaml"
    table.write_text(
        "neutral: null\n"
        "emotions:\n"
        "  SUR: {name: surprise, required: [AU01, AU02, AU05|AU26]}\n"
        "  JOY: {name: joy, required: [AU12]}\n",
        "utf-8",
    )
    units = write_units(tmp_path / "0000.parquet", {"a": face(AU01=0.9, AU02=0.9, AU26=0.9), "b": face()})
    emotion.run([units], EmotionLabelOptions(table=str(table)), tmp_path / "all.parquet")
    found = shards.read(tmp_path / "all.parquet")
    assert found["label"].to_list() == ["SUR", None]
    assert found["outcome"].to_list() == ["labelled", "none"]
    assert "score_JOY" in found.columns


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("emotions: {A: {name: a, required: [AU1]}, B: {name: b, required: [AU12]}}", "'AU1' is no action unit"),
        ("emotions: {A: {name: a, required: [AU01|AU99]}, B: {name: b, required: [AU12]}}", "'AU99' is no action unit"),
        ("emotions: {A: {name: a, requierd: [AU01]}, B: {name: b, required: [AU12]}}", "did you mean 'required'?"),
        ("emotions: {A: {name: a, required: []}, B: {name: b, required: [AU12]}}", "at least 1 item"),
        ("emotions: {A: {name: a, required: [AU01]}}", "emotions"),
        ("emotion: {}", "did you mean 'emotions'?"),
        ("- just a list", "expected"),
        ("", "expected"),
        ("neutral: A\nemotions: {A: {name: a, required: [AU01]}, B: {name: b, required: [AU12]}}", "neutral"),
        ("emotions: [unclosed", "not YAML"),
    ],
)
def test_a_wrong_table_is_refused_with_the_reason(tmp_path: Path, text: str, said: str) -> None:
    table = tmp_path / "mine.yaml"
    table.write_text(text, "utf-8")
    with pytest.raises(UserError, match=r"mine\.yaml") as raised:
        read_table(str(table))
    assert said in str(raised.value)


def test_a_missing_table_is_named() -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml"):
        read_table("nowhere.yaml")


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("ANG", {"AU04": 0.3}),
        ("SAD", {"AU15": 0.4, "AU17": 0.3}),
        ("SAD", {"AU01": 0.3, "AU04": 0.4}),
        ("DIS", {"AU04": 0.7, "AU07": 0.4, "AU09": 0.7, "AU10": 0.4}),
        ("HAP", {"AU06": 0.5, "AU10": 0.5, "AU12": 0.7}),
    ],
)
def test_the_shipped_table_knows_faces_that_show_a_part_of_the_textbook(name: str, units: dict[str, float]) -> None:
    verdict = emotion.judge(read_table(None), [face(**units)], EmotionLabelOptions())[0]
    assert (verdict.outcome, verdict.label) == ("labelled", name)
