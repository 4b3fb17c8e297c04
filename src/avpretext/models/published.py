"""The published chunk-level model of Lin & Busso as a `SpeechNetwork`: its sizes, and its weights under our names.

Lin & Busso, "Chunk-level speech emotion recognition: a general framework of sequence-to-one dynamic temporal modeling"
(IEEE Transactions on Affective Computing 2023), PyTorch code: github.com/winston-lin-wei-cheng/
Chunk-Level-Attention-SER-PyTorch, whose four classes `LSTMnet_*` differ in the aggregator alone.
"""

from collections.abc import Iterable, Mapping

from torch import Tensor

from avpretext.config import ModelOptions
from avpretext.errors import UserError
from avpretext.models.biases import whole_state
from avpretext.models.network import SpeechNetwork

CHANNELS = 130
"""Features of a frame: the 65 low-level descriptors of ComParE, then their deltas."""

CHUNK_FRAMES, CHUNK_COUNT = 62, 11
"""m, frames of 16 ms, and C; n is 1."""

PREFIXES = {
    "lstm.": "encoder.lstm.",
    "bn.": "encoder.norm.",
    "attn.attn_": "aggregator.attn_",
    "attn.": "aggregator.attn.",
    "fc1.": "heads.{task}.fc1.",
    "fc2.": "heads.{task}.fc2.",
}
"""Published name: ours; the rest of the name is the same. `attn.attn_` is RNN attention, `attn.` what others have."""

_MARKS = {
    "attn.attn_rnn.": "rnn_attention",
    "attn.self_attn.": "self_attention_published",
    "attn.0.": "gated",
}


def published_options(aggregator: str, width: int = CHANNELS, layers: int = 2) -> ModelOptions:
    """Return the options of the published model with one of `AGGREGATORS`."""
    options = ModelOptions(
        channels=["*_sma*"],
        encoder="lstm",
        step_frames=1,
        width=width,
        layers=layers,
        dropout=0.5,
        head_dropout=0.0,
    )
    return options.model_copy(update={"aggregator": aggregator})


def is_chunk_model(names: Iterable[str]) -> bool:
    """Return whether names of weights are like those of the published chunk-level model.

    >>> is_chunk_model(["lstm.weight_ih_l0", "fc1.weight"]), is_chunk_model(["cnn_features.0.weight"])
    (True, False)
    """
    return any(name.startswith(tuple(PREFIXES)) for name in names)


def aggregator_of(names: Iterable[str]) -> str:
    """Return the aggregator, a key of `AGGREGATORS`, that these published names belong to.

    Self-attention is `self_attention_published`, which computes what those weights were trained in.

    >>> aggregator_of(["lstm.weight_ih_l0", "attn.0.weight"])
    'gated'
    >>> aggregator_of(["lstm.weight_ih_l0", "fc1.weight"])
    'mean'
    """
    known = list(names)
    return next(
        (aggregator for mark, aggregator in _MARKS.items() if any(name.startswith(mark) for name in known)), "mean"
    )


def published_names(network: SpeechNetwork, task: str) -> dict[str, str]:
    """Return published name: our name, for every weight of a network.

    Raises
    ------
    UserError
        The network has weights that the published model has not: its encoder is another, or it has other heads.
    """
    prefixes = {ours.format(task=task): theirs for theirs, ours in PREFIXES.items()}
    names = {}
    for name in whole_state(network):
        ours = next((prefix for prefix in prefixes if name.startswith(prefix)), None)
        if ours is None:
            raise UserError(
                f"the published model has nothing like {name}; its weights need model.encoder: lstm and no head but"
                f" {task!r}"
            )
        names[prefixes[ours] + name.removeprefix(ours)] = name
    return names


def load_published(network: SpeechNetwork, weights: Mapping[str, Tensor], task: str) -> None:
    """Load published weights into a network of `published_options` with one head, all of them and nothing else.

    Those without effect are checked and left out: the bias of self-attention's keys, and in the published
    self-attention all of queries and keys; see :mod:`avpretext.models.biases`. The head named `task` has one output for
    an attribute, one for each class else.

    Raises
    ------
    UserError
        A weight is missing, unknown or of another shape; all such are named.
    """
    names = published_names(network, task)
    state = whole_state(network)
    problems = [f"{name} is missing" for name in names if name not in weights]
    problems += [f"{name} is unknown" for name in weights if name not in names]
    problems += [
        f"{name} is {_shape(weights[name])}, expected {_shape(state[ours])}"
        for name, ours in names.items()
        if name in weights and weights[name].shape != state[ours].shape
    ]
    if problems:
        raise UserError(
            f"these are not weights of the published model with this aggregator and these sizes: {'; '.join(problems)};"
            " see docs/chunk-framework.md"
        )
    network.load_state_dict({names[name]: value for name, value in weights.items()})


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a single number"
