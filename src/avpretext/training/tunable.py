"""A pre-trained encoder that learns: which of its weights do, and its hidden states by weights that are put into it."""

import copy
import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avpretext.chunks import SAMPLE_RATE_HZ, frame_count
from avpretext.config import ChunkOptions
from avpretext.errors import UserError
from avpretext.options.pretrained_encoders import EncoderOptions, TuningOptions
from avpretext.sound.encoder import cut, edges_of, on_one_clock
from avpretext.sound.encoder_files import EncoderFiles
from avpretext.sound.encoder_model import Floats, SpeechEncoder, States
from avpretext.sound.encoder_pooling import rows_of_chunks

NEVER = ("embed_positions.weight",)
"""Weights that learn in no case: Whisper's sinusoids."""

LONG = 100_000
"""Frames of a clip that any grid can cut."""

ADAPTER = "default"
"""peft's name of the adapters."""


@dataclass
class TunableEncoder:
    """A pre-trained encoder, of which a process has one; whoever computes puts its own weights into it first.

    So weights that learn are kept several times (by the optimiser, averaged, best), and those that do not once. A copy
    of a network shares it.

    Attributes
    ----------
    speech
        The encoder; with `tune: lora` adapters are in it.
    options
        Layers, pooling, windows.
    chunks
        The grid.
    tuning
        What learns.
    start
        Each weight that learns, as it is at the start; of adapters see `first_weights`.
    batch_s
        Speech that is computed at a time, in seconds; lowered where that does not fit the GPU's memory.
    """

    speech: SpeechEncoder
    options: EncoderOptions
    chunks: ChunkOptions
    tuning: TuningOptions
    start: dict[str, Tensor] = field(default_factory=dict)
    batch_s: float = 0.0
    _own: dict[str, nn.Parameter] = field(default_factory=dict)
    _placed: frozenset[str] = frozenset()

    def __deepcopy__(self, memo: dict[int, Any]) -> "TunableEncoder":
        return self

    def twin(self) -> "TunableEncoder":
        """Return another one, which shares the weights that do not learn: for use at the same time."""
        self.put({})
        speech = copy.copy(self.speech)
        shared = {id(value): value for name, value in self.speech.model.named_parameters() if name not in self.start}
        speech.model = copy.deepcopy(self.speech.model, shared)
        return _made(speech, self.options, self.chunks, self.tuning, list(self.start))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Chunks, layers and size of what is computed of a clip."""
        return len(edges_of(LONG, self.options, self.chunks)), len(self.speech.layers), self.speech.size

    def put(self, weights: Mapping[str, Tensor]) -> None:
        """Put weights into the model, by their names in it; where none is given, those of the files."""
        for name in [name for name in self._placed if name not in weights]:
            self._put(name, self._own[name])
        for name, value in weights.items():
            self._put(name, value)
        self._placed = frozenset(weights)

    def drop_out(self, training: bool) -> None:
        """Set whether the model drops out.

        Batch normalisation goes by the statistics of the files: those of a part would depend on how a batch is cut.
        """
        self.speech.model.train(training)
        for module in self.speech.model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()

    def _put(self, name: str, value: Tensor) -> None:
        module, leaf = self._owner(name)
        if name not in self._own:
            self._own[name] = module._parameters[leaf]  # type: ignore[assignment]
        module._parameters[leaf] = value  # type: ignore[assignment]

    def _owner(self, name: str) -> tuple[nn.Module, str]:
        """Return the module that has a weight; where adapters are beside it, one level further down."""
        path, _, leaf = name.rpartition(".")
        module = self.speech.model.get_submodule(path)
        if leaf not in module._parameters and hasattr(module, "base_layer"):
            module = module.base_layer
        return module, leaf

    def shape_of(self, name: str) -> torch.Size | None:
        """Return the shape of a weight by its name; None if there is none."""
        try:
            module, leaf = self._owner(name)
        except AttributeError:
            return None
        found = module._parameters.get(leaf)
        return None if found is None else found.shape

    def first_weights(self, seed: int) -> dict[str, Tensor]:
        """Return the weights that learn as they are at the start: adapters drawn by seed, others those of the files."""
        if self.tuning.tune != "lora":
            return {name: value.clone() for name, value in self.start.items()}
        self.put({})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for module in _adapted(self.speech.model).values():
                module.reset_lora_parameters(ADAPTER, True)
        return {name: self.speech.model.get_parameter(name).detach().clone() for name in self.start}

    def merged(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weights by their names in the files: those of adapters added to the weights that they are beside."""
        if self.tuning.tune != "lora":
            return {name: value.detach().clone() for name, value in weights.items()}
        self.put(weights)
        found = {
            f"{name}.weight": module.base_layer.weight.detach() + module.get_delta_weight(ADAPTER).detach()
            for name, module in _adapted(self.speech.model).items()
        }
        plain = {name: value.detach().clone() for name, value in weights.items() if "lora_" not in name}
        self.put({})
        return {**plain, **found}

    def states(self, signals: Sequence[Floats]) -> list[States]:
        """Return the hidden states of clips (samples,), each in windows, on one clock."""
        window_s = self.speech.window_s(self.options.window_s)
        pieces = [cut(signal, window_s) for signal in signals]
        flat = [piece for of_clip in pieces for piece in of_clip]
        found: dict[int, States] = {}
        for batch in self._batches([len(piece) for piece in flat]):
            found |= zip(batch, self.speech.states([flat[place] for place in batch]), strict=True)
        computed = iter(found[place] for place in range(len(flat)))
        return [_joined([next(computed) for _ in of_clip], [len(piece) for piece in of_clip]) for of_clip in pieces]

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Yield the places of signals that are computed as one batch: on a CPU each by itself, as the stage does."""
        if self.speech.device.type == "cpu":
            yield from ([place] for place in range(len(lengths)))
        elif self.speech.pads or self.speech.cuts:
            yield list(range(len(lengths)))
        else:
            for length in dict.fromkeys(lengths):
                yield [place for place, other in enumerate(lengths) if other == length]

    def vectors(self, signals: Sequence[Floats]) -> Tensor:
        """Return the means of clips, (B, K, L, D), float32."""
        return torch.stack(
            [
                _means(states, frame_count(len(signal)), self.options, self.chunks)
                for states, signal in zip(self.states(signals), signals, strict=True)
            ]
        )

    def seconds(self, samples: int) -> float:
        """Return the seconds that are computed for a clip of so many samples."""
        return self.speech.computed(samples) / SAMPLE_RATE_HZ


def _joined(parts: Sequence[States], samples: Sequence[int]) -> States:
    values = parts[0].values if len(parts) == 1 else torch.cat([part.values for part in parts])
    return States(values, on_one_clock([part.times_s for part in parts], samples))


def _means(states: States, frames: int, options: EncoderOptions, chunks: ChunkOptions) -> Tensor:
    edges = edges_of(frames, options, chunks)
    return torch.stack([states.values[rows].float().mean(0) for rows in rows_of_chunks(states.times_s, edges)])


def open_tunable(
    files: EncoderFiles, options: EncoderOptions, chunks: ChunkOptions, tuning: TuningOptions, device: str
) -> TunableEncoder:
    """Return an encoder that is ready to learn.

    Parameters
    ----------
    device
        As `finetune.device` says.

    Raises
    ------
    UserError
        Its files are not there or not those of a speech model, or it has no such weights.
    """
    speech = SpeechEncoder(files, options.model_copy(update={"device": device}))
    if tuning.tuned:
        _make_steady(speech.model, tuning)
    names = _learning(speech, tuning) if tuning.tuned else []
    return _made(speech, options, chunks, tuning, names)


def _made(
    speech: SpeechEncoder, options: EncoderOptions, chunks: ChunkOptions, tuning: TuningOptions, names: Sequence[str]
) -> TunableEncoder:
    start = {name: speech.model.get_parameter(name).detach().clone() for name in names}
    return TunableEncoder(speech, options, chunks, tuning, start, tuning.batch_s)


def _make_steady(model: Any, tuning: TuningOptions) -> None:
    """Switch off what draws by numpy or leaves out layers, as dropout stays; set what computes the backward pass."""
    for module in model.modules():
        if hasattr(module, "layerdrop"):
            module.layerdrop = 0.0
    model.config.layerdrop = 0.0
    model.config.apply_spec_augment = False
    model.config.mask_time_prob = model.config.mask_feature_prob = 0.0
    if tuning.tune != "full" and hasattr(model, "freeze_feature_encoder"):
        model.freeze_feature_encoder()
    if tuning.checkpointing:
        if not getattr(model, "supports_gradient_checkpointing", False):
            raise UserError("encoder.checkpointing: this model cannot do it; set checkpointing: false")
        model.activation_checkpointing_enable({"use_reentrant": False})


def _learning(speech: SpeechEncoder, tuning: TuningOptions) -> list[str]:
    """Return the names of the weights that learn; adapters are put in beforehand.

    Which do is found by computing something: a weight that nothing depends on, such as those of layers above the
    highest that is kept, has no gradient.
    """
    where, model = f"encoders.{speech.files.name}", speech.model
    if tuning.tune == "full":
        asked = [name for name, _ in model.named_parameters() if not name.endswith(NEVER)]
    elif tuning.tune == "last_n":
        asked = _of_last_layers(speech, tuning.last, where)
    else:
        targets = [name for name in _computing(speech) if name.startswith(f"{_stack(speech)[0]}.")]
        if not targets:
            raise UserError(
                f"{where}: a model of type {speech.files.kind!r} has no linear layers that adapters can be put on:"
                " set encoder.tune: last_n or full"
            )
        _adapt(model, targets, tuning.rank)
        asked = [name for name, _ in model.named_parameters() if "lora_" in name]
    return _with_gradient(speech, asked)


def _of_last_layers(speech: SpeechEncoder, last: int, where: str) -> list[str]:
    stack, layers = _stack(speech)
    highest = max(speech.layers)
    if not layers or last > highest:
        raise UserError(
            f"encoder.last: {last}: {where} has {highest if layers else 'no'} layers up to the highest that is kept:"
            " set a smaller number, or tune: full"
        )
    wanted = [f"{stack}.{place}." for place in range(highest - last, highest)]
    return [name for name, _ in speech.model.named_parameters() if name.startswith(tuple(wanted))]


def _stack(speech: SpeechEncoder) -> tuple[str, list[nn.Module]]:
    """Return name and content of the list of transformer layers; of a model that has none, none."""
    for name, module in speech.model.named_modules():
        fits = isinstance(module, nn.ModuleList) and len(module) == speech.depth
        if fits and any(isinstance(part, nn.Linear) for part in module[0].modules()):
            return name, list(module)
    return "", []


@torch.no_grad()
def _computing(speech: SpeechEncoder) -> list[str]:
    """Return the names of the linear layers that are called, narrow ones left out.

    WavLM's attention reads the weights of its linear layers and does not call them: an adapter there would do nothing.
    """
    called: list[str] = []
    linear = {name: one for name, one in speech.model.named_modules() if isinstance(one, nn.Linear)}
    wide = {name: one for name, one in linear.items() if min(one.in_features, one.out_features) >= speech.size}
    hooks = [
        one.register_forward_hook(lambda *_, name=name: called.append(name))  # type: ignore[misc]
        for name, one in wide.items()
    ]
    speech.states([_noise()])
    for hook in hooks:
        hook.remove()
    return [name for name in wide if name in called]


def _adapt(model: Any, targets: list[str], rank: int) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    options = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets, lora_dropout=0.0, bias="none")
    inject_adapter_in_model(options, model, adapter_name=ADAPTER)
    model.requires_grad_(False)


def _adapted(model: Any) -> dict[str, Any]:
    """Return the layers beside which there is an adapter, by their names."""
    return {name: one for name, one in model.named_modules() if hasattr(one, "get_delta_weight")}


def _with_gradient(speech: SpeechEncoder, names: Sequence[str]) -> list[str]:
    weights = {name: speech.model.get_parameter(name).requires_grad_(True) for name in names}
    with torch.enable_grad():
        values = speech.states([_noise()])[0].values
    found = torch.autograd.grad(values.square().sum(), list(weights.values()), allow_unused=True)
    for weight in weights.values():
        weight.requires_grad_(False)
    learning = [name for name, gradient in zip(names, found, strict=True) if gradient is not None]
    if not learning:
        raise UserError(f"encoders.{speech.files.name}.layers: nothing that is kept depends on a weight that learns")
    return learning


@functools.cache
def _noise() -> Floats:
    return np.random.default_rng(0).normal(scale=0.1, size=SAMPLE_RATE_HZ // 2).astype(np.float32)


@contextmanager
def drawn_by(seed: int, device: torch.device) -> Iterator[None]:
    """Let dropout draw by a seed, and afterwards as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
