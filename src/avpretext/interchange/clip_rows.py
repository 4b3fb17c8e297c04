"""All labels of a clip in one row: what formats with a row or an entry per clip are written from."""

import polars as pl

from avpretext.interchange.label_tables import LabelTables, TargetTable

CLIP = ("clip_id", "speaker", "sentence", "level", "duration_s", "path", "start_s", "end_s")
CHUNK = ("start_s", "end_s", "label", "value", "confidence")


def clip_rows(tables: LabelTables) -> pl.DataFrame:
    """Return a row per clip, in the order of `tables.clips`.

    The columns are clip_id, speaker, sex, age, sentence, level, duration_s, path, start_s, end_s; `target.NAME`, the
    label, number or a number per class; `votes.NAME`, raters per class; `pseudo.emotion` with `.outcome` and
    `.confidence`; `pseudo.energy`, `pseudo.activation`, a list of chunks with start_s, end_s, label, value,
    confidence. What is not known is null.
    """
    people = tables.speakers.select("speaker", "sex", "age")
    rows = tables.clips.select(CLIP).join(people, on="speaker", how="left", maintain_order="left")
    parts = [_target(name, target) for name, target in tables.targets.items()]
    parts += [] if tables.emotion is None else [_emotion(tables.emotion)]
    parts += [_chunks(task, of_chunks) for task, of_chunks in tables.chunks.items()]
    for part in parts:
        rows = rows.join(part, on="clip_id", how="left", maintain_order="left")
    return rows


def _target(name: str, target: TargetTable) -> pl.DataFrame:
    values = [f"values.{one}" for one in target.classes]
    if target.kind == "hard":
        found = pl.col("label").cast(pl.String)
    elif target.kind == "attribute":
        found = pl.col(values[0])
    else:
        found = _listed(values)
    votes = [column for column in target.rows.columns if column.startswith("votes.")]
    of_raters = [_listed(votes).alias(f"votes.{name}")] if votes else []
    return target.rows.select("clip_id", found.alias(f"target.{name}"), *of_raters)


def _listed(columns: list[str]) -> pl.Expr:
    """Return columns as a list; null where the first is."""
    return pl.when(pl.col(columns[0]).is_not_null()).then(pl.concat_list(columns))


def _emotion(rows: pl.DataFrame) -> pl.DataFrame:
    named = {"label": "pseudo.emotion", "outcome": "pseudo.emotion.outcome", "confidence": "pseudo.emotion.confidence"}
    return rows.select("clip_id", *(pl.col(old).alias(new) for old, new in named.items()))


def _chunks(task: str, rows: pl.DataFrame) -> pl.DataFrame:
    together = rows.group_by("clip_id", maintain_order=True).agg(pl.struct(CHUNK).alias(f"pseudo.{task}"))
    return together.select("clip_id", f"pseudo.{task}")
