"""`convert` turns DeepEmoCluster's checkpoints into model folders, and says truly what it refuses."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat
from tests.models.published_vgg import checkpoint
from typer.testing import CliRunner

from avpretext.cli import app
from avpretext.errors import UserError
from avpretext.training import model_folder
from avpretext.training.cluster_models import Wishes, convert, read_statistics
from avpretext.training.convert_weights import run
from avpretext.training.weight_files import read_weights

NAME = "Vgg16DeepEmoCluster_epoch50_batch64_10clusters_Act.pth.tar"


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A checkpoint in the released format: the serialisation of PyTorch 1.4."""
    torch.save(checkpoint(), tmp_path / NAME, _use_new_zipfile_serialization=False)
    return tmp_path / NAME


@pytest.fixture
def statistics(tmp_path: Path) -> Path:
    folder = tmp_path / "NormTerm"
    folder.mkdir()
    numbers = {"feat": (np.arange(128.0), np.arange(128.0) + 1), "act": (4.5, 0.75), "dom": (4.0, 0.5)}
    for of, (mean, deviation) in numbers.items():
        savemat(folder / f"{of}_norm_means.mat", {"normal_para": mean})
        savemat(folder / f"{of}_norm_stds.mat", {"normal_para": deviation})
    return folder


def test_a_checkpoint_becomes_a_folder_that_says_what_it_is(released: Path, statistics: Path, tmp_path: Path) -> None:
    said = convert(released, tmp_path / "model", Wishes(statistics))
    assert "arousal in its published unit; bands normalised by the statistics of" in said
    model = model_folder.read(tmp_path / "model")
    description = model.description
    assert (description.kind, description.classes, description.scale) == ("attribute", ["arousal"], (4.5, 0.75))
    assert description.deepemocluster is not None
    assert (description.deepemocluster.clusters, description.deepemocluster.source) == (10, NAME)
    assert (description.deepemocluster.chunk_frames, description.deepemocluster.chunks) == (62, 11)
    assert model.normalisation is not None
    assert model.normalisation.mean.tolist() == list(range(128))
    assert model.normalisation.deviation.tolist() == list(range(1, 129))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["NormTerm", NAME, "model"])


def test_without_statistics_the_files_themselves_normalise_and_say_so(released: Path, tmp_path: Path) -> None:
    said = convert(released, tmp_path / "model", Wishes(attribute="dominance"))
    assert "dominance in deviations from the training mean" in said
    assert "by the files themselves (predict --speakers one|folder)" in said
    model = model_folder.read(tmp_path / "model")
    assert model.normalisation is None
    assert model.description.scale == (0, 1)
    assert model.description.model.normalise == "speaker"


def test_statistics_may_give_the_unit_alone(released: Path, statistics: Path, tmp_path: Path) -> None:
    convert(released, tmp_path / "model", Wishes(statistics, "speaker"))
    model = model_folder.read(tmp_path / "model")
    assert model.normalisation is None
    assert model.description.scale == (4.5, 0.75)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('"chunk_frames": 62', '"chunk_frames": 90', "its weights are not those of the network"),
        ('"clusters": 10', '"clusters": 0', r"deepemocluster\.clusters"),
        ('"bands": 128', '"bands": 64', r"log_mel\.bands is not the number of channels"),
    ],
)
def test_an_edited_description_is_refused(released: Path, tmp_path: Path, old: str, new: str, error: str) -> None:
    convert(released, tmp_path / "model", Wishes())
    file = tmp_path / "model/model.json"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=error):
        model_folder.read(tmp_path / "model")


def test_names_with_and_without_module_are_the_same_weights(released: Path, tmp_path: Path) -> None:
    weights = checkpoint()["state_dict"]
    torch.save({f"module.{name.replace('.module.', '.')}": value for name, value in weights.items()}, tmp_path / "bare")
    bare, wrapped = read_weights(tmp_path / "bare"), read_weights(released)
    assert bare.keys() == wrapped.keys()
    assert not any("module" in name for name in bare)
    assert all(torch.equal(value, wrapped[name]) for name, value in bare.items())


def test_the_same_file_gives_the_same_weights(released: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        convert(released, tmp_path / name, Wishes())
    assert (tmp_path / "one/model.safetensors").read_bytes() == (tmp_path / "two/model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("wishes", "error"),
    [
        (Wishes(normalise="train"), "--normalise train: --statistics FOLDER is needed"),
        (Wishes(Path("nowhere")), r"nowhere/feat_norm_means\.mat: no such file"),
    ],
)
def test_wishes_that_cannot_be_met_write_nothing(released: Path, tmp_path: Path, wishes: Wishes, error: str) -> None:
    with pytest.raises(UserError, match=error):
        convert(released, tmp_path / "model", wishes)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_an_unnamed_attribute_must_be_given(released: Path, tmp_path: Path) -> None:
    other = released.rename(tmp_path / "action.pth.tar")
    with pytest.raises(UserError, match="give --attribute arousal"):
        convert(other, tmp_path / "model", Wishes())
    convert(other, tmp_path / "model", Wishes(attribute="valence"))


def test_a_place_that_is_taken_is_not_written_to(released: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").touch()
    with pytest.raises(UserError, match="is not empty"):
        convert(released, taken, Wishes())
    with pytest.raises(UserError, match="become a model folder"):
        convert(released, tmp_path / "x.safetensors", Wishes())
    assert [path.name for path in taken.iterdir()] == ["mine"]


def test_statistics_are_checked(statistics: Path) -> None:
    assert read_statistics(statistics, "dominance").scale == (4.0, 0.5)
    savemat(statistics / "dom_norm_stds.mat", {"normal_para": 0.0})
    with pytest.raises(UserError, match=r"dom_norm_stds\.mat: not all numbers are above 0"):
        read_statistics(statistics, "dominance")
    savemat(statistics / "feat_norm_means.mat", {"normal_para": np.zeros(130)})
    with pytest.raises(UserError, match=r"feat_norm_means\.mat: 128 numbers are expected, it has 130"):
        read_statistics(statistics, "arousal")
    (statistics / "feat_norm_means.mat").write_bytes(b"no table")
    with pytest.raises(UserError, match=r"feat_norm_means\.mat: no MATLAB file with the variable normal_para"):
        read_statistics(statistics, "arousal")


def test_options_of_the_other_system_are_refused(released: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--aggregator: .*weights of DeepEmoCluster"):
        run(released, tmp_path / "model", None, "mean", None, Wishes())
    torch.save({"lstm.weight_ih_l0": torch.zeros(2)}, tmp_path / "chunk.pth.tar")
    with pytest.raises(UserError, match=r"--normalise: .*weights of the chunk framework"):
        run(tmp_path / "chunk.pth.tar", tmp_path / "model", None, None, None, Wishes(normalise="speaker"))
    torch.save({"encoder.weight": torch.zeros(2)}, tmp_path / "foreign.pth.tar")
    with pytest.raises(UserError, match=r"another network \(encoder\.weight, \.\.\.\)"):
        run(tmp_path / "foreign.pth.tar", tmp_path / "model", None, None, None, Wishes())


def archive(*names: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            for name in names:
                file.writestr(name, "{}")

    return write


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "an HDF5 file, as Keras writes its weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"MATLAB 5.0 MAT-file, Platform", "a MATLAB file"),
        (archive("metadata.json", "model.weights.h5"), r"a Keras model \(\.keras\)"),
        (archive("a.npy"), "NumPy arrays"),
        (archive("m/constants.pkl", "m/code/m.py"), "a TorchScript program, which holds code"),
        (lambda path: torch.save(torch.nn.Linear(2, 2), path), r"holds code or objects .*nn\.modules\.linear\.Linear"),
    ],
)
def test_what_a_file_is_is_said_truly(tmp_path: Path, content: bytes | Callable[[Path], None], reason: str) -> None:
    path = tmp_path / "weights.h5"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    with pytest.raises(UserError, match=reason) as error:
        read_weights(path)
    assert "\n" not in str(error.value)
    assert ("code or objects" in str(error.value)) == ("code or objects" in reason)


def test_the_command_says_what_it_wrote(released: Path, statistics: Path, tmp_path: Path) -> None:
    arguments = ["convert", str(released), str(tmp_path / "model"), "--statistics", str(statistics)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "a model for predict; arousal" in done.output
