"""Each corpus's names are read as its authors wrote them, and other names are refused."""

import pytest

from avpretext.config import CorpusOptions
from avpretext.corpora import READERS, Clip, crema_d, folder, grid, ravdess, reader_of, target_of
from avpretext.errors import UserError


def options(reader: str, **more: object) -> CorpusOptions:
    return CorpusOptions.model_validate({"path": ".", "reader": reader, "use": ["finetune"], **more})


@pytest.mark.parametrize(
    ("reader", "path", "clip"),
    [
        (crema_d, "VideoFlash/1001_DFA_ANG_XX.flv", Clip("1001_DFA_ANG_XX", "1001", "ANG", "DFA", "XX")),
        (crema_d, "1040_ITH_SAD_X.wav", Clip("1040_ITH_SAD_X", "1040", "SAD", "ITH", "X")),
        (ravdess, "Actor_12/03-01-05-02-01-01-12.wav", Clip("03-01-05-02-01-01-12", "12", "angry", "kids", "strong")),
        (ravdess, "03-01-08-01-02-01-07.flac", Clip("03-01-08-01-02-01-07", "07", "surprised", "dogs", "normal")),
        (grid, "s1/bbaf2n.mpg", Clip("s1_bbaf2n", "s1", None, "bin blue at f two now", None)),
        (grid, "lrwp9a.mpg", Clip("lrwp9a", None, None, "lay red with p nine again", None)),
        (folder, "anna b/it's 😀 “é”.x.mp4", Clip("anna b/it's 😀 “é”.x", "anna b")),
        (folder, "alone.mov", Clip("alone", None)),
    ],
)
def test_a_name_says_who_what_and_how(reader, path, clip):
    assert reader.read(path) == clip


@pytest.mark.parametrize(
    ("reader", "path"),
    [
        (crema_d, "1001_XXX_ANG_XX.flv"),
        (crema_d, "1001_DFA_CAL_XX.flv"),
        (crema_d, "copy of 1001_DFA_ANG_XX.flv"),
        (ravdess, "03-01-09-01-01-01-01.wav"),
        (ravdess, "03-01-05-02-01-01.wav"),
        (grid, "bbwf2n.mp4.mpg"),
        (grid, "bbaw2n.mpg"),
    ],
)
def test_other_names_are_refused(reader, path):
    assert reader.read(path) is None


def test_crema_d_takes_one_file_per_clip():
    everything = ["AudioMP3/1001_DFA_ANG_XX.mp3", "AudioWAV/1001_DFA_ANG_XX.wav", "VideoFlash/1001_DFA_ANG_XX.flv"]
    assert crema_d.select(everything, video=True) == ["VideoFlash/1001_DFA_ANG_XX.flv"]
    assert crema_d.select(everything, video=False) == ["AudioWAV/1001_DFA_ANG_XX.wav"]
    assert crema_d.select(everything[:1], video=False) == everything[:1]
    assert crema_d.select(everything[2:], video=False) == everything[2:]


def test_ravdess_takes_speech_of_one_modality():
    everything = ["01-01-05-02-01-01-12.mp4", "02-01-05-02-01-01-12.mp4", "01-02-05-02-01-01-12.mp4"]
    sound = ["03-01-05-02-01-01-12.wav", "03-02-05-02-01-01-12.wav"]
    assert ravdess.select(everything + sound, video=True) == ["01-01-05-02-01-01-12.mp4"]
    assert ravdess.select(everything + sound, video=False) == ["03-01-05-02-01-01-12.wav"]
    assert ravdess.select(everything, video=False) == ["01-01-05-02-01-01-12.mp4"]


def test_crema_d_votes_have_a_majority_or_none(tmp_path):
    (tmp_path / crema_d.VOTES).write_text(
        '"","A","D","F","H","N","S","fileName"\n'
        '"100001",5,0,0,1,2,0,"1001_DFA_ANG_XX"\n'
        '"100002",3,0,0,0,3,0,"1001_DFA_SAD_XX"\n'
        '"200001",0,0,0,1,9,0,"1001_DFA_ANG_XX"\n',
        "utf-8",
    )
    voice = crema_d.target_labels(tmp_path, "voice")
    assert voice == {"1001_DFA_ANG_XX": "ANG", "1001_DFA_SAD_XX": None}
    assert crema_d.target_labels(tmp_path, "face") == {"1001_DFA_ANG_XX": "NEU"}


def test_crema_d_votes_agree_with_the_acted_emotion_as_published(shared_data):
    if not (shared_data / "crema-d" / crema_d.VOTES).is_file():
        pytest.skip("CREMA-D's votes are absent")
    for target, ties, agreement in [("voice", 644, 0.456), ("face", 470, 0.707), ("both", 420, 0.765)]:
        labels = crema_d.target_labels(shared_data / "crema-d", target)
        decided = {name: label for name, label in labels.items() if label is not None}
        equal = sum(crema_d.read(name).label == label for name, label in decided.items())
        assert (len(labels), len(labels) - len(decided)) == (7442, ties)
        assert equal / len(decided) == pytest.approx(agreement, abs=0.0005)


def test_missing_votes_are_named(tmp_path):
    with pytest.raises(UserError, match=r"tabulatedVotes\.csv: no such file.*acted"):
        crema_d.target_labels(tmp_path, "face")


def test_a_wrong_reader_or_target_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'crema_d'"):
        reader_of(options("cremad"))
    with pytest.raises(UserError, match="did you mean 'voice'"):
        reader_of(options("crema_d", target="voices"))
    with pytest.raises(UserError, match="the corpus has no labels"):
        reader_of(options("folder", target="acted"))


def test_the_default_target_is_the_first():
    assert target_of(options("crema_d")) == "acted"
    assert target_of(options("crema_d", target="voice")) == "voice"
    assert target_of(options("grid")) is None
    assert set(READERS) == {"crema_d", "ravdess", "grid", "folder"}
