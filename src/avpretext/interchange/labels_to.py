"""The tool `labels-to`: labels, targets and folds of a corpus for other tools."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import polars as pl

from avpretext import escapes, shards
from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.interchange.label_tables import LabelTables, gather

Format = Literal["audformat", "csv", "datasets", "emobox", "lhotse"]


def run(config: Config, corpus: str, form: Format, output: Path, audio: bool = True) -> list[str]:
    """Write the labels of a corpus as a new folder, and return the names of its tables.

    `csv` is a file per table; the others hold 16 kHz audio as FLAC, or, without `audio`, the names of such files.

    Raises
    ------
    UserError
        The folder has something in it, there is nothing to write yet, or another format than `csv` is asked for of a
        corpus with `audio: false`.
    """
    if form != "csv" and not config.corpora[corpus].audio:
        raise UserError(f"{corpus} has audio: false, and {form} holds audio: use csv")
    tables = gather(config, corpus)
    with _new_folder(output) as folder:
        return _writer(form)(tables, folder, audio)


def _writer(form: Format) -> Callable[[LabelTables, Path, bool], list[str]]:
    """Return what writes a format; its library is imported here."""
    match form:
        case "csv":
            return lambda tables, folder, audio: write_csv(tables, folder)
        case "audformat":
            from avpretext.interchange import audformat_database

            return audformat_database.write
        case "datasets":
            from avpretext.interchange import hub_dataset

            return hub_dataset.write
        case "emobox":
            from avpretext.interchange import emobox_lists

            return emobox_lists.write
        case "lhotse":
            from avpretext.interchange import lhotse_shar

            return lhotse_shar.write


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
