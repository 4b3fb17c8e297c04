"""What is handed out as an audformat database is read again as the corpus that it was; others' databases are read."""

from pathlib import Path

import audformat
import pandas as pd
import pytest

from avpretext.config import Config, CorpusOptions
from avpretext.corpora import reader_of, scan
from avpretext.errors import UserError
from avpretext.interchange import labels_to
from tests.corpora.made import corpus, touch


@pytest.fixture(scope="module")
def exported(config: Config, tmp_path_factory: pytest.TempPathFactory) -> CorpusOptions:
    folder = tmp_path_factory.mktemp("audformat") / "out"
    labels_to.run(config, "mine", "audformat", folder)
    return corpus(folder, "audformat", video=False)


def rows(options: CorpusOptions, source: str) -> dict[str, tuple[object, ...]]:
    table = reader_of(options).sources(options)[source].read(options)
    return {clip_id: tuple(values) for clip_id, *values in table.iter_rows()}


def test_clips_speakers_and_people_come_back(exported: CorpusOptions) -> None:
    clips = {file.clip_id: file.clip for file in scan(exported)}
    assert {name: (clip.speaker, clip.sentence, clip.start_s) for name, clip in clips.items()} == {
        "anna/one": ("anna", "DFA", None), "anna/two": ("anna", "DFA", None), "ben/it's": ("ben", "DFA", None),
    }  # fmt: skip
    assert reader_of(exported).people(exported)["anna"] == ("female", 51)


def test_labels_shares_and_votes_come_back_and_what_a_machine_said_does_not(exported: CorpusOptions) -> None:
    assert list(reader_of(exported).sources(exported)) == ["acted", "voice", "voice_votes"]
    assert rows(exported, "acted") == {"anna/one": ("ANG",), "anna/two": ("SAD",), "ben/it's": ("ANG",)}
    assert rows(exported, "voice") == {"anna/one": (0.75, 0.25), "anna/two": (0.0, 1.0), "ben/it's": (0.5, 0.5)}
    assert rows(exported, "voice_votes")["anna/one"] == (3.0, 1.0)


def test_splits_come_back_as_partitions(exported: CorpusOptions) -> None:
    assert reader_of(exported).partitions(exported).rows() == [("ben/it's", "test"), ("anna/one", "train")]


@pytest.fixture
def foreign(tmp_path: Path) -> CorpusOptions:
    """A database of stretches of two files, as others make them: CSV, labels that are numbers, three splits."""
    db = audformat.Database("theirs")
    db.schemes["emotion"] = audformat.Scheme("int", labels={0: "calm", 1: "rage"})
    db.schemes["speaker"] = audformat.Scheme("int", labels={3: {"gender": "male", "age": 31}, 8: {"gender": "female"}})
    db.schemes["arousal"] = audformat.Scheme("float")
    db.schemes["transcription"] = audformat.Scheme("str", labels={"a01": "Der Lappen liegt.", "a02": "Das will sie."})
    db.raters["machine"] = audformat.Rater(audformat.define.RaterType.MACHINE)
    values = {"train": (1, 3, 0.25, "a01"), "dev": (0, 8, 0.5, "a02"), "test": (1, 8, None, "a01")}
    for place, (split, cells) in enumerate(values.items()):
        db.splits[split] = audformat.Split(split)
        index = audformat.segmented_index(
            [f"wav/{place % 2}.wav"], [pd.Timedelta(place, "s")], [pd.Timedelta(place + 1.5, "s")]
        )
        table = db[f"emotion.{split}"] = audformat.Table(index, split_id=split)
        for name, value in zip(("emotion", "speaker", "arousal", "transcription"), cells, strict=True):
            table[name] = audformat.Column(scheme_id=name)
            table[name].set([value])
        table["guess"] = audformat.Column(scheme_id="emotion", rater_id="machine")
        table["guess"].set([0])
    db.save(str(tmp_path), storage_format="csv")
    touch(tmp_path, "wav/0.wav", "wav/1.wav")
    return corpus(tmp_path, "audformat", video=False, protocol={"name": "partitions"})


def test_a_database_of_stretches_is_read(foreign: CorpusOptions) -> None:
    reader, clips = reader_of(foreign), {file.clip_id: file.clip for file in scan(foreign)}
    assert {name: (clip.speaker, clip.sentence, clip.start_s, clip.end_s) for name, clip in clips.items()} == {
        "wav/0_0": ("3", "a01", 0.0, 1.5), "wav/0_2000": ("8", "a01", 2.0, 3.5), "wav/1_1000": ("8", "a02", 1.0, 2.5),
    }  # fmt: skip
    assert list(reader.sources(foreign)) == ["emotion", "arousal"]
    assert rows(foreign, "emotion") == {"wav/0_0": ("rage",), "wav/0_2000": ("rage",), "wav/1_1000": ("calm",)}
    assert rows(foreign, "arousal") == {"wav/0_0": (0.25,), "wav/1_1000": (0.5,)}
    assert dict(reader.partitions(foreign).rows()) == {"wav/0_0": "train", "wav/1_1000": "dev", "wav/0_2000": "test"}
    assert reader.people(foreign) == {"3": ("male", 31), "8": ("female", None)}
    assert dict(reader.transcripts(foreign).rows())["wav/1_1000"] == "Das will sie."


def test_parts_are_tables(foreign: CorpusOptions) -> None:
    some = foreign.model_copy(update={"parts": ["emotion.dev"]})
    assert [file.clip_id for file in scan(some)] == ["wav/1_1000"]
    with pytest.raises(UserError, match=r"no table 'emotion.de'; did you mean 'emotion.dev'"):
        scan(foreign.model_copy(update={"parts": ["emotion.de"]}))


def test_folds_that_avpretext_wrote_test_in_turn(tmp_path: Path) -> None:
    db, names = audformat.Database("ours"), ["a.wav", "b.wav", "c.wav"]
    db.schemes["target.acted"] = audformat.Scheme("str", labels=["ANG", "SAD"])
    table = db["target.acted"] = audformat.Table(audformat.filewise_index(names))
    table["acted"] = audformat.Column(scheme_id="target.acted")
    table["acted"].set(["ANG", "SAD", "ANG"])
    for fold in range(3):
        for part, name in zip(("test", "dev", "train"), names[fold:] + names[:fold], strict=True):
            split = f"acted.speaker_kfold.{fold + 1}.{part}"
            db.splits[split] = audformat.Split(part)
            db[split] = audformat.Table(audformat.filewise_index([name]), split_id=split)
    db.save(str(tmp_path))
    touch(tmp_path, *names)
    given = corpus(tmp_path, "audformat", video=False)
    assert sorted(reader_of(given).partitions(given).rows()) == [("a", "1"), ("b", "2"), ("c", "3")]
    wrong = corpus(tmp_path, "audformat", video=False, targets=["voice"])
    with pytest.raises(UserError, match=r"of acted.speaker_kfold; one setting of the target 'voice' is expected"):
        reader_of(wrong).partitions(wrong)


def test_pickles_are_not_opened(foreign: CorpusOptions) -> None:
    (Path(foreign.path) / "db.emotion.dev.csv").rename(Path(foreign.path) / "db.emotion.dev.pkl")
    with pytest.raises(UserError, match=r"db.emotion.dev.csv: no table .* there is a pickled one; save the database"):
        scan(foreign)


def test_a_time_that_is_none_refuses_its_row(foreign: CorpusOptions) -> None:
    file = Path(foreign.path) / "db.emotion.dev.csv"
    text = file.read_text()
    assert "0 days 00:00:02.500000" in text
    file.write_text(text.replace("0 days 00:00:02.500000", "2.5 s"))
    refused = {found.clip_id: found.refusal.reason for found in scan(foreign) if found.refusal}
    assert refused == {"wav/1_1000": "bad_segment"}
    assert rows(foreign, "emotion") == {"wav/0_0": ("rage",), "wav/0_2000": ("rage",)}


def test_a_cell_that_is_no_number_is_an_error(foreign: CorpusOptions) -> None:
    file = Path(foreign.path) / "db.emotion.dev.csv"
    file.write_text(file.read_text().replace(",0.5,", ",half,"))
    with pytest.raises(UserError, match=r"table 'emotion.dev', column 'arousal': 'half' is no number"):
        rows(foreign, "arousal")


def test_speakers_in_a_pickle_are_an_error(exported: CorpusOptions, tmp_path: Path) -> None:
    for file in Path(exported.path).glob("db.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    given = exported.model_copy(update={"path": str(tmp_path)})
    assert reader_of(given).people(given)["anna"] == ("female", 51)
    (tmp_path / "db.speaker.csv").rename(tmp_path / "db.speaker.pkl")
    with pytest.raises(UserError, match=r"db.speaker.csv: no table .* there is a pickled one"):
        reader_of(given).people(given)


def test_a_folder_without_header_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    for header in (None, "tables: [files]", "tables: {files: {columns: {}}}"):
        if header is not None:
            (tmp_path / "db.yaml").write_text(header)
        with pytest.raises(UserError, match=r"db.yaml: not the header of an audformat database"):
            scan(corpus(tmp_path, "audformat", video=False))
    (tmp_path / "db.yaml").write_text("tables: {files: {type: filewise, columns: {}}}")
    (tmp_path / "db.files.csv").write_text("name\na.wav\n")
    with pytest.raises(UserError, match=r"the table 'files' names no files"):
        scan(corpus(tmp_path, "audformat", video=False))
