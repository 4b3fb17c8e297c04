"""What was heard and must wait, in a temporary file: hours of windows need no memory."""

import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import numpy as np
import torch

from avpretext.models.chunking import Chunks
from avpretext.predict.hearing import Heard
from avpretext.refusal import Refusal


class Spool:
    """Takes in what was heard of files, and gives it back in the same order, once."""

    def __enter__(self) -> Self:
        self._file = tempfile.TemporaryFile()
        self._entries: list[tuple[int, Refusal | None]] = []
        return self

    def put(self, place: int, heard: Heard | Refusal) -> None:
        """Take in what was heard of the file of this place."""
        self._entries.append((place, heard if isinstance(heard, Refusal) else None))
        if isinstance(heard, Heard):
            for values in (heard.chunks.steps.numpy(), heard.chunks.mask.numpy(), *heard[1:]):
                np.save(self._file, np.ascontiguousarray(values), allow_pickle=False)

    def take(self) -> Iterator[tuple[int, Heard | Refusal]]:
        """Give everything back."""
        self._file.seek(0)
        for place, refusal in self._entries:
            if refusal is not None:
                yield place, refusal
                continue
            steps, mask, *rest = (np.load(self._file, allow_pickle=False) for _ in range(5))
            yield place, Heard(Chunks(torch.from_numpy(steps), torch.from_numpy(mask)), *rest)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
