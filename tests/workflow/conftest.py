"""A small corpus and a finished run of the whole workflow on it, shared by the tests of this room."""

import shutil
from pathlib import Path

import pytest

from avpretext.config import DemoOptions
from avpretext.demo import corpus as demo
from tests.workflow.project import Project, small_config

SMALL = DemoOptions(labelled_speakers=4, clips_per_emotion=1, unlabelled_speakers=4, clips_per_speaker=4)


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory, face_model: Path) -> Path:
    """The demo corpus, small: made once per test run."""
    folder = tmp_path_factory.mktemp("corpus") / "demo"
    demo.run(folder, SMALL, face_model, threads=2)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, corpus_folder: Path, face_model: Path) -> Project:
    """A project whose workflow has run to its end; tests must not change it (see `Project.copy`)."""
    folder = tmp_path_factory.mktemp("finished") / "a project"
    shutil.copytree(corpus_folder, folder / "demo")
    project = Project(folder, {**small_config(), "models": {"folder": str(face_model.parent)}})
    project.snakemake()
    return project
