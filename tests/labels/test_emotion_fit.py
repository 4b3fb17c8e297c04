from pathlib import Path

import numpy as np
import polars as pl
import pytest

from avpretext import shards
from avpretext.config import Config, EmotionLabelOptions
from avpretext.config_file import parse
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.paths import Layout
from avpretext.flow.provenance import provenance
from avpretext.labels import emotion, emotion_fit
from avpretext.labels.emotion_fit import Faces
from avpretext.labels.emotion_table import read_table

SMILE, FROWN = ACTION_UNITS.index("AU12"), ACTION_UNITS.index("AU04")


def drawn(people: int = 12, seed: int = 0, apart: float = 0.5, source: str = "films") -> Faces:
    """Each of some people calm, smiling and frowning, three times; what is shown varies by .1."""
    rng = np.random.default_rng(seed)
    labels = np.array(["NEU", "HAP", "ANG"] * 3 * people)
    units = rng.normal(0.2, 0.1, size=(len(labels), len(ACTION_UNITS)))
    units[labels == "HAP", SMILE] += apart
    units[labels == "ANG", FROWN] += apart
    of = np.repeat([f"p{number}" for number in range(people)], 9)
    return Faces(units.clip(0, 1), labels, of, np.array([source] * len(labels)))


def test_the_fit_finds_what_each_emotion_shows() -> None:
    table = emotion_fit.fit(drawn(people=60), "NEU")
    assert table.classes == ["ANG", "HAP", "NEU"]
    assert table.emotions["HAP"].shows["AU12"] == pytest.approx(0.7, abs=0.03)
    assert table.rest["AU12"] == pytest.approx(0.2, abs=0.03)
    assert table.spread["AU12"] == pytest.approx(0.1, abs=0.02)
    assert table.shown_by("HAP") == ["AU12"]
    assert table.shown_by("ANG") == ["AU04"]


def test_people_are_apart_and_chance_is_told_where_faces_show_nothing() -> None:
    nothing = drawn(people=30, apart=0.0)
    judged = emotion_fit.validate(nothing, "NEU")
    assert np.mean(judged.given == judged.labels) == pytest.approx(1 / 3, abs=0.12)
    clear = emotion_fit.validate(drawn(people=30), "NEU")
    assert np.mean(clear.given == clear.labels) > 0.95


def test_faces_of_a_person_help_nobody_else() -> None:
    """Each person has a face of their own for each emotion: known people would be told, others are not."""
    faces = drawn(people=10, apart=0.0)
    rng = np.random.default_rng(1)
    for number in range(10):
        for label in ("NEU", "HAP", "ANG"):
            rows = (faces.people == f"p{number}") & (faces.labels == label)
            faces.units[rows] = rng.uniform(0, 1, len(ACTION_UNITS))
    judged = emotion_fit.validate(faces, "NEU")
    assert np.mean(judged.given == judged.labels) < 0.6


def test_confidence_says_how_often_labels_are_right() -> None:
    faces = drawn(people=200, apart=0.12)
    table = emotion_fit.fit(faces, "NEU")
    others = drawn(people=200, seed=5, apart=0.12)
    shares = table.model.probabilities(others.units)
    given = np.array([*table.emotions, "NEU"])[shares.argmax(axis=1)]
    told = emotion_fit.calibration(shares.max(axis=1), given == others.labels)
    many = told.filter(told["clips"] > 150)
    assert len(many) > 2
    assert (many["confidence"] - many["right"]).abs().max() < 0.08


def test_sources_and_classes_count_alike() -> None:
    large, small = drawn(people=50), drawn(people=5, seed=3, source="pictures")
    small.units[small.labels == "HAP", SMILE] += 0.2
    both = Faces(
        *(
            np.concatenate([getattr(large, name), getattr(small, name)])
            for name in ("units", "labels", "people", "sources")
        )
    )
    mean = emotion_fit.fit(both, "NEU").emotions["HAP"].shows["AU12"]
    of = [faces.units[faces.labels == "HAP", SMILE].mean() for faces in (large, small)]
    assert mean == pytest.approx(np.mean(of), abs=1e-3)


def test_a_fitted_table_is_read_again_and_gives_the_same_probabilities(tmp_path: Path) -> None:
    faces = drawn()
    table = emotion_fit.fit(faces, "NEU")
    (tmp_path / "mine.yaml").write_text(emotion_fit.text(table, "# mine\n"), "utf-8")
    again = read_table(str(tmp_path / "mine.yaml"))
    assert again == table
    np.testing.assert_array_equal(again.model.probabilities(faces.units), table.model.probabilities(faces.units))


def test_the_page_has_recall_confusion_and_calibration() -> None:
    page = emotion_fit.page(emotion_fit.validate(drawn(people=30), "NEU"))
    assert "| films | 270 |" in page
    assert "| ANG | HAP | NEU |" in page
    assert "| confidence | clips | right |" in page


@pytest.mark.parametrize(
    ("people", "kept", "said"),
    [
        (12, ("HAP", "ANG"), "no clip is labelled 'NEU'"),
        (12, ("NEU", "HAP"), "at least two emotions"),
        (1, ("NEU", "HAP", "ANG"), "too few: ANG 3"),
        (9, ("NEU", "HAP", "ANG"), "at least 10 people"),
    ],
)
def test_too_little_to_fit_is_said(people: int, kept: tuple[str, ...], said: str) -> None:
    faces = drawn(people)
    with pytest.raises(UserError, match=said):
        emotion_fit.fit(faces.of(np.isin(faces.labels, kept)), "NEU")


def test_ten_people_are_enough() -> None:
    assert np.mean((judged := emotion_fit.validate(drawn(10), "NEU")).given == judged.labels) > 0.9


def test_a_class_of_one_person_is_refused_for_nobody_could_judge_it() -> None:
    faces = drawn()
    faces.labels[(faces.people == "p0") & (faces.labels != "NEU")] = "DIS"
    with pytest.raises(UserError, match="so few people show DIS"):
        emotion_fit.fit(faces, "NEU")
    with pytest.raises(UserError, match="so few people show DIS"):
        emotion_fit.validate(faces, "NEU")


def test_a_backend_without_some_action_units_is_fitted_without_them(capsys: pytest.CaptureFixture[str]) -> None:
    """Action units that are unknown decide nothing, also where they are known later; clips that lack others are out."""
    faces, lacking = drawn(), [ACTION_UNITS.index(unit) for unit in ("AU11", "AU24")]
    faces.units[:, lacking] = np.nan
    faces.units[0, SMILE] = np.nan
    kept = emotion_fit.whole(faces)
    table = emotion_fit.fit(kept, "NEU")
    others = drawn(seed=5).units
    without = others.copy()
    without[:, lacking] = 0.0
    np.testing.assert_allclose(table.model.probabilities(others), table.model.probabilities(without), atol=1e-6)
    said = capsys.readouterr().err
    assert "no clip has AU11, AU24" in said
    assert "1 of 108 clips left out: without AU12" in said


def test_backends_that_share_no_whole_clip_are_refused() -> None:
    faces = drawn()
    faces.units[::2, SMILE], faces.units[1::2, FROWN] = np.nan, np.nan
    with pytest.raises(UserError, match="each clip lacks one of AU04, AU12"):
        emotion_fit.whole(faces)


@pytest.fixture
def measured(tmp_path: Path) -> Config:
    """A corpus of one shard whose action units are those of `drawn`, labelled in the index."""
    config = parse(
        {"results": str(tmp_path / "results"), "corpora": {"one": {"path": ".", "use": ["pretrain"], "shards": 1}}}
    )
    faces, layout = drawn(), Layout(config.results)
    names = [f"{who}/{number}" for number, who in enumerate(faces.people)]
    index = [
        dict.fromkeys(schema_of("index").names)
        | {"clip_id": name, "path": name, "speaker": who, "label": label, "size_bytes": 1}
        for name, who, label in zip(names, faces.people.tolist(), faces.labels.tolist(), strict=True)
    ]
    units = [
        {"clip_id": name, "frame": frame, "time_s": frame / 25} | dict(zip(ACTION_UNITS, values, strict=True))
        for name, values in sorted(zip(names, faces.units.tolist(), strict=True))
        for frame in range(2)
    ]
    shards.write_table(layout.path("index", corpus="one", shard=0), index, schema_of("index"), {})
    shards.write_table(layout.path("action_units", corpus="one", shard=0), units, schema_of("action_units"), {})
    return config


def test_a_corpus_becomes_a_table_and_a_page(
    measured: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emotion_fit.run(measured, ["one"], tmp_path / "mine.yaml", "NEU")
    table = read_table(str(tmp_path / "mine.yaml"))
    assert table.shown_by("HAP")[0] == "AU12"
    page = (tmp_path / "mine.md").read_text("utf-8")
    assert "| one | 108 |" in page
    assert page in capsys.readouterr().out


def test_labels_may_come_from_a_table(measured: Config, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    index = shards.read(Layout(measured.results).path("index", corpus="one", shard=0))
    index.select("clip_id", label=pl.col("label").replace({"NEU": "calm"})).write_csv(file)
    emotion_fit.run(measured, ["one"], tmp_path / "mine.yaml", "calm", file)
    assert read_table(str(tmp_path / "mine.yaml")).neutral == "calm"


def test_blank_labels_are_none_and_two_for_a_clip_are_refused(measured: Config, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    given = shards.read(Layout(measured.results).path("index", corpus="one", shard=0)).select("clip_id", "label")
    blank = given.with_columns(label=pl.when(pl.col("clip_id") == "p0/0").then(pl.lit("")).otherwise("label"))
    pl.concat([blank, blank[5:6]]).write_csv(file, quote_style="always")
    emotion_fit.run(measured, ["one"], tmp_path / "mine.yaml", "NEU", file)
    assert read_table(str(tmp_path / "mine.yaml")).classes == ["ANG", "HAP", "NEU"]
    assert "| one | 107 |" in (tmp_path / "mine.md").read_text("utf-8")
    pl.concat([given, given[:1].with_columns(label=pl.lit("ANG"))]).write_csv(file)
    with pytest.raises(UserError, match="'p0/0' has several labels"):
        emotion_fit.run(measured, ["one"], tmp_path / "mine.yaml", "NEU", file)


def test_clips_without_a_speaker_are_told(measured: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = Layout(measured.results).path("index", corpus="one", shard=0)
    rows = shards.read(file).with_columns(speaker=pl.lit(None, pl.String)).to_dicts()
    shards.write_table(file, rows, schema_of("index"), {})
    emotion_fit.run(measured, ["one"], tmp_path / "mine.yaml", "NEU")
    assert "108 of 108 clips have no speaker" in capsys.readouterr().err


def test_what_is_missing_is_said(measured: Config, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"name the table \.yaml"):
        emotion_fit.run(measured, ["one"], tmp_path / "mine.md", "NEU")
    with pytest.raises(UserError, match=r"nowhere\.csv: no such file; correct --labels"):
        emotion_fit.run(measured, ["one"], tmp_path / "mine.yaml", "NEU", tmp_path / "nowhere.csv")
    (tmp_path / "other.csv").write_text("clip_id,label\nsomebody,NEU\n", "utf-8")
    with pytest.raises(UserError, match="no clip has both a label and a face"):
        emotion_fit.run(measured, ["one"], tmp_path / "mine.yaml", "NEU", tmp_path / "other.csv")
    Path(Layout(measured.results).path("action_units", corpus="one", shard=0)).unlink()
    with pytest.raises(UserError, match=r"run `\S*snakemake --cores all` first"):
        emotion_fit.run(measured, ["one"], tmp_path / "mine.yaml", "NEU")
    assert not (tmp_path / "mine.yaml").exists()


def test_a_table_labels_as_it_was_judged_where_action_units_have_no_resting_face(
    measured: Config, tmp_path: Path
) -> None:
    """Most clips smile: were that subtracted, as with the shipped table, smiles would be neutral."""
    file = Path(Layout(measured.results).path("action_units", corpus="one", shard=0))
    index = shards.read(Layout(measured.results).path("index", corpus="one", shard=0))
    others = index.filter(pl.col("label") != "HAP")["clip_id"].to_list()
    gone = [clip_id for place, clip_id in enumerate(others) if place % 6 < 4]
    units = shards.read(file).filter(~pl.col("clip_id").is_in(gone))
    shards.write_table(file, units.to_dicts(), schema_of("action_units"), provenance("x", {"backend": "import"}))
    emotion_fit.run(measured, ["one"], tmp_path / "mine.yaml", "NEU")
    assert read_table(str(tmp_path / "mine.yaml")).backend == "import"
    emotion.run([file], EmotionLabelOptions(table=str(tmp_path / "mine.yaml")), tmp_path / "all.parquet")
    found = shards.read(tmp_path / "all.parquet").join(index.select("clip_id", true="label"), on="clip_id")
    assert (found["label"] == found["true"]).mean() > 0.9  # type: ignore[operator]
