"""Many small trainings at a time, each in a forked process: one thread each, data shared, results in order."""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, NoReturn, TypeVar, cast

import torch

from avpretext.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")


def grid_map(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, device: torch.device
) -> Iterator[Result]:
    """Yield function(item) in the order of the items, `threads` of them worked on at a time.

    Small networks gain little from several threads in one operation, and a sum over several threads has other bits. So
    each run has one thread, whatever `threads` says, and results are the same bytes for any number.

    With more than one, each run is a process forked from this one: what is in memory is shared, not copied, and only
    the result is sent back. An item is asked for when its process starts. On a GPU, which a forked process cannot use,
    and on systems other than Linux, whose libraries do not bear a fork, runs go one after another in this process.

    Parameters
    ----------
    function
        What to do; of several processes, its result can be pickled.
    items
        What to do it with. The text of an item names it in errors.
    threads
        Runs at a time.
    device
        Where the runs compute.

    Raises
    ------
    UserError
        A run ended with one, or its process was killed. It is told at once, and the runs beside it are ended.
    RuntimeError
        A run ended with any other error, whose traceback is the cause.
    """
    # Also before forking: a child that asks for the threads that its parent's pool had waits for them for ever.
    torch.set_num_threads(1)
    if threads <= 1 or device.type != "cpu" or sys.platform != "linux":
        yield from map(function, items)
        return
    remaining = iter(items)
    runs = deque(_Fork(function, item) for item in islice(remaining, threads))
    try:
        while runs:
            for run in _ended(runs):
                run.collect()
                runs.extend(_Fork(function, item) for item in islice(remaining, 1))
            while runs and (outcome := runs[0].outcome):
                runs.popleft()
                yield cast("Result", outcome.result)
    finally:
        for run in runs:
            run.stop()


@dataclass
class _Outcome(Generic[Result]):
    """What a run came to: a result, or what a UserError says, or any other error and its traceback."""

    result: Result | None = None
    mistake: str | None = None
    error: str | None = None
    trace: str = ""


@dataclass
class _Fork(Generic[Item, Result]):
    """One run in a process of its own."""

    function: Callable[[Item], Result]
    item: Item
    outcome: _Outcome[Result] | None = None
    reader: Connection = field(init=False)
    process: BaseProcess = field(init=False)

    def __post_init__(self) -> None:
        self.reader, writer = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("fork")
        self.process = context.Process(target=_work, args=(self.function, self.item, writer), daemon=True)
        self.process.start()
        writer.close()  # so that the reader sees the end when the process ends, however it does

    def collect(self) -> None:
        """Take what the process sends, and raise what went wrong; one that ends without a word was killed."""
        try:
            outcome: _Outcome[Result] = pickle.loads(self.reader.recv_bytes())
        except (EOFError, OSError):
            self.process.join()
            raise UserError(_killed(str(self.item), self.process.exitcode)) from None
        self.stop(wait_s=None)
        if outcome.mistake is not None:
            raise UserError(outcome.mistake)
        if outcome.error is not None:
            raise RuntimeError(f"{self.item}: {outcome.error}") from _InFork(outcome.trace)
        self.outcome = outcome

    def stop(self, wait_s: float | None = 0.0) -> None:
        """Wait this long for the process to end by itself, None for as long as it takes; then kill it."""
        self.process.join(wait_s)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.reader.close()


class _InFork(Exception):
    """Carries the traceback of another process."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _ended(runs: Iterable[_Fork[Any, Any]]) -> list[_Fork[Any, Any]]:
    """Wait for a run at least, and return those that have something to say."""
    running = {run.reader: run for run in runs if run.outcome is None}
    return [running[reader] for reader in wait(list(running)) if isinstance(reader, Connection)]


def _killed(name: str, code: int | None) -> str:
    if code == -signal.SIGKILL:
        return (
            f"{name}: its process was killed, as the system does when memory runs out;"
            " give the job more memory, or fewer threads, which are as many runs at a time"
        )
    by = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit status {code}"
    return f"{name}: its process ended by {by} before the run was done; start the stage again, with --threads 1 to see"


def _work(function: Callable[[Item], Result], item: Item, writer: Connection) -> None:
    """Do one run in the forked process and send what it came to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of them; the parent ends its children
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        sent = pickle.dumps(_Outcome(function(item)))
    except UserError as mistake:
        sent = pickle.dumps(_Outcome[Result](mistake=str(mistake)))
    except Exception as error:
        sent = pickle.dumps(_Outcome[Result](error=repr(error), trace=traceback.format_exc()))
    writer.send_bytes(sent)
    writer.close()


def _end_with_parent() -> NoReturn:
    """End this process when its parent is gone, killed perhaps: nobody waits for the run any more."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
