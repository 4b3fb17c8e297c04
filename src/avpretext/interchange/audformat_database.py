"""The labels of a corpus as a database of audformat, the interchange format of audEERING's tools.

Files are the 16 kHz audio of `split`, on whose clock all times stand: `audio/CLIP_ID.flac`. What came from where:

- tables `clips`, `pseudo.energy`, `pseudo.activation` (segmented: a row per chunk), `pseudo.emotion`, `target.NAME`;
- a table and a split for each part of each fold, `SETTING.FOLD.PART`, so that `db.get("target.acted",
  splits="acted.speaker_kfold.1.test")` works;
- a miscellaneous table `speaker`, which is the scheme of the column `speaker`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import audformat
import numpy as np
import pandas as pd
import polars as pl

from avpretext import __version__
from avpretext.flow.tasks import LABELLED
from avpretext.interchange.label_tables import LEVELS, LabelTables, TargetTable, file_of, write_audio

RATER = "avpretext"
SPLITS = {"train": "train", "dev": "dev", "test": "test"}


def write(tables: LabelTables, folder: Path, audio: bool) -> list[str]:
    """Write the database, with `audio` the files too; return the names of its tables."""
    made = database(tables)
    made.save(str(folder), storage_format="csv")
    if audio:
        write_audio(tables, folder)
    return [*made.tables, *made.misc_tables]


def database(tables: LabelTables) -> audformat.Database:
    """Return the labels of a corpus as an audformat database, not yet saved."""
    db = audformat.Database(
        tables.corpus,
        source="avpretext",
        usage=audformat.define.Usage.OTHER,
        description="Pseudo-labels, label targets and folds. The licence is that of the corpus.",
        meta={"avpretext": {"package_version": __version__, **tables.made_by}},
    )
    db.media["audio"] = audformat.Media(
        audformat.define.MediaType.AUDIO, format="flac", sampling_rate=16_000, channels=1, bit_depth=16
    )
    db.raters[RATER] = audformat.Rater(
        audformat.define.RaterType.MACHINE, description="derived from the signal and the face, not by a person"
    )
    _add_speakers(db, tables.speakers)
    _add_clips(db, tables.clips)
    for task, rows in tables.chunks.items():
        _add_chunks(db, task, rows)
    if tables.emotion is not None:
        _add_emotion(db, tables.emotion)
    for name, target in tables.targets.items():
        _add_target(db, name, target)
    for setting, rows in tables.folds.items():
        _add_folds(db, setting, rows, tables.targets)
    return db


def _files(clip_ids: Iterable[str]) -> pd.Index:
    return audformat.filewise_index([file_of(clip_id) for clip_id in clip_ids])


def _time(seconds: pl.Series) -> pd.Series:
    """Return times to the microsecond, so that .21 s is no .20999 s; null stays null."""
    microseconds = (seconds * 1e6).round().to_numpy()
    return pd.Series(pd.to_timedelta(microseconds, unit="us"))


def _new(db: audformat.Database, name: str, index: pd.Index, description: str) -> audformat.Table:
    """Add a table about the audio, and return it."""
    db[name] = audformat.Table(index, media_id="audio", description=description)
    return db[name]


def _fill(table: audformat.Table, column: str, scheme: str, values: Sequence[object] | pd.Series, rated: bool) -> None:
    table[column] = audformat.Column(scheme_id=scheme, rater_id=RATER if rated else None)
    table[column].set(values)


def _add_speakers(db: audformat.Database, known: pl.DataFrame) -> None:
    """Add the table of speakers, which is the scheme of whoever speaks; sex and age where any is known."""
    db.schemes["clips"] = audformat.Scheme("int", minimum=0, description="number of clips")
    db.schemes["duration"] = audformat.Scheme("time", description="length of the audio")
    table = audformat.MiscTable(pd.Index(known["speaker"].to_list(), name="speaker", dtype="string"))
    db["speaker"] = table
    _fill(table, "clips", "clips", known["clips"].to_list(), rated=False)
    _fill(table, "duration", "duration", _time(known["duration_s"]), rated=False)
    if known["sex"].null_count() < len(known):
        sexes = [audformat.define.Gender.FEMALE, audformat.define.Gender.MALE]
        db.schemes["sex"] = audformat.Scheme("str", labels=sexes, description="as the corpus says")
        _fill(table, "sex", "sex", known["sex"].to_list(), rated=False)
    if known["age"].null_count() < len(known):
        db.schemes["age"] = audformat.Scheme("int", minimum=0, description="in years, as the corpus says")
        _fill(table, "age", "age", known["age"].to_list(), rated=False)
    db.schemes["speaker"] = audformat.Scheme("str", labels="speaker", description="who speaks")


def _add_clips(db: audformat.Database, clips: pl.DataFrame) -> None:
    table = _new(db, "clips", _files(clips["clip_id"]), "what the corpus knows of a clip")
    _fill(table, "speaker", "speaker", clips["speaker"].to_list(), rated=False)
    _fill(table, "duration", "duration", _time(clips["duration_s"]), rated=False)
    told = {
        "clip_id": "name of the clip",
        "sentence": "what is said, as the corpus names it",
        "level": "how strongly, as the corpus names it",
        "recording": "the long recording that it was cut from",
        "path": "the source, relative to the folder of the corpus",
    }
    for name, description in told.items():
        db.schemes[name] = audformat.Scheme("str", description=description)
        _fill(table, name, name, clips[name].to_list(), rated=False)
    for name, place in (("start_s", "start"), ("end_s", "end")):
        db.schemes[f"path.{place}"] = audformat.Scheme("time", description=f"{place} of the clip in its source")
        _fill(table, f"path.{place}", f"path.{place}", _time(clips[name].cast(pl.Float64)), rated=False)


def _add_chunks(db: audformat.Database, task: str, rows: pl.DataFrame) -> None:
    """Add the labels of chunks. Chunks of one clip that cover the same stretch have the same label, and stand once."""
    rows = rows.unique(["clip_id", "start_s", "end_s"], keep="first", maintain_order=True)
    what, unit = LABELLED[task].value
    name = f"pseudo.{task}"
    db.schemes[name] = audformat.Scheme("str", labels=list(LEVELS.values()), description=f"{what}: high or low")
    db.schemes[f"{name}.value"] = audformat.Scheme("float", description=f"{what}, in {unit}")
    db.schemes[f"{name}.threshold"] = audformat.Scheme("float", description=f"above it is high, in {unit}")
    db.schemes["confidence"] = audformat.Scheme("float", minimum=0, maximum=1, description="of a pseudo-label")
    files = [file_of(clip_id) for clip_id in rows["clip_id"]]
    index = audformat.segmented_index(files, _time(rows["start_s"]), _time(rows["end_s"]))
    table = _new(db, name, index, f"pretext task {task}, a row per chunk")
    _fill(table, task, name, rows["label"].to_list(), rated=True)
    schemes = {"value": f"{name}.value", "confidence": "confidence", "threshold": f"{name}.threshold"}
    for column, scheme in schemes.items():
        _fill(table, column, scheme, _numbers(rows[column]), rated=True)


def _numbers(values: pl.Series) -> Sequence[float]:
    """Return numbers as float64, NaN where there is none."""
    numbers: list[float] = np.asarray(values.cast(pl.Float64).to_numpy(), dtype=np.float64).tolist()
    return numbers


def _add_emotion(db: audformat.Database, rows: pl.DataFrame) -> None:
    emotions = [name.removeprefix("score_") for name in rows.columns if name.startswith("score_")]
    db.schemes["pseudo.emotion"] = audformat.Scheme("str", labels=emotions, description="emotion that the face shows")
    db.schemes["outcome"] = audformat.Scheme(
        "str", labels=["labelled", "none", "ambiguous", "unmeasured"], description="what became of the clip"
    )
    db.schemes["score"] = audformat.Scheme("float", description="how well action units fit an emotion, 0 to 1")
    db.schemes["confidence"] = audformat.Scheme("float", minimum=0, maximum=1, description="of a pseudo-label")
    table = _new(db, "pseudo.emotion", _files(rows["clip_id"]), "pretext task emotion, a row per clip")
    _fill(table, "emotion", "pseudo.emotion", rows["label"].to_list(), rated=True)
    _fill(table, "outcome", "outcome", rows["outcome"].to_list(), rated=True)
    _fill(table, "confidence", "confidence", _numbers(rows["confidence"]), rated=True)
    for emotion in emotions:
        _fill(table, f"score.{emotion}", "score", _numbers(rows[f"score_{emotion}"]), rated=True)


def _add_target(db: audformat.Database, name: str, target: TargetTable) -> None:
    scheme = f"target.{name}"
    if target.kind == "hard":
        db.schemes[scheme] = audformat.Scheme("str", labels=target.classes, description="label that is learnt")
    elif target.kind == "multi_label":
        db.schemes[scheme] = audformat.Scheme("bool", description="true: the class is among the labels of the clip")
    else:
        what = "share of the votes" if target.kind == "distribution" else "number that is learnt"
        db.schemes[scheme] = audformat.Scheme("float", description=what)
    table = _new(db, scheme, _files(target.rows["clip_id"]), f"label target {name}")
    _fill_target(table, name, target, target.rows)
    voted = [column for column in target.rows.columns if column.startswith("votes.")]
    if voted:
        db.schemes["votes"] = audformat.Scheme("float", minimum=0, description="raters who chose a class")
    for column in voted:
        _fill(table, column, "votes", _numbers(target.rows[column]), rated=False)


def _fill_target(table: audformat.Table, name: str, target: TargetTable, rows: pl.DataFrame) -> None:
    """Fill in the label of a target; for several classes, or shares, a column for each."""
    scheme = f"target.{name}"
    if target.kind == "hard":
        _fill(table, name, scheme, rows["label"].to_list(), rated=False)
        return
    for one in target.classes:
        values = rows[f"values.{one}"]
        column = name if target.kind == "attribute" else f"{name}.{one}"
        of_kind = (values > 0).to_list() if target.kind == "multi_label" else _numbers(values)
        _fill(table, column, scheme, of_kind, rated=False)


def _add_folds(db: audformat.Database, setting: str, rows: pl.DataFrame, targets: Mapping[str, TargetTable]) -> None:
    """Add a split and a table for each part of each fold; clips that a fold drops are in none."""
    target = setting.rpartition(".")[0]
    for (_, name, part), of_part in rows.group_by("fold", "name", "part", maintain_order=True):
        if part not in SPLITS:
            continue
        split = f"{setting}.{name}.{part}"
        db.splits[split] = audformat.Split(SPLITS[str(part)], description=f"{part} of fold {name} of {setting}")
        table = audformat.Table(_files(of_part["clip_id"]), split_id=split, media_id="audio")
        db[split] = table
        if target in targets:
            known = of_part.join(targets[target].rows, on="clip_id", how="left", maintain_order="left")
            _fill_target(table, target, targets[target], known)
