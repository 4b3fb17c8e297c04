"""Fine-tuning: complete predictions, speakers apart, pairs, and mistakes with their fix."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from avpretext import shards
from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.models.losses import concordance
from avpretext.training import checkpoint as checkpoints
from avpretext.training import finetune, labelled_clips, pretrain
from avpretext.training.loop import mixed_precision
from avpretext.training.objectives import label_macro_f1
from avpretext.training.predictions import LabelledFolds

from .conftest import CLASSES, VALUES, TinyCorpus, config

EASY: dict[str, object] = {
    "epochs": 30, "seeds": 1, "batch_size": 4, "learning_rate": 0.02,
    "mixup": 0, "time_mask": 0, "noise": 0, "channel_dropout": 0,
}  # fmt: skip
WIDE: dict[str, object] = {"width": 16}
"""With both, what is learnt with any seed is far better than what the tests ask for: so it is on any processor."""


def run(
    tiny: TinyCorpus,
    output: Path,
    checkpoint: Path | Sequence[Path] = (),
    kind: str = "hard",
    threads: int = 1,
    **changes: dict[str, object],
) -> pl.DataFrame:
    name = "energy" if checkpoint else "scratch"
    targets = {tiny.name: tiny.targets(kind)}
    settings = config(**changes)
    starts = [checkpoint] if isinstance(checkpoint, Path) else list(checkpoint)
    finetune.run(name, starts, features(tiny), targets, tiny.folds, None, settings, output, threads)
    return shards.read(output / "predictions.parquet")


def features(*corpora: TinyCorpus) -> dict[str, dict[str, list[Path]]]:
    return {corpus.name: {"speech": corpus.speech} for corpus in corpora}


def read_clips(tiny: TinyCorpus) -> tuple[labelled_clips.LabelledClips, LabelledFolds]:
    labelled = LabelledFolds.read({tiny.name: tiny.targets()}, tiny.folds)
    return labelled_clips.read_clips(features(tiny), labelled, config()), labelled


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> TinyCorpus:
    """Three times as many clips of each speaker."""
    return TinyCorpus(tmp_path_factory.mktemp("larger"), clips_each=18).write()


@pytest.fixture
def checkpoint(pretrained_twice: list[Path]) -> Path:
    return pretrained_twice[0]


def pretrained(tiny: TinyCorpus, folder: Path, settings: Config) -> Path:
    labels = {"tiny": {"energy": tiny.labels["energy"]}}
    pretrain.run(["energy"], features(tiny), {"tiny": tiny.index}, labels, settings, folder, 1)
    return folder / "0" / "checkpoint.safetensors"


def test_every_labelled_clip_is_tested_once_per_seed(tiny: TinyCorpus, tmp_path: Path) -> None:
    predictions = run(tiny, tmp_path)
    for _, part in predictions.filter(split="test").group_by("seed"):
        assert sorted(part["clip_id"]) == sorted(row["clip_id"] for row in tiny.rows)
    truth = {row["clip_id"]: (row["speaker"], row["label"]) for row in tiny.rows}
    for row in predictions.iter_rows(named=True):
        assert truth[row["clip_id"]] == (row["speaker"], row["label"])
        assert row["predicted"] == CLASSES[max(range(3), key=row["probabilities"].__getitem__)]
        assert row["truth"] == VALUES["hard"][row["label"]]
        assert abs(sum(row["probabilities"]) - 1) < 1e-5
    assert predictions["fold"].unique().sort().to_list() == [0, 1, 2]
    assert predictions["seed"].unique().sort().to_list() == [0, 1]


def test_dev_and_test_are_those_of_the_folds(tiny: TinyCorpus, tmp_path: Path) -> None:
    predictions = run(tiny, tmp_path).filter(seed=0)
    expected = {(row["fold"], row["part"], row["clip_id"]) for row in tiny.fold_rows() if row["part"] != "train"}
    assert set(predictions.select("fold", "split", "clip_id").iter_rows()) == expected


def test_predictions_say_what_was_learnt_and_how_it_was_tested(tiny: TinyCorpus, tmp_path: Path) -> None:
    run(tiny, tmp_path, finetune={"epochs": 1, "seeds": 1})
    made_by = shards.read_provenance(tmp_path / "predictions.parquet")
    expected = {"kind": "hard", "classes": list(CLASSES), "target": "of tiny", "setting": "acted.speaker_kfold"}
    assert {**expected, "sentence": "By speaker.", "speaker_leaks": False}.items() <= made_by.items()


def test_twice_the_same_run_gives_the_same_bytes(tiny: TinyCorpus, tmp_path: Path) -> None:
    run(tiny, tmp_path / "first")
    torch.rand(3)
    run(tiny, tmp_path / "second")
    for name in ("predictions.parquet", "history.parquet"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


@pytest.mark.parametrize("encoder", ["conv", "blstm"])
def test_any_number_of_threads_gives_the_same_bytes(tiny: TinyCorpus, tmp_path: Path, encoder: str) -> None:
    for threads in (1, 2, 5):
        run(tiny, tmp_path / str(threads), threads=threads, model={"encoder": encoder}, finetune={"epochs": 2})
    for name in ("predictions.parquet", "history.parquet"):
        assert len({(tmp_path / threads / name).read_bytes() for threads in ("1", "2", "5")}) == 1


def test_progress_is_told_and_a_failed_run_named_with_several_threads(
    tiny: TinyCorpus, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tiny, tmp_path, threads=2, finetune={"epochs": 1})
    assert "finetune acted.speaker_kfold from scratch: 6/6 runs" in capfd.readouterr().err
    monkeypatch.setattr(finetune, "make_objective", lambda *_: 1 / 0)
    with pytest.raises(RuntimeError, match=r"finetune: fold 0, seed [01]: ZeroDivisionError"):
        run(tiny, tmp_path, threads=2)


def test_mixed_precision_without_a_gpu_is_said_once_and_changes_nothing(
    tiny: TinyCorpus, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mixed_precision.cache_clear()
    for precision in ("float32", "mixed"):
        run(tiny, tmp_path / precision, threads=2, finetune={"epochs": 1, "precision": precision})
    first, second = (shards.read(tmp_path / name / "predictions.parquet") for name in ("float32", "mixed"))
    assert first.equals(second)
    assert capfd.readouterr().err.count("precision: mixed is for a GPU alone: float32 on cpu") == 1


def test_what_can_be_heard_is_learnt(tiny: TinyCorpus, tmp_path: Path) -> None:
    test = run(tiny, tmp_path, model=WIDE, finetune=EASY).filter(split="test")
    assert (test["label"] == test["predicted"]).mean() > 0.6  # type: ignore[operator]


@pytest.mark.parametrize("changes", [{}, {"mixup": 0.4, "label_smoothing": 0.0, "class_balance": False}])
def test_sets_of_labels_are_learnt(larger: TinyCorpus, tmp_path: Path, changes: dict[str, object]) -> None:
    test = run(larger, tmp_path, kind="multi_label", model=WIDE, finetune={**EASY, **changes}).filter(split="test")
    actual, probabilities = (torch.tensor(test[name].to_list()) for name in ("truth", "probabilities"))
    everything = label_macro_f1(actual > 0.5, torch.ones_like(actual) > 0)
    assert label_macro_f1(actual > 0.5, probabilities >= 0.5) > 0.75 > 0.65 > everything
    for row in test.iter_rows(named=True):
        named = [name for name, value in zip(CLASSES, row["probabilities"], strict=True) if value >= 0.5]
        assert row["predicted"] == "+".join(named)
        assert row["truth"] == VALUES["multi_label"][row["label"]]


@pytest.mark.parametrize("changes", [{}, {"mixup": 0.4, "label_smoothing": 0.0, "class_balance": False}])
def test_shares_are_learnt(larger: TinyCorpus, tmp_path: Path, changes: dict[str, object]) -> None:
    test = run(larger, tmp_path, kind="distribution", model=WIDE, finetune={**EASY, **changes}).filter(split="test")
    actual, shares = (torch.tensor(test[name].to_list()) for name in ("truth", "probabilities"))
    assert float((actual.argmax(1) == shares.argmax(1)).double().mean()) > 0.6
    assert float((actual - shares).abs().mean()) < 0.6 * float((actual - actual.mean(0)).abs().mean())
    assert torch.allclose(shares.sum(1), torch.ones(len(shares)))
    largest = [CLASSES[place] for place in shares.argmax(1).tolist()]
    assert test["predicted"].to_list() == largest


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_an_attribute_is_learnt_in_its_own_unit(tiny: TinyCorpus, tmp_path: Path, mixup: float) -> None:
    test = run(tiny, tmp_path, kind="attribute", model=WIDE, finetune={**EASY, "mixup": mixup}).filter(split="test")
    actual, predicted = (torch.tensor(test[name].to_list()).squeeze(1) for name in ("truth", "probabilities"))
    assert set(actual.tolist()) == {10.0, 15.0, 20.0}
    assert float(concordance(predicted, actual)) > 0.8
    assert test["label"].is_null().all()
    assert test["predicted"].is_null().all()


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_test_clips_choose_nothing(tmp_path: Path, kind: str) -> None:
    """Other targets of the test clips of a fold change nothing of what is predicted for it."""
    corpus = TinyCorpus(tmp_path / "corpus").write()
    corpus.write_folds([row for row in corpus.fold_rows() if row["fold"] == 0])
    quick: dict[str, object] = {"seeds": 1, "epochs": 3}
    plain = run(corpus, tmp_path / "plain", kind=kind, finetune=quick)
    tested = set(plain.filter(split="test")["speaker"])
    for row in corpus.rows:
        if row["speaker"] in tested:
            row["label"] = "sad"
    corpus.write_targets(kind)
    changed = run(corpus, tmp_path / "changed", kind=kind, finetune=quick)
    columns = ["seed", "split", "clip_id", "predicted", "probabilities"]
    assert not changed["truth"].equals(plain["truth"])
    assert changed.select(columns).equals(plain.select(columns))


def test_without_dev_clips_the_last_epoch_predicts_whatever_patience_says(tmp_path: Path) -> None:
    corpus = TinyCorpus(tmp_path / "corpus").write()
    without = [row for row in corpus.fold_rows() if row["part"] != "dev"]
    corpus.write_folds(without)
    quick: dict[str, object] = {"seeds": 1, "epochs": 6, "learning_rate": 0.5}
    first, second = (
        run(corpus, tmp_path / str(patience), finetune={**quick, "patience": patience}) for patience in (1, 6)
    )
    assert set(first["split"]) == {"test"}
    assert first.equals(second)
    history = shards.read(tmp_path / "1" / "history.parquet")
    assert set(history["split"]) == {"train"}
    assert history.filter(fold=0)["epoch"].to_list() == [1, 2, 3, 4, 5, 6]


def test_dropped_clips_are_used_by_nobody(tmp_path: Path) -> None:
    corpus = TinyCorpus(tmp_path / "corpus").write()
    rows = [row for row in corpus.fold_rows() if row["fold"] == 0]
    gone = next(row["clip_id"] for row in rows if row["part"] == "train")
    dropped = [{**row, "part": "dropped"} if row["clip_id"] == gone else row for row in rows]
    results = {}
    for name, changed in (("all", rows), ("dropped", dropped), ("absent", [r for r in rows if r["clip_id"] != gone])):
        corpus.write_folds(changed)
        results[name] = run(corpus, tmp_path / name, model={"normalise": "speaker"}, finetune={"seeds": 1, "epochs": 2})
    assert results["dropped"].equals(results["absent"])
    assert not results["dropped"].equals(results["all"])


def test_one_corpus_is_learnt_and_another_tested(tmp_path: Path) -> None:
    ours = TinyCorpus(tmp_path / "ours", name="ours").write()
    theirs = TinyCorpus(tmp_path / "theirs", name="theirs", speakers=3).write()
    # Their classes have another order and one more, which only they know.
    theirs.write_targets(
        "hard", ("sad", "bored", "happy", "angry"), angry=[0, 0, 0, 1], happy=[0, 0, 1, 0], sad=[1, 0, 0, 0]
    )
    parts = [(row, "dev" if row["speaker"] == "s0" else "train") for row in ours.rows]
    rows = [{**row, "fold": 0, "name": "theirs", "corpus": "ours", "part": part} for row, part in parts]
    rows += [{**row, "fold": 0, "name": "theirs", "corpus": "theirs", "part": "test"} for row in theirs.rows]
    folds = theirs.write_folds(rows)
    finetune.run(
        "scratch",
        [],
        features(ours, theirs),
        {"ours": ours.targets(), "theirs": theirs.targets()},
        folds,
        None,
        config(model=WIDE, finetune=EASY),
        tmp_path / "out",
        1,
    )
    predictions = shards.read(tmp_path / "out" / "predictions.parquet")
    test = predictions.filter(split="test")
    assert test["clip_id"].to_list() == sorted(row["clip_id"] for row in theirs.rows)
    assert set(test["speaker"]) == {"s0", "s1", "s2"}
    assert (test["label"] == test["predicted"]).mean() > 0.6  # type: ignore[operator]
    assert test.filter(label="sad")["truth"].to_list()[0] == [0, 0, 0, 1]
    made_by = shards.read_provenance(tmp_path / "out" / "predictions.parquet")
    assert made_by["classes"] == ["angry", "bored", "happy", "sad"]
    assert made_by["target"] == "of theirs"


def test_features_or_targets_that_are_missing_are_told(tiny: TinyCorpus, tmp_path: Path) -> None:
    targets = {"tiny": tiny.targets()}
    other = {"other": {"speech": tiny.speech}}
    with pytest.raises(UserError, match="the folds name tiny, of which no features are given"):
        finetune.run("scratch", [], other, targets, tiny.folds, None, config(), tmp_path, 1)
    known = {"other": tiny.targets()}
    with pytest.raises(UserError, match="36 clips of the folds have no target, such as tiny/s0_0"):
        finetune.run("scratch", [], features(tiny), known, tiny.folds, None, config(), tmp_path, 1)


def test_initialisations_are_pairs(tiny: TinyCorpus, checkpoint: Path) -> None:
    settings = config()
    clips, _ = read_clips(tiny)
    body = checkpoints.read_body(checkpoint, clips.chunks.channels, settings)
    every = np.arange(len(clips.chunks.clip_ids))
    scratch = finetune.initial_network(clips, None, settings, 5, every).state_dict()
    pretrained = finetune.initial_network(clips, body, settings, 5, every).state_dict()
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


def test_runs_take_turns_over_pretrainings(tiny: TinyCorpus, tmp_path: Path, pretrained_twice: list[Path]) -> None:
    four: dict[str, object] = {"seeds": 4, "epochs": 1}
    both = run(tiny, tmp_path / "both", pretrained_twice, finetune=four)
    assert set(both.select("seed", "pretraining").unique().rows()) == {(0, 0), (1, 1), (2, 0), (3, 1)}
    for place, start in enumerate(pretrained_twice):
        alone = run(tiny, tmp_path / str(place) / "alone", start, finetune=four)
        assert set(alone["pretraining"]) == {0}
        turns = pl.col("seed") % 2 == place
        assert both.filter(turns)["probabilities"].equals(alone.filter(turns)["probabilities"])
    scratch = run(tiny, tmp_path / "scratch", finetune=four)
    assert scratch["pretraining"].is_null().all()
    assert not scratch["probabilities"].equals(both["probabilities"])


def test_only_a_body_that_heard_every_channel_learns_slower(tiny: TinyCorpus, tmp_path: Path, checkpoint: Path) -> None:
    whole = pretrained(tiny, tmp_path / "whole checkpoint", config(pretrain={"hidden_from": []}))
    for place, start, same in (("scratch", (), True), ("hidden", checkpoint, True), ("whole", whole, False)):
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


def test_a_class_that_only_test_speakers_show_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = TinyCorpus(tmp_path)
    corpus.rows[0]["label"] = "bored"
    corpus.write()
    hard = {name: [0.0, *values] for name, values in VALUES["hard"].items()}
    corpus.write_targets("hard", ("bored", *CLASSES), **hard, bored=[1.0, 0, 0, 0])
    clips, labelled = read_clips(corpus)
    labelled_clips.warn_of_missing_classes(clips, labelled.table.folds)
    assert capsys.readouterr().err.count("tests 'bored' and learns it from no clip") == 1
