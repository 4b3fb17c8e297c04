"""A project folder in which the tests run Snakemake, and what a run said."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import yaml

from tests.workflow import warm

REPOSITORY = Path(__file__).resolve().parents[2]


def environment() -> dict[str, str]:
    """Return the environment of a run: nothing in it helps to find the package."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


@dataclass
class Project:
    """A folder with a configuration, and Snakemake run in it.

    `warm` tells whether its jobs run in a warm Python; `variables` are added to the environment.
    """

    folder: Path
    config: dict[str, Any]
    warm: bool = True
    variables: dict[str, str] = field(default_factory=dict)

    def snakemake(self, *arguments: str, check: bool = True, **changes: Any) -> "Run":
        """Run the workflow with the configuration, some of its top-level keys replaced."""
        python = (warm.warm_python() if self.warm else None) or Path(sys.executable)
        words = self.arguments(*arguments, **changes)
        with NamedTemporaryFile(mode="r", encoding="utf-8") as output:
            variables = {**environment(), **self.variables}
            status = warm.run("snakemake", *words, executable=python, environment=variables, output=output.fileno())
            output.seek(0)  # the run has written by the same open file
            run = Run(status, output.read())
        assert not check or run.status == 0, run.text
        return run

    def start(self, *arguments: str, python: Path = Path(sys.executable), **changes: Any) -> "subprocess.Popen[str]":
        """Start the workflow, the leader of a group of processes of its own; what it says comes on its output.

        By a warm Python the processes are no such group; see `kill`.
        """
        return subprocess.Popen(
            [str(python), "-m", "snakemake", *self.arguments(*arguments, **changes)], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=environment(), start_new_session=True,
        )  # fmt: skip

    def kill(self) -> None:
        """Kill every process that works in the folder, all at one moment."""
        while found := self._processes():
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for process in found:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, number)

    def _processes(self) -> set[int]:
        """Return the processes that are in the folder and have not ended."""
        found = set()
        for place in Path("/proc").glob("[0-9]*/cwd"):
            with contextlib.suppress(OSError):
                if place.readlink() == self.folder:
                    found.add(int(place.parent.name))
        return found

    def arguments(self, *arguments: str, **changes: Any) -> list[str]:
        """Return the arguments of Snakemake, after writing the configuration that they name."""
        file = self.folder / "config.yaml"
        file.write_text(yaml.safe_dump({**self.config, **changes}, sort_keys=False))
        return [
            "--snakefile", str(REPOSITORY / "Snakefile"), *arguments, "--cores", "2", "--directory", str(self.folder),
            "--configfile", str(file),
        ]  # fmt: skip

    @property
    def results(self) -> Path:
        """The results folder."""
        return self.folder / str(self.config["results"])

    def artefacts(self) -> dict[str, bytes]:
        """Return what the workflow has made, by its path, but for what tells the time or the run."""
        found = {path.relative_to(self.results) for path in self.results.rglob("*") if path.is_file()}
        timed = {"logs", "benchmarks", "time.csv", ".report.html.made", "runs.jsonl", ".avpretext"}
        return {str(path): (self.results / path).read_bytes() for path in found if path.parts[0] not in timed}

    def copy(self, folder: Path) -> "Project":
        """Return a copy that may be changed: results, corpus and Snakemake's records."""
        shutil.copytree(self.folder, folder, symlinks=True, copy_function=shutil.copy2)
        return Project(folder, self.config)


@dataclass
class Run:
    """What a run of Snakemake said."""

    status: int
    text: str

    def would_run(self) -> dict[str, int]:
        """Return the rules that a dry run would run, and how many jobs of each."""
        found = re.findall(r"^would run (\w+) +(\d+) job", self.text, re.MULTILINE)
        counts = {rule: int(count) for rule, count in found}
        for asked in ("all", "default"):
            counts.pop(asked, None)
        return counts


def small_config() -> dict[str, Any]:
    """Return a configuration of the whole workflow that trains for a moment only; paths are relative to the project."""
    return {
        "results": "results",
        "corpora": {
            "unlabelled": {
                "path": "demo/unlabelled", "reader": "folder", "use": ["pretrain"], "shards": 2,
                "truth": "demo/truth", "synthetic": True,
            },
            "labelled": {
                "path": "demo/labelled", "reader": "crema_d", "use": ["finetune"], "shards": 1, "synthetic": True,
                "protocol": {"folds": 3},
            },
        },
        "pretrain": {"task_sets": [["energy"], ["energy", "activation", "emotion"]], "epochs": 2},
        "finetune": {"seeds": 1, "epochs": 2},
        "evaluate": {"bootstrap": 50, "permutations": 50},
    }  # fmt: skip
