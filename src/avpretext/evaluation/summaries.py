"""The tables `corpora`, `rejects` and `provenance`: what a run was done on, and what made its artefacts."""

import json
from collections import Counter
from typing import Any

import polars as pl

from avpretext import shards
from avpretext.corpora.settings import settings_of
from avpretext.evaluation import sound_summary
from avpretext.evaluation.open_run import WHOLE, OpenRun, Rows, present
from avpretext.flow.schemas import REASONS
from avpretext.flow.stages import STAGES
from avpretext.names import alike, quoted

SHARDED = ("index", "segment", "split", "speech", "log_mel", "functionals", "statistics", "landmarks", "motion",
           "action_units")  # fmt: skip
"""Stages with one artefact per shard, in the order of the flow."""

PARTS = {"split": "audio"}
"""Of a stage with several artefacts, the one that tells what made it."""


def rejects_rows(run: OpenRun) -> Rows:
    """Count refused clips per corpus, stage and reason, with the reason in words."""
    counts = run.refused.group_by("corpus", "stage", "reason", maintain_order=True).len("clips")
    return [row | {"meaning": REASONS.get(row["reason"], "")} for row in counts.to_dicts()]


def corpora_rows(run: OpenRun) -> Rows:
    """Describe each corpus: clips kept and refused, speakers, labelled clips, hours of speech kept, duplicates.

    `unknown_speakers` are clips, `alike_speakers` names that are nearly equal.

    Clips are duplicates where another clip of the corpus has the same audio; all of them are counted.
    """
    return [_corpus_row(run, name) for name in run.config.corpora]


def _corpus_row(run: OpenRun, name: str) -> dict[str, Any]:
    corpus = run.config.corpora[name]
    settings = settings_of(corpus)
    kept = run.kept(name)
    if kept is None:
        kept = pl.DataFrame(schema={"clip_id": pl.String, "speaker": pl.String})
    audio = run.read(name, "split", ["clip_id", "duration_s", "content", *sound_summary.COLUMNS], "audio")
    heard = None if audio is None else audio.join(kept, on="clip_id", how="semi")
    targets = run.targets(name, settings[0]) if settings else None
    lost = run.refused.filter(pl.col("corpus") == name).select("clip_id", "path").unique().height
    total = kept.height + lost
    return {
        "corpus": name,
        "reader": corpus.reader,
        "use": "+".join(corpus.use),
        "video": corpus.video,
        "synthetic": corpus.synthetic,
        "target": "+".join(setting.target_name for setting in settings) or None,
        "clips": kept.height,
        "labelled": 0 if targets is None else targets[0].join(kept, on="clip_id", how="semi").height,
        "speakers": kept["speaker"].drop_nulls().n_unique(),
        "unknown_speakers": kept["speaker"].null_count(),
        "alike_speakers": quoted(alike(kept["speaker"].unique()), most=20) or None,
        "hours": 0.0 if heard is None else float(heard["duration_s"].sum()) / 3600,
        "duplicates": 0 if heard is None else int(heard["content"].drop_nulls().is_duplicated().sum()),
        **sound_summary.counts(heard),
        "refused": lost,
        "refused_share": lost / total if total else None,
    }


def artefacts(run: OpenRun) -> list[tuple[str, str, list[str]]]:
    """Return (corpus or run, stage, files) for everything that the flow has written so far."""
    config, layout = run.config, run.layout
    found: list[tuple[str, str, list[str]]] = []
    for name, corpus in config.corpora.items():
        found += [(name, stage, run.files(name, stage, PARTS.get(stage))) for stage in (*SHARDED, *WHOLE)]
        for setting in settings_of(corpus):
            finetuned = [
                layout.finetune(name, setting.name, config.variant.name, start, "predictions.parquet")
                for start in config.initialisations()
            ]
            paths = {
                "targets": [layout.targets(name, setting.target_name)], "folds": [layout.folds(name, setting.name)],
                "finetune": finetuned, "baseline": [layout.baseline(name, setting.name)],
                "evaluate": [layout.evaluate(name, setting.name, "metrics")],
            }  # fmt: skip
            found += [(name, stage, [path]) for stage, files in paths.items() for path in present(files)]
    for tasks in config.task_sets():
        history = layout.pretrain(config.variant.aggregator, tasks, "history.parquet")
        found.append((tasks, "pretrain", present([history])))
    return [(name, stage, files) for name, stage, files in found if files]


def provenance_rows(run: OpenRun) -> Rows:
    """Say what made the artefacts: a row for each different provenance of a stage, in the order of the flow."""
    files: dict[str, int] = Counter()
    for name, stage, paths in artefacts(run):
        made = ({**shards.read_provenance(path), "machine": shards.read_machine(path)} for path in paths)
        for text in sorted(_as_json(made_by) for made_by in made):
            files[json.dumps(_provenance_row(name, stage, json.loads(text)))] += 1
    rows = [json.loads(text) | {"files": count} for text, count in files.items()]
    return sorted(rows, key=lambda row: list(STAGES).index(row["stage"]))


def _provenance_row(name: str, stage: str, made_by: dict[str, Any]) -> dict[str, Any]:
    versions = {key: made_by.get(key) for key in ("stage_version", "package_version")}
    details = {key: _as_json(made_by.get(key, {})) for key in ("models", "options", "machine")}
    return {"of": name, "stage": stage, "files": 0, **versions, **details}


def _as_json(facts: dict[str, Any]) -> str:
    return json.dumps(facts, sort_keys=True, allow_nan=False)


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
