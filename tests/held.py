"""The memory that a function needs."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

STATM = Path("/proc/self/statm")
IS_TOLD = pytest.mark.skipif(not STATM.exists(), reason="anonymous memory is told by Linux")


def most_held_mb(function: Callable[..., None], *arguments: Any) -> float:
    """Return the most anonymous memory, in MB, that a process held which called the function."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("forkserver").Process(target=_watched, args=(sender, function, *arguments))
    process.start()
    sender.close()
    held: float = receiver.recv()
    process.join()
    return held


def _watched(sender: Connection, function: Callable[..., None], *arguments: Any) -> None:
    held, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            _, resident, shared = STATM.read_text().split()[:3]
            held.append(max(held.pop(), (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / 1e6))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        function(*arguments)
    finally:
        done.set()
        watching.join()
    sender.send(held[0])
