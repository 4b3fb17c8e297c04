"""What a run was done on: corpora, refused clips, pseudo-labels, and what made each artefact."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from avpretext import shards
from avpretext.config import LABELLED_TASKS, Config, CorpusOptions
from avpretext.corpora.settings import Setting, settings_of
from avpretext.evaluation import sound_summary
from avpretext.flow.artefacts import STAGES
from avpretext.flow.paths import Layout
from avpretext.flow.schemas import REASONS
from avpretext.names import alike, quoted

Rows = list[dict[str, Any]]

SHARDED = (
    "index",
    "segment",
    "split",
    "speech",
    "log_mel",
    "functionals",
    "statistics",
    "landmarks",
    "motion",
    "action_units",
)
"""Stages with one artefact per shard, in the order of the flow."""


def present(paths: Sequence[str]) -> list[str]:
    """Return the files that exist: not every stage runs for every corpus."""
    return [path for path in paths if Path(path).is_file()]


def read_present(paths: Sequence[str], columns: Sequence[str] | None = None) -> pl.DataFrame | None:
    """Read those shards that exist as one data frame; None if none does."""
    files = present(paths)
    return shards.read(files, columns) if files else None


def clip_shards(name: str, corpus: CorpusOptions, layout: Layout) -> list[str]:
    """Return the shards that list the clips of a corpus: cut from its recordings, or its files themselves."""
    return layout.shards(name, corpus.clips_stage, corpus.shards)


def targets_of(name: str, setting: Setting, layout: Layout) -> pl.DataFrame | None:
    """Return clip_id, label and values of the clips that have a target; None before `targets` has run."""
    rows = read_present([layout.targets(name, setting.target_name)], ["clip_id", "label", "values"])
    return None if rows is None else rows.filter(pl.col("values").is_not_null())


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
    """Describe each corpus: clips kept and refused, speakers, labelled clips, hours of speech kept, duplicates.

    `unknown_speakers` are clips, `alike_speakers` names that are nearly equal.

    Clips are duplicates where another clip of the corpus has the same audio; all of them are counted.
    """
    refused = rejects_of(config, layout)
    return [_corpus_row(name, corpus, layout, refused) for name, corpus in config.corpora.items()]


def kept_clips(name: str, corpus: CorpusOptions, layout: Layout, refused: pl.DataFrame) -> pl.DataFrame | None:
    """Return clip_id and speaker of the clips that no stage refused; None before they are listed."""
    clips = read_present(clip_shards(name, corpus, layout), ["clip_id", "speaker"])
    # What was refused before the clips were listed is not among them, and may bear the clip_id of one that is.
    later = refused.filter(pl.col("corpus") == name, ~pl.col("stage").is_in(["index", "segment"]))
    return None if clips is None else clips.join(later, on="clip_id", how="anti", maintain_order="left")


def _corpus_row(name: str, corpus: CorpusOptions, layout: Layout, refused: pl.DataFrame) -> dict[str, Any]:
    settings = settings_of(corpus)
    kept = kept_clips(name, corpus, layout, refused)
    if kept is None:
        kept = pl.DataFrame(schema={"clip_id": pl.String, "speaker": pl.String})
    columns = ["clip_id", "duration_s", "content", *sound_summary.COLUMNS]
    audio = read_present(layout.shards(name, "split", corpus.shards, "audio"), columns)
    heard = None if audio is None else audio.join(kept, on="clip_id", how="semi")
    targets = targets_of(name, settings[0], layout) if settings else None
    lost = refused.filter(pl.col("corpus") == name).select("clip_id", "path").unique().height
    total = kept.height + lost
    return {
        "corpus": name,
        "reader": corpus.reader,
        "use": "+".join(corpus.use),
        "video": corpus.video,
        "synthetic": corpus.synthetic,
        "target": "+".join(setting.target_name for setting in settings) or None,
        "clips": kept.height,
        "labelled": 0 if targets is None else targets.join(kept, on="clip_id", how="semi").height,
        "speakers": kept["speaker"].drop_nulls().n_unique(),
        "unknown_speakers": kept["speaker"].null_count(),
        "alike_speakers": quoted(alike(kept["speaker"].unique()), most=20) or None,
        "hours": 0.0 if heard is None else float(heard["duration_s"].sum()) / 3600,
        "duplicates": 0 if heard is None else int(heard["content"].drop_nulls().is_duplicated().sum()),
        **sound_summary.counts(heard),
        "refused": lost,
        "refused_share": lost / total if total else None,
    }


def label_balance_rows(config: Config, layout: Layout) -> Rows:
    """Count pseudo-labels per corpus and task, and the labels to learn per target, with each one's share.

    Shares are of the chunks or clips; of a target of several labels per clip they need not add up to 1.
    """
    rows: Rows = []
    refused = rejects_of(config, layout)
    for name, corpus in config.corpora.items():
        for task in LABELLED_TASKS:
            labels = read_present([layout.corpus(name, f"labels_{task}")])
            if labels is not None:
                counts = emotion_counts(labels) if task == "emotion" else chunk_counts(labels)
                rows += _shares({"corpus": name, "task": task}, counts, sum(counts.values()))
        kept = kept_clips(name, corpus, layout, refused)
        for setting in settings_of(corpus):
            rows += [] if kept is None else _target_balance(name, setting, kept, layout)
    return rows


def _target_balance(name: str, setting: Setting, kept: pl.DataFrame, layout: Layout) -> Rows:
    """Count the labels of one target among the clips kept."""
    # It brings scikit-learn with it, a second that who looks at a clip need not wait for.
    from avpretext.evaluation.kinds import SCORINGS

    targets = targets_of(name, setting, layout)
    clips = pl.DataFrame() if targets is None else targets.join(kept, on="clip_id", how="semi")
    if clips.is_empty():
        return []
    classes = shards.read_provenance(layout.targets(name, setting.target_name)).get("classes", [])
    counts = SCORINGS[setting.kind].balance(clips, classes)
    return _shares({"corpus": name, "task": "target", "target": setting.target_name}, counts, clips.height)


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


def _shares(named: dict[str, Any], counts: Mapping[str, float], total: float) -> Rows:
    return [
        {**named, "label": label, "count": count, "share": count / total if total else None}
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
        for setting in settings_of(corpus):
            found += _of_setting(name, setting, config, layout)
    found += [
        (tasks, "pretrain", [layout.pretrain(config.variant.aggregator, tasks, "history.parquet")])
        for tasks in config.task_sets()
    ]
    return [(name, stage, files) for name, stage, paths in found if (files := present(paths))]


def _of_setting(name: str, setting: Setting, config: Config, layout: Layout) -> list[tuple[str, str, list[str]]]:
    """Return (corpus, stage, files) of what is made for one target and protocol of a corpus."""
    starts = config.initialisations()
    return [
        (name, "targets", [layout.targets(name, setting.target_name)]),
        (name, "folds", [layout.folds(name, setting.name)]),
        *(
            (name, "finetune", [layout.finetune(name, setting.name, config.variant.name, s, "predictions.parquet")])
            for s in starts
        ),
        (name, "baseline", [layout.baseline(name, setting.name)]),
        (name, "evaluate", [layout.evaluate(name, setting.name, "metrics")]),
    ]


def provenance_rows(config: Config, layout: Layout) -> Rows:
    """Say what made the artefacts: a row for each different provenance of a stage, in the order of the flow."""
    rows: Rows = []
    for name, stage, files in artefacts(config, layout):
        made: dict[str, int] = Counter()
        for file in files:
            made_by = {**shards.read_provenance(file), "machine": shards.read_machine(file)}
            made[json.dumps(made_by, sort_keys=True, allow_nan=False)] += 1
        rows += [_provenance_row(name, stage, json.loads(text), count) for text, count in sorted(made.items())]
    merged: dict[str, dict[str, Any]] = {}
    for row in rows:
        key = json.dumps({**row, "files": None}, sort_keys=True, allow_nan=False)
        merged[key] = {**row, "files": row["files"] + merged[key]["files"]} if key in merged else row
    return sorted(merged.values(), key=lambda row: list(STAGES).index(row["stage"]))


def _provenance_row(name: str, stage: str, made_by: dict[str, Any], files: int) -> dict[str, Any]:
    return {
        "of": name,
        "stage": stage,
        "files": files,
        "stage_version": made_by.get("stage_version"),
        "package_version": made_by.get("package_version"),
        "models": json.dumps(made_by.get("models", {}), sort_keys=True, allow_nan=False),
        "options": json.dumps(made_by.get("options", {}), sort_keys=True, allow_nan=False),
        "machine": json.dumps(made_by["machine"], sort_keys=True, allow_nan=False),
    }


def machines(provenance: Rows) -> list[dict[str, Any]]:
    """Return the machines that artefacts were made on, with versions of software, and how many files each made.

    Parameters
    ----------
    provenance
        From `provenance_rows`.
    """
    files: dict[str, int] = Counter()
    capability: dict[str, str] = {}
    for row in provenance:
        facts = json.loads(row["machine"])
        # Only stages that load torch tell it, which holds for what else the machine made.
        known, text = facts.pop("cpu_capability", ""), json.dumps(facts)
        capability[text] = known or capability.get(text, "")
        files[text] += row["files"]
    return [{**json.loads(text), "cpu_capability": capability[text], "files": count} for text, count in files.items()]
