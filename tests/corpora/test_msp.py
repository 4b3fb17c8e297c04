"""MSP-Podcast and MSP-Face are read from their lists and label tables; no media is opened."""

import json

import pytest
from tests.corpora.made import corpus, touch

from avpretext.corpora import Clip, scan
from avpretext.corpora.readers import msp, msp_face, msp_podcast
from avpretext.errors import UserError

HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
ROWS = (
    "MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Test1\n"
    "MSP-PODCAST_0001_0009.wav,X,3.777778,3.555556,3.777778,39,Male,Train\n"
    "MSP-PODCAST_0002_0001.wav,O,4.125,4.75,4.0,Unknown,Unknown,Development\n"
    "MSP-PODCAST_0002_0002.wav,U,5,6,7,41,Female,Test2\n"
)


def write(root, **texts):
    for name, text in texts.items():
        place = root / name.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, "utf-8")


@pytest.fixture
def podcast(tmp_path):
    """A release with four rows: three files and one missing, one file without a row, one of an earlier release."""
    write(tmp_path, **{"Labels__labels_consensus.csv": HEADER + ROWS})
    touch(tmp_path, *(f"Audios/MSP-PODCAST_000{name}.wav" for name in ("1_0008", "1_0009", "2_0001", "9_0001")))
    touch(tmp_path, "Previous_releases_information/files_removed/MSP-PODCAST_0002_0002.wav")
    return corpus(tmp_path, "msp_podcast", video=False)


def test_podcast_clips_are_the_rows_of_the_consensus(podcast):
    found = {file.clip_id: file.clip for file in scan(podcast)}
    assert found == {
        "MSP-PODCAST_0001_0008": Clip("MSP-PODCAST_0001_0008", "30"),
        "MSP-PODCAST_0001_0009": Clip("MSP-PODCAST_0001_0009", "39"),
        "MSP-PODCAST_0002_0001": Clip("MSP-PODCAST_0002_0001", None),
        "MSP-PODCAST_0002_0002": None,
    }
    (missing,) = [file for file in scan(podcast) if file.refusal]
    assert (missing.path, missing.refusal.reason) == ("Audios/MSP-PODCAST_0002_0002.wav", "missing_file")


def test_podcast_tells_the_sex_of_known_speakers(podcast):
    told = {name: person.sex for name, person in msp_podcast.READER.people(podcast).items()}
    assert told == {"30": "male", "39": "male", "41": "female"}
    assert msp_podcast.READER.people_files(podcast) == msp_podcast.READER.tables(podcast)


def test_podcast_files_without_a_row_are_unlabelled(podcast):
    unlabelled = scan(podcast.model_copy(update={"parts": ["unlabelled"]}))
    assert [(file.clip_id, file.refusal) for file in unlabelled] == [("MSP-PODCAST_0009_0001", None)]
    assert len(scan(podcast.model_copy(update={"parts": ["labelled", "unlabelled"]}))) == 5


def test_podcast_targets(podcast):
    sources = msp_podcast.READER.sources(podcast)
    assert {name: source.kind for name, source in sources.items()} == {
        "emotion": "label", "arousal": "attribute", "valence": "attribute", "dominance": "attribute", "votes": "votes",
    }  # fmt: skip
    assert sources["emotion"].read(podcast)["label"].to_list() == ["neutral", None, None, "surprise"]
    assert sources["emotion"].read(podcast)["clip_id"][0] == "MSP-PODCAST_0001_0008"
    assert sources["arousal"].read(podcast)["value"].to_list() == [2.2, 3.777778, 4.125, 5.0]
    assert sources["valence"].read(podcast)["value"].to_list() == [4.0, 3.555556, 4.75, 6.0]
    assert sources["dominance"].read(podcast)["value"].to_list() == [2.6, 3.777778, 4.0, 7.0]


def test_every_letter_is_spelled_out(tmp_path):
    rows = "".join(f"{letter}.wav,{letter},1,1,1,1,Male,Train\n" for letter in "ACDFHNSUOX")
    rows += "hidden.wav,,,,,,,Test3\n"
    write(tmp_path, **{"Labels__labels_consensus.csv": HEADER + rows})
    given = corpus(tmp_path, "msp_podcast", video=False)
    labels = dict(msp_podcast.READER.sources(given)["emotion"].read(given).rows())
    assert labels == {
        "A": "angry", "C": "contempt", "D": "disgust", "F": "fear", "H": "happy", "N": "neutral", "S": "sad",
        "U": "surprise", "O": None, "X": None, "hidden": None,
    }  # fmt: skip


@pytest.mark.parametrize("letter", ["Z", "a", "Happy"])
def test_another_letter_is_named_with_file_and_row(podcast, tmp_path, letter):
    write(tmp_path, **{"Labels__labels_consensus.csv": HEADER + ROWS.replace(",U,", f",{letter},")})
    with pytest.raises(UserError, match=r"labels_consensus\.csv: MSP-PODCAST_0002_0002\.wav: EmoClass .*A, C, D"):
        msp_podcast.READER.sources(podcast)["emotion"].read(podcast)


def test_an_attribute_that_is_no_number_is_named(podcast, tmp_path):
    write(tmp_path, **{"Labels__labels_consensus.csv": HEADER + ROWS.replace("4.125", "high")})
    with pytest.raises(UserError, match=r"MSP-PODCAST_0002_0001\.wav: EmoAct 'high' is no number"):
        msp_podcast.READER.sources(podcast)["arousal"].read(podcast)


def test_podcast_partitions(podcast):
    assert [row[1] for row in msp_podcast.READER.partitions(podcast).rows()] == ["Test1", "train", "dev", "Test2"]


DETAILED = {
    "labels_detailed.csv": (
        "FileName,WorkerID,EmoClass_Major,EmoClass_Second\n"
        'a.wav,WORKER1,Happy,"Happy,Excited"\na.wav,WORKER2,Other-Curious,Other\na.wav,WORKER3,Happy,Happy\n'
        "b.wav,WORKER1,Contempt,\n"
    ),
    "labels_detailed.csv ": (
        "FileName,EmoDetail\n"
        'a.wav,"WORKER1; Happy; Happy,Excited; A:1.000000; V:4.000000; D:1.000000;"\n'
        'a.wav,"WORKER2; Other-Curious; Other; A:1.000000; V:4.000000; D:1.000000;"\n'
        'a.wav,"WORKER3; Happy; A:1.000000; V:4.000000; D:1.000000;"\n'
        'b.wav,"WORKER1; Contempt; ; A:1.000000; V:4.000000; D:1.000000;"\n'
    ),
    "labels_detailed.json": json.dumps({
        "a.wav": {f"WORKER{i}": {"EmoClass_Major": word} for i, word in enumerate(("Happy", "Other-Curious", "Happy"))},
        "b.wav": {"WORKER1": {"EmoClass_Major": "Contempt"}},
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", DETAILED)
def test_votes_count_raters_in_every_form_of_the_file(tmp_path, name):
    write(tmp_path, **{f"Labels__{name.strip()}": DETAILED[name]})
    given = corpus(tmp_path, "msp_podcast", video=False)
    votes = msp_podcast.READER.sources(given)["votes"].read(given)
    assert votes.columns == ["clip_id", *msp.EMOTIONS, "other"]
    counts = [{label: count for label, count in row.items() if count} for row in votes.to_dicts()]
    assert counts == [{"clip_id": "a", "happy": 2, "other": 1}, {"clip_id": "b", "contempt": 1}]


def test_older_releases_are_read(podcast, tmp_path):
    expected = scan(podcast)
    labels = msp_podcast.READER.sources(podcast)["emotion"].read(podcast)
    text = (tmp_path / "Labels" / "labels_consensus.csv").read_text("utf-8")
    (tmp_path / "Labels" / "labels_consensus.csv").unlink()
    write(tmp_path, **{"labels__labels_concensus.csv": text})
    assert scan(podcast) == expected
    (tmp_path / "labels" / "labels_concensus.csv").unlink()
    names = HEADER.strip().split(",")
    rows = [dict(zip(names, row.split(","), strict=True)) for row in ROWS.splitlines()]
    write(tmp_path, **{"label__labels_consensus.json": json.dumps({row.pop("FileName"): row for row in rows})})
    assert scan(podcast) == expected
    assert msp_podcast.READER.sources(podcast)["emotion"].read(podcast).equals(labels)
    assert msp_podcast.READER.tables(podcast) == [str(tmp_path / "label" / "labels_consensus.json")]


def test_missing_tables_of_podcast_are_named(podcast, tmp_path):
    with pytest.raises(UserError, match=r"labels_detailed\.csv: no such file.*votes"):
        msp_podcast.READER.sources(podcast)["votes"].read(podcast)
    (tmp_path / "Labels" / "labels_consensus.csv").unlink()
    for call in (scan, msp_podcast.READER.partitions, msp_podcast.READER.sources(podcast)["emotion"].read):
        with pytest.raises(UserError, match=r"labels_consensus\.csv: no such file; copy the folder Labels"):
            call(podcast)
    assert msp_podcast.READER.tables(podcast) == msp_podcast.READER.annotations(podcast) == []
    write(tmp_path, **{"Labels__labels_consensus.csv": "name,emotion\na.wav,N\n"})
    with pytest.raises(UserError, match=r"no column 'FileName'"):
        scan(podcast)


def test_podcast_has_no_video(podcast):
    with pytest.raises(UserError, match=r"set corpora\.NAME\.video to false"):
        scan(podcast.model_copy(update={"video": True}))


SEGMENTS = (
    "10.977\t20.487\tMSP-FACE_0001_0001.mp4\n"
    "2.802\t8.041\tMSP-FACE_0001_0002.mp4\n"
    "355.722\t365.665\tMSP-FACE_0009_0003.mp4\n"
    "355.688\t365.631\tMSP-FACE_0009_0019.mp4\n"
    "5.572\t15.515\tMSP-FACE_0013_0001.mp4\n"
)
SPEAKERS = (
    "MSP-FACE_0001_0001.mp4,Speaker_264\nMSP-FACE_0001_0002.mp4,Speaker_264\nMSP-FACE_0009_0003.mp4,Speaker_211\n"
    "MSP-FACE_0009_0019.mp4,Speaker_211\nMSP-FACE_0013_0001.mp4,Speaker_284\n"
)


def face_row(letter, split):
    return [{"EmoClass_Major": letter, "EmoAct": "3.75", "EmoDom": "4.5", "EmoVal": "3.5", "SpkrID": "264",
             "Gender": "Male", "Split_Set": split}]  # fmt: skip


CONSENSUS = {
    "MSP-FACE_0009_0003.mp4": face_row("C", "Train"),
    "MSP-FACE_0001_0001.mp4": face_row("H", "Validation"),
    "MSP-FACE_0009_0019.mp4": face_row("X", "Test"),
}


@pytest.fixture
def face(tmp_path):
    """Lists of five clips of three videos: one is cut, one is whole, one is gone."""
    write(tmp_path, **{
        "Doc__segments_data.txt": SEGMENTS, "Doc__speaker_id_segments.txt": SPEAKERS,
        "Labels__label_consensus.json": json.dumps(CONSENSUS),
    })  # fmt: skip
    touch(tmp_path, "MSP-FACE_0001/MSP-FACE_0001.mp4", "MSP-FACE_0009/MSP-FACE_0009.mp4")
    touch(tmp_path, "MSP-FACE_0001/Segments/MSP-FACE_0001_0001/MSP-FACE_0001_0001.mp4")
    touch(tmp_path, "MSP-FACE_0001/Segments/MSP-FACE_0001_0001/Audio/MSP-FACE_0001_0001.wav")
    return corpus(tmp_path, "msp_face")


def test_face_clips_are_files_if_cut_and_stretches_if_not(face):
    found = {file.clip_id: (file.path, file.clip) for file in scan(face)}
    assert found == {
        "MSP-FACE_0001_0001": (
            "MSP-FACE_0001/Segments/MSP-FACE_0001_0001/MSP-FACE_0001_0001.mp4",
            Clip("MSP-FACE_0001_0001", "264"),
        ),
        "MSP-FACE_0009_0003": (
            "MSP-FACE_0009/MSP-FACE_0009.mp4",
            Clip("MSP-FACE_0009_0003", "211", start_s=355.722, end_s=365.665),
        ),
        "MSP-FACE_0009_0019": (
            "MSP-FACE_0009/MSP-FACE_0009.mp4",
            Clip("MSP-FACE_0009_0019", "211", start_s=355.688, end_s=365.631),
        ),
    }


def test_face_clips_without_labels_are_a_part(face):
    found = scan(face.model_copy(update={"parts": ["unlabelled"]}))
    assert [(file.clip_id, file.clip and file.clip.start_s) for file in found] == [
        ("MSP-FACE_0001_0002", 2.802),
        ("MSP-FACE_0013_0001", None),
    ]
    assert found[1].refusal.reason == "missing_file"
    assert len(scan(face.model_copy(update={"parts": ["labelled", "unlabelled"]}))) == 5


def test_face_sound_is_taken_where_it_was_cut(face):
    paths = {file.clip_id: file.path.rpartition("/")[2] for file in scan(face.model_copy(update={"video": False}))}
    assert paths["MSP-FACE_0001_0001"] == "MSP-FACE_0001_0001.wav"
    assert paths["MSP-FACE_0009_0003"] == "MSP-FACE_0009.mp4"


def test_face_targets_and_partitions(face, tmp_path):
    sources = msp_face.READER.sources(face)
    assert list(sources) == ["emotion", "arousal", "valence", "dominance", "votes"]
    assert dict(sources["emotion"].read(face).rows()) == {
        "MSP-FACE_0009_0003": "contempt", "MSP-FACE_0001_0001": "happy", "MSP-FACE_0009_0019": None,
    }  # fmt: skip
    assert [sources[name].read(face)["value"][0] for name in msp.ATTRIBUTES] == [3.75, 3.5, 4.5]
    assert [row[1] for row in msp_face.READER.partitions(face).rows()] == ["train", "dev", "test"]
    with pytest.raises(UserError, match=r"labels_detailed\.json: no such file"):
        sources["votes"].read(face)
    workers = [{"Name": "W1", "EmoClass_Major": "Happy"}, {"Name": "W2", "EmoClass_Major": "Sad"}]
    detailed = json.dumps({"MSP-FACE_0001_0001.mp4": {"Workers": workers}})
    write(tmp_path, **{"Labels__labels_detailed.json": detailed})
    (votes,) = sources["votes"].read(face).to_dicts()
    assert {name: count for name, count in votes.items() if count} == {
        "clip_id": "MSP-FACE_0001_0001", "happy": 1, "sad": 1,
    }  # fmt: skip
    assert [len(msp_face.READER.tables(face)), len(msp_face.READER.annotations(face))] == [3, 2]


@pytest.mark.parametrize(
    "name", ["Doc/segments_data.txt", "Doc/speaker_id_segments.txt", "Labels/label_consensus.json"]
)
def test_missing_and_broken_lists_of_face_are_named(face, tmp_path, name):
    (tmp_path / name).write_text("no list", "utf-8")
    with pytest.raises(UserError, match=rf"{name}: .*copy"):
        scan(face)
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match=rf"{name}: no such file; copy Doc and Labels"):
        scan(face)
