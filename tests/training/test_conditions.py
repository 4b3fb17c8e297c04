"""Test clips in noise and the like are predicted, and nothing is learnt of them."""

from pathlib import Path

import polars as pl
import pytest

from avpretext import shards
from avpretext.config import BaselineOptions, EnsembleOptions
from avpretext.flow.artefacts import schema_of
from avpretext.training import baseline, ensemble, finetune

from .conftest import CHANNELS, TinyCorpus, config

KEYS = ["fold", "seed", "clip_id"]


def louder(tiny: TinyCorpus, folder: Path, by: float) -> list[Path]:
    """Write the speech features of a corpus with all descriptors raised."""
    found = []
    for number, file in enumerate(tiny.speech):
        rows = shards.read(file).with_columns(pl.col(CHANNELS) + by)
        found.append(folder / f"louder{number}.parquet")
        shards.write_table(found[-1], rows, schema_of("speech", {"DESCRIPTOR": CHANNELS}), {})
    return found


def tuned(tiny: TinyCorpus, output: Path, threads: int = 1, by: str = "train", **more: list[Path]) -> pl.DataFrame:
    features = {"tiny": {"speech": tiny.speech}} | {f"tiny@{name}": {"speech": files} for name, files in more.items()}
    settings = config(finetune={"epochs": 2}, model={"normalise": by})
    finetune.run("scratch", None, features, {"tiny": tiny.targets()}, tiny.folds, None, settings, output, threads)
    return shards.read(output / "predictions.parquet")


def said(predictions: pl.DataFrame, split: str) -> list[tuple[object, ...]]:
    return predictions.filter(split=split).sort(KEYS).select(*KEYS, "speaker", "label", "truth", "probabilities").rows()


@pytest.fixture(scope="module")
def alone(tiny: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fine-tuning without conditions."""
    folder = tmp_path_factory.mktemp("alone")
    tuned(tiny, folder)
    return folder


def test_training_and_what_it_says_of_clean_clips_are_the_same_with_and_without(
    tiny: TinyCorpus, alone: Path, tmp_path: Path
) -> None:
    noisy = louder(tiny, tmp_path, 3.0)
    for folder, threads in (("one", 1), ("two", 2)):
        tuned(tiny, tmp_path / folder, threads, noise10=noisy, telephone=tiny.speech)
    assert (tmp_path / "one/predictions.parquet").read_bytes() == (tmp_path / "two/predictions.parquet").read_bytes()
    assert (tmp_path / "one/history.parquet").read_bytes() == (alone / "history.parquet").read_bytes()
    found, before = shards.read(tmp_path / "one/predictions.parquet"), shards.read(alone / "predictions.parquet")
    assert found.filter(pl.col("split").is_in(["dev", "test"])).equals(before)
    assert set(found["split"]) == {"dev", "test", "test@noise10", "test@telephone"}
    assert said(found, "test@telephone") == said(found, "test"), "the same features give the same predictions"
    noisy_rows = found.filter(split="test@noise10").sort(KEYS)
    assert noisy_rows.select(KEYS).equals(found.filter(split="test").sort(KEYS).select(KEYS))
    assert noisy_rows["probabilities"].to_list() != found.filter(split="test").sort(KEYS)["probabilities"].to_list()


def test_a_speaker_is_normalised_by_the_clips_in_the_condition(tiny: TinyCorpus, tmp_path: Path) -> None:
    found = tuned(tiny, tmp_path / "out", by="speaker", noise10=louder(tiny, tmp_path, 64.0))
    for clean, noisy in zip(said(found, "test"), said(found, "test@noise10"), strict=True):
        assert clean[:-1] == noisy[:-1]
        assert clean[-1] == pytest.approx(noisy[-1], abs=1e-3)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_machines_learn_nothing_of_conditions_and_predict_their_test_clips(
    tiny: TinyCorpus, tmp_path: Path, kernel: str
) -> None:
    own, moved = tmp_path / "own.parquet", tmp_path / "moved.parquet"
    for file, by in ((own, 0.0), (moved, 50.0)):
        rows = [
            {"clip_id": row["clip_id"], "values": [by + number * 7 % 5, by + number % 3 + (row["label"] == "sad")]}
            for number, row in enumerate(tiny.rows)
        ]
        shards.write_table(file, rows, schema_of("functionals"), {"names": ["x", "y"]})
    options = BaselineOptions.model_validate({"kernels": [kernel], "normalise": ["train", "speaker"]})

    def run(name: str, **conditions: Path) -> pl.DataFrame:
        vectors = {"tiny": {"functionals": [own]}}
        vectors |= {f"tiny@{condition}": {"functionals": [file]} for condition, file in conditions.items()}
        baseline.run(vectors, {"tiny": tiny.targets()}, tiny.folds, options, tmp_path / f"{name}.parquet")
        return shards.read(tmp_path / f"{name}.parquet")

    alone, found = run("alone"), run("found", noise0=moved, telephone=own)
    assert found.filter(pl.col("split").is_in(["dev", "test"])).equals(alone)
    assert said(found, "test@telephone") == said(found, "test")
    by_train, by_speaker = (found.filter(pl.col("initialisation").str.ends_with("speaker") == own) for own in (0, 1))
    assert said(by_train, "test@noise0") != said(by_train, "test")
    assert said(by_speaker, "test@noise0") == said(by_speaker, "test"), "its own speaker is moved as far"


def test_an_ensemble_is_tested_in_the_conditions_that_its_members_share(tiny: TinyCorpus, tmp_path: Path) -> None:
    tuned(tiny, tmp_path, noise10=louder(tiny, tmp_path, 3.0), telephone=tiny.speech)
    rows = shards.read(tmp_path / "predictions.parquet")
    made_by = {"kind": "hard", "classes": ["angry", "happy", "sad"]}
    files = []
    for name, left_out in (("scratch", ""), ("energy", "test@telephone")):
        own = rows.filter(pl.col("split") != left_out).with_columns(initialisation=pl.lit(name))
        files.append(tmp_path / f"{name}.parquet")
        shards.write_table(files[-1], own, schema_of("finetune.predictions"), made_by)
    options = EnsembleOptions(members=[["scratch", "energy"]])
    ensemble.run(files, options, tmp_path / "ensemble.parquet")
    assert set(shards.read(tmp_path / "ensemble.parquet")["split"]) == {"dev", "test", "test@noise10"}
