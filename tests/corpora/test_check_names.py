"""A check finds what is wrong with speakers, labels and cells before a run, and nothing in good corpora."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.corpora import made

from avpretext.config import CorpusOptions
from avpretext.corpora.checks.check import check
from avpretext.corpora.findings import Finding
from avpretext.corpora.readers.crema_d import EMOTIONS
from avpretext.media.extensions import AUDIO_EXTENSIONS

ABOUT_NAMES = {
    "words_for_nothing", "decimal_comma", "speaker_folder", "speaker_column", "untold_speaker", "folders_are_labels",
    "alike_speakers", "alike_labels", "alike_partitions", "one_label", "untaught_class", "untested_class",
}  # fmt: skip


def corpus(
    root: Path, paths: Iterable[str], table: str | None = None, reader: str = "folder", **more: object
) -> CorpusOptions:
    """Return the options of a corpus with these files, and a table with these lines."""
    made.touch(root, *paths)
    if table is not None:
        (root / "clips.csv").write_text(table, "utf-8")
    return made.corpus(root, reader, video=False, table="clips.csv" if table is not None else None, **more)


def found_in(options: CorpusOptions) -> dict[str, Finding]:
    """Return what is found about names and cells, by its reason; the first of several."""
    found = {}
    for entry in check(options, "none").findings:
        if entry.reason in ABOUT_NAMES:
            found.setdefault(entry.reason, entry)
    return found


def table_of(rows: Iterable[tuple[str, ...]], *columns: str) -> str:
    return "\n".join([",".join(columns), *(",".join(row) for row in rows)]) + "\n"


def people(*names: str, labels: tuple[str, ...] = ("happy", "sad")) -> list[tuple[str, ...]]:
    """Return rows `path,speaker,emotion`: of each person each label twice."""
    numbers = itertools.count()
    return [(f"{next(numbers)}.wav", name, label) for name in names for label in labels for _ in (1, 2)]


def of_rows(root: Path, rows: list[tuple[str, ...]], *columns: str) -> CorpusOptions:
    return corpus(root, [row[0] for row in rows], table_of(rows, "path", *columns))


def test_names_and_labels_that_only_look_different_are_named(tmp_path):
    rows = [*people("Bob", "eve", "jörg", "zoë"), *people("bob ", labels=("Happy",))]
    rows = [(f"{n}.wav", *row[1:]) for n, row in enumerate(rows)]
    found = found_in(of_rows(tmp_path, rows, "speaker", "emotion"))
    assert (found["alike_speakers"].examples, found["alike_speakers"].wrong) == (("'Bob' and 'bob'",), True)
    assert (found["alike_labels"].examples, found["alike_labels"].wrong) == (("'Happy' and 'happy'",), True)
    assert "label_map" in found["alike_labels"].fix


def test_alike_labels_of_a_column_that_is_not_learnt_are_worth_knowing(tmp_path):
    rows = [(*row, "A" if n % 2 else "a") for n, row in enumerate(people("a1", "b1", "c1", "d1"))]
    found = found_in(of_rows(tmp_path, rows, "speaker", "emotion", "room"))
    assert found["alike_labels"].wrong is False


def test_partitions_that_are_alike_are_named(tmp_path):
    rows = [
        (*row, fold) for row, fold in zip(people("a", "b", "c", "d"), itertools.cycle(["S1", "s1", "S2"]), strict=False)
    ]
    assert found_in(of_rows(tmp_path, rows, "speaker", "emotion", "fold"))["alike_partitions"].examples == (
        "'S1' and 's1'",
    )


def test_cells_that_stand_for_nothing_are_counted(tmp_path):
    rows = people("a", "b", "c", "d")
    rows[0], rows[5] = (rows[0][0], "nan", "None"), (rows[5][0], "b", "N/A")
    options = of_rows(tmp_path, rows, "speaker", "emotion")
    words = [entry for entry in check(options, "none").findings if entry.reason == "words_for_nothing"]
    assert [(entry.count, entry.wrong) for entry in words] == [(1, True), (2, True)]
    assert check(options, "none").targets[0].counts == {"happy": 6, "sad": 8}


def test_decimal_commas_are_told_and_read(tmp_path):
    text = "path;speaker;arousal\n" + "".join(f"{n}.wav;{'abcd'[n % 4]};{n},5\n" for n in range(8))
    options = corpus(tmp_path, [f"{n}.wav" for n in range(8)], text)
    assert found_in(options)["decimal_comma"].count == 8
    assert check(options, "none").targets[0].numbers == (0.5, 4.0, 7.5)


def test_folders_of_labels_are_no_people(tmp_path):
    rows = [(f"{label}/{n}.wav", label) for label in ("angry", "happy", "sad") for n in range(3)]
    found = found_in(of_rows(tmp_path, rows, "emotion"))
    assert (found["folders_are_labels"].count, found["folders_are_labels"].wrong) == (9, True)


def test_folders_of_codes_for_labels_are_seen_by_the_one_label_of_each(tmp_path):
    rows = [
        (f"{code}/{n}.wav", label)
        for code, label in zip("wxyz", ("one", "two", "six", "ten"), strict=True)
        for n in range(3)
    ]
    found = found_in(of_rows(tmp_path, rows, "emotion"))
    assert "each of the 4 speakers has one label only" in found["one_label"].meaning
    assert found["one_label"].wrong
    assert "fold 1" in found["untaught_class"].meaning
    assert found["untaught_class"].wrong


def test_patients_with_a_diagnosis_each_are_worth_knowing(tmp_path):
    rows = [(f"{n}.wav", f"p{n // 2}", "ill" if n % 4 < 2 else "well") for n in range(24)]
    found = found_in(of_rows(tmp_path, rows, "speaker", "state"))
    assert found["one_label"].wrong is False


def test_sessions_below_people_are_passed_over_and_told(tmp_path):
    rows = [(f"Actor_0{a}/session{n % 2}/{n}.wav", "happy" if n < 2 else "sad") for a in range(1, 6) for n in range(4)]
    options = of_rows(tmp_path, rows, "emotion")
    found = found_in(options)
    assert (found["speaker_folder"].wrong, list(found)) == (False, ["speaker_folder"])
    assert "folder 1 is the speaker, such as 'Actor_01'" in found["speaker_folder"].meaning
    assert len(check(options, "none").speakers) == 5


def test_what_cannot_be_told_is_wrong_until_it_is_said(tmp_path):
    rows = [(f"P{a}/{d}/{n}.wav", "happy" if n else "sad") for a in range(4) for d in ("am", "pm") for n in (0, 1)]
    options = of_rows(tmp_path, rows, "emotion")
    found = found_in(options)["untold_speaker"]
    assert found.wrong
    assert "--speaker-folder" in found.fix
    for level, speakers in ((1, 4), (2, 2), (-1, 2)):
        chosen = check(options.model_copy(update={"speaker_folder": level}), "none")
        assert len(chosen.speakers) == speakers
        assert not any(entry.wrong for entry in chosen.findings)


def test_partitions_that_test_what_they_never_taught_are_found(tmp_path):
    rows = [(f"{n}.wav", f"s{n}", "happy" if n else "calm", "train" if n > 2 else "test") for n in range(8)]
    rows += [(f"{n}.wav", f"s{n}", "sad", "train" if n > 10 else "test") for n in range(8, 14)]
    options = of_rows(tmp_path, rows, "speaker", "emotion", "fold")
    untaught = [entry for entry in check(options, "none").findings if entry.reason == "untaught_class"]
    (of_partitions,) = [
        entry for entry in untaught if entry.meaning.startswith("protocol partitions: 1 of 1 folds test")
    ]
    assert of_partitions.meaning.endswith("fold test 'calm'")
    assert of_partitions.wrong


@pytest.mark.parametrize("reader", ["crema_d", "ravdess", "emodb"])
def test_good_corpora_have_no_finding(tmp_path, reader):
    names = {
        "crema_d": [f"AudioWAV/{actor}_DFA_{emotion}_XX.wav" for actor in range(1001, 1011) for emotion in EMOTIONS],
        "ravdess": [f"Actor_{a:02}/03-01-0{e}-01-01-01-{a:02}.wav" for a in range(1, 9) for e in range(1, 9)],
        "emodb": [f"wav/{s:02}a01{e}a.wav" for s in (3, *range(8, 13)) for e in "WLEAFTN"],
    }[reader]
    assert ".wav" in AUDIO_EXTENSIONS
    assert found_in(corpus(tmp_path, names, reader=reader)) == {}


@pytest.mark.parametrize("where", ["folder", "column"])
def test_a_good_table_has_no_finding(tmp_path, where):
    rows = people("Jörg", "Zoë", "Łukasz", "Bob", "Eve")
    if where == "folder":
        rows = [(f"{speaker}/{path}", label) for path, speaker, label in rows]
    options = of_rows(tmp_path, rows, *(["emotion"] if where == "folder" else ["speaker", "emotion"]))
    assert found_in(options) == {}
    assert check(options, "none").wrong == 0


def test_a_column_that_may_name_the_speakers_is_pointed_at(tmp_path):
    rows = people("a", "b", "c", "d")
    assert found_in(of_rows(tmp_path, rows, "actor", "emotion"))["speaker_column"].wrong
    assert "speaker_column" not in found_in(of_rows(tmp_path, rows, "room_number", "emotion"))
