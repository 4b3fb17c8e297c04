"""The stage `evaluate`, from prediction files to its four artefacts."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from avpretext import shards
from avpretext.config import EvaluateOptions
from avpretext.errors import UserError
from avpretext.evaluation import evaluate
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance

OPTIONS = EvaluateOptions(bootstrap=200, permutations=500)
CLASSES = ["anger", "fear", "neutral"]


def write_predictions(
    path: Path, initialisation: str, skill: float, speakers: int = 6, seeds: int = 2, **changes: Any
) -> Path:
    """Write predictions of two folds, right with the given probability."""
    rng = np.random.default_rng(len(initialisation))
    rows = [
        {"initialisation": initialisation, "fold": speaker % 2, "seed": seed, "split": split, "speaker": f"s{speaker}",
         "clip_id": f"s{speaker}-{label}-{take}", "label": label,
         "predicted": label if rng.random() < skill else str(rng.choice(CLASSES)), "probabilities": [1.0, 0.0, 0.0],
         **changes}
        for speaker in range(speakers)
        for seed in range(seeds)
        for split in ("dev", "test")
        for label in CLASSES
        for take in range(3)
    ]  # fmt: skip
    shards.write_table(path, rows, schema_of("finetune.predictions"), provenance("finetune"))
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [
        write_predictions(tmp_path / "energy.parquet", "energy", 0.9),
        write_predictions(tmp_path / "scratch.parquet", "scratch", 0.4),
    ]


def test_scores_are_those_of_scikit_learn_on_the_test_clips(files: list[Path], tmp_path: Path) -> None:
    evaluate.run(files, OPTIONS, 1, tmp_path / "out")
    test = shards.read(files[0]).filter(pl.col("split") == "test")
    runs = shards.read(tmp_path / "out" / "runs.parquet")
    one = runs.filter(initialisation="energy", fold=1, seed=0, measure="macro_f1")["value"].item()
    of_run = test.filter(fold=1, seed=0)
    assert one == pytest.approx(f1_score(of_run["label"], of_run["predicted"], average="macro"))
    by_seed = [f1_score(part["label"], part["predicted"], average="macro") for _, part in test.group_by("seed")]
    metric = shards.read(tmp_path / "out" / "metrics.parquet").filter(initialisation="energy", measure="macro_f1")
    row = metric.row(0, named=True)
    assert row["value"] == pytest.approx(np.mean(by_seed))
    assert row["ci_low"] <= row["value"] <= row["ci_high"]
    assert (row["runs"], row["speakers"], row["clips"]) == (4, 6, 54)
    of_runs = runs.filter(initialisation="energy", measure="macro_f1")["value"]
    assert (row["mean"], row["std"]) == (pytest.approx(of_runs.mean()), pytest.approx(of_runs.std()))


def test_comparison_is_against_scratch_and_finds_a_plain_difference(tmp_path: Path) -> None:
    skills = {"energy": 0.9, "scratch": 0.4}
    files = [write_predictions(tmp_path / name, name, skill, seeds=4) for name, skill in skills.items()]
    evaluate.run(files, OPTIONS, 1, tmp_path)
    row = shards.read(tmp_path / "comparisons.parquet").filter(measure="macro_f1").row(0, named=True)
    assert (row["initialisation"], row["baseline"], row["speakers"], row["seeds"]) == ("energy", "scratch", 6, 4)
    assert row["pretrainings"] is None
    assert row["difference"] > 0.2
    assert row["ci_low"] > 0
    assert row["p_value"] == row["p_holm"] < 0.02
    middle, reach = (row["ci_high"] + row["ci_low"]) / 2, (row["ci_high"] - row["ci_low"]) / 2
    assert middle == pytest.approx(row["difference"])
    assert reach == pytest.approx(stats.t.ppf(0.975, row["df"]) * row["std_error"])


def test_each_seed_is_shown_beside_scratch_and_its_pretraining(files: list[Path], tmp_path: Path) -> None:
    numbered = shards.read(files[0]).with_columns(pretraining=pl.col("seed"))
    shards.write_table(
        tmp_path / "energy.parquet", numbered, schema_of("finetune.predictions"), shards.read_provenance(files[0])
    )
    evaluate.run([tmp_path / "energy.parquet", files[1]], OPTIONS, 1, tmp_path)
    rows = shards.read(tmp_path / "seeds.parquet").filter(measure="macro_f1")
    assert rows.select("initialisation", "seed", "pretraining").rows() == [
        ("scratch", 0, None), ("scratch", 1, None), ("energy", 0, 0), ("energy", 1, 1)
    ]  # fmt: skip
    scratch, energy = (rows.filter(initialisation=name) for name in ("scratch", "energy"))
    assert scratch["difference"].is_null().all()
    assert energy["difference"].to_list() == pytest.approx((energy["value"] - scratch["value"]).to_list())
    metric = (
        shards.read(tmp_path / "metrics.parquet").filter(initialisation="energy", measure="macro_f1").row(0, named=True)
    )
    assert (metric["value"], metric["seed_std"]) == pytest.approx((energy["value"].mean(), energy["value"].std()))
    assert (metric["seeds"], metric["pretrainings"]) == (2, 2)
    compared = shards.read(tmp_path / "comparisons.parquet").filter(measure="macro_f1")
    assert compared["difference"].item() == pytest.approx(energy["difference"].mean())
    assert compared["pretrainings"].item() == 2
    assert (
        shards.read(tmp_path / "runs.parquet").filter(initialisation="energy", seed=1)["pretraining"].unique().item()
        == 1
    )


def test_confusion_counts_are_per_seed_and_shares_are_of_the_row(files: list[Path], tmp_path: Path) -> None:
    evaluate.run(files, OPTIONS, 1, tmp_path)
    rows = shards.read(tmp_path / "confusion.parquet").filter(initialisation="energy", label="fear")
    assert rows["count"].sum() == 18
    assert rows["share"].sum() == pytest.approx(1)


def test_same_seed_same_bytes(files: list[Path], tmp_path: Path) -> None:
    for name in ("a", "b"):
        evaluate.run(files, OPTIONS, 1, tmp_path / name)
    for name in ("metrics", "runs", "seeds", "comparisons", "confusion"):
        first, second = (tmp_path / run / f"{name}.parquet" for run in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


def test_scratch_comes_first_whatever_the_order_of_the_files(files: list[Path], tmp_path: Path) -> None:
    evaluate.run(files, OPTIONS, 1, tmp_path)
    assert shards.read(tmp_path / "metrics.parquet")["initialisation"][0] == "scratch"


def test_clips_of_unknown_speakers_count_one_by_one(tmp_path: Path) -> None:
    path = write_predictions(tmp_path / "p.parquet", "scratch", 0.5, speaker=None)
    evaluate.run([path], OPTIONS, 1, tmp_path)
    assert shards.read(tmp_path / "metrics.parquet")["speakers"][0] == 54
    assert shards.count_rows(tmp_path / "comparisons.parquet") == 0


def test_single_speaker_has_a_score_but_no_interval(tmp_path: Path) -> None:
    path = write_predictions(tmp_path / "p.parquet", "scratch", 0.5, speakers=1)
    evaluate.run([path], OPTIONS, 1, tmp_path)
    row = shards.read(tmp_path / "metrics.parquet").row(0, named=True)
    assert row["value"] is not None
    assert row["ci_low"] is row["ci_high"] is None


def test_class_absent_from_a_fold_does_not_count_there(tmp_path: Path) -> None:
    path = write_predictions(tmp_path / "p.parquet", "scratch", 1.0)
    rows = shards.read(path).filter(~((pl.col("fold") == 0) & (pl.col("label") == "fear")))
    shards.write_table(path, rows, schema_of("finetune.predictions"), {})
    evaluate.run([path], OPTIONS, 1, tmp_path)
    metrics = shards.read(tmp_path / "metrics.parquet")
    fear = metrics.filter(**{"class": "fear", "measure": "recall"}).row(0, named=True)
    assert (fear["runs"], fear["clips"], fear["mean"]) == (2, 9, 1.0)
    assert metrics.filter(measure="uar")["mean"].item() == 1.0


def test_without_test_predictions_the_message_says_what_to_do(tmp_path: Path) -> None:
    path = write_predictions(tmp_path / "p.parquet", "scratch", 0.5, split="dev")
    with pytest.raises(UserError, match="split = test"):
        evaluate.run([path], OPTIONS, 1, tmp_path)


def test_initialisations_without_a_common_speaker_cannot_be_compared(files: list[Path], tmp_path: Path) -> None:
    other = write_predictions(tmp_path / "other.parquet", "emotion", 0.5, speaker="another")
    with pytest.raises(UserError, match="share no test speaker"):
        evaluate.run([files[1], other], OPTIONS, 1, tmp_path)


@pytest.fixture
def with_baselines(files: list[Path], tmp_path: Path) -> list[Path]:
    """Predictions of two sets of pretext tasks, of scratch, and, in one file and one run each, of two baselines."""
    parts = [write_predictions(tmp_path / f"{name}.parquet", name, 0.8) for name in ("svm_speaker", "svm")]
    rows = shards.read(parts).filter(pl.col("seed") == 0).sort("initialisation", maintain_order=True)
    shards.write_table(tmp_path / "baseline.parquet", rows, schema_of("finetune.predictions"), provenance("baseline"))
    return [tmp_path / "baseline.parquet", *files, write_predictions(tmp_path / "em.parquet", "emotion", 0.5)]


def test_baselines_come_last_and_are_a_family_of_their_own(with_baselines: list[Path], tmp_path: Path) -> None:
    evaluate.run(with_baselines, OPTIONS, 1, tmp_path / "all")
    evaluate.run(with_baselines[1:], OPTIONS, 1, tmp_path / "without")
    starts = shards.read(tmp_path / "all" / "metrics.parquet")["initialisation"].unique(maintain_order=True)
    assert starts.to_list() == ["scratch", "energy", "emotion", "svm", "svm_speaker"]
    together = shards.read(tmp_path / "all" / "comparisons.parquet")
    without = shards.read(tmp_path / "without" / "comparisons.parquet")
    assert together.filter(family="pretext").equals(without)
    baselines = together.filter(family="baseline", measure="macro_f1")
    assert baselines["initialisation"].to_list() == ["svm", "svm_speaker"]
    assert baselines["p_holm"].min() == pytest.approx(min(1, 2 * float(baselines["p_value"].min())))  # type: ignore[arg-type]


def test_one_run_of_a_baseline_stands_beside_every_seed_of_scratch(with_baselines: list[Path], tmp_path: Path) -> None:
    evaluate.run(with_baselines, OPTIONS, 1, tmp_path / "all")
    metrics = shards.read(tmp_path / "all" / "metrics.parquet").filter(measure="war")
    svm, scratch = (metrics.filter(initialisation=name)["value"].item() for name in ("svm", "scratch"))
    compared = shards.read(tmp_path / "all" / "comparisons.parquet").filter(measure="war", initialisation="svm")
    assert compared["difference"].item() == pytest.approx(svm - scratch)
