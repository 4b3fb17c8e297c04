"""The network of DeepEmoCluster: its published size, initialisation and branches."""

import math

import pytest
import torch
from torch import nn

from avpretext.models.cluster_network import DeepEmoCluster, make_deepemocluster


def test_the_published_size_has_the_number_of_parameters_worked_out_by_hand() -> None:
    network = DeepEmoCluster(steps=62, bands=128, width=32, clusters=10, outputs=1)
    convolutions = 288 + 9_216 + 18_432 + 36_864 + 73_728 + 2 * 147_456  # 9 * inputs * outputs
    normalisation = 2 * (32 + 32 + 64 + 64 + 3 * 128)
    trunk_linear = 1_024 * 256 + 256  # 62 x 128 halves five times: 2 x 4 places of 128 channels
    branches = 2 * (256 * 256 + 256) + (256 * 10 + 10) + (256 + 1)
    assert (
        sum(value.numel() for value in network.parameters()) == convolutions + normalisation + trunk_linear + branches
    )
    assert (
        convolutions + normalisation + trunk_linear + branches == 831_979 - 576
    )  # published: a bias for each channel, before batch normalisation


@pytest.mark.parametrize(("steps", "bands", "width"), [(62, 128, 4), (7, 8, 4), (1, 40, 6)])
def test_any_number_of_steps_and_bands_goes(steps: int, bands: int, width: int) -> None:
    network = make_deepemocluster(steps, bands, width, clusters=5, outputs=3, seed=1).eval()
    chunks = torch.randn(2, steps, bands)
    answer = network(chunks)
    assert answer.clusters.shape == (2, 5)
    assert answer.labels.shape == (2, 3)
    assert network.cluster_vectors(chunks).shape == (2, 256)
    assert torch.equal(network.label_outputs(chunks), answer.labels)


def test_what_is_clustered_lies_before_the_relu_and_the_top_layer() -> None:
    network = make_deepemocluster(12, 16, 4, clusters=5, outputs=1, seed=1).eval()
    chunks = torch.randn(6, 12, 16)
    vectors = network.cluster_vectors(chunks)
    assert (vectors < 0).any()
    torch.testing.assert_close(network(chunks).clusters, network.cluster_top(vectors.clamp(min=0)))


def test_weights_are_drawn_as_published() -> None:
    network = make_deepemocluster(62, 128, 32, clusters=10, outputs=1, seed=1)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            deviation = math.sqrt(2 / (9 * module.out_channels))
            assert float(module.weight.detach().std()) == pytest.approx(deviation, rel=0.1)
        if isinstance(module, nn.Linear):
            assert float(module.weight.detach().std()) == pytest.approx(0.01, rel=0.1)
        if isinstance(module, nn.Linear):
            assert not module.bias.any()


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(9)
    first = make_deepemocluster(12, 16, 4, 5, 1, seed=3).state_dict()
    torch.manual_seed(8)
    again, other = (make_deepemocluster(12, 16, 4, 5, 1, seed=seed).state_dict() for seed in (3, 4))
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not torch.equal(first["label_top.weight"], other["label_top.weight"])


def test_a_fresh_top_layer_has_new_weights_and_nothing_else_changes() -> None:
    network = make_deepemocluster(12, 16, 4, clusters=5, outputs=1, seed=3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    nn.init.ones_(network.cluster_top.bias)
    network.renew_top(torch.Generator().manual_seed(1))
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"cluster_top.weight"}
