"""A clip described in words, for the head of its picture and for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from avpretext.flow.tasks import CHUNK_TASKS, TASKS
from avpretext.inspect.find import said
from avpretext.report.clip import Clip, strongest

WHY_NONE = {
    "none": "no emotion scores enough",
    "ambiguous": "two emotions score alike",
    "unmeasured": "the face was not seen for long enough",
}
"""Outcomes of `labels_emotion` without a label, in words."""


def headline(clip: Clip) -> str:
    """Return who speaks, what and how, in a line."""
    row, text = clip.row, clip.true_value("text")
    words = [
        clip.corpus,
        f"speaker {clip.speaker}" if clip.speaker else "speaker unknown",
        f"label {row['label']}" if row.get("label") else "",
        f"“{text}”" if text else (f"sentence {row['sentence']}" if row.get("sentence") else ""),
        f"{clip.duration_s:.2f} s",
        f"{clip.frames} frames at {clip.fps:g} per second",
        "" if clip.heard else "sound not read (audio: false)",
    ]
    return " · ".join(word for word in words if word)


def emotion(clip: Clip) -> str:
    """Return what task 3 makes of the clip, with the action units that say so."""
    row, known = clip.emotion, clip.true_value("emotion")
    if row is None:
        return "no label"
    true = f"; true: {known}" if known else ""
    if row["label"] is None:
        return f"none, {WHY_NONE.get(row['outcome'], row['outcome'])}{true}"
    units = ", ".join(entry.replace("|", " or ") for entry in clip.shown)
    shown = f", by {units}" if units else ""
    return f"{row['label']}{shown}, confidence {row['confidence']:.2f}{true}"


def chunks(labels: Sequence[Mapping[str, Any]]) -> str:
    """Return how many chunks are high, and how many have no label.

    >>> chunks([{"label": 1}, {"label": 0}, {"label": None}])
    'high in 1 of 3 chunks, 1 without label'
    """
    if not labels:
        return "no labels"
    high, without = (sum(row["label"] == value for row in labels) for value in (1, None))
    return f"high in {high} of {len(labels)} chunks" + (f", {without} without label" if without else "")


def summary(clip: Clip, pictures: str) -> str:
    """Return the lines that the terminal shows."""
    lines = [f"{clip.clip_id}: {headline(clip)}"]
    if clip.refusals:
        lines.append(f"  {said(clip.refusals)}")
    heard = [name for name in CHUNK_TASKS if not TASKS[name].face and clip.heard]
    seen = [name for name in CHUNK_TASKS if TASKS[name].face]
    rows = [*((name, chunks(clip.chunks(name))) for name in heard), ("pictures", pictures)]
    if clip.points is not None:
        faces = int((~np.isnan(clip.points).all(axis=(1, 2))).sum())
        rows[len(heard) : len(heard)] = [
            *((name, chunks(clip.chunks(name))) for name in seen),
            ("emotion", emotion(clip)),
            ("landmarks", f"in {faces} of {clip.frames} frames"),
            (
                "strongest",
                ", ".join(f"{unit} {peak:.2f}" for unit, peak in strongest(clip.peaks, 5)) or "no action unit",
            ),
        ]
    return "\n".join([*lines, *(f"  {name:<11} {words}" for name, words in rows)])
