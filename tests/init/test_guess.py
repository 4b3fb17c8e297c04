"""Which reader a folder asks for, and what can be done with it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from avpretext.cli import app
from avpretext.config import CorpusOptions
from avpretext.errors import UserError
from avpretext.init import guess
from avpretext.init.guess import FoundCorpus

CREMA_D = [f"AudioWAV/{actor}_DFA_{emotion}_XX.wav" for actor in (1001, 1002, 1003) for emotion in ("ANG", "HAP")]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["Actor_01/01-01-05-02-01-01-01.mp4", "Actor_02/01-01-05-02-01-01-02.mp4"], ("ravdess", True)),
        (["Actor_01/03-01-05-02-01-01-01.wav"], ("ravdess", False)),
        (CREMA_D, ("crema_d", False)),
        (["s1/bbaf2n.mpg", "s2/lrwp9a.mpg", "notes/take 1.mpg"], ("grid", True)),
        (["wav/03a01Fa.wav", "wav/03a01Nc.wav"], ("emodb", False)),
        (["M003/video/front/angry/level_1/001.mp4", "M003/audio/angry/level_1/001.m4a"], ("mead", True)),
        (["03-01-05-01-03-03-34.wav", "03-01-05-01-01-01-01.wav"], ("banglaser", False)),
        (["train/Ses01F_impro01_F000.wav"], ("iemocap", False)),
        (["anna/hello.mp4", "bob/hello.mp4", "bob/1001_DFA_ANG_XX.mp4"], ("folder", True)),
    ],
)
def test_a_corpus_is_known_by_its_names(files: list[str], expected: tuple[str, bool]) -> None:
    assert guess.guess_reader(sorted(files)) == expected


def found_in(folder: Path, files: list[str], **options: object) -> FoundCorpus:
    for name in files:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\0" * 2000)
    return guess.look(CorpusOptions(path=str(folder), use=["pretrain"], **options))  # type: ignore[arg-type]


def test_labels_are_those_whose_tables_are_there(tmp_path: Path) -> None:
    found = found_in(tmp_path, [*CREMA_D, "AudioWAV/notes.wav"], reader="crema_d", video=False)
    assert (found.clips, found.refused, found.speakers) == (6, 1, ["1001", "1002", "1003"])
    assert found.labels == ["acted"]  # the votes of raters are not there
    assert guess.uses(found) == ["pretrain", "finetune"]
    assert guess.protocol_for(found) == {"name": "speaker_kfold", "folds": 3}


def test_of_two_speakers_no_labels_are_learnt(tmp_path: Path) -> None:
    found = found_in(tmp_path, CREMA_D[:4], reader="crema_d", video=False)
    assert guess.uses(found) == ["pretrain"]


def test_all_speakers_of_a_published_protocol_bring_it(tmp_path: Path) -> None:
    actors = [f"Actor_{actor:02d}/03-01-05-02-01-01-{actor:02d}.wav" for actor in range(1, 25)]
    found = found_in(tmp_path, actors, reader="ravdess", video=False)
    assert guess.protocol_for(found) == {"name": "emobox"}


def test_readers_that_need_tables_find_them_in_the_folder(tmp_path: Path) -> None:
    head = "Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n"
    for part in ("train", "dev", "test"):
        (tmp_path / f"{part}_sent_emo.csv").write_text(f"{head}Hi,Ross,joy,positive,0,0\n")
    files = ["train_splits/dia0_utt0.mp4", "dev_splits_complete/dia0_utt0.mp4"]
    assert guess.guess_reader(sorted(files), tmp_path) == ("meld", True)
    assert guess.guess_reader(sorted(files)) == ("folder", True)
    found = found_in(tmp_path, files, reader="meld")
    # Its partitions share speakers, so that they are no protocol to begin with.
    assert (found.clips, found.refused, found.division.usable) == (2, 1, False)
    assert guess.protocol_for(found)["name"] == "speaker_kfold"


def test_partitions_that_share_no_speaker_are_the_protocol(tmp_path: Path) -> None:
    names = [
        f"MSP-IMPROV-S01{emotion}-{sex}0{pair}-T-FM0{pair}" for pair in (1, 2, 3) for sex in "FM" for emotion in "AN"
    ]
    (tmp_path / "Evaluation.txt").write_text(
        "".join(f"UTD-{name[4:]}.avi; N; A:2.0; V:2.0; D:3.0 ; N:4.0;\n" for name in names)
    )
    found = found_in(tmp_path, [f"{name}.wav" for name in names], reader="msp_improv", video=False)
    assert guess.protocol_for(found) == {"name": "partitions"}


def test_a_table_brings_labels_to_a_folder(tmp_path: Path) -> None:
    rows = "\n".join(f"{name}.wav,{name},{emotion}" for name, emotion in (("a", "joy"), ("b", "joy"), ("c", "rage")))
    (tmp_path / "clips.csv").write_text(f"path,speaker,emotion\n{rows}\n")
    found = found_in(tmp_path, ["a.wav", "b.wav", "c.wav"], video=False, table=str(tmp_path / "clips.csv"))
    assert found.labels == ["emotion"]
    assert guess.uses(found) == ["pretrain", "finetune"]


def folds_of(tmp_path: Path, folds: dict[str, str]) -> FoundCorpus:
    """Return what is found in a folder of sounds whose table has the fold of each speaker, or speakers, by name."""
    rows = [f"{name}.wav,{name.partition('_')[0]},joy,{fold}" for name, fold in folds.items()]
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "clips.csv").write_text("path,speaker,emotion,fold\n" + "\n".join(rows) + "\n")
    return found_in(tmp_path, [f"{name}.wav" for name in folds], video=False, table=str(tmp_path / "clips.csv"))


def test_a_column_fold_is_the_protocol_and_names_who_tests(tmp_path: Path) -> None:
    found = folds_of(tmp_path, {"a": "train", "b": "train", "c": "dev", "d": "test", "e": "test"})
    assert guess.protocol_for(found) == {"name": "partitions"}
    assert guess.test_speakers(found) == ("d", "e")
    assert guess.origin(found.options, "emotion") == "clips.csv"


def test_numbered_folds_test_everyone_once(tmp_path: Path) -> None:
    found = folds_of(tmp_path, {"a": "1", "b": "2", "c": "3", "d": "1"})
    assert guess.protocol_for(found) == {"name": "partitions"}
    assert guess.test_speakers(found) == ()


@pytest.mark.parametrize(
    ("folds", "problem"),
    [
        ({"a_1": "train", "a_2": "test", "b": "train", "c": "train", "d": "dev"}, "speaker 'a' is in test and train"),
        ({"a": "1", "b": "2"}, "at least three folds"),
    ],
)
def test_a_column_fold_that_makes_no_folds_is_told(tmp_path: Path, folds: dict[str, str], problem: str) -> None:
    found = folds_of(tmp_path, folds)
    assert problem in found.division.problem
    assert guess.protocol_for(found)["name"] == "speaker_kfold"


def test_labels_of_names_come_from_file_names(tmp_path: Path) -> None:
    found = found_in(tmp_path, CREMA_D, reader="crema_d", video=False)
    assert guess.origin(found.options, "acted") == "file names"


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no video files there"):
        guess.look(CorpusOptions(path=str(tmp_path), use=["pretrain"]))


def test_a_table_is_read_whatever_the_names_of_the_files_tell(tmp_path: Path) -> None:
    (tmp_path / "SM1_F10_A010.wav").write_bytes(b"x")
    (tmp_path / "clips.csv").write_text("path,speaker,emotion\nSM1_F10_A010.wav,ann,joy\n")
    asked = ["corpus", str(tmp_path), "--table", "clips.csv", "--headers", "none", "--listen", "none"]
    shown = CliRunner().invoke(app, asked).stdout
    assert "folder, audio" in shown
    assert "joy 1" in shown
