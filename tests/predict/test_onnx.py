"""A model as ONNX gives what the model gives, for clips of any length."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from avpretext.config import ChunkOptions
from avpretext.errors import RefusedFile, UserError
from avpretext.models.chunking import gather_chunks
from avpretext.models.encoders import ENCODERS
from avpretext.predict import onnx_file
from avpretext.predict.model import Model
from avpretext.predict.onnx_graph import ClipGraph, chunk_steps
from avpretext.training import model_folder
from avpretext.training.data import chunk_grid

from .conftest import CHANNELS, USUAL, MakeModel

LENGTHS = (1, 2, 7, 24, 49, 50, 51, 99, 149, 150, 151, 333, 1001)
"""Frames, of chunks of 50 frames of which there are 3."""


def frames_of(length: int, seed: int = 0) -> Any:
    """Return feature frames (length, 6) in their units, with a number that is not measured."""
    mean, deviation = np.array([USUAL[name.partition("[")[0]] for name in CHANNELS]).T
    frames = mean + deviation * np.random.default_rng(seed).normal(size=(length, len(mean)))
    frames[length // 3, 1] = np.nan
    return frames.astype(np.float32)


@pytest.mark.parametrize("step_frames", [1, 7])
@pytest.mark.parametrize(
    "chunks", [{"count": 3}, {"count": 2, "factor": 3}, {"count": 1}, {"count": 3, "method": "published"}]
)
def test_the_graph_cuts_chunks_as_the_models_are_trained(chunks: dict[str, Any], step_frames: int) -> None:
    grid = chunk_grid(ChunkOptions(length_s=0.5, **chunks), step_frames)
    for length in LENGTHS if grid.method == "exact" else [length for length in LENGTHS if length >= 50]:
        frames = torch.from_numpy(frames_of(length))
        steps, mask = gather_chunks(frames, torch.tensor([0]), torch.tensor([length]), grid)
        cut = chunk_steps(frames, grid)
        assert mask[0].sum(1).tolist() == [cut.shape[1]] * grid.chunks
        torch.testing.assert_close(cut, steps[0, :, : cut.shape[1]], equal_nan=True, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("encoder", sorted(ENCODERS.keys() - {"layers"}))
def test_clips_shorter_than_a_chunk_need_no_padding(make_model: MakeModel, encoder: str) -> None:
    folder = make_model(model={"encoder": encoder, "layers": 2, "step_frames": 3})
    model, graph = Model(folder), ClipGraph(model_folder.read(folder))
    for length in LENGTHS:
        frames = frames_of(length)
        with torch.no_grad():
            found = graph(torch.from_numpy(frames)).numpy()
        np.testing.assert_allclose(found, model.of_frames(frames), atol=1e-5)


EXPORTED: list[dict[str, Any]] = [
    {"model": {"encoder": "conv", "aggregator": "gated"}},
    {
        "kind": "attributes", "classes": ["arousal", "valence"], "scale": [(4.0, 1.0), (3.0, 0.5)], "networks": 1,
        "chunks": ChunkOptions(length_s=0.5, count=3, method="published"),
        "model": {"encoder": "blstm", "aggregator": "attentive_statistics"},
    },
]  # fmt: skip


@pytest.mark.parametrize("changes", EXPORTED, ids=["classes", "attributes"])
def test_an_exported_file_gives_what_the_model_gives(
    make_model: MakeModel, tmp_path: Path, changes: dict[str, Any]
) -> None:
    for name in ("onnx", "onnxscript"):
        pytest.importorskip(name, reason=f"the package {name} is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    folder, file = make_model(**changes), tmp_path / "model.onnx"
    told = onnx_file.run(folder, file)
    model = Model(folder)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (output,) = (part.name for part in session.get_outputs())
    assert output == ("values" if "scale" in changes else "probabilities")
    assert f"{file}: frames (T, 6) float32, every 10 ms -> {output}" in told
    for length in LENGTHS:
        if length >= model.shortest_frames:
            frames = frames_of(length, seed=length)
            found = session.run(None, {"frames": frames})[0]
            np.testing.assert_allclose(found, model.of_frames(frames), atol=1e-5)
    known = session.get_modelmeta().custom_metadata_map
    assert json.loads(known["feature_names"]) == CHANNELS
    assert json.loads(known["classes"]) == list(model.names)
    assert known["weights_sha256"] == model.description.weights_sha256
    assert (known["frame_rate_hz"], known["shortest_frames"]) == ("100", "50" if "scale" in changes else "1")
    assert json.loads(known["log_mel"])["bands"] == 16
    assert str(Path(torch.__file__).parent).encode() not in file.read_bytes()
    if model.shortest_frames > 1:
        with pytest.raises(Exception, match=r"(?i)out of|indices|index"):
            session.run(None, {"frames": frames_of(40)})


def test_frames_of_a_clip_give_the_prediction_of_the_clip(make_model: MakeModel, make_wav: Any) -> None:
    model, file = Model(make_model()), make_wav("a.wav", 1.3)
    frames = model.frames(file)
    assert frames.shape == (130, 6)
    assert np.array_equal(model.of_frames(frames), model.predict(file, min_speech=0).probabilities[0])
    assert np.array_equal(model.frames(*soundfile.read(file, dtype="int16")), frames)
    with pytest.raises(RefusedFile, match="too_short"):
        model.frames(make_wav("short.wav", 0.1))


def test_models_that_need_more_than_frames_are_refused(make_model: MakeModel, tmp_path: Path) -> None:
    by_speaker = make_model("speaker", model={"normalise": "speaker"})
    learnt = {"mine": {"clips": 9, "speakers": 3, "hours": 0.1}}
    whole = make_model("whole", corpora=learnt, model={"normalise": "speaker", "whole_corpora": ["mine"]})
    tiny = {"name": "tiny", "kind": "wavlm", "hub": None, "layers": [0], "size": 4, "digests": {}, "options": {}}
    published = {"clusters": 2, "width": 8, "hop_samples": 256, "chunk_frames": 9, "chunks": 2}
    clusters = {**published, "source": "x.pth", "source_sha256": "0" * 64}
    for folder, why in {
        by_speaker: "normalises each speaker by all",
        whole: "normalises all files together",
        make_model("encoder", encoder=tiny): "hears sound by the pre-trained encoder tiny",
        make_model("clusters", deepemocluster=clusters): "hears the spectrogram of DeepEmoCluster",
    }.items():
        with pytest.raises(UserError, match=f"{why}.* do not follow from feature frames: use `avpretext predict`"):
            onnx_file.run(folder, tmp_path / "model.onnx")
    with pytest.raises(UserError, match="normalises each speaker"):
        Model(by_speaker).of_frames(frames_of(100))
    assert not (tmp_path / "model.onnx").exists()


def test_what_cannot_be_exported_is_told_in_one_line(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(name, reason=f"the package {name} is not installed")

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("an encoder that\nbranches on its input")

    monkeypatch.setattr(torch.export, "export", refuse)
    told = r"cannot be exported as ONNX \(RuntimeError: an encoder that branches on its input\)$"
    with pytest.raises(UserError, match=told):
        onnx_file.run(make_model(), tmp_path / "model.onnx")


def test_a_graph_that_differs_is_not_written(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "as_onnx", lambda model, trained: b"")
    monkeypatch.setattr(onnx_file, "largest_difference", lambda content, model, trained: float("nan"))
    with pytest.raises(UserError, match="its graph gives other values than the model"):
        onnx_file.run(make_model(), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
    with pytest.raises(UserError, match="is a folder; name a file in it"):
        onnx_file.run(make_model("other"), tmp_path)
