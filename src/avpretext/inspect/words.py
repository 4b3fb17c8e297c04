"""What is known of a clip, in words: the head of a picture, and what the terminal says."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from avpretext.inspect.clip import Inspected
from avpretext.inspect.find import said
from avpretext.inspect.traces import required
from avpretext.report.pictures import CAPTIONED

WHY_NONE = {
    "none": "no emotion scores enough",
    "ambiguous": "two emotions score alike",
    "unmeasured": "the face was not seen for long enough",
}
"""Outcomes of `labels_emotion` without a label, in words."""


def headline(clip: Inspected) -> str:
    """Return who speaks, what and how, in a line."""
    row, truth = clip.place.row, clip.truth
    speaker = clip.sample.speaker or row.get("speaker")
    words = [
        clip.place.corpus,
        f"speaker {speaker}" if speaker else "speaker unknown",
        f"label {row['label']}" if row.get("label") else "",
        f"“{truth.text}”" if truth.text else (f"sentence {row['sentence']}" if row.get("sentence") else ""),
        f"{clip.sample.duration_s:.2f} s",
        f"{clip.frames} frames at {clip.fps:g} per second",
    ]
    return " · ".join(word for word in words if word)


def emotion(clip: Inspected) -> str:
    """Return what task 3 makes of the clip, with the action units that say so."""
    row = clip.sample.emotion
    if row is None:
        return "no label"
    true = f"; true: {clip.truth.emotion}" if clip.truth.emotion else ""
    if row["label"] is None:
        return f"none, {WHY_NONE.get(row['outcome'], row['outcome'])}{true}"
    units = ", ".join(entry.replace("|", " or ") for entry in required(clip))
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


def summary(clip: Inspected, pictures: str) -> str:
    """Return the lines that the terminal shows."""
    lines = [f"{clip.place.clip_id}: {headline(clip)}"]
    if clip.place.refusals:
        lines.append(f"  {said(clip.place.refusals)}")
    rows = [("energy", chunks(clip.sample.energy_labels)), ("pictures", pictures)]
    if clip.points is not None:
        faces = int((~_faceless(clip)).sum())
        rows[1:1] = [
            ("activation", chunks(clip.sample.activation_labels)),
            ("emotion", emotion(clip)),
            ("landmarks", f"in {faces} of {clip.frames} frames"),
            ("strongest", ", ".join(strongest(clip)) or "no action unit"),
        ]
    return "\n".join([*lines, *(f"  {name:<11} {words}" for name, words in rows)])


def _faceless(clip: Inspected) -> Any:
    assert clip.points is not None
    return np.isnan(clip.points).all(axis=(1, 2))


def strongest(clip: Inspected) -> list[str]:
    """Return the action units that reach highest, with how high."""
    found = {
        unit: float(np.nanmax(values)) for unit, values in clip.sample.action_units.items() if np.isfinite(values).any()
    }
    best = sorted(found, key=lambda unit: (-found[unit], unit))[:5]
    return [f"{unit} {found[unit]:.2f}" for unit in best if found[unit] >= CAPTIONED]
