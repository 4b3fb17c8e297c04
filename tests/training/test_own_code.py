"""Encoders and aggregators of the user's own: found by name, trained, taken away, and errors with their fix."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from avpretext import own_code
from avpretext.errors import UserError
from avpretext.models.network import make_network
from avpretext.training import export, model_folder

from .conftest import TinyCorpus, config

CODE = """
import torch
from torch import nn

class Means(nn.Module):
    def __init__(self, features, options):
        super().__init__()
        self.linear = nn.Linear(features, options.width)

    def forward(self, steps, mask):
        means = (steps * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return self.linear(means)

class Largest(nn.Module):
    def __init__(self, width):
        super().__init__()

    def forward(self, chunks):
        return chunks.amax(1)

means = 3
"""
OWN: dict[str, object] = {"encoder": "my_speech.encoders:Means", "aggregator": "my_speech.encoders:Largest"}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package in the current folder, which is on no path."""
    (tmp_path / "my_speech").mkdir()
    (tmp_path / "my_speech" / "encoders.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield tmp_path
    forget()


def forget() -> None:
    """Let modules of the package be imported anew."""
    for name in [name for name in sys.modules if name.startswith("my_speech")]:
        del sys.modules[name]


def test_they_compute_what_they_say(package: Path) -> None:
    network = make_network(2, config(model=OWN).model, {}, seed=1).eval()
    steps, mask = torch.randn(1, 2, 4, 2), torch.ones(1, 2, 4, dtype=torch.bool)
    linear = network.encoder.get_submodule("linear")
    assert torch.allclose(network.chunk_vectors(steps, mask), linear(steps.mean(2)))
    chunks = torch.randn(3, 5, 8)
    assert torch.equal(network.aggregator(chunks), chunks.max(1).values)


def test_a_model_that_is_taken_away_names_them_and_needs_their_package(
    package: Path, tiny: TinyCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(model=OWN, finetune={"epochs": 1}, export={"networks": 1})
    features, targets = {tiny.name: {"speech": tiny.speech}}, {tiny.name: tiny.targets()}
    export.run("scratch", features, targets, tiny.folds, {}, {}, settings, package / "model", 1)
    forget()
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(package)])
    message = r"model\.json: model\.encoder = 'my_speech\.encoders:Means': there is no module 'my_speech'; expected one"
    with pytest.raises(UserError, match=message):
        model_folder.read(package / "model")
    monkeypatch.syspath_prepend(package)
    trained = model_folder.read(package / "model")
    assert trained.description.model.encoder == OWN["encoder"]
    assert type(trained.networks[0].encoder).__name__ == "Means"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("my_speech.encoder:Means", r"there is no module 'my_speech\.encoder'; expected one in the current folder"),
        ("nobodys.module:Means", "there is no module 'nobodys'; .* install it, or correct the name"),
        ("my_speech.encoders:Mean", "has no 'Mean'; did you mean 'Means'"),
        ("my_speech.encoders:means", "expected a class derived from torch.nn.Module, found 3"),
        ("my_speech.broken:Means", r"no module 'not_there', which my_speech\.broken imports"),
        ("my_speech.misspelt:Means", r"misspelt cannot be imported \(SyntaxError: "),
        ("my_speech.failing:Means", r"failing cannot be imported \(ImportError: cannot import name 'nothing'"),
    ],
)
def test_names_that_do_not_resolve_are_told(package: Path, name: str, says: str) -> None:
    (package / "my_speech" / "broken.py").write_text("import not_there")
    (package / "my_speech" / "misspelt.py").write_text("def Means(:")
    (package / "my_speech" / "failing.py").write_text("from math import nothing")
    with pytest.raises(UserError, match=rf"model\.encoder = '{name}': .*{says}"):
        make_network(2, config(model={"encoder": name}).model, {}, seed=1)


def test_a_name_that_is_neither_known_nor_a_place_is_refused_with_the_nearest() -> None:
    expected = "expected blstm, .* or code of your own as my_package.module:NAME; did you mean 'blstm'"
    with pytest.raises(UserError, match=rf"model\.encoder = 'blsmt': {expected}"):
        config(model={"encoder": "blsmt"})


def test_an_edit_of_ones_own_code_is_another_code(package: Path) -> None:
    before = own_code.digest("my_speech.encoders:Means")
    assert before == own_code.digest("my_speech.encoders:Other"), "the whole package counts"
    (package / "my_speech" / "helpers.py").write_text("WIDTH = 4")
    assert own_code.digest("my_speech.encoders:Means") != before
    assert own_code.digest("blstm") == ""
