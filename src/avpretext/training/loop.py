"""The training loop, for pre-training and fine-tuning alike."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from avpretext.config import LoopOptions
from avpretext.models.network import SpeechNetwork
from avpretext.training.augment import augment

GRADIENT_NORM = 5.0
"""Longer gradients are cut to this norm: an RNN's occasional explosion must not undo an epoch."""


class Target(NamedTuple):
    """Labels of a task, (N, K) or (N,), and how much each counts.

    Labels are class numbers with `losses.NO_LABEL` where missing, or numbers such as the shares of classes; weights
    have the shape of labels, or that of the clips.
    """

    labels: Tensor
    weights: Tensor

    def take(self, rows: Tensor | NDArray[np.int64]) -> "Target":
        """Return the targets of these rows."""
        return Target(self.labels[rows], self.weights[rows])


class ClipSet(NamedTuple):
    """Input and targets of N clips: steps (N, K, m, F), mask (N, K, m), targets by task."""

    steps: Tensor
    mask: Tensor
    targets: dict[str, Target]

    def take(self, rows: Tensor) -> "ClipSet":
        """Return the clips of these rows."""
        targets = {task: target.take(rows) for task, target in self.targets.items()}
        return ClipSet(self.steps[rows], self.mask[rows], targets)

    def to(self, device: torch.device) -> "ClipSet":
        """Return the clips on a device."""
        targets = {task: Target(*(part.to(device) for part in target)) for task, target in self.targets.items()}
        return ClipSet(self.steps.to(device), self.mask.to(device), targets)


class HistoryRow(NamedTuple):
    """One measured value: `split` is train or dev."""

    epoch: int
    split: str
    measure: str
    value: float


Logits = dict[str, Tensor]
Loss = Callable[[Logits, Mapping[str, Target]], Tensor]
"""Logits and targets by task to one loss."""
Score = Callable[[Logits, Mapping[str, Target]], dict[str, float]]
"""Logits and targets of the dev clips to measures; the one named `score`, higher is better, chooses the epoch."""


@dataclass
class TrainingState:
    """Everything that training goes on from.

    `averaged` is the running mean of the network's weights over the steps; it is what dev measures and what `best`
    keeps, since its score depends less on the luck of the last few batches.
    """

    network: SpeechNetwork
    averaged: AveragedModel
    optimiser: torch.optim.Optimizer
    batches: torch.Generator
    epoch: int = 0
    best_epoch: int = 0
    best_score: float = -math.inf
    best: dict[str, Tensor] = field(default_factory=dict)
    history: list[HistoryRow] = field(default_factory=list)


def start(network: SpeechNetwork, options: LoopOptions, seed: int, body_rate: float = 1.0) -> TrainingState:
    """Return the state before the first epoch: one seed, one order of batches and one dropout, whatever the weights.

    Encoder and aggregator learn at `body_rate` times the learning rate of the heads.
    """
    network.to(torch_device(options.device))
    body = [*network.encoder.parameters(), *network.aggregator.parameters()]
    groups = [{"params": body, "rate": body_rate}, {"params": [*network.heads.parameters()], "rate": 1.0}]
    optimiser = torch.optim.AdamW(groups, lr=options.learning_rate, weight_decay=options.weight_decay, foreach=True)
    torch.manual_seed(seed)
    averaged = AveragedModel(network, multi_avg_fn=running_mean(options.averaging), use_buffers=True)
    return TrainingState(network, averaged, optimiser, torch.Generator().manual_seed(seed))


def epochs(
    state: TrainingState,
    clips: ClipSet,
    dev: ClipSet | None,
    loss: Loss,
    score: Score,
    options: LoopOptions,
    keep: Literal["best", "last"] = "best",
) -> Iterator[TrainingState]:
    """Train until the last epoch or until dev has not improved for `patience` epochs; yield the state after each.

    Parameters
    ----------
    state
        From :func:`start`, or from a checkpoint. Its `best` comes to hold the weights of the best epoch.
    clips, dev
        What is learnt from, and what chooses the epoch; without dev all epochs are trained and the last one is kept.
    loss, score
        What is made small, and what is measured on `dev`.
    options
        Epochs, patience, batch size, learning rate, augmentation.
    keep
        `last`: every epoch counts as the best so far, whatever its score, so that none of them is left out.
    """
    device = torch_device(options.device)
    clips, dev_input = clips.to(device), dev.to(device) if dev else None
    while state.epoch < options.epochs and state.epoch - state.best_epoch < options.patience:
        state.epoch += 1
        mean_loss = _train_epoch(state, clips, loss, options)
        measures = {}
        if dev and dev_input:
            measures = score(predict(state.averaged, dev_input, options.batch_size), dev.targets)
        state.history.append(HistoryRow(state.epoch, "train", "loss", mean_loss))
        state.history += [HistoryRow(state.epoch, "dev", *measure) for measure in measures.items()]
        value = measures.get("score", -math.inf)
        if keep == "last" or not dev or not state.best or value > state.best_score:
            state.best_score, state.best_epoch = value, state.epoch
            state.best = {name: value.clone() for name, value in state.averaged.module.state_dict().items()}
        yield state


def _train_epoch(state: TrainingState, clips: ClipSet, loss: Loss, options: LoopOptions) -> float:
    """Go once over the clips; return the mean loss."""
    for group in state.optimiser.param_groups:
        group["lr"] = group["rate"] * learning_rate(state.epoch, options)
    state.network.train()
    total = torch.zeros(())
    batches = shuffled_batches(len(clips.steps), options.batch_size, state.batches)
    for rows in batches:
        value = batch_loss(state.network, clips.take(rows.to(clips.steps.device)), loss, options)
        state.optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(state.network.parameters(), GRADIENT_NORM)
        state.optimiser.step()
        state.averaged.update_parameters(state.network)
        total += value.detach().cpu()
    return float(total) / len(batches)


def batch_loss(network: SpeechNetwork, batch: ClipSet, loss: Loss, options: LoopOptions) -> Tensor:
    """Return the loss of a batch, augmented; with `mixup`, of pairs of its clips, each label by its share.

    Zhang et al., "mixup: Beyond empirical risk minimization" (ICLR 2018).
    """
    steps = augment(batch.steps, batch.mask, options)
    if not options.mixup:
        return loss(network(steps, batch.mask), batch.targets)
    share = float(torch.distributions.Beta(options.mixup, options.mixup).sample())
    rows = torch.randperm(len(steps)).to(steps.device)
    other = batch.take(rows)
    logits = network(share * steps + (1 - share) * steps[rows], batch.mask | other.mask)
    return share * loss(logits, batch.targets) + (1 - share) * loss(logits, other.targets)


def running_mean(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """Return what moves averaged weights towards the present ones.

    The decay grows to its value as ``(1 + n) / (10 + n)`` over the steps n, so that short trainings forget their start.
    """

    def update(averaged: Sequence[Tensor], present: Sequence[Tensor], steps: Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(steps)) / (10 + int(steps)))
        for mean, value in zip(averaged, present, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, share)
            else:
                mean.copy_(value)

    return update


def shuffled_batches(clips: int, batch_size: int, generator: torch.Generator) -> list[Tensor]:
    """Return the rows of each batch: every clip once, in random order, batches of sizes that differ by one at most."""
    order = torch.randperm(clips, generator=generator)
    return list(torch.tensor_split(order, math.ceil(clips / batch_size)))


def learning_rate(epoch: int, options: LoopOptions) -> float:
    """Return the learning rate of an epoch, 1 being the first: half a cosine down to nearly zero."""
    return options.learning_rate * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / options.epochs))


@torch.no_grad()
def predict(network: nn.Module, clips: ClipSet, batch_size: int) -> Logits:
    """Return the logits of all clips by task, in evaluation mode."""
    network.eval()
    size = 4 * batch_size
    places = range(0, len(clips.steps), size)
    parts = [network(clips.steps[place : place + size], clips.mask[place : place + size]) for place in places]
    return {task: torch.cat([part[task] for part in parts]).cpu() for task in parts[0]}


def torch_device(name: str) -> torch.device:
    """Return the device; `auto` is a GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
