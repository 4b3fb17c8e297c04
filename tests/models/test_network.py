"""The network: shapes, padding, and weights that depend on the seed alone."""

import pytest
import torch

from avpretext.config import ModelOptions
from avpretext.models.aggregators import AGGREGATORS
from avpretext.models.encoders import ENCODERS
from avpretext.models.network import make_network

TASKS = {"energy": 0, "activation": 0, "emotion": 6, "ser": 4}


def steps_and_mask(valid: int) -> tuple[torch.Tensor, torch.Tensor]:
    mask = (torch.arange(12) < valid).expand(3, 5, 12)
    torch.manual_seed(1)
    return torch.randn(3, 5, 12, 7) * mask.unsqueeze(-1), mask


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_every_encoder_goes_with_every_aggregator(encoder: str, aggregator: str) -> None:
    options = ModelOptions(width=8, layers=2).model_copy(update={"encoder": encoder, "aggregator": aggregator})
    logits = make_network(7, options, TASKS, 1)(*steps_and_mask(12))
    shapes = {task: tuple(value.shape) for task, value in logits.items()}
    assert shapes == {"energy": (3, 5), "activation": (3, 5), "emotion": (3, 6), "ser": (3, 4)}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_what_is_padded_does_not_matter(encoder: str) -> None:
    options = ModelOptions.model_validate({"encoder": encoder, "width": 8, "layers": 1})
    network = make_network(7, options, {"ser": 4}, 1).eval()
    steps, mask = steps_and_mask(7)
    short = network(steps[:, :, :7], mask[:, :, :7])["ser"]
    torch.testing.assert_close(network(steps, mask)["ser"], short)


def test_one_step_is_enough() -> None:
    for encoder in ENCODERS:
        options = ModelOptions.model_validate({"encoder": encoder, "width": 8, "layers": 1})
        steps, mask = steps_and_mask(1)
        assert torch.isfinite(make_network(7, options, {"ser": 4}, 1)(steps, mask)["ser"]).all()


def test_weights_depend_on_the_seed_and_not_on_the_other_tasks() -> None:
    options = ModelOptions(width=8)
    torch.manual_seed(99)
    one, many = (make_network(7, options, tasks, 5).state_dict() for tasks in ({"ser": 4}, TASKS))
    assert all(torch.equal(value, many[name]) for name, value in one.items())
    other = make_network(7, options, {"ser": 4}, 6).state_dict()
    assert not torch.equal(one["heads.ser.fc2.weight"], other["heads.ser.fc2.weight"])
