"""Clips of fine-tuning: their input, read and encoded as each pre-training heard them, and what is learnt of them."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext.config import Config, ModelOptions
from avpretext.corpora.settings import NUMBERS, Kind
from avpretext.errors import UserError
from avpretext.flow.paths import condition_of, original_of
from avpretext.training import checkpoint as checkpoints
from avpretext.training import encoder_start, loop
from avpretext.training.batches import NormalisedSteps
from avpretext.training.checkpoint import Body
from avpretext.training.data import SpeechChunks, load_corpora
from avpretext.training.encoder_start import EncoderStart, Features, Heard
from avpretext.training.fold_parts import Fold, FoldTable
from avpretext.training.predictions import LabelledFolds
from avpretext.training.sounds import Sounds
from avpretext.training.target_rows import has_classes


@dataclass(frozen=True)
class LabelledClips:
    """Clips and what is to be learnt of them: `values` (N, C) float32 of a kind and its classes, see `Targets`.

    Where the pre-trained encoder learns too, `sounds` are what the network hears, and `chunks` their means before
    training; `start` is what it starts with, also where an earlier training alone has changed it. Else `steps` are what
    the network hears of the clips that a fold uses; None before there is a fold.

    From here on clips are `{corpus}/{clip_id}` of `{corpus}/{speaker}`; copies at other speeds and in conditions are
    `{corpus}@{speed}/{clip_id}`, `{corpus}@{condition}/{clip_id}`, of speakers of their own.
    """

    chunks: SpeechChunks
    values: NDArray[np.float32]
    kind: Kind
    classes: list[str]
    sounds: Sounds | None = None
    start: EncoderStart | None = None
    steps: NormalisedSteps | None = None

    @property
    def heard(self) -> Heard:
        """What the network hears: stored features, or the sound by which the encoder learns."""
        return Heard(self.chunks, self.sounds, None if self.sounds is None else self.start, self.steps)

    def versions(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each of these clips (M,) at every speed, (M, V); its own where there is no copy."""
        names = self.chunks.clip_ids
        place = {name: row for row, name in enumerate(names)}
        corpora = dict.fromkeys(name.partition("/")[0] for name in names)
        copies = [corpus for corpus in corpora if "@" in corpus and not condition_of(corpus)]
        versions = np.tile(rows[:, None], 1 + len(copies))
        for number, copy in enumerate(copies, 1):
            for clip, row in enumerate(rows.tolist()):
                corpus, _, clip_id = names[row].partition("/")
                if original_of(copy) == corpus:
                    versions[clip, number] = place.get(f"{copy}/{clip_id}", row)
        return versions


def read_clips(
    features: Mapping[str, Mapping[str, Sequence[Path]]], labelled: LabelledFolds, config: Config
) -> LabelledClips:
    """Read features and targets of the clips that the folds name, and of their copies.

    Raises
    ------
    UserError
        A corpus of the folds has no features, or a clip has no target.
    """
    labelled.table.refuse_missing(features, "features")
    return with_targets(
        load_corpora(features, speakers_of(features, labelled.table), config.chunks, config.model), labelled
    )


def with_targets(chunks: SpeechChunks, labelled: LabelledFolds) -> LabelledClips:
    """Return clips with what is to be learnt of them."""
    known = labelled.known
    values = known.values_of([original_of(name) for name in chunks.clip_ids])
    return LabelledClips(chunks, values, known.kind, known.classes)


def read_starts(
    features: Features, labelled: LabelledFolds, starts: Sequence[Path], config: Config, threads: int
) -> tuple[list[LabelledClips], list[Body]]:
    """Read clips and the bodies of an initialisation.

    Returns
    -------
    clips
        One entry; where a pre-trained encoder learnt in pre-training, as each of these hears them.
    bodies
        One for each pre-training; none from scratch.
    """
    if not encoder_start.hears_sound(features):
        if config.finetune.encoder.tuned:
            raise UserError("finetune.encoder: the encoder learns from sound: give shards of split.audio as features")
        clips = read_clips(features, labelled, config)
        by = clips.chunks.encoder
        bodies = [checkpoints.read_body(path, clips.chunks.channels, config, by) for path in starts]
        for path, body in zip(starts, bodies, strict=True):
            if body.front:
                learnt, name = path.parent / encoder_start.FOLDER, config.model.features[0]
                raise UserError(
                    f"{path} was pre-trained with pretrain.encoder.tune: {body.front.tuning.tune}: set that here too,"
                    f" or name {learnt} as the folder in encoders.{name}"
                )
        return [clips], bodies
    labelled.table.refuse_missing(features, "sound")
    opened = encoder_start.open_encoder(config, config.finetune.encoder, loop.torch_device(config.finetune.device))
    bodies = [checkpoints.read_body(path, opened.channels, config, opened.by) for path in starts]
    names, speakers, sounds = encoder_start.load_sound(features, speakers_of(features, labelled.table))
    changed = [body.front for body in bodies] if any(body.front for body in bodies) else [None]
    found = []
    for weights in changed:
        start = opened.start(weights)
        chunks, heard = encoder_start.encoded(opened, start, names, speakers, sounds, threads)
        learns = config.finetune.encoder.tuned
        found.append(replace(with_targets(chunks, labelled), sounds=heard if learns else None, start=start))
    return found, bodies


def speakers_of(features: Features, table: FoldTable) -> dict[str, Mapping[str, str]]:
    """Return {corpus: {clip_id: speaker}} of the clips that the folds name, and of their copies."""
    corpora = [*table.corpora, *(other for other in features if "@" in other)]
    return {corpus: table.speakers_of(corpus) for corpus in corpora}


def warn_of_missing_classes(clips: LabelledClips, folds: Sequence[Fold]) -> None:
    """Warn of each fold that has a class in its test clips but not in its training clips."""
    if clips.kind in NUMBERS:
        return
    has = has_classes(clips.values, clips.kind)
    for fold in folds:
        rows = fold.rows(clips.chunks.clip_ids)
        for missing in np.flatnonzero(has[rows["test"]].any(0) & ~has[rows["train"]].any(0)):
            name = clips.classes[missing]
            print(f"finetune: warning: fold {fold.number} tests {name!r} and learns it from no clip", file=sys.stderr)


def clips_of_fold(clips: LabelledClips, fold: Fold, model: ModelOptions) -> LabelledClips:
    """Return the clips, those that a fold uses normalised by what it may know, see `model.normalise`."""
    if clips.sounds is not None:  # the network normalises what it makes of them
        return clips
    names = clips.chunks.clip_ids
    rows = fold.rows(names)
    of_fold = [*rows.values(), *fold.degraded(names).values(), clips.versions(rows["train"]).ravel()]
    used = np.unique(np.concatenate(of_fold))
    return replace(clips, steps=clips.heard.normalised(rows["train"], model, used).steps)
