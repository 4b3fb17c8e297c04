"""What is said in a clip: from its name, a table, or a file of transcripts."""

from pathlib import Path

import polars as pl
import pytest

from avpretext.config import CorpusOptions
from avpretext.corpora import READERS
from avpretext.corpora.transcripts import check_matched, transcript_files, transcripts_of
from avpretext.errors import UserError


def options(reader: str, path: str = ".", **more: str) -> CorpusOptions:
    return CorpusOptions(path=path, reader=reader, use=[], **more)


def clips(**sentences: str | None) -> pl.DataFrame:
    schema = {"clip_id": pl.String, "sentence": pl.String}
    return pl.DataFrame(list(sentences.items()), schema, orient="row")


@pytest.mark.parametrize(
    ("reader", "sentence", "text"),
    [
        ("crema_d", "DFA", "Don't forget a jacket."),
        ("ravdess", "dogs", "Dogs are sitting by the door."),
        ("grid", "bin blue at f two now", "bin blue at f two now"),
        ("folder", "as written", "as written"),
    ],
)
def test_sentences_are_known_by_their_codes(reader: str, sentence: str, text: str) -> None:
    assert transcripts_of(options(reader), clips(a=sentence, b=None)) == {"a": text}
    assert transcript_files(options(reader)) == []


def test_codes_without_words_are_no_text() -> None:
    known = {reader for reader in READERS if READERS[reader].words("a01")}
    assert known == {"grid", "folder", "tess", "audformat"}


def test_a_table_and_a_file_of_transcripts_say_more(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("path,sentence,transcript\na.wav,S1,good morning\nb.wav,S2,\nc.wav,S3,bye\n")
    (tmp_path / "said.csv").write_text("clip_id,text\nc,see you\nother,nobody\n")
    index = clips(a="S1", b="S2", c="S3")
    listed = options("folder", str(tmp_path), table=str(tmp_path / "table.csv"))
    assert transcripts_of(listed, index) == {"a": "good morning", "b": "S2", "c": "bye"}
    both = listed.model_copy(update={"transcripts": str(tmp_path / "said.csv")})
    assert transcripts_of(both, index)["c"] == "see you"
    assert transcript_files(both) == [str(tmp_path / "table.csv"), str(tmp_path / "said.csv")]
    # A transcript is nothing that can be learnt.
    assert list(READERS["folder"].sources(listed)) == []


def test_a_wrong_file_of_transcripts_is_said_so(tmp_path: Path) -> None:
    file = tmp_path / "said.csv"
    chosen = options("ravdess", transcripts=str(file))
    with pytest.raises(UserError, match=r"said\.csv: no such file; correct corpora\.NAME\.transcripts"):
        transcripts_of(chosen, clips(a=None))
    file.write_text("clip_id,txt\na,hello\n")
    with pytest.raises(UserError, match="no column 'text'; did you mean 'txt'"):
        transcripts_of(chosen, clips(a=None))


def test_transcripts_of_no_clip_are_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "said.csv"
    file.write_text("clip_id;text\nJo\u0308rg/1;hallo\n", "utf-8")
    options = CorpusOptions(path=str(tmp_path), reader="folder", use=["pretrain"], transcripts=str(file))
    check_matched(options, {"Jörg/1", "b"})
    with pytest.raises(UserError, match=r"none of its clips, such as 'Jörg/1', is one of the corpus, such as 'a'"):
        check_matched(options, {"a", "b"})
