"""Aggregators: the K chunk vectors of a clip to one clip vector. Each stands behind a name in `model.aggregator`.

Unless said otherwise, formulas and parameter names are those of Lin & Busso, "Chunk-level speech emotion recognition: a
general framework of sequence-to-one dynamic temporal modeling" (IEEE Transactions on Affective Computing 2023) and of
its published PyTorch code.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from avpretext.models.biases import NO_KEY_BIAS, VALUES_ALONE, keep_parts
from avpretext.models.encoders import AttentivePooling


class MeanAggregator(nn.Module):
    """The mean of the chunk vectors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, chunks: Tensor) -> Tensor:
        """Aggregate (B, K, D) to (B, D)."""
        return chunks.mean(1)


class GatedAggregator(nn.Module):
    """Each chunk vector times its own gate, ``sigmoid(w . h + b)``, then the mean."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = nn.Sequential(nn.Linear(width, 1), nn.Sigmoid())

    def forward(self, chunks: Tensor) -> Tensor:
        """Aggregate (B, K, D) to (B, D)."""
        gated: Tensor = chunks * self.attn(chunks)
        return gated.mean(1)


class RnnAttentionAggregator(nn.Module):
    """Attention of the last state of an RNN over all its states.

    With h_1..h_K the states over the chunks: score_k = (W h_k) . h_K, weights = softmax(score), context = the weighted
    sum of the states, output = tanh(W2 [context; h_K]).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn_rnn = nn.RNN(width, width, batch_first=True)
        self.attn_dnn_score = nn.Linear(width, width, bias=False)
        self.attn_dnn_out = nn.Linear(2 * width, width, bias=False)

    def forward(self, chunks: Tensor) -> Tensor:
        """Aggregate (B, K, D) to (B, D)."""
        with torch.autocast(chunks.device.type, enabled=False):  # see `encoders.full_precision`
            states, _ = self.attn_rnn(chunks.float())  # (B, K, D)
        last = states[:, -1]  # (B, D)
        weights = torch.einsum("bkd,bd->bk", self.attn_dnn_score(states), last).softmax(1)
        context = torch.einsum("bk,bkd->bd", weights, states)
        return torch.tanh(self.attn_dnn_out(torch.cat([context, last], 1)))


class SelfAttentionAggregator(nn.Module):
    """One Transformer encoder layer across the chunks of a clip, then the mean.

    Layer and sizes are those of the published PyTorch code, 2 heads and PyTorch's default of 2048 for `feedforward`;
    but there it does not see more than one chunk: :class:`PublishedSelfAttentionAggregator`.
    """

    parts: Mapping[str, Sequence[int]] = NO_KEY_BIAS

    def __init__(self, width: int, heads: int = 2, feedforward: int = 2048) -> None:
        super().__init__()
        self.attn = keep_parts(nn.TransformerEncoderLayer(width, heads, feedforward, batch_first=True), self.parts)

    def forward(self, chunks: Tensor) -> Tensor:
        """Aggregate (B, K, D) to (B, D)."""
        attended: Tensor = self.attn(chunks)
        return attended.mean(1)


class PublishedSelfAttentionAggregator(SelfAttentionAggregator):
    """The layer of :class:`SelfAttentionAggregator` on every chunk by itself, then the mean.

    So it is in the published PyTorch code, whose layer gets (1, K, D) where it expects (sequence, batch, D): each chunk
    is a sequence of one, and attends to itself alone with weight 1, so that queries and keys never matter, and are not
    there. Weights that were trained so need it so.
    """

    parts = VALUES_ALONE

    def forward(self, chunks: Tensor) -> Tensor:
        """Aggregate (B, K, D) to (B, D)."""
        alone: Tensor = self.attn(chunks.flatten(0, 1).unsqueeze(1))  # (B K, 1, D)
        return alone.view_as(chunks).mean(1)


class AttentiveStatisticsAggregator(nn.Module):
    """Mean and deviation of the chunk vectors, weighted by attention, then a linear map back to their size.

    The pooling is :class:`avpretext.models.encoders.AttentivePooling`, over chunks in place of steps.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pool = AttentivePooling(width)
        self.out = nn.Linear(2 * width, width, bias=False)

    def forward(self, chunks: Tensor) -> Tensor:
        """Aggregate (B, K, D) to (B, D)."""
        every = torch.ones(chunks.shape[:2], dtype=torch.bool, device=chunks.device)
        clip: Tensor = self.out(self.pool(chunks, every))
        return clip


AGGREGATORS: dict[str, type[nn.Module]] = {
    "mean": MeanAggregator,
    "gated": GatedAggregator,
    "rnn_attention": RnnAttentionAggregator,
    "self_attention": SelfAttentionAggregator,
    "self_attention_published": PublishedSelfAttentionAggregator,
    "attentive_statistics": AttentiveStatisticsAggregator,
}
"""Name in the config: class, made of the width of the chunk vectors."""
