"""Any tree of media files: one of the folders above a file is its speaker, or a table lists the clips.

The table, `corpora.NAME.table`, is a CSV file with a header or a Parquet file. Its name is as seen from where the
workflow runs; if there is no such file, as seen from the corpus folder. docs/corpora.md has its columns and a worked
example, and which folder is taken for the speaker's.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora import speaker_folders
from avpretext.corpora.findings import Finding
from avpretext.corpora.reader import Clip, Entry, Person, Reader, Source, SourceKind, by_kind, without_extension
from avpretext.corpora.readers import clip_table
from avpretext.corpora.speaker_folders import SpeakerFolder
from avpretext.corpora.who import people_in
from avpretext.errors import UserError
from avpretext.flow.paths import is_outside


def entries(options: CorpusOptions, files: Sequence[str]) -> list[Entry]:
    """Return the clips: those of the table, or every file of the wanted kind where there is no table.

    Without a table the clip_id is the path without its extension.
    """
    if options.table is None:
        chosen = by_kind(files, options.video)
        folder = speaker_folders.find(chosen, options.speaker_folder, {})
        return [Entry(path, Clip(without_extension(path), folder.speaker_of(path))) for path in chosen]
    rows = _table(options)
    if (found := _speaker_folder(options, rows)) is not None:
        rows = rows.with_columns(speaker=pl.Series(map(found.speaker_of, rows["path"]), dtype=pl.String))
    clips = clip_table.clips_of(rows)
    return clip_table.entries(clips, files, options.video) + clip_table.unlisted(clips, files)


def speaker_folder(options: CorpusOptions, paths: Sequence[str]) -> SpeakerFolder | None:
    """Return which folder names the speaker; None where the table does."""
    if options.table is None:
        return speaker_folders.find(paths, options.speaker_folder, {})
    return _speaker_folder(options, _table(options))


def _speaker_folder(options: CorpusOptions, rows: pl.DataFrame) -> SpeakerFolder | None:
    if "speaker" in rows.columns:
        return None
    return speaker_folders.find(rows["path"].to_list(), options.speaker_folder, _labels_by_path(options, rows))


def _labels_by_path(options: CorpusOptions, rows: pl.DataFrame) -> dict[str, str]:
    """Return the label of each path, of the first that the table has; of votes, the classes.

    The targets that are chosen do not count: who speaks, and with it the index, must not change with them.
    """
    for name, (kind, columns) in clip_table.sources_in(rows, _file(options)).items():
        if kind == "votes":
            return {column: column.partition(".")[2] for column in columns}
        if kind == "label" and not speaker_folders.of_people(name):
            return dict(rows.select("path", columns[0]).drop_nulls().iter_rows())
    return {}


def findings(options: CorpusOptions) -> list[Finding]:
    """Return what must be known of the cells of the table, and a column that may name the speakers."""
    if not options.table:
        return []
    rows, found = clip_table.read(_file(options), options.outside)
    people = [] if "speaker" in rows.columns else [name for name in rows.columns if speaker_folders.of_people(name)]
    meaning = "no column 'speaker', and a column {!r} that may be it: rename it"
    return found + [Finding("speaker_column", meaning.format(name), wrong=True) for name in people]


def tables(options: CorpusOptions) -> list[str]:
    """Return the path of the table that lists the clips; nothing where none is configured."""
    return [str(_file(options))] if options.table else []


def elsewhere(options: CorpusOptions) -> list[str]:
    """Return the paths of the table that lie outside of the corpus's folder."""
    return [path for path in _table(options)["path"] if is_outside(path)] if options.table else []


def sources(options: CorpusOptions) -> dict[str, Source]:
    """Return what the table's columns hold; see `clip_table.sources_in`."""
    if options.table is None:
        return {}
    rows = _table(options)

    def reading(kind: SourceKind, columns: Sequence[str]) -> Source:
        return Source(kind, lambda options: clip_table.read_source(_clips(rows), kind, columns))

    found = clip_table.sources_in(rows, _file(options))
    return {name: reading(kind, columns) for name, (kind, columns) in found.items()}


def partitions(options: CorpusOptions) -> pl.DataFrame:
    """Return the column `fold` of the table; it is an error if there is none."""
    if options.table is None:
        raise UserError(f"{options.path}: no partitions are known without a table; set corpora.NAME.table")
    rows = _table(options)
    if "fold" not in rows.columns:
        raise UserError(f"{_file(options)}: no column 'fold', which names the partition of a clip; add it")
    return _clips(rows).select("clip_id", partition="fold").drop_nulls("partition")


def people(options: CorpusOptions) -> dict[str, Person]:
    """Return the sex of the speakers, by the columns `speaker` and `sex` or `gender` of the table."""
    rows = _table(options) if options.table else pl.DataFrame()
    told = [name for name in ("sex", "gender") if name in rows.columns]
    return people_in(rows.select("speaker", sex=told[0])) if told and "speaker" in rows.columns else {}


def transcripts(options: CorpusOptions) -> pl.DataFrame:
    """Return the column `transcript` of the table; without one, nothing."""
    rows = _table(options) if options.table else pl.DataFrame()
    if "transcript" not in rows.columns:
        return pl.DataFrame(schema={"clip_id": pl.String, "text": pl.String})
    return _clips(rows).select("clip_id", text="transcript").drop_nulls("text")


def _table(options: CorpusOptions) -> pl.DataFrame:
    return clip_table.read(_file(options), options.outside)[0]


def _clips(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that stand for a clip: the stretch is right, and the clip_id is not of an earlier row."""
    right = clip_table.clips_of(rows).filter(pl.col(clip_table.WRONG).is_null())
    return right.unique("clip_id", keep="first", maintain_order=True)


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
    people=people,
    people_files=tables,
    partitions=partitions,
    words=str,
    transcripts=transcripts,
    findings=findings,
    speaker_folder=speaker_folder,
)
