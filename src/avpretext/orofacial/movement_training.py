"""Training of an orofacial system on one fold: its loss, its dev score, its data, and what it starts from."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from avpretext.config import Config, ModelOptions
from avpretext.corpora.protocols import Fold
from avpretext.errors import UserError
from avpretext.models.losses import NO_LABEL, concordance, masked_class_loss, total_loss
from avpretext.models.network import SpeechNetwork
from avpretext.options.orofacial import OrofacialOptions, OrofacialWeights
from avpretext.orofacial.moved_clips import MovedClip, MovedClips
from avpretext.orofacial.networks import EMOTION, MOVEMENT, VISEME, make_orofacial_network
from avpretext.orofacial.orofacial_model import BlendshapeMap, MovementScale, OrofacialModel, SpeechScale, pieces
from avpretext.systems import OrofacialSystem
from avpretext.training import checkpoint as checkpoints
from avpretext.training import finite
from avpretext.training.finished import UnfinishedRun
from avpretext.training.loop import ClipSet, Logits, Target, epochs, network_seed, start
from avpretext.training.predictions import HistoryRow, Prediction

HELPERS = (VISEME, EMOTION)
MovementLoss = Literal["mse", "ccc", "both"]


def concordances(predicted: Tensor, actual: Tensor, counted: Tensor) -> Tensor:
    """Return the CCC (K,) of outputs (B, T, K) over the frames (B, T) that count; 0 where an output is constant."""
    if not counted.any():
        return torch.zeros(predicted.shape[-1])
    return concordance(predicted[counted], actual[counted])  # of (M, K)


def movement_loss(predicted: Tensor, target: Target, weights: Tensor, kind: MovementLoss = "mse") -> Tensor:
    """Return the error of the movement (B, T, K), in deviations, over frames with a face, outputs weighed by (K,).

    The squared error did best on dev (benchmarks/orofacial.md). It shrinks movement that speech does not determine
    towards the mean; 1 - CCC, over the batch, does not. `both` is their sum. The target has labels (B, T, K) and
    weights (B, T), 0 where no face is found.
    """
    counted = target.weights > 0
    if not counted.any():
        return predicted.sum() * 0
    errors = functional.mse_loss(predicted[counted], target.labels[counted], reduction="none").mean(0)
    if kind != "mse":
        apart = 1 - concordances(predicted, target.labels, counted)
        errors = apart if kind == "ccc" else errors + apart
    return (errors * weights).mean()


@dataclass(frozen=True)
class OrofacialObjective:
    """Loss and score of an orofacial network.

    `outputs` (K,) is how much each output of the movement counts, mean 1; `weights` are of the tasks; for `kind` see
    `movement_loss`.
    """

    outputs: Tensor
    weights: OrofacialWeights
    kind: MovementLoss = "mse"

    def loss(self, logits: Logits, targets: Mapping[str, Target]) -> Tensor:
        """Return the weighted sum over the tasks that the network solves; what has no label counts nothing."""
        moved = logits[MOVEMENT]
        losses = {MOVEMENT: movement_loss(moved, targets[MOVEMENT], self.outputs.to(moved.device), self.kind)}
        for task in HELPERS:
            if task in logits:
                labels, weights = targets[task]
                losses[task] = masked_class_loss(
                    logits[task].reshape(-1, logits[task].shape[-1]), labels.flatten(), weights.flatten()
                )
        return total_loss(losses, self.weights.model_dump())

    def score(self, logits: Logits, targets: Mapping[str, Target]) -> dict[str, float]:
        """Return the measures of the dev clips: the CCC of the movement chooses the epoch, in every system alike."""
        known = targets[MOVEMENT]
        found = concordances(logits[MOVEMENT], known.labels, known.weights > 0)
        measures = {"score": float((found * (self.outputs / self.outputs.sum())).sum())}
        for task in HELPERS:
            labels, weights = targets[task]
            if task in logits and (weights > 0).any():
                right = logits[task].argmax(-1) == labels
                measures[f"{task}_accuracy"] = float(right[weights > 0].float().mean())
        return measures


class Training(NamedTuple):
    """What all folds and seeds of a system share.

    Of the configuration `seed`, `split.fps` and `orofacial` are read; the trunk starts from the weights `body`, see
    `read_trunk`.
    """

    system: OrofacialSystem
    clips: MovedClips
    config: Config
    body: Mapping[str, Tensor]

    def fold(
        self, fold: Fold, seed: int, unfinished: UnfinishedRun | None = None
    ) -> tuple[OrofacialModel, list[HistoryRow]]:
        """Train on one fold with one seed; return the model of the best dev epoch, or of the last, and the history.

        `unfinished` keeps the state of the run while it trains; None: it is not kept.
        """
        options, seeds = self.config.orofacial, (self.config.seed, seed)
        train, dev = self.clips.named(fold.train), self.clips.named(fold.dev)
        scale = SpeechScale.of([clip.steps for clip in train])
        movement, shown = _seen(train)
        targets = MovementScale.of(movement, options.components)
        objective = OrofacialObjective(torch.from_numpy(targets.weights), options.weights, options.loss)
        outputs = {MOVEMENT: len(targets.basis)} | {
            task: len(self.clips.classes[task]) for task in HELPERS if getattr(options.weights, task) > 0
        }
        network = make_orofacial_network(
            len(self.clips.channels), options.model, self.system, outputs, network_seed(*seeds)
        )
        network.load_state_dict({**network.state_dict(), **self.body})
        state = start(network, options, network_seed(*seeds, fold.number + 1))
        if unfinished:
            unfinished.restore(functools.partial(checkpoints.unpack, state))
        parts = [self._clip_set(part, scale, targets) if part else None for part in (train, dev)]
        assert parts[0] is not None
        where = f"orofacial {self.system}: fold {fold.number}, seed {seed}"
        for _ in epochs(state, parts[0], parts[1], objective.loss, objective.score, options, where=where):
            if unfinished:
                unfinished.keep(functools.partial(checkpoints.pack, state))
        network.load_state_dict(state.best)
        rest_of = {clip.speaker: clip.rest for clip in train}
        rests = np.stack([rest_of[name] for name in sorted(rest_of)])
        model = OrofacialModel(
            network=network.cpu().eval(),
            classes=self.clips.classes,
            channels=self.clips.channels,
            scale=scale,
            targets=targets,
            blendshapes=BlendshapeMap.of(movement, shown),
            rest=rests.mean(axis=0, dtype=np.float64).astype(np.float32),
            config=self.config,
            trained_on={
                "clips": len(train),
                "speakers": len(rest_of),
                "corpora": sorted({clip.name.partition("/")[0] for clip in train}),
            },
        )
        return model, state.history

    def _clip_set(self, clips: Sequence[MovedClip], scale: SpeechScale, targets: MovementScale) -> ClipSet:
        """Return input and targets of some clips, in pieces, a piece being one chunk of the training loop."""
        longest = max(1, round(self.config.orofacial.piece_s * self.config.split.fps))
        cut = [(clip, place) for clip in clips for place in pieces(len(clip.steps), longest)]
        steps = _padded([scale.normalised(clip.steps[place]) for clip, place in cut], 0.0)
        mask = _padded([np.ones(place.stop - place.start, bool) for _, place in cut], False)
        moved = _padded([targets.outputs(clip.movement[place]) for clip, place in cut], np.nan)
        viseme = _padded([clip.visemes[place] for clip, place in cut], NO_LABEL)
        names = {name: number for number, name in enumerate(self.clips.classes[EMOTION])}
        emotion = torch.tensor([names.get(clip.emotion or "", NO_LABEL) for clip, _ in cut])
        learnt = {MOVEMENT: Target(moved.nan_to_num(0.0), torch.isfinite(moved).all(-1).float())}
        learnt |= {
            task: Target(labels, (labels != NO_LABEL).float())
            for task, labels in zip(HELPERS, (viseme, emotion), strict=True)
        }
        return ClipSet(steps.unsqueeze(1), mask.unsqueeze(1), learnt)


def _padded(parts: Sequence[NDArray[np.generic]], fill: float) -> Tensor:
    """Return clips (T_i, ...) as one tensor (N, T, ...), filled up at their ends."""
    return pad_sequence([torch.from_numpy(part) for part in parts], batch_first=True, padding_value=fill)


def _seen(clips: Sequence[MovedClip]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return movement and blendshapes of the frames of some clips that show a face; fewer than two are an error."""
    movement = np.concatenate([clip.movement for clip in clips])
    shown = np.concatenate([clip.blendshapes for clip in clips])
    seen = np.isfinite(movement).all(axis=1) & np.isfinite(shown).all(axis=1)
    if seen.sum() < 2:
        raise UserError("orofacial: the training clips of a fold show no face; see results/*/rejects")
    return movement[seen], shown[seen]


def predictions(model: OrofacialModel, clips: Sequence[MovedClip]) -> list[Prediction]:
    """Return the predictions for clips: movement and, of a model that has them, visemes, frame by frame; emotion.

    The frames of the clips stand one after the other; emotion has one row per clip.
    """
    names, said = [clip.name for clip in clips], [model.predict(clip.steps) for clip in clips]
    values = {
        EMOTION: np.stack([one.emotion for one in said]),
        MOVEMENT: np.concatenate([one.movement for one in said]),
        VISEME: np.concatenate([one.viseme for one in said]),
    }
    return [Prediction(task, names, part) for task, part in values.items() if part.shape[1]]


def read_trunk(path: Path, channels: Sequence[str], options: OrofacialOptions) -> dict[str, Tensor]:
    """Return the weights of a pretext checkpoint's encoder, by the names they have in an orofacial network.

    Further layers of the trunk stay as they were drawn. It is an error if the file is no checkpoint of `pretrain`, if
    its encoder is another, or if its channels or sizes are not those of the trunk.
    """
    tensors, metadata = checkpoints.read(path)
    then = metadata.get("config", {}).get("model", {})
    if then.get("encoder") != "blstm":
        raise UserError(
            f"{path}: its encoder is {then.get('encoder')!r}; an orofacial trunk starts from blstm: pre-train with"
            " model.encoder: blstm"
        )
    if list(channels) != metadata["channels"]:
        fix = "set orofacial.context: 0" if options.context else "use one `speech`, the same features and channels"
        raise UserError(
            f"{path} was pre-trained on {len(metadata['channels'])} channels, not the {len(channels)} of here: {fix}"
        )
    if then["width"] != options.model.width or then["layers"] > options.model.layers:
        raise UserError(
            f"{path} has width {then['width']} and {then['layers']} layers, orofacial.model width {options.model.width}"
            f" and {options.model.layers}: set orofacial.model.width: {then['width']} and orofacial.model.layers:"
            f" {then['layers']} or more"
        )
    with torch.device("meta"):
        network = SpeechNetwork(len(channels), ModelOptions.model_validate(then), {})
    lstm, fix = network.get_submodule("encoder.lstm"), "pre-train again, or name another checkpoint"
    finite.load_all(lstm, checkpoints.below("best.encoder.lstm", tensors), path, fix)
    return {f"encoder.lstm.{name}": value for name, value in lstm.state_dict().items()}
