"""Classes that a fold tests and nothing teaches, dev sets that lack one, classes that nobody tests: all are told."""

import polars as pl

from avpretext.corpora.caveats import coverage, label_by_speaker, labels_of, one_label
from avpretext.corpora.findings import Finding


def folds_of(*folds: str) -> pl.DataFrame:
    """Return folds in which each letter is a clip: its part stands before it, `train:ab dev:c test:d`."""
    rows = [
        (number, str(number + 1), part, "mine", clip)
        for number, fold in enumerate(folds)
        for part, clips in (entry.split(":") for entry in fold.split())
        for clip in clips
    ]
    return pl.DataFrame(rows, ["fold", "name", "part", "corpus", "clip_id"], orient="row")


def classes(**of_clip: str) -> pl.DataFrame:
    rows = [("mine", clip, name) for clip, names in of_clip.items() for name in names.split()]
    return pl.DataFrame(rows, ["corpus", "clip_id", "class"], orient="row")


LABELS = classes(a="sad", b="happy", c="sad", d="happy", e="calm")


def told(found: list[Finding]) -> tuple[list[str], list[str]]:
    """Return what is wrong, and what is worth knowing."""
    return [one.meaning for one in found if one.wrong], [one.meaning for one in found if not one.wrong]


def test_whole_folds_have_nothing_to_tell():
    labels = classes(a="sad", b="happy", c="sad", d="happy")
    assert coverage(folds_of("train:ab dev:cb test:ad"), labels) == ({}, [])


def test_a_class_that_no_training_clip_has_is_wrong():
    lacking, found = coverage(folds_of("train:ac dev:bae test:d", "train:abe dev:cbe test:d"), LABELS)
    assert told(found)[0] == [
        "1 of 2 folds test a class that none of their training clips has, so it cannot be recognised: fold 1 'happy'"
    ]
    assert lacking["0"] == {"train": ["calm", "happy"], "test": ["calm", "sad"]}


def test_what_dev_lacks_and_what_nobody_tests_is_noted():
    _, found = coverage(folds_of("train:abe dev:c test:ad"), LABELS)
    assert told(found) == (
        [],
        [
            "no fold tests 'calm'",
            "1 of 1 folds choose the epoch on dev clips that lack a class: fold 1 'calm', 'happy'",
        ],
    )


def test_a_fold_without_dev_lacks_nothing_there_and_dropped_clips_teach_nothing():
    _, found = coverage(folds_of("train:a dropped:b test:dc"), classes(a="sad", b="happy", c="sad", d="happy"))
    wrong, notes = told(found)
    assert (len(wrong), wrong[0].endswith("fold 1 'happy'"), notes) == (1, True, [])


def test_classes_of_other_corpora_are_not_asked_for():
    rows = pl.concat([folds_of("test:ab"), folds_of("train:ab dev:ab").with_columns(corpus=pl.lit("other"))])
    labels = pl.concat([
        classes(a="sad", b="happy"), classes(a="sad angry", b="happy").with_columns(corpus=pl.lit("other")),
    ])  # fmt: skip
    lacking, found = coverage(rows, labels)
    assert (lacking, told(found)[0]) == ({}, [])


def test_classes_are_those_with_a_value_above_0():
    table = pl.DataFrame({"clip_id": ["a", "b", "c"], "values": [[1.0, 0.5], [0.0, 1.0], None]})
    assert labels_of("mine", table, ["x", "y"], "multi_label").rows() == [
        ("mine", "a", "x"), ("mine", "a", "y"), ("mine", "b", "y"),
    ]  # fmt: skip
    assert labels_of("mine", table, ["arousal"], "attribute").is_empty()


def speakers(**of_clip: str) -> pl.DataFrame:
    rows = [("mine", clip, speaker) for clip, speaker in of_clip.items()]
    return pl.DataFrame(rows, ["corpus", "clip_id", "speaker"], orient="row").with_columns(known=pl.lit(True))


def test_speakers_with_one_label_each_are_told_and_whether_labels_are_theirs_alone():
    labels = classes(a="sad", b="sad", c="happy", d="happy")
    (found,) = one_label(speakers(a="1", b="1", c="2", d="2"), labels)
    assert found.wrong
    assert found.meaning.startswith(
        "each of the 2 speakers has one label only and each label one speaker, such as '1': 'sad'"
    )
    (patients,) = one_label(speakers(a="1", b="2", c="3", d="3"), labels)
    assert not patients.wrong


def test_speakers_with_several_labels_or_a_clip_each_are_as_they_should_be():
    labels = classes(a="sad", b="happy", c="happy", d="sad")
    assert one_label(speakers(a="1", b="1", c="2", d="2"), labels) == []
    assert one_label(speakers(a="1", b="2", c="3", d="4"), labels) == []
    assert one_label(speakers(a="1", b="1"), classes(a="sad", b="sad")) == []


def test_most_clips_of_speakers_with_one_label_alone_are_told():
    of = {f"c{n}": str(n // 8) for n in range(40)}
    alone = {name: ("sad", "calm")[int(who) % 2] for name, who in of.items()}
    (found,) = label_by_speaker(speakers(**of), classes(**alone | {"c0": "angry"}))
    assert found.wrong
    assert found.meaning.startswith("4 of 5 speakers of mine have clips of one label alone")
    mixed = {name: ("sad", "calm")[n % 2] for n, name in enumerate(of)}
    assert label_by_speaker(speakers(**of), classes(**mixed)) == []
    assert label_by_speaker(speakers(**of), classes(**alone)) == []  # all have: `one_label` tells it


def test_few_clips_of_a_frequent_label_are_of_one_label_by_chance():
    of = {f"c{n}": str(n // 2) for n in range(40)}
    often = {name: "neutral" if n % 10 else "sad" for n, name in enumerate(of)}
    assert label_by_speaker(speakers(**of), classes(**often)) == []  # 16 of 20 speakers are neutral alone
