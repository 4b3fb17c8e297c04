"""What each start of the workflow does once Snakemake knows its jobs, and before it decides which of them run.

A run claims the results folder and removes what killed runs left; a dry run, and whatever else only looks, does
neither. All compare the artefacts that exist with what is wanted (`avpretext.run.dag`).
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any

from avpretext import checkout, machine, shards
from avpretext.config import Config
from avpretext.flow.paths import Layout
from avpretext.run import aftermath, dag, occupancy, recipes, scheduling
from avpretext.run.expected import Expected
from avpretext.run.states import States
from avpretext.run.store import Store

RECORDS = Path(".snakemake")
"""Snakemake's own folder, in the working directory."""


class Start:
    """One start of the workflow; `clips` tells the clips of a shard, see `dag.Clips`.

    Attributes
    ----------
    names
        Our own names of the rules by what they are called in this run, to be filled in before jobs are chosen.
    graph
        Snakemake's graph of the jobs, from then on.
    """

    def __init__(self, config: Config, clips: dag.Clips, store: Store) -> None:
        self.config, self.store = config, store
        self.results = Path(store.here(config.results))
        self.names: dict[str, str] = {}
        self.graph: Any = None
        self._recipes = dag.Recipes(config, clips, self.results, self.names)
        self._found = dag.Compared()
        self._untimed: set[int] = set()

    def join(self, asked: Callable[..., Any], expected: Expected) -> None:
        """Make Snakemake call `before_jobs_are_chosen`, where it looks for incomplete files that must be made again.

        `asked` calls a function, and turns a user's mistake into an error of Snakemake; `expected` are rates of jobs.
        """
        from snakemake import common, rules
        from snakemake.dag import DAG
        from snakemake.io import _IOFile
        from snakemake.jobs import Job
        from snakemake.scheduling.job_scheduler import JobScheduler

        from snakemake_logger_plugin_avpretext import ahead, events

        ahead.rate = lambda rule, wildcards: expected.seconds(self.names.get(rule, rule), wildcards)
        scheduling.one_timer(JobScheduler)
        scheduling.one_search(DAG, self._is_alone)
        scheduling.one_signature([common, rules])
        scheduling.one_command(Job)
        events.located = lambda said: Path(self.store.copy_of(said))
        events.fetch = lambda log: self.store.pull([self.store.name(str(log))])
        look_for_incomplete, is_newer = DAG.check_incomplete, _IOFile.is_newer

        async def check_incomplete(graph: Any) -> None:
            stored = await self.store.made(graph) if self.store.is_remote else None
            asked(self.before_jobs_are_chosen, graph, stored)
            await look_for_incomplete(graph)

        async def is_newer_and_timed(file: Any, than: float) -> bool:
            return id(file) not in self._untimed and await is_newer(file, than)

        DAG.check_incomplete, _IOFile.is_newer = check_incomplete, is_newer_and_timed

    def _is_alone(self, graph: Any) -> bool:
        """Tell whether all rules of a graph are of this workflow; others may make the same files, by a `ruleorder`."""
        makers = [rule for rule in graph.rules if rule.output]
        return all(rule.name in self.names and "stage" in dict(rule.params.items()) for rule in makers)

    def join_as_job(self) -> None:
        """Make a process of a cluster fetch what the start wrote for its jobs, and keep the states of its trainings.

        Only with results in a bucket is there anything to do.
        """
        from snakemake.dag import DAG

        look_for_incomplete = DAG.check_incomplete

        async def check_incomplete(graph: Any) -> None:
            if self.store.is_remote:
                jobs = [job for job in graph.jobs if job.output]
                self.store.pull({path for job in jobs for path in self._written_for(job)})
                states = States(self.store, {Path(self.store.name(job.output[0])).parent for job in jobs})
                states.fetch()
                states.watch()
            await look_for_incomplete(graph)

        DAG.check_incomplete = check_incomplete

    def _written_for(self, job: Any) -> list[str]:
        """Return the files that a start writes for a job: recipes of its outputs, and the listing of a corpus."""
        layout = Layout(self.config.results)
        folders = {Path(layout.place_of(self.store.name(file))).parent for file in job.output}
        books = [str(recipes.book(layout.folder, folder)) for folder in sorted(folders)]
        listed = [layout.path("index.listing", corpus=job.wildcards.corpus)] if dag.stage_of(job) == "index" else []
        return [*books, *listed]

    def before_jobs_are_chosen(self, graph: Any, stored: Set[str] | None = None) -> None:
        """Claim the results if this is a run, and have made again what is not of this configuration.

        `stored` are the artefacts that there are in a bucket.
        """
        self.graph, workflow = graph, graph.workflow
        if workflow.executor_plugin is not None and not workflow.dryrun:
            with shards.explained(self.results):
                os.environ[occupancy.RUN] = occupancy.claim(self.results, occupancy.command())
            aftermath.tidy(RECORDS, self.results)
            self._note_queue(workflow.executor_plugin)
        self._found = self._recipes.compare(graph.toposorted(), stored)
        if self._found.stale:
            print(dag.explained(self._found), file=sys.stderr)
            graph.forcefiles.update(self._found.stale)
        graph.forcefiles.update(dag.lacking(self._found, graph.jobs))
        self._forget_times(graph)

    def look_ahead(self, cores: int) -> None:
        """Let the display know how long each job of this run may take."""
        from snakemake_logger_plugin_avpretext import ahead, events

        times = {
            self.graph.jobid(job): ahead.seconds_of(
                job.rule.name, job.wildcards_dict, events.located(str(job.benchmark)) if job.benchmark else None
            )
            for job in self.graph.needrun_jobs()
        }
        events.ahead = ahead.Ahead(times, cores)

    def _note_queue(self, plugin: Any) -> None:
        """Have it noted what Slurm's plugin calls the jobs of this run: they may wait there longer than it lives."""
        if plugin.name != "slurm":
            return
        begin = plugin.executor.__post_init__

        def begin_and_note(executor: Any, *words: Any, **named: Any) -> None:
            begin(executor, *words, **named)
            occupancy.note_queue(self.results, executor.run_uuid)

        plugin.executor.__post_init__ = begin_and_note

    def _forget_times(self, graph: Any) -> None:
        """Let times count for nothing where Snakemake has no record: of jobs whose outputs fit, and of their inputs."""
        record_of = graph.workflow.persistence.metadata
        for job in graph.jobs:
            there = [path for path in job.output if path in self._found.fitting]
            if there and all(record_of(path) is None for path in there):
                self._untimed |= {id(file) for file in job.input if record_of(file) is None}

    def write(self, configfiles: Sequence[str | Path]) -> None:
        """Write what jobs need to know, and a line about this run: the artefacts themselves tell nothing of a run."""
        self.store.claim(occupancy.holder_of(self.results))
        run = {
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "command": occupancy.myself("", occupancy.command()).command,
            "folder": str(Path.cwd()),
            "config": [str(path) for path in configfiles],
            "commit": machine.commit(checkout.ROOT),
            "host": occupancy.myself("", []).host,
            **machine.facts(),
        }
        with shards.explained(self.results):
            books = recipes.write(self._found.wanted, self.results)
            with (self.results / "runs.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(run, ensure_ascii=False) + "\n")
        self.store.push(map(self.store.name, map(str, books)))

    def end(self) -> None:
        """Let other runs begin in a bucket."""
        self.store.release()
