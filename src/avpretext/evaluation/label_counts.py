"""How labels are balanced, in all and per speaker: the tables `label_balance` and `label_speakers`."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import polars as pl

from avpretext.corpora.settings import NUMBERS
from avpretext.evaluation.au_summary import ALL
from avpretext.evaluation.open_run import OpenRun, Rows
from avpretext.flow.tasks import CHUNK_TASKS, LABELLED

WITHOUT_LABEL = ("dead_zone", "none", "ambiguous", "unmeasured")
"""What stands in place of a label, by why there is none."""

Parts = Sequence[tuple[dict[str, Any], pl.DataFrame]]
"""What names some rows in a table, such as their speaker, and the rows."""

Count = Callable[[pl.DataFrame], Mapping[str, float]]
"""From rows to label: how many."""


def balance_rows(run: OpenRun) -> Rows:
    """Count pseudo-labels per corpus and task, and the labels to learn per target; what has no label is counted too.

    Shares are of the chunks or clips; of a target of several labels per clip they need not add up to 1.
    """
    rows: Rows = []
    for corpus in run.config.corpora:
        kept = run.kept(corpus)
        for named, labels, count in _counted(run, corpus):
            if named["task"] != "target":
                rows += _rows(named, [({}, labels)], count)
            elif kept is not None and (clips := labels.join(kept, on="clip_id", how="semi")).height:
                rows += _rows(named, [({}, clips)], count, "clips")
    return rows


def speaker_rows(run: OpenRun) -> Rows:
    """Count the labels of each speaker (None: not known) over the clips that are kept, as `balance_rows`.

    Rows of the task `clips` count the clips, as a share of those of the corpus. Targets that are numbers have no
    classes and no rows.
    """
    rows: Rows = []
    for corpus in run.config.corpora:
        kept = run.kept(corpus)
        if kept is None:
            continue
        if corpus in run.config.with_clips():
            named = {"corpus": corpus, "task": "clips"}
            rows += _rows(named, _by_speaker(kept), lambda part: {ALL: part.height}, kept.height)
        for named, labels, count in _counted(run, corpus, numbers=False):
            parts = _by_speaker(labels.join(kept, on="clip_id", how="inner"))
            rows += _rows(named, parts, count, "clips" if named["task"] == "target" else "labels")
    return rows


def one_class(run: OpenRun) -> list[str]:
    """Return, as sentences, the tasks that teach nothing: all labels that pre-training heard are of one class."""
    found: dict[str, Counter[str]] = {}
    for corpus in dict.fromkeys(map(run.config.clips_of, run.config.heard_for_pretraining())):
        for named, labels, count in _counted(run, corpus):
            if named["task"] != "target":
                counts = {label: number for label, number in count(labels).items() if label not in WITHOUT_LABEL}
                found.setdefault(named["task"], Counter()).update(counts)
    given = {task: [label for label, number in counts.items() if number] for task, counts in found.items()}
    return [
        f"All {task} labels are {labels[0]}: of sets of tasks with {task}, that task teaches nothing."
        for task, labels in given.items()
        if len(labels) == 1
    ]


def _counted(run: OpenRun, corpus: str, numbers: bool = True) -> Iterator[tuple[dict[str, Any], pl.DataFrame, Count]]:
    """Yield what names each task and target of a corpus, the rows with its labels, and what counts them."""
    for task in LABELLED if corpus in run.config.with_clips() else ():
        labels = run.labels(corpus, task, ["clip_id", "label", "value"] if task in CHUNK_TASKS else None)
        if labels is not None:
            yield {"corpus": corpus, "task": task}, labels, chunks if task in CHUNK_TASKS else emotions
    for one in run.settings():
        targets = run.targets(corpus, one.setting) if one.corpus == corpus else None
        if targets is not None and (numbers or one.setting.kind not in NUMBERS):
            named = {"corpus": corpus, "task": "target", "target": one.setting.target_name}
            yield named, targets[0], partial(one.scoring.balance, targets[1])


def chunks(labels: pl.DataFrame) -> dict[str, int]:
    """Count chunks: high, low, in the dead zone (measured, but left without label), not measured."""
    measured = labels["value"].is_not_null()
    return {
        "high": int((labels["label"] == 1).sum()),
        "low": int((labels["label"] == 0).sum()),
        "dead_zone": int((labels["label"].is_null() & measured).sum()),
        "unmeasured": int((~measured).sum()),
    }


def emotions(labels: pl.DataFrame) -> dict[str, int]:
    """Count clips: each emotion of the table, then those without label by why."""
    names = sorted(column.removeprefix("score_") for column in labels.columns if column.startswith("score_"))
    found, outcomes = Counter(labels["label"]), Counter(labels["outcome"])
    return {name: found[name] for name in names} | {
        name: outcomes[name] for name in ("none", "ambiguous", "unmeasured")
    }


def _by_speaker(rows: pl.DataFrame) -> Parts:
    """Return the rows of each speaker, in the order of their names, the unknown ones last."""
    parts = rows.sort("speaker", nulls_last=True, maintain_order=True).partition_by("speaker", maintain_order=True)
    return [({"speaker": part["speaker"][0]}, part) for part in parts]


def _rows(
    named: dict[str, Any], parts: Parts, count: Count, whole: int | Literal["labels", "clips"] = "labels"
) -> Rows:
    """Return a row for each part and each label that any of them has.

    Shares are of all that is counted, of the clips of the part, or of a number.
    """
    counts = [count(part) for _, part in parts]
    labels = list(dict.fromkeys(label for found in counts for label in found))
    rows = []
    for (own, part), found in zip(parts, counts, strict=True):
        total = whole if isinstance(whole, int) else part.height if whole == "clips" else sum(found.values())
        for label in labels:
            share = found.get(label, 0) / total if total else None
            rows.append({**named, **own, "label": label, "count": found.get(label, 0), "share": share})
    return rows
