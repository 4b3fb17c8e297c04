"""What a run was done on: corpora, refused clips, pseudo-labels, and what made each artefact."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from avpretext import corpora, shards
from avpretext.config import TASKS, Config, CorpusOptions
from avpretext.paths import Layout
from avpretext.schemas import REASONS
from avpretext.stages import STAGES

Rows = list[dict[str, Any]]

SHARDED = ("index", "split", "speech", "landmarks", "motion", "action_units")
"""Stages with one artefact per shard, in the order of the flow."""


def present(paths: Sequence[str]) -> list[str]:
    """Return the files that exist: not every stage runs for every corpus."""
    return [path for path in paths if Path(path).is_file()]


def read_present(paths: Sequence[str], columns: Sequence[str] | None = None) -> pl.DataFrame | None:
    """Read those shards that exist as one data frame; None if none does."""
    files = present(paths)
    return shards.read(files, columns) if files else None


def target_of(corpus: CorpusOptions) -> str:
    """Return which label of a corpus is learnt; empty for a corpus without labels."""
    return corpora.target_of(corpus) or ""


def rejects_of(config: Config, layout: Layout) -> pl.DataFrame:
    """Return every refused clip with its corpus: corpus, clip_id, path, stage, reason, detail; sorted."""
    columns = ["corpus", "clip_id", "path", "stage", "reason", "detail"]
    found = [pl.DataFrame(schema=dict.fromkeys(columns, pl.String))]
    for corpus in config.corpora:
        rows = read_present([layout.corpus(corpus, "rejects")])
        if rows is not None:
            found.append(rows.with_columns(pl.lit(corpus).alias("corpus")).select(columns))
    return pl.concat(found).sort("corpus", "stage", "reason", "clip_id", "path", nulls_last=True)


def rejects_rows(config: Config, layout: Layout) -> Rows:
    """Count refused clips per corpus, stage and reason, with the reason in words."""
    counts = rejects_of(config, layout).group_by("corpus", "stage", "reason", maintain_order=True).len("clips")
    return [row | {"meaning": REASONS.get(row["reason"], "")} for row in counts.to_dicts()]


def corpora_rows(config: Config, layout: Layout) -> Rows:
    """Describe each corpus: clips kept and refused, speakers, labelled clips, hours of speech kept."""
    refused = rejects_of(config, layout)
    return [_corpus_row(name, corpus, layout, refused) for name, corpus in config.corpora.items()]


def kept_clips(name: str, corpus: CorpusOptions, layout: Layout, refused: pl.DataFrame) -> pl.DataFrame | None:
    """Return clip_id, speaker and label of the clips that no stage refused; None before `index` has run."""
    index = read_present(layout.shards(name, "index", corpus.shards), ["clip_id", "speaker", "label"])
    # A file refused by `index` never was in it, and may bear the clip_id of one that is.
    later = refused.filter(pl.col("corpus") == name, pl.col("stage") != "index")
    return None if index is None else index.join(later, on="clip_id", how="anti")


def _corpus_row(name: str, corpus: CorpusOptions, layout: Layout, refused: pl.DataFrame) -> dict[str, Any]:
    kept = kept_clips(name, corpus, layout, refused)
    audio = read_present(layout.shards(name, "split", corpus.shards, "audio"), ["clip_id", "duration_s"])
    clips = 0 if kept is None else kept.height
    seconds = 0.0 if kept is None or audio is None else float(audio.join(kept, on="clip_id")["duration_s"].sum())
    lost = refused.filter(pl.col("corpus") == name).select("clip_id", "path").unique().height
    total = clips + lost
    return {
        "corpus": name,
        "reader": corpus.reader,
        "use": "+".join(corpus.use),
        "video": corpus.video,
        "synthetic": corpus.synthetic,
        "target": target_of(corpus) if "finetune" in corpus.use else None,
        "clips": clips,
        "labelled": 0 if kept is None else int(kept["label"].is_not_null().sum()),
        "speakers": 0 if kept is None else kept["speaker"].n_unique() - int(kept["speaker"].has_nulls()),
        "hours": seconds / 3600,
        "refused": lost,
        "refused_share": lost / total if total else None,
    }


def label_balance_rows(config: Config, layout: Layout) -> Rows:
    """Count pseudo-labels per corpus and task, and the labels to learn, with each one's share of the task."""
    rows: Rows = []
    refused = rejects_of(config, layout)
    for name, corpus in config.corpora.items():
        for task in TASKS:
            labels = read_present([layout.corpus(name, f"labels_{task}")])
            if labels is not None:
                counts = emotion_counts(labels) if task == "emotion" else chunk_counts(labels)
                rows += _shares(name, task, counts)
        kept = kept_clips(name, corpus, layout, refused)
        if "finetune" in corpus.use and kept is not None:
            counted = Counter(kept["label"].drop_nulls())
            rows += _shares(name, "target", {label: counted[label] for label in sorted(counted)})
    return rows


def chunk_counts(labels: pl.DataFrame) -> dict[str, int]:
    """Count chunks: high, low, in the dead zone (measured, but left without label), not measured."""
    measured = labels["value"].is_not_null()
    return {
        "high": int((labels["label"] == 1).sum()),
        "low": int((labels["label"] == 0).sum()),
        "dead_zone": int((labels["label"].is_null() & measured).sum()),
        "unmeasured": int((~measured).sum()),
    }


def emotion_counts(labels: pl.DataFrame) -> dict[str, int]:
    """Count clips: each emotion of the table, then those without label by why."""
    emotions = sorted(column.removeprefix("score_") for column in labels.columns if column.startswith("score_"))
    found, outcomes = Counter(labels["label"]), Counter(labels["outcome"])
    without = ("none", "ambiguous", "unmeasured")
    return {name: found[name] for name in emotions} | {name: outcomes[name] for name in without}


def _shares(corpus: str, task: str, counts: dict[str, int]) -> Rows:
    total = sum(counts.values())
    return [
        {"corpus": corpus, "task": task, "label": label, "count": count, "share": count / total if total else None}
        for label, count in counts.items()
    ]


def artefacts(config: Config, layout: Layout) -> list[tuple[str, str, list[str]]]:
    """Return (corpus or run, stage, files) for everything that the flow has written so far."""
    found: list[tuple[str, str, list[str]]] = []
    for name, corpus in config.corpora.items():
        for stage in SHARDED:
            part = "audio" if stage == "split" else None
            found.append((name, stage, layout.shards(name, stage, corpus.shards, part)))
        whole = ("neutral", "rejects", "labels_energy", "labels_activation", "labels_emotion")
        found += [(name, stage, [layout.corpus(name, stage)]) for stage in whole]
        for start in config.initialisations():
            found.append((name, "finetune", [layout.finetune(name, start, "predictions.parquet")]))
        found.append((name, "evaluate", [layout.corpus(name, "evaluate", "metrics")]))
    found += [(tasks, "pretrain", [layout.pretrain(tasks, "history.parquet")]) for tasks in config.task_sets()]
    return [(name, stage, files) for name, stage, paths in found if (files := present(paths))]


def provenance_rows(config: Config, layout: Layout) -> Rows:
    """Say what made the artefacts: a row for each different provenance of a stage, in the order of the flow."""
    rows: Rows = []
    for name, stage, files in artefacts(config, layout):
        made: dict[str, int] = Counter()
        for file in files:
            made[json.dumps(shards.read_provenance(file), sort_keys=True)] += 1
        rows += [_provenance_row(name, stage, json.loads(text), count) for text, count in sorted(made.items())]
    merged: dict[str, dict[str, Any]] = {}
    for row in rows:
        key = json.dumps({**row, "files": None}, sort_keys=True)
        merged[key] = {**row, "files": row["files"] + merged[key]["files"]} if key in merged else row
    return sorted(merged.values(), key=lambda row: list(STAGES).index(row["stage"]))


def _provenance_row(name: str, stage: str, made_by: dict[str, Any], files: int) -> dict[str, Any]:
    return {
        "of": name,
        "stage": stage,
        "files": files,
        "stage_version": made_by.get("stage_version"),
        "package_version": made_by.get("package_version"),
        "models": json.dumps(made_by.get("models", {}), sort_keys=True),
        "options": json.dumps(made_by.get("options", {}), sort_keys=True),
    }
