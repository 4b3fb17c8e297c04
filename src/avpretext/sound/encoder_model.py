"""A pre-trained speech encoder: signals in, hidden states of every layer out, row by row with their times.

transformers is imported here alone, and only when an encoder is opened: it takes seconds. Nothing is downloaded and no
code of a model's own is run.
"""

import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.errors import UserError
from avpretext.options.pretrained_encoders import EncoderOptions
from avpretext.sound import encoder_files
from avpretext.sound.encoder_files import EncoderFiles

SHORTEST = 1600
"""Samples, 0.1 s: a shorter signal is followed by silence up to there, so that every model has rows for it."""

INPUTS = ("input_values", "input_features")
"""What models of speech call their input."""

UNTRAINED = ("masked_spec_embed",)
"""Weights that may be missing: they are for training alone."""

ROWS_PER_S = (4.0, 110.0)
"""A model with fewer or more rows per second gives no rows along time."""

Floats = NDArray[np.float32]


class Rows(NamedTuple):
    """Hidden states of a signal: values (T, L, D), and seconds (T,) of their middles from its start."""

    values: Floats
    times_s: NDArray[np.float64]


class States(NamedTuple):
    """The same as a tensor (T, L, D), through which gradients may flow."""

    values: torch.Tensor
    times_s: NDArray[np.float64]


class SpeechEncoder:
    """A pre-trained encoder, ready to compute; may be asked from several threads.

    Parameters
    ----------
    files
        Its files.
    options
        Layers and device.
    digests
        SHA-256 of each file, where they are computed already.

    Attributes
    ----------
    layers, size
        The numbers of the layers that it returns, and the length of a row.
    depth
        Number of the layers that the model has.
    model
        That of transformers, in evaluation mode; of encoder and decoder the encoder.
    digests
        SHA-256 of each file.

    Raises
    ------
    UserError
        The folder holds no speech model, or weights of another model.
    """

    def __init__(self, files: EncoderFiles, options: EncoderOptions, digests: Mapping[str, str] | None = None) -> None:
        self.files, self.digests = files, digests or files.sha256()
        encoder_files.check_sha256(files, self.digests, options.sha256, f"encoders.{files.name}.sha256")
        self.device = _device(options.device)
        self._extractor, whole = _load(files)
        self.model = heard_by(whole)
        self.model.to(self.device)
        self._timing = _timing(self._extractor, self.model.config)
        self._whole = hasattr(self._extractor, "nb_max_frames")
        self._padding = "max_length" if self._whole else True
        self.layers: list[int] = []
        count, self.size = self._probe()
        self.depth, known = count - 1, list(range(count))
        self.layers = known if options.layers == "all" else list(options.layers)
        if absent := [layer for layer in self.layers if layer not in known]:
            raise UserError(f"encoders.{files.name}.layers: {absent[0]} is none of its layers, 0 to {known[-1]}")

    def _probe(self) -> tuple[int, int]:
        """Return the number of all layers and the length of a row; a model without rows along time is refused."""
        one, two = (self.rows([np.zeros(seconds * SAMPLE_RATE_HZ, np.float32)])[0] for seconds in (1, 2))
        counts = len(one.times_s), len(two.times_s)
        if not (ROWS_PER_S[0] <= counts[0] <= ROWS_PER_S[1] and counts[1] >= 1.5 * counts[0]):
            raise UserError(
                f"{self.files.folder}: a model of type {self.files.kind!r} with {counts[0]} rows for 1 s and"
                f" {counts[1]} for 2 s: its rows do not follow time; name another"
            )
        return one.values.shape[1], one.values.shape[2]

    def window_s(self, asked: float) -> float:
        """Return the longest signal that is encoded at once, in seconds: Whisper takes 30 s, whatever is asked."""
        return min(asked, self._extractor.n_samples / SAMPLE_RATE_HZ) if self._whole else asked

    def computed(self, samples: int) -> int:
        """Return the samples that are computed for a signal of so many: Whisper's are always those of 30 s."""
        return int(self._extractor.n_samples) if self._whole else max(samples, SHORTEST)

    @property
    def pads(self) -> bool:
        """Whether signals of unequal lengths can share a batch.

        They cannot where a layer normalises over all of a signal, padding too (`feat_extract_norm: group`), where the
        model takes no mask, or where several convolutions follow one mask (data2vec's positions).
        """
        if self._whole:
            return True
        if hasattr(self.model.config, "conv_pos_kernel_size"):
            return False
        group = getattr(self.model.config, "feat_extract_norm", "layer") == "group"
        return not group and bool(getattr(self._extractor, "return_attention_mask", False))

    @property
    def cuts(self) -> bool:
        """Whether signals of unequal lengths can share a batch after all, as `states` computes it.

        What normalises over all of a signal is a convolutional front end; it computes one signal after another, and
        the layers above it take a mask.
        """
        parts = all(hasattr(self.model, name) for name in ("feature_extractor", "feature_projection"))
        return parts and not hasattr(self.model.config, "conv_pos_kernel_size")

    def rows(self, signals: Sequence[Floats]) -> list[Rows]:
        """Return the hidden states of signals, which are computed as one batch.

        Parameters
        ----------
        signals
            Shape (samples,) each, 16 kHz, full scale 1; of equal lengths unless `pads`.
        """
        with torch.inference_mode():
            found = self.states(signals)
        return [Rows(np.ascontiguousarray(values.float().cpu().numpy()), times) for values, times in found]

    def states(self, signals: Sequence[Floats]) -> list[States]:
        """Return the same as tensors on the device of the model."""
        padded = [np.pad(signal, (0, max(0, SHORTEST - len(signal)))) for signal in signals]
        states = self._states(padded)
        return [
            self._within(state, signal, whole) for state, signal, whole in zip(states, signals, padded, strict=True)
        ]

    def rows_of_each(self, signals: Sequence[Floats]) -> list[Rows]:
        """Return the hidden states of signals, computed one after another, without padding."""
        return [self.rows([signal])[0] for signal in signals]

    def _within(self, states: torch.Tensor, signal: Floats, padded: Floats) -> States:
        """Return the rows (T, L, D) that lie within a signal, of states (L, T', D); at least one."""
        times = self._timing(states.shape[1], len(padded))
        count = max(1, int(np.searchsorted(times, len(signal) / SAMPLE_RATE_HZ)))
        count = min(count, states.shape[1])
        return States(states[:, :count].transpose(0, 1), times[:count])

    def _states(self, signals: Sequence[Floats]) -> list[torch.Tensor]:
        """Return the hidden states of each signal, (L, T, D), without the rows of padding."""
        lengths = [len(signal) for signal in signals]
        apart = len(set(lengths)) > 1 and not self.pads and self.cuts
        asked = {"return_attention_mask": True} if apart else {}
        inputs = self._extractor(
            list(signals), sampling_rate=SAMPLE_RATE_HZ, padding=self._padding, return_tensors="pt", **asked
        ).to(self.device)
        with _one_by_one(self.model.feature_extractor, lengths) if apart else nullcontext():
            found = self.model(**_accepted(inputs, self.model), output_hidden_states=True).hidden_states
        chosen = torch.stack([found[layer] for layer in self.layers or range(len(found))], 1)  # (B, L, T, D)
        return [states[:, : self._row_count(inputs, place, states, signals)] for place, states in enumerate(chosen)]

    def _row_count(self, inputs: Any, place: int, states: torch.Tensor, signals: Sequence[Floats]) -> int:
        """Return how many rows of a signal in a batch are its own."""
        if len(signals) == 1 or self._whole:
            return int(states.shape[1])
        if hasattr(self.model.config, "conv_kernel"):
            return _conv_rows(len(signals[place]), self.model.config)
        longest = max(len(signal) for signal in signals)
        mask = inputs.get("attention_mask")
        if mask is not None and mask.shape[1] == states.shape[1]:
            return int(mask[place].sum())
        return round(states.shape[1] * len(signals[place]) / longest)


@contextmanager
def _one_by_one(front: Any, lengths: Sequence[int]) -> Iterator[None]:
    """Let a convolutional front end compute each signal of a padded batch by itself, without its padding."""
    plain = front.forward

    def forward(values: torch.Tensor) -> torch.Tensor:
        """Map (B, samples) to (B, D, T)."""
        parts = [plain(values[place : place + 1, :length])[0].T for place, length in enumerate(lengths)]
        return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True).transpose(1, 2)

    front.forward = forward
    try:
        yield
    finally:
        del front.forward


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("encoders: device: cuda, and torch finds no GPU; set device: cpu or auto")
    return torch.device(name)


def _accepted(inputs: Any, model: Any) -> dict[str, Any]:
    """Return the inputs of a batch that the model takes: the sound and, where signals were padded, the mask."""
    sound = {name: inputs[name] for name in INPUTS if name in inputs}
    mask = inputs.get("attention_mask")
    padded = mask is not None and model.main_input_name in inputs and not bool(mask.all())
    return {**sound, "attention_mask": mask} if padded and not hasattr(model.config, "num_mel_bins") else sound


def _load(files: EncoderFiles) -> tuple[Any, Any]:
    """Return feature extractor and model, in evaluation mode.

    Raises
    ------
    UserError
        The model takes no sound, or its weights are not those that its configuration describes.
    """
    import transformers as imported

    transformers: Any = imported  # part of it is typed
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    folder = str(files.folder)
    where = f"{folder} (model_type {files.kind!r})"
    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        _check_hears(type(config), transformers.MODEL_MAPPING, where)
        extractor = transformers.AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
        model, found = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
        )
    except UserError:
        raise
    except Exception as error:  # whatever transformers makes of broken files
        raise UserError(f"{where}: transformers cannot open it: {_one_line(error)}; fetch the model again") from None
    _check_weights(found, model, where)
    return extractor, model.eval().requires_grad_(False)


def heard_by(model: Any) -> Any:
    """Return the part of a model that hears: of encoder and decoder the encoder."""
    return model.get_encoder() if model.config.is_encoder_decoder else model


def save(files: EncoderFiles, weights: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Write a model with some weights, by their names in `SpeechEncoder.model`, changed, as `save_pretrained` does."""
    extractor, model = _load(files)
    found = heard_by(model).load_state_dict(dict(weights), strict=False)
    if found.unexpected_keys:
        raise ValueError(f"{files.folder}: no weights {found.unexpected_keys[0]}")
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)


def _check_hears(kind: Any, mapping: Any, where: str) -> None:
    classes = mapping.get(kind, None)
    first = classes[0] if isinstance(classes, tuple | list) else classes
    takes = getattr(first, "main_input_name", "nothing")
    if takes not in INPUTS:
        raise UserError(f"{where}: takes {takes}, no sound; name a speech model such as wavlm, hubert or whisper")


def _check_weights(found: Any, model: Any, where: str) -> None:
    missing = sorted(name for name in found["missing_keys"] if not name.endswith(UNTRAINED))
    other = [*missing, *sorted(entry[0] for entry in found.get("mismatched_keys", ()))]
    if other:
        raise UserError(
            f"{where}: its weights are of another model than its config.json describes ({len(other)} differ or are"
            f" missing, such as {other[0]}); fetch the model again, all files from one place"
        )
    broken = next((name for name, value in model.named_parameters() if not bool(torch.isfinite(value).all())), None)
    if broken is not None:
        raise UserError(f"{where}: its weights {broken} are not finite; fetch the model again")


Timing = Callable[[int, int], NDArray[np.float64]]
"""Number of rows and of samples to the seconds (T,) of the rows' middles."""


def _timing(extractor: Any, config: Any) -> Timing:
    """Return the times of a model's rows: exactly where its kind is known, else rows spread evenly over the signal."""
    if hasattr(extractor, "nb_max_frames"):  # Whisper: every signal is followed by silence up to 30 s
        step = extractor.hop_length * extractor.nb_max_frames / getattr(config, "max_source_positions", 1500)
        return functools.partial(_regular, first=0.0, step=step)
    if hasattr(config, "conv_kernel") and hasattr(config, "conv_stride"):
        span, step = _receptive(config)
        return functools.partial(_regular, first=span / 2, step=step)
    if hasattr(extractor, "stride") and hasattr(extractor, "num_mel_bins"):  # w2v-BERT: 25 ms every 10 ms, stacked
        middle = 200 + 160 * (extractor.stride - 1) / 2
        return functools.partial(_regular, first=middle, step=160 * extractor.stride)
    return lambda rows, samples: (np.arange(rows) + 0.5) * samples / rows / SAMPLE_RATE_HZ


def _regular(rows: int, _: int, first: float, step: float) -> NDArray[np.float64]:
    return (first + step * np.arange(rows)) / SAMPLE_RATE_HZ


def _receptive(config: Any) -> tuple[int, int]:
    """Return samples that a row of a convolutional front end covers, and from one row to the next: 400 and 320."""
    span, step = 1, 1
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        span, step = span + (kernel - 1) * step, step * stride
    return span, step


def _conv_rows(samples: int, config: Any) -> int:
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        samples = (samples - kernel) // stride + 1
    return samples


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "..."


class Batches:
    """Computes signals on a GPU in batches of like lengths; a batch that does not fit its memory is halved.

    Parameters
    ----------
    encoder
        What computes.
    batch_s
        Seconds of a batch at most, padding counted.
    """

    def __init__(self, encoder: SpeechEncoder, batch_s: float) -> None:
        self._encoder, self._samples = encoder, batch_s * SAMPLE_RATE_HZ

    def rows(self, signals: Sequence[Floats]) -> list[Rows]:
        """Return the rows of each signal, in their order."""
        order = sorted(range(len(signals)), key=lambda place: len(signals[place]))
        found: dict[int, Rows] = {}
        while order:
            batch = self._next(order, signals)
            try:
                rows = self._encoder.rows([signals[place] for place in batch])
            except torch.OutOfMemoryError:
                self._halve(len(batch), len(signals[batch[-1]]))
                continue
            found |= zip(batch, rows, strict=True)
            del order[: len(batch)]
        return [found[place] for place in range(len(signals))]

    def _next(self, order: Sequence[int], signals: Sequence[Floats]) -> list[int]:
        """Return the places of the next batch: as many as fit, of one length where padding would change the rows."""
        first = len(signals[order[0]])
        batch: list[int] = []
        for place in order:
            length = len(signals[place])
            full = batch and (len(batch) + 1) * self._encoder.computed(length) > self._samples
            if full or (length != first and not self._encoder.pads):
                break
            batch.append(place)
        return batch

    def _halve(self, count: int, longest: int) -> None:
        torch.cuda.empty_cache()
        name = self._encoder.files.name
        if count == 1:
            raise UserError(
                f"encoder {name}: the GPU's memory does not hold {longest / SAMPLE_RATE_HZ:.0f} s of speech: lower"
                f" encoders.{name}.window_s, or set device: cpu"
            )
        self._samples = count // 2 * self._encoder.computed(longest)
        print(
            f"encoder {name}: the GPU's memory is full: batches of {self._samples / SAMPLE_RATE_HZ:.0f} s from now on"
            f" ({count // 2} clips where there were {count})",
            file=sys.stderr,
        )
