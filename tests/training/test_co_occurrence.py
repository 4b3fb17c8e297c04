"""Co-occurrences: counted by hand, from training clips alone; on CREMA-D's real votes, counted without the package."""

import csv
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from avpretext import shards
from avpretext.config import CorpusOptions
from avpretext.corpora import targets as targets_stage
from avpretext.corpora.readers import crema_d
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.training import co_occurrence, finetune
from avpretext.training.co_occurrence import read_matrices

from .conftest import CLASSES as EMOTIONS
from .conftest import VALUES, TinyCorpus, config

CLASSES = ["a", "b", "c"]
VOTES: dict[str, list[float] | None] = {
    "t1": [9, 0, 0], "t2": [1, 4, 0], "t3": [0, 2, 2], "t4": None, "d1": [1, 1, 1], "x1": [0, 3, 3], "l1": [1, 0, 1],
}  # fmt: skip
"""Clips that train (t), are dev (d), test (x), are left out (l)."""
PARTS = {"t": "train", "d": "dev", "x": "test", "l": "dropped"}


def write_targets(path: Path, votes: dict[str, Any], kind: str = "distribution", target: str = "voice") -> Path:
    rows = [
        {"clip_id": name, "speaker": name, "label": None, "values": [1, 0, 0][: 1 if kind == "attribute" else 3]}
        | {"votes": voted}
        for name, voted in votes.items()
    ]
    made_by = provenance("targets", kind=kind, classes=CLASSES if kind != "attribute" else ["arousal"], target=target)
    shards.write_table(path, rows, schema_of("targets"), made_by)
    return path


def write_folds(path: Path, parts: dict[int, dict[str, str]], corpus: str = "mine") -> Path:
    rows = [
        {"fold": fold, "name": "", "part": part, "corpus": corpus, "clip_id": name, "speaker": name}
        for fold, of_fold in parts.items()
        for name, part in of_fold.items()
    ]
    shards.write_table(path, rows, schema_of("folds"), provenance("folds", setting="voice.made"))
    return path


def run(folder: Path, votes: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    targets = write_targets(folder / "targets.parquet", votes)
    turned = {name: {"t": "test", "x": "train"}.get(name[0], "dropped") for name in votes}
    folds = write_folds(folder / "folds.parquet", {0: {name: PARTS[name[0]] for name in votes}, 1: turned})
    co_occurrence.run({"mine": targets}, folds, folder / "co_occurrence.parquet")
    return folder / "co_occurrence.parquet"


def test_each_fold_counts_its_training_clips_as_by_hand(tmp_path: Path) -> None:
    table = run(tmp_path, VOTES)
    assert read_matrices(table, CLASSES, "count")[0].tolist() == [[2, 1, 0], [1, 2, 1], [0, 1, 1]]
    assert read_matrices(table, CLASSES, "frequency")[0].tolist() == [[1, 0.5, 0], [0.5, 1, 1], [0, 0.5, 1]]
    assert read_matrices(table, CLASSES)[0].tolist() == [[0, 0.5, 1], [0.5, 0, 0], [1, 0.5, 0]]
    # fold 1 has one clip, in which b and c were named
    assert read_matrices(table, CLASSES)[1].tolist() == [[0, 1, 1], [1, 0, 0], [1, 0, 0]]
    made_by = shards.read_provenance(table)
    assert (made_by["classes"], made_by["clips"]) == (CLASSES, {"0": 3, "1": 1})
    row = shards.read(table).filter(fold=0, target="a", predicted="b").row(0, named=True)
    assert (row["count"], row["frequency"], row["penalty"]) == (1, 0.5, 0.5)


@pytest.mark.parametrize("name", ["d1", "x1", "l1"])
def test_votes_on_clips_of_dev_test_or_none_change_nothing(tmp_path: Path, name: str) -> None:
    before = shards.read(run(tmp_path / "before", VOTES)).filter(fold=0)
    after = shards.read(run(tmp_path / "after", {**VOTES, name: [7, 7, 0]})).filter(fold=0)
    assert after.equals(before)
    trained = shards.read(run(tmp_path / "trained", {**VOTES, "t1": [7, 7, 0]})).filter(fold=0)
    assert not trained.equals(before)


def test_the_same_votes_give_the_same_bytes(tmp_path: Path) -> None:
    first = run(tmp_path / "first", VOTES).read_bytes()
    assert run(tmp_path / "second", VOTES).read_bytes() == first


def test_matrices_come_in_the_order_of_the_classes_asked_for(tmp_path: Path) -> None:
    table = run(tmp_path, VOTES)
    usual = read_matrices(table, CLASSES)[0]
    assert read_matrices(table, CLASSES[::-1])[0].tolist() == usual[::-1, ::-1].tolist()
    with pytest.raises(UserError, match=r"is of the classes a, b, c, and the targets are a, b;.*redo the stage"):
        read_matrices(table, ["a", "b"])


def test_targets_without_votes_are_told_with_the_fix(tmp_path: Path) -> None:
    parts = {0: {"t1": "train", "t2": "train", "x1": "test"}}
    folds = write_folds(tmp_path / "folds.parquet", parts)
    acted = write_targets(tmp_path / "acted.parquet", dict.fromkeys(parts[0]), "hard", "acted")
    with pytest.raises(UserError, match=r"the target 'acted' has none in fold 0's.*voice of CREMA-D.*loss to base"):
        co_occurrence.run({"mine": acted}, folds, tmp_path / "output.parquet")
    rated = write_targets(tmp_path / "rated.parquet", dict.fromkeys(parts[0]), "attribute", "arousal")
    with pytest.raises(UserError, match="penalty needs classes, and 'arousal' is a number"):
        co_occurrence.run({"mine": rated}, folds, tmp_path / "output.parquet")


def finetuned(tiny: TinyCorpus, folder: Path, kind: str, loss: str, **votes: list[float]) -> pl.DataFrame:
    """Fine-tune on votes that take happy for sad and sad for happy; return the predictions of fold 0."""
    folder.mkdir()
    said = {"angry": [10, 0, 0], "happy": [0, 6, 4], "sad": [0, 4, 6]}
    rows = [
        {**row, "values": VALUES[kind][row["label"]], "votes": votes.get(row["speaker"], said[row["label"]])}
        for row in sorted(tiny.rows, key=lambda row: row["clip_id"])
    ]
    targets, table = {tiny.name: folder / "targets.parquet"}, folder / "co_occurrence.parquet"
    made_by = provenance("targets", kind=kind, classes=list(EMOTIONS), target="voice")
    shards.write_table(targets[tiny.name], rows, schema_of("targets"), made_by)
    co_occurrence.run(targets, tiny.folds, table)
    options = config(finetune={"loss": loss, "epochs": 2, "seeds": 1})
    features = {tiny.name: {"speech": tiny.speech}}
    finetune.run("scratch", [], features, targets, tiny.folds, table, options, folder, 1)
    return shards.read(folder / "predictions.parquet").filter(fold=0)


@pytest.mark.parametrize("kind", ["hard", "multi_label"])
def test_fine_tuning_heeds_the_votes_of_training_clips_and_of_no_others(
    tiny: TinyCorpus, tmp_path: Path, kind: str
) -> None:
    before = finetuned(tiny, tmp_path / "before", kind, "penalty")
    tested, trained = "s0", "s2"  # in fold 0
    assert set(before.filter(split="test")["speaker"]) >= {tested}
    assert finetuned(tiny, tmp_path / "tested", kind, "penalty", **{tested: [5, 0, 5]}).equals(before)
    assert not finetuned(tiny, tmp_path / "trained", kind, "penalty", **{trained: [5, 0, 5]}).equals(before)
    assert not finetuned(tiny, tmp_path / "base", kind, "base").equals(before)


@pytest.fixture(scope="module")
def counted(shared_data: Path) -> list[dict[str, Any]]:
    """The published votes of listeners, read with the csv module alone."""
    file = shared_data / "crema-d" / crema_d.VOTES
    if not file.is_file():
        pytest.skip("CREMA-D's votes are absent")
    with file.open(encoding="utf-8", newline="") as opened:
        return [row for row in csv.DictReader(opened) if row[""].startswith("1")]


def test_crema_ds_folds_of_chou_are_counted_as_without_the_package(
    shared_data: Path, counted: list[dict[str, Any]], tmp_path: Path
) -> None:
    names = sorted(row["fileName"] for row in counted)
    index = [
        {"clip_id": name, "path": f"{name}.wav", "speaker": name[:4], "label": name[9:12], "size_bytes": 1}
        for name in names
    ]
    shards.write_table(tmp_path / "index.parquet", index, schema_of("index"), {})
    options = CorpusOptions(path=str(shared_data / "crema-d"), reader="crema_d", use=["finetune"])
    targets = tmp_path / "targets.parquet"
    targets_stage.run(options, "voice-distribution", [tmp_path / "index.parquet"], targets)
    sessions = {1: (1037, 1054), 2: (1001, 1018), 3: (1073, 1091), 4: (1055, 1072), 5: (1019, 1036)}
    train = {0: (1, 2, 3), 1: (2, 3, 4), 2: (3, 4, 5), 3: (1, 4, 5), 4: (1, 2, 5)}

    def trains(name: str, fold: int) -> bool:
        return any(sessions[session][0] <= int(name[:4]) <= sessions[session][1] for session in train[fold])

    parts = {fold: {name: "train" if trains(name, fold) else "test" for name in names} for fold in train}
    folds = write_folds(tmp_path / "folds.parquet", parts, "crema_d")
    co_occurrence.run({"crema_d": targets}, folds, tmp_path / "matrix.parquet")
    found = read_matrices(tmp_path / "matrix.parquet", list(crema_d.EMOTIONS))
    for fold in train:
        rows = [row for row in counted if trains(row["fileName"], fold)]
        for (i, one), (j, other) in product(enumerate("ADFHNS"), repeat=2):
            both = sum(int(row[one]) > 0 and int(row[other]) > 0 for row in rows)
            other_alone = sum(int(row[other]) > 0 for row in rows)
            assert found[fold][i, j] == pytest.approx(1 - both / other_alone, abs=1e-12)
    assert len(pl.read_parquet(tmp_path / "matrix.parquet")) == 5 * 36
    assert all(np.diag(matrix).tolist() == [0] * 6 for matrix in found.values())
