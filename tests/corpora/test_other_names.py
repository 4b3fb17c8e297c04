"""No file of one corpus is read as one of another without a warning, and the names of a corpus tell its reader."""

import pytest
from tests.corpora.made import corpus, touch
from tests.corpora.names import NAMES

from avpretext.corpora import READERS
from avpretext.corpora.checks import likely
from avpretext.corpora.checks.check import check
from avpretext.init.guess import guess_reader

BY_NAME = [name for name in NAMES if name not in ("msp_podcast", "msp_face", "meld", "cmu_mosei")]
"""The others read what their tables list."""

LAID_OUT_ALIKE = {("ravdess", "banglaser"), ("banglaser", "ravdess")}


def known(reader: str, names: list[str]) -> list[str]:
    options = corpus(".", reader, video=not any(name.endswith(".wav") for name in names))
    return [entry.path for entry in READERS[reader].entries(options, sorted(names)) if entry.clip is not None]


def test_every_published_corpus_has_names_here():
    assert set(NAMES) == {name for name, reader in READERS.items() if reader.published is not None}


@pytest.mark.parametrize("name", BY_NAME)
def test_a_corpus_reads_all_its_names(name):
    wanted = [path for path in NAMES[name] if name != "mead" or "video" in path]
    assert known(name, wanted) == sorted(wanted)
    assert guess_reader(sorted(wanted))[0] == name


@pytest.mark.parametrize("reader", BY_NAME)
def test_no_name_of_another_corpus_is_read_without_a_warning(reader):
    for other, names in NAMES.items():
        if other == reader or not (read := known(reader, names)):
            continue
        assert (reader, other) in LAID_OUT_ALIKE
        (found,) = likely.findings(corpus(".", reader, video=False), sorted(names))
        assert (found.reason, found.wrong) == ("other_reader", True)
        # Even where only names that both know are there.
        (found,) = likely.findings(corpus(".", reader, video=False), sorted(read))
        assert (found.reason, found.wrong) == ("other_reader", False)


@pytest.mark.parametrize("name", BY_NAME)
def test_its_own_names_are_no_warning(name):
    assert likely.findings(corpus(".", name), sorted(NAMES[name])) == []


OF_OTHERS = [
    "Audio/actor_36/03-01-09-01-06-36-02-02-01-39.wav", "05Angry/a5-02-01-01-33.wav", "anger/a03 (3).wav",
    "Peur/Fort/12-P-2-5.wav", "f/sessj/10a02Ja.wav", "JL(wav+txt)/male2_concerned_6b_1.wav", "Anger_F_A_tarde.wav",
    "m3.s_trzymaj_5.wav", "Calm/1984_sk_eger.wav", "F_10_FAHMEE_S_6_FEAR_5.wav", "jenie_Amused/amused_57-84_0057.wav",
]  # fmt: skip
"""Names of ASVP-ESD, ASED, AESDD, CaFE, Oreau, JL, MESD, Polish, TurEV-DB, SUBESCO, EmoV-DB in EmoBox's lists."""


@pytest.mark.parametrize("reader", BY_NAME)
def test_names_of_corpora_without_a_reader_are_refused(reader):
    assert known(reader, OF_OTHERS) == []


def test_a_database_is_known_by_its_header(tmp_path):
    (tmp_path / "db.yaml").write_text("tables: {files: {type: filewise, columns: {}}}\n")
    (tmp_path / "db.files.csv").write_text("file\nwav/03a01Fa.wav\nother.wav\n")
    files = ["other.wav", "wav/03a01Fa.wav"]
    assert guess_reader(files, tmp_path) == ("audformat", False)
    for reader in ("audformat", "emodb"):
        assert likely.findings(corpus(tmp_path, reader, video=False), files) == []


def test_banglaser_and_ravdess_share_names_with_other_meanings():
    both = set(known("ravdess", NAMES["banglaser"]))
    # 5 emotions, 2 texts, 2 repetitions, 24 actors; RAVDESS's neutral and BanglaSER's happy have normal intensity both.
    assert len(both) == 5 * 2 * 2 * 24
    assert len(NAMES["ravdess"]) == 1440
    assert len(NAMES["banglaser"]) == 5 * 9 * 34


def test_the_check_of_a_corpus_names_the_other(tmp_path):
    touch(tmp_path, *NAMES["banglaser"][:200])
    found = {one.reason: one for one in check(corpus(tmp_path, "ravdess", video=False), "none").findings}
    assert found["other_reader"].meaning.startswith("of 200 names, banglaser knows 200 and ravdess ")
    assert found["other_reader"].wrong


@pytest.mark.parametrize(
    ("reader", "path"),
    [
        ("ravdess", "03-01-01-01-01-01-25.wav"),  # 24 actors
        ("ravdess", "03-01-01-02-01-01-01.wav"),  # neutral has one intensity
        ("ravdess", "03-02-08-01-01-01-01.wav"),  # songs have no surprise
        ("ravdess", "03-01-05-01-01-01-01-01.wav"),
        ("banglaser", "03-01-03-01-01-01-01.wav"),
        ("banglaser", "03-01-05-01-01-01-35.wav"),
        ("crema_d", "1092_DFA_ANG_XX.wav"),
        ("emodb", "04a01Fa.wav"),
        ("savee", "DC/a16.wav"),
        ("savee", "DC/n31.wav"),
        ("savee", "XX/a01.wav"),
        ("esd", "0021/Angry/0021_000351.wav"),
        ("esd", "0011/Angry/0011_001751.wav"),
        ("nemo", "EB0_anger_91.wav"),
        ("baved", "0/104-m-21-0-1-105.wav"),
        ("shemo", "M57N20.wav"),
        ("urdu", "SM28_F1_S01.wav"),
        ("enterface", "s45_an_1.avi"),
        ("iemocap", "Ses06F_impro01_F000.wav"),
        ("msp_improv", "MSP-IMPROV-S21A-F01-P-FM01.wav"),
    ],
)
def test_codes_outside_their_range_are_refused(reader, path):
    assert known(reader, [path]) == []
