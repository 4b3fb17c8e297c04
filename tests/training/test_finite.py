"""NaN and infinity are errors where they appear: in losses, weights, files of weights, predictions and scores."""

import json
import math
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.orofacial import toy as orofacial

from avpretext import shards
from avpretext.config import EvaluateOptions
from avpretext.errors import UserError
from avpretext.evaluation import evaluate
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.orofacial.movement_training import read_trunk
from avpretext.orofacial.orofacial_model import read_model, write_model
from avpretext.training import checkpoint as checkpoints
from avpretext.training import export, finite, model_folder, weight_files
from avpretext.training.deepemocluster import Optimisers
from avpretext.training.predictions import Prediction, Run

from . import test_baseline, test_deepemocluster, test_ensemble, test_finetune
from .conftest import TinyCorpus, config

TOO_FAST = {"learning_rate": 1e20, "epochs": 3}
DIVERGED = r"epoch [123]: (training has diverged, the loss is|.* holds) .*{}\.learning_rate, now 1e\+20"

Harm = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]


def with_nan(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    name = next(name for name, value in tensors.items() if "lstm" in name or "conv" in name or name == "fc1.weight")
    tensors[name].view(-1)[3] = math.nan
    return tensors


def with_infinity(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    name = next(name for name in reversed(tensors) if name.endswith("weight"))
    tensors[name].view(-1)[0] = -math.inf
    return tensors


def without_any(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in tensors.items() if not name.startswith(("best.", "network."))}


def without_one(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    gone = next(name for name in tensors if name.startswith(("best.encoder", "network.")) and "weight" in name)
    return {name: value for name, value in tensors.items() if name != gone}


def of_other_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.replace("best.encoder.", "best.body."): value for name, value in tensors.items()}


def of_another_shape(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    name = next(name for name in tensors if name.startswith("best.encoder") and tensors[name].dim() > 1)
    return tensors | {name: tensors[name][:1].contiguous()}


def harmed(path: Path, harm: Harm) -> Path:
    """Change the tensors of a checkpoint, and leave what it says of itself."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file(harm(load_file(path)), path, metadata)
    return path


def pretrained(tiny: TinyCorpus, output: Path, **changes: Any) -> Path:
    return test_finetune.pretrained(tiny, output, config(pretrain=changes))


@pytest.mark.parametrize("kind", ["hard", "multi_label", "distribution", "attribute"])
def test_fine_tuning_that_diverges_names_fold_seed_epoch_and_rate(tiny: TinyCorpus, tmp_path: Path, kind: str) -> None:
    with pytest.raises(UserError, match=r"^finetune: fold 0, seed 0, " + DIVERGED.format("finetune")):
        test_finetune.run(tiny, tmp_path, kind=kind, finetune=TOO_FAST)
    assert not (tmp_path / "predictions.parquet").exists()


def test_it_is_told_from_another_process_too(tiny: TinyCorpus, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^finetune: fold 0, seed [01], " + DIVERGED.format("finetune")):
        test_finetune.run(tiny, tmp_path, threads=2, finetune=TOO_FAST)


def test_pre_training_that_diverges_writes_no_checkpoint(tiny: TinyCorpus, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^pretrain energy, seed 0, " + DIVERGED.format("pretrain")):
        pretrained(tiny, tmp_path, **TOO_FAST)
    assert not list(tmp_path.rglob("checkpoint.safetensors"))


def test_an_export_that_diverges_writes_no_model(tiny: TinyCorpus, tmp_path: Path) -> None:
    features, targets = test_finetune.features(tiny), {tiny.name: tiny.targets()}
    with pytest.raises(UserError, match=r"^export: network 0, " + DIVERGED.format("finetune")):
        export.run("scratch", features, targets, tiny.folds, {}, {}, config(finetune=TOO_FAST), tmp_path, 1)
    assert not list(tmp_path.iterdir())


def test_an_orofacial_system_that_diverges_is_told() -> None:
    with pytest.raises(UserError, match=r"^orofacial joint: fold \d+, seed 0, " + DIVERGED.format("orofacial")):
        orofacial.first_model("joint", orofacial.toy(clips=12), orofacial.config(**TOO_FAST))


def test_deepemocluster_that_diverges_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = test_deepemocluster.one_fold(tmp_path)
    monkeypatch.setattr(Optimisers, "name_clusters", lambda *_: math.nan)
    with pytest.raises(UserError, match=r"^deepemocluster: fold 0, seed 0, epoch 1: training has diverged"):
        test_deepemocluster.run(corpus, tmp_path / "out")


@pytest.mark.parametrize(("loss", "told"), [(math.nan, True), (math.inf, True), (500.0, True), (90.0, False)])
def test_a_loss_that_is_finite_and_huge_has_diverged_too(loss: float, told: bool) -> None:
    if not told:
        finite.check_loss(loss, 1.8, "here", None)
        return
    with pytest.raises(UserError, match=r"^here: .*\(at the start 1\.8\); lower finetune\.learning_rate"):
        finite.check_loss(loss, 1.8, "here", "finetune.learning_rate")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (with_nan, r"encoder\S* holds nan"),
        (with_infinity, "holds -inf"),
        (without_any, r"Missing key.*encoder\.\S+, .* \.\.\."),
        (without_one, r"Missing key.*encoder\.\S+;"),
        (of_other_names, r"Missing key.* \.\.\."),
        (of_another_shape, "size mismatch for"),
    ],
)
def test_a_checkpoint_whose_weights_are_not_those_of_the_model_starts_nothing(
    tiny: TinyCorpus, tmp_path: Path, pretrained_twice: list[Path], harm: Harm, says: str
) -> None:
    path = harmed(Path(shutil.copy(pretrained_twice[0], tmp_path)), harm)
    with pytest.raises(UserError, match=rf"checkpoint\.safetensors: .*{says}"):
        test_finetune.run(tiny, tmp_path / "out", path)


def test_the_trunk_of_an_orofacial_system_needs_its_weights(tmp_path: Path) -> None:
    path, channels = tmp_path / "c.safetensors", ["one", "two", "three"]
    orofacial.pretext_checkpoint(path)
    options = orofacial.config().orofacial
    assert read_trunk(path, channels, options)
    harmed(path, without_any)
    with pytest.raises(UserError, match=r"Missing key.*weight_ih_l0"):
        read_trunk(path, channels, options)


def test_what_is_not_finite_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a holds nan; it is not written"):
        checkpoints.write(tmp_path / "c.safetensors", {"a": torch.tensor([1.0, math.nan])}, {})
    assert not list(tmp_path.iterdir())


def test_what_a_checkpoint_says_is_json_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    rows = [(1, "dev", "uar", math.nan), (1, "dev", "loss", 0.5)]
    checkpoints.write(path, {"a": torch.ones(1)}, {"best_score": -math.inf, "history": rows})
    length = struct.unpack("<Q", path.read_bytes()[:8])[0]
    header = json.loads(path.read_bytes()[8 : 8 + length])
    json.loads(header["__metadata__"]["avpretext"], parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    _, said = checkpoints.read(path)
    assert float(said["best_score"]) == -math.inf
    history = checkpoints.read_history(said["history"])
    assert math.isnan(history[0].value)
    assert history[1].value == 0.5


@pytest.mark.parametrize(("harm", "says"), [(with_nan, "holds nan"), (without_one, "(Missing key|is missing)")])
def test_a_model_folder_is_checked_when_it_is_read(tiny: TinyCorpus, tmp_path: Path, harm: Harm, says: str) -> None:
    features, targets = test_finetune.features(tiny), {tiny.name: tiny.targets()}
    settings = config(finetune={"epochs": 1}, export={"networks": 1})
    export.run("scratch", features, targets, tiny.folds, {}, {}, settings, tmp_path, 1)
    weights = harmed(tmp_path / model_folder.WEIGHTS, harm)
    said = json.loads((tmp_path / model_folder.DESCRIPTION).read_text("utf-8"))
    said["weights_sha256"] = model_folder.hashlib.sha256(weights.read_bytes()).hexdigest()
    (tmp_path / model_folder.DESCRIPTION).write_text(json.dumps(said), "utf-8")
    with pytest.raises(UserError, match=says):
        model_folder.read(tmp_path)


@pytest.mark.parametrize(("harm", "says"), [(with_nan, "holds nan"), (without_one, "(Missing key|is missing)")])
def test_an_orofacial_model_is_checked_when_it_is_read(tmp_path: Path, harm: Harm, says: str) -> None:
    model, _ = orofacial.first_model("joint", orofacial.toy(clips=12), orofacial.config(epochs=1))
    write_model(model, tmp_path)
    read_model(tmp_path)
    harmed(tmp_path / "weights.safetensors", harm)
    with pytest.raises(UserError, match=says):
        read_model(tmp_path)
    with torch.no_grad():
        next(iter(model.network.parameters())).fill_(math.nan)
    with pytest.raises(UserError, match="an orofacial model says: a value is nan"):
        model.predict(orofacial.toy(clips=1).clips[0].steps)


def test_published_weights_with_nan_are_refused(tmp_path: Path) -> None:
    torch.save(with_nan({"fc1.weight": torch.ones(2, 3)}), tmp_path / "w.pth.tar")
    with pytest.raises(UserError, match=r"w\.pth\.tar: fc1\.weight holds nan"):
        weight_files.read_weights(tmp_path / "w.pth.tar")


def test_vectors_with_nan_name_their_clip(tmp_path: Path) -> None:
    corpus = TinyCorpus(tmp_path).write()
    rows = shards.read(test_baseline.functionals_of(corpus))
    values = rows["values"].to_list()
    values[3][0] = math.inf
    made_by = provenance("functionals", {}, names=["x"] * test_baseline.D)
    broken = rows.with_columns(values=pl.Series(values, dtype=pl.List(pl.Float32)))
    shards.write_table(tmp_path / "functionals.parquet", broken, schema_of("functionals"), made_by)
    with pytest.raises(UserError, match=f"functionals of tiny/{rows['clip_id'][3]}: a value is inf"):
        test_baseline.run(corpus, tmp_path / "out.parquet")


@pytest.mark.parametrize("wrong", [math.nan, math.inf, None])
def test_predictions_that_are_not_finite_are_neither_averaged_nor_scored(tmp_path: Path, wrong: float | None) -> None:
    rows = [test_ensemble.row("scratch", 0, clip, 0.9) for clip in "xyz"]
    rows[1]["probabilities"] = [wrong, 0.5]
    says = rf"^scratch, fold 0, seed 0, split test, clip_id y: predicts \[{wrong}, 0\.5\], and so 1 of 3 rows"
    with pytest.raises(UserError, match=says):
        test_ensemble.run(tmp_path, [["scratch"]], scratch=rows)
    with pytest.raises(UserError, match=says):
        evaluate.run([tmp_path / "scratch.parquet"], EvaluateOptions(), 0, tmp_path / "scores")
    assert not (tmp_path / "scores").exists()


def test_a_network_that_says_nan_is_told_before_it_is_written(tiny: TinyCorpus, tmp_path: Path) -> None:
    clips, labelled = test_finetune.read_clips(tiny)
    part = Prediction("test", [clips.chunks.clip_ids[0]], np.full((1, 3), np.nan, np.float32))
    with pytest.raises(UserError, match="prediction of initialisation x, fold 2, seed 1, test: a value is nan"):
        list(labelled.rows("x", Run(2, 1, [part], [])))


def test_a_system_that_predicts_one_class_alone_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [test_ensemble.row("scratch", seed, clip, 0.9) for seed in (0, 1) for clip in "wxyz"]
    for number, row in enumerate(rows):
        row |= {"label": "ab"[number % 2], "truth": [[1.0, 0.0], [0.0, 1.0]][number % 2], "speaker": f"s{number % 4}"}
    rows[-1]["predicted"] = "b"
    made_by = provenance("finetune", {}, kind="hard", classes=["a", "b"], target="acted", setting="acted.chou")
    shards.write_table(tmp_path / "p.parquet", rows, schema_of("finetune.predictions"), made_by)
    evaluate.run([tmp_path / "p.parquet"], EvaluateOptions(), 0, tmp_path / "scores")
    told = capsys.readouterr().err
    assert "scratch predicts the same for all test clips in 1 of 2 runs, such as fold 0, seed 0" in told


def test_numbers_of_the_configuration_are_finite() -> None:
    with pytest.raises(UserError, match=r"finetune\.learning_rate = inf"):
        config(finetune={"learning_rate": math.inf})
