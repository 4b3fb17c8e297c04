"""Curves of a run in the form of TensorBoard, MLflow and Weights & Biases, written while it trains.

Each tool is imported when it is asked for; none of them needs an account or the network.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from avpretext import checkout
from avpretext.errors import UserError
from avpretext.options.training import TrackingTool

if TYPE_CHECKING:
    from avpretext.training.predictions import HistoryRow

EVENTS = "events.out.tfevents.0.avpretext"
"""A name that TensorBoard knows; its usual parts, time and host, would make it another one each time."""

PROJECT = "avpretext"
"""Name of the experiment in MLflow, and of the project in Weights & Biases."""

KEY = "avpretext.key"
"""Tag of an MLflow run with `key_of` it."""


class Curves(Protocol):
    """The curves of one run in one tool."""

    def write(self, rows: "Sequence[HistoryRow]") -> None:
        """Add measured values."""

    def close(self, finished: bool) -> None:
        """End the run; `finished` tells whether its training came to its end."""


def curve_of(row: "HistoryRow") -> str:
    """Return the name of the curve of a value: MEASURE/SPLIT, such as `loss/dev`."""
    return f"{row.measure}/{row.split}"


def key_of(name: str, options: Mapping[str, Any]) -> str:
    """Return what tells a run from others: a hash of its name and options.

    >>> key_of("pretrain/mean/energy/seed0", {"seed": 1})
    'a8d298eb43a0'
    """
    text = json.dumps([name, options], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


class EventFile:
    """A TensorBoard event file, whose events bear no time of day: the same values give the same bytes."""

    def __init__(self, path: Path) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import RecordWriter

        self._writer = RecordWriter(str(path))
        self._writer.write(Event(file_version="brain.Event:2").SerializeToString())

    def write(self, rows: "Sequence[HistoryRow]") -> None:
        """Add measured values, and flush them."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        for row in rows:
            value = Summary.Value(tag=curve_of(row), simple_value=row.value)
            self._writer.write(Event(step=row.epoch, summary=Summary(value=[value])).SerializeToString())
        self._writer.flush()

    def close(self, finished: bool = True) -> None:
        """Close the file."""
        self._writer.close()


def event_file(folder: Path, name: str, options: Mapping[str, Any]) -> EventFile:
    """Return the event file of a run, which replaces that of an earlier one of this name."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    return EventFile(folder / name / EVENTS)


class MlflowRun:
    """A run of MLflow in a folder of files; an earlier one of this name with the same options is replaced.

    Files suit many jobs at a time on a shared disk, as SQLite does not. MLflow takes them if a variable allows it.
    """

    def __init__(self, folder: Path, name: str, options: Mapping[str, Any]) -> None:
        mlflow = load("mlflow")
        self._entities = mlflow.entities
        self._client = mlflow.MlflowClient(tracking_uri=folder.absolute().as_uri())
        experiment = self._experiment(mlflow.exceptions.MlflowException)
        key = key_of(name, options)
        for earlier in self._client.search_runs([experiment], f"tags.`{KEY}` = '{key}'"):
            self._client.delete_run(earlier.info.run_id)
        self._id = self._client.create_run(experiment, tags={KEY: key}, run_name=name).info.run_id
        told = [mlflow.entities.Param(option, str(value)) for option, value in options.items()]
        self._client.log_batch(self._id, params=told)

    def _experiment(self, refused: type[Exception]) -> str:
        if (known := self._client.get_experiment_by_name(PROJECT)) is None:
            try:
                return str(self._client.create_experiment(PROJECT))
            except refused:  # another job was quicker
                known = self._client.get_experiment_by_name(PROJECT)
        return str(known.experiment_id)

    def write(self, rows: "Sequence[HistoryRow]") -> None:
        """Add measured values, with the time of now."""
        now_ms = int(time.time() * 1000)
        told = [self._entities.Metric(curve_of(row), row.value, now_ms, row.epoch) for row in rows]
        self._client.log_batch(self._id, metrics=told)

    def close(self, finished: bool) -> None:
        """End the run."""
        self._client.set_terminated(self._id, "FINISHED" if finished else "FAILED")


class WandbRun:
    """A run of Weights & Biases, offline; an earlier one of this name with the same options is replaced."""

    def __init__(self, folder: Path, name: str, options: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        key = key_of(name, options)
        for earlier in folder.glob(f"wandb/offline-run-*-{key}"):
            shutil.rmtree(earlier, ignore_errors=True)
        wandb = load("wandb")
        self._run = wandb.init(
            mode="offline", dir=str(folder), project=PROJECT, id=key, name=name, group=name.rpartition("/")[0],
            config=dict(options), settings=wandb.Settings(silent=True, console="off"),
        )  # fmt: skip

    def write(self, rows: "Sequence[HistoryRow]") -> None:
        """Add measured values, those of an epoch together."""
        for epoch, of_epoch in groupby(sorted(rows, key=lambda row: row.epoch), key=lambda row: row.epoch):
            self._run.log({curve_of(row): row.value for row in of_epoch}, step=epoch)

    def close(self, finished: bool) -> None:
        """End the run."""
        self._run.finish(exit_code=0 if finished else 1)


TOOLS: Mapping[TrackingTool, Callable[[Path, str, Mapping[str, Any]], Curves]] = {
    "tensorboard": event_file, "mlflow": MlflowRun, "wandb": WandbRun,
}  # fmt: skip
"""What opens the curves of a run: from the folder of the tool, the name of the run, and its options."""

PACKAGES: Mapping[TrackingTool, tuple[str, str]] = {
    "tensorboard": ("tensorboardX", "tensorboardx"), "mlflow": ("mlflow", "mlflow-skinny"), "wandb": ("wandb", "wandb"),
}  # fmt: skip
"""Module and package of each tool."""

QUIET = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false"}
"""Environment variables that keep the tools off the network, and MLflow in files."""


def load(tool: TrackingTool) -> Any:
    """Return the module of a tool, which then sends nothing anywhere."""
    os.environ.update(QUIET)
    return import_module(PACKAGES[tool][0])


def check(tools: Sequence[TrackingTool]) -> None:
    """Raise a user's error where the package of a tool is not installed."""
    for tool in tools:
        module, package = PACKAGES[tool]
        if find_spec(module) is None:
            raise UserError(
                f"tracking: [{tool}]: the package {package} is not installed; install it with: {checkout.PIP} {package}"
            )
