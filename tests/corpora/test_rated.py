"""Corpora whose labels lie in files: IEMOCAP, MSP-IMPROV, MELD, CMU-MOSEI, on built folders laid out as described."""

from pathlib import Path

import polars as pl
import pytest
from tests.corpora.made import corpus, touch

from avpretext.config import CorpusOptions
from avpretext.corpora import Clip, reader_of, scan
from avpretext.corpora.settings import source_of
from avpretext.corpora.transcripts import transcripts_of
from avpretext.errors import UserError

IMPROVISED = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.0000, 3.0000]
C-E2:\tNeutral;\t()
C-E3:\tNeutral; Sadness;\t(tired)
C-F1:\tAnger;\t()
A-E3:\tval 3; act 2; dom  2;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M001\txxx\t[4.5000, 4.0000, 3.5000]
C-E2:\tHappiness;\t()
C-E4:\tOther;\t(amused; a lot)
"""
SCRIPTED = "[1.0000 - 2.0000]\tSes05M_script01_1b_F003\texc\t[4.0000, 4.0000, 4.0000]\nC-E1:\tExcited;\t()\n"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


def values(options: CorpusOptions, source: str) -> dict[str, tuple[object, ...]]:
    table = reader_of(options).sources(options)[source].read(options)
    return {clip_id: tuple(cells) for clip_id, *cells in table.iter_rows()}


@pytest.fixture
def iemocap(tmp_path: Path) -> CorpusOptions:
    write(tmp_path, {
        "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt": IMPROVISED,
        "Session5/dialog/EmoEvaluation/Ses05M_script01_1b.txt": SCRIPTED,
        "Session1/dialog/transcriptions/Ses01F_impro01.txt":
            "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\nF: [LAUGHTER]\n",
    })  # fmt: skip
    (tmp_path / "Session1/dialog/EmoEvaluation/._Ses01F_impro01.txt").write_bytes(b"\x00\x05\x16\x07\xff")
    sentences = "Session{}/sentences/wav/{}/{}.wav"
    touch(
        tmp_path, sentences.format(1, "Ses01F_impro01", "Ses01F_impro01_F000"),
        sentences.format(1, "Ses01F_impro01", "Ses01F_impro01_M001"),
        sentences.format(5, "Ses05M_script01_1b", "Ses05M_script01_1b_F003"), "Session1/dialog/wav/Ses01F_impro01.wav",
    )  # fmt: skip
    return corpus(tmp_path, "iemocap", video=False)


def test_turns_of_iemocap_are_of_the_one_who_speaks(iemocap: CorpusOptions) -> None:
    clips = {file.clip_id: file.clip for file in scan(iemocap)}
    assert {name: clip.speaker for name, clip in clips.items()} == {
        "Ses01F_impro01_F000": "Ses01F", "Ses01F_impro01_M001": "Ses01M", "Ses05M_script01_1b_F003": "Ses05F",
    }  # fmt: skip
    scripted = scan(iemocap.model_copy(update={"parts": ["scripted"]}))
    assert [file.clip_id for file in scripted] == ["Ses05M_script01_1b_F003"]


def test_what_raters_say_of_iemocap_is_read(iemocap: CorpusOptions) -> None:
    first, second, third = "Ses01F_impro01_F000", "Ses01F_impro01_M001", "Ses05M_script01_1b_F003"
    assert list(reader_of(iemocap).sources(iemocap)) == ["emotion", "valence", "arousal", "dominance", "votes"]
    assert values(iemocap, "emotion") == {first: ("neutral",), second: (None,), third: ("excited",)}
    assert values(iemocap, "valence")[first] == (2.5,)
    assert values(iemocap, "arousal")[first] == (2.0,)
    assert values(iemocap, "dominance")[first] == (3.0,)
    table = reader_of(iemocap).sources(iemocap)["votes"].read(iemocap)
    counts = {
        row["clip_id"]: {name: n for name, n in row.items() if name != "clip_id" and n} for row in table.to_dicts()
    }
    assert counts == {first: {"neutral": 2, "sad": 1}, second: {"happy": 1, "other": 1}, third: {"excited": 1}}
    joint = source_of(iemocap, "attributes").read(iemocap)
    assert joint.columns == ["clip_id", "arousal", "dominance", "valence"]
    assert joint.row(0) == (first, 2.0, 3.0, 2.5)
    assert dict(reader_of(iemocap).partitions(iemocap).rows()) == {first: "Ses01", second: "Ses01", third: "Ses05"}
    index = scan(iemocap)
    assert len(index) == 3
    assert len(reader_of(iemocap).annotations(iemocap)) == 2


def test_words_of_iemocap_are_known(iemocap: CorpusOptions) -> None:
    clips = pl.DataFrame(
        {"clip_id": ["Ses01F_impro01_F000", "other"], "sentence": [None, None]},
        {"clip_id": pl.String, "sentence": pl.String},
    )
    assert transcripts_of(iemocap, clips) == {"Ses01F_impro01_F000": "Excuse me."}


def test_labels_that_iemocap_does_not_use_are_an_error(iemocap: CorpusOptions, tmp_path: Path) -> None:
    file = tmp_path / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    file.write_text(IMPROVISED.replace("\tneu\t", "\tmad\t"))
    with pytest.raises(UserError, match=r"Ses01F_impro01_F000: emotion 'mad'; expected one of ang, hap"):
        values(iemocap, "emotion")
    file.write_text(IMPROVISED.replace("Happiness", "Joy"))
    with pytest.raises(UserError, match=r"a rater chose 'joy'; expected one of anger"):
        values(iemocap, "votes")
    file.write_text(IMPROVISED.replace("neu\t[2.5000, 2.0000,", "neu\t[2.5000,"))
    with pytest.raises(UserError, match=r"Ses01F_impro01_F000.*is not time, turn, emotion, three means"):
        values(iemocap, "emotion")
    for path in tmp_path.glob("Session*/dialog/EmoEvaluation/*.txt"):
        path.unlink()
    with pytest.raises(UserError, match="EmoEvaluation: no files of labels there; copy the folders dialog"):
        values(iemocap, "emotion")


EVALUATION = """UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:2.866667; V:2.933333; D:3.000000 ; N:4.200000;
WORKER00000001; Neutral; Neutral,Concerned; A:3.000000; V:3.000000; D:3.000000; N:5.000000;
WORKER00000002; Angry; Angry; A:2.000000; V:3.000000; D:3.000000; N:4.000000;
WORKER00000002; Angry; Angry; A:2.000000; V:3.000000; D:3.000000; N:4.000000;

UTD-IMPROV-S20H-M06-T-FM06.avi; X; A:NaN; V:1.500000; D:2.000000 ; N:3.000000;
WORKER00000001; Other; Amused; A:3.000000; V:3.000000; D:3.000000; N:5.000000;
"""


@pytest.fixture
def msp_improv(tmp_path: Path) -> CorpusOptions:
    write(tmp_path, {"Evalution.txt": EVALUATION})
    touch(tmp_path, "session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav", "session6/S20H/T/MSP-IMPROV-S20H-M06-T-FM06.wav")
    return corpus(tmp_path, "msp_improv", video=False)


def test_msp_improv_has_consensus_attributes_votes_and_the_intended_emotion(msp_improv: CorpusOptions) -> None:
    first, second = "MSP-IMPROV-S01A-F01-P-FM01", "MSP-IMPROV-S20H-M06-T-FM06"
    assert [file.clip for file in scan(msp_improv)] == [
        Clip(first, "F01", "angry"), Clip(second, "M06", "happy", sentence="20"),
    ]  # fmt: skip
    assert list(reader_of(msp_improv).sources(msp_improv)) == [
        "emotion", "arousal", "valence", "dominance", "votes", "intended",
    ]  # fmt: skip
    assert values(msp_improv, "emotion") == {first: ("neutral",), second: (None,)}
    assert values(msp_improv, "arousal") == {first: (2.866667,), second: (None,)}
    assert values(msp_improv, "valence") == {first: (2.933333,), second: (1.5,)}
    # angry, happy, neutral, sad, other; a rater who stands there twice counts once.
    assert values(msp_improv, "votes") == {first: (1, 0, 1, 0, 0), second: (0, 0, 0, 0, 1)}
    assert dict(reader_of(msp_improv).partitions(msp_improv).rows()) == {first: "session1", second: "session6"}


def test_msp_improv_without_labels_names_the_file(msp_improv: CorpusOptions, tmp_path: Path) -> None:
    (tmp_path / "Evalution.txt").write_text(EVALUATION.replace("; N; A", "; Q; A"))
    with pytest.raises(UserError, match="MSP-IMPROV-S01A-F01-P-FM01: 'Q'; expected A, H, N, S, O or X"):
        values(msp_improv, "emotion")
    (tmp_path / "Evalution.txt").write_text(EVALUATION.replace("V:2.933333", "V:?"))
    with pytest.raises(UserError, match=r"V:\?; .*is not as the line of a clip"):
        values(msp_improv, "emotion")
    (tmp_path / "Evalution.txt").write_text(EVALUATION.replace("Neutral; Neutral,Concerned", "Calm; Calm"))
    with pytest.raises(UserError, match=r"WORKER00000001; Calm; .*is not as the line of a rater"):
        values(msp_improv, "votes")
    (tmp_path / "Evalution.txt").unlink()
    with pytest.raises(UserError, match=r"Evalution.txt: no such file; copy it from the corpus"):
        values(msp_improv, "emotion")


@pytest.fixture
def meld(tmp_path: Path) -> CorpusOptions:
    head = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
    row = '{},"{}",{},{},{},0,{},8,21,"00:16:16,059","00:16:21,731"\n'
    write(tmp_path / "MELD.Raw", {
        "train/train_sent_emo.csv": head + row.format(1, "Well, yes.", "Chandler", "joy", "positive", 0)
            + row.format(2, "No.", "Ross ", "anger", "negative", 1),
        "dev_sent_emo.csv": head + row.format(1, "Oh!", "Monica", "surprise", "negative", 0),
        "test_sent_emo.csv": head + row.format(1, "What?", "Ross", "neutral", "neutral", 0),
    })  # fmt: skip
    touch(
        tmp_path / "MELD.Raw", "train/train_splits/dia0_utt0.mp4", "dev/dev_splits_complete/dia0_utt0.mp4",
        "test/output_repeated_splits_test/dia0_utt0.mp4",
        "test/output_repeated_splits_test/final_videos_testdia0_utt0.mp4",
    )  # fmt: skip
    return corpus(tmp_path, "meld")


def test_utterances_of_meld_are_apart_by_their_part(meld: CorpusOptions) -> None:
    found = {file.clip_id: file for file in scan(meld)}
    assert {name: file.path for name, file in found.items() if file.clip} == {
        "train_dia0_utt0": "MELD.Raw/train/train_splits/dia0_utt0.mp4",
        "dev_dia0_utt0": "MELD.Raw/dev/dev_splits_complete/dia0_utt0.mp4",
        "test_dia0_utt0": "MELD.Raw/test/output_repeated_splits_test/dia0_utt0.mp4",
    }
    assert found["train_dia0_utt1"].refusal.reason == "missing_file"
    assert found["test_dia0_utt0"].clip.speaker == "Ross"
    assert values(meld, "emotion")["train_dia0_utt1"] == ("anger",)
    assert values(meld, "sentiment")["dev_dia0_utt0"] == ("negative",)
    reader = reader_of(meld)
    assert dict(reader.partitions(meld).rows())["dev_dia0_utt0"] == "dev"
    assert dict(reader.transcripts(meld).rows())["train_dia0_utt0"] == "Well, yes."
    assert len(reader.tables(meld)) == 3


def test_meld_without_a_list_names_it(meld: CorpusOptions, tmp_path: Path) -> None:
    (tmp_path / "MELD.Raw/dev_sent_emo.csv").unlink()
    with pytest.raises(UserError, match=r"dev_sent_emo.csv: no such file; copy it from https://github.com/declare-lab"):
        scan(meld)


@pytest.fixture
def mosei(tmp_path: Path) -> CorpusOptions:
    write(tmp_path, {
        "CMU_MOSEI_Labels.csv": ",file,index,start,end,label2a,label2b,label6,label7,split\n"
            "0,--qX,0,23.199,30.325,1,1,0,1,1\n1,--qX,1,29.5,33.0,0,-1,2,-3,0\n2,abc,0,-0.4,2.0,1,0,5,0,3\n",
    })  # fmt: skip
    touch(tmp_path, "Videos/Full/Combined/--qX.mp4", "Segmented/--qX_1.mp4", "Videos/Full/Combined/abc.mp4")
    return corpus(tmp_path, "cmu_mosei")


def test_clips_of_cmu_mosei_are_files_or_stretches(mosei: CorpusOptions) -> None:
    found = {file.clip_id: (file.path, file.clip.start_s, file.clip.end_s) for file in scan(mosei)}
    assert found == {
        "--qX_0": ("Videos/Full/Combined/--qX.mp4", 23.199, 30.325), "--qX_1": ("Segmented/--qX_1.mp4", None, None),
        "abc_0": ("Videos/Full/Combined/abc.mp4", 0.0, 2.0),
    }  # fmt: skip
    assert values(mosei, "emotion") == {"--qX_0": ("happy",), "--qX_1": ("angry",), "abc_0": ("fear",)}
    assert values(mosei, "sentiment") == {"--qX_0": (1.0,), "--qX_1": (-3.0,), "abc_0": (0.0,)}
    assert dict(reader_of(mosei).partitions(mosei).rows()) == {"--qX_0": "dev", "--qX_1": "train"}


def test_a_label_that_cmu_mosei_does_not_use_is_an_error(mosei: CorpusOptions, tmp_path: Path) -> None:
    file = tmp_path / "CMU_MOSEI_Labels.csv"
    text = file.read_text()
    file.write_text(text.replace(",5,0,3", ",9,0,3"))
    with pytest.raises(UserError, match="label6 '9'; expected one of 0, 1, 2, 3, 4, 5"):
        values(mosei, "emotion")
    file.write_text(text.replace(",-0.4,", ",x,"))
    with pytest.raises(UserError, match="cells of the column 'start' are no numbers"):
        scan(mosei)
