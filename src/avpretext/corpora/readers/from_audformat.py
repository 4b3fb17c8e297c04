"""Any database in audformat: a folder with `db.yaml`, tables and media, as `audb` leaves it (audEERING).

Tables are read as CSV or Parquet, `db.TABLE.csv`; those that are pickled alone are refused: a pickle is a program.
`parts` are the tables to read; without, all. The rows of tables of files are the clips or, where all tables are
segmented, their stretches; names of clips are as with the reader `folder`, or those of a column `clip_id`.

A column is a label where its scheme lists labels; an attribute where it is a number, or true or false (1, 0). Columns
`NAME.CLASS` are votes for, or shares of, the classes. A column or scheme named like people tells who speaks, one named
transcription, transcript, sentence or text what is said. Columns that a machine rated are left out.

Splits of the types train, dev and test are the partitions. Of splits such as `acted.speaker_kfold.1.test`, which
avpretext itself writes, the folds of the first target test in turn.

Sources: https://audeering.github.io/audformat, sections on database, tables and storage; written after audformat 1.4.3,
which makes the databases of the tests. The public EmoDB 2.0, https://zenodo.org/records/17651657, is one; it was not at
hand.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from avpretext import foreign
from avpretext.config import CorpusOptions
from avpretext.corpora import sheets
from avpretext.corpora.reader import Entry, Person, Reader, Source, SourceKind, by_kind
from avpretext.corpora.readers import clip_table
from avpretext.corpora.speaker_folders import of_people
from avpretext.errors import UserError, nearest

HEADER = "db.yaml"
SAID = ("transcription", "transcript", "sentence", "text")
_PLACE = ("file", "start", "end")
_TIME = re.compile(r"(?=\d)(?:(\d+) days? ?)?(?:(\d+):(\d+):([\d.]+))?")
_NUMBERS = ("float", "int")
_SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Database:
    """A database: its folder, its header, and the tables that are read of it."""

    folder: Path
    header: Mapping[str, Any]
    chosen: tuple[str, ...]

    @cached_property
    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the chosen tables: of files, or segmented where there are no others."""
        kinds = {name: self.header["tables"][name]["type"] for name in self.chosen}
        kind = "filewise" if "filewise" in kinds.values() else "segmented"
        return {name: _read(self.folder, name) for name in self.chosen if kinds[name] == kind}

    def columns(self, table: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the columns of a table: name to `scheme_id` and `rater_id`, as far as it has them."""
        return self.header["tables"][table].get("columns") or {}

    def scheme(self, column: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the scheme of a column; empty where it has none."""
        found: Mapping[str, Any] = (self.header.get("schemes") or {}).get(column.get("scheme_id"), {})
        return found

    def by_machine(self, column: Mapping[str, Any]) -> bool:
        """Tell whether a machine filled in a column."""
        rater = (self.header.get("raters") or {}).get(column.get("rater_id"), {})
        return str(rater.get("type")) == "machine"

    def named(self, fits: Callable[[str], bool]) -> pl.DataFrame | None:
        """Return the clips with the `value` of the columns that fit by their name or their scheme's; None: none do."""
        found = [
            _placed(table, pl.col(column).cast(pl.String).alias("value")).drop_nulls("value")
            for name, table in self.tables.items()
            for column, told in self.columns(name).items()
            if fits(column) or fits(told.get("scheme_id") or "")
        ]
        return pl.concat(found) if found else None

    @cached_property
    def clips(self) -> pl.DataFrame:
        """Return a row for each clip, as `clip_table.clips_of`, of all tables together."""
        each = pl.concat([_placed(table) for table in self.tables.values()]).unique(maintain_order=True)
        people = {
            "speaker": of_people,
            "sentence": SAID.__contains__,
            "level": "level".__eq__,
            "clip_id": "clip_id".__eq__,
        }
        for name, fits in people.items():
            if (known := self.named(fits)) is not None:
                once = known.unique(_PLACE, keep="first", maintain_order=True).rename({"value": name})
                each = each.join(once, on=_PLACE, how="left", maintain_order="left", nulls_equal=True)
        return clip_table.clips_of(each.rename({"file": "path", "start": "start_s", "end": "end_s"}), overlaps=True)

    def with_ids(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows with the clip_id in place of file, start and end."""
        ids = self.clips.select("clip_id", file="path", start="start_s", end="end_s")
        known = rows.join(ids, on=_PLACE, how="inner", maintain_order="left", nulls_equal=True)
        return known.select("clip_id", pl.exclude(*_PLACE, "clip_id"))


def database(options: CorpusOptions) -> Database:
    """Return the database of a corpus; it is an error if there is none, or if it lacks a table that is chosen."""
    file = Path(options.path) / HEADER
    try:
        header = yaml.safe_load(file.read_text("utf-8"))
        known = {name: told["type"] for name, told in header["tables"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise UserError(
            f"{file}: not the header of an audformat database ({type(error).__name__}); correct corpora.NAME.path"
        ) from None
    for name in options.parts:
        if name not in known:
            raise UserError(
                f"{file}: no table {name!r}{nearest(name, known)}; it has {', '.join(known)}: correct parts"
            )
    return Database(file.parent, header, tuple(options.parts or known))


def _read(folder: Path, name: str) -> pl.DataFrame:
    """Return a table with `file`, `start`, `end` in seconds (null: the file's; NaN: no time), and its columns."""
    rows = _stored(folder, name)
    sheets.need(rows.columns, ["file"], folder / HEADER, f"the table {name!r} names no files: save the database again")
    times = [_seconds(rows[place]).alias(place) if place in rows.columns else pl.lit(None, pl.Float64).alias(place)
             for place in _PLACE[1:]]  # fmt: skip
    return rows.with_columns(pl.col("file").cast(pl.String), *times)


def _stored(folder: Path, name: str) -> pl.DataFrame:
    """Return a table as it is stored, of files or any other; it is an error if it is pickled alone."""
    parquet, csv = (folder / f"db.{name}.{kind}" for kind in ("parquet", "csv"))
    try:
        if parquet.is_file():
            return foreign.read(parquet, "save the database again")
        return pl.read_csv(csv, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        pickled = " there is a pickled one;" if (folder / f"db.{name}.pkl").is_file() else ""
        raise UserError(
            f"{csv}: no table of CSV or Parquet ({type(error).__name__});{pickled} save the database with"
            " audformat's Database.save(..., storage_format='csv')"
        ) from None


def _seconds(column: pl.Series) -> pl.Series:
    """Return times in seconds, of durations or of text such as `0 days 00:00:01.5`."""
    if column.dtype == pl.Duration:
        return column.dt.total_microseconds().cast(pl.Float64) / 1e6
    return pl.Series([_seconds_of(text) for text in column.to_list()], dtype=pl.Float64)


def _seconds_of(text: str | None) -> float | None:
    """Return seconds; None for the start or end of the file, NaN for text that is no time: its row is refused.

    >>> _seconds_of("0 days 00:01:01.500000"), _seconds_of("0 days"), _seconds_of("NaT"), _seconds_of("1,5")
    (61.5, 0.0, None, nan)
    """
    if text in (None, "", "NaT"):
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        return math.nan
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds


def _placed(table: pl.DataFrame, *columns: pl.Expr | pl.Series) -> pl.DataFrame:
    return table.select(*_PLACE, *columns)


def entries(options: CorpusOptions, files: Sequence[str]) -> list[Entry]:
    """Return the clips of the tables; one without its file is refused."""
    return clip_table.entries(database(options).clips, files, options.video) if by_kind(files, options.video) else []


Columns = list[tuple[str, str]]
"""Of a source: tables and their columns."""


def sources(options: CorpusOptions) -> dict[str, Source]:
    """Return what the columns hold; see the module's description."""
    db = database(options)
    found: dict[str, tuple[SourceKind, Any, Columns]] = {}
    for table in db.tables:
        for column, told in db.columns(table).items():
            if db.by_machine(told) or _is_place(column, told):
                continue
            kind, dot = _kind(db.scheme(told)), "." in column
            if kind is None or (kind == "label" and dot):
                continue
            name = _source_name(table, column)
            of = ("votes", table if column.startswith("votes.") else None) if dot else (kind, told.get("scheme_id"))
            if name in found and found[name][:2] != of:
                name = re.sub(r"[^A-Za-z0-9_-]", "_", f"{table}-{name}")
            found.setdefault(name, (*of, []))[2].append((table, column))
    return {name: Source(kind, _reading(kind, columns)) for name, (kind, _, columns) in found.items()}


def _is_place(column: str, told: Mapping[str, Any]) -> bool:
    names = (column, told.get("scheme_id") or "")
    return any(of_people(name) or name in (*SAID, "clip_id", "level") for name in names)


def _kind(scheme: Mapping[str, Any]) -> SourceKind | None:
    if scheme.get("labels"):
        return "label"
    return "attribute" if scheme.get("dtype") in (*_NUMBERS, "bool") else None


def _source_name(table: str, column: str) -> str:
    """Return the name of what a column holds.

    >>> _source_name("emotion", "emotion"), _source_name("target.voice", "votes.ANG"), _source_name("t", "a-smoothed.x")
    ('emotion', 'voice_votes', 'a')
    """
    from avpretext.corpora.settings import split_target  # settings imports all readers

    name, dot, _ = column.partition(".")
    if not dot:
        return name
    return f"{split_target(table.rpartition('.')[2])[0]}_votes" if name == "votes" else split_target(name)[0]


def _reading(kind: SourceKind, columns: Columns) -> Callable[[CorpusOptions], pl.DataFrame]:
    def read(options: CorpusOptions) -> pl.DataFrame:
        db = database(options)
        if kind != "votes":
            value = "label" if kind == "label" else "value"
            each = [_placed(db.tables[table], _cell(db, table, column).alias(value)) for table, column in columns]
            return db.with_ids(pl.concat(each)).drop_nulls(value).unique(maintain_order=True)
        tables = defaultdict(list)
        for table, column in columns:
            tables[table].append(_numbers(db, table, column).fill_null(0.0).alias(column.partition(".")[2]))
        each = [_placed(db.tables[table], *counts) for table, counts in tables.items()]
        return db.with_ids(pl.concat(each, how="diagonal")).unique(maintain_order=True)

    return read


def _cell(db: Database, table: str, column: str) -> pl.Expr | pl.Series:
    """Return what a column says: its numbers, or its labels; numbers that stand for labels in words become words."""
    scheme = db.scheme(db.columns(table)[column])
    if _kind(scheme) == "attribute":
        return _numbers(db, table, column)
    labels = scheme["labels"]
    words = (
        {str(code): word for code, word in labels.items() if isinstance(word, str)} if isinstance(labels, dict) else {}
    )
    text = pl.col(column).cast(pl.String)
    return text.replace(words) if scheme.get("dtype") == "int" else text


def _numbers(db: Database, table: str, column: str) -> pl.Series:
    """Return a column of numbers, true being 1; a cell that is no number is an error."""
    text = db.tables[table][column].cast(pl.String).str.to_lowercase().replace({"true": "1", "false": "0"})
    numbers = text.cast(pl.Float64, strict=False)
    wrong = text.filter(numbers.is_null() & text.is_not_null())
    if len(wrong):
        raise UserError(
            f"{db.folder}: table {table!r}, column {column!r}: {wrong[0]!r} is no number: correct it, or leave the cell"
            " empty"
        )
    return numbers.fill_nan(None)


def partitions(options: CorpusOptions) -> pl.DataFrame:
    """Return the splits of the clips; see the module's description."""
    db = database(options)
    splits = {name: split for name in db.tables if (split := db.header["tables"][name].get("split_id"))}
    types = {split: told.get("type") for split, told in (db.header.get("splits") or {}).items()}
    rows = [_placed(db.tables[name], pl.lit(split).alias("split")) for name, split in splits.items()]
    if not rows:
        raise UserError(f"{db.folder / HEADER}: its tables have no splits; choose another protocol")
    known = db.with_ids(pl.concat(rows)).unique(maintain_order=True)
    typed = known.select("clip_id", partition=pl.col("split").replace(types)).unique(maintain_order=True)
    if not typed["clip_id"].is_duplicated().any():
        return typed
    return _folds(known, types, options, db.folder / HEADER)


def _folds(known: pl.DataFrame, types: Mapping[str, str], options: CorpusOptions, file: Path) -> pl.DataFrame:
    """Return the fold that a clip is tested in, of splits such as `acted.speaker_kfold.1.test`."""
    target = options.targets[0] if options.targets else next(iter(sources(options)), "")
    tests = {split: split.removesuffix(".test").rpartition(".") for split, kind in types.items() if kind == "test"}
    settings = {setting for setting, _, _ in tests.values() if setting.startswith(f"{target}.")}
    if len(settings) != 1:
        several = ", ".join(sorted({setting for setting, _, _ in tests.values()}))
        raise UserError(
            f"{file}: clips are in several splits, of {several}; one setting of the target {target!r} is"
            " expected: choose the tables of one by corpora.NAME.parts"
        )
    fold = {split: name for split, (setting, _, name) in tests.items() if setting in settings}
    return known.filter(pl.col("split").is_in(list(fold))).select("clip_id", partition=pl.col("split").replace(fold))


def people(options: CorpusOptions) -> dict[str, Person]:
    """Return sex and age of the speakers, from the labels of their scheme or the table that these are."""
    db, found = database(options), dict[str, Person]()
    for name, scheme in (db.header.get("schemes") or {}).items():
        labels = scheme.get("labels")
        if not of_people(name) or not labels:
            continue
        if isinstance(labels, str):
            rows = _stored(db.folder, labels)
            labels = dict(zip(rows[:, 0].cast(pl.String), rows.iter_rows(named=True), strict=True))
        if isinstance(labels, dict):
            found |= {str(code): _person(told) for code, told in labels.items() if isinstance(told, dict)}
    return found


def _person(told: Mapping[str, Any]) -> Person:
    sex, age = str(told.get("sex") or told.get("gender")), told.get("age")
    return Person(sex if sex in ("female", "male") else None, None if age in (None, "") else int(float(age)))


def tables(options: CorpusOptions) -> list[str]:
    """Return the header and the tables, where they are."""
    folder = Path(options.path)
    return [str(file) for kind in (HEADER, "db.*.csv", "db.*.parquet") for file in sorted(folder.glob(kind))]


def transcripts(options: CorpusOptions) -> pl.DataFrame:
    """Return what is said, in words where the scheme tells the words of codes."""
    db = database(options)
    said = db.clips.select("clip_id", text="sentence").drop_nulls("text")
    for name, scheme in (db.header.get("schemes") or {}).items():
        if name in SAID and isinstance(scheme.get("labels"), dict):
            words = {str(code): text for code, text in scheme["labels"].items() if isinstance(text, str)}
            said = said.with_columns(pl.col("text").replace(words))
    return said


READER = Reader(
    entries=entries,
    sources=sources,
    annotations=tables,
    tables=tables,
    partitions=partitions,
    people=people,
    words=str,
    transcripts=transcripts,
)
