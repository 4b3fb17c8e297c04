"""A scan finds the clips, in a fixed order, and its fingerprints tell which shard changed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.corpora.made import corpus, touch

from avpretext.config import CorpusOptions
from avpretext.corpora import fingerprints, listing, scan
from avpretext.corpora.reader import Clip, Entry, Reader
from avpretext.corpora.readers import READERS
from avpretext.corpora.scan import ClipFile
from avpretext.errors import UserError
from avpretext.flow.paths import shard_of
from avpretext.refusal import Refusal


def test_the_order_is_that_of_the_paths_whatever_the_file_system(tmp_path):
    names = ["b/2.mp4", "a/é 😀.MP4", "a/1.mkv", "z.mov", 'a/it\'s "so".mp4']
    touch(tmp_path, *names)
    assert [file.path for file in scan(corpus(tmp_path))] == sorted(names)


def test_hidden_and_other_files_are_left_out(tmp_path):
    touch(tmp_path, "a.mp4", "._a.mp4", ".git/b.mp4", "notes.txt", "a.wav", "a.mp4.part")
    assert [file.path for file in scan(corpus(tmp_path))] == ["a.mp4"]
    assert [file.path for file in scan(corpus(tmp_path, video=False))] == ["a.wav"]


def test_link_loops_end_and_linked_folders_count_once(tmp_path):
    touch(tmp_path, "anna/1.mp4")
    (tmp_path / "anna" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "anna")
    touch(tmp_path / "elsewhere", "2.mp4")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    found = {file.path: file.size_bytes for file in scan(corpus(tmp_path))}
    assert found == {"again/1.mp4": 1, "elsewhere/2.mp4": 1, "gone.mp4": -1}


def test_a_folder_named_like_a_video_is_a_folder(tmp_path):
    touch(tmp_path, "x.mp4/y.mp4")
    assert [file.path for file in scan(corpus(tmp_path))] == ["x.mp4/y.mp4"]


def test_speakers_can_be_chosen(tmp_path):
    touch(tmp_path, "anna/1.mp4", "ben/1.mp4", "1.mp4")
    assert [file.path for file in scan(corpus(tmp_path, speakers=["ben"]))] == ["ben/1.mp4"]
    with pytest.raises(UserError, match=r"no clip is of the speaker .carl."):
        scan(corpus(tmp_path, speakers=["carl"]))


def test_one_shard_is_scanned_as_part_of_all(tmp_path):
    touch(tmp_path, *(f"{number}.mp4" for number in range(20)))
    options = corpus(tmp_path, shards=3)
    parts = [scan(options, shard) for shard in range(3)]
    assert sorted(file.path for part in parts for file in part) == [file.path for file in scan(options)]
    assert all(shard_of(file.clip_id, 3) == shard for shard, part in enumerate(parts) for file in part)


def test_the_hash_of_a_clip_stays_the_same_for_ever():
    assert [shard_of(name, 1000) for name in ("1001_DFA_ANG_XX", "anna/it's 😀", "")] == [922, 609, 876]


def test_a_fingerprint_changes_for_the_shard_touched_only(tmp_path):
    touch(tmp_path, *(f"{number}.mp4" for number in range(20)))
    options = corpus(tmp_path, shards=4)
    before = fingerprints(scan(options), 4)
    assert before == fingerprints(reversed(scan(options)), 4)

    touch(tmp_path, "new.mp4")
    added = fingerprints(scan(options), 4)
    changed = [shard for shard in range(4) if added[shard] != before[shard]]
    assert changed == [shard_of("new", 4)]

    (tmp_path / "new.mp4").unlink()
    assert fingerprints(scan(options), 4) == before
    os.utime(tmp_path / "7.mp4", ns=(1, 1))
    assert [a != b for a, b in zip(fingerprints(scan(options), 4), before, strict=True)].index(True) == shard_of("7", 4)


def test_a_missing_or_empty_corpus_says_the_fix(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"run `\S*avpretext demo data/demo`"):
        scan(corpus(Path("data/demo/labelled")))
    with pytest.raises(
        UserError, match=r"no such folder.*correct the path \(in a configuration: corpora\.NAME\.path\)"
    ):
        scan(corpus(Path("nowhere")))
    with pytest.raises(UserError, match="no video files there"):
        scan(corpus(tmp_path))
    touch(tmp_path, "a.wav")
    with pytest.raises(UserError, match=r"set corpora\.NAME\.video to false"):
        scan(corpus(tmp_path))
    touch(tmp_path, "song/03-02-05-02-01-01-12.wav")
    with pytest.raises(UserError, match="none of its 1 media files"):
        scan(corpus(tmp_path / "song", "ravdess", video=False))


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def reasons(files: list[ClipFile]) -> dict[str, str | None]:
    return {file.path: file.refusal.reason if file.refusal else None for file in files}


def read_as(monkeypatch: pytest.MonkeyPatch, *entries: Entry) -> None:
    """Let the reader `table` find these entries, whatever files there are."""
    reader = Reader(entries=lambda options, files: list(entries))
    monkeypatch.setitem(READERS, "table", reader)


def test_what_is_no_clip_is_refused_with_its_reason(tmp_path):
    touch(tmp_path, "1001_DFA_ANG_XX.mp4", "1076_MTI_SAD_XX.mp4", "holiday.mp4")
    (tmp_path / "1001_DFA_SAD_XX.mp4").write_bytes(POINTER)
    (tmp_path / "1001_DFA_HAP_XX.mp4").write_bytes(b"")
    (tmp_path / "1001_DFA_FEA_XX.mp4").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "1001_DFA_NEU_XX.mp4")
    files = scan(corpus(tmp_path, "crema_d"))
    assert reasons(files) == {
        "1001_DFA_ANG_XX.mp4": None,
        "1001_DFA_FEA_XX.mp4": "unreadable",
        "1001_DFA_HAP_XX.mp4": "empty_file",
        "1001_DFA_NEU_XX.mp4": "unreadable",
        "1001_DFA_SAD_XX.mp4": "lfs_pointer",
        "1076_MTI_SAD_XX.mp4": "known_broken",
        "holiday.mp4": "unknown_name",
    }
    assert all((file.clip is None) == (file.refusal is not None) for file in files)


def test_a_long_file_that_begins_like_a_pointer_is_none(tmp_path):
    (tmp_path / "a.mp4").write_bytes(POINTER.ljust(1024, b"x"))
    (tmp_path / "b.mp4").write_bytes(POINTER.ljust(1023, b"x"))
    assert reasons(scan(corpus(tmp_path))) == {"a.mp4": None, "b.mp4": "lfs_pointer"}


def test_the_first_good_file_keeps_a_clip_id(tmp_path):
    touch(tmp_path, "b/1001_DFA_ANG_XX.mp4", "c/1001_DFA_ANG_XX.flv", "a/1001_DFA_SAD_XX.mp4")
    (tmp_path / "a" / "1001_DFA_ANG_XX.mp4").write_bytes(b"")
    files = scan(corpus(tmp_path, "crema_d"))
    assert reasons(files) == {
        "a/1001_DFA_ANG_XX.mp4": "empty_file",
        "a/1001_DFA_SAD_XX.mp4": None,
        "b/1001_DFA_ANG_XX.mp4": None,
        "c/1001_DFA_ANG_XX.flv": "duplicate_clip_id",
    }
    assert files[-1].refusal.detail == "as b/1001_DFA_ANG_XX.mp4"


def test_two_rows_of_a_table_for_one_clip_are_duplicates_too(tmp_path, monkeypatch):
    touch(tmp_path, "long.mp4")
    read_as(monkeypatch, Entry("long.mp4", Clip("a", start_s=5.0)), Entry("long.mp4", Clip("a", start_s=1.0)))
    first, second = scan(corpus(tmp_path, "table"))
    assert (first.clip.start_s, first.refusal, second.refusal.reason) == (1.0, None, "duplicate_clip_id")


def test_a_name_that_is_not_utf_8_is_refused_and_can_be_shown(tmp_path):
    try:
        Path(f"{tmp_path}/b\udcff.mp4").write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes no such names")
    (file,) = scan(corpus(tmp_path))
    assert (file.path, file.clip_id, file.refusal.reason) == ("b\ufffd.mp4", "b\ufffd", "unknown_name")


def fingerprint_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *entries: Entry) -> str:
    read_as(monkeypatch, *entries)
    return fingerprints(scan(corpus(tmp_path, "table")), 1)[0]


def test_a_fingerprint_changes_with_all_that_later_stages_read_and_nothing_else(tmp_path, monkeypatch):
    touch(tmp_path, "a.mp4")

    def of(**clip: object) -> str:
        values = {"clip_id": "a", "speaker": "s", "start_s": 1.0, "end_s": 2.0, **clip}
        return fingerprint_of(tmp_path, monkeypatch, Entry("a.mp4", Clip(**values)))

    before = of()
    for change in ({"clip_id": "b"}, {"speaker": None}, {"speaker": "t"}, {"start_s": None}, {"end_s": 2.5}):
        assert of(**change) != before
    assert of(label="angry", sentence="hello", level="high") == before
    (tmp_path / "a.mp4").write_bytes(b"xy")
    os.utime(tmp_path / "a.mp4", ns=(1, 1))
    longer = of()
    os.utime(tmp_path / "a.mp4", ns=(1, 2))
    assert len({before, longer, of()}) == 3


def test_a_file_that_is_refused_as_before_changes_no_fingerprint(tmp_path, monkeypatch):
    touch(tmp_path, "a.mp4", "b.mp4")
    unknown, unlisted = Refusal("unknown_name"), Refusal("unlisted")
    good = Entry("a.mp4", Clip("a"))
    before = fingerprint_of(tmp_path, monkeypatch, good, Entry("b.mp4", None, unknown))
    os.utime(tmp_path / "b.mp4", ns=(1, 1))
    assert fingerprint_of(tmp_path, monkeypatch, good, Entry("b.mp4", None, unknown)) == before
    assert fingerprint_of(tmp_path, monkeypatch, good, Entry("b.mp4", None, unlisted)) != before
    assert fingerprint_of(tmp_path, monkeypatch, good, Entry("b.mp4", Clip("b"))) != before


def listed(tmp_path: Path, options: CorpusOptions) -> tuple[Path, list[str]]:
    files = scan(options)
    listing.write(files, options, tmp_path / "listing.parquet")
    return tmp_path / "listing.parquet", [found.timed for found in fingerprints(files, options.shards)]


def test_a_listing_gives_each_shard_as_a_scan_does(tmp_path):
    touch(tmp_path / "in", *(f"anna/{number}.mp4" for number in range(20)))
    (tmp_path / "in" / "anna" / "3.mp4").write_bytes(b"")
    touch(tmp_path / "in", "anna/3.mkv", "anna/5.mkv")
    options = corpus(tmp_path / "in", shards=3)
    path, prints = listed(tmp_path, options)
    for shard in range(3):
        assert list(listing.shard_from(path, options, shard, prints[shard])) == scan(options, shard)
        assert listing.fingerprint_from(path, options, shard) == prints[shard]
    assert list(listing.files_from(path, options)) == scan(options)


def test_a_packed_scan_has_the_files_of_the_scan(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "_BLOCK", 7)
    touch(tmp_path, *(f"anna/{number}.mp4" for number in range(20)), "anna/3.mkv")
    (tmp_path / "anna" / "4.mp4").write_bytes(b"")
    found = scan(corpus(tmp_path))
    assert {file.clip is None for file in found} == {True, False}
    packed = listing.Listed(found)
    assert list(packed) == found
    assert [packed[0], packed[-1], *packed[3:18:7]] == [found[0], found[-1], *found[3:18:7]]
    assert len(packed[::4]) == len(found[::4])


def test_a_listing_that_says_the_same_is_left_as_it_is(tmp_path):
    touch(tmp_path / "in", "a.mp4", "b.mp4")
    options = corpus(tmp_path / "in")
    path, _ = listed(tmp_path, options)
    first = path.stat()
    listed(tmp_path, options)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    os.utime(tmp_path / "in" / "a.mp4", ns=(1, 1))
    listed(tmp_path, options)
    assert path.stat().st_ino != first.st_ino
    assert not list(tmp_path.glob("*.tmp"))


def test_a_listing_is_not_believed_unless_all_fits(tmp_path, monkeypatch):
    touch(tmp_path / "in", *(f"{number}.mp4" for number in range(8)))
    options = corpus(tmp_path / "in", shards=2)
    path, prints = listed(tmp_path, options)
    assert listing.shard_from(path, options, 0, prints[0]) is not None
    assert listing.shard_from(path, options, 0, prints[1]) is None
    for change in ({"shards": 4}, {"video": False}, {"speakers": ["s"]}, {"parts": ["song"]}, {"table": "t.csv"}):
        assert listing.shard_from(path, options.model_copy(update=change), 0, prints[0]) is None
        assert listing.files_from(path, options.model_copy(update=change)) is None
    assert listing.shard_from(tmp_path / "none.parquet", options, 0, prints[0]) is None
    path.write_bytes(path.read_bytes()[:-20])
    assert listing.shard_from(path, options, 0, prints[0]) is None
    path.write_bytes(b"no table")
    assert listing.shard_from(path, options, 0, prints[0]) is None
    listed(tmp_path, options)
    assert listing.shard_from(path, options, 0, prints[0]) is not None
    monkeypatch.setattr("avpretext.flow.provenance.__version__", "0.0.0")
    assert listing.shard_from(path, options, 0, prints[0]) is None


def test_the_module_is_light_to_import():
    heavy = "{'torch', 'mediapipe', 'opensmile', 'sklearn', 'av', 'soundfile', 'rich'}"
    code = f"import sys, avpretext.corpora; print({heavy} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
