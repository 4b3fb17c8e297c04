"""Fixtures that several rooms share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_limits

from avpretext import locks, signing
from avpretext.run.recipes import Signer
from tests import effort

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each process that a test starts compiles our modules anew

REPOSITORY = Path(__file__).resolve().parents[1]

MadeOnce = Callable[[str, Callable[[Path], object]], Path]
"""Takes a name and a function that fills a folder; returns the filled folder."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of the quick tests, which `effort` chooses."""
    config.addinivalue_line("markers", "quick: chosen by tests/effort.py, for `make check`")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the quick tests, and run the longest files first, so that no process works on alone in the end."""
    long = {item.path for item in items if item.get_closest_marker("workflow")}
    items.sort(key=lambda item: item.path not in long)
    for item in items:
        if effort.is_quick(item.nodeid.partition("::")[0]) and not item.get_closest_marker("workflow"):
            item.add_marker("quick")


def pytest_report_collectionfinish(items: list[pytest.Item]) -> str:
    """Say beforehand what the tests will take, where one process runs all."""
    return effort.announced((item.nodeid for item in items), processes=1) if items else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """Say the same where several processes run them, when the first has collected."""
    if not getattr(node.config, "announced", False):
        node.config.announced = True
        said = effort.announced(ids, processes=int(node.config.option.numprocesses or 1))
        node.config.get_terminal_writer().line(f"\n{said}")


@pytest.fixture(autouse=True, scope="session")
def signed_files() -> None:
    """Files that tests write in this process are signed as those of a command are."""
    signing.sign_with(Signer())


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Give all tests one thread: their matrices are so small that threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings; tests that need it skip where it is absent."""
    candidates = [os.environ.get("AVPRETEXT_SHARED"), REPOSITORY.parent / "shared" / "data"]
    for candidate in candidates:
        if candidate and Path(candidate).is_dir():
            return Path(candidate)
    pytest.skip("real recordings are absent: set AVPRETEXT_SHARED to their folder")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Fill a folder once per test run: where tests run in several processes, the first fills it for all."""
    own = tmp_path_factory.getbasetemp()
    of_all = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def made(name: str, fill: Callable[[Path], object]) -> Path:
        folder = of_all / f"{name}-made-once"
        with (of_all / f"{name}.lock").open("wb") as lock:
            locks.hold(lock, wait=True)
            if not folder.exists():
                filled = tmp_path_factory.mktemp("made") / name
                fill(filled)
                filled.rename(folder)
        return folder

    return made


@pytest.fixture(scope="session")
def face_model(made_once: MadeOnce) -> Path:
    """The face model, from the results folder if the workflow has run, else fetched once per test run."""
    from avpretext.config import ModelFileOptions
    from avpretext.face import model_file

    present = REPOSITORY / "results" / "models" / model_file.FACE_MODEL
    if present.is_file():
        return present
    name = model_file.FACE_MODEL
    return made_once("models", lambda folder: model_file.run(ModelFileOptions(), folder / name)) / name
