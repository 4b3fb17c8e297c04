"""The report's section on labels: thresholds on the values, balance per speaker, agreement between the tasks."""

from typing import Any, NamedTuple

from markupsafe import Markup

from avpretext.evaluation.agreement import Agreement, agreements
from avpretext.evaluation.formats import decimal
from avpretext.evaluation.label_counts import WITHOUT_LABEL, speaker_rows
from avpretext.evaluation.open_run import OpenRun, Rows
from avpretext.flow.tasks import CHUNK_TASKS, CLIP_TASKS, LABELLED
from avpretext.report import distribution_charts
from avpretext.report.distributions import label_values

SPEAKERS_SHOWN = 40
"""So many speakers of a corpus, those with most clips, have a row on the page; the table beside it has all."""

NO_LABEL = "no label"

Cell = tuple[float, float]
"""Chunks or clips, and their share of those of the speaker."""


class Group(NamedTuple):
    """Columns of a table of speakers that belong together: the task, or target to learn, and its labels."""

    task: str
    target: str
    labels: list[str]


class SpeakerTable(NamedTuple):
    """Balance per speaker: of each speaker its name, its clips, and a task and cell for each label of each group."""

    corpus: str
    groups: list[Group]
    rows: list[tuple[str, int, list[tuple[str, Cell | None]]]]
    speakers: int


def threshold_charts(run: OpenRun) -> dict[str, list[list[Markup]]]:
    """Return, for each corpus, the values behind its labels with the thresholds drawn on them.

    The first row of charts is of the tasks that label chunks, the second of the decisions on emotions, in their order.
    """
    charts: dict[str, list[list[Markup]]] = {}
    for place, (corpus, values) in enumerate(label_values(run).items()):
        rows: dict[bool, list[Markup]] = {}
        for number, one in enumerate(values):
            drawn = distribution_charts.of_labels(one, f"threshold-{place}-{number}")
            rows.setdefault(one.task in CLIP_TASKS, []).append(drawn)
        charts[corpus] = list(rows.values())
    return charts


def speaker_tables(run: OpenRun) -> dict[str, SpeakerTable]:
    """Return the balance per speaker of each corpus that has several."""
    by_corpus: dict[str, Rows] = {}
    for row in speaker_rows(run):
        by_corpus.setdefault(row["corpus"], []).append(row)
    tables = {corpus: _speaker_table(corpus, rows) for corpus, rows in by_corpus.items()}
    return {corpus: table for corpus, table in tables.items() if table.groups and table.speakers > 1}


def _speaker_table(corpus: str, rows: Rows) -> SpeakerTable:
    clips = {row["speaker"]: row["count"] for row in rows if row["task"] == "clips"}
    most = set(sorted(clips, key=lambda who: (-clips[who], who is None, who or ""))[:SPEAKERS_SHOWN])
    counted = _counted([row for row in rows if row["speaker"] in most])
    groups = []
    for task, target in dict.fromkeys(key[:2] for key in counted):
        labels = dict.fromkeys(label for *key, label, _ in counted if key == [task, target])
        found = {label: any(counted[task, target, label, who][0] for who in most) for label in labels}
        groups.append(Group(task, target, [label for label in labels if found[label] or label != NO_LABEL]))
    table = [
        (who or "unknown", clips[who], [
            (group.task, counted.get((group.task, group.target, label, who)))
            for group in groups for label in group.labels
        ])
        for who in clips if who in most
    ]  # fmt: skip
    return SpeakerTable(corpus, groups, table, len(clips))


def _counted(rows: Rows) -> dict[tuple[str, str, str, str | None], Cell]:
    """Return (count, share) by task, target, label and speaker; `low` is left out, what has no label is one label."""
    counted: dict[tuple[str, str, str, str | None], Cell] = {}
    for row in rows:
        if row["task"] == "clips" or (row["task"] in CHUNK_TASKS and row["label"] == "low"):
            continue
        pseudo = row["task"] in LABELLED
        label = NO_LABEL if pseudo and row["label"] in WITHOUT_LABEL else row["label"]
        key = (row["task"], row.get("target", ""), label, row["speaker"])
        before = counted.get(key, (0, 0.0))
        counted[key] = (before[0] + row["count"], before[1] + (row["share"] or 0.0))
    return counted


def agreement_tables(run: OpenRun) -> dict[str, list[dict[str, Any]]]:
    """Return, for each corpus, how the labels of each pair of tasks go together."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for one in agreements(run):
        tables.setdefault(one.corpus, []).append(_agreement_table(one))
    return tables


def _agreement_table(found: Agreement) -> dict[str, Any]:
    """Return the labels of the second task as rows, so that emotions stand below each other: counts and shares."""
    kappa = "" if found.kappa is None else f", Cohen’s κ {_number(found.kappa)}"
    return {
        "title": f"{found.other} by {found.one}",
        "says": f"Cramér’s V {_number(found.association)}{kappa}; n = {found.chunks:,} chunks of {found.clips:,} clips",
        "columns": [f"{found.one} {label}" for label in found.rows],
        "rows": [
            (label, [(int(count), float(count / max(line.sum(), 1))) for count in line])
            for label, line in zip(found.columns, found.counts.T, strict=True)
        ],
    }


def _number(value: float) -> str:
    return decimal(value, 2).replace("-", "−") or "not defined"
