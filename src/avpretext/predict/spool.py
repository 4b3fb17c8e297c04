"""Chunks of files that must wait, in a temporary file: hours of windows need no memory."""

import tempfile
from collections.abc import Iterator

import numpy as np
import torch

from avpretext.models.chunking import Chunks
from avpretext.predict.hearing import Heard
from avpretext.refusal import Refusal


class Spool:
    """Stores the chunks of files, and returns them in the same order, once."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._entries: list[tuple[int, Refusal | None]] = []

    def put(self, place: int, heard: Heard | Refusal) -> None:
        """Store chunks of the file of this place, or why it is refused."""
        self._entries.append((place, heard if isinstance(heard, Refusal) else None))
        if isinstance(heard, Heard):
            for values in (heard.chunks.steps.numpy(), heard.chunks.mask.numpy(), *heard[1:]):
                np.save(self._file, np.ascontiguousarray(values), allow_pickle=False)

    def take(self) -> Iterator[tuple[int, Heard | Refusal]]:
        """Yield everything that was stored."""
        self._file.seek(0)
        for place, refusal in self._entries:
            if refusal is not None:
                yield place, refusal
                continue
            steps, mask, *rest = (np.load(self._file, allow_pickle=False) for _ in range(5))
            yield place, Heard(Chunks(torch.from_numpy(steps), torch.from_numpy(mask)), *rest)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
