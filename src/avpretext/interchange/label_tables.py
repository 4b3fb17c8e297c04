"""All that is known of the clips of a corpus, gathered from its shards: what every format is written from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from avpretext import shards
from avpretext.config import Config
from avpretext.corpora import published_of, reader_of
from avpretext.corpora.reader import Person
from avpretext.errors import UserError
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.tasks import CHUNK_TASKS, LABELLED
from avpretext.progress import progress

FACES = ("landmarks", "action_units")

LEVELS = {0: "low", 1: "high"}
"""Labels of chunks in words."""


@dataclass(frozen=True)
class TargetTable:
    """One label target: `rows` has clip_id, label, `values.CLASS` and, where raters voted, `votes.CLASS`.

    `classes` are what the numbers of a clip stand for; of an attribute its name.
    """

    kind: str
    classes: list[str]
    rows: pl.DataFrame


@dataclass(frozen=True)
class LabelTables:
    """What is known of a corpus.

    Attributes
    ----------
    clips
        clip_id, speaker, sentence, level, recording, path, start_s, end_s (in that file, null: its ends), duration_s.
    speakers
        speaker, clips, duration_s, sex, age; the last two null where the corpus does not know them.
    chunks
        Task to clip_id, chunk, start_s, end_s (in the clip), value, label (`low`, `high`, null), confidence, threshold.
    emotion
        A row per clip, as the stage `labels_emotion` writes it; None if it has not run.
    folds
        Name of a setting to fold, name, part, clip_id of clips of this corpus.
    audio
        Shards of `split.audio`.
    faces
        `landmarks` and `action_units`, as far as they have been made, to their shards.
    made_by
        Stage to its provenance.
    licence
        What the reader knows of it; empty where it knows nothing.
    """

    corpus: str
    clips: pl.DataFrame
    speakers: pl.DataFrame
    chunks: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    emotion: pl.DataFrame | None = None
    targets: Mapping[str, TargetTable] = field(default_factory=dict)
    folds: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    audio: tuple[Path, ...] = ()
    faces: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    made_by: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    synthetic: bool = False


def file_of(clip_id: str) -> str:
    """Return the name of the audio file of a clip, relative to the database.

    >>> file_of("anna/monday")
    'audio/anna/monday.flac'
    """
    return f"audio/{clip_id}.flac"


def gather(config: Config, corpus: str) -> LabelTables:
    """Read what the workflow has made of a corpus so far; it is an error if nothing has been labelled."""
    run, options = OpenRun(config), config.corpora[corpus]
    published = published_of(options)
    plan, layout = run.plan, run.layout
    audio = plan.shards(corpus, "split.audio")
    found = shards.read(plan.shards(corpus, plan.clips(corpus)))
    decoded = shards.read(audio, ["clip_id", "duration_s"])
    wanted = ["clip_id", "speaker", "sentence", "level", "recording", "path", "start_s", "end_s"]
    clips = found.select(wanted).join(decoded, on="clip_id").sort("clip_id")
    present = {task.stage: run.labels(corpus, task.name) for task in LABELLED.values() if run.files(corpus, task.stage)}
    targets = {name: Path(layout.path("targets", corpus=corpus, target=name)) for name in plan.targets[corpus]}
    settings = {name: Path(layout.path("folds", corpus=corpus, setting=name)) for name in plan.settings[corpus]}
    if not present and not any(path.is_file() for path in targets.values()):
        raise UserError(f"{layout.folder / corpus}: there are no labels of {corpus!r} yet; run the workflow first")
    words = pl.col("label").replace_strict(LEVELS, return_dtype=pl.String)
    of_chunks = {task: rows for task in CHUNK_TASKS if (rows := present.get(f"labels_{task}")) is not None}
    return LabelTables(
        corpus,
        clips,
        speaker_table(clips, reader_of(options).people(options)),
        {task: rows.with_columns(words) for task, rows in of_chunks.items()},
        present.get("labels_emotion"),
        {name: target_table(path) for name, path in targets.items() if path.is_file()},
        {name: fold_table(path, corpus) for name, path in settings.items() if path.is_file()},
        tuple(map(Path, audio)),
        {name: tuple(map(Path, files)) for name in FACES if (files := run.files(corpus, name))},
        {stage: run.made_by(corpus, stage) for stage in present},
        "" if published is None else f"{published.name}: {published.licence}",
        options.synthetic,
    )


def iterate_audio(tables: LabelTables) -> Iterator[tuple[str, str, bytes]]:
    """Yield (name of the shard, clip_id, its FLAC file) of all clips, with a line of progress."""
    for shard in progress(tables.audio, total=len(tables.audio), unit="shards", label=f"labels-to {tables.corpus}"):
        for clip_id, rows in shards.iterate_clips(shard, ["audio"]):
            yield shard.name, clip_id, rows["audio"][0]["bytes"].as_py()


def write_audio(tables: LabelTables, folder: Path) -> None:
    """Write the audio of every clip as the FLAC file that the tables name."""
    for _, clip_id, content in iterate_audio(tables):
        file = folder / file_of(clip_id)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def speaker_table(clips: pl.DataFrame, people: Mapping[str, Person]) -> pl.DataFrame:
    """Return who speaks in how many clips, for how long, and what is known of them."""
    known = clips.drop_nulls("speaker").group_by("speaker").agg(pl.len().alias("clips"), pl.col("duration_s").sum())
    names = known.sort("speaker")["speaker"].to_list()
    persons = [people.get(name, Person()) for name in names]
    return known.sort("speaker").with_columns(
        pl.Series("sex", [person.sex for person in persons], pl.String),
        pl.Series("age", [person.age for person in persons], pl.Int32),
    )


def target_table(path: Path) -> TargetTable:
    """Return a table of label targets with a column per class in place of lists."""
    made_by, rows = shards.read_provenance(path), shards.read(path)
    classes = list(made_by["classes"])
    lists = [name for name in ("values", "votes") if rows[name].null_count() < len(rows)]
    columns = [
        pl.col(name).list.get(place, null_on_oob=True).alias(f"{name}.{one}")
        for name in lists
        for place, one in enumerate(classes)
    ]
    return TargetTable(made_by["kind"], classes, rows.select("clip_id", "label", *columns).sort("clip_id"))


def fold_table(path: Path, corpus: str) -> pl.DataFrame:
    """Return the folds of a corpus: fold, name, part, clip_id; sorted by fold, part and clip_id."""
    rows = shards.read(path).filter(pl.col("corpus") == corpus)
    return rows.select("fold", "name", "part", "clip_id").sort("fold", "part", "clip_id")
