"""Labels handed to other tools say what the shards say, on shards that are worked out by hand."""

from pathlib import Path

import audformat
import pandas as pd
import polars as pl
import pytest
import soundfile

from avpretext import shards
from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.flow.paths import Layout
from avpretext.interchange import labels_to
from tests.interchange.conftest import write_corpus


@pytest.fixture(scope="module")
def db(config: Config, tmp_path_factory: pytest.TempPathFactory) -> audformat.Database:
    folder = tmp_path_factory.mktemp("audformat") / "out"
    labels_to.run(config, "mine", "audformat", folder)
    return audformat.Database.load(str(folder))


def test_what_is_saved_is_loaded_as_the_same_database(config: Config, db: audformat.Database) -> None:
    from avpretext.interchange.audformat_database import database
    from avpretext.interchange.label_tables import gather

    assert database(gather(config, "mine")) == db
    assert db.is_portable
    assert sorted(db.files) == ["audio/anna/one.flac", "audio/anna/two.flac", "audio/ben/it's.flac"]


def test_chunks_are_segments_with_label_value_and_confidence(db: audformat.Database) -> None:
    energy = db["pseudo.energy"].get()
    seconds = [(file, start.total_seconds(), end.total_seconds()) for file, start, end in energy.index]
    assert seconds == [
        ("audio/anna/one.flac", 0.0, 1.0),
        ("audio/anna/one.flac", 0.21, 1.21),
        ("audio/ben/it's.flac", 0.0, 2.0),  # two equal chunks are one segment
    ]
    assert energy["energy"].to_list()[:2] == ["low", "high"]
    assert energy["energy"].isna().to_list() == [False, False, True]
    assert energy["value"].to_list()[:2] == [2.5, 3.5]
    assert energy["confidence"].to_list()[:2] == [0.25, 0.5]
    assert db["pseudo.energy"]["energy"].rater.type == "machine"


def test_emotions_are_labels_of_files(db: audformat.Database) -> None:
    emotion = db["pseudo.emotion"].get()
    assert emotion.loc["audio/anna/one.flac"].to_dict() == {
        "emotion": "ANG", "outcome": "labelled", "confidence": 0.5, "score.ANG": 0.75, "score.SAD": 0.25,
    }  # fmt: skip
    assert pd.isna(emotion.loc["audio/anna/two.flac", "emotion"])


def test_clips_have_speaker_length_and_source_and_speakers_their_sums(db: audformat.Database) -> None:
    clips = db["clips"].get()
    assert clips["speaker"].to_list() == ["anna", "anna", "ben"]
    assert clips.loc["audio/anna/two.flac", "path.start"].total_seconds() == 61.25
    assert pd.isna(clips.loc["audio/anna/one.flac", "path.start"])
    speakers = db["speaker"].get()
    assert speakers["clips"].to_dict() == {"anna": 2, "ben": 1}
    assert speakers.loc["anna", "duration"].total_seconds() == 2.5
    assert speakers.loc["anna", ["sex", "age"]].to_list() == ["female", 51]
    assert speakers.loc["ben", ["sex", "age"]].isna().all()  # the corpus does not know him
    assert db["clips"].get(map={"speaker": "clips"})["clips"].to_list() == [2, 2, 1]


def test_folds_are_splits_and_a_dropped_clip_is_in_none(db: audformat.Database) -> None:
    assert {name: split.type for name, split in db.splits.items() if name.startswith("acted.")} == {
        "acted.speaker_kfold.1.train": "train",
        "acted.speaker_kfold.1.test": "test",
    }
    test = db.get("target.acted", splits="acted.speaker_kfold.1.test")
    assert test["target.acted"].to_dict() == {"audio/ben/it's.flac": "ANG"}


def test_shares_and_votes_have_a_column_per_class(db: audformat.Database) -> None:
    shares = db["target.voice-distribution"].get().loc["audio/anna/one.flac"].to_dict()
    assert shares == {
        "voice-distribution.ANG": 0.75, "voice-distribution.SAD": 0.25, "votes.ANG": 3.0, "votes.SAD": 1.0,
    }  # fmt: skip


def test_the_audio_is_that_of_split(config: Config, db: audformat.Database) -> None:
    path = Path(db.root) / "audio" / "anna" / "one.flac"
    encoded = shards.read(Layout(config.results).path("split.audio", corpus="mine", shard=0))["audio"][0]["bytes"]
    assert path.read_bytes() == encoded
    assert soundfile.info(path).samplerate == db.media["audio"].sampling_rate


def test_audio_can_be_left_out(config: Config, tmp_path: Path) -> None:
    labels_to.run(config, "mine", "audformat", tmp_path / "bare", audio=False)
    assert not (tmp_path / "bare" / "audio").exists()


def test_csv_has_the_same_values(config: Config, tmp_path: Path) -> None:
    labels_to.run(config, "mine", "csv", tmp_path / "csv")
    text = (tmp_path / "csv" / "labels_energy.csv").read_text().splitlines()
    assert text[0] == "clip_id,speaker,chunk,start_s,end_s,value,label,confidence,threshold"
    assert text[2] == "anna/one,anna,1,0.21,1.21,3.5,high,0.5,3.0"
    assert text[3] == "ben/it's,ben,0,0.0,2.0,,,,3.0"
    told = (tmp_path / "csv" / "speakers.csv").read_text().splitlines()
    assert told == ["speaker,clips,duration_s,sex,age", "anna,2,2.5,female,51", "ben,1,2.0,,"]
    shares = pl.read_csv(tmp_path / "csv" / "target.voice-distribution.csv")
    assert shares.row(0) == ("anna/one", "anna", "ANG", 0.75, 0.25, 3.0, 1.0)
    folds = pl.read_csv(tmp_path / "csv" / "folds.acted.speaker_kfold.csv")
    assert folds.columns == ["clip_id", "speaker", "fold", "name", "part"]
    assert len(folds) == 3


def test_a_folder_that_is_in_use_is_not_overwritten(config: Config, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(UserError, match="is there already; name a new folder"):
        labels_to.run(config, "mine", "csv", tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_without_labels_the_fix_is_named(tmp_path: Path) -> None:
    config = write_corpus(tmp_path, "mine")
    layout = Layout(config.results)
    for stage in ("labels_energy", "labels_activation", "labels_emotion"):
        Path(layout.path(stage, corpus="mine")).unlink()
    for target in ("acted", "voice-distribution"):
        Path(layout.path("targets", corpus="mine", target=target)).unlink()
    with pytest.raises(UserError, match="there are no labels of 'mine' yet; run the workflow first"):
        labels_to.run(config, "mine", "csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_labels_of_silent_clips_are_written_as_csv_and_in_no_database_of_audio(config: Config, tmp_path: Path) -> None:
    mute = config.corpora["mine"].model_copy(update={"audio": False, "use": ["pretrain"]})
    silent = config.model_copy(update={"corpora": {"mine": mute}})
    with pytest.raises(UserError, match="mine has audio: false, and audformat holds audio: use csv"):
        labels_to.run(silent, "mine", "audformat", tmp_path / "db")
    assert "labels_emotion" in labels_to.run(silent, "mine", "csv", tmp_path / "csv")
