"""Keeps Snakemake's scheduler from looking for jobs more and more often."""

import threading
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
