"""Tables of clips: which file, who speaks, from when to when, and what is known of it; all rows at once.

A row that is wrong for itself (no file, no stretch of time) becomes a refusal; a table that cannot be understood stops
the run, and the message names file and row as a spreadsheet counts them: the header is row 1.
"""

import difflib
import posixpath
import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from avpretext.corpora import sheets
from avpretext.corpora.findings import Finding
from avpretext.corpora.reader import Clip, Entry, SourceKind, extension, without_extension
from avpretext.errors import UserError
from avpretext.flow.paths import is_outside
from avpretext.media.extensions import AUDIO_EXTENSIONS
from avpretext.names import EDGES, key, nfc
from avpretext.refusal import Refusal

CLIP_COLUMNS = ("path", "clip_id", "speaker", "sentence", "level", "start_s", "end_s", "fold", "transcript")
"""The columns that say which clip a row is; every other column is something that can be learnt."""

SHORT = {"start": "start_s", "end": "end_s"}
"""Other names of these columns."""

NO_VIDEO = Refusal("no_video", "it is a sound file: set corpora.NAME.video to false, or name the video in the table")
UNLISTED = Refusal("unlisted", "add a row for it to the table, or move it out of the corpus")

# Names with a space: no column that can be learnt has one.
ROW = "row number"
WRONG = "wrong stretch"

_LOOKS_LIKE = 0.81
_SOURCE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_ODD_PATH = re.compile(r"^/|^[A-Za-z]:[\\/]|^\.\.?/|/\.\.?(/|$)|//|^\.\.$")


def read(file: Path, outside: bool = False) -> tuple[pl.DataFrame, list[Finding]]:
    """Read a CSV or Parquet table of clips, and what must be known of its cells; see `sheets.cleaned`.

    The table has its columns as text, `start` and `end` renamed to `start_s` and `end_s`, and `ROW`, the number of the
    row. It is an error if the file is missing, no table, or empty, if a column is missing, doubled or misspelt, or if a
    path is empty or leaves the corpus folder and may not (`outside`).
    """
    table = sheets.read(file)
    names = [SHORT.get(name, name) for name in (nfc(name).strip(EDGES) for name in table.columns)]
    _check_columns(names, file)
    if table.is_empty():
        raise UserError(f"{file}: no rows below the header; add one for each clip")
    table.columns = names
    meant, findings = sheets.cleaned(table)
    # Spreadsheets leave empty rows at the end.
    rows = meant.with_row_index(ROW, offset=2).filter(pl.any_horizontal(pl.col(meant.columns).is_not_null()))
    return _with_paths(rows, file, outside), findings + _empty_columns(rows)


def _empty_columns(rows: pl.DataFrame) -> list[Finding]:
    """Return that columns are empty: whether they were meant as numbers or as labels cannot be told."""
    names = [
        name for name in rows.columns
        if name not in CLIP_COLUMNS and _SOURCE_NAME.fullmatch(name) and rows[name].is_null().all()
    ]  # fmt: skip
    meaning = f"empty columns of the table, which give no target: {', '.join(map(repr, names))}"
    return [Finding("empty_column", meaning)] if names else []


def _check_columns(names: Sequence[str], file: Path) -> None:
    twice = [name for number, name in enumerate(names) if name in names[:number] or name.endswith("_duplicated_0")]
    if twice:
        raise UserError(f"{file}: two columns are named {twice[0].removesuffix('_duplicated_0')!r}; rename one")
    found = ", ".join(map(repr, names[:8]))
    sheets.need(names, ["path"], file, f"the columns are {found}: add 'path', the file relative to the corpus folder")
    for name in [name for name in names if name not in CLIP_COLUMNS]:
        for column in CLIP_COLUMNS:
            if column not in names and difflib.SequenceMatcher(None, name.lower(), column).ratio() >= _LOOKS_LIKE:
                raise UserError(f"{file}: column {name!r}; did you mean {column!r}? rename it")


def _with_paths(table: pl.DataFrame, file: Path, outside: bool) -> pl.DataFrame:
    """Return the table with its paths in one form, `a/b.mp4`."""
    paths = table["path"].to_list()
    for number, path in enumerate(paths):
        if path is None:
            raise UserError(f"{file}: row {table[ROW][number]}: no path; name the file of the clip, or drop the row")
        if _ODD_PATH.search(path):
            paths[number] = posixpath.normpath(path)
            if not outside and is_outside(paths[number]):
                raise UserError(
                    f"{file}: row {table[ROW][number]}: {path!r} is not within the corpus folder; paths are relative"
                    " to it: correct the path, or corpora.NAME.path; or set corpora.NAME.outside to true (in `avpretext"
                    " corpus`: --outside) to have files read from anywhere"
                )
    return table.with_columns(path=pl.Series(paths, dtype=pl.String))


def clips_of(table: pl.DataFrame, overlaps: bool = False) -> pl.DataFrame:
    """Return the clip of each row of a table, in the order of file and start.

    `table` has `path`, and any of `clip_id`, `speaker`, `sentence`, `level`, `start_s`, `end_s` (text or numbers). A
    `clip_id` that it lacks is the path without extension and, for a stretch of a file, `_` and its start in ms. `WRONG`
    tells what is wrong with the stretch, null if nothing; start and end are null then. Unless clips of a file may
    overlap, the later one is wrong.
    """
    timed = _with_wrong(_with_times(table))
    if not overlaps:
        timed = _with_overlaps(timed)
    timed = timed.sort("path", pl.col("start_s").fill_null(0.0).fill_nan(0.0), maintain_order=True)
    paths = timed["path"].to_list()
    stems = pl.Series([without_extension(path) for path in paths], dtype=pl.String)
    start = pl.col("start_s")
    start_ms = (start * 1000).round().cast(pl.Int64, strict=False).cast(pl.String)
    named = pl.when(start.is_finite()).then(pl.concat_str(stems, pl.lit("_"), start_ms)).otherwise(stems)
    kept = [pl.when(pl.col(WRONG).is_null()).then(pl.col(name)).alias(name) for name in ("start_s", "end_s")]
    return timed.with_columns(
        clip_id=pl.coalesce("clip_id", named) if "clip_id" in timed.columns else named,
        **{name: pl.lit(None, pl.String) for name in ("speaker", "sentence", "level") if name not in timed.columns},
    ).with_columns(kept)


def _with_times(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with start and end as numbers, and as text; a missing start before an end is 0."""
    absent = [pl.lit(None).alias(name) for name in ("start_s", "end_s") if name not in table.columns]
    texts = table.with_columns(absent).select("start_s", "end_s").cast(pl.String)
    times = texts.cast(pl.Float64, strict=False)
    # What is no number becomes NaN, not null, which would stand for the start or the end of the file.
    times = times.with_columns(pl.when(texts[name].is_not_null()).then(pl.col(name).fill_null(float("nan"))).alias(name)
                               for name in times.columns)  # fmt: skip
    start = pl.when(pl.col("end_s").is_not_null()).then(pl.col("start_s").fill_null(0.0)).otherwise("start_s")
    times = times.with_columns(start_s=start)
    return table.with_columns(*times, **{"start text": texts["start_s"], "end text": texts["end_s"]})


def _with_wrong(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with `WRONG`, what is wrong with the stretch of each row for itself, null if nothing."""
    start, end = pl.col("start_s"), pl.col("end_s")
    wrong = (
        pl.when(start.is_finite().not_())
        .then(pl.format("its start {} is no number of seconds", "start text"))
        .when(end.is_finite().not_())
        .then(pl.format("its end {} is no number of seconds", "end text"))
        .when(start < 0)
        .then(pl.format("it starts at {} s, before its file", start))
        .when(end <= start)
        .then(pl.format("it ends at {} s and starts at {} s", end, start))
    )
    return table.with_columns(wrong.alias(WRONG)).drop("start text", "end text")


def _with_overlaps(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with `WRONG` also where a stretch overlaps an earlier one of its file that is not wrong."""
    columns = {"start": pl.col("start_s").fill_null(0.0), "end": pl.col("end_s").fill_null(float("inf"))}
    rows = table.select("path", WRONG, **columns, whole=pl.col("start_s").is_null()).with_row_index("number")
    rows = rows.filter(pl.col(WRONG).is_null()).sort(
        "path", "whole", "start", "number", descending=[False, True, False, False]
    )
    wrong, ends = table[WRONG].to_list(), dict[str, float]()
    for number, path, start, end, whole in rows.drop(WRONG).iter_rows():
        if not whole and start < ends.get(path, 0.0):
            other = "one of the whole file" if ends[path] == float("inf") else f"one that ends at {ends[path]:g} s"
            wrong[number] = f"it starts at {start:g} s, within {other}"
        else:
            ends[path] = end
    return table.with_columns(pl.Series(WRONG, wrong, pl.String))


def entries(clips: pl.DataFrame, files: Sequence[str], video: bool = False) -> list[Entry]:
    """Return the clips of a table that `clips_of` returns, and its refused rows.

    Refused are a wrong stretch, a row without its file, and a sound file where video is wanted.
    """
    present = set(files)
    silent = {path for path in present if video and extension(path) in AUDIO_EXTENSIONS}
    found = []
    likely = {_loosely(path): path for path in files} if not present.issuperset(clips["path"]) else {}
    columns = ("path", WRONG, "clip_id", "speaker", "sentence", "level", "start_s", "end_s")
    for path, wrong, clip_id, speaker, sentence, level, start_s, end_s in clips.select(columns).iter_rows():
        clip = Clip(clip_id, speaker, None, sentence, level, start_s, end_s)
        refusal = Refusal("bad_segment", wrong) if wrong else NO_VIDEO if path in silent else None
        if path not in present:
            other = likely.get(_loosely(path))
            refusal = Refusal("missing_file", f"there is {other!r}: spell the row so" if other else "")
        found.append(Entry(path, clip, refusal))
    return found


def _loosely(path: str) -> str:
    return key(path.replace("\\", "/"))


def unlisted(clips: pl.DataFrame, files: Sequence[str]) -> list[Entry]:
    """Return the files without a row, refused; only those of a type (extension) that the table names."""
    listed = set(clips["path"])
    kinds = {extension(path) for path in listed}
    return [Entry(path, None, UNLISTED) for path in files if path not in listed and extension(path) in kinds]


def sources_in(table: pl.DataFrame, file: Path) -> dict[str, tuple[SourceKind, list[str]]]:
    """Return what a table knows of its clips that can be learnt: name, kind and columns, in the order of the columns.

    A column of numbers is an attribute, one of text a label; columns `NAME.CLASS` are the votes of NAME. A column whose
    name is not of letters, digits, `_` and `-`, or starts with `-`, is left out. It is an error if a column of numbers
    has other things in it, if votes are no counts, or if a name stands for two things.
    """
    found: dict[str, tuple[SourceKind, list[str]]] = {}
    for column in table.columns:
        name, dot, label = column.partition(".")
        if column in (*CLIP_COLUMNS, ROW) or not _SOURCE_NAME.fullmatch(name) or (dot and not label):
            continue
        if dot:
            _check_votes(table, column, file)
        kind: SourceKind = "votes" if dot else "attribute" if _is_number(table, column, file) else "label"
        if name in found and found[name][0] != kind:
            raise UserError(f"{file}: {name!r} is a column, and {name!r} before a dot holds votes; rename one of them")
        found.setdefault(name, (kind, []))[1].append(column)
    return found


def _is_number(table: pl.DataFrame, column: str, file: Path) -> bool:
    """Tell whether a column holds numbers; it does if most of its cells are, and then all must be."""
    rows = table.select(ROW, cell=column).drop_nulls("cell")
    other = rows.filter(pl.col("cell").cast(pl.Float64, strict=False).is_null())
    if rows.is_empty() or 2 * len(other) >= len(rows):
        return False
    if not other.is_empty():
        row, cell = other.row(0)
        raise UserError(
            f"{file}: row {row}, column {column!r}: {cell!r} is no number, and most others are; correct it or leave it"
            " empty"
        )
    return True


def _check_votes(table: pl.DataFrame, column: str, file: Path) -> None:
    rows = table.select(ROW, cell=column).drop_nulls("cell")
    counts = pl.col("cell").cast(pl.Float64, strict=False)
    wrong = rows.filter(counts.is_null() | counts.is_finite().not_() | (counts < 0))
    if not wrong.is_empty():
        row, cell = wrong.row(0)
        raise UserError(
            f"{file}: row {row}, column {column!r}: {cell!r}; a column with a dot holds the number of raters who chose"
            f" {column.partition('.')[2]!r}, 0 or more"
        )


def read_source(clips: pl.DataFrame, kind: SourceKind, columns: Sequence[str]) -> pl.DataFrame:
    """Return what `Source.read` returns, of clips, from the columns that `sources_in` names."""
    numbers = [pl.col(column).cast(pl.Float64) for column in columns]
    if kind == "label":
        return clips.select("clip_id", label=columns[0])
    if kind == "attribute":
        return clips.select("clip_id", value=numbers[0].fill_nan(None))
    named = zip(columns, numbers, strict=True)
    return clips.select("clip_id", **{column.partition(".")[2]: count.fill_null(0) for column, count in named})
