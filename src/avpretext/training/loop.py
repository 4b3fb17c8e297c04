"""The training loop, for pre-training and fine-tuning alike."""

import ctypes
import math
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from avpretext.config import LoopOptions
from avpretext.options.pretrained_encoders import TuningOptions
from avpretext.progress import progress
from avpretext.training import finite, mapped, together
from avpretext.training.batches import NormalisedSteps, Rows
from avpretext.training.predictions import LAYER, HistoryRow
from avpretext.training.sounds import Sounds

LAYER_SCORES = "encoder.scores"
"""Parameter of a network whose softmax they are."""

GRADIENT_NORM = 5.0
"""Longer gradients are cut to this norm: an RNN's occasional explosion must not undo an epoch."""


class Target(NamedTuple):
    """Labels of a task, (N, K) or (N,), and how much each counts.

    Labels are class numbers with `losses.NO_LABEL` where missing, or numbers such as the shares of classes; weights
    have the shape of labels, or that of the clips.
    """

    labels: Tensor
    weights: Tensor

    def take(self, rows: Tensor) -> "Target":
        """Return the targets of these rows."""
        return Target(self.labels[rows], self.weights[rows])

    def of_clips(self, rows: NDArray[np.int64]) -> "Target":
        """Return the targets of these rows, on disk."""
        return Target(*(mapped.taken(part, rows) for part in self))

    def followed_by(self, other: "Target") -> "Target":
        """Return these targets and others, on disk."""
        return Target(
            *(torch.from_numpy(mapped.joined([one.numpy(), two.numpy()])) for one, two in zip(self, other, strict=True))
        )

    def to(self, device: torch.device) -> "Target":
        """Return the targets on a device."""
        return Target(self.labels.to(device, non_blocking=True), self.weights.to(device, non_blocking=True))


Input = Tensor | NormalisedSteps | Sounds
"""What a network hears of clips, or what it is made from when a batch is taken."""


class Batch(NamedTuple):
    """Input and targets of clips that are learnt or asked together: steps (B, K, m, F) or sound, mask (B, K, m)."""

    steps: Tensor | Sounds
    mask: Tensor
    targets: dict[str, Target]


class ClipSet(NamedTuple):
    """Input and targets of N clips: steps (N, K, m, F) or their sound, mask (N, K, m), targets by task.

    `versions` (M, V), if given, are the rows of M clips at V speeds: an epoch takes one version of each, by chance.
    """

    steps: Input
    mask: Tensor | Rows
    targets: dict[str, Target]
    versions: Tensor | None = None

    @property
    def clips(self) -> int:
        """Number of clips in an epoch."""
        return len(self.steps) if self.versions is None else len(self.versions)

    def drawn(self, clips: Tensor, generator: torch.Generator) -> Tensor:
        """Return a row for each of these clips."""
        if self.versions is None:
            return clips
        chosen = torch.randint(self.versions.shape[1], (len(clips),), generator=generator)
        return self.versions[clips, chosen]

    def take(self, rows: Tensor) -> Batch:
        """Return the clips of these rows, read now."""
        targets = {task: target.take(rows) for task, target in self.targets.items()}
        return Batch(_taken(self.steps, rows), _taken(self.mask, rows), targets)

    def batches(self, parts: Sequence[Tensor]) -> Iterator[Batch]:
        """Yield the clips of the rows of each part; those of the next are read meanwhile.

        The system reads them for a CPU, which is busy; a thread reads and moves them for a GPU.
        """
        if self.steps.device.type != "cpu":
            yield from ahead(self.take, parts)
            return
        for rows, following in zip(parts, [*parts[1:], None], strict=True):
            if following is not None and isinstance(self.steps, NormalisedSteps):
                self.steps.will_need(following)
            yield self.take(rows)

    def to(self, device: torch.device) -> "ClipSet":
        """Return the clips on a device, or to be put there when they are taken."""
        targets = {task: target.to(device) for task, target in self.targets.items()}
        steps = self.steps.to(device, non_blocking=True)
        return ClipSet(steps, self.mask.to(device, non_blocking=True), targets, self.versions)


def _taken(values: Any, rows: Tensor) -> Any:
    return values[rows] if isinstance(values, Tensor) else values.index_select(0, rows)


def ahead(take: Callable[[Tensor], Batch], parts: Sequence[Tensor]) -> Iterator[Batch]:
    """Yield take(part) of each part, in order; a thread is one part ahead."""
    with ThreadPoolExecutor(1) as thread:
        waiting = deque([thread.submit(take, part) for part in parts[:1]])
        for part in [*parts[1:], None]:
            if part is not None:
                waiting.append(thread.submit(take, part))
            yield waiting.popleft().result()


def layer_rows(state: "TrainingState", layers: Sequence[int]) -> list[HistoryRow]:
    """Return the weight of each of these layers of a pre-trained encoder, in the weights that are kept, as history."""
    scores = state.best.get(LAYER_SCORES)
    if scores is None:
        return []
    weights = scores.softmax(0).tolist()
    return [
        HistoryRow(state.best_epoch, "train", f"{LAYER}[{layer}]", weight)
        for layer, weight in zip(layers, weights, strict=True)
    ]


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

    network: nn.Module
    averaged: AveragedModel
    optimiser: torch.optim.Optimizer
    batches: torch.Generator
    epoch: int = 0
    best_epoch: int = 0
    best_score: float = -math.inf
    best: dict[str, Tensor] = field(default_factory=dict)
    history: list[HistoryRow] = field(default_factory=list)


def network_seed(*parts: int) -> int:
    """Return one number that stands for several."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def start(
    network: nn.Module, options: LoopOptions, seed: int, body_rate: float = 1.0, tuning: TuningOptions | None = None
) -> TrainingState:
    """Return the state before the first epoch: one seed, one order of batches and one dropout, whatever the weights.

    A network has the submodules `encoder`, `aggregator` and `heads`; encoder and aggregator learn at `body_rate` times
    the learning rate of the heads. A pre-trained encoder that learns, its `front`, learns as `tuning` says.
    """
    keep_freed_memory()
    device = torch_device(options.device)
    network.to(device)
    encoder, aggregator, heads = (
        [*network.get_submodule(name).parameters()] for name in ("encoder", "aggregator", "heads")
    )
    groups = [{"params": encoder + aggregator, "rate": body_rate}, {"params": heads, "rate": 1.0}]
    if tuning and tuning.tuned:
        learning = [one for one in network.get_submodule("front").parameters() if one.requires_grad]
        rate = tuning.learning_rate / options.learning_rate
        groups.append({"params": learning, "rate": rate, "warm_up": tuning.warm_up})
    optimiser = torch.optim.AdamW(groups, lr=options.learning_rate, weight_decay=options.weight_decay, fused=True)
    torch.manual_seed(seed)
    averaged = AveragedModel(network, use_buffers=True)
    averaged.module.to(device)  # lays out the copied weights of a recurrent network as a GPU wants them
    return TrainingState(network, averaged, optimiser, torch.Generator().manual_seed(seed))


def epochs(
    state: TrainingState,
    clips: ClipSet,
    dev: ClipSet | None,
    loss: Loss,
    score: Score,
    options: LoopOptions,
    keep: Literal["best", "last"] = "best",
    where: str = "training",
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
    where
        Stage, fold and seed, for errors and progress.

    Raises
    ------
    UserError
        The loss or a weight is no longer finite, or the loss is far above that at the start.
    """
    steps = _epochs(state, clips, dev, loss, score, options, keep, where)
    return progress(steps, total=options.epochs, unit="epochs", label=where, within=True, before=state.epoch)


def _epochs(
    state: TrainingState, clips: ClipSet, dev: ClipSet | None, loss: Loss, score: Score, options: LoopOptions,
    keep: Literal["best", "last"], where: str,
) -> Iterator[TrainingState]:  # fmt: skip
    device = torch_device(options.device)
    clips, dev_input = clips.to(device), dev.to(device) if dev else None
    while state.epoch < options.epochs and state.epoch - state.best_epoch < options.patience:
        state.epoch += 1
        now = f"{where}, epoch {state.epoch}"
        mean_loss, first_loss = _train_epoch(state, clips, loss, options, now)
        _check(state, mean_loss, first_loss, options, now)
        measures = {}
        if dev and dev_input:
            measures = score(predict(state.averaged, dev_input, options), dev.targets)
            measures = together.as_the_first_says(measures, device)
            finite.check_values(np.array(measures["score"]), f"{now}, dev score", _fix(options))
        state.history.append(HistoryRow(state.epoch, "train", "loss", mean_loss))
        state.history += [HistoryRow(state.epoch, "dev", *measure) for measure in measures.items()]
        value = measures.get("score", -math.inf)
        if keep == "last" or not dev or not state.best or value > state.best_score:
            state.best_score, state.best_epoch = value, state.epoch
            state.best = {name: value.clone() for name, value in state.averaged.module.state_dict().items()}
        yield state


def _train_epoch(
    state: TrainingState, clips: ClipSet, loss: Loss, options: LoopOptions, where: str
) -> tuple[float, float]:
    """Go once over the clips; return the mean loss, and that of the first batch."""
    highest = learning_rate(state.epoch, options)
    state.network.train()
    weights, average = list(state.network.parameters()), running_mean(state, options.averaging)
    total, first = torch.zeros((), device=clips.steps.device), None
    parts = shuffled_batches(clips.clips, options.batch_size, state.batches)
    parts = [clips.drawn(rows, state.batches) for rows in parts]
    batches = progress(clips.batches(parts), total=len(parts), unit="batches", label=where, within=True)
    for step, batch in enumerate(batches, 1):
        for group in state.optimiser.param_groups:
            done = state.epoch - 1 + step / len(parts)
            group["lr"] = group["rate"] * highest * min(1.0, done / (group.get("warm_up") or done))
        value = batch_loss(state.network, batch, loss, options)
        state.optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        together.agree(state.network)
        torch.nn.utils.clip_grad_norm_(weights, GRADIENT_NORM)
        state.optimiser.step()
        average()
        total += value.detach()
        first = float(total) if first is None else first
    return float(total) / len(parts), first or 0.0


def _check(state: TrainingState, mean_loss: float, first_loss: float, options: LoopOptions, where: str) -> None:
    """Raise an error where training has diverged: since its first batch, or later since its first epoch."""
    known = [row.value for row in state.history if (row.split, row.measure) == ("train", "loss")]
    finite.check_loss(mean_loss, known[0] if known else first_loss, where, _rate(options))
    finite.check_weights(state.network.state_dict(), where, _fix(options))
    finite.check_weights(state.averaged.module.state_dict(), where, _fix(options))


def _rate(options: LoopOptions) -> str:
    """Return the option that says how fast weights move, and its value."""
    section = type(options).__name__.removesuffix("Options").lower()
    return f"{section}.learning_rate, now {options.learning_rate:g}"


def _fix(options: LoopOptions) -> str:
    return f"training has diverged: lower {_rate(options)}"


def batch_loss(network: nn.Module, batch: Batch, loss: Loss, options: LoopOptions) -> Tensor:
    """Return the loss of a batch, augmented; with `mixup`, of pairs of its clips, each label by its share.

    Zhang et al., "mixup: Beyond empirical risk minimization" (ICLR 2018).
    """
    mixed = mixed_precision(options.precision, batch.steps.device.type)
    mix = getattr(network, "mixed", None)
    steps: Any
    steps, mask = (batch.steps, batch.mask) if mix is None else mix(batch.steps, batch.mask)
    steps = augment(steps, mask, options)
    if not options.mixup:
        return loss(logits_of(network, steps, mask, mixed), batch.targets)
    share = float(_beta(options.mixup).sample())
    rows = torch.randperm(len(steps), device=steps.device)
    both = (share * steps).add_(steps.index_select(0, rows).mul_(1 - share))
    logits = logits_of(network, both, mask | mask[rows], mixed)
    others = {task: target.take(rows) for task, target in batch.targets.items()}
    return share * loss(logits, batch.targets) + (1 - share) * loss(logits, others)


@cache
def _beta(concentration: float) -> torch.distributions.Beta:
    return torch.distributions.Beta(concentration, concentration)


@cache
def mixed_precision(precision: str, device_type: str) -> bool:
    """Return whether to compute in bfloat16 where that is safe; asked for without a GPU: no, and once it says so."""
    if precision == "mixed" and device_type != "cuda":
        print(f"precision: mixed is for a GPU alone: float32 on {device_type}", file=sys.stderr)
    return precision == "mixed" and device_type == "cuda"


def logits_of(network: nn.Module, steps: Tensor | Sounds, mask: Tensor, mixed: bool) -> Logits:
    """Return the logits by task, always float32, so that losses are computed in full; `mixed`: by way of bfloat16."""
    with torch.autocast(steps.device.type, torch.bfloat16, enabled=mixed):
        logits: Logits = network(steps, mask)
    return {task: values.float() for task, values in logits.items()}


def running_mean(state: TrainingState, decay: float) -> Callable[[], None]:
    """Return the function that moves the averaged weights towards the present ones, after each step of the optimiser.

    The decay grows to its value as ``(1 + n) / (10 + n)`` over the steps n, so that short trainings forget their start;
    the first step's weights are taken as they are.
    """
    pairs = list(zip(state.averaged.module.state_dict().values(), state.network.state_dict().values(), strict=True))
    means, values = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
    counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    def average() -> None:
        steps = int(state.averaged.n_averaged)
        share = 1 - min(decay, (1 + steps) / (10 + steps)) if steps else 1.0
        torch._foreach_lerp_(means, values, share)
        for mean, value in counters:
            mean.copy_(value)
        state.averaged.n_averaged += 1

    return average


def shuffled_batches(clips: int, batch_size: int, generator: torch.Generator) -> list[Tensor]:
    """Return the rows of each batch: every clip once, in random order, batches of sizes that differ by one at most."""
    order = torch.randperm(clips, generator=generator)
    return list(torch.tensor_split(order, math.ceil(clips / batch_size)))


def learning_rate(epoch: int, options: LoopOptions) -> float:
    """Return the learning rate of an epoch, 1 being the first: half a cosine down to nearly zero."""
    return options.learning_rate * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / options.epochs))


@torch.no_grad()
def predict(network: nn.Module, clips: ClipSet, options: LoopOptions) -> Logits:
    """Return the logits of all clips by task, in evaluation mode, on the CPU."""
    network.eval()
    mixed = mixed_precision(options.precision, clips.steps.device.type)
    rows = torch.split(torch.arange(len(clips.steps)), 4 * options.batch_size)
    parts = [logits_of(network, batch.steps, batch.mask, mixed) for batch in clips.batches(rows)]
    return {task: torch.cat([part[task] for part in parts]).cpu() for task in parts[0]}


@cache
def keep_freed_memory() -> None:
    """Keep memory that is freed for the next step, instead of handing it back to the system and asking for it again.

    Each step frees and asks for the same arrays; by default glibc returns those of this size, and the system then fills
    every page with zeros once more, which takes a quarter of the time of a training on the CPU. Elsewhere than with
    glibc nothing happens.
    """
    trim_threshold, mmap_threshold = -1, -3  # numbers of malloc.h
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(mmap_threshold, 32 << 20)
        libc.mallopt(trim_threshold, 512 << 20)


def torch_device(name: str) -> torch.device:
    """Return the device; `auto` is a GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def augment(steps: Tensor, mask: Tensor, options: LoopOptions) -> Tensor:
    """Return a randomly changed copy of steps (B, K, m, F), in deviations, with mask (B, K, m).

    By `noise` every value gets noise; by `channel_dropout` some channels of a clip, by `time_mask` a stretch of each
    chunk fall silent (Park et al., "SpecAugment", Interspeech 2019); 0 leaves a part out. Padding stays zero, and so do
    channels that are zero in a whole clip, for those are hidden.
    """
    batch, _, _, features = steps.shape
    channels = (steps.abs().amax((1, 2)) > 0)[:, None, None]  # (B, 1, 1, F)
    changed = torch.randn_like(steps).mul_(options.noise).add_(steps) if options.noise else steps.clone()
    if options.channel_dropout:
        channels = channels & (torch.rand(batch, 1, 1, features, device=steps.device) >= options.channel_dropout)
    if options.time_mask:
        mask = mask & _heard(mask, options.time_mask)
    # In place and in one type, for this is the largest array of a training step: memory is what takes time here.
    return changed.mul_(channels.to(steps.dtype)).mul_(mask.unsqueeze(-1).to(steps.dtype))


def _heard(mask: Tensor, longest: float) -> Tensor:
    """Return (B, K, m), False over one random stretch of each chunk, no longer than this share of it."""
    batch, chunks, length = mask.shape
    width = torch.rand(batch, chunks, 1, device=mask.device) * longest * length
    start = torch.rand(batch, chunks, 1, device=mask.device) * (length - width)
    place = torch.arange(length, device=mask.device)
    return (place < start) | (place >= start + width)
