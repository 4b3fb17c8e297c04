"""No parameter of any network has a gradient that is 0 in truth; weights with biases of that kind load all the same."""

import copy
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from avpretext import models
from avpretext.config import ModelOptions
from avpretext.models.aggregators import AGGREGATORS
from avpretext.models.biases import Scores
from avpretext.models.cluster_network import make_deepemocluster
from avpretext.models.encoders import ENCODERS
from avpretext.models.network import make_network
from avpretext.models.published_clusters import ClipNetwork
from avpretext.options.orofacial import OrofacialModelOptions
from avpretext.orofacial.networks import make_orofacial_network
from avpretext.systems import OROFACIAL_SYSTEMS

CLIPS, CHUNKS, STEPS, FEATURES = 12, 3, 9, 5

SIDE = 40
"""Steps and bands of a chunk for DeepEmoCluster: large enough for its last convolution to see more than padding."""

ROUNDING = 1e-10
"""In float64 a gradient that is 0 in truth is about 1e-17 of the largest; all others here are above 1e-6 of it."""


@pytest.fixture(autouse=True)
def _float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where recurrent layers ask for no less than float32, they get float64."""
    monkeypatch.setattr(Tensor, "float", Tensor.double)


def speech(encoder: str, aggregator: str, seed: int) -> nn.Module:
    options = ModelOptions.model_validate({"encoder": encoder, "width": 8, "layers": 2, "dropout": 0.1})
    options = options.model_copy(update={"aggregator": aggregator})
    return make_network(FEATURES, options, {"energy": 0, "activation": 0, "clusters": 3, "emotion": 4, "ser": 1}, seed)


ANSWERS = {"movement": 3, "viseme": 4, "emotion": 3}

NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    **{name: lambda seed, name=name: speech(name, "mean", seed) for name in ENCODERS},
    **{name: lambda seed, name=name: speech("conv", name, seed) for name in AGGREGATORS},
    **{
        name: lambda seed, name=name: make_orofacial_network(
            FEATURES, OrofacialModelOptions(width=8, helper_width=6), name, ANSWERS, seed
        )
        for name in OROFACIAL_SYSTEMS
    },
    "deepemocluster": lambda seed: make_deepemocluster(SIDE, SIDE, 4, clusters=3, outputs=2, seed=seed),
}  # fmt: skip
"""Every network of the product by its name, made of a seed."""


def outputs_of(network: nn.Module, name: str, generator: torch.Generator) -> list[Tensor]:
    """Return the outputs for a random batch in float64, in which some clips are padded."""
    if name == "deepemocluster":
        return list(network(torch.randn(CLIPS, SIDE, SIDE, generator=generator, dtype=torch.float64)))
    chunks = 1 if name in OROFACIAL_SYSTEMS else CHUNKS
    steps = torch.randn(CLIPS, chunks, STEPS, FEATURES, generator=generator, dtype=torch.float64)
    lengths = torch.randint(STEPS // 2, STEPS + 1, (CLIPS, 1, 1), generator=generator)
    mask = (torch.arange(STEPS) < lengths).expand(CLIPS, chunks, STEPS)
    return list(network(steps * mask.unsqueeze(-1), mask).values())


def loss_of(outputs: list[Tensor], generator: torch.Generator) -> Tensor:
    """Return the sum of the mean square errors against random targets."""
    targets = [torch.randn(output.shape, generator=generator, dtype=output.dtype) for output in outputs]
    return torch.stack([functional.mse_loss(*pair) for pair in zip(outputs, targets, strict=True)]).sum()


def idle(name: str, change: Callable[[nn.Module], nn.Module] = lambda network: network) -> set[str]:
    """Return the parameters with an entry whose gradient is 0 up to rounding for every seed and every batch."""
    largest: dict[str, Tensor] = {}
    for seed in range(6):
        network = change(NETWORKS[name](seed).double()).train()
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)  # of dropout, which with ReLU may silence a unit in all of a few batches
        for _ in range(6):
            network.zero_grad()
            loss_of(outputs_of(network, name, generator), generator).backward()  # type: ignore[no-untyped-call]
            for parameter, value in network.named_parameters():
                assert value.grad is not None, f"{parameter} takes no part"
                size = value.grad.abs()
                largest[parameter] = torch.maximum(largest.get(parameter, size), size)
    scale = max(float(sizes.max()) for sizes in largest.values())
    return {parameter for parameter, sizes in largest.items() if float(sizes.min()) < ROUNDING * scale}


def biases_before_norm(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for path, module in network.named_modules():
        if isinstance(module, nn.Sequential):
            for (name, layer), (_, following) in pairwise(module.named_children()):
                if isinstance(following, _BatchNorm):
                    yield f"{path}.{name}.bias", layer


def with_idle_biases(network: nn.Module) -> nn.Module:
    """Return the network as it would be with every bias that has no effect, drawn at random."""
    changed = copy.deepcopy(network)
    scores = {
        f"{path}.{len(module) - 1}.bias": module[-1]
        for path, module in changed.named_modules()
        if isinstance(module, Scores)
    }
    for layer in {**scores, **dict(biases_before_norm(changed))}.values():
        layer.bias = nn.Parameter(torch.randn(len(layer.weight), dtype=layer.weight.dtype))
    for module in list(changed.modules()):
        if isinstance(module, nn.MultiheadAttention):
            for projection in list(module.parametrizations):  # type: ignore[arg-type, union-attr]
                parametrize.remove_parametrizations(module, projection)
                value = getattr(module, projection)
                value.data = torch.where(value == 0, torch.randn_like(value), value)
    return changed


def put_back(name: str) -> set[str]:
    """Return the names of the biases that `with_idle_biases` adds."""
    network = NETWORKS[name](0)
    return {key for key, _ in with_idle_biases(network).named_parameters()} - {
        key for key, _ in network.named_parameters()
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_no_parameter_has_a_gradient_that_is_zero_in_truth(name: str) -> None:
    assert idle(name) == set()


@pytest.mark.parametrize("name", ["conv", "transformer", "self_attention_published", "joint", "deepemocluster"])
def test_the_biases_that_were_left_out_would_have_one(name: str) -> None:
    added = put_back(name)
    assert added
    assert added <= idle(name, with_idle_biases)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("training", [False, True])
def test_weights_with_biases_of_no_effect_load_and_give_their_outputs(name: str, training: bool) -> None:
    torch.manual_seed(1)
    older = with_idle_biases(NETWORKS[name](1).double())
    for module in older.modules():
        if isinstance(module, _BatchNorm):
            assert module.running_mean is not None
            module.running_mean.normal_()
    network = NETWORKS[name](2).double()
    network.load_state_dict(older.state_dict())
    answers = []
    for model in (older, network):
        torch.manual_seed(3)
        answers.append(outputs_of(model.train(training), name, torch.Generator().manual_seed(4)))
    for expected, output in zip(*answers, strict=True):
        torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-9)


def test_every_layer_of_the_package_is_in_one_of_these_networks() -> None:
    modules = [
        importlib.import_module(found.name) for found in pkgutil.iter_modules(models.__path__, "avpretext.models.")
    ]
    written = {
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, nn.Module) and kind.__module__ == module.__name__
    }
    used = {base for make in NETWORKS.values() for part in make(0).modules() for base in type(part).__mro__}
    # It has no weights of its own: it averages what DeepEmoCluster, which is among them, gives for each chunk.
    assert written - {ClipNetwork} <= used
