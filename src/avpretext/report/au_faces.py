"""The report's section on faces: pictures for each emotion label, and how often action units fire."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup
from numpy.typing import NDArray

from avpretext.action_units.formulas import FORMULAS
from avpretext.evaluation.au_summary import ALL
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.columns import ACTION_UNITS
from avpretext.labels.emotion_table import EmotionTable
from avpretext.report import figures
from avpretext.report.clip import Clip, as_text, strongest

NAMES = {unit: FORMULAS[unit].name for unit in ACTION_UNITS}


def found_faces(run: OpenRun) -> list[dict[str, Any]]:
    """Return what there is to show of each corpus.

    `pictures`: each emotion, how many clips have it, and pictures; `heat`: see `heat_rows`; `chart`: how often action
    units fire; `combinations`: the rows of the table `au_combinations`.
    """
    units, combinations = run.table("action_units"), run.table("au_combinations")
    found = []
    for number, corpus in enumerate(run.config.with_clips()):
        mine = [row for row in units if row["corpus"] == corpus]
        shown = list(emotion_pictures(run, corpus)) if run.config.report.pictures else []
        if mine or shown:
            together = [row for row in combinations if row["corpus"] == corpus]
            found.append(
                {"corpus": corpus, "pictures": shown, "heat": heat_rows(mine),
                 "chart": _chart(mine, f"firing-{number}"), "combinations": together}
            )  # fmt: skip
    return found


def pictured(shown: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return corpus and clip_id of every picture in what `found_faces` returns."""
    return [
        (one["corpus"], picture.clip_id) for one in shown for _, _, pictures in one["pictures"] for picture in pictures
    ]


def heat_rows(units: Sequence[Mapping[str, str]]) -> list[tuple[str, int, list[tuple[float, float] | None]]]:
    """Return each label, its clips, and of each action unit the mean clip intensity and its share of the largest.

    All clips come last; None: not known.
    """
    clips = {row["label"]: int(row["clips"]) for row in units}
    means = {(row["label"], row["action_unit"]): float(row["clip_intensity"]) for row in units if row["clip_intensity"]}
    largest = max([*means.values(), 1e-9])
    cells = {key: (value, value / largest) for key, value in means.items()}
    ordered = sorted(clips, key=lambda label: label == ALL)
    return [(label, clips[label], [cells.get((label, unit)) for unit in NAMES]) for label in ordered]


def _chart(units: Sequence[Mapping[str, str]], name: str) -> Markup | None:
    rows = [
        (row["action_unit"], float(row["active_clips"]), float(row["active_frames"]))
        for row in units
        if row["label"] == ALL and row["active_clips"]
    ]
    return figures.firing(rows, name) if rows else None


PICTURES = 3
"""So many clips of each emotion are shown, of different speakers."""

MOST_CAPTIONED = 4
"""A caption names so many action units, at most."""


@dataclass(frozen=True)
class Picture:
    """The frame of a clip that shows its label best, cut to the face: JPEG as base64."""

    clip_id: str
    speaker: str | None
    confidence: float
    time_s: float
    image: str
    units: list[tuple[str, float]]


def emotion_pictures(run: OpenRun, corpus: str) -> Iterator[tuple[str, int, list[Picture]]]:
    """Yield each emotion with the number of its clips and pictures of those whose label is surest.

    The clips are of different speakers; there are none where `landmarks` kept no thumbnails.
    """
    pictured = run.clip_ids(corpus, "landmarks.thumbnails")
    labels, clips = run.labels(corpus, "emotion", ["clip_id", "label", "confidence"]), run.listed(corpus)
    if not pictured or labels is None:
        return
    speakers: dict[str, str | None] = {} if clips is None else dict(clips.iter_rows())
    for label in sorted(labels["label"].drop_nulls().unique()):
        rows = labels.filter(pl.col("label") == label)
        sure = [(clip_id, confidence) for clip_id, _, confidence in rows.iter_rows() if clip_id in pictured]
        found = [
            _picture(Clip(run, corpus, clip_id), speakers.get(clip_id), confidence, label)
            for clip_id, confidence in surest(sure, speakers)
        ]
        shown = [picture for picture in found if picture is not None]
        if shown:
            yield label, rows.height, shown


def surest(clips: Sequence[tuple[str, float]], speakers: Mapping[str, str | None]) -> list[tuple[str, float]]:
    """Return the clips of highest confidence, one of each speaker; clips of unknown speakers count as different.

    >>> surest([("a1", 0.5), ("a2", 0.9), ("b1", 0.7)], {"a1": "a", "a2": "a", "b1": "b"})
    [('a2', 0.9), ('b1', 0.7)]
    """
    chosen: dict[tuple[str, str], tuple[str, float]] = {}
    for clip_id, confidence in sorted(clips, key=lambda clip: (-clip[1], clip[0])):
        speaker = speakers.get(clip_id)
        chosen.setdefault(("clip", clip_id) if speaker is None else ("speaker", speaker), (clip_id, confidence))
    return list(chosen.values())[:PICTURES]


def _picture(clip: Clip, speaker: str | None, confidence: float, label: str) -> Picture | None:
    """Return the thumbnail of a clip that shows its label best; None where its action units are missing."""
    kept, measured = clip.rows("landmarks.thumbnails"), clip.rows("action_units")
    if kept is None or measured is None:
        return None
    both = kept.join(measured.drop("time_s"), on=["clip_id", "frame"], how="inner", maintain_order="left")
    if both.is_empty():
        return None
    units = both.select(ACTION_UNITS).to_numpy().astype(np.float64)
    best = apex(clip.table, label, units)
    shown = strongest(dict(zip(ACTION_UNITS, units[best], strict=True)), MOST_CAPTIONED)
    return Picture(clip.clip_id, speaker, confidence, both["time_s"][best], as_text(both["image"][best]), shown)


def apex(table: EmotionTable | None, label: str, units: NDArray[np.float64]) -> int:
    """Return which frame of units (F, 20), NaN where not known, shows an emotion best.

    The neutral class, and any without a table, is shown best by the calmest frame.
    """
    if table is None or label not in table.emotions:
        return int(np.nan_to_num(units, nan=1.0).sum(axis=1).argmin())
    fits = table.model.log_odds(units)[:, list(table.emotions).index(label)]
    return int(np.where(np.isfinite(fits), fits, -np.inf).argmax())
