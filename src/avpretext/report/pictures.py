"""For each emotion label, pictures of the faces that got it: of the surest clips, the frame that shows it best."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import Config
from avpretext.evaluation.summaries import clip_shards, present, read_present
from avpretext.flow.paths import Layout
from avpretext.flow.schemas import ACTION_UNITS
from avpretext.labels.emotion_table import EmotionTable, scores
from avpretext.report.sample import clip_rows

PICTURES = 3
"""So many clips of each emotion are shown, of different speakers."""

CAPTIONED, MOST_CAPTIONED = 0.3, 4
"""A caption names the action units from this intensity on, the strongest, at most so many."""


@dataclass(frozen=True)
class Picture:
    """The frame of a clip that shows its label best, cut to the face: JPEG as base64."""

    clip_id: str
    speaker: str | None
    confidence: float
    time_s: float
    image: str
    units: list[tuple[str, float]]


def emotion_pictures(corpus: str, config: Config, layout: Layout) -> Iterator[tuple[str, int, list[Picture]]]:
    """Yield each emotion with the number of its clips and pictures of those whose label is surest.

    The clips are of different speakers; there are none where `landmarks` kept no thumbnails.
    """
    shard_of = _shards_of_thumbnails(corpus, config, layout)
    path = layout.corpus(corpus, "labels_emotion")
    if not shard_of or not present([path]):
        return
    labels = shards.read(path, ["clip_id", "label", "confidence"]).filter(pl.col("label").is_not_null())
    clips = read_present(clip_shards(corpus, config.corpora[corpus], layout), ["clip_id", "speaker"])
    speakers: dict[str, str | None] = {} if clips is None else dict(clips.iter_rows())
    made_with = shards.read_provenance(path).get("table")
    table = EmotionTable.model_validate(made_with) if made_with else None
    for label in sorted(labels["label"].unique()):
        rows = labels.filter(pl.col("label") == label)
        sure = [(clip_id, confidence) for clip_id, _, confidence in rows.iter_rows() if clip_id in shard_of]
        found = [
            _picture(layout, corpus, shard_of[clip_id], clip_id, speakers.get(clip_id), confidence, label, table)
            for clip_id, confidence in surest(sure, speakers)
        ]
        shown = [picture for picture in found if picture is not None]
        if shown:
            yield label, rows.height, shown


def _shards_of_thumbnails(corpus: str, config: Config, layout: Layout) -> dict[str, int]:
    """Return in which shard each clip's thumbnails are."""
    found: dict[str, int] = {}
    for shard in range(config.corpora[corpus].shards):
        for path in present([layout.shard(corpus, "landmarks", shard, "thumbnails")]):
            found |= dict.fromkeys(shards.read(path, ["clip_id"])["clip_id"], shard)
    return found


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


def _picture(
    layout: Layout, corpus: str, shard: int, clip_id: str, speaker: str | None, confidence: float, label: str,
    table: EmotionTable | None,
) -> Picture | None:  # fmt: skip
    """Return the thumbnail of a clip that shows its label best; None where its action units are missing."""
    kept = clip_rows(layout.shard(corpus, "landmarks", shard, "thumbnails"), clip_id)
    measured = clip_rows(layout.shard(corpus, "action_units", shard), clip_id)
    if kept is None or measured is None:
        return None
    both = kept.join(measured.drop("time_s"), on=["clip_id", "frame"], how="inner", maintain_order="left")
    if both.is_empty():
        return None
    units = both.select(ACTION_UNITS).to_numpy().astype(np.float64)
    best = apex(table, label, units)
    image = base64.b64encode(both["image"][best]["bytes"]).decode("ascii")
    return Picture(clip_id, speaker, confidence, both["time_s"][best], image, strongest_units(units[best]))


def apex(table: EmotionTable | None, label: str, units: NDArray[np.float64]) -> int:
    """Return which frame shows an emotion best.

    Parameters
    ----------
    table
        What shows which emotion; None: not known.
    label
        The emotion; one that the table has no prototype for is shown best by the calmest frame.
    units
        Shape (F, 20): the action units of the frames; NaN: not known.
    """
    if table is None or label not in table.emotions:
        return int(np.nan_to_num(units, nan=1.0).sum(axis=1).argmin())
    fits = scores(table, units)[:, list(table.emotions).index(label)]
    return int(np.nan_to_num(fits, nan=-1.0).argmax())


def strongest_units(units: NDArray[np.float64]) -> list[tuple[str, float]]:
    """Return the action units that a caption names, the strongest first.

    Parameters
    ----------
    units
        Shape (20,); NaN: not known.
    """
    named = [(unit, float(value)) for unit, value in zip(ACTION_UNITS, units, strict=True) if value >= CAPTIONED]
    return sorted(named, key=lambda entry: (-entry[1], entry[0]))[:MOST_CAPTIONED]
