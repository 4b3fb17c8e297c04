"""One clip from the shards, to be looked at: frames with landmarks, and every signal on one clock."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import Config
from avpretext.evaluation.summaries import present, read_present
from avpretext.face.points import dlib_points
from avpretext.flow.paths import Layout
from avpretext.flow.schemas import ACTION_UNITS
from avpretext.labels import energy

_SILENCE_DB = -80.0
"""Energy below this is drawn as this."""

FACE_LINES = (
    range(17), range(17, 22), range(22, 27), range(27, 31), range(31, 36), (*range(36, 42), 36), (*range(42, 48), 42),
    (*range(48, 60), 48), (*range(60, 68), 60),
)  # fmt: skip
"""Points of the 68 that a line joins: jaw, brows, nose, eyes, lips."""


@dataclass(frozen=True)
class PreviewFrame:
    """A frame of the clip: JPEG as base64, and the landmarks on it as SVG path data, empty without a face."""

    time_s: float
    image: str
    width: int
    height: int
    path: str


@dataclass(frozen=True)
class Sample:
    """What the report shows of a clip; times in seconds, motion in inter-ocular distances per second."""

    corpus: str
    clip_id: str
    speaker: str | None
    duration_s: float
    energy_time_s: Sequence[float]
    energy_db: Sequence[float]
    frames: list[PreviewFrame] = field(default_factory=list)
    motion_time_s: Sequence[float] = ()
    motion: Sequence[float] = ()
    units_time_s: Sequence[float] = ()
    action_units: dict[str, Sequence[float]] = field(default_factory=dict)
    energy_labels: list[dict[str, Any]] = field(default_factory=list)
    activation_labels: list[dict[str, Any]] = field(default_factory=list)
    emotion: dict[str, Any] | None = None
    scores: list[tuple[str, float]] = field(default_factory=list)

    @property
    def preview_times_s(self) -> list[float]:
        """When the frames shown were taken."""
        return [frame.time_s for frame in self.frames]

    def strongest_units(self, number: int) -> list[str]:
        """Return the action units that reach highest, in their usual order."""
        peaks = {
            unit: max((value for value in values if not np.isnan(value)), default=0.0)
            for unit, values in self.action_units.items()
        }
        strongest = sorted(peaks, key=lambda unit: (-peaks[unit], unit))[:number]
        return sorted(strongest)


def load(config: Config, layout: Layout) -> Sample | None:
    """Return the sample clip: one with frames kept, and of those the surest emotion label, if not neutral.

    None when no corpus has speech features.
    """
    for corpus in (*config.used_for("pretrain"), *config.corpora):
        for shard, clip_id in _candidates(config, layout, corpus):
            found = read_clip(layout, corpus, shard, clip_id)
            if found is not None:
                return found
    return None


def _candidates(config: Config, layout: Layout, corpus: str) -> list[tuple[int, str]]:
    """Return (shard, clip_id) of the clips that could be shown, the best first."""
    count = config.corpora[corpus].shards
    found: list[tuple[int, str]] = []
    for stage, artefact in (("landmarks", "preview"), ("speech", None)):
        for shard in range(count):
            for path in present([layout.shard(corpus, stage, shard, artefact)]):
                clips = shards.read(path, ["clip_id"])["clip_id"].unique(maintain_order=True)
                found += [(shard, clip_id) for clip_id in clips]
        if found:
            break
    emotions = read_present([layout.corpus(corpus, "labels_emotion")], ["clip_id", "label", "confidence"])
    worth = {} if emotions is None else {clip_id: _worth(label, sure) for clip_id, label, sure in emotions.iter_rows()}
    return sorted(found, key=lambda entry: (-worth.get(entry[1], 0.0), entry[1]))


def _worth(label: str | None, confidence: float | None) -> float:
    """Rank a clip by its emotion label: a face that shows something, then a neutral one, then one without label."""
    if label is None:
        return 0.0
    return (1.0 if label.lower().startswith("neu") else 2.0) + (confidence or 0.0)


def clip_rows(path: str, clip_id: str, columns: Sequence[str] | None = None) -> pl.DataFrame | None:
    """Return the rows of a clip; None where the artefact or the clip is missing."""
    for file in present([path]):
        rows = shards.read_clip(file, clip_id, columns)
        return None if rows.is_empty() else rows
    return None


def read_clip(layout: Layout, corpus: str, shard: int, clip_id: str) -> Sample | None:
    """Return what the shards hold of a clip; None where its speech is missing."""
    speech = clip_rows(layout.shard(corpus, "speech", shard), clip_id, ["clip_id", "time_s", "energy"])
    audio = clip_rows(layout.shard(corpus, "split", shard, "audio"), clip_id, ["clip_id", "speaker", "duration_s"])
    if speech is None or audio is None:
        return None
    motion = clip_rows(layout.shard(corpus, "motion", shard), clip_id, ["clip_id", "time_s", "speed_face"])
    units = clip_rows(layout.shard(corpus, "action_units", shard), clip_id)
    emotion = clip_rows(layout.corpus(corpus, "labels_emotion"), clip_id)
    return Sample(
        corpus=corpus,
        clip_id=clip_id,
        speaker=audio["speaker"][0],
        duration_s=float(audio["duration_s"][0]),
        energy_time_s=speech["time_s"].to_list(),
        energy_db=decibels(speech["energy"].to_numpy()).tolist(),
        frames=_frames(layout, corpus, shard, clip_id),
        motion_time_s=[] if motion is None else motion["time_s"].to_list(),
        motion=[] if motion is None else _gaps(motion["speed_face"]),
        units_time_s=[] if units is None else units["time_s"].to_list(),
        action_units={} if units is None else {unit: _gaps(units[unit]) for unit in ACTION_UNITS},
        energy_labels=_chunk_labels(layout.corpus(corpus, "labels_energy"), clip_id),
        activation_labels=_chunk_labels(layout.corpus(corpus, "labels_activation"), clip_id),
        emotion=None if emotion is None else emotion.row(0, named=True),
        scores=[] if emotion is None else _scores(emotion),
    )


def decibels(values: Any) -> NDArray[np.float64]:
    """Return RMS energy (1 = full scale) in dB, not below -80.

    >>> decibels(np.array([1.0, 0.1, 0.0]))
    array([  0., -20., -80.])
    """
    return energy.decibels(np.asarray(values, dtype=np.float64), _SILENCE_DB)


def _gaps(column: pl.Series) -> list[float]:
    """Return the values, NaN where nothing was measured."""
    return [float("nan") if value is None else float(value) for value in column]


def _chunk_labels(path: str, clip_id: str) -> list[dict[str, Any]]:
    rows = clip_rows(path, clip_id)
    return [] if rows is None else rows.sort("chunk").to_dicts()


def _scores(emotion: pl.DataFrame) -> list[tuple[str, float]]:
    """Return the emotions and their scores, the best first."""
    row = emotion.row(0, named=True)
    scores = [(name.removeprefix("score_"), value or 0.0) for name, value in row.items() if name.startswith("score_")]
    return sorted(scores, key=lambda entry: (-entry[1], entry[0]))


def _frames(layout: Layout, corpus: str, shard: int, clip_id: str) -> list[PreviewFrame]:
    """Return the frames that were kept of a clip, with the landmarks of the same frame numbers."""
    preview = clip_rows(layout.shard(corpus, "landmarks", shard, "preview"), clip_id)
    tracked = clip_rows(layout.shard(corpus, "landmarks", shard), clip_id, ["frame", "landmarks", "width", "height"])
    if preview is None or tracked is None:
        return []
    rows = preview.join(tracked, on=["clip_id", "frame"], how="inner").sort("frame")
    return [
        PreviewFrame(
            time_s=row["time_s"],
            image=base64.b64encode(row["image"]["bytes"]).decode("ascii"),
            width=row["width"],
            height=row["height"],
            path=face_path(row["landmarks"]),
        )
        for row in rows.iter_rows(named=True)
    ]


def face_path(landmarks: Sequence[float] | None) -> str:
    """Return the lines of a face as SVG path data, in pixels of the frame.

    Parameters
    ----------
    landmarks
        x, y, z of 478 or 68 points, flat; None without a face.
    """
    if landmarks is None:
        return ""
    points = dlib_points(np.asarray(landmarks, dtype=np.float64).reshape(-1, 3))
    return "".join("M" + "L".join(f"{points[k, 0]:.1f} {points[k, 1]:.1f}" for k in line) for line in FACE_LINES)
