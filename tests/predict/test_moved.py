"""A model folder gives the same probabilities wherever it lies, and by the arithmetic of another processor."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

import avpretext

from .conftest import MakeModel, speechlike

PREDICT = """
import sys
import numpy as np
import avpretext

model = avpretext.load(sys.argv[1])
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), 16_000, min_speech=0).probabilities)
"""


def test_a_folder_that_was_moved_gives_the_same_probabilities(make_model: MakeModel, tmp_path: Path) -> None:
    folder = make_model(model={"encoder": "blstm", "layers": 2})
    sound = speechlike(1.7)
    expected = avpretext.load(folder).predict(sound, 16_000, min_speech=0).probabilities
    moved = tmp_path / "elsewhere" / "by another näme"
    shutil.copytree(folder, moved)
    shutil.rmtree(folder)
    assert np.array_equal(avpretext.load(moved).predict(sound, 16_000, min_speech=0).probabilities, expected)
    np.save(tmp_path / "sound.npy", sound)
    said = tmp_path / "said.npy"
    plain = {**os.environ, "ATEN_CPU_CAPABILITY": "default"}  # PyTorch without AVX
    command = [sys.executable, "-c", PREDICT, str(moved), str(tmp_path / "sound.npy"), str(said)]
    subprocess.run(command, check=True, env=plain, cwd=tmp_path)
    np.testing.assert_allclose(np.load(said), expected, atol=1e-5)
