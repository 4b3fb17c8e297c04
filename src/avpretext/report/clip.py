"""One clip of a run, to be drawn: what its files, and the truth where it is known, hold of it, on one clock."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import soundfile
from numpy.typing import NDArray

from avpretext.evaluation.open_run import OpenRun, Rows
from avpretext.face.points import dlib_points
from avpretext.flow.columns import ACTION_UNITS
from avpretext.labels import energy
from avpretext.labels.emotion_table import EmotionTable

Floats = NDArray[np.float64]

_SILENCE_DB = -80.0
"""Energy below this is drawn as this."""

CAPTIONED = 0.3
"""A caption names action units from this intensity on."""

SURE = 0.5
"""An emotion label of lower confidence is shown as unsure: the other classes together are more probable."""

FACE_LINES = (
    range(17), range(17, 22), range(22, 27), range(27, 31), range(31, 36), (*range(36, 42), 36), (*range(42, 48), 42),
    (*range(48, 60), 48), (*range(60, 68), 60),
)  # fmt: skip
"""Points of the 68 that a line joins: jaw, brows, nose, eyes, lips."""


class Signals(NamedTuple):
    """Signals that were measured at the same times: times in seconds, and values by name, NaN in gaps."""

    time_s: Floats
    values: Mapping[str, Floats]


class PreviewFrame(NamedTuple):
    """A frame of the clip: JPEG as base64, and the landmarks on it as SVG path data, empty without a face."""

    time_s: float
    image: str
    width: int
    height: int
    path: str


MOST_SHOWN = 4
"""So many action units are named as what shows an emotion."""


@dataclass(frozen=True)
class Clip:
    """A clip; its files are read when they are asked for, and what is missing is empty.

    `row` is what `index` or `segment` lists of it; empty for a file that never became a clip. `refusals` are stage,
    reason and detail of each refusal, as in `rejects`.
    """

    run: OpenRun
    corpus: str
    clip_id: str
    row: Mapping[str, Any] = field(default_factory=dict)
    refusals: Rows = field(default_factory=list)

    def rows(self, artefact: str, columns: Sequence[str] | None = None) -> pl.DataFrame | None:
        """Return its rows of an artefact, or these columns of them; None where the artefact has none."""
        return self.run.clip(self.corpus, artefact, self.clip_id, columns)

    @property
    def there(self) -> bool:
        """Whether there is anything to draw: its speech was measured, or is not read."""
        return bool((len(self.energy.time_s) or not self.heard) and self.audio)

    @property
    def heard(self) -> bool:
        """Whether the sound of its corpus is read."""
        return self.run.config.corpora[self.corpus].audio

    @cached_property
    def audio(self) -> dict[str, Any]:
        """Its row of `split.audio`, without the sound."""
        rows = self.rows("split.audio", ["speaker", "duration_s", "video_frames", "fps", "content"])
        return {} if rows is None else rows.row(0, named=True)

    @property
    def speaker(self) -> str | None:
        """Its speaker; None where not known."""
        return self.audio["speaker"] or self.row.get("speaker")

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""
        return float(self.audio["duration_s"])

    @property
    def fps(self) -> float:
        """Frames of the video grid per second."""
        return float(self.audio["fps"])

    @cached_property
    def sound(self) -> NDArray[np.int16] | None:
        """The sound, 16 kHz mono; None where it is not read."""
        if not self.heard:
            return None
        rows = self.rows("split.audio", ["audio"])
        assert rows is not None
        sound: NDArray[np.int16] = soundfile.read(io.BytesIO(rows["audio"][0]["bytes"]), dtype="int16")[0]
        return sound

    @cached_property
    def frames(self) -> int:
        """Frames of the video grid; of a corpus of which audio alone is read, as many as the sound lasts."""
        seen = self.duration_s * self.fps if self.points is None else len(self.points)
        return int(self.audio["video_frames"] or max(1, round(seen)))

    @cached_property
    def energy(self) -> Signals:
        """Energy of the speech, in dB of full scale."""
        found = self._signals("speech", ["energy"])
        return Signals(found.time_s, {name: decibels(values) for name, values in found.values.items()})

    @cached_property
    def motion(self) -> Signals:
        """Speed of the face, in inter-ocular distances per second."""
        return self._signals("motion", ["speed_face"])

    @cached_property
    def units(self) -> Signals:
        """Intensity of the action units, 0 to 1."""
        return self._signals("action_units", ACTION_UNITS)

    def _signals(self, stage: str, columns: Sequence[str]) -> Signals:
        return signals(self.rows(stage, ["time_s", *columns]), columns)

    def chunks(self, task: str) -> Rows:
        """Return the labels of its chunks, in order."""
        rows = self.rows(f"labels_{task}")
        return [] if rows is None else rows.sort("chunk").to_dicts()

    @cached_property
    def emotion(self) -> dict[str, Any] | None:
        """Its row of `labels_emotion`; None where there is none."""
        rows = self.rows("labels_emotion")
        return None if rows is None else rows.row(0, named=True)

    @property
    def scores(self) -> list[tuple[str, float]]:
        """The emotions and their scores, the best first."""
        found = (self.emotion or {}).items()
        scores = [(name.removeprefix("score_"), value or 0.0) for name, value in found if name.startswith("score_")]
        return sorted(scores, key=lambda entry: (-entry[1], entry[0]))

    @cached_property
    def table(self) -> EmotionTable | None:
        """The table that gave the emotion label."""
        return emotion_table(self.run, self.corpus)

    @property
    def shown(self) -> list[str]:
        """What the emotion that it is labelled with shows: an action unit each, or several joined by `|`."""
        label = (self.emotion or {}).get("label")
        return self.table.shown_by(label)[:MOST_SHOWN] if self.table is not None and label else []

    @property
    def prototype(self) -> list[str]:
        """The action units that its emotion label is read off most."""
        return [unit for entry in self.shown for unit in entry.split("|")]

    @cached_property
    def peaks(self) -> dict[str, float]:
        """The highest intensity of each action unit; 0 where it is not known."""
        return {unit: float(np.nanmax(values, initial=0.0)) for unit, values in self.units.values.items()}

    @cached_property
    def _landmarks(self) -> pl.DataFrame | None:
        rows = self.rows("landmarks", ["frame", "landmarks", "width", "height"])
        return None if rows is None else rows.sort("frame")

    @cached_property
    def points(self) -> NDArray[np.float32] | None:
        """Landmarks, shape (frames, N, 3), in pixels of the stored frame, NaN without a face; None: no landmarks."""
        rows = self._landmarks
        if rows is None:
            return None
        seen = rows["landmarks"].is_not_null().to_numpy()
        found = rows["landmarks"].drop_nulls().to_numpy()
        points = np.full((len(seen), found.shape[1] // 3, 3), np.nan, dtype=np.float32)
        points[seen] = found.reshape(len(found), -1, 3)
        return points

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the stored frames, where they are known."""
        sized = None if self._landmarks is None else self._landmarks.filter(pl.col("width").is_not_null())
        return None if sized is None or sized.is_empty() else (int(sized["width"][0]), int(sized["height"][0]))

    @cached_property
    def previews(self) -> list[PreviewFrame]:
        """The frames that `landmarks` kept, with the landmarks of the same frame numbers."""
        kept = self.rows("landmarks.preview")
        if kept is None or self._landmarks is None:
            return []
        rows = kept.join(self._landmarks, on=["clip_id", "frame"], how="inner").sort("frame")
        return [
            PreviewFrame(row["time_s"], as_text(row["image"]), row["width"], row["height"], face_path(row["landmarks"]))
            for row in rows.iter_rows(named=True)
        ]

    def true(self, table: str) -> pl.DataFrame | None:
        """Return what the truth of a synthetic corpus knows of it: a table's rows."""
        return self.run.true_clip(self.corpus, table, self.clip_id)

    def true_value(self, column: str) -> str | None:
        """Return a column of its row in the table `clips` of the truth; None where there is no truth."""
        rows = self.true("clips")
        return None if rows is None else rows[column][0]

    @cached_property
    def true_units(self) -> Signals:
        """True intensity of the action units, 0 to 1; empty where there is no truth."""
        return signals(self.true("action_units"), ACTION_UNITS)

    @cached_property
    def true_phonemes(self) -> list[tuple[float, float, str]]:
        """Start, end and name of each true phoneme."""
        rows = self.true("phonemes")
        return [] if rows is None else list(rows.select("start_s", "end_s", "phoneme").iter_rows())


def signals(rows: pl.DataFrame | None, columns: Sequence[str]) -> Signals:
    """Return columns of a clip's rows as signals; none without rows."""
    if rows is None:
        return Signals(np.zeros(0), {})
    known = rows.select(pl.col("time_s", *columns).cast(pl.Float64).fill_null(np.nan))
    return Signals(known["time_s"].to_numpy(), {name: known[name].to_numpy() for name in columns})


def emotion_table(run: OpenRun, corpus: str) -> EmotionTable | None:
    """Return the table that the emotion labels of a corpus were made with."""
    table = run.made_by(corpus, "labels_emotion").get("table")
    return EmotionTable.model_validate(table) if table else None


def strongest(units: Mapping[str, float], most: int) -> list[tuple[str, float]]:
    """Return the action units that a caption names, the strongest first, at most so many."""
    named = [(unit, float(value)) for unit, value in units.items() if value >= CAPTIONED]
    return sorted(named, key=lambda entry: (-entry[1], entry[0]))[:most]


def as_text(image: Mapping[str, Any]) -> str:
    """Return the JPEG of an image column as base64."""
    return base64.b64encode(image["bytes"]).decode("ascii")


def decibels(values: Any) -> Floats:
    """Return RMS energy (1 = full scale) in dB, not below -80.

    >>> decibels(np.array([1.0, 0.1, 0.0]))
    array([  0., -20., -80.])
    """
    return energy.decibels(np.asarray(values, dtype=np.float64), _SILENCE_DB)


def face_path(landmarks: Sequence[float] | None) -> str:
    """Return the lines of a face as SVG path data, in pixels of the frame; nothing without a face.

    `landmarks` are x, y, z of 478 or 68 points, flat.
    """
    if landmarks is None:
        return ""
    points = dlib_points(np.asarray(landmarks, dtype=np.float64).reshape(-1, 3))
    return "".join("M" + "L".join(f"{points[k, 0]:.1f} {points[k, 1]:.1f}" for k in line) for line in FACE_LINES)
