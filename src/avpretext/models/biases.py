"""No bias without effect: how layers are made without it, and how weights that have it are loaded.

A bias has no effect before batch normalisation, which subtracts the mean; before a softmax over the entries that it is
added to; and on the keys of attention, where it adds the same number to all scores of a query. Its gradient is 0 in
truth and rounding noise in a computer, which Adam scales up to whole steps: such a bias drifts, another way on every
processor. Weights of others, and ours of before, may have them: they load, and give the outputs that they gave.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

QUERY, KEY, VALUE = range(3)
"""The parts of `nn.MultiheadAttention.in_proj_weight` and `in_proj_bias`, in their order."""

NO_KEY_BIAS = {"in_proj_bias": (QUERY, VALUE)}
"""What attention needs of its projections."""

VALUES_ALONE = {"in_proj_weight": (VALUE,), "in_proj_bias": (VALUE,)}
"""What attention over a single step needs, whose weight is 1 whatever its score."""

State = dict[str, Tensor]


class Parts(nn.Module):
    """Parametrization of an input projection of attention by some of its three parts; the others are 0."""

    def __init__(self, kept: Sequence[int]) -> None:
        super().__init__()
        self.kept = tuple(kept)

    def forward(self, parts: Tensor) -> Tensor:
        """Return the projection, (3 D, ...), of its kept parts, (len(kept) D, ...)."""
        known = dict(zip(self.kept, parts.chunk(len(self.kept)), strict=True))
        nothing = torch.zeros_like(known[self.kept[0]])
        return torch.cat([known.get(part, nothing) for part in (QUERY, KEY, VALUE)])

    def right_inverse(self, whole: Tensor) -> Tensor:
        """Return the kept parts of a projection."""
        parts = whole.chunk(3)
        return torch.cat([parts[part] for part in self.kept])


def keep_parts(layer: nn.TransformerEncoderLayer, parts: Mapping[str, Sequence[int]]) -> nn.TransformerEncoderLayer:
    """Return a Transformer layer with no more than these parts of the input projections of its attention."""
    for name, kept in parts.items():
        parametrize.register_parametrization(layer.self_attn, name, Parts(kept))
    layer.self_attn.register_load_state_dict_pre_hook(_cut_projections)  # type: ignore[no-untyped-call]
    return layer


def _cut_projections(attention: nn.Module, state: State, prefix: str, *_: Any) -> None:
    parametrized: Any = attention.parametrizations
    for name, (parts,) in parametrized.items():
        if f"{prefix}{name}" in state:
            state[f"{prefix}parametrizations.{name}.original"] = parts.right_inverse(state.pop(f"{prefix}{name}"))


def whole_state(network: nn.Module) -> State:
    """Return the state dict as plain layers have it: projections of attention under their usual names, in all parts.

    `load_state_dict` takes projections either way.
    """
    state = {}
    for name, value in network.state_dict().items():
        path, _, parametrized = name.partition(".parametrizations.")
        projection = parametrized.removesuffix(".original")
        if parametrized:
            state[f"{path}.{projection}"] = getattr(network.get_submodule(path), projection).detach()
        else:
            state[name] = value
    return state


class Normalised(nn.Sequential):
    """Layers in a row, in which none before batch normalisation has a bias: one that is loaded joins its mean."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.register_load_state_dict_pre_hook(_fold_biases)  # type: ignore[no-untyped-call]


def _fold_biases(layers: nn.Module, state: State, prefix: str, *_: Any) -> None:
    for (name, _layer), (next_name, following) in pairwise(layers.named_children()):
        if isinstance(following, _BatchNorm) and f"{prefix}{name}.bias" in state:
            mean = f"{prefix}{next_name}.running_mean"
            state[mean] = state[mean] - state.pop(f"{prefix}{name}.bias")


class Scores(nn.Sequential):
    """Layers in a row whose last gives the scores of a softmax, and so has no bias: one that is loaded is left out."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.register_load_state_dict_pre_hook(_drop_last_bias)  # type: ignore[no-untyped-call]


def _drop_last_bias(layers: nn.Module, state: State, prefix: str, *_: Any) -> None:
    state.pop(f"{prefix}{len(list(layers.children())) - 1}.bias", None)
