"""Corpora that are a row of by_name.yaml: a name says who speaks, what and how."""

from collections import Counter

import pytest
from tests.corpora.made import corpus, touch

from avpretext.corpora import READERS, Clip, reader_of, scan
from avpretext.corpora.readers import by_name


@pytest.mark.parametrize(
    ("reader", "path", "clip"),
    [
        ("emodb", "wav/03a01Fa.wav", Clip("03a01Fa", "03", "happy", "a01")),
        ("emodb", "16b10Wb.wav", Clip("16b10Wb", "16", "angry", "b10")),
        ("savee", "AudioData/DC/d03.wav", Clip("DC_d_03", "DC", "disgust", "03")),
        ("savee", "ALL/KL_su15.wav", Clip("KL_su_15", "KL", "surprise", "15")),
        ("savee", "JE/n30.wav", Clip("JE_n_30", "JE", "neutral", "30")),
        ("tess", "OAF_back_ps.wav", Clip("OAF_back_ps", "OAF", "surprise", "back")),
        ("emovo", "f1/gio-f1-n5.wav", Clip("gio-f1-n5", "f1", "happy", "n5")),
        ("esd", "0011/Angry/evaluation/0011_000351.wav", Clip("0011_000351", "0011", "angry")),
        ("nemo", "samples/WR0_surprised_64.wav", Clip("WR0_surprised_64", "WR0", "surprise", "64")),
        ("banglaser", "03-01-03-02-01-03-34.wav", Clip("03-01-03-02-01-03-34", "34", "angry", "01", "strong")),
        ("urdu", "Angry/SM1_F10_A010.wav", Clip("SM1_F10_A010", "SM1", "angry")),
        ("baved", "0/4-m-20-0-2-150.wav", Clip("4-m-20-0-2-150", "4", "high", "0")),
        ("shemo", "male/M36S02.wav", Clip("M36S02", "M36", "sad")),
        ("casia", "wangzhe/surprise/201.wav", Clip("wangzhe_surprise_201", "wangzhe", "surprise", "201")),
        ("enterface", "subject 1/anger/sentence 1/s1_an_1.avi", Clip("1_an_1", "1", "angry", "1")),
        ("enterface", "subject 11/fear/sentence 5/s12_fe_5.avi", Clip("11_fe_5", "11", "fear", "5")),
        ("enterface", "subject 3/sadness/sentence 2/s_3_sa_2.avi", Clip("3_sa_2", "3", "sad", "2")),
        ("enterface", "subject 16/surprise/sentence 3/s16_su_3avi.avi", Clip("16_su_3", "16", "surprise", "3")),
        ("enterface", "subject 6/anger/s6_an.avi", Clip("6_an", "6", "angry")),
    ],
)
def test_a_name_says_who_what_and_how(reader, path, clip):
    (entry,) = reader_of(corpus(".", reader)).entries(corpus(".", reader, video=path.endswith("avi")), [path])
    assert entry.clip == clip


def test_emobox_folds_test_every_speaker_once():
    for name, reader in by_name.READERS.items():
        tested = [speaker for fold in reader.protocols.get("emobox", ()) for speaker in fold.test]
        assert len(tested) == len(set(tested))
        if tested:
            assert len(tested) == READERS[name].published.speakers["all"], name


def test_people_are_as_many_as_published():
    known = {
        name: Counter(person.sex for person in reader.people(corpus()).values())
        for name, reader in READERS.items()
        if name in by_name.READERS
    }
    assert known["shemo"] == {"female": 31, "male": 56}
    assert known["banglaser"] == {"female": 17, "male": 17}
    assert known["esd"] == {"female": 10, "male": 10}
    assert known["nemo"] == {"female": 4, "male": 5}
    assert known["emodb"] == {"female": 5, "male": 5}
    assert READERS["emodb"].people(corpus())["14"] == ("female", 35)
    assert READERS["tess"].words("back") == "Say the word back."


def test_words_and_ids_of_two_speakers_are_apart(tmp_path):
    touch(tmp_path, "DC/d03.wav", "JK/d03.wav", "JK/x01.wav")
    found = scan(corpus(tmp_path, "savee", video=False))
    assert [file.clip_id for file in found] == ["DC_d_03", "JK_d_03", "JK/x01"]
    assert [file.refusal and file.refusal.reason for file in found] == [None, None, "unknown_name"]


@pytest.mark.parametrize(
    ("folder", "reader", "clips", "labels", "speakers"),
    [
        ("banglaser", "banglaser", 1034, {"happy": 216, "sad": 216, "angry": 216, "surprise": 216, "neutral": 170}, 24),
        ("urdu", "urdu", 400, {"angry": 100, "happy": 100, "neutral": 100, "sad": 100}, 29),
    ],
)
def test_real_names_are_read(shared_data, folder, reader, clips, labels, speakers):
    if not (shared_data / folder).is_dir():
        pytest.skip(f"{folder} is absent")
    files = scan(corpus(shared_data / folder, reader, video=False))
    found = [file.clip for file in files if file.clip]
    assert (len(files), len(found)) == (clips, clips)
    assert Counter(clip.label for clip in found) == labels
    assert len({clip.speaker for clip in found}) == speakers
