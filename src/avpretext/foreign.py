"""A user's own Parquet files, looked at before they are opened out; those of the workflow are read by `shards`."""

import os

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from avpretext.errors import UserError, raise_fault

PathLike = str | os.PathLike[str]

MOST_VALUES, MOST_BYTES = 50_000_000, 1 << 30
"""Of a user's table: a million clips have 50 columns."""

_WIDEST_BYTES = 10_000
_BATCH_ROWS = 1 << 16


def read(path: PathLike, fix: str) -> pl.DataFrame:
    """Read a user's own Parquet file, after a look at what it opens out to: a few kilobytes can hold any number.

    It is an error if it is no Parquet file, has two columns of one name, or is too large for a table of clips; `fix`
    says what to do.
    """
    try:
        with pq.ParquetFile(path) as file:
            if what := _not_opened(path, file):
                raise UserError(f"{path}: {what}; {fix}")
            return pl.DataFrame(file.read())
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError, KeyError) as error:
        if isinstance(error, OSError):
            raise_fault(error, path)
        words = (str(error).splitlines() or [""])[0]
        raise UserError(f"{path}: not a Parquet file; {fix} ({words:.200})") from None


def _not_opened(path: PathLike, file: pq.ParquetFile) -> str | None:
    """Return why a file is not opened out, None if it may be."""
    schema, kept = file.schema_arrow, file.metadata
    if twice := [name for place, name in enumerate(schema.names) if name in schema.names[:place]]:
        return f"two columns are called {twice[0]!r}"
    groups = map(kept.row_group, range(kept.num_row_groups))
    chunks = [group.column(place) for group in groups for place in range(kept.num_columns)]
    values = max(sum(chunk.num_values for chunk in chunks), kept.num_rows * max(len(schema), 1))
    if values > MOST_VALUES:
        return f"has {kept.num_rows} rows and {values} values, of which at most {MOST_VALUES} are read"
    fixed = [field.name for field in schema if pa.types.is_fixed_size_binary(field.type)]
    too_wide = any(schema.field(name).type.byte_width > _WIDEST_BYTES for name in fixed)
    if too_wide or sum(chunk.total_uncompressed_size for chunk in chunks) > MOST_BYTES or _opens_out(path, schema):
        return f"opens out to more than {MOST_BYTES >> 20} MB"
    return None


def _opens_out(path: PathLike, schema: pa.Schema) -> bool:
    """Return whether the texts of a file are too large, written out: each is held once, and counted."""
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    held = [(field.name, field.type) for field in schema]
    held = [(name, kind.value_type if pa.types.is_dictionary(kind) else kind) for name, kind in held]
    texts = [name for name, kind in held if any(is_kind(kind) for is_kind in kinds)]
    seen_bytes = 0.0
    if texts:
        with pq.ParquetFile(path, read_dictionary=texts) as folded:
            for rows in folded.iter_batches(_BATCH_ROWS, columns=texts):
                seen_bytes += sum(map(_written_out_bytes, rows.columns))
                if seen_bytes > MOST_BYTES:
                    return True
    return False


def _written_out_bytes(column: pa.Array) -> float:
    if not pa.types.is_dictionary(column.type):
        return float(column.nbytes)
    lengths = pc.binary_length(column.dictionary).to_numpy(zero_copy_only=False).astype(np.float64)
    counts = np.bincount(column.indices.drop_null().to_numpy(), minlength=len(lengths))
    return float(counts @ np.nan_to_num(lengths)) if len(lengths) else 0.0
