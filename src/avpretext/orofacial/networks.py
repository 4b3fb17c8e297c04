"""Networks that hear speech and move a face: per video frame movement and viseme, per clip emotion.

After the idea of Sadoughi & Busso, "Expressive speech-driven lip movements with multitask learning" (FG 2018): emotion
recognition and viseme recognition as helper tasks of the movement, beside it (`joint`) or before it (`cascade`). Layers
and sizes of theirs are not public; these are our own.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from avpretext.models.encoders import AttentivePooling, run_both_ways
from avpretext.options.orofacial import OrofacialModelOptions
from avpretext.systems import OrofacialSystem

MOVEMENT, VISEME, EMOTION = "movement", "viseme", "emotion"


class Trunk(nn.Module):
    """Bidirectional LSTM over the video frames of a clip; its weights have the shapes of `encoders.BlstmEncoder`'s."""

    def __init__(self, features: int, options: OrofacialModelOptions) -> None:
        super().__init__()
        dropout = options.dropout if options.layers > 1 else 0.0
        self.lstm = nn.LSTM(
            features, options.width // 2, options.layers, dropout=dropout, batch_first=True, bidirectional=True
        )
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Encode (B, T, F) with mask (B, T) as (B, T, D)."""
        encoded: Tensor = self.dropout(run_both_ways(self.lstm, steps, mask))
        return encoded


class MovementHead(nn.Module):
    """Bidirectional LSTM, then a linear layer, per frame: smooth where the trunk jumps."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, width // 2, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(width, outputs)

    def forward(self, encoded: Tensor, mask: Tensor) -> Tensor:
        """Turn (B, T, D) with mask (B, T) into (B, T, outputs)."""
        moved: Tensor = self.linear(run_both_ways(self.lstm, encoded, mask))
        return moved


class HelperHead(nn.Module):
    """A hidden layer, which is the representation that `cascade` hands on, and the classes."""

    def __init__(self, inputs: int, classes: int, width: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout))
        self.classes = nn.Linear(width, classes)

    def forward(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Return representation (..., width) and logits (..., classes) of (..., D)."""
        hidden: Tensor = self.hidden(encoded)
        return hidden, self.classes(hidden)


class AloneHead(nn.Module):
    """A helper task by itself: a trunk of its own, which no other task trains, and the same head."""

    def __init__(self, features: int, options: OrofacialModelOptions, task: str, classes: int) -> None:
        super().__init__()
        self.trunk = Trunk(features, options)
        self.pool = AttentivePooling(options.width) if task == EMOTION else None
        inputs = options.width * (1 if self.pool is None else 2)
        self.head = HelperHead(inputs, classes, options.helper_width, options.dropout)

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Return logits, (B, T, classes) or (B, classes), of steps (B, T, F) and mask (B, T)."""
        encoded = self.trunk(steps, mask)
        logits: Tensor = self.head(encoded if self.pool is None else self.pool(encoded, mask))[1]
        return logits


class OrofacialNetwork(nn.Module):
    """Speech in; movement of the lower face, visemes and emotion out.

    `single` has a network for each task, which share nothing; `joint` has three heads on one trunk; in `cascade` the
    movement head reads what the others make of the trunk as well. `outputs` is the number of values of each task:
    coordinates or components of movement, visemes, emotions. A helper task with none is left out.
    """

    def __init__(
        self, features: int, options: OrofacialModelOptions, system: OrofacialSystem, outputs: Mapping[str, int]
    ) -> None:
        super().__init__()
        self.system, self.outputs = system, outputs
        self.encoder = Trunk(features, options)
        self.helpers = [task for task in (VISEME, EMOTION) if outputs.get(task)]
        pools = EMOTION in self.helpers and system != "single"
        self.aggregator = AttentivePooling(options.width) if pools else nn.Identity()
        pooled = {VISEME: options.width, EMOTION: 2 * options.width}
        more = options.helper_width * len(self.helpers) if system == "cascade" else 0
        self.heads = nn.ModuleDict({MOVEMENT: MovementHead(options.width + more, outputs[MOVEMENT], options.width)})
        for task in self.helpers:
            self.heads[task] = (
                AloneHead(features, options, task, outputs[task])
                if system == "single"
                else HelperHead(pooled[task], outputs[task], options.helper_width, options.dropout)
            )

    def forward(self, steps: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return, for steps (B, 1, T, F) and mask (B, 1, T), a clip being one chunk of the training loop:

        movement (B, T, D), viseme (B, T, classes), emotion (B, classes).
        """
        steps, mask = steps.squeeze(1), mask.squeeze(1)
        encoded = self.encoder(steps, mask)  # (B, T, D)
        results, handed_on = {}, [encoded]
        for task in self.helpers:
            if self.system == "single":
                results[task] = self.heads[task](steps, mask)
                continue
            seen = encoded if task == VISEME else self.aggregator(encoded, mask)
            hidden, results[task] = self.heads[task](seen)
            handed_on.append(hidden if task == VISEME else hidden.unsqueeze(1).expand(-1, steps.shape[1], -1))
        known = torch.cat(handed_on, -1) if self.system == "cascade" else encoded
        results[MOVEMENT] = self.heads[MOVEMENT](known, mask)
        return results


def make_orofacial_network(
    features: int, options: OrofacialModelOptions, system: OrofacialSystem, outputs: Mapping[str, int], seed: int
) -> OrofacialNetwork:
    """Return a network whose weights depend on nothing but its shape and the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return OrofacialNetwork(features, options, system, outputs)
