"""Pooled hidden states of sound as it comes, with the values that the stage `encoder` stores."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from avpretext.chunks import frame_count
from avpretext.config import ChunkOptions
from avpretext.errors import UserError
from avpretext.options.pretrained_encoders import EncoderOptions
from avpretext.sound import encoder_files
from avpretext.sound.encoder import cut, joined, pooled, stored
from avpretext.sound.encoder_files import EncoderFiles
from avpretext.sound.encoder_model import SpeechEncoder

Floats = NDArray[np.float32]


class LiveEncoder:
    """Encodes any number of signals; may be asked from several threads, each of which computes with one.

    Parameters
    ----------
    files
        Of the encoder.
    options
        What is kept of its hidden states.
    chunks
        The grid, for `pool: chunks`.
    digests
        SHA-256 that its files must have.

    Raises
    ------
    UserError
        They are other files, or no speech model.
    """

    def __init__(
        self, files: EncoderFiles, options: EncoderOptions, chunks: ChunkOptions, digests: Mapping[str, str]
    ) -> None:
        found = checked(files, digests)
        self._options, self._chunks = options, chunks
        with one_thread():
            self._model = SpeechEncoder(files, options, found)

    def vectors(self, signal: Floats) -> Floats:
        """Return the means of a signal, (K, L, D), rounded to the type in which they are stored.

        Parameters
        ----------
        signal
            Shape (samples,), 16 kHz, full scale 1.
        """
        pieces = cut(signal, self._model.window_s(self._options.window_s))
        with one_thread():
            rows = joined(self._model.rows_of_each(pieces), [len(piece) for piece in pieces])
        means = pooled(rows, frame_count(len(signal)), self._options, self._chunks).values
        return stored(means, self._options).astype(np.float32).reshape(means.shape)


def checked(files: EncoderFiles, digests: Mapping[str, str]) -> dict[str, str]:
    """Return the SHA-256 of each file.

    Raises
    ------
    UserError
        One is not as it was in training.
    """
    found = files.sha256()
    if other := [name for name, digest in digests.items() if found.get(name) != digest]:
        raise UserError(
            f"{files.folder / other[0]}: not the file that the model was trained with: its SHA-256 is"
            f" {found.get(other[0], 'none, it is missing')}, expected {digests[other[0]]}"
        )
    return found


def find(
    name: str, kind: str, hub: str | None, beside: Path, folder: Path | None, digests: Mapping[str, str]
) -> EncoderFiles:
    """Return the files of the encoder that a trained model hears.

    Parameters
    ----------
    name, kind, hub
        Of the encoder.
    beside
        The folder in which it lies if it was put beside the model.
    folder
        Where it lies, if that is said.
    digests
        SHA-256 that its files must have, by which a revision in the hub's cache is chosen.

    Raises
    ------
    UserError
        They are nowhere, or no speech model's.
    """
    if folder is not None:
        return encoder_files.look_at(name, folder, "--encoder")
    if beside.is_dir():
        return encoder_files.look_at(name, beside, "encoder")
    cached = None if hub is None else encoder_files.cached_as(hub, digests)
    if cached is not None:
        return encoder_files.look_at(name, cached, f"the hub's {hub}")
    where = f", or in the hub's cache as {hub}" if hub else ""
    raise UserError(
        f"{beside.parent}: the model hears {name} ({kind}), whose weights are no part of it: name their folder with"
        f" --encoder FOLDER, in Python encoder=; or put them into {beside}{where}"
    )


_entered, _before, _lock = [0], [1], threading.Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread, so that the sums have the same bits; at the end as many as before."""
    with _lock:
        if not _entered[0]:
            _before[0] = torch.get_num_threads()
        _entered[0] += 1
    torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _entered[0] -= 1
            if not _entered[0]:
                torch.set_num_threads(_before[0])
