"""Protocols: speakers apart, every speaker tested once, groups of like size, published folds as published."""

from collections import Counter
from collections.abc import Sequence

import polars as pl
import pytest

from avpretext.corpora import READERS
from avpretext.corpora.protocols import (
    Division,
    Fold,
    assign,
    clip_fold,
    cross_corpus_fold,
    draw_speakers,
    folds_by_test_speakers,
    leave_one_speaker_out,
    partition_folds,
    published_folds,
    speaker_kfold,
)
from avpretext.corpora.reader import SpeakerFold
from avpretext.errors import UserError

SPEAKERS = [f"s{speaker}" for speaker in range(9) for _ in range(4 + 3 * speaker)]
ACTORS = [str(actor) for actor in range(1001, 1092)]
SESSIONS = {1: (1037, 1054), 2: (1001, 1018), 3: (1073, 1091), 4: (1055, 1072), 5: (1019, 1036)}


def session(*numbers: int) -> set[str]:
    return {str(actor) for number in numbers for actor in range(SESSIONS[number][0], SESSIONS[number][1] + 1)}


def check_apart(folds: Sequence[Fold], everyone: set[str]) -> None:
    for fold in folds:
        assert len(fold.train) + len(fold.dev) + len(fold.test) == len(everyone)
        assert {*fold.train, *fold.dev, *fold.test} == everyone
        assert fold.train
        assert fold.test


def test_every_speaker_is_tested_once_and_is_dev_once() -> None:
    folds = speaker_kfold(SPEAKERS, 4, seed=1)
    for part in ("test", "dev"):
        assert sorted(speaker for fold in folds for speaker in getattr(fold, part)) == sorted(set(SPEAKERS))
    check_apart(folds, set(SPEAKERS))
    assert folds[0].dev == folds[1].test
    assert folds[3].dev == folds[0].test


def test_speakers_are_dealt_as_they_have_been() -> None:
    folds = speaker_kfold([f"s{speaker}" for speaker in range(8) for _ in range(8 - speaker)], 3, seed=1)
    # The speaker with the most clips first, each to the lightest group: 8+3+2, 7+4+1, 6+5.
    assert [fold.test for fold in folds] == [("s0", "s5", "s6"), ("s1", "s4", "s7"), ("s2", "s3")]


def test_folds_hold_about_equally_many_clips() -> None:
    clips = Counter(SPEAKERS)
    sizes = [sum(clips[speaker] for speaker in fold.test) for fold in speaker_kfold(SPEAKERS, 3, seed=1)]
    assert max(sizes) - min(sizes) <= max(clips.values()) / 2


def test_folds_depend_on_the_seed_and_not_on_the_order_of_clips() -> None:
    even = [f"s{speaker}" for speaker in range(12) for _ in range(5)]
    assert speaker_kfold(even, 4, seed=1) == speaker_kfold(even[::-1], 4, seed=1)
    assert speaker_kfold(even, 4, seed=1) != speaker_kfold(even, 4, seed=2)
    assert leave_one_speaker_out(even, 2, seed=1) == leave_one_speaker_out(even[::-1], 2, seed=1)
    assert leave_one_speaker_out(even, 2, seed=1) != leave_one_speaker_out(even, 2, seed=2)


def test_each_speaker_tests_alone_when_one_is_left_out() -> None:
    folds = leave_one_speaker_out(SPEAKERS, 2, seed=1)
    assert [fold.test for fold in folds] == [(f"s{speaker}",) for speaker in range(9)]
    assert [fold.name for fold in folds][:2] == ["speaker s0", "speaker s1"]
    assert {len(fold.dev) for fold in folds} == {2}
    check_apart(folds, set(SPEAKERS))
    with pytest.raises(UserError, match=r"'speaker s0': 2 speakers are left .*dev_speakers = 2"):
        leave_one_speaker_out(["s0", "s1", "s2"], 2, seed=1)


def test_explicit_test_speakers_with_dev_drawn_from_the_rest() -> None:
    folds = folds_by_test_speakers(SPEAKERS, [["s0", "s1"], ["s8"]], dev_speakers=2, seed=1)
    assert [fold.test for fold in folds] == [("s0", "s1"), ("s8",)]
    assert {len(fold.dev) for fold in folds} == {2}
    check_apart(folds, set(SPEAKERS))


def test_chou_trains_on_three_sessions_chooses_on_one_and_tests_one() -> None:
    division = published_folds(ACTORS, READERS["crema_d"].protocols["chou"], 2, seed=1, name="chou")
    parts = [((1, 2, 3), 4, 5), ((2, 3, 4), 5, 1), ((3, 4, 5), 1, 2), ((1, 4, 5), 2, 3), ((1, 2, 5), 3, 4)]
    for fold, (train, dev, test) in zip(division.folds, parts, strict=True):
        assert set(fold.train) == session(*train)
        assert set(fold.dev) == session(dev)
        assert set(fold.test) == session(test)
    assert sorted(speaker for fold in division.folds for speaker in fold.test) == ACTORS
    assert division.warnings == ()
    assert division.needs_dev


def test_emo_superb_tests_the_groups_of_chou_with_other_dev_actors_in_three_of_five_folds() -> None:
    protocols = READERS["crema_d"].protocols
    division = published_folds(ACTORS, protocols["emo_superb"], 2, seed=1, name="emo_superb")
    # Test, dev and training actors of its labels_consensus_1.csv to labels_consensus_5.csv.
    spans = [
        ([(1001, 1018)], [(1019, 1036)], [(1037, 1091)]),
        ([(1019, 1036)], [(1037, 1054)], [(1001, 1018), (1055, 1091)]),
        ([(1037, 1054)], [(1055, 1072)], [(1001, 1036), (1073, 1091)]),
        ([(1055, 1072)], [(1073, 1091)], [(1001, 1054)]),
        ([(1073, 1091)], [(1001, 1018)], [(1019, 1072)]),
    ]
    for fold, parts in zip(division.folds, spans, strict=True):
        for found, ranges in zip((fold.test, fold.dev, fold.train), parts, strict=True):
            assert set(found) == {str(actor) for first, last in ranges for actor in range(first, last + 1)}
        assert not set(fold.test) & set(fold.dev)
        assert not set(fold.train) & {*fold.test, *fold.dev}
    check_apart(division.folds, set(ACTORS))
    assert division.needs_dev
    chou = {frozenset(fold.test): fold.dev for fold in protocols["chou"]}
    assert {frozenset(fold.test) for fold in protocols["emo_superb"]} == set(chou)
    assert [chou[frozenset(fold.test)] == fold.dev for fold in protocols["emo_superb"]] == [False] * 3 + [True] * 2


def test_hicmae_tests_each_actor_once_and_has_no_dev() -> None:
    division = published_folds(ACTORS, READERS["crema_d"].protocols["hicmae"], 2, seed=1, name="hicmae")
    assert sorted(speaker for fold in division.folds for speaker in fold.test) == ACTORS
    assert [set(fold.test) for fold in division.folds] == [session(number) for number in range(1, 6)]
    assert all(fold.dev == () for fold in division.folds)
    assert not division.needs_dev
    check_apart(division.folds, set(ACTORS))


def test_emobox_tests_each_of_24_actors_once_with_dev_drawn_from_those_who_train() -> None:
    actors = [f"{actor:02d}" for actor in range(1, 25)]
    division = published_folds(actors, READERS["ravdess"].protocols["emobox"], 2, seed=1, name="emobox")
    assert [fold.test for fold in division.folds][:2] == [("01", "11", "20", "21"), ("04", "10", "12", "14")]
    assert sorted(actor for fold in division.folds for actor in fold.test) == actors
    assert {len(fold.dev) for fold in division.folds} == {2}
    check_apart(division.folds, set(actors))


def test_a_published_fold_without_its_test_speakers_is_left_out_and_the_others_stay_as_they_are() -> None:
    folds = READERS["ravdess"].protocols["emobox"]
    actors = [f"{actor:02d}" for actor in range(1, 25)]
    whole = published_folds(actors, folds, 2, seed=1, name="emobox")
    some = published_folds([actor for actor in actors if actor not in folds[1].test], folds, 2, seed=1, name="emobox")
    assert [fold.number for fold in some.folds] == [0, 1, 2, 3, 4]
    assert [fold.name for fold in some.folds] == ["1", "3", "4", "5", "6"]
    assert [fold.test for fold in some.folds] == [fold.test for fold in whole.folds if fold.name != "2"]
    assert some.warnings == (
        "protocol emobox: 4 of its 24 speakers have no labelled clip here (04, 10, 12, 14): its published figures are"
        " of more clips",
        "protocol emobox: fold 2 is left out: none of its test speakers 04, 10, 12, 14 is there",
    )


def test_dev_is_drawn_where_all_named_dev_speakers_are_absent() -> None:
    folds = (SpeakerFold(("a",), ("x",)), SpeakerFold(("b",), ("a", "x")))
    division = published_folds(["a", "b", "c", "d"], folds, 1, seed=1, name="made")
    first, second = division.folds
    assert first.test == ("a",)
    assert len(first.dev) == 1
    assert not set(first.dev) & {"a"}
    assert (second.train, second.dev, second.test) == (("c", "d"), ("a",), ("b",))
    assert division.warnings == ("protocol made: fold 1: none of its dev speakers is there; some are drawn",)
    with pytest.raises(UserError, match=r"none of its test speakers, such as a, is among .*: q, r"):
        published_folds(["q", "r"], folds, 1, seed=1, name="made")


def test_clips_of_unknown_speaker_train() -> None:
    division = Division([Fold(0, "1", ("b",), ("c",), ("d",))], "as made").with_unknown(["a"])
    assert division == Division([Fold(0, "1", ("a", "b"), ("c",), ("d",))], "as made")


def test_another_corpus_is_tested_whole_with_dev_drawn_from_those_that_train() -> None:
    train = [f"one/{speaker}" for speaker in "abc"] + [f"two/{speaker}" for speaker in "abc"]
    fold = cross_corpus_fold(train, ["three/b", "three/a", "three/a"], 2, seed=1)
    assert fold.test == ("three/a", "three/b")
    assert len(fold.dev) == 2
    assert sorted((*fold.train, *fold.dev)) == train


def test_a_fold_of_clips_draws_whole_speakers_for_dev() -> None:
    clips = pl.DataFrame({"clip_id": ["a1", "a2", "b1", "b2", "c1", "x"], "speaker": ["a", "a", "b", "b", "c", None]})
    fold = clip_fold(0, "1", clips, {"train": ["a1", "a2", "b1", "b2", "x"], "test": ["c1"]}, 1, seed=1)
    assert fold.dev in {("a1", "a2"), ("b1", "b2")}
    assert sorted((*fold.train, *fold.dev)) == ["a1", "a2", "b1", "b2", "x"]
    assert fold.test == ("c1",)
    assert "x" in fold.train
    given = clip_fold(0, "1", clips, {"train": ["a1"], "dev": ["b1"], "test": ["c1"]}, 1, seed=1)
    assert (given.train, given.dev, given.test) == (("a1",), ("b1",), ("c1",))


def test_clips_get_the_part_of_their_speaker_or_their_own() -> None:
    clips = pl.DataFrame({"clip_id": ["a1", "b1", "b2", "c1"], "speaker": ["a", "b", "b", "c"]})
    rows = assign(Fold(3, "x", ("b",), (), ("a",)), clips)
    assert rows.select("fold", "name", "part", "clip_id").rows() == [
        (3, "x", "test", "a1"), (3, "x", "train", "b1"), (3, "x", "train", "b2"),
    ]  # fmt: skip
    rows = assign(Fold(0, "x", ("a1", "b1"), ("b1",), ("c1",), "clip_id"), clips)
    assert rows.select("part", "clip_id").rows() == [("train", "a1"), ("train", "b1"), ("dev", "b1"), ("test", "c1")]


def test_mistakes_are_told_with_their_fix() -> None:
    with pytest.raises(UserError, match=r"9 speakers .* 10 folds .* set protocol\.folds to 9"):
        speaker_kfold(SPEAKERS, 10, seed=1)
    with pytest.raises(UserError, match=r"2 speakers .* 3 is the least"):
        speaker_kfold(["a", "b"], 3, seed=1)
    with pytest.raises(UserError, match="'s10' has no labelled clip; did you mean 's1'"):
        folds_by_test_speakers(SPEAKERS, [["s10"]], 1, seed=1)
    with pytest.raises(UserError, match="test_speakers is empty"):
        folds_by_test_speakers(SPEAKERS, None, 1, seed=1)
    with pytest.raises(UserError, match="the list of fold 1 is empty"):
        folds_by_test_speakers(SPEAKERS, [["s1"], []], 1, seed=1)
    with pytest.raises(UserError, match="1 speakers are left"):
        folds_by_test_speakers(SPEAKERS, [[f"s{speaker}" for speaker in range(8)]], 1, seed=1)
    with pytest.raises(UserError, match=r"here: 2 speakers are left .* lower it"):
        draw_speakers(["a", "b"], 2, [1], "here")


def parted(*partitions: str | None, per: int = 2) -> pl.DataFrame:
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
    division = partition_folds(parted(*names), None, 2, seed=1)
    (fold,) = division.folds
    assert (fold.train, fold.dev, fold.test) == (("0a", "0b"), ("1a", "1b"), ("2a", "2b"))
    assert fold.name == names[2]
    assert fold.by == "clip_id"
    assert division.warnings == ()


def test_all_that_are_named_test_test_together_or_those_chosen() -> None:
    table = parted("Train", "Development", "Test1", "Test2", "unlabeled")
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
    (fold,) = partition_folds(parted("train", "train", "train", "test"), None, 1, seed=1).folds
    assert fold.test == ("3a", "3b")
    assert len(fold.dev) == 2
    assert len({clip[0] for clip in fold.dev}) == 1
    assert len(fold.train) == 4


def test_other_names_are_folds_that_test_once_with_the_next_as_dev() -> None:
    names = ["Session10", "Session1", "Session2", "Session9"]
    division = partition_folds(parted(*names, per=1), None, 2, seed=1)
    assert [fold.name for fold in division.folds] == ["Session1", "Session2", "Session9", "Session10"]
    first, last = division.folds[0], division.folds[-1]
    assert (first.test, first.dev, first.train) == (("1a",), ("2a",), ("0a", "3a"))
    assert (last.test, last.dev, last.train) == (("0a",), ("1a",), ("2a", "3a"))
    chosen = partition_folds(parted(*names, per=1), ["Session9"], 2, seed=1).folds
    assert [(fold.number, fold.name, fold.test, fold.dev) for fold in chosen] == [(0, "Session9", ("3a",), ("0a",))]


def test_clips_in_no_partition_are_left_out_with_a_warning() -> None:
    division = partition_folds(parted("train", "dev", "test", None), None, 2, seed=1)
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
        partition_folds(parted(*names), chosen, 2, seed=1)


def test_partitions_of_nearly_the_same_name_are_refused_where_each_is_a_fold_or_chosen() -> None:
    with pytest.raises(UserError, match="'S1' and 's1' differ only in case"):
        partition_folds(parted("S1", "s1", "S2"), None, 1, seed=1)
    with pytest.raises(UserError, match="'Test' and 'test' differ only in case"):
        partition_folds(parted("train", "dev", "test", "Test"), ["Test"], 1, seed=1)
    (fold,) = partition_folds(parted("train", "Train", "dev", "test", "Test"), None, 1, seed=1).folds
    assert (len(fold.train), len(fold.test)) == (4, 4)
