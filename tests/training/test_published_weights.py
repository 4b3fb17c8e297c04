"""Published weights: files that are safe to open, checkpoints that fine-tuning takes, and predictions."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.errors import UserError
from avpretext.models.biases import whole_state
from avpretext.models.network import make_network
from avpretext.models.published import CHANNELS, published_names, published_options
from avpretext.training import checkpoint as checkpoints
from avpretext.training.objectives import TASK
from avpretext.training.published_weights import (
    CHUNKS,
    convert,
    descriptors,
    network_of,
    predict_attribute,
)
from avpretext.training.weight_files import read_weights


def state_dict(aggregator: str = "rnn_attention") -> dict[str, torch.Tensor]:
    network = make_network(CHANNELS, published_options(aggregator), {TASK: 1}, seed=3)
    ours = whole_state(network)
    return {theirs: ours[name].clone() for theirs, name in published_names(network, TASK).items()}


def written(folder: Path, aggregator: str = "rnn_attention", zipped: bool = True) -> Path:
    path = folder / f"LSTM_{aggregator}_Act.pth.tar"
    torch.save(state_dict(aggregator), path, _use_new_zipfile_serialization=zipped)
    return path


def settings(aggregator: str = "rnn_attention", **model: object) -> Config:
    options = published_options(aggregator).model_dump(mode="json")
    chunks = CHUNKS.model_dump(mode="json")
    return parse({"corpora": {"tiny": {"path": ".", "use": []}}, "model": {**options, **model}, "chunks": chunks})


@pytest.mark.parametrize("zipped", [False, True], ids=["as PyTorch 1.4 wrote it", "as PyTorch writes it now"])
def test_a_file_is_read_as_it_was_written(tmp_path: Path, zipped: bool) -> None:
    weights = read_weights(written(tmp_path, zipped=zipped))
    expected = state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in weights.items())


class Trap:
    """A pickle that would run code when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


def test_no_code_in_a_file_is_run(tmp_path: Path) -> None:
    trap, path = tmp_path / "sprung", tmp_path / "trap.pth.tar"
    torch.save({"lstm.weight_ih_l0": Trap(trap)}, path)
    with pytest.raises(UserError, match=r"holds code or objects beside tensors \(.*getattr\), which are not loaded"):
        read_weights(path)
    path.write_bytes(pickle.dumps(Trap(trap), protocol=2))
    with pytest.raises(UserError, match=r"holds code or objects beside tensors \(.*getattr\), which are not loaded"):
        read_weights(path)
    assert not trap.exists()


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 half a zip"])
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.pth.tar"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_weights(path)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="no such file"):
        read_weights(tmp_path / "missing.pth.tar")
    torch.save({"epoch": 3, "weights": state_dict("mean")}, path)
    with pytest.raises(UserError, match="more than named tensors"):
        read_weights(path)


@pytest.mark.parametrize("aggregator", ["mean", "gated", "rnn_attention", "self_attention_published"])
def test_a_converted_file_is_a_body_to_fine_tune_from(tmp_path: Path, aggregator: str) -> None:
    convert(written(tmp_path, aggregator), tmp_path / "converted.safetensors")
    config = settings().model_copy(update={"model": published_options(aggregator)})
    body = checkpoints.read_body(tmp_path / "converted.safetensors", descriptors(), config)
    assert body.heard_all
    network = make_network(CHANNELS, config.model, {TASK: 6}, seed=8)
    network.load_state_dict({**network.state_dict(), **body.weights})
    expected = state_dict(aggregator)
    assert body.weights.keys() == {name for name in network.state_dict() if not name.startswith("heads.")}
    for theirs, ours in published_names(network, TASK).items():
        if not ours.startswith("heads."):
            assert torch.equal(whole_state(network)[ours], expected[theirs]), theirs


def test_a_checkpoint_fits_the_configuration_that_it_was_converted_for(tmp_path: Path) -> None:
    source, path = written(tmp_path, "self_attention_published"), tmp_path / "converted.safetensors"
    names = [f"lld{number}" for number in range(CHANNELS)]
    config = settings("self_attention", channels=["lld*"])
    convert(source, path, config, channels=names)
    checkpoints.read_body(path, names, config)
    with pytest.raises(UserError, match=r"model\.aggregator = 'self_attention', now it is 'mean'"):
        checkpoints.read_body(path, names, settings("mean", channels=["lld*"]))
    convert(source, path, aggregator="self_attention")
    assert checkpoints.read(path)[1]["config"]["model"]["aggregator"] == "self_attention"


def test_conversion_gives_the_same_bytes_again(tmp_path: Path) -> None:
    for name in ("one", "two"):
        convert(written(tmp_path), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_what_does_not_fit_is_not_converted(tmp_path: Path) -> None:
    path, output = written(tmp_path), tmp_path / "converted.safetensors"
    with pytest.raises(UserError, match=r"attn\.attn_rnn\.weight_ih_l0 is unknown"):
        convert(path, output, aggregator="mean")
    with pytest.raises(UserError, match="2 names are given; the published model has 130 inputs"):
        convert(path, output, channels=["one", "two"])
    with pytest.raises(UserError, match="encoder: lstm"):
        convert(path, output, settings(encoder="blstm"))
    assert not output.exists()


def test_the_inputs_are_65_descriptors_then_their_deltas() -> None:
    names = descriptors()
    assert len(set(names)) == CHANNELS
    assert (names[0], names[6], names[10], names[64]) == (
        "F0final_sma",
        "audspec_lengthL1norm_sma",
        "audSpec_Rfilt_sma[0]",
        "mfcc_sma[14]",
    )
    assert [name.replace("_sma", "_sma_de") for name in names[:65]] == names[65:]


def test_predictions_are_those_of_the_published_chunks_and_normalisation() -> None:
    network = network_of(state_dict("gated"))
    rng = np.random.default_rng(5)
    mean, deviation = rng.normal(size=CHANNELS), rng.uniform(0.5, 2, CHANNELS)
    clip = rng.normal(size=(187, CHANNELS)) * 4
    clip[3, 7] = np.nan
    predicted = predict_attribute(network, [clip, clip[:62]], mean[None], deviation, 4.0, 0.5)
    normalised = (clip - mean) / deviation
    normalised[3, 7] = 0
    normalised = np.minimum(np.maximum(normalised, -3), 3)
    # floor((187 - 62) / 10) = 12 frames from one chunk to the next.
    steps = np.stack([normalised[12 * chunk : 12 * chunk + 62] for chunk in range(11)])
    with torch.no_grad():
        value = network(torch.from_numpy(steps).float()[None], torch.ones(1, 11, 62, dtype=torch.bool))[TASK]
    assert predicted.shape == (2,)
    assert predicted[0] == pytest.approx(float(value) * 0.5 + 4.0, abs=1e-6)
    with pytest.raises(UserError, match="62 frames at least"):
        predict_attribute(network, [clip[:61]], mean, deviation)
