"""A model that hears a pre-trained encoder predicts from files what it predicts from the shards of the stages."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import avpretext
from avpretext import shards
from avpretext.config import MediaOptions
from avpretext.config_file import parse
from avpretext.demo import random_encoder
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.media import split
from avpretext.models.network import make_network
from avpretext.options.pretrained_encoders import EncoderOptions
from avpretext.predict.model import Model
from avpretext.sound import encoder
from avpretext.training import model_folder
from avpretext.training.batches import normalise
from avpretext.training.data import SpeechChunks, in_deviations, load_pooled
from avpretext.training.model_folder import EncoderDescription, Normalisation
from avpretext.training.objectives import TASK, outputs_of

from .conftest import describe, speechlike

MakeWav = Callable[..., Path]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_encoder.write("wavlm", tmp_path_factory.mktemp("weights") / "wavlm")


@pytest.fixture
def clips(make_wav: MakeWav) -> list[Path]:
    return [make_wav("0.wav", 2.0, 1), make_wav("1.wav", 1.307, 2, 44_100), make_wav("2.wav", 0.35, 3)]


def encoded(files: list[Path], weights: Path, work: Path, **options: Any) -> SpeechChunks:
    """Return the clips as the stages make them; the last two are of one speaker."""
    common = files[0].parent
    index = [
        {"clip_id": f"{place}", "path": str(file.relative_to(common)), "speaker": f"s{min(place, 1)}"}
        for place, file in enumerate(files)
    ]
    shards.write_table(work / "index.parquet", index, schema_of("index"), {})
    audio = work / "corpus/split/audio/0.parquet"
    split.run(work / "index.parquet", common, MediaOptions(), audio, None, work / "rejects.parquet")
    content = {"corpora": {"a": {"path": ".", "use": []}}, "encoders": {"wavlm": {"folder": str(weights), **options}}}
    config = parse({**content, "chunks": {"length_s": 0.5, "count": 3}})
    encoder.run("wavlm", audio, config, work / "encoder.parquet")
    chunks = config.chunks if options.get("pool") != "clip" else None
    return load_pooled([work / "encoder.parquet"], {row["clip_id"]: row["speaker"] for row in index}, chunks)


def make_model(folder: Path, chunks: SpeechChunks, **model: Any) -> Path:
    """Write a model with random weights for these clips."""
    by = chunks.encoder
    assert by is not None
    said = EncoderDescription(
        name=by.name, kind=by.kind, hub=by.hub, layers=by.layers, size=16, digests=by.digests,
        options=EncoderOptions(**by.options),
    )  # fmt: skip
    heard = {"features": ["wavlm"], "encoder": "layers", **model}
    description = describe(encoder=said, channels=chunks.channels, speech=None, log_mel=None, model=heard)
    networks = [make_network(16, description.model, {TASK: 3}, seed, 3).state_dict() for seed in (0, 1)]
    for place, network in enumerate(networks):
        network["encoder.scores"] += torch.tensor([0.0, 1.0, place])
        network["heads.ser.fc2.weight"] *= 4
    known = Normalisation(*chunks.mean_and_deviation(np.arange(len(chunks))))
    model_folder.write(folder, description, networks, known if description.model.normalise == "train" else None)
    return folder


def expected(folder: Path, chunks: SpeechChunks) -> np.ndarray:
    trained = model_folder.read(folder)
    if trained.normalisation is None:
        rows = np.arange(len(chunks))
        steps = normalise(chunks, rows, "speaker").index_select(0, torch.from_numpy(rows)).float()
    else:
        known = trained.normalisation
        steps = in_deviations(chunks.steps.float().clone(), known.mean, known.deviation)
    with torch.no_grad():
        logits = [network(steps, chunks.mask)[TASK] for network in trained.networks]
    return np.mean([outputs_of("hard", values, None) for values in logits], axis=0)


@pytest.mark.parametrize("options", [{}, {"pool": "clip"}, {"layers": [2, 0, 1], "dtype": "float32"}])
def test_files_are_heard_as_the_stages_hear_them(
    clips: list[Path], weights: Path, tmp_path: Path, options: dict[str, Any]
):
    chunks = encoded(clips, weights, tmp_path, **options)
    folder = make_model(tmp_path / "model", chunks)
    model = avpretext.load(folder, weights)
    for threads in (1, 3):
        found = [part.probabilities[0] for part in model.predict_many(clips, threads=threads, min_speech=0)]
        assert np.stack(found) == pytest.approx(expected(folder, chunks), abs=1e-6)


def test_speakers_are_normalised_by_their_own_clips(clips: list[Path], weights: Path, tmp_path: Path):
    chunks = encoded(clips, weights, tmp_path)
    folder = make_model(tmp_path / "model", chunks, normalise="speaker")
    found = list(avpretext.load(folder, weights).predict_many(clips, speakers=["a", "b", "b"], min_speech=0))
    said = np.stack([part.probabilities[0] for part in found])
    assert said == pytest.approx(expected(folder, chunks), abs=2e-3)  # shards are in float16


def test_windows_are_heard_as_clips_of_their_own(make_wav: MakeWav, weights: Path, tmp_path: Path):
    whole = make_wav("whole.wav", 4.0, 5)
    samples, rate = soundfile.read(whole, dtype="int16")
    parts = []
    for place, start in enumerate((0, 1, 2, 3)):
        parts.append(tmp_path / "sound" / f"{place}.wav")
        soundfile.write(parts[-1], samples[start * rate : (start + 2) * rate], rate, "PCM_16")
    folder = make_model(tmp_path / "model", encoded(parts, weights, tmp_path))
    model = avpretext.load(folder, weights)
    along = model.predict(whole, along_time=(2, 1), min_speech=0)
    alone = [model.predict(part, min_speech=0).probabilities[0] for part in parts]
    # Decoded alone or as a part, samples differ by a rounding.
    assert along.probabilities == pytest.approx(np.stack(alone[: len(along)]), abs=1e-3)
    assert along.start_s.tolist() == [0.0, 1.0, 2.0]


def test_arrays_are_heard_too(weights: Path, tmp_path: Path, clips: list[Path]):
    model = avpretext.load(make_model(tmp_path / "model", encoded(clips, weights, tmp_path)), weights)
    assert model.predict(speechlike(1.0), 16_000, min_speech=0).probabilities.shape == (1, 3)


def test_the_encoder_may_lie_in_the_models_folder_or_in_the_hubs_cache(
    clips: list[Path], weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    chunks = encoded(clips, weights, tmp_path)
    folder = make_model(tmp_path / "model", chunks)
    with pytest.raises(UserError, match=r"hears wavlm \(wavlm\), whose weights are no part of it: name their folder"):
        Model(folder)
    shutil.copytree(weights, folder / "encoder")
    assert Model(folder).predict(clips[0], min_speech=0).probabilities.shape == (1, 3)


def test_another_encoder_is_refused(clips: list[Path], weights: Path, tmp_path: Path):
    folder = make_model(tmp_path / "model", encoded(clips, weights, tmp_path))
    other = random_encoder.write("wavlm", tmp_path / "other", seed=1)
    with pytest.raises(
        UserError, match=r"model.safetensors: not the file that the model was trained with: its SHA-256"
    ):
        Model(folder, other)
    with pytest.raises(UserError, match=r"--encoder = '.*nothing': no such folder"):
        Model(folder, tmp_path / "nothing")
