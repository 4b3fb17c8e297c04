"""Crashes: a run that is killed, at any moment and any number of times, is taken up by the ordinary command."""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from avpretext import shards
from tests.workflow import warm
from tests.workflow.project import Project

KILLS = 2
PATIENCE_S = 300.0


def jobs_done(project: Project) -> int:
    """Return how many jobs have left their benchmark, which each does when it ends."""
    return len(list((project.results / "benchmarks").rglob("*.tsv")))


def killed(project: Project, jobs: int, after_s: float) -> str:
    """Start the workflow, kill all its processes some time after so many jobs are done; return what it said."""
    process = project.start(python=warm.warm_python() or Path(sys.executable))
    started = time.monotonic()
    while jobs_done(project) < jobs and process.poll() is None and time.monotonic() - started < PATIENCE_S:
        time.sleep(0.05)
    time.sleep(after_s)
    hit = process.poll() is None
    project.kill()
    said, _ = process.communicate()
    assert hit, f"the run ended by itself: {said}"
    return said


@pytest.mark.workflow
def test_a_run_killed_several_times_ends_with_the_bytes_of_an_undisturbed_one(
    finished: Project, corpus_folder: Path, tmp_path: Path
) -> None:
    """Whatever file there is after a kill is whole: it has the bytes that the undisturbed run gave it."""
    project = Project(tmp_path / "a project", finished.config)
    shutil.copytree(corpus_folder, project.folder / "demo")
    expected, total, chance = finished.artefacts(), jobs_done(finished), random.Random(6)
    for jobs in sorted(chance.sample(range(total - 1), KILLS)):
        said = killed(project, jobs, chance.uniform(0, 1.5))
        assert "Traceback" not in said
        assert "error" not in said.lower()
        for name, content in project.artefacts().items():
            if not name.endswith((shards.TEMPORARY[1], "resume.safetensors")) and "/frames/" not in name:
                assert content == expected[name], f"{name} is not what the undisturbed run made"
    assert project.snakemake().status == 0
    assert project.artefacts() == expected, "tables, models and all that came before, and no half-written file"
    assert project.snakemake("--dry-run").would_run() == {}


@pytest.mark.workflow
def test_a_second_run_is_refused_and_what_a_killed_one_removed_is_made_again(finished: Project, tmp_path: Path) -> None:
    """The marks of a killed run are removed; those of a run at work are not."""
    project = finished.copy(tmp_path / "copy")
    first = project.start(finetune={"seeds": 1, "epochs": 40})
    while predictions(project) == predictions(finished) and first.poll() is None:
        time.sleep(0.05)
    second = project.snakemake(check=False, finetune={"seeds": 1, "epochs": 40})
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert second.status != 0
    assert "another run is at work there" in second.text
    assert predictions(project) < predictions(finished), "its jobs had begun with the edited configuration"
    project.snakemake(*(f"results/{path}" for path in predictions(finished)))
    assert project.artefacts() == finished.artefacts(), "the edit is taken back, and nothing is missing"


def predictions(project: Project) -> set[str]:
    """Return the files of the fine-tunings."""
    return {str(path.relative_to(project.results)) for path in project.results.glob("labelled/finetune/**/*.parquet")}
