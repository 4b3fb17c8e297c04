"""Many small trainings at a time, each in a forked process: one thread each, data shared, results in order."""

import multiprocessing
import pickle
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, NamedTuple, TypeVar, cast

import torch

from avpretext.errors import UserError
from avpretext.progress import drop_share, note_share, tell_elsewhere
from avpretext.training import mapped, memory
from avpretext.training.together import end_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")


def grid_map(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, device: torch.device
) -> Iterator[Result]:
    """Yield function(item) in the order of the items, with `threads` items in work at a time.

    Small networks gain little from several threads in one operation, and a sum over several threads has other bits. So
    each run has one thread, and results are the same bytes for any number of threads.

    With more than one, each run is a process forked from this one: the memory is shared, and only the result is sent
    back. The next item is taken when its process starts. On a GPU, which a forked process cannot use, and on systems
    other than Linux, whose libraries do not survive a fork, runs go one after another in this process. Why the process
    pools of the standard library do not serve stands in docs/decisions.md.

    Parameters
    ----------
    function
        The work; with several processes, its result can be pickled.
    items
        Its arguments. The text of an item names it in errors.
    threads
        Runs at a time.
    device
        Where the runs compute.

    Raises
    ------
    UserError
        A run ended with one, or its process was killed. It is raised at once, and the other runs are ended.
    RuntimeError
        A run ended with any other error, whose traceback is the cause.
    """
    # Also before forking: a child that asks for the threads that its parent's pool had waits for them for ever.
    torch.set_num_threads(1)
    if threads <= 1 or device.type != "cpu" or sys.platform != "linux":
        yield from map(function, items)
        return
    # The first optimiser imports hundreds of modules, for a second of processor time: once here, not in each process.
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    remaining = iter(items)
    runs = deque(_Run(function, item) for item in islice(remaining, threads))
    try:
        while runs:
            working = {run.reader: run for run in runs if not run.done}
            for reader in wait(list(working)):
                run = working[cast("Connection", reader)]
                run.collect()
                if run.done:
                    runs.extend(_Run(function, item) for item in islice(remaining, 1))
            while runs and runs[0].done:
                drop_share(runs[0])
                yield runs.popleft().result
    finally:
        for run in runs:
            run.stop()


class _Failure(NamedTuple):
    """The message of a UserError, or any other error and its traceback."""

    message: str
    trace: str = ""


class _Share(NamedTuple):
    """How far a run is, see `progress.tell_elsewhere`."""

    share: float
    before: float
    part: str


class _Run(Generic[Item, Result]):
    """One run in a process of its own; `result` is there once it is `done`."""

    result: Result

    def __init__(self, function: Callable[[Item], Result], item: Item) -> None:
        self.item, self.done = item, False
        self.reader, writer = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("fork")
        self.process = context.Process(target=_work, args=(function, item, writer), daemon=True)
        self.process.start()
        writer.close()  # so that the reader sees the end when the process ends, however it does

    def collect(self) -> None:
        """Take the result, or how far it is, and raise errors; a process that ends without a result was killed."""
        try:
            outcome: Result | _Failure | _Share = pickle.loads(self.reader.recv_bytes())
        except (EOFError, OSError):
            self.process.join()
            if self.process.exitcode == -signal.SIGBUS:
                raise mapped.lost_page() from None
            raise UserError(_killed(str(self.item), self.process.exitcode)) from None
        if isinstance(outcome, _Share):
            note_share(self, *outcome)
            return
        self.stop(wait_s=None)
        if isinstance(outcome, _Failure) and outcome.trace:
            raise RuntimeError(f"{self.item}: {outcome.message}") from Exception(f"\n{outcome.trace}")
        if isinstance(outcome, _Failure):
            raise UserError(outcome.message)
        self.result, self.done = outcome, True
        note_share(self, 1.0)

    def stop(self, wait_s: float | None = 0.0) -> None:
        """Wait this long for the process to end by itself, None for as long as it takes; then kill it."""
        self.process.join(wait_s)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.reader.close()


def _killed(name: str, code: int | None) -> str:
    if code == -signal.SIGKILL:
        fix = memory.fix() or "give the job more memory, or fewer threads, which are as many runs at a time"
        return f"{name}: its process was killed, as the system does when memory runs out; {fix}"
    by = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit status {code}"
    return f"{name}: its process ended by {by} before the run was done; start the stage again, with --threads 1 to see"


def _work(function: Callable[[Item], Any], item: Item, writer: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of them; the parent ends its children
    signal.signal(signal.SIGBUS, signal.SIG_DFL)  # which the parent explains
    threading.Thread(target=end_with_parent, daemon=True).start()
    tell_elsewhere(lambda *told: writer.send_bytes(pickle.dumps(_Share(*told))))
    try:
        sent = pickle.dumps(function(item))
    except UserError as mistake:
        sent = pickle.dumps(_Failure(str(mistake)))
    except Exception as error:
        wanting = memory.explain(error)
        sent = pickle.dumps(_Failure(wanting) if wanting else _Failure(repr(error), traceback.format_exc()))
    writer.send_bytes(sent)
    writer.close()
