"""Checkpoints: safetensors for the numbers, one line of JSON for the rest; no pickle, written atomically."""

import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from avpretext import machine, strangers
from avpretext.config import Config
from avpretext.errors import UserError, expect_file
from avpretext.models.network import SpeechNetwork
from avpretext.options.pretrained_encoders import TuningOptions
from avpretext.shards import atomic_path
from avpretext.training import finite, together
from avpretext.training.data import EncodedBy
from avpretext.training.encoder_front import EncoderWeights
from avpretext.training.loop import TrainingState
from avpretext.training.predictions import HistoryRow

_METADATA_KEY = "avpretext"


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors, metadata and the machine (`machine.facts`); the file appears whole or not at all.

    Of processes that train together the first one writes.
    All metadata is one value, since the library writes several in no fixed order.

    Raises
    ------
    UserError
        A number is not finite.
    """
    finite.check_weights(tensors, str(path), "it is not written: training has diverged, lower its learning rate")
    if not together.is_first():
        return
    # A copy, since the library refuses tensors that share memory, as the shuffled weights of an LSTM do.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    said = {**metadata, "machine": machine.facts()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(plain, {_METADATA_KEY: json.dumps(_in_json(said), sort_keys=True, allow_nan=False)}))


def _in_json(value: Any) -> Any:
    """Return plain values, NaN and infinity as text that `float` reads: JSON has neither."""
    if isinstance(value, Mapping):
        return {key: _in_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_in_json(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def read(path: Path, most_bytes: int | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the metadata of a checkpoint.

    Raises
    ------
    UserError
        The file is missing, is larger than `most_bytes`, is no safetensors file, is not one of ours, or has numbers
        that are not finite.
    """
    expect_file(path, "expected a checkpoint, which the stage 'pretrain' makes: run that first", (".safetensors",))
    if most_bytes is not None:
        strangers.check_file(path, most_bytes, "name a checkpoint of the same model")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {})[_METADATA_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if not isinstance(metadata, dict):
                raise KeyError(_METADATA_KEY)
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError, RecursionError):
        raise UserError(f"{path}: not a checkpoint of avpretext; run the stage 'pretrain' again") from None
    finite.check_weights(tensors, str(path), "its training has diverged: train again with a lower learning rate")
    return tensors, metadata


def pack(state: TrainingState) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the state of a training: weights, best weights, optimiser, random numbers; and the counters."""
    tensors = {f"model.{name}": value for name, value in state.network.state_dict().items()}
    tensors |= {f"averaged.{name}": value for name, value in state.averaged.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in state.best.items()}
    tensors |= pack_optimiser(state.optimiser)
    tensors |= pack_random(next(state.network.parameters()).is_cuda)
    tensors["random.batches"] = state.batches.get_state()
    counters = {name: getattr(state, name) for name in ("epoch", "best_epoch", "best_score")}
    return tensors, {**counters, "history": [list(row) for row in state.history]}


def unpack(state: TrainingState, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
    """Restore the state that :func:`pack` returned."""
    state.network.load_state_dict(below("model", tensors))
    state.averaged.load_state_dict(below("averaged", tensors))
    state.best = below("best", tensors)
    unpack_optimiser(state.optimiser, tensors)
    unpack_random(tensors)
    state.batches.set_state(tensors["random.batches"])
    state.epoch, state.best_epoch = counters["epoch"], counters["best_epoch"]
    state.best_score = float(counters["best_score"])
    state.history = read_history(counters["history"])


def read_history(rows: Sequence[Sequence[Any]]) -> list[HistoryRow]:
    """Return the history that a checkpoint's metadata holds."""
    return [HistoryRow(epoch, split, measure, float(value)) for epoch, split, measure, value in rows]


def pack_optimiser(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimiser."""
    return {
        f"optimiser.{number}.{name}": value
        for number, entry in optimiser.state_dict()["state"].items()
        for name, value in entry.items()
    }


def unpack_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore the state that :func:`pack_optimiser` returned."""
    known = optimiser.state_dict()
    known["state"] = {}
    for name, value in below("optimiser", tensors).items():
        number, _, entry = name.partition(".")
        known["state"].setdefault(int(number), {})[entry] = value
    optimiser.load_state_dict(known)


def pack_random(on_gpu: bool) -> dict[str, Tensor]:
    """Return the state of torch's own random numbers."""
    gpu = {"random.cuda": torch.cuda.get_rng_state()} if on_gpu else {}
    return {"random.torch": torch.get_rng_state(), **gpu}


def unpack_random(tensors: Mapping[str, Tensor]) -> None:
    """Restore the state that :func:`pack_random` returned."""
    torch.set_rng_state(tensors["random.torch"])
    if "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"])


@dataclass(frozen=True)
class Body:
    """A pre-trained encoder and aggregator: weights by their names in the network.

    `heard_all` is False when channels were hidden from every task: then the weights that read them were never trained.
    `front` are the weights of a pre-trained encoder that learnt too.
    """

    weights: Mapping[str, Tensor]
    heard_all: bool
    front: EncoderWeights | None = None


def read_body(path: Path, channels: Sequence[str], config: Config, by: EncodedBy | None = None) -> Body:
    """Return encoder and aggregator of a checkpoint's best epoch, checked against what the model is to be now.

    Parameters
    ----------
    path
        The checkpoint.
    channels
        Of the corpus.
    config
        Read: `model`, `chunks`.
    by
        What made pooled features.

    Raises
    ------
    UserError
        Its channels, model or chunks are others than these, or its weights are not those of such a model.
    """
    with torch.device("meta"):
        network = SpeechNetwork(len(channels), config.model, {}, 1 if by is None else len(by.layers))
    tensors, metadata = read(path, _most_bytes(network, by))
    told = _described(path, metadata)
    _check_encoder(path, told.encoder, by)
    different = ", ".join(sorted(set(channels) ^ set(told.channels))[:5])
    if list(channels) != told.channels:
        raise UserError(
            f"{path} was pre-trained on other channels than the corpus has ({different or 'in another order'});"
            " use one `speech` and one `model.channels` for both, and pre-train again"
        )
    for group, now in (("model", config.model), ("chunks", config.chunks)):
        then = getattr(told.config, group)
        for name, value in now.model_dump(mode="json").items():
            if then.get(name) != value and name not in ("normalise", "whole_corpora", "dropout", "head_dropout"):
                raise UserError(
                    f"{path} was pre-trained with {group}.{name} = {reprlib.repr(then.get(name))}, now it is"
                    f" {value!r}; pre-train again, or set it back"
                )
    best = below("best", tensors)
    weights = {name: value for name, value in best.items() if not name.startswith(("heads.", "front."))}
    finite.load_all(network, weights, path, "pre-train again, or name another checkpoint")
    tuning = told.config.pretrain.encoder  # converted weights had none
    front = None if tuning is None else front_weights(tuning, below("front", best))
    return Body(weights, set(told.tasks) != set(told.hidden_from), front)


class _Pretraining(BaseModel):
    encoder: TuningOptions | None = None


class _Settings(BaseModel):
    model: dict[str, Any]
    chunks: dict[str, Any]
    pretrain: _Pretraining = _Pretraining()


class _Encoder(BaseModel):
    name: str
    layers: list[int]
    digests: dict[str, str]
    options: dict[str, Any]


class _Told(BaseModel):
    """What a checkpoint's metadata must hold."""

    channels: list[str]
    tasks: list[str]
    hidden_from: list[str]
    config: _Settings
    encoder: _Encoder | None = None


def _described(path: Path, metadata: Mapping[str, Any]) -> _Told:
    try:
        return _Told.model_validate(metadata)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise UserError(f"{path}: not a checkpoint of a pre-training ({where}); pre-train again") from None


def _most_bytes(network: SpeechNetwork, by: EncodedBy | None) -> int:
    """Return how large a checkpoint may be: weights, their mean, the best, two moments, heads, a front that learnt."""
    numbers = sum(value.numel() for value in network.state_dict().values())
    learnt = 0 if by is None else strangers.LARGEST_ENCODER_BYTES
    return int(5 * (16 * numbers + learnt)) + strangers.SLACK_BYTES


def _check_encoder(path: Path, then: _Encoder | None, now: EncodedBy | None) -> None:
    """Raise where a checkpoint was pre-trained on pooled features of another encoder, or of none."""
    if then is None or now is None:
        other = (then is None) != (now is None)
        what = "without pooled features of `encoders`" if then is None else f"on those of {then.name}"
    else:
        other = any(getattr(then, part) != getattr(now, part) for part in ("layers", "digests", "options"))
        what = f"on features of {then.name} with other weights or options (layers {then.layers})"
    if other:
        raise UserError(f"{path} was pre-trained {what}; pre-train again, or set model.features and encoders back")


def front_weights(tuning: TuningOptions, tensors: Mapping[str, Tensor]) -> EncoderWeights:
    """Return the weights of an encoder that learnt, of the tensors of a network's front."""
    learning, merged = (
        {key.replace("/", "."): value for key, value in below(part, tensors).items()} for part in ("learning", "merged")
    )
    return EncoderWeights(tuning, learning, merged)


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix.`, by the rest of their names."""
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{prefix}.")}
