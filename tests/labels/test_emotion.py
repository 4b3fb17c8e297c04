from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from avpretext import shards
from avpretext.action_units.measures import MEASURES
from avpretext.config import EmotionLabelOptions
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import ACTION_UNITS
from avpretext.labels import emotion
from avpretext.labels.emotion_table import Emotion, EmotionTable, read_table

PROTOTYPES = {
    "ANG": {"AU04": 0.8, "AU07": 0.5, "AU17": 0.3, "AU23": 0.4},
    "DIS": {"AU04": 0.4, "AU07": 0.5, "AU09": 0.7, "AU10": 0.6, "AU17": 0.2},
    "FEA": {"AU01": 0.6, "AU02": 0.4, "AU04": 0.2, "AU05": 0.6, "AU20": 0.6, "AU25": 0.5},
    "HAP": {"AU06": 0.6, "AU12": 0.8, "AU25": 0.4},
    "NEU": {},
    "SAD": {"AU01": 0.5, "AU04": 0.3, "AU15": 0.6, "AU17": 0.5},
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


TWO = EmotionTable(
    neutral="N",
    emotions={"A": Emotion(name="a", shows={"AU01": 0.5}), "B": Emotion(name="b", shows={"AU01": 0, "AU12": 0.8})},
    rest={"AU01": 0.1},
    spread=dict.fromkeys(ACTION_UNITS, 0.5),
    correlation=np.eye(20).tolist(),
    temperature=2.0,
)
"""Two emotions of one action unit each, which vary alike and apart from each other."""


def test_the_probability_is_that_of_normal_distributions() -> None:
    clip = face(AU01=0.4, AU12=0.3)
    # Squared distances over the variance .25: A (.4 - .5)^2 + .3^2, B .4^2 + .5^2, N .3^2 + .3^2; over 2 T = 4.
    unlikely = np.array([0.1, 0.41, 0.18]) / 0.25 / 4
    expected = np.exp(-unlikely) / np.exp(-unlikely).sum()
    np.testing.assert_allclose(TWO.model.probabilities(clip[None])[0], expected)


def test_action_units_that_vary_together_count_once() -> None:
    correlation = np.eye(20)
    correlation[0, 1] = correlation[1, 0] = 0.9
    both = {"AU01": 0.5, "AU02": 0.5}
    table = TWO.model_copy(update={"emotions": {**TWO.emotions, "A": Emotion(name="a", shows=both)}})
    together = table.model_copy(update={"correlation": correlation.tolist()})
    clip = face(AU01=0.5, AU02=0.5)[None]
    assert 0 < together.model.log_odds(clip)[0, 0] < table.model.log_odds(clip)[0, 0]


def test_weak_close_and_unseen_clips_are_dropped_with_the_reason() -> None:
    table = TWO.model_copy(update={"temperature": 0.2})
    options = EmotionLabelOptions(min_confidence=0.6, min_margin=0.3)
    # As likely A as N; .38 A and .62 B; no face; B.
    clips = [face(AU01=0.3), face(AU01=1, AU12=0.9), face() * np.nan, face(AU12=1.0)]
    verdicts = emotion.judge(table, clips, options)
    assert [verdict.outcome for verdict in verdicts] == ["none", "ambiguous", "unmeasured", "labelled"]
    assert [verdict.label for verdict in verdicts] == [None, None, None, "B"]
    assert verdicts[3].confidence == verdicts[3].value == pytest.approx(verdicts[3].scores["B"])
    assert sum(verdicts[3].scores.values()) == pytest.approx(1)


def test_a_clip_that_looks_neutral_is_neutral_or_none() -> None:
    options = EmotionLabelOptions(min_margin=0)
    assert emotion.judge(TWO, [face(AU01=0.1)], options)[0].label == "N"
    nameless = TWO.model_copy(update={"neutral": None})
    assert emotion.judge(nameless, [face(AU01=0.1)], options)[0].outcome == "none"
    assert "N" not in emotion.judge(nameless, [face(AU01=0.1)], options)[0].scores


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


def test_unknown_units_are_left_out_of_the_comparison() -> None:
    clip = unknown(face(AU01=0.4, AU12=0.3), "AU09", "AU24")
    np.testing.assert_allclose(
        TWO.model.probabilities(clip[None]), TWO.model.probabilities(face(AU01=0.4, AU12=0.3)[None])
    )


def test_an_emotion_that_the_known_units_cannot_tell_has_no_score_and_never_wins() -> None:
    verdict = emotion.judge(TWO, [unknown(face(AU12=0.9), "AU01")], EmotionLabelOptions())[0]
    assert (verdict.outcome, verdict.label) == ("labelled", "B")
    assert np.isnan(verdict.scores["A"])
    none_known = unknown(face(AU05=0.9), "AU01", "AU12")
    assert emotion.judge(TWO, [none_known], EmotionLabelOptions())[0].outcome == "unmeasured"


def test_action_units_without_a_resting_face_are_lowered_to_what_most_clips_show() -> None:
    clips = np.stack([face(AU01=0.3, AU12=amount) for amount in (0.2, 0.2, 0.2, 0.9)])
    clips[0] = np.nan
    lowered = emotion.at_rest(clips, TWO)
    # Most clips show .3 of AU01, where neutral shows .1, and .2 of AU12, where neutral shows none; three clips of 13.
    np.testing.assert_allclose(lowered[1:, ACTION_UNITS.index("AU01")], 0.3 - 0.2 * 3 / 13)
    np.testing.assert_allclose(lowered[1:, ACTION_UNITS.index("AU12")], np.array([0.2, 0.2, 0.9]) - 0.2 * 3 / 13)
    assert np.isnan(lowered[0]).all()


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
    smile = face(AU06=0.7, AU12=0.9)
    only = np.where(np.isin(ACTION_UNITS, ["AU06", "AU11", "AU12"]), smile, np.nan)
    units = write_units(tmp_path / "0000.parquet", {"a": only})
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
    shards.write_table(path, rows, schema_of("action_units"), {})
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
    units = write_units(tmp_path / "0000.parquet", {"a": face(AU01=0.9, AU02=0.9, AU26=0.9), "b": face(AU01=0.1)})
    emotion.run([units], EmotionLabelOptions(table=str(table)), tmp_path / "all.parquet")
    found = shards.read(tmp_path / "all.parquet")
    assert found["label"].to_list() == ["SUR", None]
    assert found["outcome"].to_list() == ["labelled", "none"]
    assert "score_JOY" in found.columns


TWO_PROTOTYPES = "emotions: {A: {name: a, required: [AU01]}, B: {name: b, required: [AU12]}}"


def own(tmp_path: Path, text: str) -> EmotionTable:
    (tmp_path / "mine.yaml").write_text(text, "utf-8")
    return read_table(str(tmp_path / "mine.yaml"))


def test_action_units_that_an_own_table_does_not_name_are_as_at_rest(tmp_path: Path) -> None:
    table = own(tmp_path, "emotions: {A: {name: a, shows: {AU05: 0.2}}, B: {name: b, shows: {AU12: 0.7}}}")
    shipped = read_table(None).model
    away = table.model.means[:2] - shipped.means[-1]
    assert [ACTION_UNITS[k] for k in np.flatnonzero(away[1])] == ["AU12"]
    assert table.shown_by("B") == ["AU12"]
    assert table.shown_by("A") == []  # neutral clips show .19
    assert table.model.temperature == shipped.temperature


def test_the_temperature_of_an_own_table_counts_without_a_covariance(tmp_path: Path) -> None:
    table = own(tmp_path, f"temperature: 1.0\n{TWO_PROTOTYPES}")
    assert table.model.temperature == 1.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("emotions: {A: {name: a, required: [AU1]}, B: {name: b, required: [AU12]}}", "'AU1' is no action unit"),
        ("emotions: {A: {name: a, required: [AU01|AU99]}, B: {name: b, required: [AU12]}}", "'AU99' is no action unit"),
        ("emotions: {A: {name: a, requierd: [AU01]}, B: {name: b, required: [AU12]}}", "did you mean 'required'?"),
        ("emotions: {A: {name: a, required: []}, B: {name: b, required: [AU12]}}", "either `shows`"),
        (f"optional_weight: 0.5\n{TWO_PROTOTYPES}", "leave it out"),
        (f"rest: {{AU01: 0.1}}\n{TWO_PROTOTYPES}", "go together"),
        (
            f"correlation: [[1]]\nrest: {{AU01: 0.1}}\nspread: {{AU01: 0.1}}\n{TWO_PROTOTYPES}",
            "spread: expected all of",
        ),
        (
            f"correlation: {np.full((20, 20), 0.1).tolist()}\nrest: {{AU01: 0.1}}\n"
            f"spread: {dict.fromkeys(ACTION_UNITS, 0.1)}\n{TWO_PROTOTYPES}",
            "1 from corner to corner",
        ),
        (
            f"correlation: {(np.eye(20) + np.eye(20, k=1) / 5).tolist()}\nrest: {{AU01: 0.1}}\n"
            f"spread: {dict.fromkeys(ACTION_UNITS, 0.1)}\n{TWO_PROTOTYPES}",
            "both halves alike",
        ),
        (
            f"correlation: {np.eye(20).tolist()}\nrest: {{AU01: 0.1}}\n"
            f"spread: {dict.fromkeys(ACTION_UNITS[::-1], 0.1)}\n{TWO_PROTOTYPES}",
            "in ascending order",
        ),
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


@pytest.mark.parametrize("table", ["six", "eight"])
def test_the_shipped_tables_show_what_the_textbook_says(table: str) -> None:
    shown = {label: set(read_table(table).shown_by(label)) for label in read_table(table).emotions}
    assert {"AU04"} <= shown["ANG"]
    assert {"AU09", "AU10"} <= shown["DIS"]
    assert {"AU01", "AU05", "AU20"} <= shown["FEA"]
    assert {"AU06", "AU12"} <= shown["HAP"]
    assert {"AU15", "AU17"} <= shown["SAD"]
    if table == "eight":
        assert {"AU01", "AU02", "AU05", "AU26"} <= shown["SUR"]


def test_surprise_and_contempt_are_told_apart_from_the_others() -> None:
    clips = [face(AU01=0.8, AU02=0.8, AU05=0.8, AU25=0.9, AU26=0.8), face(AU14=0.5, AU12=0.1)]
    verdicts = emotion.judge(read_table("eight"), clips, EmotionLabelOptions())
    assert [verdict.label for verdict in verdicts] == ["SUR", "CON"]


def test_what_a_prototype_requires_is_raised_above_neutral_and_what_it_excludes_is_not_there() -> None:
    prototypes = {
        "A": Emotion(name="a", required=["AU01", "AU02|AU05"], optional=["AU26"], excluding=["AU04"]),
        "B": Emotion(name="b", required=["AU12"]),
    }
    model, shipped = EmotionTable(emotions=prototypes).model, read_table(None).model
    raised = dict(zip(ACTION_UNITS, model.means[0] - shipped.means[-1], strict=True))
    assert raised["AU01"] == pytest.approx(0.3)
    assert raised["AU02"] == raised["AU05"] == pytest.approx(0.3 / 2**0.5)
    assert raised["AU26"] == pytest.approx(0.1)
    assert model.means[0][ACTION_UNITS.index("AU04")] == 0
    np.testing.assert_array_equal(model.covariance, shipped.covariance)


def test_each_label_tells_what_resting_face_it_rests_on(tmp_path: Path) -> None:
    units = write_units(tmp_path / "0000.parquet", {"a": face(AU12=0.9), "b": face(AU12=0.9), "c": None})
    index, faces = tmp_path / "index.parquet", tmp_path / "neutral.parquet"
    empty = dict.fromkeys(schema_of("index").names)
    shards.write_table(
        index,
        [
            empty | {"clip_id": name, "path": name, "speaker": who, "size_bytes": 1}
            for name, who in (("a", "anna"), ("b", None), ("c", None))
        ],
        schema_of("index"),
        {},
    )
    told = {"group": "anna", "location": 0.0, "clips": 9, "source": "neutral clips", "seconds": 4.5}
    rows = [told | {"measure": name, "trust": 0.8} for name in MEASURES]
    shards.write_table(faces, rows, schema_of("neutral"), {})
    emotion.run([units], EmotionLabelOptions(), tmp_path / "all.parquet", [index], faces)
    found = shards.read(tmp_path / "all.parquet").select("rest", "rest_s", "rest_trust").rows()
    assert found[0] == ("neutral clips", 4.5, 0.8)
    assert found[1][:2] == ("clip", pytest.approx(3 / 25))
    assert found[2][:2] == ("clip", 0)
