"""Ensembles: the mean of members, each of which is the mean of its seeds."""

from pathlib import Path
from typing import Any

import pytest

from avpretext import shards
from avpretext.config import EnsembleOptions
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.training import ensemble

CLASSES = ["a", "b"]


def row(initialisation: str, seed: int, clip: str, probability: float, split: str = "test") -> dict[str, Any]:
    return {
        "initialisation": initialisation, "fold": 0, "seed": seed, "split": split, "clip_id": clip, "speaker": "s",
        "label": "a", "predicted": "a", "truth": [1.0, 0.0], "probabilities": [probability, 1 - probability],
    }  # fmt: skip


def run(
    folder: Path, members: list[list[str]], kind: str = "hard", **files: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    for name, rows in files.items():
        made_by = provenance("finetune", {}, kind=kind, classes=CLASSES, target="acted", setting="acted.chou")
        shards.write_table(folder / f"{name}.parquet", rows, schema_of("finetune.predictions"), made_by)
    options = EnsembleOptions(members=members)
    ensemble.run([folder / f"{name}.parquet" for name in files], options, folder / "out.parquet")
    assert shards.read_provenance(folder / "out.parquet")["setting"] == "acted.chou"
    return shards.read(folder / "out.parquet").to_dicts()


def test_each_member_counts_alike_however_many_seeds_it_has(tmp_path: Path) -> None:
    scratch = [row("scratch", seed, clip, p) for seed, p in enumerate((0.9, 0.6, 0.6)) for clip in ("y", "x")]
    svm = [row("svm", 0, "x", 0.1), row("svm", 0, "y", 0.9)]
    found = run(tmp_path, [["scratch"], ["scratch", "svm"]], scratch=scratch, svm=svm)
    told = {(one["initialisation"], one["clip_id"]): one for one in found}
    assert told["together:scratch", "x"]["probabilities"] == pytest.approx([0.7, 0.3])
    assert told["together:scratch+svm", "x"]["probabilities"] == pytest.approx([0.4, 0.6])
    assert told["together:scratch+svm", "y"]["probabilities"] == pytest.approx([0.8, 0.2])
    assert [told["together:scratch+svm", clip]["predicted"] for clip in "xy"] == ["b", "a"]


def test_parts_that_a_member_does_not_predict_are_left_out(tmp_path: Path) -> None:
    scratch = [row("scratch", 0, "x", 0.9), row("scratch", 0, "d", 0.9, "dev")]
    found = run(tmp_path, [["scratch", "svm"]], scratch=scratch, svm=[row("svm", 0, "x", 0.9)])
    assert [one["clip_id"] for one in found] == ["x"]


def test_several_labels_of_a_clip_are_those_of_the_mean(tmp_path: Path) -> None:
    high = {**row("scratch", 0, "x", 0.9), "probabilities": [0.9, 0.4]}
    low = {**row("emotion", 0, "x", 0.9), "probabilities": [0.5, 0.7]}
    (found,) = run(tmp_path, [["scratch", "emotion"]], "multi_label", one=[high], two=[low])
    assert (found["predicted"], found["probabilities"]) == ("a+b", pytest.approx([0.7, 0.55]))


def test_a_member_that_there_is_not_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'svn' is none of scratch, svm; did you mean 'svm'"):
        run(tmp_path, [["scratch", "svn"]], scratch=[row("scratch", 0, "x", 0.9)], svm=[row("svm", 0, "x", 0.9)])
