"""Tables as people's programs write them, CSV or Parquet, read as text: every column, nothing guessed."""

import codecs
import csv
import io
import re
from pathlib import Path

import polars as pl

from avpretext import shards
from avpretext.errors import UserError
from avpretext.names import EDGES, nfc

SEPARATORS = ",;\t|"
_KEYS = {"path", "clip_id", "FileName"}
"""Columns that the tables of corpora have: a header that is split right has one of them."""

_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
_NAMELESS = re.compile(r"(_duplicated_\d+)?")
_WHOLE = 2.0**53


def read_csv(file: Path, header: bool = True, separator: str | None = None) -> pl.DataFrame:
    """Read a CSV file, every column as text, in composed Unicode and without white space around.

    UTF-8 and, with its mark, UTF-16 are read. The separator is a comma, semicolon, tab or `|`, whichever the header
    has, or the one of Excel's line `sep=;`.

    Parameters
    ----------
    file
        The table.
    header
        Whether the first line names the columns.
    separator
        Between columns; None: found out from the header.

    Raises
    ------
    UserError
        The file is missing, no table, or in another encoding; names the row.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file; correct corpora.NAME.table, or copy the table from the corpus")
    text = _text_of(file)
    if told := _SEPARATOR_LINE.match(text):
        separator, text = told[1], text[told.end() :]
    try:
        rows = pl.read_csv(
            io.BytesIO(text.encode()),
            has_header=header,
            separator=separator or separator_of(text),
            infer_schema=False,
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        words = str(error).strip().splitlines() or ["it is empty"]
        raise UserError(f"{file}: not a CSV table in UTF-8 ({words[0]}); correct the file") from None
    return composed(rows)


def _text_of(file: Path) -> str:
    """Return the text of a CSV file, without a byte order mark.

    Raises
    ------
    UserError
        It is no text in UTF-8, nor in UTF-16 with its mark.
    """
    content = file.read_bytes()
    if content.startswith(_SPREADSHEETS):
        raise UserError(f"{file}: not a CSV table but a spreadsheet; save it as `CSV UTF-8`, and name that file")
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{file}: not a CSV table in UTF-8: byte 0x{content[error.start]:02x} in line {row} is of another encoding,"
            " such as Latin-1; save it as `CSV UTF-8`"
        ) from None
    if "\0" in text:
        raise UserError(f"{file}: not a CSV table in UTF-8: it has bytes that are 0; save it as `CSV UTF-8`")
    return text


def separator_of(text: str) -> str:
    r"""Return what separates the columns of a CSV table, from its header.

    >>> separator_of("path;speaker\na.wav;Bob\n"), separator_of("path,a;b\n"), separator_of("path\na.wav\n")
    (';', ',', ',')
    """
    header = text.partition("\n")[0].rstrip("\r")

    def fits(separator: str) -> tuple[bool, int]:
        names = [name.strip(EDGES) for name in next(csv.reader([header], delimiter=separator), [])]
        return bool(_KEYS & set(names)), len(names)

    return max(SEPARATORS, key=fits)


def read_parquet(file: Path) -> pl.DataFrame:
    """Read a Parquet file, every column as text, as `read_csv` does; whole numbers lose their `.0`.

    Raises
    ------
    UserError
        The file is missing, no Parquet file, or a column holds lists or bytes.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file; correct corpora.NAME.table")
    try:
        table = shards.read(file)
    except UserError:
        raise UserError(f"{file}: not a Parquet file; correct corpora.NAME.table") from None
    nested = [name for name, kind in table.schema.items() if kind.is_nested() or kind == pl.Binary]
    if nested:
        raise UserError(f"{file}: column {nested[0]!r} holds lists or bytes; texts and numbers are expected: drop it")
    return composed(table.select(_as_text(column) for column in table))


def _as_text(column: pl.Series) -> pl.Series:
    """Return a column as text: durations in seconds; floats that are whole numbers alone, as pandas makes them, so."""
    if column.dtype == pl.Duration:
        column = column.dt.total_microseconds() / 1e6
    if not column.dtype.is_float():
        return column.cast(pl.String)
    finite = column.filter(column.is_finite())
    text = column.cast(pl.String)
    if finite.is_empty() or not ((finite == finite.round()) & (finite.abs() < _WHOLE)).all():
        return text
    whole = column.is_finite()
    return column.set(~whole, None).cast(pl.Int64).cast(pl.String).zip_with(whole.fill_null(False), text)


def composed(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a table of text in composed Unicode, NFC, without white space around cells and names of columns.

    Columns without name and cells, which spreadsheets leave at the right, are dropped.
    """
    nameless = [
        name for name in rows.columns if _NAMELESS.fullmatch(name) and not (rows[name].str.len_bytes() > 0).any()
    ]
    rows = rows.drop(nameless)
    names = [nfc(name).strip(EDGES) for name in rows.columns]
    if len(set(names)) == len(names):
        rows = rows.rename(dict(zip(rows.columns, names, strict=True)))
    return rows.with_columns(pl.all().str.normalize("NFC").str.strip_chars(EDGES))
