"""Training data of orofacial models: speech on the video grid, and what the face, the lips and the voice say there."""

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext import shards
from avpretext.action_units.neutral import read_speakers
from avpretext.chunks import FRAME_S
from avpretext.corpora.who import speaker_of_each
from avpretext.errors import UserError
from avpretext.face.landmark_shards import vectors
from avpretext.models.losses import NO_LABEL
from avpretext.orofacial import visemes
from avpretext.orofacial.resting_shape import read_shapes
from avpretext.training.frames import read_frames

Floats = NDArray[np.float32]

SILENT_DEVIATION = 1e-6
"""Speech whose channels all vary less than this over a clip, in their units, is silence: there is nothing to hear."""


@dataclass(frozen=True)
class OrofacialClips:
    """N clips, video frame by video frame.

    Attributes
    ----------
    names, speakers
        (N,) `{corpus}/{clip_id}` and `{corpus}/{speaker}`; see `who_speaks` for clips whose speaker is not known.
    channels
        (F,) names of what is heard.
    steps
        (T, F) of each clip, in the units of the features; NaN where one has no value.
    movement
        (T, 2 P) of each, in inter-ocular distances; NaN where no face is found.
    blendshapes
        (T, B) of each, from those at rest; NaN where no face is found.
    rest
        (P, 2) of each, the resting shape of its speaker, see `resting_shape`.
    visemes
        (T,) of each, class numbers or `NO_LABEL`.
    emotion
        (N,) class numbers or `NO_LABEL`.
    classes
        Task: names of its classes; none where nothing is known.
    """

    names: list[str]
    speakers: list[str]
    channels: list[str]
    steps: list[Floats]
    movement: list[Floats]
    blendshapes: list[Floats]
    rest: list[Floats]
    visemes: list[NDArray[np.int64]]
    emotion: NDArray[np.int64]
    classes: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class OrofacialInputs:
    """The files of one corpus.

    Attributes
    ----------
    features
        name: shards of per-frame features.
    movement, index
        Shards of `lower_face`, and of the stage that lists the clips.
    shape
        Artefact of `resting_shape`.
    phones
        Shards of `phones`; none where visemes are not known.
    emotions
        Table with `clip_id` and `label`: pseudo-labels or label targets; None where emotions are not known.
    """

    features: Mapping[str, Sequence[Path]]
    movement: Sequence[Path]
    index: Sequence[Path]
    shape: Path
    phones: Sequence[Path] = ()
    emotions: Path | None = None


def inputs_of(
    features: Mapping[str, Mapping[str, Sequence[Path]]],
    movement: Mapping[str, Sequence[Path]],
    index: Mapping[str, Sequence[Path]],
    shape: Mapping[str, Path],
    phones: Mapping[str, Sequence[Path]],
    emotions: Mapping[str, Path],
) -> dict[str, OrofacialInputs]:
    """Return the files of each corpus whose movement is given.

    Raises
    ------
    UserError
        Other files of such a corpus are not given.
    """
    for option, named in (("--features", features), ("--index", index), ("--shape", shape)):
        if missing := [corpus for corpus in movement if corpus not in named]:
            raise UserError(f"{option}: nothing of {missing[0]}, whose movement is given: name its files too")
    return {
        corpus: OrofacialInputs(
            features[corpus], files, index[corpus], shape[corpus], phones.get(corpus, ()), emotions.get(corpus)
        )
        for corpus, files in movement.items()
    }


def on_video_grid(frames: Floats, count: int, fps: float, context: int) -> Floats:
    """Bring 10 ms frames to the grid of the video, whose frame k stands at k / fps.

    Parameters
    ----------
    frames
        (T, F), frame j at j * 10 ms; NaN where a channel has no value.
    count
        Number of video frames.
    fps
        Of the video.
    context
        0: the mean over the 10 ms frames no further than half a video frame away. Else the 10 ms frame nearest to each
        instant and so many on each side, one after the other; beyond the ends the last frame stands.

    Returns
    -------
    (count, F), or (count, (2 context + 1) F).

    >>> on_video_grid(np.arange(12, dtype=np.float32)[:, None], 3, 25.0, 0).ravel()
    array([1., 4., 8.], dtype=float32)
    """
    instants = np.round(np.arange(count) / fps / FRAME_S, 6)
    last = len(frames) - 1
    if context:
        nearest = np.floor(instants + 0.5).astype(np.int64)[:, None] + np.arange(-context, context + 1)
        return np.asarray(frames[nearest.clip(0, last)].reshape(count, -1))
    half = round(0.5 / fps / FRAME_S, 6)
    first, stop = np.ceil(instants - half).astype(np.int64), np.floor(instants + half).astype(np.int64) + 1
    known = np.isfinite(frames)
    sums, numbers = (
        np.concatenate([np.zeros((1, frames.shape[1])), np.cumsum(part, axis=0, dtype=np.float64)])
        for part in (np.where(known, frames, 0), known)
    )
    first = first.clip(0, last)
    stop = np.maximum(stop.clip(0, last + 1), first + 1)
    counted = numbers[stop] - numbers[first]
    means = np.where(counted > 0, (sums[stop] - sums[first]) / np.maximum(counted, 1), np.nan)
    return means.astype(np.float32)


def read_corpora(
    corpora: Mapping[str, OrofacialInputs],
    patterns: Sequence[str],
    fps: float,
    context: int,
    viseme_names: Sequence[str],
) -> OrofacialClips:
    """Read the clips of all corpora that have speech and a face.

    Parameters
    ----------
    corpora
        name: files.
    patterns
        Columns of the features, see `frames.choose_channels`.
    fps
        Of the video grid.
    context
        See `on_video_grid`.
    viseme_names
        Viseme classes, in the order of their numbers.

    Raises
    ------
    UserError
        There are no clips, or the corpora have other channels.
    """
    parts = [_read(name, files, patterns, fps, context, viseme_names) for name, files in corpora.items()]
    emotions = sorted({label for part in parts for label in part.labels if label is not None})
    first = parts[0].clips
    for name, part in zip(corpora, parts, strict=True):
        if part.clips.channels != first.channels:
            raise UserError(
                f"features of {name} have other columns than those of {next(iter(corpora))}: redo their stages"
            )
    labels = [label for part in parts for label in part.labels]
    known = any((clip != NO_LABEL).any() for part in parts for clip in part.clips.visemes)
    return OrofacialClips(
        names=[name for part in parts for name in part.clips.names],
        speakers=[name for part in parts for name in part.clips.speakers],
        channels=first.channels,
        steps=[clip for part in parts for clip in part.clips.steps],
        movement=[clip for part in parts for clip in part.clips.movement],
        blendshapes=[clip for part in parts for clip in part.clips.blendshapes],
        rest=[clip for part in parts for clip in part.clips.rest],
        visemes=[clip for part in parts for clip in part.clips.visemes],
        emotion=np.array([NO_LABEL if label is None else emotions.index(label) for label in labels], np.int64),
        classes={"viseme": list(viseme_names) if known else [], "emotion": emotions if len(emotions) > 1 else []},
    )


@dataclass(frozen=True)
class _Part:
    clips: OrofacialClips
    labels: list[str | None]


def _read(
    corpus: str, files: OrofacialInputs, patterns: Sequence[str], fps: float, context: int, names: Sequence[str]
) -> _Part:
    moved = read_movement(files.movement)
    if not moved:
        raise UserError(f"{corpus}: no clip has a face that moves; see results/{corpus}/rejects")
    store = read_frames(files.features, moved.keys(), patterns)
    heard = {clip_id: store.clip(row) for row, clip_id in enumerate(store.clip_ids)}
    clip_ids = [clip_id for clip_id in store.clip_ids if not is_silent(heard[clip_id])]
    if silent := len(heard) - len(clip_ids):
        print(f"orofacial: {silent} clips of {corpus} are silent: left out", file=sys.stderr)
    if not clip_ids:
        raise UserError(f"{corpus}: all {len(heard)} clips are silent: there is no speech to learn from")
    speakers, labels, shapes = read_speakers(files.index), _labels(files.emotions), read_shapes(files.shape)
    who = speaker_of_each(files.index)
    spoken = _phones(files.phones, clip_ids)
    lengths = {clip_id: len(moved[clip_id][0]) for clip_id in clip_ids}
    steps = [on_video_grid(heard[clip_id], lengths[clip_id], fps, context) for clip_id in clip_ids]
    clips = OrofacialClips(
        names=[f"{corpus}/{clip_id}" for clip_id in clip_ids],
        speakers=[f"{corpus}/{who.get(clip_id) or clip_id}" for clip_id in clip_ids],
        channels=stacked_names(store.channels, context),
        steps=steps,
        movement=[moved[clip_id][0] for clip_id in clip_ids],
        blendshapes=[moved[clip_id][1] for clip_id in clip_ids],
        rest=[shapes[speakers.get(clip_id) or clip_id].points.astype(np.float32) for clip_id in clip_ids],
        visemes=[viseme_numbers(spoken.get(clip_id), lengths[clip_id], fps, names) for clip_id in clip_ids],
        emotion=np.zeros(0, np.int64),
        classes={},
    )
    return _Part(clips, [labels.get(clip_id) for clip_id in clip_ids])


def stacked_names(channels: Sequence[str], context: int) -> list[str]:
    """Return the names of the channels of every 10 ms frame in a video frame's context, the earliest first.

    >>> stacked_names(["energy"], 1)
    ['energy@-1', 'energy@+0', 'energy@+1']
    """
    if not context:
        return list(channels)
    return [f"{name}@{place:+d}" for place in range(-context, context + 1) for name in channels]


def is_silent(frames: Floats) -> bool:
    """Tell whether nothing is to be heard in per-frame features, (T, F): every channel is constant."""
    finite = np.where(np.isfinite(frames), frames, 0.0)
    return len(frames) == 0 or bool((finite.std(axis=0) < SILENT_DEVIATION).all())


def read_movement(paths: Sequence[Path]) -> dict[str, tuple[Floats, Floats]]:
    """Return movement (T, 2 P) and blendshapes (T, B) of each clip of `lower_face`, by clip_id, NaN where null."""
    found = {}
    for path in paths:
        for clip_id, rows in shards.iterate_clips(path, ["movement", "blendshapes"]):
            movement, blendshapes = (vectors(rows[name]) for name in ("movement", "blendshapes"))
            if np.isfinite(movement).any():
                found[clip_id] = (movement, blendshapes)
    return found


def viseme_numbers(intervals: pl.DataFrame | None, frames: int, fps: float, names: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of the viseme of each video frame, `NO_LABEL` where it is not known."""
    if intervals is None:
        return np.full(frames, NO_LABEL, np.int64)
    return visemes.phones_on_grid(intervals, frames, fps, names)


def _labels(table: Path | None) -> dict[str, str]:
    """Return the emotion of each clip that has one."""
    if table is None:
        return {}
    rows = shards.read(table, ["clip_id", "label"]).drop_nulls()
    return dict(rows.select("clip_id", "label").iter_rows())


def _phones(paths: Sequence[Path], clip_ids: Collection[str]) -> dict[str, pl.DataFrame]:
    """Return the phone intervals of each clip."""
    if not paths:
        return {}
    rows = shards.read(list(paths), ["clip_id", "start_s", "end_s", "viseme"])
    wanted = rows.filter(pl.col("clip_id").is_in(list(clip_ids)))
    return {str(clip_id): part for (clip_id,), part in wanted.group_by("clip_id", maintain_order=True)}
