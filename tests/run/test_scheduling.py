"""Snakemake works things out once, with the same result."""

import asyncio
import inspect
import threading
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from snakemake import api, common, rules  # noqa: F401  # api first: modules of Snakemake import each other
from snakemake.dag import DAG
from snakemake.jobs import Job
from snakemake.rules import Rule
from snakemake.scheduling.job_scheduler import JobScheduler

from avpretext.run.scheduling import one_command, one_search, one_signature, one_timer


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


@pytest.mark.parametrize("alone", [True, False])
def test_the_producer_of_a_file_is_known_to_every_job_that_is_added_later(alone: bool) -> None:
    whole, making = SimpleNamespace(output=[]), SimpleNamespace(output=["made", "beside"])

    class Graph:
        async def update(
            self, jobs: list[Any], file: Any = None, visited: Any = None, known_producers: Any = None
        ) -> Any:
            if jobs == [whole]:
                await self.update([making], file="made", visited=visited, known_producers=known_producers)
                assert known_producers == {path: [making] for path in (making.output if alone else ["made"])}
            return jobs[0]

    one_search(Graph, lambda graph: alone)
    assert asyncio.run(Graph().update([whole])) is whole
    known: dict[str, list[Any]] = {}
    asyncio.run(Graph().update([whole], known_producers=known))
    assert "made" in known, "a target without a file makes none"


def test_a_graph_of_another_version_is_left_as_it_is() -> None:
    class Graph:
        async def update(self, jobs: list[str]) -> None: ...

    before = Graph.update
    one_search(Graph, lambda graph: True)
    assert Graph.update is before


def test_a_function_is_inspected_once() -> None:
    module, seen = ModuleType("module"), []
    module.get_function_params = lambda function: seen.append(function) or ["wildcards"]  # type: ignore[attr-defined]
    one_signature([module, ModuleType("other")])
    assert [module.get_function_params(len) for _ in range(3)] == [["wildcards"]] * 3
    assert seen == [len]


def test_a_command_is_formatted_again_for_another_job_or_another_try() -> None:
    class Some:
        def __init__(self) -> None:
            self._input = self._output = self._params = SimpleNamespace()
            self._resources: Any = None
            self.formatted = 0

        @property
        def shellcmd(self) -> int:
            self._resources = self._resources or SimpleNamespace()
            self.formatted += 1
            return self.formatted

    one_command(Some)
    one, other = Some(), Some()
    assert [one.shellcmd for _ in range(3)] == [1, 1, 1]
    one._resources = None  # what another try begins with
    assert [one.shellcmd, one.shellcmd, other.shellcmd] == [2, 2, 1]


def test_snakemake_searches_inspects_and_formats_there() -> None:
    assert "known_producers" in inspect.signature(DAG.update).parameters
    assert "known_producers" in DAG.collect_potential_dependencies.__code__.co_varnames
    assert {"get_function_params", "get_input_function_aux_params"} <= set(Rule.apply_input_function.__code__.co_names)
    assert all(callable(module.get_function_params) for module in (common, rules))
    assert isinstance(Job.shellcmd, property)
    assert {"_input", "_output", "_params", "_resources"} <= set(Job.__slots__)
