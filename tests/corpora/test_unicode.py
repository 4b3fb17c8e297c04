"""Decomposed names of a Mac's zip fit a composed table; files are opened as the disk spells them."""

import unicodedata

import polars as pl
import pytest

from avpretext.config import CorpusOptions
from avpretext.corpora import emobox, index, scan
from avpretext.corpora.readers import folder
from avpretext.errors import UserError
from avpretext.shards import read


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.fixture
def mac(tmp_path):
    """Return the options of a corpus whose files are spelt as on a Mac; with them, those of a table."""
    for name in ("Jörg/é 1.wav", "Jörg/2.wav", "Zoë/3.wav"):
        file = tmp_path / decomposed(name)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x")
    (tmp_path / "composed.csv").write_text(
        "path,emotion\nJörg/é 1.wav,wütend\nJörg/2.wav,froh\nZoë/3.wav,froh\n", "utf-8"
    )
    (tmp_path / "decomposed.csv").write_text(decomposed((tmp_path / "composed.csv").read_text("utf-8")), "utf-8")

    def options(table: str | None, **more: object) -> CorpusOptions:
        return CorpusOptions.model_validate(
            {"path": str(tmp_path), "reader": "folder", "use": ["finetune"], "video": False, "table": table, **more}
        )

    return options


@pytest.mark.parametrize("table", [None, "composed.csv", "decomposed.csv"])
def test_names_are_composed_and_paths_stay_as_they_are(mac, tmp_path, table):
    options = mac(table)
    index.run(options, 0, tmp_path / "index.parquet", tmp_path / "rejects.parquet")
    rows = read(tmp_path / "index.parquet").sort("clip_id")
    assert rows["clip_id"].to_list() == ["Jörg/2", "Jörg/é 1", "Zoë/3"]
    assert rows["speaker"].to_list() == ["Jörg", "Jörg", "Zoë"]
    assert rows["path"].to_list() == [decomposed(f"{name}.wav") for name in rows["clip_id"]]
    assert all((tmp_path / path).is_file() for path in rows["path"])
    assert read(tmp_path / "rejects.parquet").is_empty()


def test_labels_are_composed_too(mac):
    for table in ("composed.csv", "decomposed.csv"):
        options = mac(table)
        assert set(folder.sources(options)["emotion"].read(options)["label"]) == {"wütend", "froh"}
        assert [file.clip.speaker for file in scan(mac(table, speakers=[decomposed("Zoë")]))] == ["Zoë"]


def test_a_disk_that_has_both_forms_of_a_name_has_two_files_of_one_clip(mac, tmp_path):
    (tmp_path / "Jörg").mkdir()
    (tmp_path / "Jörg" / "2.wav").write_bytes(b"y")
    found = {file.path: file.refusal and file.refusal.reason for file in scan(mac(None))}
    assert len(found) == 4
    assert found[decomposed("Jörg/2.wav")] is None
    assert found["Jörg/2.wav"] == "duplicate_clip_id"


def test_a_speaker_that_nobody_is_stops_the_run(mac):
    with pytest.raises(UserError, match="no clip is of the speaker 'zoë'; did you mean 'Zoë'"):
        scan(mac(None, speakers=["Jörg", "zoë"]))


def test_files_outside_are_found_in_either_form(mac, tmp_path):
    options = mac("outside.csv", outside=True)
    (tmp_path.parent / decomposed("ü.wav")).write_bytes(b"x")
    (tmp_path / "outside.csv").write_text("path,speaker\n../ü.wav,a\n", "utf-8")
    (kept,) = [file for file in scan(options) if file.clip]
    assert kept.path == "../" + decomposed("ü.wav")


def test_a_file_of_nearly_the_same_name_is_pointed_at(mac, tmp_path):
    (tmp_path / "near.csv").write_text("path\nJörg\\É 1.WAV\nJörg/2.wav\nZoë/3.wav\n", "utf-8")
    (missing,) = [
        file.refusal for file in scan(mac("near.csv")) if file.refusal and file.refusal.reason == "missing_file"
    ]
    assert missing.detail == "there is 'Jörg/é 1.wav': spell the row so"


def test_lists_of_emobox_match_in_either_form():
    clips = pl.DataFrame({"clip_id": ["Jörg/1"], "path": [decomposed("Jörg/1.wav")], "start_s": [None]})
    matcher = emobox.Matcher(clips)
    for name in ("x/Jörg/1", decomposed("x/Jörg/1")):
        assert matcher.clips_of_entry(emobox.Listed(decomposed("k-Jörg"), name)) == ["Jörg/1"]
