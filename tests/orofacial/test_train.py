"""Orofacial training: it learns what can be learnt, keeps what it needs, and scores like any other stage."""

import functools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avpretext.orofacial.movement_folds import divide
from avpretext.orofacial.saved_model import read_model, write_model

from avpretext import shards
from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.errors import UserError
from avpretext.face.blendshapes import MOUTH_BLENDSHAPES
from avpretext.face.points import INNER_LIPS, OROFACIAL_POINTS
from avpretext.flow.artefacts import schema_of
from avpretext.models.losses import NO_LABEL
from avpretext.orofacial import movement_tables, train
from avpretext.orofacial.movement_data import OrofacialClips
from avpretext.orofacial.networks import EMOTION, VISEME
from avpretext.orofacial.run_results import write_results
from avpretext.systems import OROFACIAL_SYSTEMS
from avpretext.training import checkpoint as checkpoints
from avpretext.training.finished import Run

D, B = 2 * len(OROFACIAL_POINTS), len(MOUTH_BLENDSHAPES)
LOWER = OROFACIAL_POINTS.tolist().index(INNER_LIPS[1])


def config(**changes: Any) -> Config:
    """A small network that trains for a moment; nothing is masked, as little is to be learnt."""
    small = {
        "epochs": 30, "patience": 30, "learning_rate": 0.02, "batch_size": 4, "noise": 0, "channel_dropout": 0,
        "time_mask": 0, "averaging": 0.5, "components": 2, "folds": 3, "dev_speakers": 1,
        "model": {"width": 16, "dropout": 0.0, "helper_width": 4},
    }  # fmt: skip
    corpora = {"toy": {"path": ".", "use": ["pretrain"]}}
    return parse(
        {"corpora": corpora, "orofacial": {**small, **changes}, "evaluate": {"bootstrap": 20, "permutations": 20}}
    )


def toy(clips: int = 24, speakers: int = 6, frames: int = 30) -> OrofacialClips:
    """Speech whose first channel opens the mouth, its sign being the viseme; the second tells the emotion."""
    rng = np.random.default_rng(7)
    heard, moved, seen, felt = [], [], [], []
    for clip in range(clips):
        steps = rng.normal(size=(frames, 3)).astype(np.float32)
        steps[:, 0] = np.convolve(steps[:, 0], np.ones(3), "same")
        steps[:, 1] += 3 * (clip % 2)
        movement = 0.001 * rng.normal(size=(frames, D)).astype(np.float32)
        movement[:, 2 * LOWER + 1] += 0.1 * steps[:, 0]
        heard.append(steps)
        moved.append(movement)
        seen.append((steps[:, 0] > 0).astype(np.int64))
        felt.append(clip % 2)
    return OrofacialClips(
        names=[f"toy/{clip:02d}" for clip in range(clips)],
        speakers=[f"toy/s{clip % speakers}" for clip in range(clips)],
        channels=["one", "two", "three"],
        steps=heard,
        movement=moved,
        blendshapes=[np.tile(clip[:, 2 * LOWER + 1 : 2 * LOWER + 2], B) for clip in moved],
        rest=[np.zeros((D // 2, 2), np.float32)] * clips,
        visemes=seen,
        emotion=np.array(felt),
        classes={VISEME: ["SIL", "P"], EMOTION: ["ANG", "SAD"]},
    )


def first_fold(clips: OrofacialClips, options: Config) -> Any:
    return divide(clips.names, clips.speakers, options.orofacial, 1)[0]


@pytest.mark.parametrize("system", OROFACIAL_SYSTEMS)
def test_what_speech_tells_is_learnt_for_speakers_never_heard(system: Any) -> None:
    clips, options = toy(), config()
    fold = first_fold(clips, options)
    model, history = train.train(system, clips, fold, 0, {}, options)
    dev = [row.value for row in history if (row.split, row.measure) == ("dev", "score")]
    assert max(dev) > dev[0] + 0.05, "training improves"
    row = clips.names.index(fold.test[0])
    said = model.predict(clips.steps[row])
    true = clips.movement[row][:, 2 * LOWER + 1]
    assert np.corrcoef(said.movement[:, 2 * LOWER + 1], true)[0, 1] > 0.9
    assert (said.viseme.argmax(axis=1) == clips.visemes[row]).mean() > 0.8
    assert said.emotion.argmax() == clips.emotion[row]


def test_missing_labels_and_faces_are_not_learnt_from() -> None:
    clips, options = toy(clips=12), config(epochs=1)
    fold = first_fold(clips, options)
    hidden = replace(
        clips,
        visemes=[np.full_like(clip, NO_LABEL) for clip in clips.visemes],
        emotion=np.full_like(clips.emotion, NO_LABEL),
        movement=[np.where(np.arange(30)[:, None] == 4, np.nan, clip).astype(np.float32) for clip in clips.movement],
    )
    model, history = train.train("joint", hidden, fold, 0, {}, options)
    assert all(np.isfinite(row.value) for row in history)
    assert np.isfinite(model.predict(clips.steps[0]).movement).all()
    helper = [row for row in history if row.measure in ("viseme_accuracy", "emotion_accuracy")]
    assert not helper, "nothing is known that could be right"


def test_a_model_comes_back_from_its_folder_as_it_was(tmp_path: Path) -> None:
    clips, options = toy(clips=12), config(epochs=1, components=0)
    model, _ = train.train("cascade", clips, first_fold(clips, options), 0, {}, options)
    write_model(model, tmp_path / "model")
    back = read_model(tmp_path / "model")
    weights = back.network.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in model.network.state_dict().items())
    # Where the weights lie in memory may change the order of a sum, and so the last digits.
    for one, other in zip(model.predict(clips.steps[0]), back.predict(clips.steps[0]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["model.json", "weights.safetensors"]
    said = json.loads((tmp_path / "model" / "model.json").read_text())
    assert said["points"]["jaw"][4] == 152
    assert (said["fps"], said["trained_on"]["speakers"]) == (25.0, 3)


def test_what_is_no_model_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no orofacial model"):
        read_model(tmp_path)
    (tmp_path / "model.json").write_text('{"kind": "else"}')
    with pytest.raises(UserError, match="not the description of an orofacial model"):
        read_model(tmp_path)


def test_long_clips_are_said_in_pieces_that_join(monkeypatch: pytest.MonkeyPatch) -> None:
    clips, options = toy(clips=12), config(epochs=2)
    model, _ = train.train("joint", clips, first_fold(clips, options), 0, {}, options)
    steps = np.concatenate([clips.steps[row] for row in range(6)])  # 180 frames
    whole = model.predict(steps)
    short = replace(model, config=config(epochs=2, piece_s=3.0))
    cut = short.predict(steps)
    assert cut.movement.shape == whole.movement.shape
    np.testing.assert_allclose(cut.movement, whole.movement, atol=2e-3)
    assert cut.emotion.sum() == pytest.approx(1, abs=1e-5)


@functools.cache
def trained(system: Any) -> tuple[OrofacialClips, list[Run]]:
    clips, options = toy(clips=24), config(epochs=15)
    folds = divide(clips.names, clips.speakers, options.orofacial, 1)
    runs = []
    for fold in folds:
        model, history = train.train(system, clips, fold, 0, {}, options)
        runs.append(Run(fold.number, 0, train.predictions(model, clips, fold), history))
    return clips, runs


def written(folder: Path) -> Mapping[str, Path]:
    options = config(epochs=15)
    for system in OROFACIAL_SYSTEMS:
        clips, runs = trained(system)
        folds = divide(clips.names, clips.speakers, options.orofacial, 1)
        write_results(runs, system, clips, folds, options, folder / system, started=False)
    return {system: folder / system / "predictions.parquet" for system in OROFACIAL_SYSTEMS}


def test_every_clip_is_predicted_once_beside_its_truth(tmp_path: Path) -> None:
    path = written(tmp_path)["joint"]
    clips, _ = trained("joint")
    rows = shards.read(path)
    assert shards.schema_of(path).names == schema_of("orofacial_system.predictions").names
    assert rows.height == 24 * 30
    assert not rows.select("clip_id", "frame").is_duplicated().any()
    truth = np.array(rows.filter(clip_id="05")["truth"].to_list(), np.float32)
    np.testing.assert_array_equal(truth, clips.movement[5])
    assert set(rows["viseme"]) <= {"SIL", "P"}
    assert set(shards.read(path.with_name("clips.parquet"))["emotion"]) == {"ANG", "SAD"}
    assert shards.read_provenance(path)["speaker_leaks"] is False


def test_the_tables_hold_every_system_with_intervals_and_paired_tests(tmp_path: Path) -> None:
    found = written(tmp_path)
    sums, scored = movement_tables.score(found)
    rows = {row["system"]: row for row in movement_tables.metric_rows(scored, sums, config())}
    assert list(rows) == [*OROFACIAL_SYSTEMS, "rest"]
    for system in OROFACIAL_SYSTEMS:
        assert rows[system]["aperture_r"] > 0.8
        assert rows[system]["aperture_r_low"] <= rows[system]["aperture_r"] <= rows[system]["aperture_r_high"]
        assert rows[system]["error_all"] < rows["rest"]["error_all"]
    assert rows["rest"]["viseme_uar"] is None
    assert rows["joint"]["viseme_uar"] > 0.6
    compared = movement_tables.comparison_rows(scored, sums, config())
    pairs = {(row["system"], row["against"]) for row in compared if row["measure"] == "ccc_all"}
    assert pairs == {("joint", "single"), ("cascade", "single"), ("cascade", "joint")}
    assert all(row["p"] <= row["p_holm"] <= 1 for row in compared)
    text = movement_tables.as_markdown(list(rows.values()), compared, "Test speakers are never heard in training.")
    assert "| cascade against joint" in text


def pretext_checkpoint(path: Path, **model: Any) -> None:
    """A checkpoint such as `pretrain` writes: an encoder of these sizes on the toy's channels."""
    lstm = torch.nn.LSTM(3, 8, batch_first=True, bidirectional=True)
    tensors = {f"best.encoder.lstm.{name}": value for name, value in lstm.state_dict().items()}
    said = {"encoder": "blstm", "width": 16, "layers": 1, **model}
    checkpoints.write(path, tensors, {"channels": ["one", "two", "three"], "config": {"model": said}})


def test_a_trunk_starts_from_a_pretext_encoder(tmp_path: Path) -> None:
    clips, options = toy(clips=12), config(epochs=1, learning_rate=1e-9)
    pretext_checkpoint(tmp_path / "c.safetensors")
    body = train.read_trunk(tmp_path / "c.safetensors", clips.channels, options.orofacial)
    model, _ = train.train("joint", clips, first_fold(clips, options), 0, body, options)
    for name, value in body.items():
        torch.testing.assert_close(model.network.state_dict()[name], value, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("then", "now", "message"),
    [
        ({"encoder": "conv"}, {}, r"encoder is 'conv'.*model\.encoder: blstm"),
        ({"width": 32}, {}, r"width 32.*set orofacial\.model\.width: 32"),
        ({"layers": 2}, {}, r"layers: 2 or more"),
        ({}, {"context": 2}, r"set orofacial\.context: 0"),
    ],
)
def test_a_trunk_that_does_not_fit_is_refused_with_the_fix(
    tmp_path: Path, then: dict[str, Any], now: dict[str, Any], message: str
) -> None:
    pretext_checkpoint(tmp_path / "c.safetensors", **then)
    channels = ["one@-1"] if now else ["one", "two", "three"]
    with pytest.raises(UserError, match=message):
        train.read_trunk(tmp_path / "c.safetensors", channels, config(**now).orofacial)
