"""Cells of tables that are not what they look like: words for nothing, decimal commas, whole numbers with `.0`."""

import polars as pl

from avpretext.corpora.reader import Note

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

_DECIMAL_COMMA = r"^[+-]?\d*,\d+$"
_PLAIN_NUMBER = r"^[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?$"
_POINT_ZERO = r"^\d+\.0+$"
_THOUSANDS = r"^[+-]?[1-9]\d{0,2}([.,]\d{3})*,\d{3}$|^[+-]?\d{1,3}(\.\d{3})+,\d+$"


def cleaned(table: pl.DataFrame) -> tuple[pl.DataFrame, list[Note]]:
    """Return a table with its cells as they are meant, and what was made of them.

    Parameters
    ----------
    table
        Text, as `sheets` reads it.

    Returns
    -------
    tuple[pl.DataFrame, list[Note]]
        Empty cells, and those with a word for nothing, null; decimal commas as points where most cells of a column
        are numbers; `1.0` as `1` where a column of names has whole numbers alone.
    """
    notes: list[Note] = []
    columns = []
    for column in table:
        name = column.name
        cells = column.set(column.str.len_bytes() == 0, None)
        if name not in LITERAL:
            cells, found = _without_words_for_nothing(cells)
            notes += found
        if name in NAMES:
            cells = _without_point_zero(cells)
        elif name in ("start_s", "end_s") or name not in LITERAL:
            cells, found = _with_points(cells)
            notes += found
        columns.append(cells)
    return pl.DataFrame(columns), notes


def _without_words_for_nothing(cells: pl.Series) -> tuple[pl.Series, list[Note]]:
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
    return left, [Note("words_for_nothing", meaning, int(nothing.sum()), (), wrong)]


def _without_point_zero(cells: pl.Series) -> pl.Series:
    known = cells.drop_nulls()
    whole = known.str.contains(r"^\d+(\.0+)?$").all() and known.str.contains(_POINT_ZERO).any()
    return cells.str.replace(r"\.0+$", "") if whole else cells


def _with_points(cells: pl.Series) -> tuple[pl.Series, list[Note]]:
    """Return a column of numbers with points for decimal commas; any other as it is."""
    known = cells.drop_nulls()
    commas = known.str.contains(_DECIMAL_COMMA)
    of_thousands = known.str.contains(_THOUSANDS)
    if of_thousands.any() and (of_thousands | ~known.str.contains(",")).all():
        example = known.filter(of_thousands)[0]
        meaning = f"cells of the column {cells.name!r} look like numbers, such as {example!r}, and are read as text"
        return cells, [Note("decimal_comma", meaning, int(of_thousands.sum()), (), True)]
    if not commas.any() or 2 * int(known.str.contains(_PLAIN_NUMBER).sum()) <= len(known):
        return cells, []
    comma = cells.str.contains(_DECIMAL_COMMA).fill_null(False)
    meaning = f"cells of the column {cells.name!r} have decimal commas, such as {known.filter(commas)[0]!r}:"
    note = Note("decimal_comma", f"{meaning} they are read as numbers", int(commas.sum()), (), False)
    return cells.str.replace(",", ".").zip_with(comma, cells), [note]
