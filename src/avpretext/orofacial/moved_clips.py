"""Training data of orofacial models: speech on the video grid, what face, lips and voice do there, and the folds."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext import shards
from avpretext.chunks import FRAME_S
from avpretext.corpora.protocols import (
    Fold,
    draw_speakers,
    folds_by_test_speakers,
    leave_one_speaker_out,
    speaker_kfold,
)
from avpretext.corpora.who import named_speakers, speaker_of_each
from avpretext.errors import UserError
from avpretext.face.landmark_shards import vectors
from avpretext.models.losses import NO_LABEL
from avpretext.options.orofacial import OrofacialOptions
from avpretext.orofacial import visemes
from avpretext.orofacial.networks import EMOTION, VISEME
from avpretext.orofacial.resting_shape import read_shapes
from avpretext.training.frames import read_frames

Floats = NDArray[np.float32]

SILENT_DEVIATION = 1e-6
"""A clip is silent where every channel of its speech varies by less than this, in the channel's unit."""

WHOLE = -1
"""Number of the fold without test clips, whose model is kept."""


class MovedClip(NamedTuple):
    """A clip of T video frames.

    Attributes
    ----------
    name, speaker
        `{corpus}/{clip_id}` and `{corpus}/{speaker}`; see `who_speaks` for clips whose speaker is not known.
    steps
        (T, F) features of the speech, in their units; NaN where one has no value.
    movement, blendshapes
        (T, 2 P) in inter-ocular distances and (T, B), both from rest; NaN where no face is found.
    rest
        (P, 2) the resting shape of its speaker, see `resting_shape`.
    visemes
        (T,) class numbers or `NO_LABEL`.
    emotion
        Name of the class; None where it is not known.
    """

    name: str
    speaker: str
    steps: Floats
    movement: Floats
    blendshapes: Floats
    rest: Floats
    visemes: NDArray[np.int64]
    emotion: str | None


@dataclass(frozen=True)
class MovedClips:
    """The clips of all corpora, in the order of their names, corpus by corpus, with (F,) channels.

    `classes` has the names of each task's classes; none where nothing is known.
    """

    clips: Sequence[MovedClip]
    channels: list[str]
    classes: dict[str, list[str]]

    @property
    def speaker_of(self) -> dict[str, str]:
        """The speaker of each clip, by name."""
        return {clip.name: clip.speaker for clip in self.clips}

    def named(self, names: Sequence[str]) -> list[MovedClip]:
        """Return the clips of these names, in the order of all."""
        wanted = set(names)
        return [clip for clip in self.clips if clip.name in wanted]


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


def read_corpora(
    corpora: Mapping[str, OrofacialInputs], options: OrofacialOptions, fps: float, viseme_names: Sequence[str]
) -> MovedClips:
    """Read the clips of all corpora that have speech and a face, on the video grid of `fps`.

    `viseme_names` are in the order of their numbers. It is an error if there are no clips, or if corpora differ in
    their channels.
    """
    clips: list[MovedClip] = []
    channels: list[str] = []
    for name, files in corpora.items():
        found, heard = _read(name, files, options, fps, viseme_names)
        if clips and heard != channels:
            raise UserError(
                f"features of {name} have other columns than those of {next(iter(corpora))}: redo their stages"
            )
        clips, channels = clips + found, heard
    emotions = sorted({clip.emotion for clip in clips} - {None}, key=str)
    known = any((clip.visemes != NO_LABEL).any() for clip in clips)
    classes = {
        VISEME: list(viseme_names) if known else [],
        EMOTION: [str(name) for name in emotions] if len(emotions) > 1 else [],
    }
    return MovedClips(clips, channels, classes)


def _read(
    corpus: str, files: OrofacialInputs, options: OrofacialOptions, fps: float, names: Sequence[str]
) -> tuple[list[MovedClip], list[str]]:
    moved = _movement(files.movement)
    if not moved:
        raise UserError(f"{corpus}: no clip has a face that moves; see results/{corpus}/rejects")
    store = read_frames(files.features, moved.keys(), options.channels)
    heard = {clip_id: store.clip(row) for row, clip_id in enumerate(store.clip_ids)}
    clip_ids = [clip_id for clip_id in store.clip_ids if not is_silent(heard[clip_id])]
    if silent := len(heard) - len(clip_ids):
        print(f"orofacial: {silent} clips of {corpus} are silent: left out", file=sys.stderr)
    if not clip_ids:
        raise UserError(f"{corpus}: all {len(heard)} clips are silent: there is no speech to learn from")
    speakers, groups, shapes = named_speakers(files.index), speaker_of_each(files.index), read_shapes(files.shape)
    rows = shards.read(list(files.phones), ["clip_id", *_NO_PHONES.columns]) if files.phones else pl.DataFrame()
    phones = rows.partition_by("clip_id", as_dict=True) if files.phones else {}
    emotions = shards.read(files.emotions, ["clip_id", "label"]).drop_nulls() if files.emotions else pl.DataFrame()
    emotion_of = dict(emotions.iter_rows())
    found = []
    for clip_id in clip_ids:
        movement, blendshapes = moved[clip_id]
        seen = visemes.phones_on_grid(phones.get((clip_id,), _NO_PHONES), len(movement), fps, names)
        found.append(
            MovedClip(
                name=f"{corpus}/{clip_id}",
                speaker=f"{corpus}/{groups.get(clip_id) or clip_id}",
                steps=on_video_grid(heard[clip_id], len(movement), fps, options.context),
                movement=movement,
                blendshapes=blendshapes,
                rest=shapes[speakers.get(clip_id) or clip_id].points.astype(np.float32),
                visemes=seen,
                emotion=emotion_of.get(clip_id),
            )
        )
    return found, stacked_names(store.channels, options.context)


def _movement(paths: Sequence[Path]) -> dict[str, tuple[Floats, Floats]]:
    """Return movement and blendshapes of each clip of `lower_face` that shows a face."""
    found = {}
    for path in paths:
        for clip_id, rows in shards.iterate_clips(path, ["movement", "blendshapes"]):
            movement = vectors(rows["movement"])
            if np.isfinite(movement).any():
                found[clip_id] = (movement, vectors(rows["blendshapes"]))
    return found


_NO_PHONES = pl.DataFrame(schema={"start_s": pl.Float64, "end_s": pl.Float64, "viseme": pl.String})


def on_video_grid(frames: Floats, count: int, fps: float, context: int) -> Floats:
    """Bring 10 ms frames (T, F), frame j at j * 10 ms, to the grid of the video, whose frame k stands at k / fps.

    With context 0 it is the mean over the 10 ms frames no further than half a video frame away, NaN (no value) left
    out. Else it is the 10 ms frame nearest to each instant and so many on each side, one after the other; beyond the
    ends the last frame stands.

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
    first = np.ceil(instants - half).astype(np.int64).clip(0, last)
    stop = np.maximum((np.floor(instants + half).astype(np.int64) + 1).clip(0, last + 1), first + 1)
    known = np.isfinite(frames)
    total, counted = (
        np.pad(np.cumsum(part, axis=0, dtype=np.float64), ((1, 0), (0, 0)))
        for part in (np.where(known, frames, 0), known)
    )
    sums, numbers = total[stop] - total[first], counted[stop] - counted[first]
    return np.where(numbers > 0, sums / np.maximum(numbers, 1), np.nan).astype(np.float32)


def stacked_names(channels: Sequence[str], context: int) -> list[str]:
    """Return the names of the channels of every 10 ms frame in a video frame's context, the earliest first.

    >>> stacked_names(["energy"], 1)
    ['energy@-1', 'energy@+0', 'energy@+1']
    """
    if not context:
        return list(channels)
    return [f"{name}@{place:+d}" for place in range(-context, context + 1) for name in channels]


def is_silent(frames: Floats) -> bool:
    """Tell whether every channel of per-frame features, (T, F), is constant."""
    finite = np.where(np.isfinite(frames), frames, 0.0)
    return len(frames) == 0 or bool((finite.std(axis=0) < SILENT_DEVIATION).all())


def divide(speaker_of: Mapping[str, str], options: OrofacialOptions, seed: int) -> list[Fold]:
    """Return the folds, of clips, drawn by the seed; too few speakers, or clips, are an error.

    speaker_kfold deals the speakers to groups of about equally many clips, each of which tests once; dev speakers are
    drawn from the others. leave_one_clip_out has no dev clips: all epochs are trained.
    """
    names, speakers = sorted(speaker_of), list(speaker_of.values())
    if options.protocol == "leave_one_clip_out":
        if len(names) < 3:
            raise UserError(f"orofacial.protocol leave_one_clip_out: {len(names)} clips; 3 is the least")
        return [
            Fold(number, name, tuple(sorted({*names} - {name})), (), (name,), "clip_id")
            for number, name in enumerate(names)
        ]
    if options.protocol == "leave_one_speaker_out":
        folds = leave_one_speaker_out(speakers, options.dev_speakers, seed)
    else:
        if (number := len(set(speakers))) < max(3, options.folds):
            fix = f"folds to {number}" if number >= 3 else "protocol to leave_one_clip_out"
            raise UserError(
                f"orofacial: {number} speakers have clips; {options.folds} folds need as many: set orofacial.{fix}"
            )
        dealt = [fold.test for fold in speaker_kfold(speakers, options.folds, seed)]
        folds = folds_by_test_speakers(speakers, dealt, options.dev_speakers, seed)
    return [_of_clips(fold, speaker_of) for fold in folds]


def whole(speaker_of: Mapping[str, str], options: OrofacialOptions, seed: int) -> Fold:
    """Return the fold of the model that is kept: all clips train but those of the dev speakers."""
    speakers, dev = set(speaker_of.values()), list[str]()
    if options.protocol != "leave_one_clip_out":
        where = "orofacial: the model that is kept"
        dev = draw_speakers(speakers, options.dev_speakers, [seed, len(speaker_of)], where)
    return _of_clips(Fold(WHOLE, "all", tuple(speakers - set(dev)), tuple(dev), ()), speaker_of)


def speaker_leaks(folds: Sequence[Fold], speaker_of: Mapping[str, str]) -> bool:
    """Tell whether a speaker is in train and test of a fold."""
    return any({speaker_of[name] for name in fold.train} & {speaker_of[name] for name in fold.test} for fold in folds)


def _of_clips(fold: Fold, speaker_of: Mapping[str, str]) -> Fold:
    train, dev, test = (
        tuple(sorted(name for name, speaker in speaker_of.items() if speaker in part))
        for part in map(set, (fold.train, fold.dev, fold.test))
    )
    return Fold(fold.number, fold.name, train, dev, test, "clip_id")
