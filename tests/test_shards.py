"""Shards: atomic, streamed, with provenance."""

import errno
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avpretext import shards
from avpretext.errors import UserError
from avpretext.flow.provenance import provenance

SCHEMA = pa.schema([("clip_id", pa.string()), ("value", pa.int32())])


def write(path: Path, rows: list[tuple[str, int]], row_group: int = 2) -> None:
    with shards.ShardWriter(path, SCHEMA, provenance("speech", {"a": 1}), row_group=row_group) as writer:
        writer.write([{"clip_id": clip, "value": value} for clip, value in rows])


def write_and_fail(path: Path) -> None:
    with shards.ShardWriter(path, SCHEMA, provenance("speech")) as writer:
        writer.write([{"clip_id": "new", "value": 2}])
        raise RuntimeError("killed")


def test_a_shard_is_read_back_with_its_provenance(tmp_path: Path) -> None:
    write(tmp_path / "0000.parquet", [("a", 1), ("b", 2)])
    assert shards.read(tmp_path / "0000.parquet").rows() == [("a", 1), ("b", 2)]
    made_by = shards.read_provenance(tmp_path / "0000.parquet")
    assert made_by["stage"] == "speech"
    assert made_by["options"] == {"a": 1}
    assert made_by["stage_version"] >= 1


def test_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, [("a", 1), ("b", 2)])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_writer_that_fails_leaves_the_old_shard_and_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "0000.parquet"
    write(path, [("old", 1)])
    with pytest.raises(RuntimeError, match="killed"):
        write_and_fail(path)
    assert shards.read(path)["clip_id"].to_list() == ["old"]
    assert [file.name for file in tmp_path.iterdir()] == ["0000.parquet"]


def test_clips_are_yielded_whole_although_they_span_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "0000.parquet"
    write(path, [("a", 1), ("b", 2), ("b", 3), ("b", 4), ("b", 5), ("c", 6)])
    clips = {clip: table["value"].to_pylist() for clip, table in shards.iterate_clips(path, ["value"])}
    assert clips == {"a": [1], "b": [2, 3, 4, 5], "c": [6]}


def test_an_empty_shard_has_its_columns_and_no_clips(tmp_path: Path) -> None:
    path = tmp_path / "0000.parquet"
    write(path, [])
    assert shards.columns_of(path) == ["clip_id", "value"]
    assert shards.count_rows(path) == 0
    assert list(shards.iterate_clips(path)) == []


def test_a_shard_that_is_missing_or_damaged_is_said_so_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"0000.parquet: no such file; .* run the workflow"):
        shards.read(tmp_path / "0000.parquet")
    (tmp_path / "0001.parquet").write_bytes(b"no shard")
    with pytest.raises(UserError, match="not a Parquet file"):
        list(shards.iterate_clips(tmp_path / "0001.parquet"))


def test_a_shard_whose_end_cannot_be_written_does_not_appear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "0000.parquet"
    write(path, [("old", 1)])

    def full(writer: pq.ParquetWriter) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "close", full)
    with pytest.raises(UserError, match=r"0000\.parquet: the disk is full; free some space"):
        write(path, [("new", 2)])
    assert shards.read(path)["clip_id"].to_list() == ["old"]
    assert [file.name for file in tmp_path.iterdir()] == ["0000.parquet"]


def test_a_file_over_the_limit_of_its_process_is_one_line_and_no_file(tmp_path: Path) -> None:
    """The kernel's own refusal, as Parquet's writer passes it on."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "import pyarrow as pa; from avpretext import shards; from avpretext.errors import UserError\n"
        "import numpy as np\n"
        "rows = {'value': np.random.default_rng(1).normal(size=100_000)}\n"
        "try: shards.write_table(sys.argv[1], rows, pa.schema([('value', pa.float64())]), {})\n"
        "except UserError as error: sys.exit(f'said: {error}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "0.parquet")], capture_output=True, text=True, check=False
    )
    assert done.stderr.startswith(f"said: {tmp_path / '0.parquet'}: the file is larger than files may be here")
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_said_so_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match=r"cannot be written to .*; make the folder writable, or set `results`"):
        shards.check_writable(tmp_path / "file" / "results")


def test_rows_with_a_number_are_read_and_row_groups_without_it_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema, path = pa.schema([("name", pa.string()), ("shard", pa.int32())]), tmp_path / "a [1]*.parquet"
    with shards.ShardWriter(path, schema, {}, row_group=2) as writer:
        writer.write({"name": list("abcdef"), "shard": [0, 0, 1, 2, 2, 3]})
    read: list[list[int]] = []
    whole = pq.ParquetFile.read_row_groups

    def counted(file: pq.ParquetFile, groups: list[int]) -> pa.Table:
        read.append(groups)
        return whole(file, groups)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counted)
    assert [shards.read_where(path, "shard", k)["name"].to_list() for k in range(5)] == [
        ["a", "b"], ["c"], ["d", "e"], ["f"], [],
    ]  # fmt: skip
    assert read == [[0], [1], [1, 2], [2], []]
