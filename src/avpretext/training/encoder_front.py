"""The pre-trained encoder in front of a network: the sound of clips in, the normalised means of its layers out.

Only the encoder is shared among processes. What follows, from the means on, each of them computes for the whole batch,
so that batch normalisation, mixup and losses are those of one process. The means are a leaf of that computation: their
gradient is handed back to the encoder part by part, which holds the activations of one part at a time (Gao et al.,
"Scaling deep contrastive learning batch size under memory limited setup", RepL4NLP 2021).
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avpretext.errors import UserError
from avpretext.options.pretrained_encoders import TuningOptions
from avpretext.sound.encoder_model import Floats
from avpretext.training import together
from avpretext.training.data import in_deviations
from avpretext.training.sounds import Sounds
from avpretext.training.tunable import TunableEncoder, drawn_by

Result = TypeVar("Result")

SEEDS = 2**31
"""Numbers from which the seed of a batch's dropout is drawn."""


@dataclass(frozen=True)
class EncoderWeights:
    """Weights of an encoder that are not those of its files.

    Attributes
    ----------
    tuning
        How they learnt.
    learning
        Those that did, by their names in the model.
    merged
        Those of an earlier training, which learnt in another way.
    """

    tuning: TuningOptions
    learning: Mapping[str, Tensor]
    merged: Mapping[str, Tensor]

    def as_tensors(self) -> dict[str, Tensor]:
        """Return all of them, by names that are in no network."""
        parts = {"learning": self.learning, "merged": self.merged}
        return {f"{part}.{name}": value for part, of in parts.items() for name, value in of.items()}


class EncoderFront(nn.Module):
    """A pre-trained encoder with weights of its own, and what its means are normalised by.

    Parameters
    ----------
    shared
        The encoder.
    learning
        Weights that learn, by their names in it.
    merged
        Other weights that are not those of its files.
    mean, deviation
        (L D,) of the means over the training clips, as they were at the start.

    Attributes
    ----------
    mixed_precision
        Whether to compute in bfloat16 where that is safe.
    time_mask
        Augmentation: the longest stretch of each clip that is silenced in training, 0..1.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        shared: TunableEncoder,
        learning: Mapping[str, Tensor],
        merged: Mapping[str, Tensor],
        mean: NDArray[np.float64] | Tensor,
        deviation: NDArray[np.float64] | Tensor,
    ) -> None:
        super().__init__()
        self.shared, self.mixed_precision, self.time_mask = shared, False, 0.0
        self.learning = nn.ParameterDict({_key(name): value.detach().clone() for name, value in learning.items()})
        self.merged = nn.ParameterDict({_key(name): value.detach().clone() for name, value in merged.items()})
        self.merged.requires_grad_(False)
        self.register_buffer("mean", torch.as_tensor(mean).clone())
        self.register_buffer("deviation", torch.as_tensor(deviation).clone())

    @property
    def weights(self) -> dict[str, Tensor]:
        """All weights that are not those of the encoder's files, by their names in it."""
        both = [*self.merged.items(), *self.learning.items()]
        return {_name(key): value for key, value in both}

    def forward(self, sounds: Sounds) -> Tensor:
        """Return the means of each layer, (B, K, L, D), in deviations."""
        return in_deviations(self.means(sounds).clone(), self.mean, self.deviation)

    def means(self, sounds: Sounds) -> Tensor:
        """Return the means of each layer, (B, K, L, D), as they are."""
        batch = _Batch(self, sounds)
        if not torch.is_grad_enabled():
            return batch.forward()
        found: Tensor = _Means.apply(torch.zeros((), requires_grad=True), batch)  # type: ignore[no-untyped-call]
        return found

    def put(self) -> None:
        """Put the weights into the encoder, and set whether it drops out."""
        self.shared.drop_out(self.training)
        self.shared.put(self.weights)


def _silenced(signal: Floats, longest: float) -> Floats:
    """Return a signal, silent over one random stretch that is no longer than this share of it."""
    width, start = torch.rand(2).tolist()
    samples = int(width * longest * len(signal))
    first = int(start * (len(signal) - samples))
    changed = signal.copy()
    changed[first : first + samples] = 0
    return changed


def _key(name: str) -> str:
    return name.replace(".", "/")


def _name(key: str) -> str:
    return key.replace("/", ".")


class _Means(torch.autograd.Function):
    """The means of a batch, whose gradient goes into the weights that learn and into nothing before them."""

    @staticmethod
    def forward(ctx: Any, trigger: Tensor, batch: "_Batch") -> Tensor:
        ctx.batch = batch
        return batch.forward()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None]:
        ctx.batch.backward(gradients[0])
        return None, None


class _Batch:
    """The clips of a step, in parts; this process computes some of them."""

    def __init__(self, front: EncoderFront, sounds: Sounds) -> None:
        self.front, self.shared = front, front.shared
        self.signals = [sounds.signal(place) for place in range(len(sounds))]
        if front.training and front.time_mask:
            self.signals = [_silenced(signal, front.time_mask) for signal in self.signals]
        self.device = self.shared.speech.device
        self.autocast = together.accelerator(self.device.type, front.mixed_precision).autocast
        self.seed = int(torch.randint(SEEDS, ())) if front.training else 0
        # Shared out before they are cut into parts: after one process has halved its parts, each clip is still in one.
        order = sorted(range(len(self.signals)), key=lambda place: len(self.signals[place]))
        self.own = self._parts(order[together.place() :: together.processes()])
        self.graphs: list[tuple[list[int], Tensor]] = []

    def _parts(self, places: Sequence[int]) -> list[list[int]]:
        """Return clips, the shortest first, in parts of `batch_s` at most: alike ones are computed together."""
        parts: list[list[int]] = []
        held_s = 0.0
        for place in places:
            seconds = self.shared.seconds(len(self.signals[place]))
            if not parts or held_s + seconds > self.shared.batch_s:
                parts.append([])
                held_s = 0.0
            parts[-1].append(place)
            held_s += seconds
        return parts

    def forward(self) -> Tensor:
        """Return the means of all clips; where this process has one part alone, what leads to them is kept."""
        self.front.put()
        found = torch.zeros((len(self.signals), *self.shared.shape), device=self.device)
        keep = self.front.training and len(self.own) == 1
        with torch.set_grad_enabled(keep):
            for part in self.own:
                for places, means in self._halving(part, lambda part: (part, self._means(part))):
                    found[places] = means.detach()
                    self.graphs += [(places, means)] if keep else []
        return together.summed(found)

    def backward(self, gradient: Tensor) -> None:
        """Add to the gradient of each weight that learns, by the gradient of the means of this batch."""
        self.front.put()
        weights = list(self.front.learning.values())
        total = [torch.zeros_like(weight) for weight in weights]
        kept, self.graphs = {tuple(places): means for places, means in self.graphs}, []

        def add(part: list[int]) -> None:
            with torch.enable_grad():
                means = kept.pop(tuple(part), None)
                means = self._means(part) if means is None else means
            _add(total, torch.autograd.grad(means, weights, gradient[part], allow_unused=True))

        for part in [list(places) for places in kept] or self.own:
            self._halving(part, add)
        _share(total)
        for weight, of_batch in zip(weights, total, strict=True):
            weight.grad = of_batch if weight.grad is None else weight.grad + of_batch

    def _halving(self, part: list[int], work: Callable[[list[int]], Result]) -> list[Result]:
        """Return what is made of a part; where it does not fit the GPU's memory, of its halves."""
        with suppress(torch.OutOfMemoryError):
            return [work(part)]
        self._halve(part)
        half = len(part) // 2
        return [*self._halving(part[:half], work), *self._halving(part[half:], work)]

    def _means(self, part: list[int]) -> Tensor:
        """Return the means of a part, (n, K, L, D); dropout draws for each clip, or batch of a GPU, by its number."""
        groups = [[place] for place in part] if self.device.type == "cpu" else [part]
        found = []
        for group in groups:
            with drawn_by(self.seed + group[0], self.device), self.autocast():
                found.append(self.shared.vectors([self.signals[place] for place in group]))
        return torch.cat(found).float()

    def _halve(self, part: list[int]) -> None:
        torch.cuda.empty_cache()
        longest_s = max(self.shared.seconds(len(self.signals[place])) for place in part)
        if len(part) == 1:
            raise UserError(
                f"the GPU's memory does not hold the training of an encoder on {longest_s:.0f} s of speech: set"
                " encoder.checkpointing: true, precision: mixed or encoder.tune: lora, or lower split.max_duration_s"
            )
        self.shared.batch_s = max(longest_s, self.shared.batch_s / 2)
        print(
            f"the GPU's memory is full: parts of {self.shared.batch_s:.0f} s of speech from now on (encoder.batch_s);"
            " each step still learns from the whole batch",
            file=sys.stderr,
        )


def _add(total: list[Tensor], gradients: Sequence[Tensor | None]) -> None:
    for held, gradient in zip(total, gradients, strict=True):
        if gradient is not None:
            held += gradient


def _share(total: list[Tensor]) -> None:
    """Put the sum over the processes of this job into each of the tensors."""
    if together.processes() == 1 or not total:
        return
    flat = together.summed(torch.cat([one.reshape(-1) for one in total]))
    for one, part in zip(total, torch.split(flat, [one.numel() for one in total]), strict=True):
        one.copy_(part.view_as(one))
