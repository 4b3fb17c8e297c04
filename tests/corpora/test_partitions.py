"""Partitions: the corpus's own division, whatever the case and spelling of its names."""

import polars as pl
import pytest

from avpretext.corpora.partitions import partition_folds
from avpretext.errors import UserError


def clips(*partitions: str | None, per: int = 2) -> pl.DataFrame:
    """Return clips `0a`, `0b` of the first partition's speaker, and so on."""
    rows = [
        (f"{number}{'abcd'[place]}", f"s{number}", name)
        for number, name in enumerate(partitions)
        for place in range(per)
    ]
    return pl.DataFrame(rows, schema=["clip_id", "speaker", "partition"], orient="row")


@pytest.mark.parametrize(
    "names", [("Train", "Development", "Test"), ("training", "val", "TEST"), ("train", "Validation ", "test")]
)
def test_train_dev_and_test_make_one_fold(names: tuple[str, str, str]) -> None:
    division = partition_folds(clips(*names), None, 2, seed=1)
    (fold,) = division.folds
    assert (fold.train, fold.dev, fold.test) == (("0a", "0b"), ("1a", "1b"), ("2a", "2b"))
    assert fold.name == names[2]
    assert fold.by == "clip_id"
    assert division.warnings == ()


def test_all_that_are_named_test_test_together_or_those_chosen() -> None:
    table = clips("Train", "Development", "Test1", "Test2", "unlabeled")
    division = partition_folds(table, None, 2, seed=1)
    assert division.folds[0].name == "Test1+Test2"
    assert division.folds[0].test == ("2a", "2b", "3a", "3b")
    assert division.warnings == ("protocol partitions: clips of unlabeled are left out",)
    (fold,) = partition_folds(table, ["Test2"], 2, seed=1).folds
    assert (fold.name, fold.test, fold.train) == ("Test2", ("3a", "3b"), ("0a", "0b"))
    with pytest.raises(
        UserError, match="'test2'; expected one of Development, Test1, Test2, Train, unlabeled; did you"
    ):
        partition_folds(table, ["test2"], 2, seed=1)


def test_without_a_dev_partition_speakers_who_train_are_drawn() -> None:
    (fold,) = partition_folds(clips("train", "train", "train", "test"), None, 1, seed=1).folds
    assert fold.test == ("3a", "3b")
    assert len(fold.dev) == 2
    assert len({clip[0] for clip in fold.dev}) == 1
    assert len(fold.train) == 4


def test_other_names_are_folds_that_test_once_with_the_next_as_dev() -> None:
    names = ["Session10", "Session1", "Session2", "Session9"]
    division = partition_folds(clips(*names, per=1), None, 2, seed=1)
    assert [fold.name for fold in division.folds] == ["Session1", "Session2", "Session9", "Session10"]
    first, last = division.folds[0], division.folds[-1]
    assert (first.test, first.dev, first.train) == (("1a",), ("2a",), ("0a", "3a"))
    assert (last.test, last.dev, last.train) == (("0a",), ("1a",), ("2a", "3a"))
    chosen = partition_folds(clips(*names, per=1), ["Session9"], 2, seed=1).folds
    assert [(fold.number, fold.name, fold.test, fold.dev) for fold in chosen] == [(0, "Session9", ("3a",), ("0a",))]


def test_clips_in_no_partition_are_left_out_with_a_warning() -> None:
    division = partition_folds(clips("train", "dev", "test", None), None, 2, seed=1)
    assert division.warnings == ("protocol partitions: 2 of 8 clips are in no partition: left out",)
    assert "3a" not in {*division.folds[0].train, *division.folds[0].dev, *division.folds[0].test}


@pytest.mark.parametrize(
    ("names", "chosen", "words"),
    [
        (("train", "dev"), None, "none of dev, train is left to test; set protocol.test_partitions"),
        (("dev", "test"), None, "none of dev, test is left to train"),
        (("train", "test"), ["train"], "is left to train"),
        (("one", "two"), None, "divided into one, two; train and test, or at least three folds, are expected"),
        ((None,), None, "divided into nothing"),
    ],
)
def test_divisions_that_cannot_be_used_are_told_so(names, chosen, words) -> None:
    with pytest.raises(UserError, match=words):
        partition_folds(clips(*names), chosen, 2, seed=1)


def test_partitions_of_nearly_the_same_name_are_refused_where_each_is_a_fold_or_chosen() -> None:
    with pytest.raises(UserError, match="'S1' and 's1' differ only in case"):
        partition_folds(clips("S1", "s1", "S2"), None, 1, seed=1)
    with pytest.raises(UserError, match="'Test' and 'test' differ only in case"):
        partition_folds(clips("train", "dev", "test", "Test"), ["Test"], 1, seed=1)
    (fold,) = partition_folds(clips("train", "Train", "dev", "test", "Test"), None, 1, seed=1).folds
    assert (len(fold.train), len(fold.test)) == (4, 4)
