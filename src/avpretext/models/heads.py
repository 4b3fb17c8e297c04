"""Heads: what is asked of a chunk vector or of a clip vector."""

import torch
from torch import Tensor, nn

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
