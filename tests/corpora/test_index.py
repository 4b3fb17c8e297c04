"""The stage `index`: the clips of a shard and what is refused, whether scanned or read from a listing."""

import os
from pathlib import Path

import pytest

from avpretext import corpora, shards
from avpretext.config import CorpusOptions
from avpretext.corpora import index, listing
from avpretext.flow.artefacts import schema_of
from avpretext.flow.paths import shard_of


@pytest.fixture
def crema_d(tmp_path: Path) -> CorpusOptions:
    folder = tmp_path / "corpus" / "VideoFlash"
    folder.mkdir(parents=True)
    for name in ("1001_DFA_ANG_XX", "1001_DFA_SAD_HI", "1002_ITS_NEU_XX", "1076_MTI_SAD_XX", "holiday"):
        (folder / f"{name}.flv").write_bytes(b"x" * 2510)
    return CorpusOptions(path=str(tmp_path / "corpus"), reader="crema_d", use=["pretrain"], shards=2)


def indexed(options: CorpusOptions, shard: int, folder: Path, **listed: object) -> tuple[Path, Path]:
    clips, rejects = folder / f"{shard}.parquet", folder / f"{shard}.rejects.parquet"
    index.run(options, shard, clips, rejects, **listed)
    return clips, rejects


def test_clips_and_refused_files_of_all_shards_are_those_of_the_corpus(crema_d, tmp_path):
    files = [indexed(crema_d, shard, tmp_path / "out") for shard in range(2)]
    clips = shards.read([clips for clips, _ in files])
    assert clips.columns == schema_of("index").names
    assert clips.sort("clip_id")["clip_id"].to_list() == ["1001_DFA_ANG_XX", "1001_DFA_SAD_HI", "1002_ITS_NEU_XX"]
    row = shards.read(files[shard_of("1001_DFA_SAD_HI", 2)][0]).filter(clip_id="1001_DFA_SAD_HI").row(0, named=True)
    assert row == {
        "clip_id": "1001_DFA_SAD_HI",
        "path": "VideoFlash/1001_DFA_SAD_HI.flv",
        "speaker": "1001",
        "label": "SAD",
        "sentence": "DFA",
        "level": "HI",
        "recording": None,
        "start_s": None,
        "end_s": None,
        "size_bytes": 2510,
    }
    rejects = shards.read([rejects for _, rejects in files])
    assert dict(rejects.select("path", "reason").iter_rows()) == {
        "VideoFlash/1076_MTI_SAD_XX.flv": "known_broken",
        "VideoFlash/holiday.flv": "unknown_name",
    }
    assert set(rejects["stage"]) == {"index"}


def test_a_name_that_is_not_utf_8_is_a_row_of_the_refused(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"x")
    try:
        Path(f"{folder}/b\udcff.mp4").write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes no such names")
    clips, rejects = indexed(CorpusOptions(path=str(folder), use=["pretrain"]), 0, tmp_path)
    assert shards.read(rejects).select("path", "reason").rows() == [("b\ufffd.mp4", "unknown_name")]
    assert shards.read(clips)["clip_id"].to_list() == ["a"]


def test_the_bytes_are_the_same_from_a_scan_and_from_a_listing(crema_d, tmp_path, monkeypatch):
    files, path = corpora.scan(crema_d), tmp_path / "listing.parquet"
    listing.write(files, crema_d, path)
    scanned = [indexed(crema_d, shard, tmp_path / "scanned") for shard in range(2)]
    prints = [found.timed for found in corpora.fingerprints(files, 2)]
    monkeypatch.setattr(corpora, "scan", None)  # a scan would fail
    for shard in range(2):
        again = indexed(crema_d, shard, tmp_path / "listed", listing=path, fingerprint=prints[shard])
        assert [file.read_bytes() for file in again] == [file.read_bytes() for file in scanned[shard]]


def test_a_listing_of_an_earlier_time_is_not_believed(crema_d, tmp_path):
    path = tmp_path / "listing.parquet"
    listing.write(corpora.scan(crema_d), crema_d, path)
    clip = Path(crema_d.path) / "VideoFlash" / "1001_DFA_ANG_XX.flv"
    clip.write_bytes(b"x" * 3000)
    os.utime(clip, ns=(1, 1))
    shard = shard_of("1001_DFA_ANG_XX", 2)
    now = corpora.fingerprints(corpora.scan(crema_d), 2)[shard].timed
    for fingerprint in (now, None):
        clips, _ = indexed(crema_d, shard, tmp_path / "out", listing=path, fingerprint=fingerprint)
        assert shards.read(clips).filter(clip_id="1001_DFA_ANG_XX")["size_bytes"].to_list() == [3000]
