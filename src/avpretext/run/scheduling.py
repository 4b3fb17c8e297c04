"""Keeps Snakemake from working out the same things again and again (benchmarks/scheduling.md).

Each function changes one thing of Snakemake, and leaves it as it is where a version no longer has it.
"""

import functools
import inspect
import operator
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any


def one_timer(scheduler: type[Any]) -> None:
    """Let a scheduler have one timer at a time that lets it look again for jobs.

    Snakemake sets one at the end of each look while jobs wait, for a look a second later; and each job that ends makes
    it look too. So its timers become more with every job that ends: after 200 it looks 67 times a second, and takes
    half a core from the jobs (benchmarks/scheduling.md). With one timer it finds the same, at most a second later.
    """
    waiting: set[tuple[int, float]] = set()

    def look_again(self: Any, delay: float) -> None:
        timer = (id(self), delay)
        if timer in waiting:
            return
        waiting.add(timer)

        def look() -> None:
            waiting.discard(timer)
            self._open_jobs.release()

        threading.Timer(delay, look).start()

    scheduler._schedule_reevalutation = look_again


def one_search(graph: type[Any], alone: Callable[[Any], bool]) -> None:
    """Let a graph of jobs search once for the job that makes a file, whatever number of jobs read it.

    Snakemake hands `known_producers` from job to job, and reads producers there, but notes only files without one.
    `alone` tells of a graph that no file has two rules that may make it: then one search is enough for all that a job
    makes.
    """
    of_one_rule = functools.lru_cache(maxsize=1)(alone)
    update = graph.update
    if "known_producers" not in inspect.signature(update).parameters:
        return

    @functools.wraps(update)
    async def update_and_note(self: Any, jobs: Any, file: Any = None, known_producers: Any = None, **more: Any) -> Any:
        known = {} if known_producers is None else known_producers
        producer = await update(self, jobs, file=file, known_producers=known, **more)
        if file is not None:
            made = producer.output if producer is not None and of_one_rule(self) else ()
            known.update({path: [producer] for path in [file, *made]})
        return producer

    graph.update = update_and_note


def one_signature(modules: list[ModuleType]) -> None:
    """Let modules inspect the parameters of a function once, not for each job that calls it."""
    for module in modules:
        if (inspected := getattr(module, "get_function_params", None)) is not None:
            module.get_function_params = functools.lru_cache(maxsize=4096)(inspected)  # type: ignore[attr-defined]


def one_command(job: type[Any]) -> None:
    """Let a job format its shell command once for all three places of the record in which Snakemake prints it."""
    if not isinstance(formatted := getattr(job, "shellcmd", None), property) or formatted.fget is None:
        return
    write = formatted.fget
    of_last: tuple[Any, ...] = ()

    def shellcmd(self: Any) -> Any:
        nonlocal of_last
        # Another try of a job evaluates these anew; what is evaluated is put there while the command is formatted.
        held = ("_input", "_output", "_params", "_resources")
        if not all(hasattr(self, name) for name in held):
            return write(self)
        state = (self, *(getattr(self, name) for name in held))
        if len(of_last) == len(state) + 1 and all(map(operator.is_, state, of_last)):
            return of_last[-1]
        command = write(self)
        of_last = (self, *(getattr(self, name) for name in held), command)
        return command

    job.shellcmd = property(shellcmd)
