"""A folder's table says which stretches are clips and what is known of them; bad rows are refused, bad tables named."""

from pathlib import Path

import polars as pl
import pytest
from tests.corpora.made import corpus as options_of
from tests.corpora.made import touch

from avpretext.config import CorpusOptions
from avpretext.corpora import Clip, scan
from avpretext.corpora.readers import folder
from avpretext.errors import UserError


@pytest.fixture
def corpus(tmp_path):
    """Return what makes a corpus of these files and of this table, and its options."""

    def make(table: str | pl.DataFrame, *files: str, name: str = "clips.csv", **more: object) -> CorpusOptions:
        touch(tmp_path, *files)
        if isinstance(table, str):
            (tmp_path / name).write_text(table, "utf-8")
        else:
            table.write_parquet(tmp_path / name)
        return options_of(tmp_path, table=name, **more)

    return make


def refused(options: CorpusOptions) -> dict[str, str]:
    return {file.clip_id: file.refusal.reason for file in scan(options) if file.refusal}


def kept(options: CorpusOptions) -> list[str]:
    return [file.clip_id for file in scan(options) if file.clip]


def test_a_row_is_a_clip(corpus):
    options = corpus(
        "path,clip_id,speaker,sentence,level\na/1.mp4,one,anna,hello,2\na/2.mp4,,,,\n", "a/1.mp4", "a/2.mp4"
    )
    clips = [file.clip for file in scan(options)]
    assert clips == [Clip("one", "anna", None, "hello", "2"), Clip("a/2")]
    assert folder.tables(options) == folder.READER.annotations(options) == [str(Path(options.path) / "clips.csv")]


def test_without_a_column_for_speakers_the_folder_speaks(corpus):
    options = corpus("path\nanna/1.mp4\n2.mp4\n", "anna/1.mp4", "2.mp4")
    assert {file.clip_id: file.clip.speaker for file in scan(options)} == {"2": None, "anna/1": "anna"}


def test_a_column_of_the_table_tells_the_sex_of_the_speakers(corpus):
    rows = "path,speaker,gender\na.mp4,anna,F\nb.mp4,anna,female\nc.mp4,bert,m\nd.mp4,carl,?\n"
    options = corpus(rows, "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    told = {name: person.sex for name, person in folder.READER.people(options).items()}
    assert told == {"anna": "female", "bert": "male"}
    assert folder.READER.people_files(options) == folder.READER.tables(options)
    assert folder.READER.people(corpus("path,speaker\na.mp4,anna\n")) == {}


def test_stretches_are_named_by_file_and_start(corpus):
    options = corpus("path,start,end\na.mp4,0.5,1\na.mp4,1,2.25\na.mp4,2.25,\nb.mp4,,3\n", "a.mp4", "b.mp4")
    found = {file.clip_id: (file.clip.start_s, file.clip.end_s) for file in scan(options)}
    assert found == {"a_500": (0.5, 1.0), "a_1000": (1.0, 2.25), "a_2250": (2.25, None), "b_0": (0.0, 3.0)}


def test_the_order_of_the_rows_changes_nothing(corpus):
    rows = ["a.mp4,5,9,happy", "a.mp4,0,4,sad", "b.mp4,1,2,happy", "a.mp4,3,6,angry"]
    files = ("a.mp4", "b.mp4")
    one, other = (corpus("path,start_s,end_s,emotion\n" + "\n".join(order), *files, name=name)
                  for order, name in ((rows, "1.csv"), (rows[::-1], "2.csv")))  # fmt: skip
    assert scan(one) == scan(other)
    label = folder.sources(one)["emotion"].read(one)
    assert label.equals(folder.sources(other)["emotion"].read(other))


def test_a_row_without_its_file_and_a_file_without_a_row_are_refused(corpus):
    options = corpus("path\na.mp4\nb.mp4\n", "a.mp4", "c.mp4", "a.wav")
    assert kept(options) == ["a"]
    assert refused(options) == {"b": "missing_file", "c": "unlisted"}


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("-1", "2", "before its file"),
        ("2", "2", "ends at 2.0 s and starts at 2.0 s"),
        ("3", "2", "ends at 2.0 s and starts at 3.0 s"),
        ("nan", "2", "its start nan is no number"),
        ("1", "NaN", "its end NaN is no number"),
        ("one", "2", "its start one is no number"),
        ("1", "inf", "its end inf is no number"),
    ],
)
def test_a_stretch_that_is_none_is_refused(corpus, start, end, words):
    options = corpus(f"path,start_s,end_s\na.mp4,{start},{end}\na.mp4,5,6\n", "a.mp4")
    assert kept(options) == ["a_5000"]
    (bad,) = [file.refusal for file in scan(options) if file.refusal]
    assert bad.reason == "bad_segment"
    assert words in bad.detail


def test_a_stretch_within_one_that_is_kept_is_refused(corpus):
    # 8 to 12 lies in what 5 to 10 takes; 11 to 13 only in what is refused, so it stays.
    options = corpus(
        "path,start_s,end_s\na.mp4,8,12\na.mp4,5,10\na.mp4,11,13\na.mp4,13,14\nb.mp4,,\nb.mp4,1,2\nc.mp4,0,1\n",
        "a.mp4", "b.mp4", "c.mp4",
    )  # fmt: skip
    assert kept(options) == ["a_5000", "a_11000", "a_13000", "b", "c_0"]
    details = {file.clip_id: file.refusal.detail for file in scan(options) if file.refusal}
    assert details == {
        "a_8000": "it starts at 8 s, within one that ends at 10 s",
        "b_1000": "it starts at 1 s, within one of the whole file",
    }


def test_a_sound_file_is_no_video(corpus):
    options = corpus("path\na.mp4\nb.wav\n", "a.mp4", "b.wav")
    assert refused(options) == {"b": "no_video"}
    assert kept(options.model_copy(update={"video": False})) == ["a", "b"]


def test_a_spreadsheets_csv_is_read(corpus):
    options = corpus('\ufeffpath, speaker ,emotion\r\na.mp4, anna ,"happy, a\r\nlittle"\r\n', "a.mp4")
    (clip,) = [file.clip for file in scan(options)]
    assert clip == Clip("a", "anna")
    assert folder.sources(options)["emotion"].read(options).rows() == [("a", "happy, a\r\nlittle")]


def test_a_file_twice_counts_once(corpus):
    options = corpus("path,emotion\na.mp4,happy\na.mp4,sad\nb.mp4,sad\n", "a.mp4", "b.mp4")
    assert [file.refusal and file.refusal.reason for file in scan(options)] == [None, "duplicate_clip_id", None]
    label = folder.sources(options)["emotion"].read(options)
    assert label.rows() == [("a", "happy"), ("b", "sad")]


def test_columns_are_labels_attributes_and_votes(corpus):
    options = corpus(
        "path,emotion,voice.happy,arousal,voice.sad,notes (raw)\n"
        "a.mp4,happy,3,1.5,,x\nb.mp4,,,nan,2,y\nc.mp4, sad ,0,-2,0,\n",
        "a.mp4", "b.mp4", "c.mp4",
    )  # fmt: skip
    sources = folder.sources(options)
    kinds = {name: source.kind for name, source in sources.items()}
    assert list(kinds.items()) == [("emotion", "label"), ("voice", "votes"), ("arousal", "attribute")]
    assert sources["emotion"].read(options).rows() == [("a", "happy"), ("b", None), ("c", "sad")]
    assert sources["arousal"].read(options).rows() == [("a", 1.5), ("b", None), ("c", -2.0)]
    votes = sources["voice"].read(options)
    assert votes.columns == ["clip_id", "happy", "sad"]
    assert votes.rows() == [("a", 3.0, 0.0), ("b", 0.0, 2.0), ("c", 0.0, 0.0)]


def test_a_parquet_table_is_read_as_csv_is(corpus):
    rows = pl.DataFrame({
        "path": ["a.mp4", "b.mp4"], "speaker": [1, 2], "start_s": [0.1, None], "end_s": [2.5, None],
        "emotion": ["happy", None], "arousal": [0.1, None], "fold": [1, 2],
    })  # fmt: skip
    one = corpus(rows, "a.mp4", "b.mp4", name="clips.parquet")
    two = corpus(rows.write_csv(), name="clips.csv")
    assert scan(one) == scan(two)
    assert kept(one) == ["a_100", "b"]
    for name, source in folder.sources(one).items():
        assert source.read(one).equals(folder.sources(two)[name].read(two))
    assert folder.partitions(one).rows() == [("a_100", "1"), ("b", "2")]


def test_partitions_are_the_column_fold(corpus):
    options = corpus("path,fold\na.mp4,train\nb.mp4,\nc.mp4,test\n", "a.mp4", "b.mp4", "c.mp4")
    assert folder.partitions(options).rows() == [("a", "train"), ("c", "test")]
    with pytest.raises(UserError, match="no column 'fold'"):
        folder.partitions(corpus("path\na.mp4\n", "a.mp4"))
    with pytest.raises(UserError, match=r"set corpora\.NAME\.table"):
        folder.partitions(options.model_copy(update={"table": None}))


def test_the_table_is_sought_here_then_in_the_corpus(corpus, tmp_path, monkeypatch):
    options = corpus("path\na.mp4\n", "a.mp4")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert kept(options) == ["a"]
    (here / "clips.csv").write_text("path,clip_id\na.mp4,mine\n", "utf-8")
    assert kept(options) == ["mine"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("path\n../a.mp4\n", r"row 2: '\.\./a\.mp4' is not within the corpus folder"),
        ("path\na.mp4\nb/../../a.mp4\n", r"row 3: .* is not within"),
        ("path\n/data/a.mp4\n", "row 2: '/data/a.mp4' is not within"),
        ("path\nC:\\a.mp4\n", "row 2: .* is not within"),
        ("path,emotion\na.mp4,x\n,y\n", "row 3: no path"),
        ("file,emotion\na.mp4,x\n", "no column 'path'"),
        ("paths,emotion\na.mp4,x\n", "no column 'path'; did you mean 'paths'"),
        ("path,speeker\na.mp4,x\n", "column 'speeker'; did you mean 'speaker'"),
        ("path,start_ms\na.mp4,5\n", "column 'start_ms'; did you mean 'start_s'"),
        ("path,emotion,emotion\na.mp4,x,y\n", "two columns are named 'emotion'"),
        ("path,start,start_s\na.mp4,1,2\n", "two columns are named 'start_s'"),
        ("path,emotion\na.mp4,x,y\n", "not a CSV table"),
        ("", "not a CSV table"),
        ("path,emotion\n", "no rows below the header"),
        ("path,arousal\na.mp4,1\nb.mp4,2\nc.mp4,3.\nd.mp4,x\n", "row 5, column 'arousal': 'x' is no number"),
        ("path,voice.sad\na.mp4,-1\n", "row 2, column 'voice.sad': '-1'.*number of raters"),
        ("path,voice.sad\na.mp4,many\n", "row 2, column 'voice.sad': 'many'"),
        ("path,voice,voice.sad\na.mp4,happy,1\n", "'voice' before a dot holds votes"),
    ],
)
def test_a_table_that_cannot_be_understood_is_named(corpus, table, message):
    options = corpus(table, "a.mp4")
    with pytest.raises(UserError, match=rf"clips\.csv.*{message}"):
        scan(options) and folder.sources(options)


def test_a_missing_table_is_named(corpus, tmp_path):
    options = corpus("path\na.mp4\n", "a.mp4").model_copy(update={"table": "clip.csv"})
    with pytest.raises(UserError, match=r"clip\.csv: no such file; correct corpora\.NAME\.table"):
        folder.sources(options)
    (tmp_path / "bad.parquet").write_bytes(b"no Parquet")
    with pytest.raises(UserError, match=r"bad\.parquet: not a Parquet file; correct corpora\.NAME\.table"):
        scan(options.model_copy(update={"table": "bad.parquet"}))
    (tmp_path / "bad.csv").write_bytes(b"path\n\xff\xfe.mp4\n")
    with pytest.raises(UserError, match=r"bad\.csv: not a CSV table in UTF-8"):
        scan(options.model_copy(update={"table": "bad.csv"}))


def test_odd_paths_and_names_are_read(corpus):
    options = corpus(
        'path,emotion\n./a/1.mp4,x\na//2.mp4,x\nb/../a/3.mp4,x\n"a/it\'s, é 😀.mp4",x\n',
        "a/1.mp4", "a/2.mp4", "a/3.mp4", "a/it's, é 😀.mp4",
    )  # fmt: skip
    assert kept(options) == ["a/1", "a/2", "a/3", "a/it's, é 😀"]
    assert folder.sources(options)["emotion"].read(options)["clip_id"].to_list() == kept(options)


def test_columns_may_be_named_as_the_reader_names_its_own(corpus):
    options = corpus("path,row,wrong,label,value\na.mp4,x,y,z,1\n", "a.mp4")
    sources = folder.sources(options)
    assert {name: source.read(options).row(0)[1] for name, source in sources.items()} == {
        "row": "x", "wrong": "y", "label": "z", "value": 1.0,
    }  # fmt: skip


def test_many_rows_are_read(corpus):
    rows = (f"s{i // 1000}/{i // 10:05d}.mp4,{i % 10 * 5},{i % 10 * 5 + 4},s{i // 1000},{'ab'[i % 2]},{i % 7}"
            for i in range(20_000))  # fmt: skip
    options = corpus("path,start_s,end_s,speaker,emotion,voice.a\n" + "\n".join(rows), "a.mp4")
    files = [f"s{i // 100}/{i:05d}.mp4" for i in range(2_000)]
    entries = folder.entries(options, files)
    sources = folder.sources(options)
    assert len(sources["emotion"].read(options)) == len(entries) == 20_000
    assert not any(entry.refusal for entry in entries)


def test_without_a_table_the_path_is_the_name_of_the_clip(corpus):
    options = corpus("", "anna b/it's 😀 “é”.x.mp4", "alone.mov").model_copy(update={"table": None})
    assert [file.clip for file in scan(options)] == [Clip("alone"), Clip("anna b/it's 😀 “é”.x", "anna b")]
