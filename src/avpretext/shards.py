"""The only code that reads or writes Parquet: schema, order, atomic write, provenance."""

import itertools
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from avpretext import locks, signing
from avpretext.errors import AGAIN, NO_SPACE, UserError, expect_file, of_disk

PathLike = str | os.PathLike[str]
_METADATA_KEY = b"avpretext"
_MACHINE_KEY = b"avpretext.machine"

TEMPORARY = (".avpretext-", ".tmp")
"""How the names of half-written files begin and end; between are the machine and the process that write them."""

ROW_GROUP = 65_536
"""Rows that a reader must hold at a time, at most, where a stage does not set it."""


def _opened(path: PathLike) -> pq.ParquetFile:
    """Open a Parquet file for reading; it is an error if it is missing, or no Parquet file."""
    try:
        return pq.ParquetFile(path)
    except OSError:
        unmade = "the stage that makes it has not run: run the workflow, or that stage"
        expect_file(Path(path), "name one Parquet file" if os.path.isdir(path) else unmade, (".parquet",))
        raise
    except pa.ArrowInvalid as error:
        raise UserError(
            f"{path}: not a Parquet file ({str(error).splitlines()[0]}); remove it and run its stage again"
        ) from None


@contextmanager
def _intact(path: PathLike) -> Iterator[None]:
    """Turn what is said of rows that cannot be read into a user's error."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        told = str(error).splitlines()[0]
        raise UserError(f"{path}: damaged, or cut short ({told}); remove it and run its stage again") from None


def read_provenance(path: PathLike) -> dict[str, Any]:
    """Return the provenance in the metadata of a Parquet file, empty if it has none."""
    return _noted(path, _METADATA_KEY)


def read_machine(path: PathLike) -> dict[str, str]:
    """Return the machine and the software that a Parquet file was made with, see `machine.facts`."""
    return _noted(path, _MACHINE_KEY)


def _noted(path: PathLike, key: bytes) -> dict[str, Any]:
    noted: dict[str, Any] = json.loads((read_schema(path).metadata or {}).get(key, b"{}"))
    return noted


@contextmanager
def atomic_path(path: PathLike) -> Iterator[Path]:
    """Give a temporary file in the folder of `path`; on success it is synced and renamed to `path`, else removed.

    It is locked until then, so that nobody takes it for one that a killed process has left. Where the file cannot carry
    its recipe itself, the recipe is put beside it. A folder that cannot be written to, or a full disk, is an error.
    """
    target = Path(path)
    if target.is_dir():
        raise UserError(f"{target}: is a folder; name a file in it")
    temporary = _temporary_beside(target)
    try:
        with temporary.open("r+b") as held:
            locks.hold(held, wait=True)
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            signing.signer.put_beside(target, temporary)
            temporary.replace(target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, Exception) and (said := of_disk(error)) and said.endswith(AGAIN):
            raise UserError(f"{path}: {said.removeprefix(f'{temporary}: ')}") from None
        raise


@contextmanager
def explained(folder: PathLike) -> Iterator[None]:
    """Turn an OSError of writing to a folder into a user's error with the fix."""
    try:
        yield
    except OSError as error:
        fix = NO_SPACE.get(error.errno or 0, "make the folder writable, or set `results` to another one")
        raise UserError(f"{folder}: cannot be written to ({error.strerror}); {fix}, {AGAIN}") from None


def _temporary_beside(target: Path) -> Path:
    with explained(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        prefix = f"{TEMPORARY[0]}{locks.host()}-{os.getpid()}-"
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=prefix, suffix=TEMPORARY[1])
    os.close(handle)
    return Path(name)


def check_writable(folder: PathLike) -> None:
    """Raise a user's error with the fix where no file can be made in a folder."""
    _temporary_beside(Path(folder) / "any").unlink()


class ShardWriter:
    """Write a Parquet shard piece by piece, so that memory stays flat; the file appears whole or not at all.

    Parameters
    ----------
    schema
        Its columns (see `flow.artefacts.schema_of`).
    made_by
        Its provenance, kept in the schema metadata under the key `avpretext`.
    compression
        `zstd`, or `none` for columns of bytes that are compressed already.
    row_group
        Rows that a reader must hold at a time, at most.
    beside
        Further schema metadata, for other tools.
    """

    def __init__(
        self,
        path: PathLike,
        schema: pa.Schema,
        made_by: Mapping[str, Any],
        *,
        compression: str = "zstd",
        row_group: int = ROW_GROUP,
        beside: Mapping[str, str] | None = None,
    ) -> None:
        signed = {f"avpretext.{name}": text for name, text in signing.signer.metadata(path).items()}
        self.schema = schema.with_metadata(
            {
                **(beside or {}),
                _METADATA_KEY.decode(): json.dumps(made_by, sort_keys=True, allow_nan=False),
                **signed,
            }
        )
        self.rows = 0
        self._row_group = row_group
        self._path = path
        self._compression = compression

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self._path))
            self._writer = pq.ParquetWriter(
                temporary, self.schema, compression=self._compression, **_encodings(self.schema)
            )
            # The end of the file is written on closing: if that fails, the file must not appear either.
            stack.callback(self._writer.close)
            self._stack = stack.pop_all()
        return self

    def write(self, rows: pa.Table | Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> None:
        """Append rows: an Arrow table, a list of dictionaries, or a dictionary of columns."""
        table = _as_table(rows, self.schema)
        self.rows += table.num_rows
        if table.num_rows:
            self._writer.write_table(table, row_group_size=self._row_group)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def _encodings(schema: pa.Schema) -> dict[str, Any]:
    """Return how columns are encoded: long vectors of numbers split by byte, 40 % smaller and 3 times as fast.

    Those of float16 are not: DuckDB cannot read them then.

    Of sound and pictures no smallest and largest is noted: the writer would hold each value six times over for it.
    """
    media = [field.name for field in schema if pa.types.is_struct(field.type)]
    described = [f"{field.name}.path" if field.name in media else field.name for field in schema]
    vectors = [field.name for field in schema if pa.types.is_fixed_size_list(field.type)]
    split = [name for name in vectors if schema.field(name).type.value_type != pa.float16()]
    return {
        "use_dictionary": [field.name for field in schema if field.name not in vectors],
        "use_byte_stream_split": [f"{name}.list.element" for name in split],
        "write_statistics": described if media else True,
    }


def _as_table(rows: pa.Table | Sequence[Mapping[str, Any]] | Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    if isinstance(rows, pa.Table):
        return rows.select(schema.names).cast(schema)
    if isinstance(rows, Mapping):
        return pa.table({name: rows[name] for name in schema.names}, schema=schema)
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def write_table(
    path: PathLike,
    rows: pa.Table | pl.DataFrame | Sequence[Mapping[str, Any]] | Mapping[str, Any],
    schema: pa.Schema,
    made_by: Mapping[str, Any],
) -> None:
    """Write a whole artefact at once, atomically; see `ShardWriter`."""
    with ShardWriter(path, schema, made_by) as writer:
        writer.write(rows.to_arrow() if isinstance(rows, pl.DataFrame) else rows)


def write_rows(
    path: PathLike, rows: Iterable[Mapping[str, Any]], schema: pa.Schema, made_by: Mapping[str, Any]
) -> None:
    """Write an artefact row by row, holding no more than a row group of them; the same bytes as by `write_table`."""
    remaining = iter(rows)
    with ShardWriter(path, schema, made_by) as writer:
        while group := list(itertools.islice(remaining, ROW_GROUP)):
            writer.write(group)


def read(paths: PathLike | Sequence[PathLike], columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read one or more shards of a stage as one data frame, in the order of the paths; all columns by default."""
    files = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    frames = []
    for path in files:
        with _opened(path) as file, _intact(path):
            frames.append(pl.DataFrame(file.read(columns=list(columns) if columns else None)))
    return pl.concat(frames)


def read_where(path: PathLike, column: str, value: int) -> pl.DataFrame:
    """Read the rows that have a number in a column; row groups whose range leaves it out are not read."""
    with _opened(path) as file, _intact(path):
        place = file.schema_arrow.names.index(column)
        ranges = [file.metadata.row_group(group).column(place).statistics for group in range(file.num_row_groups)]
        groups = [group for group, found in enumerate(ranges) if found is None or found.min <= value <= found.max]
        rows = pl.DataFrame(file.read_row_groups(groups))
    return rows.filter(pl.col(column) == value)


def columns_of(path: PathLike) -> list[str]:
    """Return the names of the columns of a shard without reading its rows."""
    return list(read_schema(path).names)


def read_schema(path: PathLike) -> pa.Schema:
    """Return names and types of the columns of a shard without reading its rows."""
    with _opened(path) as file:
        return file.schema_arrow


def count_rows(path: PathLike) -> int:
    """Return the number of rows of a shard without reading them."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


def iterate_parts(path: PathLike, columns: Sequence[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
    """Yield (clip_id, some of its rows), in order, holding no more than a row group in memory.

    A clip that spans row groups comes in several parts, one after the other; for clips too long to hold whole.
    """
    wanted = None if columns is None else ["clip_id", *(name for name in columns if name != "clip_id")]
    for group in iterate_groups(path, wanted):
        yield from _runs(group)


def iterate_groups(path: PathLike, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield a shard one row group at a time, whatever clips are in it: for what is counted over all rows."""
    with _opened(path) as file:
        for group in range(file.num_row_groups):
            with _intact(path):
                rows = file.read_row_group(group, columns=None if columns is None else list(columns))
            yield rows


def iterate_clips(path: PathLike, columns: Sequence[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
    """Yield (clip_id, its rows) one clip at a time, holding no more than a clip and a row group in memory.

    The rows of a clip must stand together, as every stage writes them.
    """
    for clip_id, parts in itertools.groupby(iterate_parts(path, columns), key=lambda part: part[0]):
        yield clip_id, pa.concat_tables([rows for _, rows in parts])


def _runs(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield the stretches of equal clip_id within a table."""
    if not table.num_rows:
        return
    runs = pl.Series(table["clip_id"].combine_chunks()).rle().struct.unnest()
    start = 0
    for length, value in zip(runs["len"], runs["value"], strict=True):
        yield value, table.slice(start, length)
        start += length


def read_clip(path: PathLike, clip_id: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Return the rows of one clip, none if it has none; row groups that cannot hold them are not read."""
    with _opened(path) as file:
        groups = [group for group in range(file.num_row_groups) if _may_hold(file.metadata.row_group(group), clip_id)]
        wanted = None if columns is None else list(dict.fromkeys(["clip_id", *columns]))
        rows = file.read_row_groups(groups, columns=wanted)
    # A copy: polars misreads the missing lists of a slice.
    return pl.DataFrame(rows.take(np.flatnonzero(pl.Series(rows["clip_id"]).eq(clip_id).to_numpy())))


def _may_hold(group: pq.RowGroupMetaData, clip_id: str) -> bool:
    """Tell by the smallest and largest clip_id of a row group, where they are noted, whether a clip may be in it."""
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema == "clip_id":
            noted = column.statistics
            return noted is None or not noted.has_min_max or bool(noted.min <= clip_id <= noted.max)
    return True


def rows_per_clip(path: PathLike) -> dict[str, int]:
    """Return the number of rows of each clip of a shard, in its order, without reading more than their clip_ids."""
    return dict(read(path, ["clip_id"]).group_by("clip_id", maintain_order=True).len().iter_rows())


def in_groups(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield the tables joined to at least `rows` rows each, so that a shard has few row groups."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(len(part) for part in waiting) >= rows:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def nullable(values: NDArray[np.floating]) -> pa.Array:
    """Return float32 values as a column in which NaN is null."""
    return pa.array(np.asarray(values, dtype=np.float32), from_pandas=True)
