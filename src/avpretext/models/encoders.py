"""Chunk encoders: the steps of one chunk to one vector. Each stands behind a name in `model.encoder`."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from avpretext.config import ModelOptions
from avpretext.models.biases import NO_KEY_BIAS, Normalised, Scores, keep_parts


def full_precision(steps: Tensor) -> torch.autocast:
    """Return a context in which a recurrent layer computes in float32.

    Under autocast PyTorch runs those of cuDNN in float16, whatever type is asked for, and so without its range.
    """
    return torch.autocast(steps.device.type, enabled=False)


class AttentivePooling(nn.Module):
    """Weighted mean and deviation over the steps, weights learnt from the steps themselves.

    Okabe, Koshinaka & Shinoda, "Attentive statistics pooling for deep speaker embedding" (Interspeech 2018).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = Scores(nn.Linear(width, width // 2), nn.Tanh(), nn.Linear(width // 2, 1, bias=False))

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Pool (N, m, D) with mask (N, m) to (N, 2 D)."""
        scores = self.score(steps).squeeze(-1).masked_fill(~mask, -torch.inf)  # (N, m)
        weights = scores.softmax(1).unsqueeze(-1)
        mean = (weights * steps).sum(1)  # (N, D)
        variance = (weights * (steps - mean.unsqueeze(1)).square()).sum(1)
        return torch.cat([mean, (variance + 1e-5).sqrt()], 1)


def projection(inputs: int, outputs: int) -> Normalised:
    """Return a linear layer with batch normalisation."""
    return Normalised(nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs))


def run_both_ways(rnn: nn.RNNBase, steps: Tensor, mask: Tensor) -> Tensor:
    """Return the outputs (N, m, D) of a bidirectional RNN whose way back starts at the last step that is no padding.

    `torch.export` cannot read the mask, and takes it for full (`predict.onnx_graph` gives no padding); it also takes
    the number of steps of its example for that of the outputs, which the slice corrects.
    """
    with full_precision(steps):
        if torch.compiler.is_exporting() or mask.all():
            outputs: Tensor = rnn(steps.float())[0]
            return outputs[:, : steps.shape[1]]
        lengths = mask.sum(1).cpu()
        packed, _ = rnn(pack_padded_sequence(steps.float(), lengths, batch_first=True, enforce_sorted=False))
        return pad_packed_sequence(packed, batch_first=True, total_length=steps.shape[1])[0]


class ConvBlock(nn.Module):
    """Convolution over time, batch normalisation, ReLU, dropout; padded steps stay zero."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm1d(outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, C, m) and mask (N, m) to (N, D, ceil(m / stride)) and its mask."""
        mask = mask[:, :: self.stride]
        steps = self.dropout(torch.relu(self.norm(self.conv(steps))))
        return steps * mask.unsqueeze(1), mask


class ConvEncoder(nn.Module):
    """Temporal convolutions, then attentive pooling."""

    def __init__(self, features: int, options: ModelOptions) -> None:
        super().__init__()
        self.width = options.width
        sizes = [features, *[options.width] * options.layers]
        self.blocks = nn.ModuleList(
            ConvBlock(inputs, outputs, kernel=5 if place == 0 else 3, stride=2 if place else 1, dropout=options.dropout)
            for place, (inputs, outputs) in enumerate(pairwise(sizes))
        )
        self.pool = AttentivePooling(options.width)
        self.project = projection(2 * options.width, options.width)

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Encode (N, m, F) with mask (N, m) as (N, D)."""
        steps = steps.transpose(1, 2)
        for block in self.blocks:
            steps, mask = block(steps, mask)
        pooled: Tensor = self.project(self.pool(steps.transpose(1, 2), mask))
        return pooled


class ConvGruEncoder(nn.Module):
    """Two temporal convolutions, the second with stride 2, then a bidirectional GRU and attentive pooling."""

    def __init__(self, features: int, options: ModelOptions) -> None:
        super().__init__()
        self.width = options.width
        self.first = ConvBlock(features, options.width, kernel=5, stride=1, dropout=options.dropout)
        self.second = ConvBlock(options.width, options.width, kernel=3, stride=2, dropout=options.dropout)
        self.gru = nn.GRU(options.width, options.width // 2, options.layers, batch_first=True, bidirectional=True)
        self.pool = AttentivePooling(2 * (options.width // 2))
        self.project = projection(4 * (options.width // 2), options.width)

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Encode (N, m, F) with mask (N, m) as (N, D)."""
        hidden, mask = self.first(steps.transpose(1, 2), mask)
        hidden, mask = self.second(hidden, mask)
        outputs = run_both_ways(self.gru, hidden.transpose(1, 2), mask)  # (N, m / 2, D)
        pooled: Tensor = self.project(self.pool(outputs, mask))
        return pooled


class BlstmEncoder(nn.Module):
    """Bidirectional LSTM with attentive pooling."""

    def __init__(self, features: int, options: ModelOptions) -> None:
        super().__init__()
        self.width = options.width
        half = options.width // 2
        dropout = options.dropout if options.layers > 1 else 0.0
        self.lstm = nn.LSTM(features, half, options.layers, dropout=dropout, batch_first=True, bidirectional=True)
        self.pool = AttentivePooling(2 * half)
        self.project = projection(4 * half, options.width)

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Encode (N, m, F) with mask (N, m) as (N, D)."""
        outputs = run_both_ways(self.lstm, steps, mask)  # (N, m, D)
        pooled: Tensor = self.project(self.pool(outputs, mask))
        return pooled


def sinusoids(steps: int, width: int, device: torch.device | None = None) -> Tensor:
    """Return what tells the steps of a chunk apart, (steps, width), width even: sines, then cosines, fast to slow.

    angle[j, i] = j / 10000^(2 i / width) for i < width / 2, as Vaswani et al., "Attention is all you need" (NeurIPS
    2017), section 3.5; sines and cosines stand side by side there, which is the same up to the order of the columns.
    """
    rate = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10_000.0) / width))
    angle = torch.arange(steps, device=device)[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], 1)


class TransformerEncoder(nn.Module):
    """Transformer encoder over the steps of a chunk, then attentive pooling; small, and our own choice of sizes.

    Steps are projected to `width`, `sinusoids` are added, and `layers` encoder layers follow, each normalised before
    attention and before the feed-forward part (Xiong et al., "On layer normalization in the Transformer architecture",
    ICML 2020, which trains without warm-up): 4 heads (2 where `width` is no multiple of 4), feed-forward part
    `2 * width`, ReLU. No step attends to padding.
    """

    def __init__(self, features: int, options: ModelOptions) -> None:
        super().__init__()
        width = self.width = options.width
        heads = 4 if width % 4 == 0 else 2
        self.inputs = nn.Linear(features, width)
        self.dropout = nn.Dropout(options.dropout)
        self.layers = nn.ModuleList(
            keep_parts(
                nn.TransformerEncoderLayer(width, heads, 2 * width, options.dropout, batch_first=True, norm_first=True),
                NO_KEY_BIAS,
            )
            for _ in range(options.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.pool = AttentivePooling(width)
        self.project = projection(2 * width, width)

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Encode (N, m, F) with mask (N, m) as (N, D)."""
        hidden = self.dropout(self.inputs(steps) + sinusoids(steps.shape[1], self.width, steps.device))  # (N, m, D)
        for layer in self.layers:
            hidden = layer(hidden, src_key_padding_mask=~mask)
        pooled: Tensor = self.project(self.pool(self.norm(hidden), mask))
        return pooled


class LstmEncoder(nn.Module):
    """The published encoder: LSTM, last step, batch normalisation (Lin & Busso).

    Its parameters are `lstm` and `norm`; see :mod:`avpretext.models.published`.
    """

    def __init__(self, features: int, options: ModelOptions) -> None:
        super().__init__()
        self.width = options.width
        dropout = options.dropout if options.layers > 1 else 0.0
        self.lstm = nn.LSTM(features, options.width, options.layers, dropout=dropout, batch_first=True)
        self.norm = nn.BatchNorm1d(options.width)

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Encode (N, m, F) with mask (N, m) as (N, D): the output at the last step that is not padding."""
        with full_precision(steps):
            outputs, _ = self.lstm(steps.float())
        last = mask.sum(1) - 1  # (N,)
        normed: Tensor = self.norm(outputs[torch.arange(len(outputs), device=outputs.device), last])
        return normed


class LayersEncoder(nn.Module):
    """A weighted mean of the layers of a pre-trained encoder, weights learnt; then linear layers with ReLU.

    The weights are the softmax of one number per layer, the same for all chunks, as in SUPERB (Yang et al., "SUPERB:
    Speech processing universal performance benchmark", Interspeech 2021). Since mean and weighted sum commute, it takes
    the means of each layer over a chunk.

    Parameters
    ----------
    features
        Size of the pre-trained encoder's hidden states.
    options
        `width`, `dropout`, and the number of linear layers, `layers`.
    mixed
        Number of the pre-trained encoder's layers.
    """

    def __init__(self, features: int, options: ModelOptions, mixed: int = 1) -> None:
        super().__init__()
        self.width = options.width
        if mixed > 1:
            self.scores = nn.Parameter(torch.zeros(mixed))
        sizes = [features, *[options.width] * options.layers]
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(projection(inputs, outputs), nn.ReLU(), nn.Dropout(options.dropout))
                for inputs, outputs in pairwise(sizes)
            )
        )

    @property
    def weights(self) -> Tensor | None:
        """The weight of each layer, (L,), whose sum is 1; None of a single layer."""
        return self.scores.softmax(0) if hasattr(self, "scores") else None

    def mix(self, layers: Tensor) -> Tensor:
        """Return the weighted mean over the layers, (..., 1, F), of (..., L, F)."""
        weights = self.weights
        return layers if weights is None else weights.unsqueeze(0) @ layers.float()

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Encode (N, L, F), or layers that are mixed already, (N, 1, F), as (N, D); a single layer may have steps."""
        if steps.shape[1] > 1 and self.weights is not None:
            vectors = self.mix(steps).squeeze(1)
        else:
            heard = mask.unsqueeze(-1)
            vectors = (steps.float() * heard).sum(1) / heard.sum(1).clamp(min=1)
        encoded: Tensor = self.blocks(vectors)
        return encoded


ENCODERS: dict[str, type[nn.Module]] = {
    "conv": ConvEncoder,
    "conv_gru": ConvGruEncoder,
    "blstm": BlstmEncoder,
    "lstm": LstmEncoder,
    "transformer": TransformerEncoder,
    "layers": LayersEncoder,
}
"""Name in the config: class, made of (number of features, ModelOptions).

It maps steps (N, m, F) and mask (N, m), False where a step is padding, to vectors (N, `options.width`).
"""
