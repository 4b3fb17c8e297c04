"""Names, labels and paths as what they are, text, in every medium: one function for each.

HTML is escaped by Jinja (`report.page`) and `html.escape`, a word of a shell by `shlex.quote`.
"""

import csv
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of Unicode: control characters, halves of a pair, separators of lines and paragraphs."""

_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows."""

WILD = "{}<>"
"""Characters that Snakemake takes for wildcards in the name of a file."""


def terminal(text: str, keep: str = "\n\t") -> str:
    r"""Return text for a terminal or a log: what would move the cursor or set the clipboard is spelt out.

    >>> print(terminal("a\x1b]52;c;eA==\x07\u202eb"))
    a\x1b]52;c;eA==\x07\u202eb
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter if letter in keep or not _is_unsafe(letter) else _spelt(letter) for letter in text)


def line(text: str) -> str:
    r"""Return text for one line of a terminal, a table or a log.

    >>> print(line("a\nb"))
    a\nb
    """
    return terminal(text, "")


def _is_unsafe(letter: str) -> bool:
    return unicodedata.category(letter) in _UNSEEN or letter in _TURNING


def _spelt(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def cell(text: str) -> str:
    r"""Return text for a cell of CSV: what a spreadsheet would take for a formula begins with an apostrophe.

    >>> cell("=1+1"), cell("-0.5"), cell("-x"), cell("a\x1bb")
    ("'=1+1", '-0.5', "'-x", 'a\\x1bb')
    """
    plain = terminal(text)
    is_formula = plain.lstrip(" ").startswith(_FORMULA) and not _NUMBER.fullmatch(plain)
    return f"'{plain}" if is_formula else plain


def write_cells(stream: IO[str], row: Iterable[Any], ending: str = "\n") -> None:
    """Write a row of CSV."""
    csv.writer(stream, lineterminator=ending).writerow([cell(one) if isinstance(one, str) else one for one in row])


def markdown(text: str) -> str:
    r"""Escape what Markdown would take for markup; underscores within a word and brackets stay as they are.

    >>> print(markdown("<script> a_b *c* [x](y)"))
    \<script> a_b \*c\* [x]\(y)
    """
    return re.sub(r"([\\|<*`]|(?<=\])\(|(?<!\w)_|_(?!\w))", r"\\\1", line(text.replace("\n", " ")))


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "±": r"$\pm$", "Δ": r"$\Delta$", "−": r"$-$",
}  # fmt: skip


def latex(text: str) -> str:
    r"""Escape what LaTeX would take for a command.

    >>> print(latex("crema_d & 5 %"))
    crema\_d \& 5 \%
    """
    return "".join(_LATEX.get(character, character) for character in line(text.replace("\n", " ")))


class PlainStream:
    """Standard output or error: what is written to it reaches a terminal as `terminal` returns it.

    Attributes
    ----------
    raw
        The stream itself, which has all other attributes.
    colours
        Whether colours stay, as those of the help.
    """

    def __init__(self, raw: Any) -> None:
        self.raw, self.colours = raw, bool(raw.isatty())

    def write(self, text: str) -> int:
        """Write text."""
        parts = _COLOUR.split(text) if self.colours else [text]
        colours = _COLOUR.findall(text) if self.colours else []
        self.raw.write("".join(map("".join, zip(map(terminal, parts), [*colours, ""], strict=True))))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        """Return what the stream itself has."""
        return getattr(self.raw, name)


def raw(stream: Any) -> Any:
    """Return the stream beneath, for what moves the cursor on purpose."""
    return stream.raw if isinstance(stream, PlainStream) else stream


@contextmanager
def plain_streams() -> Iterator[None]:
    """Let everything that is printed meanwhile be plain text."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = PlainStream(sys.stdout), PlainStream(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def without_colours() -> None:
    """Let no colours through from now on: what follows has names in it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, PlainStream):
            stream.colours = False
