"""Each corpus's names are read as its authors wrote them, and other names are refused."""

import pkgutil
import re
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import corpora_docs
import polars as pl
import pytest
import yaml
from tests.corpora.made import corpus, touch

import avpretext.corpora.readers as package
from avpretext.config import CorpusOptions
from avpretext.corpora import READERS, Clip, reader_of, scan, settings_of, targets_of
from avpretext.corpora.label_maps import shipped_maps
from avpretext.corpora.readers import by_name, cmu_mosei, crema_d, folder, grid, iemocap, mead, msp, msp_improv, ravdess
from avpretext.errors import UserError

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "corpora.md"

LABELS = {
    "crema_d": set(crema_d.EMOTIONS),
    "ravdess": set(ravdess.EMOTIONS),
    "mead": set(mead.EMOTIONS),
    "msp_podcast": {*msp.EMOTIONS, msp.OTHER},
    "msp_face": {*msp.EMOTIONS, msp.OTHER},
    "msp_improv": set(msp_improv.CLASSES),
    "iemocap": set(iemocap.CLASSES),
    "meld": {"anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"},
    "cmu_mosei": set(cmu_mosei.EMOTIONS.values()),
    **by_name.LABELS,
}
TABLES = {"folder", "emobox", "audformat"}
"""Readers of tables and databases of anybody's, whose labels are any."""
CLASSES = {
    "six": {"angry", "disgust", "fear", "happy", "neutral", "sad"},
    "four": {"angry", "happy", "neutral", "sad"},
}


def options(reader: str, path: Path | str = ".", **more: object) -> CorpusOptions:
    return corpus(path, reader, **more)


def chosen(reader: str, files: list[str], **more: object) -> list[str]:
    given = options(reader, **more)
    return [entry.path for entry in reader_of(given).entries(given, sorted(files))]


@pytest.mark.parametrize(
    ("reader", "path", "clip"),
    [
        (crema_d, "VideoFlash/1001_DFA_ANG_XX.flv", Clip("1001_DFA_ANG_XX", "1001", "ANG", "DFA", "XX")),
        (crema_d, "1040_ITH_SAD_X.wav", Clip("1040_ITH_SAD_X", "1040", "SAD", "ITH", "X")),
        (ravdess, "Actor_12/03-01-05-02-01-01-12.wav", Clip("03-01-05-02-01-01-12", "12", "angry", "kids", "strong")),
        (ravdess, "03-01-08-01-02-01-07.flac", Clip("03-01-08-01-02-01-07", "07", "surprised", "dogs", "normal")),
        (ravdess, "Actor_01/01-02-02-01-01-02-01.mp4", Clip("01-02-02-01-01-02-01", "01", "calm", "kids", "normal")),
        (
            mead,
            "M003/video/left_30/disgusted/level_2/017.mp4",
            Clip("M003_left_30_disgusted_level_2_017", "M003", "disgusted", "017", "2"),
        ),
        (mead, "part0/W009/front/sad/level_1/002.mp4", Clip("W009_front_sad_level_1_002", "W009", "sad", "002", "1")),
        (mead, "W009/audio/fear/level_3/030.m4a", Clip("W009_audio_fear_level_3_030", "W009", "fear", "030", "3")),
        (grid, "s1/bbaf2n.mpg", Clip("s1_bbaf2n", "s1", None, "bin blue at f two now", None)),
        (grid, "lrwp9a.mpg", Clip("lrwp9a", None, None, "lay red with p nine again", None)),
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
        (mead, "M003/video/back/angry/level_1/001.mp4"),
        (mead, "M003/video/front/cross/level_1/001.mp4"),
        (mead, "M003/video/front/angry/level_4/001.mp4"),
        (grid, "bbwf2n.mp4.mpg"),
        (grid, "bbaw2n.mpg"),
    ],
)
def test_other_names_are_refused(reader, path):
    assert reader.read(path) is None


def test_crema_d_takes_one_file_per_clip():
    everything = ["AudioMP3/1001_DFA_ANG_XX.mp3", "AudioWAV/1001_DFA_ANG_XX.wav", "VideoFlash/1001_DFA_ANG_XX.flv"]
    assert chosen("crema_d", everything) == ["VideoFlash/1001_DFA_ANG_XX.flv"]
    assert chosen("crema_d", everything, video=False) == ["AudioWAV/1001_DFA_ANG_XX.wav"]
    assert chosen("crema_d", everything[:1], video=False) == everything[:1]
    assert chosen("crema_d", everything[2:], video=False) == everything[2:]


def test_ravdess_takes_the_chosen_parts_of_one_modality():
    videos = ["Actor_12/01-01-05-02-01-01-12.mp4", "Actor_12/01-02-05-02-01-01-12.mp4"]
    silent = ["Actor_12/02-01-05-02-01-01-12.mp4", "Actor_12/02-02-05-02-01-01-12.mp4"]
    sounds = ["Actor_12/03-01-05-02-01-01-12.wav", "Actor_12/03-02-05-02-01-01-12.wav"]
    everything = videos + silent + sounds
    assert chosen("ravdess", everything) == videos[:1]
    assert chosen("ravdess", everything, parts=["song"]) == videos[1:]
    assert chosen("ravdess", everything, parts=["song", "speech"]) == videos
    assert chosen("ravdess", everything, video=False) == sounds[:1]
    assert chosen("ravdess", everything, video=False, parts=["speech", "song"]) == sounds
    assert chosen("ravdess", videos + silent, video=False) == videos[:1]
    assert chosen("ravdess", everything, audio=False, use=["pretrain"]) == silent[:1]
    assert chosen("ravdess", videos + sounds, audio=False, use=["pretrain"]) == videos[:1]
    assert chosen("ravdess", videos + sounds[:1], video=False, parts=["speech", "song"]) == [videos[1], sounds[0]]
    more = "Actor_12/01-01-06-02-01-01-12.mp4"
    assert chosen("ravdess", [more, *videos, *silent], audio=False, use=["pretrain"]) == [more, silent[0]]
    with pytest.raises(UserError, match=r"parts: 'songs' of the reader 'ravdess'.*did you mean 'song'"):
        chosen("ravdess", everything, parts=["songs"])


def test_ravdess_on_real_names(shared_data):
    if not (shared_data / "ravdess-audio").is_dir():
        pytest.skip("RAVDESS's audio is absent")
    clips = scan(options("ravdess", shared_data / "ravdess-audio", video=False))
    assert len(clips) == 944
    assert not [file for file in clips if file.refusal]
    found = [file.clip for file in clips if file.clip]
    assert len({clip.speaker for clip in found}) == 16
    # Neutral has no strong intensity, so half as many clips.
    emotions = Counter(clip.label for clip in found)
    assert set(emotions) == set(ravdess.EMOTIONS)
    assert emotions["neutral"] == pytest.approx(emotions["angry"] / 2, abs=2)


def test_mead_takes_the_chosen_views_or_the_audio():
    views = [f"M003/video/{view}/angry/level_1/001.mp4" for view in ("front", "left_30", "top")]
    everything = [*views, "M003/audio/angry/level_1/001.m4a", "M003/video/extra.mp4"]
    assert chosen("mead", everything) == ["M003/video/extra.mp4", views[0]]
    assert chosen("mead", everything, parts=["top", "left_30"]) == ["M003/video/extra.mp4", *views[1:]]
    assert chosen("mead", everything, video=False) == ["M003/audio/angry/level_1/001.m4a"]
    assert chosen("mead", views, video=False) == views[:1]
    given = options("mead")
    reasons = {entry.path: entry.refusal for entry in reader_of(given).entries(given, everything)}
    assert reasons["M003/video/extra.mp4"].reason == "unknown_name"


def test_several_views_of_an_utterance_are_several_clips(tmp_path):
    touch(tmp_path, *(f"M003/video/{view}/angry/level_1/001.mp4" for view in ("front", "top")))
    found = scan(options("mead", tmp_path, parts=["front", "top"]))
    assert [file.refusal for file in found] == [None, None]


def test_emodb_is_audio(tmp_path):
    touch(tmp_path, "wav/03a01Fa.wav")
    assert [file.clip_id for file in scan(options("emodb", tmp_path, video=False))] == ["03a01Fa"]
    with pytest.raises(UserError, match=r"set corpora\.NAME\.video to false"):
        scan(options("emodb", tmp_path))


def test_crema_d_votes_are_those_of_each_group_of_raters(tmp_path):
    (tmp_path / crema_d.VOTES).write_text(
        '"","A","D","F","H","N","S","fileName"\n'
        '"100001",5,0,0,1,2,0,"1001_DFA_ANG_XX"\n'
        '"100002",3,0,0,0,3,0,"1001_DFA_SAD_XX"\n'
        '"200001",0,0,0,1,9,0,"1001_DFA_ANG_XX"\n',
        "utf-8",
    )
    given = options("crema_d", tmp_path)
    sources = crema_d.sources(given)
    assert list(sources) == ["acted", "voice", "face", "both"]
    voice, face, both = (sources[name].read(given) for name in ("voice", "face", "both"))
    assert voice.columns == ["clip_id", "ANG", "DIS", "FEA", "HAP", "NEU", "SAD"]
    assert voice.rows() == [("1001_DFA_ANG_XX", 5, 0, 0, 1, 2, 0), ("1001_DFA_SAD_XX", 3, 0, 0, 0, 3, 0)]
    assert face.rows() == [("1001_DFA_ANG_XX", 0, 0, 0, 1, 9, 0)]
    assert both.is_empty()
    assert crema_d.READER.annotations(given) == [str(tmp_path / crema_d.VOTES)]


def test_crema_d_votes_are_as_published(shared_data):
    if not (shared_data / "crema-d" / crema_d.VOTES).is_file():
        pytest.skip("CREMA-D's votes are absent")
    given = options("crema_d", shared_data / "crema-d")
    for raters, ties, agreement in [("voice", 644, 0.456), ("face", 470, 0.707), ("both", 420, 0.765)]:
        votes = crema_d.sources(given)[raters].read(given)
        assert len(votes) == votes["clip_id"].n_unique() == 7442
        counts = votes.drop("clip_id").to_numpy()
        first = counts == counts.max(axis=1, keepdims=True)
        decided = first.sum(axis=1) == 1
        assert len(votes) - decided.sum() == ties
        acted = [crema_d.read(name).label for name in votes["clip_id"]]
        won = [votes.columns[1 + place] for place in first.argmax(axis=1)]
        equal = sum(one == other for one, other, sure in zip(acted, won, decided, strict=True) if sure)
        assert equal / decided.sum() == pytest.approx(agreement, abs=0.0005)


def test_missing_votes_are_named(tmp_path):
    given = options("crema_d", tmp_path)
    with pytest.raises(UserError, match=r"tabulatedVotes\.csv: no such file.*acted"):
        crema_d.sources(given)["face"].read(given)
    assert crema_d.READER.annotations(given) == []
    for text in ("", "version https://git-lfs.github.com/spec/v1\n"):
        (tmp_path / crema_d.VOTES).write_text(text, "utf-8")
        with pytest.raises(UserError, match=r"tabulatedVotes\.csv: not the corpus's table of votes"):
            crema_d.sources(given)["face"].read(given)


def test_crema_d_on_real_names(shared_data):
    if not (shared_data / "crema-d" / "VideoFlash").is_dir():
        pytest.skip("CREMA-D's videos are absent")
    clips = [file.clip for file in scan(options("crema_d", shared_data / "crema-d")) if file.clip]
    assert {clip.label for clip in clips} == set(crema_d.EMOTIONS)
    assert {clip.speaker for clip in clips} == {"1001"}


def test_published_protocols_are_of_all_speakers_once():
    for reader, names in [("crema_d", ("chou", "hicmae", "emo_superb")), ("ravdess", ("emobox",))]:
        published = READERS[reader].published
        for name in names:
            tested = [speaker for fold in READERS[reader].protocols[name] for speaker in fold.test]
            assert len(tested) == len(set(tested)) == next(iter(published.speakers.values()))


def test_a_wrong_reader_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'crema_d'"):
        reader_of(options("cremad"))


def test_the_default_target_is_the_first():
    assert targets_of(options("crema_d")) == ["acted"]
    assert targets_of(options("msp_podcast")) == targets_of(options("msp_face")) == ["emotion"]
    with pytest.raises(UserError, match="knows no labels"):
        targets_of(options("grid"))


def test_every_module_with_a_reader_has_a_row():
    modules = {name: __import__(f"{package.__name__}.{name}", fromlist=[name]) for _, name, _ in
               pkgutil.iter_modules(package.__path__)}  # fmt: skip
    made = {name.removeprefix("from_"): module.READER for name, module in modules.items() if hasattr(module, "READER")}
    made |= by_name.READERS
    assert made == {name: replace(reader, published=None) for name, reader in READERS.items()}


def test_published_numbers_are_of_the_readers_parts():
    for name, reader in READERS.items():
        if reader.published is None:
            assert name in TABLES
            continue
        for numbers in (reader.published.clips, reader.published.hours, reader.published.speakers):
            assert set(numbers) <= set(reader.parts or ["all"])


def test_every_label_is_in_every_shipped_map():
    maps = shipped_maps()
    assert set(maps) == set(CLASSES)
    for name, by_reader in maps.items():
        assert {reader: set(labels) for reader, labels in by_reader.items()} == {
            reader: LABELS[reader] for reader in by_reader
        }
        for labels in by_reader.values():
            assert {new for new in labels.values() if new} == CLASSES[name]


def test_readers_with_the_classes_of_a_map_have_it():
    maps = shipped_maps()
    assert set(LABELS) == {
        name for name, reader in READERS.items() if name not in TABLES and reader.sources(options(name))
    }
    assert set(LABELS) - set(maps["four"]) == {"baved", "cmu_mosei", "enterface"}  # without emotions, without neutral
    no_disgust = {"esd", "nemo", "banglaser", "urdu", "shemo", "casia", "msp_improv"}
    assert set(maps["four"]) - set(maps["six"]) == {*no_disgust, "iemocap"}  # of its 10,039 turns, few are of disgust


def test_the_document_has_the_table_of_the_readers():
    fix = "run: python docs/generate/corpora_docs.py docs/corpora.md"
    text = DOCUMENT.read_text("utf-8")
    assert text == corpora_docs.document(DOCUMENT), fix
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| [`")]
    assert all(len(row) == 9 or "| |" in " | ".join(row) for row in rows)
    for name, reader in READERS.items():
        if reader.published is None:
            assert f"\n## {name}\n" in text
        else:
            assert f"| [`{name}`]({reader.published.url}) |" in text


def test_the_documents_example_is_a_working_row():
    section = DOCUMENT.read_text("utf-8").partition("\n## Adding a corpus\n")[2]
    ((name, row),) = yaml.safe_load(re.search(r"```yaml\n(.*?)```", section, re.DOTALL)[1]).items()
    assert name == "subesco"
    reader = by_name.reader_of_row(by_name.Row(**row))
    entries = reader.entries(options("folder", video=False), ["x/F_10_FAHMEE_S_6_FEAR_5.wav", "M_01_A_S_11_FEAR_5.wav"])
    assert [entry.clip for entry in entries] == [Clip("F_10_FAHMEE_S_6_FEAR_5", "F_10", "fear", "6"), None]
    assert reader.people(options("folder"))["M_03"] == ("male", None)


def test_the_documents_table_is_read_as_it_says(tmp_path):
    text = DOCUMENT.read_text("utf-8")
    (tmp_path / "clips.csv").write_text(re.search(r"```csv\n(.*?)```", text, re.DOTALL)[1], "utf-8")
    touch(tmp_path, "anna/monday.mp4", "ben/walk.mp4", "carla/talk.mp4")
    given = options("folder", tmp_path, table="clips.csv")
    clips = {file.clip_id: file.clip for file in scan(given)}
    assert list(clips) == ["anna/monday_500", "anna/monday_3200", "ben/walk", "carla/talk"]
    assert clips["anna/monday_3200"] == Clip("anna/monday_3200", "anna", start_s=3.2, end_s=7.0)
    sources = folder.sources(given)
    assert {name: source.kind for name, source in sources.items()} == {
        "emotion": "label", "arousal": "attribute", "voice": "votes",
    }  # fmt: skip
    assert folder.partitions(given)["partition"].to_list() == ["train", "train", "dev", "test"]
    votes = sources["voice"].read(given).filter(pl.col("clip_id") == "ben/walk")
    assert votes.rows() == [("ben/walk", 3.0, 2.0)]


def test_people_are_known_as_the_corpora_tell_them(tmp_path):
    assert crema_d.READER.people(options("crema_d", tmp_path)) == {}
    (tmp_path / "VideoDemographics.csv").write_text(
        '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","a","b"\n'
    )
    assert crema_d.READER.people(options("crema_d", tmp_path)) == {"1001": ("male", 51)}
    actors = ravdess.READER.people(options("ravdess"))
    assert (len(actors), actors["01"].sex, actors["24"].sex) == (24, "male", "female")
    assert reader_of(options("grid")).people(options("grid")) == {}


def test_people_of_the_real_corpus(shared_data):
    known = crema_d.READER.people(options("crema_d", shared_data / "crema-d"))
    assert len(known) == 91
    assert known["1002"] == ("female", 21)
    assert Counter(person.sex for person in known.values()) == {"male": 48, "female": 43}


OWN = """
from avpretext.corpora.reader import Clip, Reader, acted, named, stem
MINE = Reader(entries=named(lambda path: Clip(stem(path), label="happy") if "_" in path else None), sources=acted)
OTHER = 3
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project's folder with a corpus, and a module that has a reader, where the workflow runs."""
    (tmp_path / "readers_of_mine.py").write_text(OWN)
    (tmp_path / "readers_of_mine_broken.py").write_text("1 / 0")
    touch(tmp_path / "clips", "a_1.wav", "holiday.wav")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("readers_of_mine", None)


def test_a_reader_of_the_users_own_is_named_by_its_module(project):
    given = options("readers_of_mine:MINE", "clips", video=False)
    found = {file.clip_id: file.clip for file in scan(given)}
    assert found == {"a_1": Clip("a_1", label="happy"), "holiday": None}
    assert [setting.name for setting in settings_of(given)] == ["acted.speaker_kfold"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("readers_of_mime:MINE", "there is no module 'readers_of_mime'; expected one in the current folder"),
        ("readers_of_mine_broken:MINE", "cannot be imported .ZeroDivisionError"),
        (":MINE", "cannot be imported"),
        ("readers_of_mine:MIME", "readers_of_mine has no 'MIME'; did you mean 'MINE'"),
        ("readers_of_mine:OTHER", "is of the type int; a Reader is expected: the module has MINE"),
        ("json:JSONDecoder", "is of the type type; a Reader is expected: make one by avpretext.corpora.reader.Reader"),
    ],
)
def test_a_reader_that_is_not_there_is_named_with_what_is(project, name, words):
    with pytest.raises(UserError, match=f"corpora.NAME.reader = '{name}'.*{words}"):
        reader_of(options(name))


@pytest.mark.parametrize(
    ("reader", "told"),
    [
        ("emodb", {"03": ("male", 31), "08": ("female", 34), "16": ("female", 31)}),
        ("mead", {"M003": ("male", None), "W009": ("female", None)}),
    ],
)
def test_what_is_published_of_the_speakers_is_known(reader, told, tmp_path):
    people = READERS[reader].people(corpus(tmp_path))
    assert {name: tuple(people[name]) for name in told} == told
