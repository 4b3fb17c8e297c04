"""Small models with random weights, and sound to give them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from avpretext import __version__
from avpretext.config import ChunkOptions, LogMelOptions, ModelOptions, SpeechOptions
from avpretext.models.network import make_network
from avpretext.training import model_folder
from avpretext.training.model_folder import Description, MediaSettings, Normalisation
from avpretext.training.objectives import TASK

CHANNELS = ["energy", "loudness", "F0final_sma", "mfcc_sma[1]", "mfcc_sma[5]", "mel[3]"]
USUAL = {"energy": (0.05, 0.05), "loudness": (1, 1), "F0final_sma": (150, 60), "mfcc_sma": (0, 15), "mel": (-8, 3)}
"""Mean and deviation of the channels, roughly."""
MEDIA = MediaSettings(trim_db=None, fps=25.0, min_duration_s=0.3, max_duration_s=600.0)
MakeModel = Callable[..., Path]


def describe(**changes: Any) -> Description:
    """Return the description of a small model of three classes that hears six channels."""
    model: dict[str, Any] = {"features": ["speech", "log_mel"], "encoder": "conv", "width": 8, "layers": 1}
    content: dict[str, Any] = {
        "format": model_folder.FORMAT, "package_version": __version__, "setting": "acted.speaker_kfold",
        "target": "acted", "kind": "hard", "classes": ["angry", "happy", "sad"], "speaker_leaks": False,
        "corpora": {}, "initialisation": "scratch", "dev_scores": {}, "seed": 1, "networks": 2, "media": MEDIA,
        "speech": SpeechOptions(), "log_mel": LogMelOptions(bands=16), "channels": CHANNELS,
        "chunks": ChunkOptions(length_s=0.5, count=3), "scale": None, **changes,
    }  # fmt: skip
    return Description(**{**content, "model": ModelOptions(**{**model, **changes.get("model", {})})})


def write_model(folder: Path, description: Description) -> Path:
    """Write a model with random weights that answers loudly."""
    networks = []
    for seed in range(description.networks):
        network = make_network(len(description.channels), description.model, {TASK: len(description.classes)}, seed)
        weights = network.state_dict()
        networks.append({name: value * (4 if "fc2.weight" in name else 1) for name, value in weights.items()})
    usual = [USUAL[name.partition("[")[0]] for name in description.channels]
    mean, deviation = np.array(usual).T.copy()
    by_train = description.model.normalise == "train"
    known = Normalisation(mean, deviation) if by_train else None
    model_folder.write(folder, description, networks, known)
    return folder


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Write a small model, its description changed."""

    def make(name: str = "model", **changes: Any) -> Path:
        return write_model(tmp_path / name, describe(**changes))

    return make


def speechlike(seconds: float, seed: int = 0, rate: int = 16_000) -> NDArray[np.float64]:
    """Return something with pitch, loudness and timbre that change; full scale 1."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = 120 + 60 * np.sin(2 * np.pi * 0.7 * time + seed) + 20 * seed
    voice = sum(np.sin(k * 2 * np.pi * np.cumsum(pitch) / rate) / k for k in range(1, 12))
    loud = 0.12 * (1.1 + np.sin(2 * np.pi * 2.3 * time + 2 * seed))
    signal: NDArray[np.float64] = loud * voice * 0.4 + 0.003 * rng.normal(size=len(time))
    return np.clip(signal, -0.99, 0.99)


@pytest.fixture
def make_wav(tmp_path: Path) -> Callable[..., Path]:
    """Write a sound file: 16 kHz, mono, 16 bit unless asked for otherwise."""

    def make(name: str, seconds: float = 2.0, seed: int = 0, rate: int = 16_000) -> Path:
        file = tmp_path / "sound" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, speechlike(seconds, seed, rate), rate, "PCM_16")
        return file

    return make
