"""EmoBox's lists: entries find their clips by name; what does not match is told."""

import json
from pathlib import Path

import polars as pl
import pytest

from avpretext.corpora.emobox import Listed, Matcher, list_files, listed_folds, read_list
from avpretext.errors import UserError

CLIPS = pl.DataFrame({
    "clip_id": [f"{speaker}{number}" for speaker in "abcd" for number in (1, 2)],
    "path": [f"AudioWAV/{speaker}{number}.wav" for speaker in "abcd" for number in (1, 2)],
    "start_s": [None] * 8,
    "speaker": [speaker for speaker in "abcd" for _ in (1, 2)],
})  # fmt: skip


def entry(clip: str, folder: str = "downloads/made/AudioWAV") -> dict[str, object]:
    return {
        "key": f"made-{clip}", "dataset": "made", "wav": f"{folder}/{clip}.wav", "type": "raw", "sample_rate": 16000,
        "num_frame": 16000.0, "task": "category", "length": 1.0, "emo": "NEU", "channel": 1,
    }  # fmt: skip


def write_list(folder: Path, fold: int, part: str, clips: str, suffix: str = "jsonl") -> None:
    file = folder / f"fold_{fold}" / f"made_{part}_fold_{fold}.{suffix}"
    file.parent.mkdir(parents=True, exist_ok=True)
    entries = [entry(clip) for clip in clips.split()]
    if suffix == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in entries))
    else:
        file.write_text(json.dumps({str(row.pop("key")): row for row in entries}))


def test_lists_make_folds_in_the_order_of_their_numbers(tmp_path) -> None:
    for fold, test in ((10, "a"), (2, "b")):
        rest = [speaker for speaker in "abcd" if speaker not in (test, "d")]
        write_list(tmp_path, fold, "train", " ".join(f"{speaker}1 {speaker}2" for speaker in rest))
        write_list(tmp_path, fold, "valid", "d1 d2")
        write_list(tmp_path, fold, "test", f"{test}1 {test}2")
    division = listed_folds(tmp_path, CLIPS, CLIPS, 1, seed=1)
    assert [(fold.number, fold.name) for fold in division.folds] == [(0, "2"), (1, "10")]
    first, second = division.folds
    assert (first.train, first.dev, first.test) == (("a1", "a2", "c1", "c2"), ("d1", "d2"), ("b1", "b2"))
    assert second.test == ("a1", "a2")
    assert division.warnings == ()


def test_without_a_valid_list_dev_speakers_are_drawn_from_the_train_list(tmp_path) -> None:
    write_list(tmp_path, 1, "train", "a1 a2 b1 b2 c1 c2", "json")
    write_list(tmp_path, 1, "test", "d1 d2", "json")
    (fold,) = listed_folds(tmp_path, CLIPS, CLIPS, 1, seed=1).folds
    assert fold.dev in {("a1", "a2"), ("b1", "b2"), ("c1", "c2")}
    assert sorted((*fold.train, *fold.dev)) == ["a1", "a2", "b1", "b2", "c1", "c2"]


def test_only_clips_that_can_be_learnt_from_are_in_a_fold_and_the_others_are_not_missed(tmp_path) -> None:
    write_list(tmp_path, 1, "train", "a1 a2 b1 b2")
    write_list(tmp_path, 1, "test", "d1 d2")
    able = CLIPS.filter(~pl.col("clip_id").is_in(["a1", "b2", "d2"]))
    division = listed_folds(tmp_path, CLIPS, able, 1, seed=1)
    (fold,) = division.folds
    assert (sorted((*fold.train, *fold.dev)), fold.test) == (["a2", "b1"], ("d1",))
    assert division.warnings == ()


def test_entries_without_a_clip_are_counted_and_are_an_error_when_most_have_none(tmp_path) -> None:
    write_list(tmp_path, 1, "train", "a1 b1 z1")
    write_list(tmp_path, 1, "test", "d1")
    (warning,) = listed_folds(tmp_path, CLIPS, CLIPS, 1, seed=1).warnings
    assert warning == "protocol emobox: 1 of 4 entries of the lists match no clip, such as 'made-z1'"
    write_list(tmp_path, 1, "train", "a1 b1 z1 z2 z3 z4")
    with pytest.raises(UserError, match=r"4 of 7 entries, such as 'made-z1', match no clip .* 'AudioWAV/a1.wav'"):
        listed_folds(tmp_path, CLIPS, CLIPS, 1, seed=1)


def test_both_formats_say_the_same(tmp_path) -> None:
    for suffix in ("json", "jsonl"):
        write_list(tmp_path, 1, "train", "a1 b1", suffix)
    files = sorted((tmp_path / "fold_1").iterdir())
    place = "downloads/made/AudioWAV"
    expected = [Listed(f"made-{clip}", f"{place}/{clip}", label="NEU") for clip in ("a1", "b1")]
    assert [read_list(file) for file in files] == [expected, expected]


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    clips = pl.DataFrame({
        "clip_id": ["x", "y", "z", "q"],
        "path": ["MELD/train_splits/dia0.mp4", "MELD/dev_splits/dia0.mp4", "one/take.wav", "two/take.wav"],
        "start_s": [None] * 4,
    })  # fmt: skip
    matcher = Matcher(clips)
    assert matcher.clips_of_entry(Listed("meld-dia0-dev", "downloads/meld/dev_splits/dia0")) == ["y"]
    assert matcher.clips_of_entry(Listed("meld-dia0", "downloads/meld/train_splits/dia0")) == ["x"]
    assert matcher.clips_of_entry(Listed("made-take", "downloads/take")) == []


def test_clips_are_found_by_their_clip_id_too() -> None:
    matcher = Matcher(pl.DataFrame({"clip_id": ["s1_a", "s2_a"], "path": ["s1/b", "s2/b"], "start_s": [None, None]}))
    assert matcher.clips_of_entry(Listed("made-s1_a", "anywhere/else")) == ["s1_a"]
    assert matcher.clips_of_entry(Listed("s2_a", "anywhere/else")) == ["s2_a"]
    assert matcher.clips_of_entry(Listed("1", "anywhere/s2_a")) == ["s2_a"]
    assert matcher.clips_of_entry(Listed("made-s3_a", "anywhere/else")) == []


def test_of_a_recording_all_segments_match_or_the_one_that_starts_there() -> None:
    clips = pl.DataFrame({"clip_id": ["t1", "t2"], "path": ["t.wav", "t.wav"], "start_s": [0.0, 4.2]})
    matcher = Matcher(clips)
    assert matcher.clips_of_entry(Listed("k", "t")) == ["t1", "t2"]
    assert matcher.clips_of_entry(Listed("k", "t", 4.201)) == ["t2"]
    assert matcher.clips_of_entry(Listed("k", "t", 2.0)) == []


def test_folders_that_hold_no_whole_lists_are_told_so(tmp_path) -> None:
    with pytest.raises(UserError, match=r"no lists there; EmoBox's folder of one corpus is expected"):
        list_files(tmp_path)
    write_list(tmp_path / "made", 1, "test", "a1")
    with pytest.raises(UserError, match="fold 1 has no train list; copy the whole folder"):
        list_files(tmp_path)
    write_list(tmp_path / "made", 1, "train", "a1")
    assert {part: file.name for part, file in list_files(tmp_path)[1].items()} == {
        "train": "made_train_fold_1.jsonl", "test": "made_test_fold_1.jsonl"
    }  # fmt: skip
    (tmp_path / "other_train_fold_1.json").write_text("{}")
    with pytest.raises(UserError, match="lists of made, other there"):
        list_files(tmp_path)


@pytest.mark.parametrize(("name", "text"), [("l.json", "[1]"), ("l.jsonl", '{"key": "a"}'), ("l.jsonl", "a,b")])
def test_a_file_that_is_no_list_is_told_so(tmp_path, name, text) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=f"{name}: not a list of EmoBox"):
        read_list(tmp_path / name)


def test_a_file_of_the_same_name_in_another_folder_is_another_file() -> None:
    clips = {"clip_id": ["W009/audio/020"], "path": ["W009/audio/020.m4a"], "start_s": [None]}
    matcher = Matcher(pl.DataFrame(clips))
    assert matcher.clips_of_entry(Listed("mead-W009", "downloads/mead/W009/audio/020")) == ["W009/audio/020"]
    assert matcher.clips_of_entry(Listed("mead-W019", "downloads/mead/W019/audio/020")) == []
    assert matcher.clips_of_entry(Listed("mead-020", "downloads/mead/020")) == ["W009/audio/020"]


def test_listed_files_that_one_clip_may_be_are_left_out_and_told(tmp_path) -> None:
    write_list(tmp_path, 1, "train", "a1 b1 c1 c2")
    write_list(tmp_path, 1, "test", "d1")
    with open(tmp_path / "fold_1" / "made_test_fold_1.jsonl", "a") as file:
        file.write(json.dumps(entry("d2", "downloads/one")) + "\n" + json.dumps(entry("d2", "downloads/two")) + "\n")
    flat = CLIPS.with_columns(pl.col("path").str.replace("AudioWAV/", ""))
    division = listed_folds(tmp_path, flat, flat, 1, seed=1)
    assert division.folds[0].test == ("d1",)
    (warning,) = division.warnings
    assert "2 of 7 entries of the lists match a clip that another listed file matches too" in warning


def test_channels_are_told_and_two_channels_of_one_file_are_refused(tmp_path) -> None:
    write_list(tmp_path, 1, "train", "a1 b1 c1")
    write_list(tmp_path, 1, "test", "d1")
    second = entry("d2") | {"channel": 2}
    with open(tmp_path / "fold_1" / "made_test_fold_1.jsonl", "a") as file:
        file.write(json.dumps(second) + "\n")
    (warning,) = listed_folds(tmp_path, CLIPS, CLIPS, 1, seed=1).warnings
    assert "1 of 5 entries of the lists name another channel than the first" in warning
    with open(tmp_path / "fold_1" / "made_test_fold_1.jsonl", "a") as file:
        file.write(json.dumps(second | {"channel": 1}) + "\n")
    with pytest.raises(UserError, match="'made-d2' is another channel of downloads/made/AudioWAV/d2"):
        listed_folds(tmp_path, CLIPS, CLIPS, 1, seed=1)
