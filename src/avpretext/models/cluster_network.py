"""DeepEmoCluster: a convolutional network that names the cluster of a chunk and its emotion.

Lin, Sridhar & Busso, "DeepEmoCluster: a semi-supervised framework for latent cluster representation of speech emotions"
(ICASSP 2021), as its published PyTorch code has it.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from avpretext.models.biases import Normalised
from avpretext.models.network import TOP_DEVIATION, draw_afresh

CONVOLUTIONS = ((1, 1), (1, 1), (2, 2), (2, 2), (4, 2), (4, 2), (4, 2))
"""Channels, as multiples of `width`, and stride of each 3x3 convolution."""

HIDDEN = 256
"""Size of the trunk's vectors, and of the hidden layer of each branch."""

DROPOUT = 0.5


class Answer(NamedTuple):
    """Logits of the clusters, (N, k), and outputs for the labels, (N, outputs)."""

    clusters: Tensor
    labels: Tensor


class DeepEmoCluster(nn.Module):
    """Spectrogram chunks in, clusters and labels out.

    Modules: `trunk` (convolutions, each with batch normalisation and ReLU, then a linear layer, ReLU and dropout),
    `cluster_hidden` and `cluster_top` of the branch of clusters, `label_hidden` and `label_top` of that of labels. In
    the published code they are `cnn_features` and `cnn_out`, `classifier`, `top_layer_class`, `emo_regressor` and
    `top_layer_attri`, and the convolutions have biases, which batch normalisation takes off again; weights that have
    them load, see :mod:`avpretext.models.biases`.

    Parameters
    ----------
    steps, bands
        Size of a chunk.
    width
        Channels of the first convolution; published: 32.
    clusters, outputs
        Sizes of the two answers.
    """

    def __init__(self, steps: int, bands: int, width: int, clusters: int, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for multiple, stride in CONVOLUTIONS:
            convolution = nn.Conv2d(channels, multiple * width, 3, stride, padding=1, bias=False)
            channels = multiple * width
            layers += [convolution, nn.BatchNorm2d(channels), nn.ReLU()]
            steps, bands = -(-steps // stride), -(-bands // stride)
        self.trunk = Normalised(
            *layers, nn.Flatten(), nn.Linear(channels * steps * bands, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT)
        )
        self.cluster_hidden = nn.Linear(HIDDEN, HIDDEN)
        self.cluster_top = nn.Linear(HIDDEN, clusters)
        self.label_hidden = nn.Linear(HIDDEN, HIDDEN)
        self.label_top = nn.Linear(HIDDEN, outputs)
        self.apply(_initialise)

    def forward(self, chunks: Tensor) -> Answer:
        """Answer for chunks (N, m, bands)."""
        vectors = self._trunk_vectors(chunks)
        clusters = self.cluster_top(torch.relu(self.cluster_hidden(vectors)))
        return Answer(clusters, self._labels(vectors))

    def cluster_vectors(self, chunks: Tensor) -> Tensor:
        """Return what is clustered, (N, 256), for chunks (N, m, bands): the branch before its ReLU and top layer."""
        vectors: Tensor = self.cluster_hidden(self._trunk_vectors(chunks))
        return vectors

    def label_outputs(self, chunks: Tensor) -> Tensor:
        """Return the outputs for the labels, (N, outputs), for chunks (N, m, bands)."""
        return self._labels(self._trunk_vectors(chunks))

    def body(self) -> list[nn.Parameter]:
        """Return the parameters of the trunk and of the branch of clusters below its top layer."""
        return [*self.trunk.parameters(), *self.cluster_hidden.parameters()]

    def label_head(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of the branch of labels."""
        yield from self.label_hidden.parameters()
        yield from self.label_top.parameters()

    def renew_top(self, generator: torch.Generator) -> None:
        """Draw the top layer of the clusters afresh."""
        draw_afresh(self.cluster_top, generator)

    def _trunk_vectors(self, chunks: Tensor) -> Tensor:
        vectors: Tensor = self.trunk(chunks.unsqueeze(1))
        return vectors

    def _labels(self, vectors: Tensor) -> Tensor:
        outputs: Tensor = self.label_top(torch.relu(self.label_hidden(vectors)))
        return outputs


def _initialise(module: nn.Module) -> None:
    """Draw weights as published: convolutions N(0, 2 / (9 outputs)), linear layers N(0, .01^2), biases 0."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, math.sqrt(2 / (9 * module.out_channels)))
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, TOP_DEVIATION)
        nn.init.zeros_(module.bias)


def make_deepemocluster(steps: int, bands: int, width: int, clusters: int, outputs: int, seed: int) -> DeepEmoCluster:
    """Return a network whose weights depend on nothing but its sizes and the seed; see :class:`DeepEmoCluster`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DeepEmoCluster(steps, bands, width, clusters, outputs)
