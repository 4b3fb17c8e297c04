"""A model's folder: what is written is read, and what was changed, lost or made elsewhere is refused in one line."""

import json
import pickle
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.predict.conftest import describe, write_model

from avpretext.errors import UserError
from avpretext.training import model_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model", describe())


def edit(folder: Path, **changes: Any) -> None:
    """Change keys of `model.json`."""
    file = folder / model_folder.DESCRIPTION
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_what_is_written_is_read(folder: Path) -> None:
    trained = model_folder.read(folder)
    assert trained.description.model_copy(update={"weights_sha256": "", "machine": {}}) == describe()
    assert {"python", "torch", "cpu", "cpu_capability", "system"} <= set(trained.description.machine)
    assert trained.normalisation is not None
    assert trained.normalisation.mean.tolist() == [0.05, 1, 150, 0, 0, -8]
    assert len(trained.networks) == 2
    weights = load_file(folder / model_folder.WEIGHTS)
    for place, network in enumerate(trained.networks):
        for name, value in network.state_dict().items():
            assert torch.equal(value, weights[f"network.{place}.{name}"])


def test_weights_with_a_bias_of_no_effect_are_read_too(folder: Path) -> None:
    file = folder / model_folder.WEIGHTS
    (scores,) = [
        name for name in load_file(file) if name.startswith("network.0.") and name.endswith("pool.score.2.weight")
    ]
    save_file({**load_file(file), scores.replace("weight", "bias"): torch.ones(1)}, file)
    edit(folder, weights_sha256=sha256(file.read_bytes()).hexdigest())
    assert len(model_folder.read(folder).networks) == 2


def test_the_same_model_is_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = write_model(tmp_path / "again", describe())
    for name in (model_folder.DESCRIPTION, model_folder.WEIGHTS):
        assert (folder / name).read_bytes() == (again / name).read_bytes()


def newer(folder: Path) -> None:
    edit(folder, format=2)


def misspelt(folder: Path) -> None:
    edit(folder, chanels=["a"])


def no_json(folder: Path) -> None:
    (folder / model_folder.DESCRIPTION).write_text("{")


def deep_json(folder: Path) -> None:
    (folder / model_folder.DESCRIPTION).write_text("[" * 100_000)


def a_list(folder: Path) -> None:
    (folder / model_folder.DESCRIPTION).write_text("[]")


def lost_description(folder: Path) -> None:
    (folder / model_folder.DESCRIPTION).unlink()


def lost_weights(folder: Path) -> None:
    (folder / model_folder.WEIGHTS).unlink()


def one_bit(folder: Path) -> None:
    file = folder / model_folder.WEIGHTS
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def replaced(folder: Path, content: bytes) -> None:
    """Put other weights in place, with their right SHA-256."""
    import hashlib

    (folder / model_folder.WEIGHTS).write_bytes(content)
    edit(folder, weights_sha256=hashlib.sha256(content).hexdigest())


def a_pickle(folder: Path) -> None:
    replaced(folder, pickle.dumps({"network.0.heads": 1}))


def cut_off(folder: Path) -> None:
    replaced(folder, (folder / model_folder.WEIGHTS).read_bytes()[:500])


def other_shapes(folder: Path) -> None:
    edit(folder, classes=["angry", "happy", "sad", "calm"])


def enormous(folder: Path) -> None:
    edit(folder, model={**describe().model.model_dump(), "width": 8192})


def too_few_networks(folder: Path) -> None:
    edit(folder, networks=3)


def no_normalisation(folder: Path) -> None:
    tensors = load_file(folder / model_folder.WEIGHTS)
    tensors["normalisation.deviation"][2] = float("nan")
    save_file(tensors, folder / "new")
    replaced(folder, (folder / "new").read_bytes())


def own_features(folder: Path) -> None:
    edit(folder, model={**describe().model.model_dump(), "features": ["wavlm"]})


def no_settings(folder: Path) -> None:
    edit(folder, log_mel=None)


def scale_of_a_class(folder: Path) -> None:
    edit(folder, scale=[1.0, 2.0])


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (newer, "is of format 2, and this avpretext reads format 1: update avpretext"),
        (misspelt, "chanels: Extra inputs are not permitted"),
        (no_json, "cannot be read as JSON"),
        (deep_json, "cannot be read as JSON"),
        (a_list, "is no description of a model"),
        (lost_description, r"no model of avpretext: it has no model\.json"),
        (lost_weights, r"model\.safetensors: cannot be read \(No such file or directory\)"),
        (one_bit, r"is not the file that model\.json names: its SHA-256 is another"),
        (a_pickle, "is no safetensors file"),
        (cut_off, "is no safetensors file"),
        (other_shapes, "its weights are not those of the network: "),
        (enormous, "its weights are not those of the network: "),
        (too_few_networks, "its weights are not those of the network: "),
        (no_normalisation, "has no mean and deviation of 6 channels"),
        (own_features, "hears 'wavlm', features of your own, which cannot be computed from a file"),
        (no_settings, "no settings of log_mel, which the model hears"),
        (scale_of_a_class, r"scale = \(1\.0, 2\.0\) of a target that is hard"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_folder_that_was_harmed_is_refused_in_one_line(
    folder: Path, harm: Callable[[Path], None], message: str
) -> None:
    harm(folder)
    with pytest.raises(UserError, match=message) as error:
        model_folder.read(folder)
    assert "\n" not in str(error.value)


def test_the_folder_above_a_model_leads_to_it(folder: Path) -> None:
    with pytest.raises(UserError, match=f"did you mean {folder}"):
        model_folder.read(folder.parent)
