"""The labels of a corpus as a dataset of the Hugging Face hub: Parquet files with the audio, and a card.

A fold is a configuration with the splits train, validation and test. Clips that are in the same part of every fold
share their files, so that no audio is written twice, and no clip of a test split is in the train split beside it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import yaml

from avpretext import __version__, escapes, shards
from avpretext.interchange.clip_rows import clip_rows
from avpretext.interchange.label_tables import LabelTables, iterate_audio

SPLITS = {"train": "train", "dev": "validation", "test": "test"}
ALL, CLIPS = "all", "clips"
"""Configuration with every clip, and its split, which must not be named `all`."""

SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
COLUMNS = f"""\
- The configuration `{ALL}` has every clip. Each other one is a fold: train, validation and test share no clip; clips
  that the fold leaves out are in none.
- `target.*`: labels that people gave, or that the corpus names; `votes.*`: raters for each class.
- `pseudo.*`: derived from the signal and the face by a program, not by a person. `confidence` is 0 to 1; null: not
  known. Emotion labels of faces are often wrong."""

OPEN_FILES = 200
ROWS_AT_ONCE = 20
"""Clips that are held for each open file, audio and all."""


def write(tables: LabelTables, folder: Path, audio: bool) -> list[str]:
    """Write `data/*.parquet` and `README.md`; return the names of the configurations."""
    rows, places = clip_rows(tables), _places(tables)
    files = {
        clip_id: f"data/{number:04d}.parquet"
        for clip_id, number in _numbered(places, rows["clip_id"].to_list()).items()
    }
    (folder / "data").mkdir()
    schema = _schema(rows, tables, audio)
    named = sorted(set(files.values()))
    for start in range(0, len(named), OPEN_FILES):
        _write_files(tables, rows, files, set(named[start : start + OPEN_FILES]), schema, folder)
    configurations = _configurations(places, files)
    (folder / "README.md").write_text(_card(tables, rows, configurations), "utf-8")
    return [str(one["config_name"]) for one in configurations]


def _places(tables: LabelTables) -> dict[str, dict[str, str]]:
    """Return {name of setting and fold: {clip_id: split}}; clips that a fold drops are not in it."""
    found: dict[str, dict[str, str]] = {}
    for setting, rows in tables.folds.items():
        for name, part, clip_id in rows.select("name", "part", "clip_id").iter_rows():
            if part in SPLITS:
                found.setdefault(f"{setting}.{name}", {})[clip_id] = SPLITS[part]
    return found


def _numbered(places: Mapping[str, Mapping[str, str]], clip_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of each clip's file: one for all clips that are in the same split of every fold."""
    numbers: dict[tuple[str | None, ...], int] = {}
    return {
        clip_id: numbers.setdefault(tuple(fold.get(clip_id) for fold in places.values()), len(numbers))
        for clip_id in clip_ids
    }


def _write_files(
    tables: LabelTables,
    rows: pl.DataFrame,
    files: Mapping[str, str],
    wanted: set[str],
    schema: pa.Schema,
    folder: Path,
) -> None:
    """Write some of the files, all open at a time."""
    of_clip = {row["clip_id"]: row for row in rows.iter_rows(named=True)}
    told = {key.decode(): text.decode() for key, text in (schema.metadata or {}).items()}
    waiting: dict[str, list[dict[str, Any]]] = {name: [] for name in wanted}
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(shards.ShardWriter(folder / name, schema, tables.made_by, beside=told))
            for name in sorted(wanted)
        }
        for _, clip_id, content in iterate_audio(tables):
            if (name := files[clip_id]) not in wanted:
                continue
            waiting[name].append(_entry(of_clip[clip_id], content, tables, schema))
            if len(waiting[name]) == ROWS_AT_ONCE:
                writers[name].write(waiting[name])
                waiting[name] = []
        for name, remaining in waiting.items():
            writers[name].write(remaining)


def _entry(row: Mapping[str, Any], content: bytes, tables: LabelTables, schema: pa.Schema) -> dict[str, Any]:
    """Return a row of a file: classes by their numbers, and the audio."""
    classes = _classes(tables)
    numbered = {
        name: classes[name].index(value) if name in classes and value is not None else value
        for name, value in row.items()
    }
    heard = {"bytes": content, "path": f"{row['clip_id'].replace('/', '_')}.flac"} if "audio" in schema.names else None
    return numbered | ({"audio": heard} if heard else {})


def _classes(tables: LabelTables) -> dict[str, list[str]]:
    """Return {column: classes} of targets with one label per clip."""
    return {f"target.{name}": target.classes for name, target in tables.targets.items() if target.kind == "hard"}


def _schema(rows: pl.DataFrame, tables: LabelTables, audio: bool) -> pa.Schema:
    """Return the columns of the files; their metadata tell `datasets` what is audio and what a class."""
    classes = _classes(tables)
    found = [
        pa.field(field.name, pa.int64() if field.name in classes else _plain(field.type))
        for field in rows.clear().to_arrow().schema
    ]
    features = {field.name: _feature(field.type) for field in found}
    features |= {name: {"names": labels, "_type": "ClassLabel"} for name, labels in classes.items()}
    if audio:
        found.append(pa.field("audio", pa.struct({"bytes": pa.binary(), "path": pa.string()})))
        features["audio"] = {"sampling_rate": 16_000, "_type": "Audio"}
    return pa.schema(found, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _plain(of: pa.DataType) -> pa.DataType:
    """Return a type without the large offsets of polars, which `datasets` would call by other names."""
    if pa.types.is_large_list(of) or pa.types.is_list(of):
        return pa.list_(_plain(of.value_type))
    if pa.types.is_struct(of):
        return pa.struct([pa.field(field.name, _plain(field.type)) for field in of])
    return pa.string() if pa.types.is_large_string(of) or pa.types.is_string_view(of) else of


def _feature(of: pa.DataType) -> dict[str, Any]:
    """Return how `datasets` (4 or newer) writes a type."""
    if pa.types.is_list(of):
        return {"feature": _feature(of.value_type), "_type": "List"}
    if pa.types.is_struct(of):
        return {field.name: _feature(field.type) for field in of}
    names = {pa.float64(): "float64", pa.float32(): "float32"}
    return {"dtype": names.get(of, str(of)), "_type": "Value"}


def _configurations(places: Mapping[str, Mapping[str, str]], files: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the configurations as a card names them."""
    every = [{"split": CLIPS, "path": sorted(set(files.values()))}]
    found: list[dict[str, Any]] = [{"config_name": ALL, "default": True, "data_files": every}]
    for fold, splits in places.items():
        parts = {
            split: sorted({files[clip] for clip, of in splits.items() if of == split}) for split in SPLITS.values()
        }
        data = [{"split": split, "path": paths} for split, paths in parts.items() if paths]
        found.append({"config_name": fold, "data_files": data})
    return found


def _card(tables: LabelTables, rows: pl.DataFrame, configurations: Sequence[Mapping[str, Any]]) -> str:
    size = next((words for limit, words in SIZES.items() if rows.height < limit), "n>1M")
    head = {
        "pretty_name": tables.corpus,
        "license": "other",
        "license_name": "that-of-the-corpus",
        "task_categories": ["audio-classification"],
        "tags": ["speech-emotion-recognition", "pseudo-labels", "avpretext"],
        "size_categories": [size],
        "configs": list(configurations),
    }
    front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + "".join(f"{line}\n" for line in _words(tables, rows))


def _words(tables: LabelTables, rows: pl.DataFrame) -> Iterator[str]:
    hours = float(tables.clips["duration_s"].sum()) / 3600
    yield f"# {escapes.markdown(tables.corpus)}\n"
    yield f"{rows.height} clips of {tables.speakers.height} speakers, {hours:.2f} h of 16 kHz audio.\n"
    if tables.synthetic:
        yield "**Synthetic speech: it shows the way, and knows nothing of real speech.**\n"
    yield f"Licence: {escapes.markdown(tables.licence or 'that of the corpus, which is not known here')}.\n"
    yield COLUMNS
    for name, target in tables.targets.items():
        yield f"- `target.{name}` ({target.kind}): {', '.join(map(escapes.markdown, target.classes))}."
    yield f"\nMade by avpretext {__version__}."
