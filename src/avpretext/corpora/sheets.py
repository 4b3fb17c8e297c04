"""Tables as people's programs write them, CSV or Parquet, read as text and cleaned: every column, nothing guessed."""

import codecs
import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from avpretext import foreign
from avpretext.config import CorpusOptions
from avpretext.corpora.findings import Finding
from avpretext.errors import UserError, expect_file, nearest
from avpretext.names import EDGES, nfc

SEPARATORS = ",;\t|"
_KEYS = {"path", "clip_id", "FileName"}
"""Columns that the tables of corpora have: a header that is split right has one of them."""

_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
_NAMELESS = re.compile(r"(_duplicated_\d+)?")
_WHOLE = 2.0**53

NOTHING = frozenset({
    "nan", "NaN", "NAN", "-nan", "-NaN", "None", "none", "NONE", "NA", "N/A", "n/a", "N/a", "n.a.", "NULL", "Null",
    "null", "NaT", "<NA>", "-", "--", "\u2013", "\u2014", "?", "#N/A", "#N/A N/A", "#NA", "#NV", "#NAME?", "#VALUE!",
    "#REF!", "#DIV/0!", "#NULL!", "#NUM!", "1.#IND", "1.#QNAN", "-1.#IND", "-1.#QNAN",
    "inf", "-inf",
})  # fmt: skip
"""What programs write for an empty cell or no number: pandas, numpy, R, SQL, and spreadsheets, also German ones."""

NOBODY = frozenset({"unknown", "Unknown", "UNKNOWN", "unk", "UNK"})
"""What else stands for no speaker."""

NAMES = ("clip_id", "speaker", "sentence", "level", "fold")
"""Columns of names: a program that holds them as decimal numbers writes 1 as 1.0."""

LITERAL = ("path", "start_s", "end_s", "transcript", "text", "FileName")
"""Columns whose cells stay as they are: a stretch that is no number is refused, and `none` may be what is said."""

ENDINGS = (".csv", ".parquet")
"""Of the names of tables."""

_DECIMAL_COMMA = r"^[+-]?\d*,\d+$"
_PLAIN_NUMBER = r"^[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?$"
_POINT_ZERO = r"^\d+\.0+$"
_THOUSANDS = r"^[+-]?[1-9]\d{0,2}([.,]\d{3})*,\d{3}$|^[+-]?\d{1,3}(\.\d{3})+,\d+$"


def read(file: Path, option: str = "table") -> pl.DataFrame:
    """Read a CSV or Parquet file, every column as text; see `read_csv`.

    It is an error if there is no such file, and `corpora.NAME.OPTION` is to be corrected, or if it is no table.
    """
    expect_file(file, f"correct corpora.NAME.{option}", ENDINGS)
    return _read_parquet(file, option) if file.suffix.lower() == ".parquet" else read_csv(file)


def unread(options: CorpusOptions) -> str:
    """Return how the tables that lie in the folder of a corpus without a reader of its own are read; '' without any."""
    if options.reader != "folder" or options.table is not None:
        return ""
    files = Path(options.path).glob("*")
    found = sorted(file.name for file in files if file.suffix.lower() in ENDINGS and file.is_file())
    return f"--table reads a table of the folder: {', '.join(found[:3])}" if found else ""


def present(options: CorpusOptions, folders: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the first of these files that is in one of these folders of the corpus; nothing if there is none."""
    places = (Path(options.path) / folder / name for folder in folders for name in names)
    return [str(place) for place in places if place.is_file()][:1]


def needed(options: CorpusOptions, folders: Sequence[str], names: Sequence[str], fix: str) -> Path:
    """Return the file that `present` finds; it is an error if there is none; `fix` is the remedy."""
    for file in present(options, folders, names):
        return Path(file)
    raise UserError(f"{Path(options.path) / folders[0] / names[0]}: no such file; {fix}")


def need(columns: Sequence[str], names: Sequence[str], file: Path, fix: str) -> None:
    """Raise UserError where a column is missing."""
    for name in names:
        if name not in columns:
            raise UserError(f"{file}: no column {name!r}{nearest(name, columns)}; {fix}")


def read_csv(
    file: Path, header: bool = True, separator: str | None = None, fix: str = "correct the file"
) -> pl.DataFrame:
    """Read a CSV file, every column as text, in composed Unicode and without white space around.

    UTF-8 and, with its mark, UTF-16 are read. The separator, unless given, is a comma, semicolon, tab or `|`, whichever
    the header has, or the one of Excel's line `sep=;`. A file that is no table, or in another encoding, is an error
    that names the row; `fix` says what to do.
    """
    text = _text_of(file)
    if told := _SEPARATOR_LINE.match(text):
        separator, text = told[1], text[told.end() :]
    separator = separator or separator_of(text)
    try:
        rows = pl.read_csv(io.BytesIO(text.encode()), has_header=header, separator=separator, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        words = str(error).strip().splitlines() or ["it is empty"]
        raise UserError(f"{file}: not a CSV table in UTF-8 ({words[0]}); {fix}") from None
    return _composed(rows)


def _text_of(file: Path) -> str:
    """Return the text of a CSV file, without a byte order mark."""
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


def _read_parquet(file: Path, option: str) -> pl.DataFrame:
    """Read a Parquet file as `read_csv` does; whole numbers lose their `.0`."""
    table = foreign.read(file, f"correct corpora.NAME.{option}")
    nested = [name for name, kind in table.schema.items() if kind.is_nested() or kind == pl.Binary]
    if nested:
        raise UserError(f"{file}: column {nested[0]!r} holds lists or bytes; texts and numbers are expected: drop it")
    return _composed(table.select(_as_text(column) for column in table))


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


def _composed(rows: pl.DataFrame) -> pl.DataFrame:
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


def cleaned(table: pl.DataFrame) -> tuple[pl.DataFrame, list[Finding]]:
    """Return a table of text with its cells as they are meant, and what was made of them.

    Empty cells, and those with a word for nothing, become null; decimal commas become points where most cells of a
    column are numbers; `1.0` becomes `1` where a column of names has whole numbers alone.
    """
    findings: list[Finding] = []
    columns = []
    for column in table:
        name = column.name
        cells = column.set(column.str.len_bytes() == 0, None)
        if name not in LITERAL:
            cells, found = _without_words_for_nothing(cells)
            findings += found
        if name in NAMES:
            cells = _without_point_zero(cells)
        elif name in ("start_s", "end_s") or name not in LITERAL:
            cells, found = _with_points(cells)
            findings += found
        columns.append(cells)
    return pl.DataFrame(columns), findings


def _without_words_for_nothing(cells: pl.Series) -> tuple[pl.Series, list[Finding]]:
    words = NOTHING | NOBODY if cells.name == "speaker" else NOTHING
    nothing = cells.is_in(list(words)).fill_null(False)
    if not nothing.any():
        return cells, []
    shown = ", ".join(map(repr, cells.filter(nothing).unique().sort().head(5)))
    left = cells.set(nothing, None)
    # A number that is not known is no one's class; a class or a speaker of that name would be.
    numbers = left.drop_nulls().str.contains(_PLAIN_NUMBER)
    wrong = cells.name in NAMES or not (len(numbers) and numbers.all())
    meaning = f"cells of the column {cells.name!r} with {shown}: they count as empty"
    return left, [Finding("words_for_nothing", meaning, int(nothing.sum()), (), wrong)]


def _without_point_zero(cells: pl.Series) -> pl.Series:
    known = cells.drop_nulls()
    whole = known.str.contains(r"^\d+(\.0+)?$").all() and known.str.contains(_POINT_ZERO).any()
    return cells.str.replace(r"\.0+$", "") if whole else cells


def _with_points(cells: pl.Series) -> tuple[pl.Series, list[Finding]]:
    """Return a column of numbers with points for decimal commas; any other as it is."""
    known = cells.drop_nulls()
    commas = known.str.contains(_DECIMAL_COMMA)
    of_thousands = known.str.contains(_THOUSANDS)
    if of_thousands.any() and (of_thousands | ~known.str.contains(",")).all():
        example = known.filter(of_thousands)[0]
        meaning = f"cells of the column {cells.name!r} look like numbers, such as {example!r}, and are read as text"
        return cells, [Finding("decimal_comma", meaning, int(of_thousands.sum()), (), True)]
    if not commas.any() or 2 * int(known.str.contains(_PLAIN_NUMBER).sum()) <= len(known):
        return cells, []
    comma = cells.str.contains(_DECIMAL_COMMA).fill_null(False)
    meaning = f"cells of the column {cells.name!r} have decimal commas, such as {known.filter(commas)[0]!r}:"
    found = Finding("decimal_comma", f"{meaning} they are read as numbers", int(commas.sum()))
    return cells.str.replace(",", ".").zip_with(comma, cells), [found]


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file of a corpus; it is an error if there is none."""
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as JSON ({error}); copy it from the corpus again") from None
    if not isinstance(content, dict):
        raise UserError(f"{file}: {{name: ...}} is expected; copy the file from the corpus again")
    return content
