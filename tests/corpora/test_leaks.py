"""Leaks: no fold trains or chooses on a speaker or a recording that it tests."""

import polars as pl
import pytest

from avpretext.corpora.leaks import check_parts, speaker_leaks, without_duplicates
from avpretext.errors import UserError


def rows(*clips: str, fold: int = 0, known: bool = True) -> pl.DataFrame:
    """Return rows of one fold from `part clip_id content`; the speaker is the first letter of the clip."""
    cells = [clip.split() for clip in clips]
    return pl.DataFrame(
        {
            "fold": pl.Series([fold] * len(cells), dtype=pl.Int32),
            "name": [f"name {fold}"] * len(cells),
            "part": [cell[0] for cell in cells],
            "corpus": ["made"] * len(cells),
            "clip_id": [cell[1] for cell in cells],
            "speaker": [cell[1][0] for cell in cells],
            "known": [known] * len(cells),
            "content": [None if cell[2] == "-" else cell[2] for cell in cells],
        },
        schema_overrides={"content": pl.String},
    )


def test_speakers_that_are_apart_leak_nothing() -> None:
    table = pl.concat([rows("train a1 1", "dev b1 2", "test c1 3"), rows("test a1 1", "train b1 2", fold=1)])
    assert speaker_leaks(table, allowed=False) == []


@pytest.mark.parametrize("parts", [("train", "dev"), ("train", "test"), ("dev", "test")])
def test_a_speaker_in_two_parts_is_refused_by_name(parts: tuple[str, str]) -> None:
    table = rows(f"{parts[0]} a1 1", f"{parts[1]} a2 2", "train b1 3", "test c1 4")
    words = rf"fold 0 \(name 0\): the speaker 'a' is in {parts[0]} and {parts[1]};.* set protocol.allow_speaker_leaks"
    with pytest.raises(UserError, match=words):
        speaker_leaks(table, allowed=False)


def test_leaks_that_are_allowed_are_counted_in_a_warning_for_each_fold() -> None:
    first = rows("train a1 1", "test a2 2", "train b1 3", "test b2 4")
    table = pl.concat([first, rows("train a1 1", "dev a3 5", "test a2 2", fold=1)])
    assert speaker_leaks(table, allowed=True) == [
        "fold 0 (name 0): the speaker 'a' is in train and test (2 speakers are in several parts); figures of it"
        " are not of new speakers",
        "fold 1 (name 1): the speaker 'a' is in train and dev and test; figures of it are not of new speakers",
    ]


def test_clips_of_unknown_speaker_cannot_be_seen_to_leak() -> None:
    assert speaker_leaks(rows("train a1 1", "test a1 1", known=False), allowed=False) == []


def test_copies_leave_the_part_that_comes_later() -> None:
    table = rows(
        "train a1 x", "dev b1 x", "test c1 x", "train a2 y", "dev b2 y", "train a3 z", "train a4 z", "test c2 -"
    )
    clean, warnings = without_duplicates(table, "drop")
    assert clean.select("clip_id", "part").rows() == [
        ("a1", "dropped"), ("b1", "dropped"), ("c1", "test"), ("a2", "dropped"), ("b2", "dev"), ("a3", "train"),
        ("a4", "train"), ("c2", "test"),
    ]  # fmt: skip
    assert warnings == [
        "clips with the audio, the same or re-encoded, of another part of their fold: 3, such as 'a1' of train is 'c1'"
        " of test (fold 0); 'b1' of dev is 'c1' of test (fold 0); 'a2' of train is 'b2' of dev (fold 0): left out"
    ]
    assert clean.columns == [*table.columns, "copy_of"]
    assert clean["copy_of"].to_list() == ["made/c1", "made/c1", None, "made/b2", None, None, None, None]


def test_copies_count_within_their_fold_only() -> None:
    table = pl.concat([rows("train a1 x", "test c1 y"), rows("train c1 y", "test b1 x", fold=1)])
    assert without_duplicates(table, "error")[1] == []


def test_clips_whose_audio_is_not_known_are_no_copies_of_each_other() -> None:
    assert without_duplicates(rows("train a1 -", "test c1 -"), "error")[1] == []
    assert without_duplicates(rows("train a1 -", "test a1 -"), "drop")[0]["part"].to_list() == ["dropped", "test"]


def test_copies_are_an_error_by_choice() -> None:
    with pytest.raises(
        UserError, match=r"fold: 1, such as 'a1' of train is 'c1' of test .* set protocol.duplicates to drop"
    ):
        without_duplicates(rows("train a1 x", "test c1 x"), "error")


def test_an_empty_part_is_named() -> None:
    check_parts(rows("train a1 1", "test c1 2"), needs_dev=False)
    with pytest.raises(
        UserError, match=r"fold 0 \(name 0\): no clip .* is in dev \(train, dev and test have 1, 0, 1\)"
    ):
        check_parts(rows("train a1 1", "test c1 2"), needs_dev=True)
    with pytest.raises(UserError, match=r"is in train or test \(train, dev and test have 0, 1, 0\)"):
        check_parts(rows("dropped a1 1", "dev c1 2"), needs_dev=True)
