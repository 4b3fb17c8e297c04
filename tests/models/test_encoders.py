"""The Transformer encoder: positions, padding, sizes, and that order can be learnt."""

import math

import pytest
import torch

from avpretext.config import ModelOptions
from avpretext.models.encoders import TransformerEncoder, sinusoids


def encoder(width: int = 8, layers: int = 1, features: int = 3, dropout: float = 0.0) -> TransformerEncoder:
    torch.manual_seed(2)
    options = ModelOptions(encoder="transformer", width=width, layers=layers, dropout=dropout)
    return TransformerEncoder(features, options)


def ones(steps: torch.Tensor) -> torch.Tensor:
    return torch.ones(steps.shape[:2], dtype=torch.bool)


def test_positions_are_sines_and_cosines_of_falling_rates() -> None:
    expected = [
        [math.sin(j), math.sin(j / 100), math.cos(j), math.cos(j / 100)]  # rates 1 and 1 / 10000^(2 / 4)
        for j in range(5)
    ]
    torch.testing.assert_close(sinusoids(5, 4), torch.tensor(expected))


def test_the_order_of_steps_matters() -> None:
    network = encoder().eval()
    steps = torch.randn(2, 6, 3)
    forwards, backwards = network(steps, ones(steps)), network(steps.flip(1), ones(steps))
    assert not torch.allclose(forwards, backwards, atol=1e-3)


@pytest.mark.parametrize("training", [True, False])
def test_values_of_padded_steps_do_not_matter(training: bool) -> None:
    network = encoder(layers=2).train(training)
    steps = torch.randn(4, 6, 3)
    mask = torch.arange(6) < torch.tensor([[6], [3], [1], [4]])
    other = torch.where(mask.unsqueeze(-1), steps, 100.0)
    torch.testing.assert_close(network(steps, mask), network(other, mask))


def test_gradients_through_padding_are_finite() -> None:
    network = encoder(layers=2)
    mask = torch.arange(6) < torch.tensor([[6], [1]])
    network(torch.randn(2, 6, 3), mask).square().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


@pytest.mark.parametrize(("width", "heads"), [(8, 4), (130, 2), (2, 2)])
def test_heads_divide_any_even_width(width: int, heads: int) -> None:
    network = encoder(width)
    assert network.layers[0].self_attn.num_heads == heads
    assert network(torch.randn(2, 4, 3), torch.ones(2, 4, dtype=torch.bool)).shape == (2, width)


def test_layers_start_from_weights_of_their_own() -> None:
    first, second = encoder(layers=2).layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_the_same_seed_gives_the_same_vectors_with_dropout() -> None:
    steps = torch.randn(3, 6, 3)
    outputs = []
    for _ in range(2):
        network = encoder(dropout=0.5)
        torch.manual_seed(5)
        outputs.append(network(steps, ones(steps)))
    assert torch.equal(*outputs)


def test_it_learns_to_tell_early_from_late() -> None:
    """Chunks that hold the same steps in another order: whoever ignores positions scores half."""
    network = encoder(width=16, features=1)
    head = torch.nn.Linear(16, 1)
    optimiser = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=0.01)
    generator = torch.Generator().manual_seed(1)

    def chunks() -> tuple[torch.Tensor, torch.Tensor]:
        late = torch.randint(2, (64,), generator=generator)
        steps = torch.randn(64, 8, 1, generator=generator) * 0.1
        steps[torch.arange(64), late * 4 + torch.randint(4, (64,), generator=generator)] += 2.0
        return steps, late.float()

    for _ in range(60):
        steps, late = chunks()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(head(network(steps, ones(steps)))[:, 0], late)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    steps, late = chunks()
    right = (head(network.eval()(steps, ones(steps)))[:, 0] > 0) == late.bool()
    assert right.float().mean() > 0.9
