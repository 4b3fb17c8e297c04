"""Pooled features of a pre-trained encoder are learnt from; the weights of the layers find the one that tells."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avpretext import shards
from avpretext.config import ChunkOptions, Config
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.options.base import settled
from avpretext.options.pretrained_encoders import EncoderOptions
from avpretext.training import baseline, export, finetune, model_folder, pooled, pretrain
from avpretext.training.baseline import read_clips
from avpretext.training.batches import normalise
from avpretext.training.data import load_pooled
from avpretext.training.frames import read_frames
from avpretext.training.predictions import LabelledFolds

from . import encoded
from .conftest import TinyCorpus, config, frames_of


@pytest.fixture
def tiny(tmp_path: Path) -> TinyCorpus:
    return TinyCorpus(tmp_path).write()


def learning(**changes: Any) -> Config:
    training = {"epochs": 40, "patience": 40, "batch_size": 8, "learning_rate": 0.03, "mixup": 0.0}
    heard = {"features": ["tiny"], "encoder": "layers", "width": 8}
    groups = {"model": heard, "finetune": {**training, "seeds": 2}, "pretrain": training}
    return config(**{**groups, **changes})


def speakers(tiny: TinyCorpus) -> dict[str, str]:
    return {row["clip_id"]: row["speaker"] for row in tiny.rows}


def run(tiny: TinyCorpus, output: Path, settings: Config, starts: list[Path] | None = None, threads: int = 1) -> Path:
    features = {"tiny": {"tiny": encoded.write(tiny)}}
    finetune.run("scratch", starts, features, {"tiny": tiny.targets()}, tiny.folds, None, settings, output, threads)
    return output


def test_clips_are_read_as_they_are_stored(tiny: TinyCorpus):
    paths = encoded.write(tiny)
    found = load_pooled(paths, speakers(tiny), encoded.GRID)
    row = found.clip_ids.index("s1_4")
    lines = encoded.lines_of({"clip_id": "s1_4", "label": "happy"}, 3)
    expected = np.stack([line["values"] for line in lines]).reshape(3, encoded.LAYERS, encoded.SIZE)
    assert found.steps[row].numpy().tolist() == expected.tolist()
    assert found.steps.dtype == torch.float16
    assert found.moments[0].max(1).tolist() == [50.0] * len(tiny.rows)  # of 10 ms
    assert (found.layers, found.channels[1], found.speakers[row]) == (4, "tiny[1]", "s1")


def test_each_layer_is_normalised_by_itself(tiny: TinyCorpus):
    chunks = load_pooled(encoded.write(tiny), speakers(tiny), encoded.GRID)
    train = np.arange(20)
    mean, deviation = chunks.mean_and_deviation(train)
    raw = chunks.steps[train].double().numpy().reshape(-1, encoded.LAYERS * encoded.SIZE)
    assert mean == pytest.approx(raw.mean(0))
    assert deviation == pytest.approx(raw.std(0))
    expected = ((raw - raw.mean(0)) / raw.std(0)).clip(-3, 3)
    found = normalise(chunks, train, "train").index_select(0, torch.from_numpy(train)).numpy().reshape(expected.shape)
    assert found == pytest.approx(expected, abs=2e-3)


def test_the_layer_that_tells_gets_the_weight_and_the_classes_are_learnt(tmp_path: Path):
    tiny = TinyCorpus(tmp_path, clips_each=18).write()
    output = run(tiny, tmp_path / "tuned", learning())
    history = shards.read(output / "history.parquet")
    weights = history.filter(history["measure"].str.starts_with("layer["))
    assert weights.height == 3 * 2 * encoded.LAYERS
    for _, of_run in weights.group_by("fold", "seed"):
        assert of_run["value"].sum() == pytest.approx(1, abs=1e-5)
        assert of_run.sort("value")["measure"].to_list()[-1] == f"layer[{encoded.TELLING}]"
    predictions = shards.read(output / "predictions.parquet").filter(split="test")
    assert (predictions["predicted"] == predictions["label"]).mean() > 0.9


def test_the_number_of_processes_changes_no_byte(tiny: TinyCorpus, tmp_path: Path):
    settings = learning(finetune={"epochs": 3, "seeds": 2, "batch_size": 8})
    one, two = (run(tiny, tmp_path / str(threads), settings, threads=threads) for threads in (1, 2))
    for name in ("predictions.parquet", "history.parquet"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_pre_training_on_chunks_starts_fine_tuning_layers_and_all(tiny: TinyCorpus, tmp_path: Path):
    settings = learning(pretrain={"epochs": 2, "seeds": 1, "clusters": {"count": 3}})
    features = {"tiny": {"tiny": encoded.write(tiny)}}
    labels = {"tiny": {task: tiny.folder / f"{task}.parquet" for task in ("energy", "activation")}}
    index = {"tiny": [tiny.folder / "index0.parquet", tiny.folder / "index1.parquet"]}
    tasks = ["energy", "activation", "clusters"]
    pretrain.run(tasks, features, index, labels, settings, tmp_path / "pretrained", 1)
    history = shards.read(tmp_path / "pretrained" / "history.parquet")
    assert history.filter(history["measure"].str.starts_with("layer[")).height == encoded.LAYERS
    start = tmp_path / "pretrained" / "0" / "checkpoint.safetensors"
    run(tiny, tmp_path / "tuned", settings, [start])
    other = encoded.write(tiny, models={"model.safetensors": "cd" * 32})
    tables = {"tiny": tiny.targets()}
    with pytest.raises(UserError, match="was pre-trained on features of tiny with other weights or options"):
        finetune.run("a", [start], {"tiny": {"tiny": other}}, tables, tiny.folds, None, settings, tmp_path / "other", 1)
    speech = learning(model={"encoder": "conv", "width": 8, "layers": 1})
    with pytest.raises(UserError, match="was pre-trained on those of tiny; pre-train again"):
        finetune.run(
            "a", [start], {"tiny": {"speech": tiny.speech}}, tables, tiny.folds, None, speech, tmp_path / "speech", 1
        )


def test_one_mean_per_clip_is_learnt_too(tmp_path: Path):
    tiny = TinyCorpus(tmp_path, clips_each=18).write()
    features = {"tiny": {"tiny": encoded.write(tiny, pool="clip")}}
    tables = {"tiny": tiny.targets()}
    finetune.run("scratch", None, features, tables, tiny.folds, None, learning(), tmp_path / "clip", 1)
    predictions = shards.read(tmp_path / "clip" / "predictions.parquet").filter(split="test")
    assert (predictions["predicted"] == predictions["label"]).mean() > 0.9


def test_support_vector_machines_learn_the_mean_over_chunks_and_layers(tiny: TinyCorpus, tmp_path: Path):
    labelled = LabelledFolds.read({"tiny": tiny.targets()}, tiny.folds)
    paths = encoded.write(tiny)
    clips = read_clips({"tiny": paths}, labelled, "tiny")
    values = pooled.read(paths, speakers(tiny)).values.astype(np.float64)
    assert clips.vectors == pytest.approx(values.mean((1, 2)), rel=1e-6)
    options = learning(baseline={"vectors": ["tiny"], "costs": {"linear": [1.0]}}).baseline
    vectors, targets = {"tiny": {"tiny": paths}}, {"tiny": tiny.targets()}
    baseline.run(vectors, targets, tiny.folds, options, tmp_path / "svm.parquet")
    rows = shards.read(tmp_path / "svm.parquet").filter(split="test")
    assert rows["initialisation"].unique().to_list() == ["svm_tiny"]
    assert (rows["predicted"] == rows["label"]).mean() > 0.6


def test_an_exported_model_names_the_encoder_and_its_layers(tiny: TinyCorpus, tmp_path: Path):
    settings = learning(export={"networks": 2})
    features = {"tiny": {"tiny": encoded.write(tiny)}}
    targets = {"tiny": tiny.targets()}
    export.run("scratch", features, targets, tiny.folds, None, None, settings, tmp_path / "model", 1)
    said = model_folder.read_description(tmp_path / "model")
    assert said.encoder is not None
    assert said.encoder.digests == {"model.safetensors": "ab" * 32}
    assert said.encoder.layers == [0, 1, 2, 3]
    assert sum(said.encoder.weights) == pytest.approx(1, abs=1e-5)
    assert int(np.argmax(said.encoder.weights)) == encoded.TELLING
    assert said.corpora["tiny"].hours == pytest.approx(36 * 0.5 / 3600, abs=1e-4)
    trained = model_folder.read(tmp_path / "model")
    assert trained.normalisation is not None
    assert trained.normalisation.mean.shape == (encoded.LAYERS * encoded.SIZE,)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"chunks": ChunkOptions(length_s=0.3, count=3).model_dump()},
            "chunks of another grid than `chunks` describes",
        ),
        ({"options": {"pool": "frames"}}, "no pooled features of a pre-trained encoder"),
    ],
)
def test_shards_that_do_not_fit_are_refused(tiny: TinyCorpus, changes: dict[str, Any], said: str):
    paths = encoded.write(tiny, **{name: value for name, value in changes.items() if name != "options"})
    if "options" in changes:
        paths = tiny.speech
    with pytest.raises(UserError, match=said):
        pooled.read(paths, speakers(tiny), encoded.GRID)


def test_shards_of_two_models_are_refused(tiny: TinyCorpus):
    first, second = encoded.write(tiny)
    encoded.write_shard(second, tiny.rows[1::2], layers=[3, 2, 1, 0])
    with pytest.raises(UserError, match=rf"{second}: other layers than {first}; redo the stage encoder"):
        pooled.read([first, second], speakers(tiny))
    with pytest.raises(UserError, match="none of 1 clips is in the shards of encoder tiny"):
        pooled.read([first], ["nobody"])


def test_rows_stand_beside_other_features_on_the_clock(tiny: TinyCorpus):
    path = tiny.folder / "rows.parquet"
    options = EncoderOptions(pool="frames")
    said = {"encoder": "tiny", "kind": "wavlm", "hub": None, "layers": [1], "size": 2, "chunks": None}
    lengths = {row["clip_id"]: len(frames_of(row)) for row in tiny.rows}
    rows = [
        {"clip_id": clip_id, "frame": row, "time_s": 0.0125 + 0.02 * row, "values": np.float16([row, -row])}
        for clip_id, frames in lengths.items()
        for row in range(frames // 2 - 1)
    ]
    schema = schema_of("encoder", types={"values": "halffloat[2]"})
    shards.write_table(path, rows, schema, provenance("encoder", settled(options), {}, **said))
    store = read_frames({"speech": tiny.speech, "tiny": [path]}, lengths, ["F0*", "tiny*"])
    assert store.channels == ["F0final_sma", "tiny[0]", "tiny[1]"]
    assert store.clip(0)[:6, 1].tolist() == [0, 0, 0, 1, 1, 2]  # of the rows at 12.5, 32.5 and 52.5 ms the nearest
    assert store.clip(0)[:6, 2].tolist() == [0, 0, 0, -1, -1, -2]
