"""The blocks of code that the pages print, and the check of a command without running it."""

import itertools
import re
import shlex
import tomllib
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import typer
from snakemake.cli import get_argument_parser

from avpretext.cli import app

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((REPOSITORY / "docs").glob("*.md")),
    *sorted((REPOSITORY / "examples").rglob("*.md")),
]
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n)?```(?P<language>[^\n`]*)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)
INLINE = re.compile(r"`(?:\.venv/bin/)?((?:avpretext|snakemake|make) [^`]+)`")
USAGE_ERROR = typer.BadParameter.__mro__[1]
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code of a page; `reason`: why it cannot be run, where it is marked so."""

    page: str
    language: str
    code: str
    reason: str | None


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages that are not marked, of some languages or, where none is given, of any."""
    return [block for page in PAGES for block in blocks_of(page) if block.reason is None
            and (not languages or block.language in languages)]  # fmt: skip


def blocks_of(page: Path) -> list[Block]:
    """Return all blocks of a page, marked or not.

    >>> page = next(page for page in PAGES if page.name == "start.md")
    >>> blocks_of(page)[0].code
    'make demo\\n'
    """
    name = page.relative_to(REPOSITORY).as_posix()
    return [Block(name, found["language"], found["code"], found["reason"])
            for found in BLOCK.finditer(page.read_text("utf-8"))]  # fmt: skip


def inline_commands() -> list[tuple[str, str]]:
    """Return the commands within sentences, each after its page."""
    return [(page.name, " ".join(command.split())) for page in PAGES
            for command in INLINE.findall(FENCED.sub("", page.read_text("utf-8")))]  # fmt: skip


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command of a shell's text, without the file that its output goes to.

    >>> list(commands("M=a/b\\nx $M 'c d' | y -  # comment"))
    [['x', '$M', 'c d'], ['y', '-']]
    """
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(re.sub(r" > \S+", "", line), posix=True, punctuation_chars="|;")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word not in ("|", ";"):
                words.append(word)
                continue
            while words and re.match(r"[A-Z_]+=", words[0]):
                del words[0]
            if words:
                yield words
            words = []


def check(words: list[str], whole: bool = True) -> None:
    """Fail if a command does not exist, or does not take its options and arguments.

    Parameters
    ----------
    words
        The command.
    whole
        Whether it is to be run as it is: nothing that it needs may be missing.
    """
    program = words[0].removeprefix(".venv/bin/")
    assert program in PROGRAMS or (REPOSITORY / program).is_file(), f"no check is known for {program}"
    PROGRAMS.get(program, _script)(words[1:], whole)


def _avpretext(arguments: list[str], whole: bool) -> None:
    try:
        group = typer.main.get_command(app)
        name, command, rest = group.resolve_command(group.make_context("avpretext", list(arguments)), arguments)
        more = command.make_context(name, list(rest)).args
        assert not more, f"avpretext {shlex.join(arguments)}: {more} are no arguments"
    except typer.Exit:  # --help
        pass
    except USAGE_ERROR as error:
        if whole or type(error).__name__ != "MissingParameter":
            pytest.fail(f"avpretext {shlex.join(arguments)}: {error.format_message()}")


def _snakemake(arguments: list[str], whole: bool) -> None:
    try:
        given = get_argument_parser().parse_args(arguments)
    except (SystemExit, ArgumentTypeError) as error:
        pytest.fail(f"snakemake {shlex.join(arguments)}: {error}")
    targets = {target for target in given.targets if not target.startswith("results/")}
    assert targets <= rules(), f"no rule is called {targets - rules()}"
    files = [Path(file) for file in given.configfile or [] if Path(file).parts[0] in ("examples", "config.yaml")]
    assert all((REPOSITORY / file).is_file() for file in files), files


@cache
def rules() -> set[str]:
    """Return the names of all rules."""
    files = [REPOSITORY / "Snakefile", *(REPOSITORY / "workflow").rglob("*.smk"), REPOSITORY / "workflow" / "Snakefile"]
    return {name for file in files for name in re.findall(r"^rule (\w+):", file.read_text("utf-8"), re.MULTILINE)}


def _make(arguments: list[str], whole: bool) -> None:
    targets = [word for word in arguments if "=" not in word]
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    assert all(f"\n{target}: " in makefile for target in targets), targets


def _python(arguments: list[str], whole: bool) -> None:
    files = [word for word in arguments if word.endswith(".py") or word.startswith("tests")]
    assert files or arguments[:2] == ["-m", "venv"]
    assert all((REPOSITORY / file).exists() for file in files), files


def _pip(arguments: list[str], whole: bool) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    for extra in re.findall(r"avpretext\[(.+?)\]", " ".join(arguments)):
        assert extra in project["optional-dependencies"]


def _script(arguments: list[str], whole: bool) -> None:
    """Accept a file of the repository, or a program of the system: their arguments are their own."""


def _sudo(arguments: list[str], whole: bool) -> None:
    check([*itertools.dropwhile(re.compile(r"[A-Z_]+=").match, arguments)], whole)


def _podman(arguments: list[str], whole: bool) -> None:
    if "--file" in arguments:
        assert (REPOSITORY / arguments[arguments.index("--file") + 1]).is_file()


PROGRAMS: dict[str, Callable[[list[str], bool], None]] = {
    "avpretext": _avpretext, "snakemake": _snakemake, "make": _make, "python": _python, "python3": _python, "pip": _pip,
    "sudo": _sudo, "podman": _podman,
    **dict.fromkeys(("eval", "export", "ffmpeg", "arecord", "xdg-open", "apptainer"), _script),
}  # fmt: skip
"""How each program that a page names is checked."""
