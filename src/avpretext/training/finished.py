"""The runs of a job, kept until all are done: a killed job resumes its unfinished runs."""

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext.flow.provenance import provenance
from avpretext.progress import note_done_before
from avpretext.training import checkpoint as checkpoints
from avpretext.training.predictions import Prediction, Run

FOLDER = "runs"
"""Of the runs, beside the results; removed with the last of them."""

SHARE = 0.01
"""Maximum share of a run's time spent on keeping its state."""

State = tuple[Mapping[str, Tensor], Mapping[str, Any]]
"""Numbers and plain values, as `checkpoint.write` takes them."""


def fingerprint(stage: str, said: Mapping[str, Any], arrays: Iterable[Tensor | NDArray[Any]]) -> str:
    """Return the cache key of a job's runs: a hash of the stage's version and the package's, text and numbers.

    `said` are plain values: options, names, folds. `arrays` are input, targets and first weights, in a fixed order.
    """
    made_by = provenance(stage, said)
    digest = hashlib.blake2b(json.dumps(made_by, sort_keys=True, default=str, allow_nan=False).encode(), digest_size=16)
    for array in arrays:
        values = array.numpy() if isinstance(array, Tensor) else array
        digest.update(f"{values.dtype}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).view(np.uint8).data if values.size else b"")
    return digest.hexdigest()


class UnfinishedRun:
    """The state of a run after one of its epochs, from which a killed job resumes it.

    By default it is not kept after each epoch: a state takes some ms to write, as long as an epoch of a small network,
    and a run of two seconds is quicker trained anew. `share` is the maximum share of the run's time spent on keeping
    its state; None: `SHARE`; infinity: keep every epoch. A state made from another `fingerprint` is not taken.
    """

    def __init__(self, path: Path, made_from: str, share: float | None = None) -> None:
        self.path, self.made_from, self.share = path, made_from, SHARE if share is None else share
        self._since, self._cost_s = time.monotonic(), 0.02

    def restore(self, unpack: Callable[[dict[str, Tensor], dict[str, Any]], None]) -> None:
        """Pass the state that was kept to `unpack`, if there is one of this run."""
        if not self.path.exists():
            return
        tensors, said = checkpoints.read(self.path)
        if said.get("made_from") != self.made_from:
            print(f"{self.path} is of a run with other options, clips or labels: starting afresh", file=sys.stderr)
            return
        unpack(tensors, said)
        print(f"{self.path}: going on after epoch {said['epoch']}, where a job was killed", file=sys.stderr)

    def keep(self, pack: Callable[[], State]) -> None:
        """Keep the state after an epoch, its number among the values as `epoch`, if enough time has passed."""
        now = time.monotonic()
        if (now - self._since) * self.share < self._cost_s:
            return
        tensors, said = pack()
        checkpoints.write(self.path, tensors, {**said, "made_from": self.made_from})
        self._since = time.monotonic()
        self._cost_s = self._since - now


class FinishedRuns:
    """The runs of the job that writes to a folder: those that are done, and the states of those that are not.

    Runs that are made from another `fingerprint` are not taken.
    """

    def __init__(self, output: Path, made_from: str) -> None:
        self.folder, self.made_from = output / FOLDER, made_from

    def once(self, name: str, train: Callable[[UnfinishedRun], Run]) -> Run:
        """Return the run of this name: as it was kept, or trained on from its last state, and then kept."""
        path = self.folder / f"{name}.resume.safetensors"
        found = self._read(path) if path.exists() else None
        if found is not None:
            print(f"run {name}: done already, by a job that was killed", file=sys.stderr)
            note_done_before()
            return found
        unfinished = UnfinishedRun(self.folder / f"{name}.epoch.safetensors", self.made_from)
        run = train(unfinished)
        tensors = {part.split: torch.from_numpy(part.probabilities) for part in run.predictions}
        names = {part.split: part.names for part in run.predictions}
        said = {"made_from": self.made_from, "fold": run.fold, "seed": run.seed, "names": names, "history": run.history}
        checkpoints.write(path, tensors, said)
        unfinished.path.unlink(missing_ok=True)
        return run

    def _read(self, path: Path) -> Run | None:
        tensors, said = checkpoints.read(path)
        if said.get("made_from") != self.made_from:
            return None
        names = sorted(said["names"].items())  # dev, test, test@...
        parts = [Prediction(split, clips, tensors[split].numpy()) for split, clips in names]
        return Run(said["fold"], said["seed"], parts, checkpoints.read_history(said["history"]))

    def remove(self) -> None:
        """Remove what was kept."""
        shutil.rmtree(self.folder, ignore_errors=True)
