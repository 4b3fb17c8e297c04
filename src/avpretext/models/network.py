"""The whole network: chunk encoder, aggregator, one head per task."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from avpretext.config import ModelOptions
from avpretext.errors import UserError
from avpretext.flow.tasks import CHUNK_TASKS, CLUSTERS
from avpretext.models.aggregators import AGGREGATORS
from avpretext.models.encoders import ENCODERS, LayersEncoder
from avpretext.own_code import resolve

TOP_DEVIATION = 0.01
"""Deviation of the weights of a fresh top layer (DeepEmoCluster, published code)."""


SHARPNESS = 3.0
"""How sure `set_to_nearest` is of a vector that is at its centre; with 10 the demo corpus was learnt no better."""


class ChunkHead(nn.Module):
    """One logit per chunk: is the measured value high?"""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, 1)

    def forward(self, chunks: Tensor) -> Tensor:
        """Map (B, K, D) to logits (B, K)."""
        logits: Tensor = self.fc(chunks).squeeze(-1)
        return logits


class ClusterHead(nn.Module):
    """Logits of the clusters of a chunk: one layer, a fresh one whenever the clusters are made anew."""

    def __init__(self, width: int, clusters: int) -> None:
        super().__init__()
        self.top = nn.Linear(width, clusters)

    def forward(self, chunks: Tensor) -> Tensor:
        """Map (B, K, D) to logits (B, K, clusters)."""
        logits: Tensor = self.top(chunks)
        return logits


@torch.no_grad()
def set_to_nearest(top: nn.Linear, centres: Tensor) -> None:
    """Let a top layer name the nearest of the centres (k, D): logit_c = -s |v - c|^2 / 2 d^2, up to what all c share.

    d^2 is the mean square distance of the centres from their mean, s is `SHARPNESS`.
    """
    mean = centres.mean(0)
    apart = centres - mean
    squares = apart.square().sum(1)
    scale = SHARPNESS / squares.mean().clamp(min=1e-12)
    top.weight.copy_(scale * apart)
    top.bias.copy_(-scale * (apart @ mean + squares / 2))


@torch.no_grad()
def draw_afresh(top: nn.Linear, generator: torch.Generator) -> None:
    """Give a top layer new weights, N(0, `TOP_DEVIATION`), and biases of 0: clusters keep no number from before."""
    drawn = torch.empty(top.weight.shape).normal_(0.0, TOP_DEVIATION, generator=generator)
    top.weight.copy_(drawn)
    nn.init.zeros_(top.bias)


class ClipHead(nn.Module):
    """Logits of a clip's classes: a hidden layer with ReLU, then the output (`fc1`, `fc2` of the published code)."""

    def __init__(self, width: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(width, classes)

    def forward(self, clip: Tensor) -> Tensor:
        """Map (B, D) to logits (B, classes)."""
        logits: Tensor = self.fc2(self.dropout(self.relu(self.fc1(clip))))
        return logits


def module_of(name: str, known: Mapping[str, type[nn.Module]], option: str, current_folder: bool) -> type[nn.Module]:
    """Return the class of this name: one of those known, or the user's own, `my_package.module:NAME`.

    Raises
    ------
    UserError
        There is no such class, or it is no `torch.nn.Module`; see `own_code.resolve`.
    """
    if name in known:
        return known[name]
    found = resolve(name, option, current_folder)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise UserError(f"{option} = {name!r}: expected a class derived from torch.nn.Module, found {found!r}")
    return found


class SpeechNetwork(nn.Module):
    """Chunks of speech in, logits of every task out.

    Parameters
    ----------
    features
        Number of features of a step.
    options
        Encoder, aggregator and their sizes.
    tasks
        Name of each task and its number of classes. `energy` and `activation` are asked of every chunk (one logit,
        their number is not read), and so is `clusters`; every other task is asked of the clip.
    layers
        Number of the layers of a pre-trained encoder that the steps are; read with encoder `layers` alone.
    front
        What turns the sound of clips into steps, if the network hears sound: a pre-trained encoder that learns.
    origin
        Where the options are from, if from elsewhere: then the user's own encoder or aggregator is taken from installed
        packages alone, not from the current folder.
    """

    def __init__(
        self,
        features: int,
        options: ModelOptions,
        tasks: Mapping[str, int],
        layers: int = 1,
        origin: str | None = None,
        front: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if front is not None:
            self.front = front
        section, here = f"{origin}: model" if origin else "model", origin is None
        kind = module_of(options.encoder, ENCODERS, f"{section}.encoder", here)
        self.encoder = kind(features, options, *([layers] if kind is LayersEncoder else []))
        self.aggregator = module_of(options.aggregator, AGGREGATORS, f"{section}.aggregator", here)(options.width)
        self.heads = nn.ModuleDict({name: _head(name, classes, options) for name, classes in tasks.items()})

    def forward(self, steps: Any, mask: Tensor) -> dict[str, Tensor]:
        """Return the logits by task for steps (B, K, m, F) and mask (B, K, m); with a `front` also for sound.

        (B, K) for a chunk task, (B, K, classes) for `clusters`, (B, classes) for a clip task.
        """
        vectors = self.chunk_vectors(steps, mask)  # (B, K, D)
        clip = None
        logits = {}
        for name, head in self.heads.items():
            if name in (*CHUNK_TASKS, CLUSTERS):
                logits[name] = head(vectors)
                continue
            clip = self.aggregator(vectors) if clip is None else clip  # (B, D)
            logits[name] = head(clip)
        return logits

    def steps_of(self, steps: Any) -> Tensor:
        """Return steps as they are; what is none, such as the sound of clips, as the front makes steps of it."""
        found: Tensor = steps if isinstance(steps, Tensor) else self.front(steps)
        return found

    def mixed(self, steps: Any, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return steps and mask with the layers of a pre-trained encoder mixed, where the steps are layers.

        What is linear and the same for all layers, such as noise and mixup, costs little on what is mixed.
        """
        steps = self.steps_of(steps)
        if not isinstance(self.encoder, LayersEncoder) or self.encoder.weights is None:
            return steps, mask
        return self.encoder.mix(steps), mask[..., :1]

    @property
    def layer_weights(self) -> list[float]:
        """The weight of each layer of a pre-trained encoder; none where the network takes no several layers."""
        found = self.encoder.weights if isinstance(self.encoder, LayersEncoder) else None
        return [] if found is None else found.tolist()

    def chunk_vectors(self, steps: Any, mask: Tensor) -> Tensor:
        """Return the vectors of the chunks, (B, K, D), for steps (B, K, m, F) and mask (B, K, m)."""
        steps = self.steps_of(steps)
        vectors: Tensor = self.encoder(steps.flatten(0, 1), mask.flatten(0, 1)).unflatten(0, steps.shape[:2])
        return vectors


def make_network(
    features: int,
    options: ModelOptions,
    tasks: Mapping[str, int],
    seed: int,
    layers: int = 1,
    front: nn.Module | None = None,
) -> SpeechNetwork:
    """Return a network whose weights depend on nothing but its shape and the seed; see `SpeechNetwork`.

    Encoder, aggregator and each head draw from generators of their own, so a head is the same whatever body it sits on.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SpeechNetwork(features, options, {}, layers, front=front)
        for name, classes in tasks.items():
            torch.manual_seed(seed + 1 + sum(name.encode()))
            network.heads[name] = _head(name, classes, options)
    return network


def _head(name: str, classes: int, options: ModelOptions) -> nn.Module:
    if name == CLUSTERS:
        return ClusterHead(options.width, classes)
    return ChunkHead(options.width) if name in CHUNK_TASKS else ClipHead(options.width, classes, options.head_dropout)
