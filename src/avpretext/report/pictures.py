"""For each emotion label, pictures of the faces that got it: of the surest clips, the frame that shows it best."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.columns import ACTION_UNITS
from avpretext.labels.emotion_table import EmotionTable
from avpretext.report.clip import Clip, as_text, strongest

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
    """Return which frame shows an emotion best.

    Parameters
    ----------
    table
        What shows which emotion; None: not known.
    label
        The emotion; the neutral class is shown best by the calmest frame.
    units
        Shape (F, 20): the action units of the frames; NaN: not known.
    """
    if table is None or label not in table.emotions:
        return int(np.nan_to_num(units, nan=1.0).sum(axis=1).argmin())
    fits = table.model.log_odds(units)[:, list(table.emotions).index(label)]
    return int(np.where(np.isfinite(fits), fits, -np.inf).argmax())
