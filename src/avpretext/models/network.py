"""The whole network: chunk encoder, aggregator, one head per task."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from avpretext.config import ModelOptions
from avpretext.errors import UserError
from avpretext.flow.tasks import CHUNK_TASKS, CLUSTERS
from avpretext.models.aggregators import AGGREGATORS
from avpretext.models.encoders import ENCODERS, LayersEncoder
from avpretext.models.heads import ChunkHead, ClipHead, ClusterHead
from avpretext.own_code import resolve


def module_of(
    name: str, known: Mapping[str, type[nn.Module]], option: str, current_folder: bool = True
) -> type[nn.Module]:
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
    """

    def __init__(self, features: int, options: ModelOptions, tasks: Mapping[str, int], layers: int = 1) -> None:
        super().__init__()
        kind = module_of(options.encoder, ENCODERS, "model.encoder")
        self.encoder = kind(features, options, *([layers] if kind is LayersEncoder else []))
        self.aggregator = module_of(options.aggregator, AGGREGATORS, "model.aggregator")(options.width)
        self.heads = nn.ModuleDict({name: _head(name, classes, options) for name, classes in tasks.items()})

    def forward(self, steps: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the logits by task for steps (B, K, m, F) and mask (B, K, m).

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

    def mixed(self, steps: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return steps and mask with the layers of a pre-trained encoder mixed, where the steps are layers.

        What is linear and the same for all layers, such as noise and mixup, costs little on what is mixed.
        """
        if not isinstance(self.encoder, LayersEncoder) or self.encoder.weights is None:
            return steps, mask
        return self.encoder.mix(steps), mask[..., :1]

    @property
    def layer_weights(self) -> list[float]:
        """The weight of each layer of a pre-trained encoder; none where the network takes no several layers."""
        found = self.encoder.weights if isinstance(self.encoder, LayersEncoder) else None
        return [] if found is None else found.tolist()

    def chunk_vectors(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Return the vectors of the chunks, (B, K, D), for steps (B, K, m, F) and mask (B, K, m)."""
        vectors: Tensor = self.encoder(steps.flatten(0, 1), mask.flatten(0, 1)).unflatten(0, steps.shape[:2])
        return vectors

    def body(self) -> dict[str, Tensor]:
        """Return the weights of encoder and aggregator, all that a new task can start from."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith("heads.")}


def make_network(
    features: int, options: ModelOptions, tasks: Mapping[str, int], seed: int, layers: int = 1
) -> SpeechNetwork:
    """Return a network whose weights depend on nothing but its shape and the seed; see `SpeechNetwork`.

    Encoder, aggregator and each head draw from generators of their own, so a head is the same whatever body it sits on.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SpeechNetwork(features, options, {}, layers)
        for name, classes in tasks.items():
            torch.manual_seed(seed + 1 + sum(name.encode()))
            network.heads[name] = _head(name, classes, options)
    return network


def _head(name: str, classes: int, options: ModelOptions) -> nn.Module:
    if name == CLUSTERS:
        return ClusterHead(options.width, classes)
    return ChunkHead(options.width) if name in CHUNK_TASKS else ClipHead(options.width, classes, options.head_dropout)
