"""Which files are meant, and who speaks in them."""

from pathlib import Path

import pytest

from avpretext.errors import UserError
from avpretext.predict.inputs import expand, speakers_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.wav", "a.MP4", "deep/c.flac", "notes.txt", "x[1].wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_folders_hold_what_looks_like_sound_and_patterns_what_they_match(folder: Path) -> None:
    assert expand(["."]) == ["a.MP4", "b.wav", "deep/c.flac", "x[1].wav"]
    assert expand(["*.wav"]) == ["b.wav", "x[1].wav"]
    assert expand(["**/*.flac"]) == ["deep/c.flac"]
    assert expand(["de*"]) == ["deep/c.flac"]


def test_a_file_is_taken_as_it_is_named_and_once(folder: Path) -> None:
    assert expand(["notes.txt", "x[1].wav", "gone.wav", "b.wav", "."]) == [
        "notes.txt", "x[1].wav", "gone.wav", "b.wav", "a.MP4", "deep/c.flac",
    ]  # fmt: skip


def test_what_matches_nothing_is_said_so(folder: Path) -> None:
    with pytest.raises(UserError, match=r"\*\.ogg: matches no file"):
        expand(["*.ogg"])
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match="no audio or video file in this folder"):
        expand(["empty"])


def test_speakers_by_folder_file_or_all_in_one() -> None:
    files = ["a/1.wav", "a/2.wav", "b/1.wav"]
    assert speakers_of(files, "one") == ["one"] * 3
    assert speakers_of(files, "folder") == ["a", "a", "b"]
    assert speakers_of(files, "file") == files


def test_speakers_by_a_table_of_paths_or_names(tmp_path: Path) -> None:
    table = tmp_path / "who.csv"
    table.write_text("speaker,file\nann,a/1.wav\nbob,2.wav\n")
    assert speakers_of(["a/1.wav", "b/2.wav"], str(table)) == ["ann", "bob"]
    with pytest.raises(UserError, match=r"no speaker for c/3\.wav; add a row"):
        speakers_of(["c/3.wav"], str(table))
    table.write_text("who,file\nann,a/1.wav\n")
    with pytest.raises(UserError, match="expected columns file, speaker"):
        speakers_of(["a/1.wav"], str(table))
    with pytest.raises(UserError, match="'folders': expected one, folder, file, or a CSV table"):
        speakers_of(["a/1.wav"], "folders")
