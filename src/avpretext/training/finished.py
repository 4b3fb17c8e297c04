"""Runs of a grid that are done, kept until all are: a job that is killed loses the runs that it was at, no more."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext.training import checkpoint as checkpoints
from avpretext.training.folds import FoldTable
from avpretext.training.loop import HistoryRow
from avpretext.training.predictions import Prediction

FOLDER = "runs"
"""Of the finished runs, beside the results; removed with the last of them."""


class Run(NamedTuple):
    """What one fold and seed came to."""

    fold: int
    seed: int
    predictions: list[Prediction]
    history: list[HistoryRow]


def fingerprint(said: Mapping[str, Any], arrays: Iterable[Tensor | NDArray[Any]]) -> str:
    """Return a hash of all that a grid of runs is made from: text and numbers.

    Parameters
    ----------
    said
        Options, names, folds; plain values.
    arrays
        Input, targets, weights to start from, in a fixed order.
    """
    digest = hashlib.blake2b(json.dumps(said, sort_keys=True, default=str).encode(), digest_size=16)
    for array in arrays:
        values = array.numpy() if isinstance(array, Tensor) else array
        digest.update(f"{values.dtype}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).view(np.uint8).data if values.size else b"")
    return digest.hexdigest()


def said_of(table: FoldTable) -> list[list[object]]:
    """Return the folds as plain values, for `fingerprint`."""
    return [[fold.number, {part: sorted(names) for part, names in fold.parts.items()}] for fold in table.folds]


class FinishedRuns:
    """The finished runs of one job.

    Parameters
    ----------
    output
        The folder that the job writes to.
    made_from
        From `fingerprint`; runs that are of another are not taken.
    """

    def __init__(self, output: Path, made_from: str) -> None:
        self.folder, self.made_from = output / FOLDER, made_from

    def once(self, name: str, train: Callable[[], Run]) -> Run:
        """Return the run of this name, one of the job's: as it was kept, or trained now and kept."""
        path = self.folder / f"{name}.resume.safetensors"
        found = self._read(path) if path.exists() else None
        if found is not None:
            print(f"run {name}: done already, by a job that was killed", file=sys.stderr)
            return found
        run = train()
        tensors = {part.split: torch.from_numpy(part.probabilities) for part in run.predictions}
        names = {part.split: part.names for part in run.predictions}
        said = {"made_from": self.made_from, "fold": run.fold, "seed": run.seed, "names": names, "history": run.history}
        checkpoints.write(path, tensors, said)
        return run

    def _read(self, path: Path) -> Run | None:
        tensors, said = checkpoints.read(path)
        if said.get("made_from") != self.made_from:
            return None
        names = sorted(said["names"].items())  # dev, test
        parts = [Prediction(split, clips, tensors[split].numpy()) for split, clips in names]
        return Run(said["fold"], said["seed"], parts, [HistoryRow(*row) for row in said["history"]])

    def remove(self) -> None:
        """Remove what was kept."""
        shutil.rmtree(self.folder, ignore_errors=True)
