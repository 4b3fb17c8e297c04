"""The published model: its weights under our names, its outputs worked out by hand, and what the docs say of it."""

import doctest
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from avpretext.config import ModelOptions
from avpretext.config_file import parse
from avpretext.errors import UserError
from avpretext.models.aggregators import AGGREGATORS
from avpretext.models.encoders import ENCODERS
from avpretext.models.losses import concordance_loss
from avpretext.models.network import SpeechNetwork, make_network
from avpretext.models.published import (
    CHANNELS,
    CHUNK_COUNT,
    CHUNK_FRAMES,
    aggregator_of,
    load_published,
    published_options,
)

Arrays = dict[str, np.ndarray]
DOCS = Path(__file__).resolve().parents[2] / "docs" / "chunk-framework.md"
D, CLIPS = 130, 3
LSTM = {f"lstm.weight_{kind}_l{layer}": (4 * D, D) for kind in ("ih", "hh") for layer in (0, 1)}
LSTM |= {f"lstm.bias_{kind}_l{layer}": (4 * D,) for kind in ("ih", "hh") for layer in (0, 1)}
NORM = {f"bn.{name}": (D,) for name in ("weight", "bias", "running_mean", "running_var")}
OUTPUT = {"fc1.weight": (D, D), "fc1.bias": (D,), "fc2.weight": (1, D), "fc2.bias": (1,)}
ATTENTION: dict[str, dict[str, tuple[int, ...]]] = {
    "mean": {},
    "gated": {"attn.0.weight": (1, D), "attn.0.bias": (1,)},
    "rnn_attention": {
        **{f"attn.attn_rnn.weight_{kind}_l0": (D, D) for kind in ("ih", "hh")},
        **{f"attn.attn_rnn.bias_{kind}_l0": (D,) for kind in ("ih", "hh")},
        "attn.attn_dnn_score.weight": (D, D),
        "attn.attn_dnn_out.weight": (D, 2 * D),
    },
    "self_attention_published": {
        "attn.self_attn.in_proj_weight": (3 * D, D),
        "attn.self_attn.in_proj_bias": (3 * D,),
        "attn.self_attn.out_proj.weight": (D, D),
        "attn.self_attn.out_proj.bias": (D,),
        "attn.linear1.weight": (2048, D),
        "attn.linear1.bias": (2048,),
        "attn.linear2.weight": (D, 2048),
        "attn.linear2.bias": (D,),
        **{f"attn.norm{place}.{name}": (D,) for place in (1, 2) for name in ("weight", "bias")},
    },
}
"""Names and shapes of the four published state dicts."""


def published_weights(aggregator: str, outputs: int = 1) -> dict[str, torch.Tensor]:
    """Return a state dict of the published shapes, made at random; deviations and gains are positive."""
    shapes = {**LSTM, **NORM, **OUTPUT, **ATTENTION[aggregator]}
    shapes |= {"fc2.weight": (outputs, D), "fc2.bias": (outputs,)}
    rng = np.random.default_rng(4)
    weights = {name: rng.normal(size=shape) / np.sqrt(shape[-1]) for name, shape in shapes.items()}
    for name in ("bn.running_var", "bn.weight"):
        weights[name] = rng.uniform(0.5, 2.0, D)
    weights["bn.running_mean"] = rng.normal(size=D) * 0.1
    state = {name: torch.from_numpy(value).float() for name, value in weights.items()}
    return {**state, "bn.num_batches_tracked": torch.tensor(5000)}


def chunks() -> torch.Tensor:
    """Return (B, C, m, F) of normalised speech: within plus and minus 3."""
    generator = torch.Generator().manual_seed(6)
    return torch.randn(CLIPS, CHUNK_COUNT, CHUNK_FRAMES, CHANNELS, generator=generator).clamp(-3, 3)


def loaded(aggregator: str, weights: dict[str, torch.Tensor]) -> SpeechNetwork:
    network = make_network(CHANNELS, published_options(aggregator), {"arousal": len(weights["fc2.bias"])}, seed=1)
    load_published(network, weights, "arousal")
    return network.eval()


def sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-values)))


def softmax(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(values - values.max()) / np.exp(values - values.max()).sum())


def lstm_layer(steps: np.ndarray, w: Arrays, layer: int) -> np.ndarray:
    """Return the outputs (N, m, D) of one layer: gates i, f, g, o; c = f c + i g; h = o tanh(c)."""
    bias = w[f"lstm.bias_ih_l{layer}"] + w[f"lstm.bias_hh_l{layer}"]
    hidden = cell = np.zeros((len(steps), D))
    outputs = []
    for step in np.moveaxis(steps, 1, 0):
        gates = step @ w[f"lstm.weight_ih_l{layer}"].T + hidden @ w[f"lstm.weight_hh_l{layer}"].T + bias
        take, keep, new, show = np.split(gates, 4, axis=1)
        cell = sigmoid(keep) * cell + sigmoid(take) * np.tanh(new)
        hidden = sigmoid(show) * np.tanh(cell)
        outputs.append(hidden)
    return np.stack(outputs, 1)


def layer_norm(row: np.ndarray, w: Arrays, name: str) -> np.ndarray:
    centred = row - row.mean()
    scaled = centred / np.sqrt(np.square(centred).mean() + 1e-5)
    return np.asarray(scaled * w[f"{name}.weight"] + w[f"{name}.bias"])


def mean(clip: np.ndarray, w: Arrays) -> np.ndarray:
    return np.asarray(clip.mean(0))


def gated(clip: np.ndarray, w: Arrays) -> np.ndarray:
    gates = sigmoid(clip @ w["attn.0.weight"].T + w["attn.0.bias"])  # (C, 1)
    return np.asarray((gates * clip).mean(0))


def rnn_attention(clip: np.ndarray, w: Arrays) -> np.ndarray:
    bias = w["attn.attn_rnn.bias_ih_l0"] + w["attn.attn_rnn.bias_hh_l0"]
    state, states = np.zeros(D), []
    for chunk in clip:
        state = np.tanh(w["attn.attn_rnn.weight_ih_l0"] @ chunk + w["attn.attn_rnn.weight_hh_l0"] @ state + bias)
        states.append(state)
    share = softmax(np.array([(w["attn.attn_dnn_score.weight"] @ h) @ states[-1] for h in states]))
    return np.tanh(w["attn.attn_dnn_out.weight"] @ np.concatenate([share @ np.stack(states), states[-1]]))


def self_attention_published(clip: np.ndarray, w: Arrays) -> np.ndarray:
    """Each chunk attends to itself with weight 1, so of queries, keys and values the values alone are left."""
    rows = []
    for chunk in clip:
        value = w["attn.self_attn.in_proj_weight"][2 * D :] @ chunk + w["attn.self_attn.in_proj_bias"][2 * D :]
        attended = w["attn.self_attn.out_proj.weight"] @ value + w["attn.self_attn.out_proj.bias"]
        row = layer_norm(chunk + attended, w, "attn.norm1")
        hidden = np.maximum(w["attn.linear1.weight"] @ row + w["attn.linear1.bias"], 0)
        rows.append(
            layer_norm(row + w["attn.linear2.weight"] @ hidden + w["attn.linear2.bias"], w, "attn.norm2"),
        )
    return np.asarray(np.mean(rows, 0))


FORMULAS = {
    "mean": mean,
    "gated": gated,
    "rnn_attention": rnn_attention,
    "self_attention_published": self_attention_published,
}


def by_hand(aggregator: str, weights: dict[str, torch.Tensor]) -> np.ndarray:
    """Return what the published model computes of `chunks`, (B, outputs), in double precision."""
    w = {name: value.double().numpy() for name, value in weights.items()}
    steps = chunks().double().numpy().reshape(CLIPS * CHUNK_COUNT, CHUNK_FRAMES, CHANNELS)
    last = lstm_layer(lstm_layer(steps, w, 0), w, 1)[:, -1]
    normed = (last - w["bn.running_mean"]) / np.sqrt(w["bn.running_var"] + 1e-5) * w["bn.weight"] + w["bn.bias"]
    clips = [FORMULAS[aggregator](clip, w) for clip in normed.reshape(CLIPS, CHUNK_COUNT, D)]
    hidden = np.maximum(np.stack(clips) @ w["fc1.weight"].T + w["fc1.bias"], 0)
    return np.asarray(hidden @ w["fc2.weight"].T + w["fc2.bias"])


@pytest.mark.parametrize("outputs", [1, 8])
@pytest.mark.parametrize("aggregator", FORMULAS)
def test_published_weights_give_what_the_formula_gives(aggregator: str, outputs: int) -> None:
    weights = published_weights(aggregator, outputs)
    steps = chunks()
    with torch.no_grad():
        logits = loaded(aggregator, weights)(steps, torch.ones(steps.shape[:3], dtype=torch.bool))["arousal"]
    expected = by_hand(aggregator, weights)
    assert np.std(expected[:, 0]) > 1e-3, "the clips must differ, or an error would not show"
    np.testing.assert_allclose(logits.numpy(), expected, atol=2e-5)


@pytest.mark.parametrize("aggregator", FORMULAS)
def test_the_names_tell_the_aggregator(aggregator: str) -> None:
    assert aggregator_of(published_weights(aggregator)) == aggregator


def test_published_self_attention_weights_fit_the_one_across_chunks_and_give_something_else_there() -> None:
    weights, steps = published_weights("self_attention_published"), chunks()
    mask = torch.ones(steps.shape[:3], dtype=torch.bool)
    outputs = [loaded(name, weights)(steps, mask)["arousal"] for name in ("self_attention", "self_attention_published")]
    assert not torch.allclose(*outputs, atol=1e-3)


def test_every_weight_that_does_not_fit_is_named() -> None:
    weights = published_weights("gated")
    del weights["bn.weight"]
    weights |= {"fc3.bias": torch.zeros(1), "fc1.weight": torch.zeros(64, D)}
    with pytest.raises(UserError) as error:
        loaded("gated", weights)
    for problem in ("bn.weight is missing", "fc3.bias is unknown", "fc1.weight is 64 x 130, expected 130 x 130"):
        assert problem in str(error.value)


def test_weights_of_another_aggregator_are_refused() -> None:
    with pytest.raises(UserError, match=r"attn\.0\.weight is unknown"):
        loaded("mean", published_weights("gated"))
    with pytest.raises(UserError, match=r"attn\.attn_rnn\.weight_ih_l0 is missing"):
        loaded("rnn_attention", published_weights("mean"))


def test_a_network_of_another_kind_is_refused() -> None:
    weights = published_weights("mean")
    blstm = make_network(CHANNELS, ModelOptions(encoder="blstm"), {"arousal": 1}, seed=1)
    two_heads = make_network(CHANNELS, published_options("mean"), {"arousal": 1, "energy": 0}, seed=1)
    for network, name in ((blstm, r"encoder\.pool"), (two_heads, r"heads\.energy")):
        with pytest.raises(UserError, match=name):
            load_published(network, weights, "arousal")


def test_a_perfect_batch_costs_1_over_n_by_the_published_loss_and_nothing_by_ours() -> None:
    actual = torch.randn(128, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    centred = actual - actual.mean()
    published = 1 - 2 * centred.square().mean() / (actual.var() + actual.var())
    assert float(published) == pytest.approx(1 / 128) == pytest.approx(0.0078, abs=5e-5)
    assert float(concordance_loss(actual, actual)) == pytest.approx(0.0, abs=1e-7)


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_docs_count_the_parameters_as_they_are() -> None:
    default, published = ModelOptions(), published_options("mean")
    counted = {
        name: (parameters(kind(67, default)), parameters(kind(CHANNELS, published))) for name, kind in ENCODERS.items()
    }
    counted |= {name: (parameters(kind(64)), parameters(kind(D))) for name, kind in AGGREGATORS.items()}
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([\d,]+) \| ([\d,]+) \|$", DOCS.read_text("utf-8"), re.MULTILINE)
    assert {name: tuple(int(count.replace(",", "")) for count in counts) for name, *counts in rows} == counted


def test_docs_count_the_published_models_as_they_are() -> None:
    for aggregator in FORMULAS:
        whole = make_network(CHANNELS, published_options(aggregator), {"arousal": 1}, seed=1)
        assert f"{parameters(whole):,}" in DOCS.read_text("utf-8"), aggregator


def test_examples_in_the_docs_run() -> None:
    failed, tried = doctest.testfile(str(DOCS), module_relative=False)
    assert (failed, tried > 3) == (0, True)


def test_settings_of_the_example_are_the_published_ones() -> None:
    example = DOCS.parents[1] / "examples" / "published-chunk-model.yaml"
    config = parse(yaml.safe_load(example.read_text("utf-8")))
    assert config.model == published_options("rnn_attention")
    assert (config.speech.feature_set, config.speech.deltas) == ("ComParE_2016", True)
    assert (config.chunks.method, config.chunks.count, config.chunks.factor) == ("published", CHUNK_COUNT, 1)
    assert (config.finetune.batch_size, config.finetune.learning_rate, config.finetune.weight_decay) == (128, 1e-4, 0)
    augmentation = ("mixup", "time_mask", "noise", "channel_dropout", "averaging", "label_smoothing")
    assert not any(getattr(config.finetune, name) for name in augmentation)
