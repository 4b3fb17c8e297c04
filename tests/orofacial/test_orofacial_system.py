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
from tests.orofacial.toy import LOWER, config, first_model, pretext_checkpoint, toy, training

from avpretext import shards
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.models.losses import NO_LABEL
from avpretext.orofacial import orofacial_tables
from avpretext.orofacial.movement_training import predictions, read_trunk
from avpretext.orofacial.orofacial_model import OrofacialModel, read_model, write_model
from avpretext.orofacial.orofacial_system import write_results
from avpretext.systems import OROFACIAL_SYSTEMS
from avpretext.training.finished import Run

CLIPS, OPTIONS = toy(clips=12), config(epochs=20, learning_rate=0.03)


@functools.cache
def trained(system: Any) -> tuple[list[Run], OrofacialModel]:
    """Train every fold of a system; return its runs, and the model of the first."""
    shared, folds = training(system, CLIPS, OPTIONS)
    runs, models = [], []
    for fold in folds:
        model, history = shared.fold(fold, 0)
        runs.append(Run(fold.number, 0, predictions(model, CLIPS.named(fold.test)), history))
        models.append(model)
    return runs, models[0]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The predictions of each system."""
    folder = tmp_path_factory.mktemp("systems")
    for system in OROFACIAL_SYSTEMS:
        write_results(trained(system)[0], *training(system, CLIPS, OPTIONS), folder / system)
    return {system: folder / system / "predictions.parquet" for system in OROFACIAL_SYSTEMS}


@pytest.mark.parametrize("system", OROFACIAL_SYSTEMS)
def test_what_speech_tells_is_learnt_for_speakers_never_heard(system: Any) -> None:
    runs, model = trained(system)
    dev = [row.value for row in runs[0].history if (row.split, row.measure) == ("dev", "score")]
    assert max(dev) > dev[0] + 0.05, "training improves"
    clip = CLIPS.named(runs[0].predictions[0].names)[0]
    said, true = model.predict(clip.steps), clip.movement[:, 2 * LOWER + 1]
    assert np.corrcoef(said.movement[:, 2 * LOWER + 1], true)[0, 1] > 0.9
    assert (said.viseme.argmax(axis=1) == clip.visemes).mean() > 0.8
    assert CLIPS.classes["emotion"][said.emotion.argmax()] == clip.emotion


def test_missing_labels_and_faces_are_not_learnt_from() -> None:
    hidden = [
        clip._replace(
            visemes=np.full_like(clip.visemes, NO_LABEL),
            emotion=None,
            movement=np.where(np.arange(30)[:, None] == 4, np.nan, clip.movement).astype(np.float32),
        )
        for clip in CLIPS.clips
    ]
    model, history = first_model("joint", replace(CLIPS, clips=hidden), config(epochs=1))
    assert all(np.isfinite(row.value) for row in history)
    assert np.isfinite(model.predict(CLIPS.clips[0].steps).movement).all()
    helper = [row for row in history if row.measure in ("viseme_accuracy", "emotion_accuracy")]
    assert not helper, "nothing is known that could be right"


def test_a_model_comes_back_from_its_folder_as_it_was(tmp_path: Path) -> None:
    model, _ = first_model("cascade", CLIPS, config(epochs=1, components=0))
    write_model(model, tmp_path / "model")
    back = read_model(tmp_path / "model")
    weights = back.network.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in model.network.state_dict().items())
    # Where the weights lie in memory may change the order of a sum, and so the last digits.
    for one, other in zip(model.predict(CLIPS.clips[0].steps), back.predict(CLIPS.clips[0].steps), strict=True):
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


def test_long_clips_are_said_in_pieces_that_join() -> None:
    model = trained("joint")[1]
    steps = np.concatenate([clip.steps for clip in CLIPS.clips[:6]])  # 180 frames
    whole = model.predict(steps)
    short = replace(model, config=config(piece_s=3.0))
    cut = short.predict(steps)
    assert cut.movement.shape == whole.movement.shape
    np.testing.assert_allclose(cut.movement, whole.movement, atol=2e-3)
    assert cut.emotion.sum() == pytest.approx(1, abs=1e-5)


def test_every_clip_is_predicted_once_beside_its_truth(written: Mapping[str, Path]) -> None:
    path = written["joint"]
    rows = shards.read(path)
    assert shards.read_schema(path).names == schema_of("orofacial_system.predictions").names
    assert rows.height == 12 * 30
    assert not rows.select("clip_id", "frame").is_duplicated().any()
    truth = np.array(rows.filter(clip_id="05")["truth"].to_list(), np.float32)
    np.testing.assert_array_equal(truth, CLIPS.clips[5].movement)
    assert set(rows["viseme"]) <= {"SIL", "P"}
    assert set(shards.read(path.with_name("clips.parquet"))["emotion"]) == {"ANG", "SAD"}
    assert shards.read_provenance(path)["speaker_leaks"] is False


def test_the_tables_hold_every_system_with_intervals_and_paired_tests(written: Mapping[str, Path]) -> None:
    sums, scored = orofacial_tables.score(written)
    rows = {row["system"]: row for row in orofacial_tables.metric_rows(scored, sums, config())}
    assert list(rows) == [*OROFACIAL_SYSTEMS, "rest"]
    for system in OROFACIAL_SYSTEMS:
        assert rows[system]["aperture_r"] > 0.8
        assert rows[system]["aperture_r_low"] <= rows[system]["aperture_r"] <= rows[system]["aperture_r_high"]
        assert rows[system]["error_all"] < rows["rest"]["error_all"]
    assert rows["rest"]["viseme_uar"] is None
    assert rows["joint"]["viseme_uar"] > 0.6
    compared = orofacial_tables.comparison_rows(scored, sums, config())
    pairs = {(row["system"], row["against"]) for row in compared if row["measure"] == "ccc_all"}
    assert pairs == {("joint", "single"), ("cascade", "single"), ("cascade", "joint")}
    assert all(row["p"] <= row["p_holm"] <= 1 for row in compared)
    text = orofacial_tables.as_markdown(list(rows.values()), compared, "Test speakers are never in training.")
    assert "| cascade against joint" in text


def test_a_trunk_starts_from_a_pretext_encoder(tmp_path: Path) -> None:
    options = config(epochs=1, learning_rate=1e-9)
    pretext_checkpoint(tmp_path / "c.safetensors")
    body = read_trunk(tmp_path / "c.safetensors", CLIPS.channels, options.orofacial)
    model, _ = first_model("joint", CLIPS, options, body)
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
        read_trunk(tmp_path / "c.safetensors", channels, config(**now).orofacial)
