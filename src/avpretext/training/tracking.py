"""Curves of trainings for experiment trackers, below `results/tracking`; they change no result and stop no training."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from avpretext.config import Config
from avpretext.errors import AGAIN, UserError, of_disk
from avpretext.flow.artefacts import ARTEFACTS, STAGES
from avpretext.options.base import settled
from avpretext.options.training import TrackingTool
from avpretext.training import together
from avpretext.training.curves import TOOLS, Curves, check, load
from avpretext.training.predictions import HistoryRow

if TYPE_CHECKING:
    from avpretext.training.loop import TrainingState

FOLDER = "tracking"
"""Of the curves, among the results."""

States = Iterator["TrainingState"]
Follow = Callable[[States], States]
"""Hands on the state after each epoch."""


def unfollowed(states: States) -> States:
    """Hand on states, whose curves nobody wants."""
    return states


class Tracking:
    """The curves of a job's runs.

    Parameters
    ----------
    stage
        `pretrain` or `finetune`.
    config
        Read: `tracking`, and the stage's options, which become those of each run.
    output
        The folder that the job writes; its path below the results begins the name of each run.

    Raises
    ------
    UserError
        A package is not installed.
    """

    def __init__(self, stage: str, config: Config, output: Path) -> None:
        wanted = config.tracking if together.is_first() else []
        check(wanted)
        self.tools = [tool for tool in wanted if _loads(tool)]  # once, before processes are forked
        parts = output.absolute().parts
        below = len(Path(ARTEFACTS[f"{stage}.history"].place).parts) - 1
        self.folder = Path(*parts[:-below]) / FOLDER
        self.place = "/".join(parts[-below:])
        self.options = flat({key: getattr(config, key) for key in STAGES[stage].options}, STAGES[stage].but)

    def of(self, run: str) -> Follow:
        """Return what writes the curves of a run, such as `fold0.seed1`, while its states are handed on."""
        if not self.tools:
            return unfollowed
        return lambda states: self._followed(f"{self.place}/{run}", states)

    def _followed(self, name: str, states: States) -> States:
        opened: list[_Guarded] = []
        history: list[HistoryRow] = []
        written, finished = 0, False
        try:
            for state in states:
                # Not before: of a run that a killed job had brought to its end, the curves are there.
                opened = opened or [_Guarded(tool, self.folder / tool, name, self.options) for tool in self.tools]
                history = state.history
                written = _write(opened, history, written)
                yield state
            finished = True
        finally:
            _write(opened, history, written)
            for one in opened:
                one.close(finished)


def _loads(tool: TrackingTool) -> bool:
    """Import a tool, and tell whether that worked."""
    try:
        load(tool)
    except Exception as error:
        _warn(tool, error, "there are no curves there")
        return False
    return True


def _warn(tool: TrackingTool, error: Exception, so: str) -> None:
    told = " ".join(f"{type(error).__name__}: {error}".split())
    print(f"tracking: warning: {tool}: {told}; {so}", file=sys.stderr)


def _write(opened: Sequence["_Guarded"], history: Sequence[HistoryRow], written: int) -> int:
    """Write what a history has beyond so many rows; return its length."""
    for one in opened:
        one.write(history[written:])
    return len(history)


class _Guarded:
    """Curves whose first failure is told and ends them; the training goes on, except when the disk is full."""

    def __init__(self, tool: TrackingTool, *named: Any) -> None:
        self.tool = tool
        self._curves: Curves | None = None
        with self._guarded():
            self._curves = TOOLS[tool](*named)

    def write(self, rows: Sequence[HistoryRow]) -> None:
        with self._guarded():
            if self._curves is not None and rows:
                self._curves.write(rows)

    def close(self, finished: bool) -> None:
        with self._guarded():
            if self._curves is not None:
                self._curves.close(finished)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if (full := of_disk(error)) and full.endswith(AGAIN):
                raise UserError(f"tracking: {self.tool}: {full}") from None
            self._curves = None
            _warn(self.tool, error, "the run has no further curves there")


def flat(options: Mapping[str, Any], but: Sequence[str] = ()) -> dict[str, Any]:
    """Return options under their dotted keys, without the names in `but`.

    >>> flat({"seed": 1, "model": {"width": 64, "dropout": {"input": 0.1}}}, ["width"])
    {'seed': 1, 'model.dropout.input': 0.1}
    """
    found: dict[str, Any] = {}
    for name, value in options.items():
        plain = settled(value) if isinstance(value, BaseModel) else value
        if name in but:
            continue
        if isinstance(plain, Mapping) and plain:
            found |= {f"{name}.{key}": entry for key, entry in flat(plain, but).items()}
        else:
            found[name] = plain
    return found
