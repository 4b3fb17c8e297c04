"""A folder named in place of a file, or a file in place of a folder, is called that, with what is expected."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from avpretext import config_file, shards
from avpretext.action_units import from_files
from avpretext.cli import app
from avpretext.config import ActionUnitOptions
from avpretext.corpora import sheets
from avpretext.errors import UserError, expect_file
from avpretext.face import model_file
from avpretext.interchange import tensorboard
from avpretext.orofacial import animate, orofacial_model, phone_files
from avpretext.search import space
from avpretext.sound import encoder_files
from avpretext.training import checkpoint, model_folder, weight_files

READ_A_FILE: dict[str, Callable[[Path], object]] = {
    "configuration": config_file.load,
    "space of a search": lambda path: space.read(path, {}),
    "table": sheets.read,
    "shard": shards.read,
    "checkpoint": checkpoint.read,
    "published weights": weight_files.read_weights,
    "face model": model_file.verified,
    "speech": lambda path: animate.listen(path, None),  # type: ignore[arg-type]
}
READ_A_FOLDER: dict[str, Callable[[Path], object]] = {
    "model": model_folder.read,
    "orofacial model": orofacial_model.read_model,
    "encoder": lambda path: encoder_files.look_at("mine", path, "encoders.mine.folder"),
    "action units": lambda path: from_files.folder_of(ActionUnitOptions(backend="import", imports=str(path))),
    "phones": lambda path: phone_files.open_folder(str(path)),
    "results": lambda path: tensorboard.run(path, path),
}


def error_of(read: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(UserError) as error:
        read(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("read", READ_A_FILE.values(), ids=READ_A_FILE)
def test_a_folder_in_place_of_a_file_is_called_a_folder(tmp_path: Path, read: Callable[[Path], object]) -> None:
    assert error_of(read, tmp_path).startswith(f"{tmp_path}: is a folder; ")
    assert ": no such file; " in error_of(read, tmp_path / "none")


@pytest.mark.parametrize("read", READ_A_FOLDER.values(), ids=READ_A_FOLDER)
def test_a_file_in_place_of_a_folder_is_called_a_file(tmp_path: Path, read: Callable[[Path], object]) -> None:
    file = tmp_path / "model.json"
    file.write_text("{}")
    assert f": is a file, in the folder {tmp_path}; " in error_of(read, file)


def test_files_of_the_right_kind_in_the_folder_are_counted_and_one_is_named(tmp_path: Path) -> None:
    for name in ("b.CSV", "a.csv", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "0.csv").mkdir()
    said = error_of(lambda path: expect_file(path, "expected a table", (".csv",)), tmp_path)
    assert said == (
        f"{tmp_path}: is a folder; expected a table; 2 such files are in it: name one, such as {tmp_path / 'a.csv'}"
    )
    assert error_of(lambda path: expect_file(path, "expected one", (".wav",)), tmp_path).endswith("expected one")


def test_a_folder_in_place_of_the_file_to_write_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{tmp_path}: is a folder; name a file in it"), shards.atomic_path(tmp_path):
        raise AssertionError
    assert not list(tmp_path.iterdir())


def test_animate_names_a_recording_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animate, "read_model", lambda folder: None)
    monkeypatch.setattr("avpretext.cli.tools.limit_pools", lambda threads: None)
    for name in ("second.wav", "first.wav"):
        soundfile.write(tmp_path / name, np.zeros(160), 16_000)
    with pytest.raises(UserError) as error:
        app(["animate", "model", str(tmp_path)], standalone_mode=False)
    assert str(error.value).endswith(f"2 such files are in it: name one, such as {tmp_path / 'first.wav'}")
