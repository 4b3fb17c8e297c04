"""Ways to deploy software: modules, which no rule names, and an image, which the configuration names."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from avpretext.run import image
from tests.workflow.project import Project

TARGET = "results/mine/index/0000.parquet"
RECORDER = """#!/bin/sh
# Stands for apptainer: records how it is called, and runs the command here.
[ "$1" = --version ] && { echo apptainer version 1.4.5; exit; }
printf '%s\\n' "$*" >> "$CALLS"
for last; do :; done
exec sh -c "$last"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with one sound of a second, in a folder beside it."""
    (tmp_path / "corpus").mkdir()
    (tmp_path / "project").mkdir()
    soundfile.write(tmp_path / "corpus" / "a.wav", np.sin(np.arange(16_000) / 9), 16_000)
    mine = {"path": str(tmp_path / "corpus"), "use": ["pretrain"], "video": False, "shards": 1}
    return Project(tmp_path / "project", {"results": "results", "corpora": {"mine": mine}}, warm=False)


def with_recorder(project: Project) -> Project:
    """Return the project with a stand-in for apptainer on its `PATH`, and this Python behind it."""
    program = project.folder / "bin" / "apptainer"
    program.parent.mkdir()
    program.write_text(RECORDER)
    program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    project.variables = {"PATH": path, "CALLS": str(project.folder / "calls")}
    return project


@pytest.mark.workflow
@pytest.mark.parametrize("method", ["env-modules", "apptainer"])
def test_jobs_that_nothing_is_named_for_find_their_python(project: Project, method: str) -> None:
    said = project.snakemake(TARGET, "--software-deployment-method", method).text
    assert (project.folder / TARGET).exists()
    assert (image.NONE in said) == (method == "apptainer")


@pytest.mark.workflow
def test_jobs_run_in_the_image_and_see_their_corpus(project: Project) -> None:
    (project.folder / "avpretext.sif").touch()
    with_recorder(project).snakemake(TARGET, "--sdm", "apptainer", container="avpretext.sif")
    (call,) = (project.folder / "calls").read_text().split("\nexec ")
    assert (project.folder / TARGET).exists()
    options, _, command = call.partition(" avpretext.sif ")
    assert options.startswith(f"exec --home {project.folder}")
    assert f"--bind {project.folder.parent / 'corpus'}" in options
    assert "python -m avpretext index" in command
    # The image's own Python is the first that jobs find.
    assert "export PATH=" not in command


@pytest.mark.workflow
def test_an_image_that_is_not_there_ends_the_run_before_any_job(project: Project) -> None:
    run = with_recorder(project).snakemake(TARGET, "--sdm", "apptainer", check=False, container="none.sif")
    assert run.status
    assert "container = 'none.sif': it is not there" in run.text
    assert not (project.folder / "results/mine").exists()


@pytest.mark.workflow
def test_the_image_counts_with_apptainer_alone_and_redoes_nothing(project: Project) -> None:
    project.snakemake(TARGET)
    assert project.snakemake(TARGET, "--dry-run", container="none.sif").would_run() == {}
