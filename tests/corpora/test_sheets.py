"""Tables as spreadsheets, pandas and R write them hold what their authors meant, or are refused with the fix."""

import datetime
import unicodedata
from pathlib import Path

import polars as pl
import pytest

from avpretext.corpora import sheets
from avpretext.corpora.readers import clip_table
from avpretext.errors import UserError

PEOPLE = [("a.wav", "Jörg"), ("b.wav", "Zoë")]


def csv(file: Path, content: str | bytes, encoding: str = "utf-8") -> pl.DataFrame:
    file.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return sheets.read_csv(file)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_whatever_a_spreadsheet_writes_is_read(tmp_path, encoding, separator, end):
    lines = [("path", "speaker"), *PEOPLE]
    text = "".join(separator.join(line) + end for line in lines)
    found = csv(tmp_path / "a.csv", text, encoding)
    assert (found.columns, found.rows()) == (["path", "speaker"], PEOPLE)


def test_excels_line_for_the_separator_is_believed(tmp_path):
    assert csv(tmp_path / "a.csv", "sep=;\r\npath;speaker\r\na.wav;Jörg\r\n").rows() == PEOPLE[:1]


def test_empty_columns_and_rows_at_the_edges_are_left_out(tmp_path):
    text = "path;speaker;;\na.wav;Jörg;;\n;;;\n"
    assert csv(tmp_path / "a.csv", text).columns == ["path", "speaker"]
    assert clip_table.read(tmp_path / "a.csv")[0].select("path", "speaker").rows() == PEOPLE[:1]


def test_a_column_of_lists_does_not_split_the_header(tmp_path):
    assert csv(tmp_path / "a.csv", "path,notes (a;b;c)\na.wav,x;y;z\n").rows() == [("a.wav", "x;y;z")]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "mac-roman", "utf-16-le"])
def test_another_encoding_is_named_with_its_line(tmp_path, encoding):
    with pytest.raises(UserError, match=r"a\.csv: not a CSV table in UTF-8: .*save it as `CSV UTF-8`"):
        csv(tmp_path / "a.csv", "path,speaker\na.wav,Jörg\n", encoding)
    if encoding == "latin-1":
        with pytest.raises(UserError, match="byte 0xf6 in line 2 is of another encoding"):
            csv(tmp_path / "a.csv", "path,speaker\na.wav,Jörg\n", encoding)


def test_a_spreadsheet_is_not_taken_for_a_table(tmp_path):
    with pytest.raises(UserError, match="not a CSV table but a spreadsheet; save it as `CSV UTF-8`"):
        csv(tmp_path / "a.xlsx", b"PK\x03\x04rest")


def test_cells_and_columns_are_composed_and_stripped_of_white_space_that_cannot_be_seen(tmp_path):
    decomposed = unicodedata.normalize("NFD", "path,größe\n,\u00a0Jörg\u200b \n")
    found = csv(tmp_path / "a.csv", decomposed.replace("\n,", "\na.wav,"))
    assert (found.columns, found.rows()) == (["path", "größe"], [("a.wav", "Jörg")])


def test_parquet_of_pandas_is_read_as_text_meant_it(tmp_path):
    rows = pl.DataFrame({
        "path": ["a.wav", "b.wav", "c.wav"],
        "speaker": [1.0, float("nan"), None],
        "emotion": pl.Series(["happy", None, "sad"], dtype=pl.Categorical),
        "arousal": [0.5, float("nan"), 2.0],
        "acted": [True, False, None],
        "day": [datetime.date(2024, 1, 2), None, None],
        "nothing": pl.Series([None, None, None], dtype=pl.Null),
        "end": [datetime.timedelta(seconds=1.5), None, datetime.timedelta(seconds=2)],
    })  # fmt: skip
    rows.write_parquet(tmp_path / "a.parquet")
    table, notes = sheets.cleaned(sheets.read(tmp_path / "a.parquet"))
    assert table.rows() == [
        ("a.wav", "1", "happy", "0.5", "true", "2024-01-02", None, "1.5"),
        ("b.wav", None, None, None, "false", None, None, None),
        ("c.wav", None, "sad", "2.0", None, None, None, "2.0"),
    ]
    assert [(note.meaning[:32], note.count, note.wrong) for note in notes] == [
        ("cells of the column 'speaker' wi", 1, True), ("cells of the column 'arousal' wi", 1, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "word", ["nan", "NaN", "None", "NA", "N/A", "null", "NULL", "-", "#N/A", "<NA>", "#NV", "\u2013"]
)
def test_words_for_nothing_are_empty_cells_and_counted(word):
    table = pl.DataFrame({"path": ["a", "b", "c"], "emotion": ["sad", word, word], "fold": [word, "train", "test"]})
    meant, notes = sheets.cleaned(table)
    assert meant["emotion"].to_list() == ["sad", None, None]
    assert meant["fold"].to_list() == [None, "train", "test"]
    assert [(note.count, note.wrong) for note in notes] == [(2, True), (1, True)]
    assert repr(word) in notes[0].meaning


def test_names_that_only_look_like_nothing_stay():
    table = pl.DataFrame({"speaker": ["Nan", "Na", "Nil", "unknown"], "transcript": ["none", "NA", "-", "nan"]})
    meant, notes = sheets.cleaned(table)
    assert meant["speaker"].to_list() == ["Nan", "Na", "Nil", None]
    assert meant["transcript"].equals(table["transcript"])
    assert [note.count for note in notes] == [1]


def test_decimal_commas_are_numbers_and_told():
    table = pl.DataFrame({"arousal": ["0,5", "1", "-2,25", None], "start_s": ["0,5", "1,5", "2", None]})
    meant, notes = sheets.cleaned(table)
    assert meant["arousal"].to_list() == ["0.5", "1", "-2.25", None]
    assert meant["start_s"].to_list() == ["0.5", "1.5", "2", None]
    assert [(note.reason, note.count, note.wrong) for note in notes] == [("decimal_comma", 2, False)] * 2


@pytest.mark.parametrize("values", [["1,234", "12,500"], ["1.234,5", "2.000,25"]])
def test_commas_that_may_part_thousands_are_not_guessed_at(values):
    meant, (note,) = sheets.cleaned(pl.DataFrame({"arousal": values}))
    assert (meant["arousal"].to_list(), note.wrong) == (values, True)


def test_words_with_commas_stay_words():
    table = pl.DataFrame({"emotion": ["happy, a little", "sad", "1,5"]})
    assert sheets.cleaned(table)[0].equals(table)


def test_names_that_were_held_as_decimal_numbers_lose_their_zero():
    table = pl.DataFrame({"speaker": ["1.0", "12.0", None], "fold": ["1.0", "a", "2.0"], "level": ["1", "2", "3"]})
    meant, notes = sheets.cleaned(table)
    assert meant["speaker"].to_list() == ["1", "12", None]
    assert meant["fold"].to_list() == ["1.0", "a", "2.0"]
    assert notes == []
