"""The tool `labels-to`: labels, targets and folds of a corpus for other tools."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import polars as pl

from avpretext import escapes, shards
from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.interchange.label_tables import LabelTables, gather
from avpretext.progress import progress

Format = Literal["audformat", "csv"]


def run(config: Config, corpus: str, form: Format, output: Path, audio: bool = True) -> list[str]:
    """Write the labels of a corpus as a new folder, and return the names of its tables.

    As `audformat` it is a database, `db.yaml` and tables, and `audio`: the audio that the labels are of, as FLAC; as
    `csv` a file per table. It is an error if the folder has something in it, if there is nothing to write yet, or if a
    database, whose files are audio, is asked for of a corpus with `audio: false`.
    """
    if form == "audformat" and not config.corpora[corpus].audio:
        raise UserError(f"{corpus} has audio: false, and the files of an audformat database are audio: use csv")
    tables = gather(config, corpus)
    with _new_folder(output) as folder:
        if form == "csv":
            return write_csv(tables, folder)
        from avpretext.interchange.audformat_database import database

        made = database(tables)
        made.save(str(folder), storage_format="csv")
        if audio:
            write_audio(tables, folder)
        return [*made.tables, *made.misc_tables]


@contextmanager
def _new_folder(output: Path) -> Iterator[Path]:
    """Give a temporary folder beside `output`, which takes its place at the end: the folder appears whole or not."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output}: is there already; name a new folder, or remove it")
    shards.check_writable(output.parent)
    temporary = Path(tempfile.mkdtemp(dir=output.parent, prefix=shards.TEMPORARY[0], suffix=shards.TEMPORARY[1]))
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.replace(output)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_csv(tables: LabelTables, folder: Path) -> list[str]:
    """Write each table as a CSV file, and return their names."""
    named = {"clips": tables.clips, "speakers": tables.speakers}
    named |= {f"labels_{task}": rows for task, rows in tables.chunks.items()}
    named |= {} if tables.emotion is None else {"labels_emotion": tables.emotion}
    named |= {f"target.{name}": target.rows for name, target in tables.targets.items()}
    named |= {f"folds.{setting}": rows for setting, rows in tables.folds.items()}
    speakers = tables.clips.select("clip_id", "speaker")
    first = ["clip_id", "speaker"]
    for name, rows in named.items():
        told = rows
        if "clip_id" in rows.columns:
            told = rows.drop("speaker", strict=False).join(speakers, on="clip_id", how="left", maintain_order="left")
            told = told.select(*first, pl.exclude(first))
        safe = pl.col(pl.String, pl.Categorical, pl.Enum).map_elements(escapes.cell, pl.String)
        plain = told.with_columns(pl.col(pl.Float32).cast(pl.Float64).round(7), safe)
        plain.rename(escapes.cell).write_csv(folder / f"{name}.csv")
    return list(named)


def write_audio(tables: LabelTables, folder: Path) -> None:
    """Write the audio of every clip as the FLAC file that the tables name."""
    from avpretext.interchange.audformat_database import file_of

    for shard in progress(tables.audio, total=len(tables.audio), unit="shards", label=f"labels-to {tables.corpus}"):
        for clip_id, rows in shards.iterate_clips(shard, ["audio"]):
            file = folder / file_of(clip_id)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(rows["audio"][0]["bytes"].as_py())
