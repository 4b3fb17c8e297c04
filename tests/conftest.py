"""Fixtures that several rooms share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_limits

from avpretext import locks, signing
from avpretext.run.recipes import Signer

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each process that a test starts compiles our modules anew

REPOSITORY = Path(__file__).resolve().parents[1]

MadeOnce = Callable[[str, Callable[[Path], object]], Path]
"""Takes a name and a function that fills a folder; returns the filled folder."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first, so that of several processes none works on alone in the end."""
    long = {item.path for item in items if item.get_closest_marker("workflow")}
    items.sort(key=lambda item: item.path not in long)


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
