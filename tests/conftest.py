"""Fixtures that several rooms share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_limits

REPOSITORY = Path(__file__).resolve().parents[1]


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
def face_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The face model, from the results folder if the workflow has run, else fetched once per test run."""
    from avpretext.config import ModelFileOptions
    from avpretext.face import model_file

    present = REPOSITORY / "results" / "models" / model_file.FACE_MODEL
    if present.is_file():
        return present
    fetched = tmp_path_factory.mktemp("models") / model_file.FACE_MODEL
    model_file.run(ModelFileOptions(), fetched)
    return fetched
