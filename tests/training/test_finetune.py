"""Fine-tuning: complete predictions, speakers apart, pairs, and mistakes with their fix."""

from pathlib import Path

import polars as pl
import pytest
import torch

from avpretext import shards
from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.training import checkpoint as checkpoints
from avpretext.training import finetune, pretrain
from avpretext.training.protocols import make_folds

from .conftest import CLASSES, TinyCorpus, config


def run(tiny: TinyCorpus, output: Path, checkpoint: Path | None = None, **changes: dict[str, object]) -> pl.DataFrame:
    name = "energy" if checkpoint else "scratch"
    finetune.run(name, checkpoint, tiny.speech, tiny.index, config(**changes), output, 1)
    return shards.read(output / "predictions.parquet")


@pytest.fixture(scope="module")
def checkpoint(tiny: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrained(tiny, tmp_path_factory.mktemp("pretrained"), config())


def pretrained(tiny: TinyCorpus, folder: Path, settings: Config) -> Path:
    labels = {"tiny": {"energy": tiny.labels["energy"]}}
    pretrain.run(["energy"], {"tiny": tiny.speech}, {"tiny": tiny.index}, labels, settings, folder, 1)
    return folder / "checkpoint.safetensors"


def test_every_labelled_clip_is_tested_once_per_seed(tiny: TinyCorpus, tmp_path: Path) -> None:
    predictions = run(tiny, tmp_path)
    for _, part in predictions.filter(split="test").group_by("seed"):
        assert sorted(part["clip_id"]) == sorted(row["clip_id"] for row in tiny.rows)
    truth = {row["clip_id"]: (row["speaker"], row["label"]) for row in tiny.rows}
    for row in predictions.iter_rows(named=True):
        assert truth[row["clip_id"]] == (row["speaker"], row["label"])
        assert row["predicted"] == CLASSES[max(range(3), key=row["probabilities"].__getitem__)]
        assert abs(sum(row["probabilities"]) - 1) < 1e-5
    assert shards.read_provenance(tmp_path / "predictions.parquet")["classes"] == list(CLASSES)
    assert predictions["fold"].unique().sort().to_list() == [0, 1, 2]
    assert predictions["seed"].unique().sort().to_list() == [0, 1]


def test_no_speaker_is_in_dev_and_test_of_a_fold(tiny: TinyCorpus, tmp_path: Path) -> None:
    predictions = run(tiny, tmp_path)
    for _, fold in predictions.group_by("fold"):
        dev, test = (set(fold.filter(split=split)["speaker"]) for split in ("dev", "test"))
        assert dev
        assert test
        assert not dev & test


def test_twice_the_same_run_gives_the_same_bytes(tiny: TinyCorpus, tmp_path: Path) -> None:
    run(tiny, tmp_path / "first")
    torch.rand(3)
    run(tiny, tmp_path / "second")
    for name in ("predictions.parquet", "history.parquet"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_what_can_be_heard_is_learnt(tiny: TinyCorpus, tmp_path: Path) -> None:
    test = run(
        tiny,
        tmp_path,
        finetune={"epochs": 30, "seeds": 1, "batch_size": 4, "learning_rate": 0.02, "mixup": 0, "time_mask": 0},
    ).filter(split="test")
    assert (test["label"] == test["predicted"]).mean() > 0.8  # type: ignore[operator]


def test_test_clips_choose_nothing(tiny: TinyCorpus, tmp_path: Path) -> None:
    """Other labels on the test clips of a fold change nothing of what is predicted for it."""
    plain = run(tiny, tmp_path / "plain")
    test_of_0 = set(plain.filter(fold=0, split="test")["speaker"])
    wrong = TinyCorpus(tmp_path / "wrong").write()
    for shard, path in enumerate(wrong.index):
        rows = shards.read(path).with_columns(
            label=pl.when(pl.col("speaker").is_in(list(test_of_0))).then(pl.lit("sad")).otherwise("label")
        )
        from avpretext import schemas

        shards.write_table(wrong.folder / f"index{shard}.parquet", rows, schemas.INDEX, {})
    changed = run(wrong, tmp_path / "changed").filter(fold=0)
    columns = ["seed", "split", "clip_id", "predicted", "probabilities"]
    assert changed.select(columns).equals(plain.filter(fold=0).select(columns))


def test_initialisations_are_pairs(tiny: TinyCorpus, checkpoint: Path) -> None:
    settings = config()
    clips = finetune.read_clips(tiny.speech, tiny.index, settings)
    body = checkpoints.read_body(checkpoint, clips.chunks.channels, settings)
    scratch = finetune.initial_network(clips, None, settings, 5).state_dict()
    pretrained = finetune.initial_network(clips, body, settings, 5).state_dict()
    heads = [name for name in scratch if name.startswith("heads.")]
    assert heads
    assert all(torch.equal(scratch[name], pretrained[name]) for name in heads)
    assert not torch.equal(scratch["encoder.blocks.0.conv.weight"], pretrained["encoder.blocks.0.conv.weight"])
    assert torch.equal(pretrained["encoder.blocks.0.conv.weight"], body.weights["encoder.blocks.0.conv.weight"])


def test_fine_tuning_starts_from_a_checkpoint(tiny: TinyCorpus, tmp_path: Path, checkpoint: Path) -> None:
    pretrained = run(tiny, tmp_path / "pretrained", checkpoint)
    scratch = run(tiny, tmp_path / "scratch")
    assert set(pretrained["initialisation"]) == {"energy"}
    key = ["fold", "seed", "split", "clip_id"]
    assert pretrained.select(key).equals(scratch.select(key))
    assert not pretrained["probabilities"].equals(scratch["probabilities"])


def test_only_a_body_that_heard_every_channel_learns_slower(tiny: TinyCorpus, tmp_path: Path, checkpoint: Path) -> None:
    whole = pretrained(tiny, tmp_path / "whole checkpoint", config(pretrain={"hidden_from": []}))
    for place, start, same in (("scratch", None, True), ("hidden", checkpoint, True), ("whole", whole, False)):
        fast, slow = (
            run(tiny, tmp_path / place / str(rate), start, finetune={"seeds": 1, "body_rate": rate})
            for rate in (1.0, 0.1)
        )
        assert fast["probabilities"].equals(slow["probabilities"]) == same


def test_a_checkpoint_of_another_model_is_an_error(tiny: TinyCorpus, tmp_path: Path, checkpoint: Path) -> None:
    with pytest.raises(UserError, match=r"model\.width = 8, now it is 16; pre-train again"):
        run(tiny, tmp_path, checkpoint, model={"width": 16})
    with pytest.raises(UserError, match=r"other channels than the corpus has \(F0final_sma, energy"):
        run(tiny, tmp_path, checkpoint, model={"channels": ["mfcc*"]})
    with pytest.raises(UserError, match="run that first"):
        run(tiny, tmp_path, tmp_path / "absent.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match="not a checkpoint"):
        run(tiny, tmp_path, tmp_path / "bad.safetensors")


def test_clips_without_label_are_left_out(tmp_path: Path) -> None:
    corpus = TinyCorpus(tmp_path)
    for row in corpus.rows[::5]:
        row["label"] = None
    corpus.write()
    predictions = run(corpus, tmp_path / "out", finetune={"seeds": 1}).filter(split="test")
    assert sorted(predictions["clip_id"]) == sorted(row["clip_id"] for row in corpus.rows if row["label"])


def test_a_corpus_without_labels_is_an_error(tmp_path: Path) -> None:
    corpus = TinyCorpus(tmp_path, speakers=3, clips_each=2)
    for row in corpus.rows:
        row["label"] = None
    corpus.write()
    with pytest.raises(UserError, match="none of the 6 clips of the corpus has a label"):
        run(corpus, tmp_path / "out")


def test_too_few_speakers_are_an_error_with_the_fix(tiny: TinyCorpus, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"6 speakers .* 7 folds .* set finetune\.folds to 6"):
        run(tiny, tmp_path, finetune={"folds": 7})


def test_a_class_that_only_test_speakers_show_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = TinyCorpus(tmp_path)
    corpus.rows[0]["label"] = "bored"
    corpus.write()
    clips = finetune.read_clips(corpus.speech, corpus.index, config())
    folds = make_folds(clips.chunks.speakers, config().finetune, 1)
    finetune.warn_of_missing_classes(clips, folds)
    assert capsys.readouterr().err.count("tests 'bored' and learns it from no clip") == 1
