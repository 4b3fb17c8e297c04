"""DeepEmoCluster's published network, re-stated: checkpoints of its format with random weights, and its outputs."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

CHANNELS = (1, 32, 32, 64, 64, 128, 128, 128)
STRIDES = (1, 1, 2, 2, 2, 2, 2)
LINEAR = {
    "cnn_out.module.0": (256, 1024),
    "classifier.0": (256, 256),
    "emo_regressor.0": (256, 256),
    "top_layer_class": (10, 256),
    "top_layer_attri": (1, 256),
}


def checkpoint(seed: int = 0, clusters: int = 10) -> dict[str, Any]:
    """Return a checkpoint as the published training saves it: names, shapes and types as in the released files."""
    draw = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}
    for place, (inputs, outputs) in enumerate(pairwise(CHANNELS)):
        layer, norm = f"cnn_features.module.{3 * place}", f"cnn_features.module.{3 * place + 1}"
        weights[f"{layer}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=draw) * (2 / (9 * outputs)) ** 0.5
        weights[f"{layer}.bias"] = torch.randn(outputs, generator=draw) / 10
        weights[f"{norm}.weight"] = 1 + torch.randn(outputs, generator=draw) / 10
        weights[f"{norm}.bias"] = torch.randn(outputs, generator=draw) / 10
        weights[f"{norm}.running_mean"] = torch.randn(outputs, generator=draw)
        weights[f"{norm}.running_var"] = 0.5 + torch.rand(outputs, generator=draw)
        weights[f"{norm}.num_batches_tracked"] = torch.tensor(52245)
    for name, (outputs, inputs) in LINEAR.items():
        outputs = clusters if name == "top_layer_class" else outputs
        weights[f"{name}.weight"] = torch.randn(outputs, inputs, generator=draw) / inputs**0.5
        weights[f"{name}.bias"] = torch.randn(outputs, generator=draw) / 10
    return {"arch": "vgg16", "state_dict": weights}


def outputs(weights: dict[str, Tensor], chunks: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits of the clusters and the attribute, (N, k) and (N, 1), of chunks (N, 62, 128)."""

    def linear(name: str, vectors: Tensor) -> Tensor:
        return functional.linear(vectors, weights[f"{name}.weight"], weights[f"{name}.bias"])

    vectors = chunks[:, None]
    for place, stride in enumerate(STRIDES):
        layer, norm = (f"cnn_features.module.{3 * place + number}." for number in (0, 1))
        vectors = functional.conv2d(vectors, weights[f"{layer}weight"], weights[f"{layer}bias"], stride, padding=1)
        known = [weights[norm + part] for part in ("running_mean", "running_var", "weight", "bias")]
        vectors = functional.batch_norm(vectors, *known).relu()
    vectors = linear("cnn_out.module.0", vectors.flatten(1)).relu()
    clusters = linear("top_layer_class", linear("classifier.0", vectors).relu())
    return clusters, linear("top_layer_attri", linear("emo_regressor.0", vectors).relu())
