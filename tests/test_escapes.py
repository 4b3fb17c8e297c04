"""Names are data in every medium: one nasty list goes through all of them."""

import contextlib
import csv
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from avpretext import cli, escapes
from avpretext.config_file import parse
from avpretext.errors import UserError
from avpretext.evaluation import formats
from avpretext.predict.output import CsvWriter, JsonWriter, TableWriter
from avpretext.predict.result import Refused
from avpretext.progress import show

NASTY = [
    "a\x1b]52;c;cm0gLXJm\x07b", "\x1b[2J\x1b[H", "\x1b[31mred", "\x9b31m", "\u202egpj.exe", "a\u2066b", "a\rb", "a\nb",
    "a\x00b", "a\x08\x08b", "\x7f", "a\u2028b", "=cmd|'/c calc'!A1", "+1+1", "-2+3", "@SUM(A1)", " =1", "\t=1", "\r=1",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "![x](http://a/b.png)",
    "`code`", "*a*", "a|b", "$(touch sprung)", "`touch sprung`", "'; touch sprung; '", "{corpus}", "<results>", "{{x}}",
    "\\input{/etc/passwd}", "a & b % c # d _ e ^ f ~ g", "../x", "-o", "caf\udce9",
]  # fmt: skip
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What no text may hold that reaches a terminal."""


@pytest.mark.parametrize("name", NASTY)
def test_a_terminal_gets_no_control_character(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert not CONTROL.search(escapes.terminal(name))
    assert "\n" not in escapes.line(name)
    with escapes.plain_streams():
        print(name)
        print(name, file=sys.stderr)
        show(name, live=False, end="")
    said = capsys.readouterr()
    assert not CONTROL.search(said.out + said.err)
    assert escapes.terminal("Grüße, 日本語 👍🏽") == "Grüße, 日本語 👍🏽"


def test_colours_of_the_help_stay_and_those_of_names_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = escapes.PlainStream(Terminal())
    stream.write("\x1b[1mUsage\x1b[0m \x1b[2J")
    assert stream.raw.getvalue() == "\x1b[1mUsage\x1b[0m \\x1b[2J"
    monkeypatch.setattr(sys, "stdout", stream)
    escapes.without_colours()
    stream.write("\x1b[31m")
    assert stream.raw.getvalue().endswith("\\x1b[31m")


@pytest.mark.parametrize("name", NASTY)
def test_a_spreadsheet_gets_no_formula(name: str, tmp_path: Path) -> None:
    formats.write_csv(tmp_path / "t.csv", [name], [{name: name}])
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            assert not row[0].lstrip().startswith(("=", "+", "-", "@"))
            assert not CONTROL.search(row[0])
    assert [escapes.cell(number) for number in ("-0.5", "+1e-3", "12 %", "-1", "0.61")] == [
        "-0.5", "+1e-3", "12 %", "-1", "0.61",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_markdown_and_latex_get_no_markup(name: str) -> None:
    told = escapes.markdown(name)
    assert not re.search(r"(?<!\\)[<`*|]|\]\(", told)
    assert not CONTROL.search(told)
    assert "\n" not in told
    plain = escapes.latex(name)
    assert "\\input" not in plain
    assert not re.search(r"(?<!\\)[&%#_]", plain)
    assert "\n" not in formats.latex(["a"], [[name]], 1, name, name).splitlines()[6][:-2]


@pytest.mark.parametrize("name", NASTY)
def test_predictions_are_told_without_control_characters(name: str) -> None:
    for kind in (CsvWriter, JsonWriter, TableWriter):
        stream = io.StringIO()
        writer = kind(stream, "hard", ["angry", "sad"])
        writer.begin([name])
        writer.write(Refused(name, "unreadable", name))
        writer.end()
        assert not CONTROL.search(stream.getvalue())
        assert "\n=" not in stream.getvalue()


@pytest.mark.parametrize("name", [name for name in NASTY if "/" not in name and "\0" not in name])
def test_a_corpus_of_such_names_is_checked_without_control_characters(name: str, tmp_path: Path) -> None:
    (tmp_path / "corpus" / name).mkdir(parents=True)
    (tmp_path / "corpus" / name / f"{name}.wav").touch()
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error), pytest.MonkeyPatch.context() as patch:
        arguments = ["corpus", "folder", str(tmp_path / "corpus"), "--audio", "--listen", "none"]
        patch.setattr(sys, "argv", ["avpretext", *arguments])
        with pytest.raises(SystemExit):
            cli.main()
    assert not CONTROL.search(out.getvalue() + error.getvalue())


@pytest.mark.parametrize("name", NASTY)
def test_an_error_is_told_without_control_characters(name: str, tmp_path: Path) -> None:
    error = io.StringIO()
    with contextlib.redirect_stderr(error), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["avpretext", "predict", str(tmp_path), "--", name.replace("\0", "")])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code == 2
    assert not CONTROL.search(error.getvalue())


def test_a_shell_gets_one_word(tmp_path: Path) -> None:
    for name in NASTY:
        word = name.replace("\0", "")
        told = subprocess.run(["sh", "-c", f"printf %s {shlex.quote(word)}"], capture_output=True, cwd=tmp_path)
        assert told.stdout == word.encode("utf-8", "surrogateescape")
    assert not list(tmp_path.iterdir())


def test_labels_for_other_tools_hold_no_formula(tmp_path: Path) -> None:
    from avpretext.interchange.label_tables import LabelTables
    from avpretext.interchange.labels_to import write_csv

    names = [name for name in NASTY if "\udce9" not in name]
    clips = pl.DataFrame({"clip_id": names, "speaker": names, "label": names})
    tables = LabelTables.__new__(LabelTables)
    for field, value in {
        "clips": clips, "speakers": clips.select("speaker"), "chunks": {}, "emotion": None, "targets": {}, "folds": {},
    }.items():  # fmt: skip
        object.__setattr__(tables, field, value)
    write_csv(tables, tmp_path)
    with (tmp_path / "clips.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert len(cells) == 3 * (len(names) + 1)
    assert not any(CONTROL.search(cell) or cell.startswith(("=", "+", "-", "@")) for cell in cells)


@pytest.mark.parametrize("name", ["res {x}", "res <b>", "res {{x}}", "a\nb", "a\x1bb"])
def test_a_path_that_snakemake_would_fill_in_is_refused_by_its_name(name: str) -> None:
    for changes in ({"results": name}, {"labels": {"emotion": {"table": name}}}):
        with pytest.raises(UserError, match=re.escape(repr(name))):
            parse({"corpora": {"mine": {"path": "cor {x} <b>", "use": ["pretrain"]}}, **changes})
    assert parse({"corpora": {"mine": {"path": name, "use": ["pretrain"]}}}).corpora["mine"].path == name
