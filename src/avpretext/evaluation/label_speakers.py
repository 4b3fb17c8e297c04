"""What each speaker contributes: clips, and how their labels are balanced."""

from collections.abc import Mapping

import polars as pl

from avpretext import shards
from avpretext.config import LABELLED_TASKS, Config
from avpretext.corpora.settings import Setting, settings_of
from avpretext.evaluation.au_summary import ALL
from avpretext.evaluation.kinds import SCORINGS
from avpretext.evaluation.summaries import (
    Rows,
    chunk_counts,
    emotion_counts,
    kept_clips,
    read_present,
    rejects_of,
    targets_of,
)
from avpretext.flow.paths import Layout


def speaker_rows(config: Config, layout: Layout) -> Rows:
    """Count the labels of each speaker, in each task and label target.

    Returns
    -------
    Rows of corpus, speaker (None: not known), task, target, label, count and share of the speaker's chunks or clips;
    those without label are counted too, as in `summaries.label_balance_rows`. Rows of the task `clips` count
    the clips, as a share of those of the corpus. Targets that are numbers have no classes and no rows.
    """
    rows: Rows = []
    refused = rejects_of(config, layout)
    for corpus, options in config.corpora.items():
        kept = kept_clips(corpus, options, layout, refused)
        if kept is None:
            continue
        clips = {who: part.height for who, part in _by_speaker(kept)}
        rows += _rows(
            {"corpus": corpus, "task": "clips"},
            {who: {ALL: count} for who, count in clips.items()},
            dict.fromkeys(clips, kept.height),
        )
        for task in LABELLED_TASKS:
            rows += _of_task(corpus, task, kept, layout)
        for setting in settings_of(options):
            rows += _of_target(corpus, setting, kept, layout)
    return rows


def _of_task(corpus: str, task: str, kept: pl.DataFrame, layout: Layout) -> Rows:
    measured = ["outcome"] if task == "emotion" else ["value"]
    path = layout.corpus(corpus, f"labels_{task}")
    labels = read_present([path])
    if labels is None:
        return []
    scores = [name for name in labels.columns if name.startswith("score_")]
    labels = labels.select("clip_id", "label", *measured, *scores).join(kept, on="clip_id", how="inner")
    counted = emotion_counts if task == "emotion" else chunk_counts
    counts = {who: counted(part) for who, part in _by_speaker(labels)}
    return _rows({"corpus": corpus, "task": task}, counts, {who: sum(found.values()) for who, found in counts.items()})


def _of_target(corpus: str, setting: Setting, kept: pl.DataFrame, layout: Layout) -> Rows:
    targets = None if setting.kind == "attribute" else targets_of(corpus, setting, layout)
    if targets is None:
        return []
    classes = shards.read_provenance(layout.targets(corpus, setting.target_name)).get("classes", [])
    clips = targets.join(kept, on="clip_id", how="inner")
    balance = SCORINGS[setting.kind].balance
    named = {"corpus": corpus, "task": "target", "target": setting.target_name}
    parts = _by_speaker(clips)
    totals = {who: part.height for who, part in parts}
    return _rows(named, {who: balance(part, classes) for who, part in parts}, totals)


def _by_speaker(rows: pl.DataFrame) -> list[tuple[str | None, pl.DataFrame]]:
    """Return the rows of each speaker, in the order of their names, the unknown ones last."""
    parts = rows.sort("speaker", nulls_last=True, maintain_order=True).partition_by("speaker", maintain_order=True)
    return [(part["speaker"][0], part) for part in parts]


def _rows(
    named: dict[str, str], counts: Mapping[str | None, Mapping[str, float]], totals: Mapping[str | None, int]
) -> Rows:
    """Return a row for each speaker and each label that any of them has."""
    labels = list(dict.fromkeys(label for found in counts.values() for label in found))
    return [
        {**named, "speaker": speaker, "label": label, "count": found.get(label, 0),
         "share": found.get(label, 0) / totals[speaker] if totals[speaker] else None}
        for speaker, found in counts.items()
        for label in labels
    ]  # fmt: skip
