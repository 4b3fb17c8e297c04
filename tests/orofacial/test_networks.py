"""Orofacial networks: shapes, padding that changes nothing, and who hears whom."""

import pytest
import torch
from torch import Tensor

from avpretext.options.orofacial import OrofacialModelOptions
from avpretext.orofacial.networks import EMOTION, MOVEMENT, VISEME, OrofacialNetwork, make_orofacial_network
from avpretext.systems import OROFACIAL_SYSTEMS, OrofacialSystem

OUTPUTS = {MOVEMENT: 6, VISEME: 4, EMOTION: 3}
SIZES = OrofacialModelOptions(width=8, helper_width=5)


def network(system: OrofacialSystem, outputs: dict[str, int] = OUTPUTS) -> OrofacialNetwork:
    return make_orofacial_network(7, SIZES, system, outputs, seed=1).eval()


def speech(frames: int, seed: int = 0) -> Tensor:
    return torch.randn(1, 1, frames, 7, generator=torch.Generator().manual_seed(seed))


def whole(steps: Tensor) -> Tensor:
    return torch.ones(steps.shape[:3], dtype=torch.bool)


@pytest.mark.parametrize("system", OROFACIAL_SYSTEMS)
def test_movement_and_viseme_are_of_each_frame_and_emotion_of_the_clip(system: OrofacialSystem) -> None:
    said = network(system)(speech(11).expand(2, -1, -1, -1), torch.ones(2, 1, 11, dtype=torch.bool))
    shapes = {task: tuple(values.shape) for task, values in said.items()}
    assert shapes == {MOVEMENT: (2, 11, 6), VISEME: (2, 11, 4), EMOTION: (2, 3)}


@pytest.mark.parametrize("system", OROFACIAL_SYSTEMS)
def test_padding_changes_nothing(system: OrofacialSystem) -> None:
    short, long = speech(6), speech(10, seed=2)
    batch = torch.cat([torch.nn.functional.pad(short, (0, 0, 0, 4)), long])
    mask = torch.tensor([[[True] * 6 + [False] * 4], [[True] * 10]])
    together, alone = network(system)(batch, mask), network(system)(short, whole(short))
    for task in alone:
        said = together[task][0, :6] if task != EMOTION else together[task][0]
        torch.testing.assert_close(said, alone[task][0])


def test_only_in_a_cascade_the_movement_hears_what_the_helpers_say() -> None:
    steps = speech(9)
    for system, heard in (("joint", False), ("cascade", True)):
        model = network(system)
        before = model(steps, whole(steps))[MOVEMENT]
        with torch.no_grad():
            for task in (VISEME, EMOTION):
                model.heads[task].hidden[0].bias += 1.0
        assert torch.equal(before, model(steps, whole(steps))[MOVEMENT]) is not heard


def test_alone_no_task_trains_what_another_uses() -> None:
    model, steps = network("single"), speech(9)
    said = model(steps, whole(steps))
    for task, values in said.items():
        model.zero_grad()
        values.sum().backward(retain_graph=True)
        trained = {name for name, weight in model.named_parameters() if weight.grad is not None}
        own = {name for name in trained if name.startswith(f"heads.{task}.")}
        assert trained - own == (
            {name for name in trained if name.startswith("encoder.")} if task == MOVEMENT else set()
        )


def test_a_helper_without_classes_is_left_out() -> None:
    said = network("cascade", {MOVEMENT: 6, VISEME: 0, EMOTION: 3})(speech(5), whole(speech(5)))
    assert set(said) == {MOVEMENT, EMOTION}


def test_one_seed_gives_one_network_and_leaves_other_draws_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, other = network("joint"), network("joint")
    assert torch.equal(torch.rand(1), expected)
    for value, same in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(value, same)
