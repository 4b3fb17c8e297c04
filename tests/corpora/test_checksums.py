"""A copy of a corpus is compared with the published sizes and SHA-256 of its files, and equal files are found."""

import hashlib
from collections import defaultdict
from pathlib import Path

import pytest
from tests.corpora.made import corpus

from avpretext import shards
from avpretext.corpora import index
from avpretext.corpora.checks import check as checking
from avpretext.corpora.checks import checksums
from avpretext.corpora.checks.check import check
from avpretext.corpora.checks.checksums import Checked, equal_files, of_equal_files
from avpretext.corpora.findings import Finding
from avpretext.corpora.readers import crema_d
from avpretext.evaluation.summaries import altered

NAMES = ("1001_DFA_ANG_XX", "1001_DFA_SAD_XX", "1002_DFA_ANG_XX")


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the three clips be published with their names as content."""
    known = {f"{name}.wav": (len(name), int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)) for name in NAMES}
    monkeypatch.setattr(checksums, "published", lambda name: known)


def write(folder: Path, contents: dict[str, str]) -> None:
    for name, text in contents.items():
        (folder / "AudioWAV").mkdir(parents=True, exist_ok=True)
        (folder / f"AudioWAV/{name}.wav").write_text(text)


def reasons(folder: Path, reader: str = "crema_d") -> dict[str, Finding]:
    return {one.reason: one for one in check(corpus(folder, reader, video=False), "sample").findings}


def test_the_shipped_list_is_that_of_the_22326_published_files() -> None:
    known = checksums.published("crema_d_files.parquet")
    assert len(known) == 22_326 == 3 * 7442
    # From the pointers of the repository.
    assert known["1001_DFA_ANG_XX.wav"] == (72862, 0xC6F94B25)
    assert all(crema_d.read(name) is not None for name in known)


def test_the_shipped_list_has_the_known_groups_of_equal_files() -> None:
    groups: dict[tuple[str, int], set[str]] = defaultdict(set)
    for name, (_, digest) in checksums.published("crema_d_files.parquet").items():
        groups[name.rpartition(".")[2], digest].add(name.rpartition(".")[0])
    equal = {
        kind: [names for (of, _), names in groups.items() if of == kind and len(names) > 1]
        for kind in ("wav", "mp3", "flv")
    }
    assert sorted(map(sorted, equal["wav"])) == [
        ["1006_TIE_HAP_XX", "1006_TIE_NEU_XX"], ["1013_WSI_DIS_XX", "1013_WSI_SAD_XX"],
        ["1017_IWW_ANG_XX", "1017_IWW_FEA_XX"],
    ]  # fmt: skip
    assert (len(equal["mp3"]), equal["flv"]) == (11, [])
    assert sum(len({name[:4] for name in names}) > 1 for names in equal["mp3"]) == 8


def test_real_files_are_as_published_or_not(shared_data: Path) -> None:
    root = shared_data / "crema-d"
    if not (root / "VideoFlash").is_dir():
        pytest.skip("CREMA-D's videos are absent")
    known = checksums.published("crema_d_files.parquet")
    paths = sorted(file.relative_to(root).as_posix() for file in root.glob("VideoFlash/*.flv"))
    assert checksums.check(root, paths, known) == Checked(frozenset(paths), {})


@pytest.mark.usefixtures("published")
def test_a_whole_copy_has_no_finding(tmp_path: Path) -> None:
    write(tmp_path, {name: name for name in NAMES})
    found = check(corpus(tmp_path, "crema_d", video=False), "sample")
    assert "altered" not in {one.reason for one in found.findings}
    assert "3 of 3 files have the published SHA-256" in [entry.words for entry in found.comparisons]


@pytest.mark.usefixtures("published")
def test_a_damaged_file_is_wrong(tmp_path: Path) -> None:
    write(tmp_path, {NAMES[0]: NAMES[0], NAMES[1]: NAMES[1][::-1], NAMES[2]: NAMES[2][:-1]})
    altered = reasons(tmp_path)["altered"]
    assert (altered.count, altered.wrong) == (2, True)
    assert altered.examples == (
        f"AudioWAV/{NAMES[1]}.wav (other bytes)", f"AudioWAV/{NAMES[2]}.wav (14 bytes, published 15)",
    )  # fmt: skip


@pytest.mark.usefixtures("published")
def test_a_copy_that_is_re_encoded_as_a_whole_is_told_and_not_wrong(tmp_path: Path) -> None:
    write(tmp_path, {name: f"{name} again" for name in NAMES})
    altered = reasons(tmp_path)["altered"]
    assert (altered.count, altered.wrong) == (3, False)
    assert "re-encoded" in altered.meaning


@pytest.mark.usefixtures("published")
def test_the_index_says_how_many_files_are_not_as_published(tmp_path: Path) -> None:
    write(tmp_path / "corpus", {NAMES[0]: NAMES[0], NAMES[1]: "other", "1101_DFA_ANG_XX": "of the demo"})
    options = corpus(tmp_path / "corpus", "crema_d", video=False)
    index.run(options, 0, tmp_path / "clips.parquet", tmp_path / "rejects.parquet")
    made_by = shards.read_provenance(tmp_path / "clips.parquet")
    assert made_by["checksums"] == {"known": 2, "altered": 1}
    assert altered([str(tmp_path / "clips.parquet")] * 2) == 2
    (tmp_path / f"corpus/AudioWAV/{NAMES[0]}.wav").unlink()
    (tmp_path / f"corpus/AudioWAV/{NAMES[1]}.wav").unlink()
    index.run(options, 0, tmp_path / "clips.parquet", tmp_path / "rejects.parquet")
    assert "checksums" not in shards.read_provenance(tmp_path / "clips.parquet")
    assert altered([str(tmp_path / "clips.parquet")]) is None


def test_equal_files_are_found_among_those_of_equal_size(tmp_path: Path) -> None:
    for name, text in {"a": "one", "b": "two", "c": "one", "d": "three", "e": "two", "f": "one"}.items():
        (tmp_path / name).write_text(text)
    sizes = {file.name: file.stat().st_size for file in tmp_path.iterdir()}
    assert equal_files(tmp_path, sizes) == [["a", "c", "f"], ["b", "e"]]
    assert equal_files(tmp_path, {**sizes, "gone": 3}) == [["a", "c", "f"], ["b", "e"]]


def test_equal_files_with_different_labels_are_wrong_unless_so_published() -> None:
    groups = [["a", "b"], ["c", "d"], ["e", "f"]]
    labels = {"a": "x", "b": "y", "c": "x", "d": "x", "e": None, "f": "y"}
    contradictions, equal = of_equal_files(groups, labels, frozenset())
    assert (contradictions.reason, contradictions.count, contradictions.wrong) == ("contradictions", 1, True)
    assert contradictions.examples == ("a (x) = b (y)",)
    assert (equal.reason, equal.count, equal.wrong) == ("equal_files", 2, False)
    contradictions, _ = of_equal_files(groups, labels, frozenset("ab"))
    assert not contradictions.wrong


def test_files_of_equal_size_are_told_apart_by_the_middle_and_by_the_whole(tmp_path: Path) -> None:
    long = "x" * 20_000
    for name, text in {"a": long, "b": long, "c": f"y{long[1:]}", "d": f"{long[:10_000]}y{long[10_001:]}"}.items():
        (tmp_path / name).write_text(text)
    assert equal_files(tmp_path, dict.fromkeys("abcd", 20_000)) == [["a", "b"]]


def test_the_check_of_any_corpus_finds_equal_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clips.csv").write_text("path,speaker,emotion\n1.wav,a,sad\n2.wav,a,glad\n3.wav,b,sad\n4.wav,c,glad\n")
    for number, text in enumerate(("same", "same", "else", "more"), start=1):
        (tmp_path / f"{number}.wav").write_text(text)
    options = corpus(tmp_path, "folder", video=False, table="clips.csv")
    (found,) = [one for one in check(options, "sample").findings if one.reason == "contradictions"]
    assert (found.examples, found.wrong) == (("1.wav (sad) = 2.wav (glad)",), True)
    assert not [one for one in check(options, "none").findings if one.reason == "contradictions"]
    monkeypatch.setattr(checking, "EQUAL_AMONG", 3)
    assert not [one for one in check(options, "sample").findings if one.reason == "contradictions"]
    assert [one for one in check(options, "all").findings if one.reason == "contradictions"]
