"""Protocols: speakers apart, every speaker tested once, groups of like size."""

from collections import Counter

import pytest

from avpretext.config import FinetuneOptions
from avpretext.errors import UserError
from avpretext.training.protocols import Fold, check_no_leak, folds_by_test_speakers, make_folds, speaker_kfold

SPEAKERS = [f"s{speaker}" for speaker in range(9) for _ in range(4 + 3 * speaker)]


def test_every_speaker_is_tested_once_and_is_dev_once() -> None:
    folds = speaker_kfold(SPEAKERS, 4, seed=1)
    for part in ("test", "dev"):
        assert sorted(speaker for fold in folds for speaker in getattr(fold, part)) == sorted(set(SPEAKERS))
    for fold in folds:
        check_no_leak(fold)
        assert {*fold.train, *fold.dev, *fold.test} == set(SPEAKERS)
    assert folds[0].dev == folds[1].test
    assert folds[3].dev == folds[0].test


def test_folds_hold_about_equally_many_clips() -> None:
    clips = Counter(SPEAKERS)
    sizes = [sum(clips[speaker] for speaker in fold.test) for fold in speaker_kfold(SPEAKERS, 3, seed=1)]
    assert max(sizes) - min(sizes) <= max(clips.values()) / 2


def test_folds_depend_on_the_seed_and_not_on_the_order_of_clips() -> None:
    even = [f"s{speaker}" for speaker in range(12) for _ in range(5)]
    assert speaker_kfold(even, 4, seed=1) == speaker_kfold(even[::-1], 4, seed=1)
    assert speaker_kfold(even, 4, seed=1) != speaker_kfold(even, 4, seed=2)


def test_explicit_test_speakers_with_dev_drawn_from_the_rest() -> None:
    folds = folds_by_test_speakers(SPEAKERS, [["s0", "s1"], ["s8"]], dev_speakers=2, seed=1)
    assert [fold.test for fold in folds] == [("s0", "s1"), ("s8",)]
    for fold in folds:
        check_no_leak(fold)
        assert len(fold.dev) == 2
        assert len(fold.train) == 9 - 2 - len(fold.test)


def test_mistakes_are_told_with_their_fix() -> None:
    with pytest.raises(UserError, match=r"9 speakers .* 10 folds .* set finetune\.folds to 9"):
        speaker_kfold(SPEAKERS, 10, seed=1)
    with pytest.raises(UserError, match=r"2 speakers .* 3 is the least"):
        speaker_kfold(["a", "b"], 3, seed=1)
    with pytest.raises(UserError, match="'s10' has no labelled clip; did you mean 's1'"):
        folds_by_test_speakers(SPEAKERS, [["s10"]], 1, seed=1)
    with pytest.raises(UserError, match="test_speakers is empty"):
        make_folds(SPEAKERS, FinetuneOptions(protocol="speakers"), seed=1)
    with pytest.raises(UserError, match="1 speakers are left"):
        folds_by_test_speakers(SPEAKERS, [[f"s{speaker}" for speaker in range(8)]], 1, seed=1)


def test_a_leak_is_found() -> None:
    with pytest.raises(ValueError, match=r"speakers \['a'\] are in more than one"):
        check_no_leak(Fold(0, ("a", "b"), ("a",), ("c",)))
    with pytest.raises(ValueError, match="0, 1, 1"):
        check_no_leak(Fold(0, (), ("a",), ("c",)))
