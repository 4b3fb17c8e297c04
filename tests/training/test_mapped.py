"""Arrays on disk: they are nobody else's, a full disk is told, and what is read from them is what was put there."""

import errno
import os
import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from avpretext import shards
from avpretext.errors import UserError
from avpretext.models.chunking import ChunkGrid
from avpretext.training import mapped, pretrain
from avpretext.training.batches import Rows, normalise
from avpretext.training.data import load_chunks

from .conftest import TinyCorpus, config, processes

GRID = ChunkGrid(20, 3)


def test_arrays_come_back_as_they_were_put(tmp_path: Path) -> None:
    parts = [np.arange(12, dtype="f4").reshape(3, 4), np.ones((2, 4), "f4")]
    with mapped.lying_in(tmp_path):
        assert not mapped.empty((3, 2), "f8").any()
        assert np.array_equal(mapped.joined(parts), np.concatenate(parts))
        assert np.array_equal(mapped.joined([parts[0].T, parts[1].T], axis=1), np.concatenate(parts).T)
        assert np.array_equal(mapped.filled(5, iter(parts)), np.concatenate(parts))
        sounds = [np.arange(n, dtype=np.int16) for n in (3, 1, 5)]
        assert [found.tolist() for found in mapped.end_to_end(iter(sounds))] == [sound.tolist() for sound in sounds]
        assert mapped.end_to_end(iter([])) == []
        assert mapped.empty((0, 7), "f4").shape == (0, 7)


def test_no_file_can_be_seen_and_none_is_left(tmp_path: Path) -> None:
    with mapped.lying_in(tmp_path):
        held = mapped.empty((1000,), "f8")
        held[:] = 1
        assert not list(tmp_path.iterdir())
    assert held.sum() == 1000


def test_rows_are_read_where_they_are_taken() -> None:
    stored = torch.arange(40.0).reshape(10, 4)
    rows = Rows.of_all(stored)[torch.tensor([7, 2, 9])]
    mapped.will_need(stored, rows.rows)
    assert len(rows) == 3
    assert torch.equal(rows.index_select(0, torch.tensor([1, 2])), stored[[2, 9]])


@pytest.mark.parametrize("by", ["train", "speaker"])
def test_a_batch_is_the_same_whatever_else_is_taken(tiny: TinyCorpus, by: str) -> None:
    speakers = {row["clip_id"]: row["speaker"] for row in tiny.rows}
    chunks = load_chunks({"speech": tiny.speech}, speakers, ["*"], GRID)
    steps = normalise(chunks, np.arange(20), by, np.arange(30))
    whole = steps.index_select(0, torch.arange(30))
    some = torch.tensor([28, 3, 3, 11])
    assert torch.equal(steps.index_select(0, some), whole[some])
    assert torch.equal(steps[some].index_select(0, torch.tensor([1, 0])), whole[[3, 28]])


def test_a_full_disk_is_one_error_with_the_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with (
        mapped.lying_in(tmp_path),
        pytest.raises(UserError, match=r"8 MB of arrays in .*the disk is full; free") as told,
    ):
        mapped.empty((1000, 1000), "f8")
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


def train_with_small_files(tiny: TinyCorpus, output: Path) -> None:
    """Pre-train where no file may have more than 4 kB, as on a disk that fills while the layout is written."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    labels = {"tiny": {"energy": tiny.labels["energy"]}}
    try:
        pretrain.run(["energy"], {"tiny": {"speech": tiny.speech}}, {"tiny": tiny.index}, labels, config(), output, 1)
    except UserError as error:
        os._exit(7 if "the file is larger than files may be" in str(error) else 8)


def test_a_disk_that_fills_leaves_nothing_and_the_same_command_goes_on(tiny: TinyCorpus, tmp_path: Path) -> None:
    process = processes().Process(target=train_with_small_files, args=(tiny, tmp_path))
    process.start()
    process.join(60)
    assert process.exitcode == 7
    assert not list(tmp_path.iterdir())
    labels = {"tiny": {"energy": tiny.labels["energy"]}}
    pretrain.run(["energy"], {"tiny": {"speech": tiny.speech}}, {"tiny": tiny.index}, labels, config(), tmp_path, 1)
    assert (tmp_path / "0" / "checkpoint.safetensors").exists()


def test_shards_that_change_or_vanish_while_they_are_learnt_change_nothing(tmp_path: Path) -> None:
    corpus = TinyCorpus(tmp_path).write()
    speakers = {row["clip_id"]: row["speaker"] for row in corpus.rows}
    chunks = load_chunks({"speech": corpus.speech}, speakers, ["*"], GRID)
    before = chunks.steps.clone()
    os.truncate(corpus.speech[0], 100)
    corpus.speech[1].unlink()
    assert torch.equal(chunks.steps, before)


def test_a_short_shard_is_one_error(tmp_path: Path) -> None:
    corpus = TinyCorpus(tmp_path).write()
    os.truncate(corpus.speech[1], corpus.speech[1].stat().st_size // 2)
    with pytest.raises(UserError, match=r"speech1\.parquet: not a Parquet file .*run its stage again"):
        load_chunks({"speech": corpus.speech}, {"s0_0": "s0"}, ["*"], GRID)


def test_a_shard_whose_middle_is_damaged_is_one_error(tmp_path: Path) -> None:
    corpus = TinyCorpus(tmp_path).write()
    content = bytearray(corpus.speech[1].read_bytes())
    content[200 : len(content) // 2] = np.random.default_rng(0).bytes(len(content) // 2 - 200)
    corpus.speech[1].write_bytes(content)
    speakers = {row["clip_id"]: row["speaker"] for row in corpus.rows}
    with pytest.raises(UserError, match=r"speech1\.parquet: .*run its stage again") as told:
        load_chunks({"speech": corpus.speech}, speakers, ["*"], GRID)
    assert "\n" not in str(told.value)


def test_a_shard_of_another_version_in_the_middle_is_one_error(tmp_path: Path) -> None:
    corpus = TinyCorpus(tmp_path).write()
    table = shards.read(corpus.speech[1])
    schema = shards.read_schema(corpus.speech[1]).remove_metadata()
    shards.write_table(corpus.speech[1], table, schema, {"stage": "speech", "stage_version": 99})
    with pytest.raises(UserError, match=r"speech1\.parquet: other stage_version than .*speech0\.parquet; redo"):
        load_chunks({"speech": corpus.speech}, {"s0_0": "s0"}, ["*"], GRID)
