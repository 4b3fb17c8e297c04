"""EmoBox's lists as a corpus: its files, labels and folds, on lists laid out as EmoBox's."""

import json
from pathlib import Path

import pytest
from tests.corpora.made import corpus, touch

from avpretext.config import CorpusOptions
from avpretext.corpora import reader_of, scan, settings_of
from avpretext.corpora.emobox import lists_of
from avpretext.errors import UserError


def entry(speaker: str, name: str, emotion: str, **more: object) -> dict[str, object]:
    wav = f"downloads/made/{speaker}/{name}.wav"
    return {"key": f"made-{speaker}-{name}", "dataset": "made", "wav": wav, "emo": emotion, "channel": 1, **more}


ENTRIES = [entry("ann", "a01", "a"), entry("ben", "a01", "n"), entry("ben", "h02", "h")]


@pytest.fixture
def made(tmp_path: Path) -> CorpusOptions:
    lists = tmp_path / "EmoBox/data/made"
    lists.mkdir(parents=True)
    (lists / "made.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ENTRIES))
    (lists / "label_map.json").write_text(json.dumps({"a": "Angry", "n": "Neutral"}))
    touch(tmp_path / "audio", "ann/a01.wav", "ben/a01.wav", "ben/other.wav")
    options = {"video": False, "table": str(lists), "protocol": {"name": "emobox"}}
    return corpus(tmp_path / "audio", "emobox", **options)


def test_listed_files_are_clips_with_labels_as_emobox_learns_them(made: CorpusOptions) -> None:
    found = {file.clip_id: file for file in scan(made)}
    assert {name: file.path for name, file in found.items() if file.clip} == {
        "ann-a01": "ann/a01.wav", "ben-a01": "ben/a01.wav",
    }  # fmt: skip
    assert found["ben-h02"].refusal.reason == "missing_file"
    labels = reader_of(made).sources(made)["emotion"].read(made)
    assert dict(labels.rows()) == {"ann-a01": "Angry", "ben-a01": "Neutral", "ben-h02": "h"}


@pytest.mark.parametrize(("content", "said"), [("{", "cannot be read as JSON"), ("[1]", "{name: ...} is expected")])
def test_a_broken_map_of_labels_is_told_in_a_line(made: CorpusOptions, content: str, said: str) -> None:
    (Path(str(made.table)) / "label_map.json").write_text(content)
    with pytest.raises(UserError, match=said):
        reader_of(made).sources(made)["emotion"].read(made)


def test_speakers_are_told_by_a_folder_if_it_is_named(made: CorpusOptions) -> None:
    assert {file.clip.speaker for file in scan(made) if file.clip} == {None}
    named = made.model_copy(update={"speaker_folder": 1})
    assert {file.clip_id: file.clip.speaker for file in scan(named) if file.clip} == {
        "ann-a01": "ann",
        "ben-a01": "ben",
    }


def test_its_folder_of_lists_is_that_of_the_protocol(made: CorpusOptions, tmp_path: Path) -> None:
    assert [setting.name for setting in settings_of(made)] == ["emotion.emobox"]
    assert lists_of(made) == tmp_path / "EmoBox/data/made"
    file = made.model_copy(update={"table": str(tmp_path / "EmoBox/data/made/made.jsonl")})
    assert lists_of(file) == tmp_path / "EmoBox/data/made"
    assert [one.clip_id for one in scan(file)] == [one.clip_id for one in scan(made)]


def test_stretches_of_one_file_are_clips(made: CorpusOptions, tmp_path: Path) -> None:
    rows = [
        entry("ann", "a01", "a", start_time=0.0, end_time=1.5) | {"key": "made-1"},
        entry("ann", "a01", "n", start_time=1.5, end_time=2.0) | {"key": "made-2"},
    ]
    (tmp_path / "EmoBox/data/made/made.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert {file.clip_id: (file.clip.start_s, file.clip.end_s) for file in scan(made)} == {
        "1": (0.0, 1.5),
        "2": (1.5, 2.0),
    }


def test_lists_of_folds_do_where_there_is_none_of_all(made: CorpusOptions, tmp_path: Path) -> None:
    folder = tmp_path / "EmoBox/data/made"
    (folder / "made.jsonl").unlink()
    (folder / "fold_1").mkdir()
    for part, rows in (("train", ENTRIES[:1]), ("test", ENTRIES[1:])):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"fold_1/made_{part}_fold_1.jsonl").write_text(text)
    assert {file.clip_id for file in scan(made)} == {"ann-a01", "ben-a01", "ben-h02"}


def test_without_lists_the_option_is_named(made: CorpusOptions) -> None:
    for table in (None, "nowhere"):
        with pytest.raises(UserError, match=r"corpora.NAME.table: .*: EmoBox's folder of a corpus is expected"):
            scan(made.model_copy(update={"table": table}))
