"""Aggregators against their formulas, worked in numpy."""

import numpy as np
import torch

from avpretext.models.aggregators import (
    AGGREGATORS,
    AttentiveStatisticsAggregator,
    GatedAggregator,
    MeanAggregator,
    PublishedSelfAttentionAggregator,
    RnnAttentionAggregator,
    SelfAttentionAggregator,
)

BATCH, CHUNKS, WIDTH = 2, 5, 6


def chunk_vectors() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(3).normal(size=(BATCH, CHUNKS, WIDTH)).astype(np.float32))


def weights(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in module.state_dict().items()}


def randomised(kind: type[SelfAttentionAggregator]) -> tuple[SelfAttentionAggregator, dict[str, np.ndarray]]:
    """Return an aggregator with the random weights of a plain layer, and these, whose keys have a bias too."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(WIDTH, 2, 2048, batch_first=True)
    layer.self_attn.in_proj_bias.data.normal_()
    state = {f"attn.{name}": value for name, value in layer.state_dict().items()}
    module = kind(WIDTH)
    module.load_state_dict(state)
    return module, {name: value.double().numpy() for name, value in state.items()}


def softmax(scores: np.ndarray) -> np.ndarray:
    shares = np.exp(scores - scores.max())
    return np.asarray(shares / shares.sum())


def assert_matches(module: torch.nn.Module, expected: list[np.ndarray]) -> None:
    with torch.no_grad():
        np.testing.assert_allclose(module.eval()(chunk_vectors()).numpy(), np.stack(expected), atol=1e-5)


def test_mean() -> None:
    assert_matches(MeanAggregator(WIDTH), [clip.mean(0) for clip in chunk_vectors().numpy()])


def test_gated_weighs_each_chunk_by_a_sigmoid_and_takes_the_mean() -> None:
    module = GatedAggregator(WIDTH)
    w = weights(module)
    expected = []
    for clip in chunk_vectors().double().numpy():
        gates = 1 / (1 + np.exp(-(clip @ w["attn.0.weight"][0] + w["attn.0.bias"])))
        expected.append((clip * gates[:, None]).mean(0))
    assert_matches(module, expected)


def test_rnn_attention_follows_the_formula() -> None:
    module = RnnAttentionAggregator(WIDTH)
    w = weights(module)
    bias = w["attn_rnn.bias_ih_l0"] + w["attn_rnn.bias_hh_l0"]
    expected = []
    for clip in chunk_vectors().double().numpy():
        state, states = np.zeros(WIDTH), []
        for chunk in clip:
            state = np.tanh(w["attn_rnn.weight_ih_l0"] @ chunk + w["attn_rnn.weight_hh_l0"] @ state + bias)
            states.append(state)
        h = np.stack(states)
        share = softmax((h @ w["attn_dnn_score.weight"].T) @ h[-1])
        expected.append(np.tanh(w["attn_dnn_out.weight"] @ np.concatenate([share @ h, h[-1]])))
    assert_matches(module, expected)


def layer_norm(rows: np.ndarray, gain: np.ndarray, shift: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(1, keepdims=True)
    return np.asarray(centred / np.sqrt(np.square(centred).mean(1, keepdims=True) + 1e-5) * gain + shift)


def attention(rows: np.ndarray, w: dict[str, np.ndarray], heads: int) -> np.ndarray:
    queries, keys, values = np.split(
        rows @ w["attn.self_attn.in_proj_weight"].T + w["attn.self_attn.in_proj_bias"], 3, 1
    )
    outputs = []
    for q, k, v in zip(*(np.split(part, heads, 1) for part in (queries, keys, values)), strict=True):
        scores = q @ k.T / np.sqrt(q.shape[1])
        outputs.append(np.stack([softmax(row) for row in scores]) @ v)
    return np.asarray(
        np.concatenate(outputs, 1) @ w["attn.self_attn.out_proj.weight"].T + w["attn.self_attn.out_proj.bias"]
    )


def transformer_layer(rows: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
    rows = layer_norm(rows + attention(rows, w, heads=2), w["attn.norm1.weight"], w["attn.norm1.bias"])
    hidden = np.maximum(rows @ w["attn.linear1.weight"].T + w["attn.linear1.bias"], 0)
    rows = rows + hidden @ w["attn.linear2.weight"].T + w["attn.linear2.bias"]
    return layer_norm(rows, w["attn.norm2.weight"], w["attn.norm2.bias"])


def test_self_attention_is_one_transformer_layer_across_the_chunks() -> None:
    module, w = randomised(SelfAttentionAggregator)
    assert_matches(module, [transformer_layer(clip, w).mean(0) for clip in chunk_vectors().double().numpy()])


def test_published_self_attention_is_that_layer_on_each_chunk_alone() -> None:
    module, w = randomised(PublishedSelfAttentionAggregator)
    clips = chunk_vectors().double().numpy()
    assert_matches(module, [np.mean([transformer_layer(row[None], w)[0] for row in clip], 0) for clip in clips])


def test_chunks_see_each_other_in_self_attention_and_not_in_the_published_one() -> None:
    (ours, _), (published, _) = (
        randomised(kind) for kind in (SelfAttentionAggregator, PublishedSelfAttentionAggregator)
    )
    ours.eval(), published.eval()
    clip = chunk_vectors()[:1]
    alone = torch.stack([published(clip[:, [chunk]]) for chunk in range(CHUNKS)]).mean(0)
    torch.testing.assert_close(published(clip), alone)
    assert not torch.allclose(ours(clip), alone, atol=1e-2)


def test_attentive_statistics_are_weighted_mean_and_deviation() -> None:
    torch.manual_seed(2)
    module = AttentiveStatisticsAggregator(WIDTH)
    w = weights(module)
    expected = []
    for clip in chunk_vectors().double().numpy():
        hidden = np.tanh(clip @ w["pool.score.0.weight"].T + w["pool.score.0.bias"])
        shares = softmax(hidden @ w["pool.score.2.weight"][0])
        mean = shares @ clip
        deviation = np.sqrt(shares @ (clip - mean) ** 2 + 1e-5)
        expected.append(w["out.weight"] @ np.concatenate([mean, deviation]))
    assert_matches(module, expected)


def test_no_aggregator_mixes_clips() -> None:
    chunks = chunk_vectors()
    other = chunks.clone()
    other[1] = 0
    for name, kind in AGGREGATORS.items():
        torch.manual_seed(0)
        module = kind(WIDTH).eval()
        assert torch.equal(module(chunks)[0], module(other)[0]), name
        assert not torch.equal(module(chunks)[1], module(other)[1]), name
