"""A user's Parquet file is looked at before it is opened out: what a few kilobytes hold may fill any memory."""

import contextlib
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avpretext import foreign
from avpretext.errors import UserError


def many_rows(file: Path) -> None:
    table = pa.table({"path": pa.DictionaryArray.from_arrays(np.zeros(1_000_000, np.int32), ["a.wav"])})
    with pq.ParquetWriter(file, table.schema) as writer:
        for _ in range(60):
            writer.write_table(table)


def long_text(file: Path) -> None:
    pq.write_table(
        pa.table({"path": pa.DictionaryArray.from_arrays(np.zeros(200_000, np.int32), ["x" * 100_000])}), file
    )


def long_lists(file: Path) -> None:
    values = pa.array(np.zeros(60_000_000, np.int8))
    pq.write_table(pa.table({"a": pa.ListArray.from_arrays([0, len(values)], values)}), file)


def wide(file: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([bytes(2_000_000)] * 600, pa.binary(2_000_000))}), file)


def twice(file: Path) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["path", "path"]), file)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (many_rows, "has 60000000 rows and 60000000 values"),
        (long_text, "opens out to more than 1024 MB"),
        (long_lists, "has 1 rows and 60000000 values"),
        (wide, "opens out to more than 1024 MB"),
        (twice, "two columns are called 'path'"),
    ],
)
def test_a_bomb_is_refused_before_it_is_opened_out(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 4e6
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=f"{message}.*; mend it") as error:
        foreign.read(tmp_path / "t.parquet", "mend it")
    assert "\n" not in str(error.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000, "kilobytes"


def test_a_table_of_clips_is_read(tmp_path: Path) -> None:
    rows = pl.DataFrame({"path": [f"{number}.wav" for number in range(100_000)], "label": ["angry", None] * 50_000})
    rows.write_parquet(tmp_path / "t.parquet")
    assert foreign.read(tmp_path / "t.parquet", "").equals(rows)
    pl.DataFrame({"path": []}, {"path": pl.String}).write_parquet(tmp_path / "t.parquet")
    assert foreign.read(tmp_path / "t.parquet", "").is_empty()


@pytest.mark.parametrize("cut", [4, 100, 300])
def test_what_is_no_parquet_file_is_one_line(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "t.parquet"
    pl.DataFrame({"path": ["a"] * 1000}).write_parquet(file)
    whole = file.read_bytes()
    for content in (whole[:-cut], whole[:4] + bytes(cut) + whole[4 + cut :], b"", b"PAR1PAR1"):
        file.write_bytes(content)
        with contextlib.suppress(UserError):
            foreign.read(file, "mend it")
