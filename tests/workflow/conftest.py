"""A small corpus and a finished run of the whole workflow on it, shared by the tests of this room."""

import shutil
from pathlib import Path

import pytest

from avpretext.config import DemoOptions
from avpretext.demo import corpus as demo
from tests.conftest import MadeOnce
from tests.workflow.project import Project, small_config
from tests.workflow.sounds import MINE, QUICK, make_sounds

SMALL = DemoOptions(labelled_speakers=4, clips_per_emotion=1, unlabelled_speakers=4, clips_per_speaker=4)


@pytest.fixture(scope="session")
def corpus_folder(made_once: MadeOnce, face_model: Path) -> Path:
    """The demo corpus, small: made once per test run."""
    return made_once("corpus", lambda folder: demo.run(folder, SMALL, face_model, threads=2))


@pytest.fixture(scope="session")
def finished(
    made_once: MadeOnce, corpus_folder: Path, face_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """A project whose workflow has run to its end; tests must not change it (see `Project.copy`)."""
    config = {**small_config(), "models": {"folder": str(face_model.parent)}}

    def run(folder: Path) -> None:
        shutil.copytree(corpus_folder, folder / "demo")
        Project(folder, config).snakemake()

    # Each process of tests has a copy of its own: a dry run leaves its configuration and what it read.
    return Project(made_once("a project", run), config).copy(tmp_path_factory.mktemp("finished") / "a project")


@pytest.fixture(scope="session")
def sounds(made_once: MadeOnce, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run up to the tables, on sounds alone; tests must not change it."""
    config = {**QUICK, "corpora": {"mine": MINE}}

    def run(folder: Path) -> None:
        make_sounds(folder)
        Project(folder, config).snakemake("results/tables/main.csv")

    return Project(made_once("sounds", run), config).copy(tmp_path_factory.mktemp("sounds") / "a project")
