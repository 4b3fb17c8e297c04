"""A model, and a film with a face and with sound."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data
from tests.predict.conftest import describe, speechlike, write_model

from avpretext.media.encode import write_mp4

FPS, FRAMES = 25, 50
FACE = (slice(20, 220), slice(120, 320))
"""Rows and columns of the portrait."""


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model with random weights."""
    return write_model(tmp_path_factory.mktemp("serve") / "model", describe())


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of two seconds: a face that does not move, and something like speech."""
    file = tmp_path_factory.mktemp("serve") / "a <b>film.mp4"
    face: NDArray[np.uint8] = np.ascontiguousarray(data.astronaut()[FACE])
    sound = (speechlike(FRAMES / FPS) * 32767).astype(np.int16)
    write_mp4(file, [face] * FRAMES, (face.shape[1], face.shape[0]), FPS, sound, 16_000)
    return file
