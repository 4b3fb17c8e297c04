"""py-feat's table becomes one face's action units; its weights and environment are found, or the error says the fix.

The detectors themselves need py-feat and its weights. Here their place is taken by what py-feat published: rows of a
CSV that comes with its tests (see data/README.md).
"""

import csv
import hashlib
import io
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from avpretext import shards
from avpretext.action_units import fex, from_frames, pyfeat_weights
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import ACTION_UNITS
from avpretext.options.media import ActionUnitOptions
from avpretext.options.pyfeat import PyFeatOptions

PUBLISHED = Path(__file__).parent / "data" / "pyfeat.csv"
ENVIRONMENT = Path(__file__).resolve().parents[2] / "envs" / "pyfeat"
LEFT_FACE, RIGHT_FACE = (10.0, 10.0, 40.0, 50.0), (200.0, 10.0, 30.0, 40.0)
SHA256 = hashlib.sha256(b"weights").hexdigest()


def published() -> dict[str, list[str]]:
    with PUBLISHED.open() as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]}


def table(*faces: tuple[int, tuple[float, ...], float]) -> dict[str, list[float]]:
    """Return a Fex table of (frame, box, value of every action unit)."""
    columns: dict[str, list[float]] = {"frame": [face[0] for face in faces], "FaceScore": [0.9] * len(faces)}
    columns |= {name: [face[1][k] for face in faces] for k, name in enumerate(fex.BOX)}
    return columns | {unit: [face[2] for face in faces] for unit in ACTION_UNITS}


def jpeg(width: int = 64, height: int = 48, grey: int = 128) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (grey, grey, grey)).save(stream, "JPEG")
    return stream.getvalue()


def frames_shard(path: Path, clips: dict[str, list[bytes]]) -> Path:
    rows = [
        {"clip_id": name, "frame": k, "time_s": k / 25, "image": {"bytes": image, "path": None}}
        for name, images in clips.items()
        for k, image in enumerate(images)
    ]
    shards.write_table(path, rows, schema_of("split.frames"), {})
    return path


def fill(folder: Path, options: PyFeatOptions) -> None:
    """Lay out the files that a detector needs as the hub's cache does."""
    for file in pyfeat_weights.needed(options):
        repository = folder / f"models--{file.repository.replace('/', '--')}"
        for name in ("refs", "blobs", "snapshots/0c0ffee"):
            (repository / name).mkdir(parents=True, exist_ok=True)
        (repository / "refs" / "main").write_text("0c0ffee")
        (repository / "blobs" / SHA256).write_bytes(b"weights")
        (repository / "snapshots" / "0c0ffee" / file.names[0]).symlink_to(f"../../blobs/{SHA256}")


def download_into(folder: Path, content: bytes):
    """Return a stand-in for the hub client's `hf_hub_download`, which gives every file this content."""

    def download(*, repo_id: str, filename: str, revision: str, cache_dir: str) -> str:
        assert (revision, cache_dir) == ("main", str(folder))
        snapshot = folder / f"models--{repo_id.replace('/', '--')}" / "snapshots" / "0c0ffee"
        for place in (snapshot, snapshot.parents[1] / "blobs"):
            place.mkdir(parents=True, exist_ok=True)
        (snapshot.parents[1] / "blobs" / SHA256).write_bytes(content)
        (snapshot / filename).symlink_to(f"../../blobs/{SHA256}")
        return str(snapshot / filename)

    return download


def test_a_published_table_gives_the_values_that_stand_in_it() -> None:
    faces = fex.parse_faces(published())
    assert faces.frame.tolist() == list(range(12))
    assert faces.units.shape == (12, 20)
    assert faces.units[0, ACTION_UNITS.index("AU12")] == pytest.approx(0.6105534)
    assert faces.units[2, ACTION_UNITS.index("AU43")] == pytest.approx(0.64331204)
    assert faces.boxes[0] == pytest.approx([241.5284, 187.96971, 241.5284 + 243.85973, 187.96971 + 342.76534], abs=1e-3)


def test_rows_without_a_face_and_uncertain_faces_are_left_out() -> None:
    columns = table((0, LEFT_FACE, 0.1), (1, LEFT_FACE, 0.2), (2, LEFT_FACE, 0.3))
    columns["FaceRectX"][0] = columns["AU12"][0] = np.nan
    columns["FaceScore"] = [0.0, 0.4, 0.6]
    assert fex.parse_faces(columns).frame.tolist() == [2]


def test_a_table_of_another_tool_is_refused_with_what_it_lacks() -> None:
    columns = table((0, LEFT_FACE, 0.5))
    del columns["FaceScore"], columns["AU11"]
    with pytest.raises(UserError, match="lacks the columns FaceScore, AU11"):
        fex.parse_faces(columns)
    with pytest.raises(UserError, match=r"column AU12 of py-feat's table: .*abc.*expected numbers"):
        fex.parse_faces({**table((0, LEFT_FACE, 0.5)), "AU12": ["abc"]})


def test_one_face_is_followed_through_frames_that_show_two() -> None:
    faces = fex.parse_faces(
        table(
            (0, RIGHT_FACE, 0.1), (0, LEFT_FACE, 0.9), (1, RIGHT_FACE, 0.1), (3, RIGHT_FACE, 0.1), (3, LEFT_FACE, 0.9)
        )
    )
    rows = fex.follow(faces, np.array([205.0, 12, 233, 50]))
    assert faces.units[rows, 0] == pytest.approx([0.1, 0.1, 0.1]), "the face followed before, though it is the smaller"
    assert faces.units[fex.follow(faces), 0] == pytest.approx([0.9, 0.1, 0.1]), "the largest at the start of a clip"
    on_grid = fex.on_frames(faces, rows, np.arange(4))
    assert np.isnan(on_grid[2]).all()
    assert on_grid[[0, 1, 3], 0] == pytest.approx([0.1] * 3)


def test_no_face_at_all_is_nothing_to_follow() -> None:
    faces = fex.parse_faces(table())
    assert fex.follow(faces).tolist() == []
    assert np.isnan(fex.on_frames(faces, fex.follow(faces), np.arange(3))).all()


def test_a_shard_holds_each_frames_values_whatever_the_batch_size(tmp_path, monkeypatch) -> None:
    options = PyFeatOptions(weights=str(tmp_path / "hub"))
    fill(tmp_path / "hub", options)
    images = [jpeg(grey=10 * k) for k in range(1, 8)]
    images[3] = jpeg(grey=0)
    clips = {"a": [*images, b"broken"], "b": [jpeg(), jpeg(width=32)]}
    frames = frames_shard(tmp_path / "frames.parquet", clips)
    sizes = []

    def detect(batch):
        """Find a face in frames that are not black; its action units are the frame's brightness."""
        sizes.append(len(batch))
        bright = [(k, float(image.mean()) / 255) for k, image in enumerate(batch) if image.mean() > 1]
        return fex.parse_faces(table(*((k, LEFT_FACE, value) for k, value in bright)))

    monkeypatch.setattr(from_frames, "load_detector", lambda _: detect)
    results = []
    for size in (3, 16):
        output = tmp_path / f"{size}.parquet"
        pyfeat = PyFeatOptions(weights=str(tmp_path / "hub"), batch_size=size)
        from_frames.run(frames, ActionUnitOptions(backend="pyfeat", pyfeat=pyfeat), output)
        results.append(shards.read(output))
    assert results[0].equals(results[1])
    assert sizes == [3, 3, 1, 1, 1, 7, 1, 1], "whole batches, cut where a clip ends or the size of its frames changes"
    found = results[0].filter(results[0]["clip_id"] == "a")
    assert found["frame"].to_list() == list(range(8))
    expected = [None if k in (3, 7) else pytest.approx(10 * (k + 1) / 255, abs=0.01) for k in range(8)]
    assert found["AU01"].to_list() == expected
    assert found["AU43"].null_count() == 2
    made_by = shards.read_provenance(output)
    assert made_by["models"]["py-feat/face_multitask_v2/face_multitask_v28.safetensors"] == SHA256
    assert not set(made_by["options"]["pyfeat"]) & {"python", "weights"}


class StandIn:
    """Has the two steps of py-feat's detectors: sees a face, and one more for each, in frames that are not black."""

    face_size = 224

    def detect_faces(self, images, face_detection_threshold):
        self.shape = tuple(images.shape)
        place = {True: [1.0, 2.0, 3.0, 4.0], False: [float("nan")] * 4}
        seen = [bool(image.float().mean() > 1) for image in images]
        return [{"boxes": torch.tensor([place[one]] * (1 + one)), "scores": torch.ones(1 + one)} for one in seen]

    def forward(self, faces_data, batch_data):
        assert not any(torch.isnan(faces["boxes"]).any() for faces in faces_data)
        assert len(batch_data["Image"]) == len(batch_data["Scale"]) == len(batch_data["Padding"]["Left"])
        self.looked_at = batch_data["Image"].float().mean(dim=(1, 2, 3)).tolist()
        rows = [(0, box, level / 255) for level in self.looked_at for box in (RIGHT_FACE, LEFT_FACE)]
        return {name: values for name, values in table(*rows).items() if name != "frame"}


def test_only_frames_with_a_face_reach_the_networks_and_keep_their_place() -> None:
    detector = StandIn()
    images = np.zeros((4, 6, 8, 3), dtype=np.uint8)
    images[1], images[3] = 51, 102
    faces = from_frames.look(detector, torch, images)
    assert detector.shape == (4, 3, 6, 8)
    assert detector.looked_at == [51, 102]
    assert faces.frame.tolist() == [1, 1, 3, 3]
    assert faces.units[:, 0] == pytest.approx([0.2, 0.2, 0.4, 0.4])
    assert from_frames.look(detector, torch, images[:1]).frame.tolist() == []


def test_py_feat_reads_the_named_folder_alone_and_never_the_network(tmp_path, monkeypatch) -> None:
    asked = {}

    def download(**named: object) -> str:
        asked.update(named)
        return ""

    hub = types.SimpleNamespace(hf_hub_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    from_frames.read_weights_from(tmp_path)
    hub.hf_hub_download(repo_id="py-feat/xgb_au", filename="x", cache_dir="/inside/the/package")
    assert (asked["cache_dir"], asked["local_files_only"]) == (str(tmp_path), True)


def test_an_environment_that_cannot_import_py_feat_says_the_fix(tmp_path, monkeypatch) -> None:
    def fail(name: str) -> types.ModuleType:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(from_frames.importlib, "import_module", fail)
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    with pytest.raises(UserError, match=r"torchvision::nms does not exist\); run `make pyfeat` again"):
        from_frames.load_detector(PyFeatOptions(weights=str(tmp_path)))


def test_missing_weights_are_named_with_the_command_that_fetches_them(tmp_path) -> None:
    options = PyFeatOptions(weights=str(tmp_path), detector="v1", au_model="svm")
    with pytest.raises(UserError) as caught:
        pyfeat_weights.located(options)
    message = str(caught.value)
    for part in ("retinaface_r34/model.safetensors", "mobilefacenet", "svm_au_classifier_v2", "models --pyfeat"):
        assert part in message
    assert "\n" not in message
    fill(tmp_path, options)
    assert set(pyfeat_weights.located(options).values()) == {SHA256}


def test_the_hubs_own_settings_say_where_its_cache_is(tmp_path, monkeypatch) -> None:
    for variable in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pyfeat_weights.folder_of(PyFeatOptions()) == tmp_path / ".cache" / "huggingface" / "hub"
    monkeypatch.setenv("HF_HOME", "/shared/hf")
    assert pyfeat_weights.folder_of(PyFeatOptions()) == Path("/shared/hf/hub")
    assert pyfeat_weights.folder_of(PyFeatOptions(weights="/mine")) == Path("/mine")


def test_weights_are_fetched_once_and_checked(tmp_path, capsys) -> None:
    options = PyFeatOptions(weights=str(tmp_path))
    pyfeat_weights.fetch_files(options, download_into(tmp_path, b"weights"))
    assert "py-feat/face_multitask_v2/face_multitask_v28.safetensors, commit 0c0ffee" in capsys.readouterr().out
    fill_again = tmp_path / "again"
    fill(fill_again, options)

    def refuse(**_: str) -> str:
        raise AssertionError("asked for what is there")

    pyfeat_weights.fetch_files(PyFeatOptions(weights=str(fill_again)), refuse)


@pytest.mark.parametrize("name", [SHA256, hashlib.sha1(b"blob 7\0weights").hexdigest()])
def test_a_file_is_what_its_name_in_the_cache_says(tmp_path, name) -> None:
    (tmp_path / name).write_bytes(b"weights")
    pyfeat_weights.verify(tmp_path / name)
    (tmp_path / name).write_bytes(b"a login page")
    with pytest.raises(UserError, match=f"expected {name}; remove it"):
        pyfeat_weights.verify(tmp_path / name)


def test_a_hub_that_does_not_answer_is_one_line_with_the_way_round(tmp_path) -> None:
    asked = []

    def offline(**named: str) -> str:
        asked.append(named["filename"])
        raise OSError("We couldn't connect to 'https://huggingface.co'.\nCheck your connection.")

    with pytest.raises(UserError) as caught:
        pyfeat_weights.fetch_files(PyFeatOptions(weights=str(tmp_path)), offline)
    message = str(caught.value)
    assert asked == ["model.safetensors"]
    assert "\n" not in message
    assert "We couldn't connect" in message
    assert "action_units.pyfeat.weights" in message


def test_a_renamed_file_is_fetched_by_its_older_name(tmp_path) -> None:
    class EntryNotFoundError(Exception):
        pass

    asked = []
    whole = download_into(tmp_path, b"weights")

    def download(**named: str) -> str:
        asked.append(named["filename"])
        if named["filename"] == "model.safetensors":
            raise EntryNotFoundError("404")
        return whole(**named)

    pyfeat_weights.fetch_files(PyFeatOptions(weights=str(tmp_path)), download)
    assert asked == ["model.safetensors", "retinaface_r34.safetensors", "face_multitask_v28.safetensors"]


def test_what_goes_wrong_in_py_feats_environment_comes_back_as_one_line(tmp_path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho Traceback >&2\necho the last line >&2\nexit 2\n")
    python.chmod(0o755)
    with pytest.raises(UserError, match=r"^the last line$"):
        pyfeat_weights.fetch(PyFeatOptions(python=str(python), weights=str(tmp_path)))


def test_a_start_without_the_environment_says_how_to_make_it(tmp_path) -> None:
    with pytest.raises(UserError, match="no such program; make py-feat's environment by `make pyfeat`"):
        from_frames.check(PyFeatOptions(python=str(tmp_path / "bin" / "python")))
    without = tmp_path / "python"
    without.write_text("#!/bin/sh\nexit 1\n")
    without.chmod(0o755)
    with pytest.raises(UserError, match="it has no py-feat; run `make pyfeat`"):
        from_frames.check(PyFeatOptions(python=str(without)))
    without.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(UserError, match="lacks py-feat/retinaface_r34"):
        from_frames.check(PyFeatOptions(python=str(without), weights=str(tmp_path)))
    fill(tmp_path, PyFeatOptions())
    from_frames.check(PyFeatOptions(python=str(without), weights=str(tmp_path)))


def test_a_face_model_that_the_detector_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="detector v2 has only retinaface"):
        PyFeatOptions(face_model="img2pose")


def test_nothing_is_imported_that_py_feats_environment_lacks() -> None:
    pinned = {line.split("==")[0].lower() for line in (ENVIRONMENT / "pyfeat.lock").read_text().splitlines()}
    program = (
        "import sys; import avpretext.action_units.from_frames, avpretext.action_units.pyfeat_weights, avpretext.cli;"
        " from importlib.metadata import packages_distributions; names = packages_distributions();"
        " print(*{d for m in sys.modules if '.' not in m for d in names.get(m, [])})"
    )
    source = str(Path(from_frames.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": source}, capture_output=True, text=True, check=True
    )
    imported = {name.lower().replace("_", "-") for name in done.stdout.split()} - {"avpretext"}
    assert {"polars", "pyarrow", "typer"} <= imported
    assert imported <= {name.replace("_", "-") for name in pinned}


def test_the_conda_environment_is_the_lock() -> None:
    command = [sys.executable, str(ENVIRONMENT / "lock.py"), "--yaml"]
    generated = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (ENVIRONMENT / "pyfeat.yaml").read_text() == generated
    pins = yaml.safe_load(generated)["dependencies"][-1]["pip"]
    assert pins == [line for line in (ENVIRONMENT / "pyfeat.lock").read_text().splitlines() if not line.startswith("#")]
