"""What tables say of the folds of a setting."""

from pathlib import Path

from avpretext import shards
from avpretext.config_file import parse
from avpretext.corpora.settings import Setting
from avpretext.evaluation import fold_table
from avpretext.evaluation.open_run import Evaluated, OpenRun
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance

ONE = Evaluated("mine", Setting("acted", "hard", "acted", "chou"))
CORPUS = {"path": ".", "reader": "crema_d", "use": ["finetune"], "protocol": {"name": "chou"}}
APART = "train s1 a, train s1 b, train s2 c, dev s3 d, test s4 e"


def write(folder: Path, text: str, corpus: str = "mine", sentence: str = "", **more: object) -> OpenRun:
    """Write one fold, `part speaker clip`, separated by commas."""
    run = OpenRun(parse({"results": str(folder), "corpora": {"mine": CORPUS}}))
    rows = [
        {"fold": 0, "name": "1", "part": part, "corpus": corpus if part != "test" else "mine", "clip_id": clip,
         "speaker": speaker}
        for part, speaker, clip in (entry.split() for entry in text.split(", "))
    ]  # fmt: skip
    told = provenance("folds", {}, sentence=sentence, **more)
    shards.write_table(
        run.layout.path("folds", corpus="mine", setting=ONE.setting.name), rows, schema_of("folds"), told
    )
    return run


def protocol(run: OpenRun) -> fold_table.Protocol:
    return fold_table.protocol_of(run, ONE)


def test_speakers_apart_need_no_warning_and_the_protocol_is_told_as_a_sentence(tmp_path: Path) -> None:
    found = protocol(write(tmp_path, APART, sentence="protocol chou: 5 folds; 2 copies of test audio left out"))
    assert found.warnings == []
    assert found.notes == ["Protocol chou: 5 folds; 2 copies of test audio left out."]


def test_folds_that_depart_from_the_protocol_are_told(tmp_path: Path) -> None:
    found = protocol(write(tmp_path, APART, sentence="protocol chou: 1 fold", notes=["fold 5 is left out"]))
    assert found.notes == ["Protocol chou: 1 fold.", "Fold 5 is left out."]


def test_speakers_on_both_sides_are_said_loudly(tmp_path: Path) -> None:
    found = protocol(write(tmp_path, f"{APART}, test s1 f, test s3 g"))
    assert found.warnings == ["NOT speaker-independent: 2 speakers are both in training and in test."]


def test_same_name_in_two_corpora_is_two_speakers_and_the_training_corpora_are_named(tmp_path: Path) -> None:
    run = write(tmp_path, "train s1 a, dev s2 b, test s1 a", corpus="other")
    assert protocol(run).warnings == ["Trained on other."]
    rows = fold_table.compact(fold_table.fold_rows(run, ONE))
    assert rows == [("1", ["other: 1 clip, 1 speaker", "other: 1 clip, 1 speaker", "1 clip, 1 speaker"])]


def test_without_dev_clips_the_last_epoch_counts(tmp_path: Path) -> None:
    assert "the last one is kept" in protocol(write(tmp_path, "train s1 a, test s2 b")).notes[0]


def test_what_makes_figures_wrong_is_said_loudly_and_lacking_classes_stand_beside_the_part(tmp_path: Path) -> None:
    told = {"warnings": ["speakers unknown: those of 2 of 5"], "lacking": {"0": {"train": ["sad"], "test": ["calm"]}}}
    run = write(tmp_path, APART, **told)
    assert protocol(run).warnings == ["Speakers unknown: those of 2 of 5."]
    rows = fold_table.fold_rows(run, ONE)
    assert [(row["part"], row["lacks_classes"]) for row in rows] == [("train", "sad"), ("dev", None), ("test", "calm")]
    assert fold_table.compact(rows)[0][1][0] == "3 clips, 2 speakers, no sad"


def test_names_of_speakers_that_are_alike_are_of_one_person(tmp_path: Path) -> None:
    found = protocol(write(tmp_path, f"{APART}, test S1 f"))
    assert found.warnings == ["NOT speaker-independent: 1 speaker is both in training and in test."]
    assert protocol(write(tmp_path, "train x1.wav a, dev s2 b, test X1.wav c")).warnings == []


def test_table_has_a_row_per_fold_and_part_and_names_few_speakers(tmp_path: Path) -> None:
    many = ", ".join(f"train s{number:02} c{number}" for number in range(30))
    run = write(tmp_path, f"{many}, dev t1 d, dropped t1 e, test t2 f, test t3 g")
    rows = fold_table.fold_rows(run, ONE)
    assert [(row["part"], row["speakers"], row["clips"], row["speaker_names"]) for row in rows] == [
        ("train", 30, 30, None), ("dev", 1, 1, "t1"), ("test", 2, 2, "t2; t3"), ("dropped", 1, 1, "t1"),
    ]  # fmt: skip
    assert {(row["corpus"], row["target"], row["protocol"]) for row in rows} == {("mine", "acted", "chou")}
    assert len(fold_table.compact(rows)[0][1]) == 4


def test_before_folds_are_made_nothing_is_said(tmp_path: Path) -> None:
    run = OpenRun(parse({"results": str(tmp_path), "corpora": {"mine": CORPUS}}))
    assert fold_table.fold_rows(run, ONE) == []
    assert (protocol(run).warnings, protocol(run).notes) == ([], [])
