"""Snakemake's scheduler looks for jobs once a second, however many have ended."""

import threading
import time

from snakemake.scheduling.job_scheduler import JobScheduler

from avpretext.run.scheduling import one_timer


def test_many_looks_set_one_timer_and_the_next_look_another() -> None:
    class Scheduler:
        def __init__(self) -> None:
            self._open_jobs = threading.Semaphore(0)

    one_timer(Scheduler)
    scheduler, other = Scheduler(), Scheduler()
    for _ in range(2):
        for _ in range(50):
            scheduler._schedule_reevalutation(0.05)
            other._schedule_reevalutation(0.05)
        assert scheduler._open_jobs.acquire(timeout=5)
        assert other._open_jobs.acquire(timeout=5)
        time.sleep(0.1)
        assert not scheduler._open_jobs.acquire(blocking=False)


def test_snakemake_sets_its_timers_there() -> None:
    assert callable(JobScheduler._schedule_reevalutation)
    assert "_schedule_reevalutation" in JobScheduler.schedule.__code__.co_names
    assert "_open_jobs" in JobScheduler.schedule.__code__.co_names
