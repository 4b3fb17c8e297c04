"""Any tree of media files: the speaker is the folder that a file lies in; with a table, what the table says.

The table, `corpora.NAME.table`, is a CSV file with a header, in UTF-8 and separated by commas, or a Parquet file. Its
name is as seen from where the workflow runs; if there is no such file, as seen from the corpus folder. docs/corpora.md
has its columns and a worked example.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora import table
from avpretext.corpora.reader import Clip, Entry, Reader, Source, by_kind, named, without_extension
from avpretext.errors import UserError
from avpretext.paths import is_outside


def read(path: str) -> Clip:
    """Read any name; the clip_id is the path without its extension.

    >>> read("anna/take 1.mp4").clip_id, read("anna/take 1.mp4").speaker
    ('anna/take 1', 'anna')
    """
    folder = path.rpartition("/")[0]
    return Clip(without_extension(path), folder.rpartition("/")[2] or None)


def select(paths: Sequence[str], options: CorpusOptions) -> list[str]:
    """Select the files of the wanted kind."""
    return by_kind(paths, options.video)


def entries(options: CorpusOptions, files: Sequence[str]) -> list[Entry]:
    """Return the clips: those of the table, or every file of the wanted kind where there is no table."""
    if options.table is None:
        return named(read, select)(options, files)
    clips = table.clips_of(_table(options))
    return table.entries(clips, files, options.video) + table.unlisted(clips, files)


def tables(options: CorpusOptions) -> list[str]:
    """Return the table, if one is named."""
    return [str(_file(options))] if options.table else []


def elsewhere(options: CorpusOptions) -> list[str]:
    """Return the paths of the table that lie outside of the corpus's folder."""
    return [path for path in _table(options)["path"] if is_outside(path)] if options.table else []


def sources(options: CorpusOptions) -> dict[str, Source]:
    """Return what the table's columns hold; see `table.sources_in`."""
    if options.table is None:
        return {}
    found = table.sources_in(_table(options), _file(options))
    return {name: Source(kind, _reading(kind, columns)) for name, (kind, columns) in found.items()}


def partitions(options: CorpusOptions) -> pl.DataFrame:
    """Return the column `fold` of the table.

    Raises
    ------
    UserError
        There is no table, or it has no such column.
    """
    if options.table is None:
        raise UserError(f"{options.path}: no partitions are known without a table; set corpora.NAME.table")
    rows = _table(options)
    if "fold" not in rows.columns:
        raise UserError(f"{_file(options)}: no column 'fold', which names the partition of a clip; add it")
    return table.partitions_in(table.clips_of(rows))


def transcripts(options: CorpusOptions) -> pl.DataFrame:
    """Return the column `transcript` of the table; without one, nothing."""
    rows = _table(options) if options.table else pl.DataFrame()
    if "transcript" not in rows.columns:
        return pl.DataFrame(schema={"clip_id": pl.String, "text": pl.String})
    return table.first_of_each(table.clips_of(rows)).select("clip_id", text="transcript").drop_nulls("text")


def _reading(kind: table.Kind, columns: Sequence[str]) -> Callable[[CorpusOptions], pl.DataFrame]:
    def read_columns(options: CorpusOptions) -> pl.DataFrame:
        return table.read_source(table.clips_of(_table(options)), kind, columns)

    return read_columns


def _table(options: CorpusOptions) -> pl.DataFrame:
    return table.read(_file(options), options.outside)


def _file(options: CorpusOptions) -> Path:
    """Return where the table is: as named, else within the corpus folder."""
    assert options.table is not None
    within = Path(options.path) / options.table
    return within if within.is_file() and not Path(options.table).is_file() else Path(options.table)


READER = Reader(
    entries=entries,
    sources=sources,
    annotations=tables,
    tables=tables,
    elsewhere=elsewhere,
    partitions=partitions,
    words=str,
    transcripts=transcripts,
)
