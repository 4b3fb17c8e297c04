"""What the shards, and the truth where it is known, hold of one clip."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import soundfile
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.evaluation.summaries import present
from avpretext.flow.paths import Layout
from avpretext.flow.schemas import ACTION_UNITS, SAMPLE_RATE_HZ
from avpretext.inspect.find import Place, said
from avpretext.labels.emotion_table import EmotionTable
from avpretext.report.sample import Sample, clip_rows, read_clip

Points = NDArray[np.float32]


@dataclass(frozen=True)
class Truth:
    """What a synthetic corpus knows.

    Attributes
    ----------
    emotion, text
        Of the clip.
    time_s
        Of each frame.
    action_units
        0..1 for each frame.
    phonemes
        Start, end and name of each.
    """

    emotion: str | None = None
    text: str | None = None
    time_s: list[float] = field(default_factory=list)
    action_units: dict[str, list[float]] = field(default_factory=dict)
    phonemes: list[tuple[float, float, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Inspected:
    """A clip with all that is drawn of it.

    Attributes
    ----------
    place
        Which clip, and what is listed of it.
    sample
        Its signals and pseudo-labels.
    sound
        16 kHz mono.
    fps
        Of the video grid.
    frames
        On that grid; of a corpus of which audio alone is read, as many as the sound lasts.
    points
        Shape (frames, N, 3), in pixels of the stored frame, NaN where no face was found; None: no landmarks.
    size
        Width and height of the stored frame, where it is known.
    split
        The options that `split` was run with.
    content
        Hash of the sound as `split` decoded it.
    prototypes
        The table that gave the emotion label.
    truth
        Empty where nothing is known.
    """

    place: Place
    sample: Sample
    sound: NDArray[np.int16]
    fps: float
    frames: int
    points: Points | None
    size: tuple[int, int] | None
    split: dict[str, Any]
    content: str | None
    prototypes: EmotionTable | None = None
    truth: Truth = field(default_factory=Truth)

    @property
    def shard(self) -> int:
        """Return its shard."""
        assert self.place.shard is not None
        return self.place.shard


def gather(config: Config, place: Place) -> Inspected:
    """Read all that is drawn of a clip.

    Raises
    ------
    UserError
        It was refused before anything could be measured, or its shards are not made yet.
    """
    layout, corpus, clip_id = Layout(config.results), place.corpus, place.clip_id
    if place.shard is None:
        raise UserError(f"{clip_id}: {said(place.refusals)}. There is nothing to show")
    sample = read_clip(layout, corpus, place.shard, clip_id)
    file = layout.shard(corpus, "split", place.shard, "audio")
    if sample is None:
        if place.refusals:
            raise UserError(f"{clip_id}: {said(place.refusals)}. There is nothing to show")
        raise UserError(
            f"{file}: {clip_id} is not there yet: run the workflow, at least `snakemake --cores 2 features`"
        )
    audio = shards.read_clip(file, clip_id).row(0, named=True)
    sound: NDArray[np.int16] = soundfile.read(io.BytesIO(audio["audio"]["bytes"]), dtype="int16")[0]
    points, size = _landmarks(layout.shard(corpus, "landmarks", place.shard), clip_id)
    fps = float(audio["fps"])
    heard = max(1, round(len(sound) * fps / SAMPLE_RATE_HZ))
    labels = layout.corpus(corpus, "labels_emotion")
    table = shards.read_provenance(labels).get("table") if present([labels]) else None
    return Inspected(
        place=place,
        sample=sample,
        sound=sound,
        fps=fps,
        frames=audio["video_frames"] or (heard if points is None else len(points)),
        points=points,
        size=size,
        split=shards.read_provenance(file).get("options", {}),
        content=audio["content"],
        prototypes=EmotionTable.model_validate(table) if table else None,
        truth=_truth(config.corpora[corpus].truth, clip_id),
    )


def _landmarks(file: str, clip_id: str) -> tuple[Points | None, tuple[int, int] | None]:
    """Return the landmarks of each frame, and width and height of the frames."""
    rows = clip_rows(file, clip_id, ["frame", "landmarks", "width", "height"])
    if rows is None:
        return None, None
    rows = rows.sort("frame")
    seen = rows["landmarks"].is_not_null().to_numpy()
    found = rows["landmarks"].drop_nulls().to_numpy()
    points = np.full((len(seen), found.shape[1] // 3, 3), np.nan, dtype=np.float32)
    points[seen] = found.reshape(len(found), -1, 3)
    sized = rows.filter(pl.col("width").is_not_null())
    return points, (int(sized["width"][0]), int(sized["height"][0])) if sized.height else None


def _truth(folder: str | None, clip_id: str) -> Truth:
    """Return what is known of a clip of a synthetic corpus."""
    if folder is None:
        return Truth()
    clip, units, phonemes = (
        clip_rows(str(Path(folder) / f"{table}.parquet"), clip_id) for table in ("clips", "action_units", "phonemes")
    )
    return Truth(
        emotion=None if clip is None else clip["emotion"][0],
        text=None if clip is None else clip["text"][0],
        time_s=[] if units is None else units["time_s"].to_list(),
        action_units={} if units is None else {unit: units[unit].to_list() for unit in ACTION_UNITS},
        phonemes=[] if phonemes is None else list(phonemes.select("start_s", "end_s", "phoneme").iter_rows()),
    )
