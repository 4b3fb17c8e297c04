"""Tables as text: CSV for machines, Markdown and LaTeX for people; the same bytes for the same numbers."""

import io
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from avpretext import escapes, shards
from avpretext.shards import PathLike

Row = Mapping[str, Any]

WIDEST = 100
"""Letters in a line of a printed document: a terminal shows it without breaks."""

PREAMBLE = r"\usepackage{booktabs}"
"""What a document needs to take up a table of `latex`."""


def decimal(value: float | None, places: int = 4, sign: bool = False) -> str:
    """Write a number with fixed decimals; nothing where there is no number, and no minus before zero.

    >>> decimal(0.61239), decimal(-0.00001), decimal(None), decimal(0.05, 3, sign=True)
    ('0.6124', '0.0000', '', '+0.050')
    """
    if value is None or math.isnan(value):
        return ""
    text = f"{value:.{places}f}"
    if float(text) == 0:
        return text.lstrip("-")
    return f"+{text}" if sign and value > 0 else text


def probability(value: float | None) -> str:
    """Write a p-value as people print it.

    >>> probability(0.0316), probability(0.0004)
    ('0.032', '<0.001')
    """
    return "<0.001" if value is not None and value < 0.001 else decimal(value, 3)


def write_csv(path: PathLike, columns: Sequence[str], rows: Sequence[Row], places: int = 4) -> None:
    """Write rows as CSV: floats with fixed decimals, true as 1, missing as empty."""
    text = io.StringIO()
    escapes.write_cells(text, columns)
    for row in rows:
        escapes.write_cells(text, [_cell(row.get(column), places) for column in columns])
    write_text(path, text.getvalue())


def write_text(path: PathLike, text: str) -> None:
    """Write a text file in one step, so that it is there whole or not at all."""
    with shards.atomic_path(path) as temporary:
        # A lone surrogate stands for a byte of a file name that is not UTF-8; it is shown, not lost.
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def _cell(value: Any, places: int) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return decimal(value, places) if isinstance(value, float) else str(value)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> str:
    """Return a Markdown table, aligned in the source too; columns from number `numbers` on are set to the right.

    >>> print(markdown(["name", "F1"], [["a|b", "0.5"]], numbers=1), end="")
    | name |  F1 |
    | :--- | --: |
    | a\\|b | 0.5 |
    """
    lines = [[escapes.markdown(cell) for cell in line] for line in (header, *rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(header))]
    rule = [
        ":" + "-" * (width - 1) if column < numbers else "-" * (width - 1) + ":" for column, width in enumerate(widths)
    ]
    padded = [
        [cell.ljust(width) if column < numbers else cell.rjust(width)
         for column, (cell, width) in enumerate(zip(line, widths, strict=True))]
        for line in lines
    ]  # fmt: skip
    return "".join(f"| {' | '.join(line)} |\n" for line in (padded[0], rule, *padded[1:]))


def latex(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: int, caption: str, label: str) -> str:
    """Return a LaTeX table in the style of the package booktabs, as wide as a page that has two columns.

    Its columns are set below each other where they would be wider.
    """
    pieces = [_tabular(piece) for piece in Table(header, rows, numbers, label).pieces()]
    return (
        "\\begin{table*}\n\\centering\n\\footnotesize\n"
        f"\\caption{{{escapes.latex(caption)}}}\n\\label{{tab:{re.sub('[^A-Za-z0-9-]', '-', label)}}}\n"
        + "\\par\\medskip\n".join(pieces)
        + "\\end{table*}\n"
    )


def _tabular(table: "Table") -> str:
    columns = "l" * table.names + "r" * (len(table.header) - table.names)
    top, *body = [" & ".join(map(escapes.latex, row)) + " \\\\\n" for row in (table.header, *table.rows)]
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{top}\\midrule\n{''.join(body)}\\bottomrule\n\\end{{tabular}}\n"
    )


_BULLET = re.compile(r" (?=([-+*#>|]|\d+[.)]) )")
"""A space before what Markdown takes for a list, a heading or a quotation at the beginning of a line."""


def wrapped(text: str, indent: str = "") -> str:
    """Return a paragraph of Markdown in lines of at most `WIDEST` letters, `indent` before all but the first.

    >>> wrapped("x" * 97 + " + 1").splitlines()[1]
    '1'
    """
    held = _BULLET.sub("\0", text)
    lines = textwrap.wrap(held, WIDEST, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")


def listed(sentences: Sequence[str]) -> str:
    """Return sentences as a list of Markdown."""
    return "\n".join(wrapped(f"- {sentence}", "  ") for sentence in sentences) + "\n"


@dataclass(frozen=True)
class Table:
    """A table of cells, its first `names` columns names and the others numbers.

    `label` is of LaTeX, `intro` a sentence before it in Markdown, `said` what its caption in LaTeX says after that of
    the section.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: int
    label: str
    intro: str = ""
    said: str = ""

    def pieces(self) -> list["Table"]:
        """Return the table as several with the same names, none wider than `WIDEST` as Markdown where that can be."""
        widths = [max(3, *map(len, column)) + 3 for column in zip(self.header, *self.rows, strict=True)]
        groups: list[list[int]] = [[]]
        for column in range(self.names, len(self.header)):
            taken = sum(widths[: self.names]) + sum(widths[one] for one in groups[-1]) + 1
            if groups[-1] and taken + widths[column] > WIDEST:
                groups.append([])
            groups[-1].append(column)
        return [self._of([*range(self.names), *group]) for group in groups]

    def _of(self, columns: Sequence[int]) -> "Table":
        header, *rows = ([line[column] for column in columns] for line in (self.header, *self.rows))
        return replace(self, header=header, rows=rows)


@dataclass(frozen=True)
class Section:
    """What is printed of one setting: sentences above its tables, and notes below them."""

    heading: str
    caption: str
    headline: Sequence[str]
    tables: Sequence[Table]
    notes: Sequence[str]

    def markdown(self) -> str:
        """Return the section as Markdown."""
        parts = [f"## {self.heading}\n\n{wrapped(self.caption)}\n", "\n".join(map(wrapped, self.headline)) + "\n"]
        for table in self.tables:
            parts += [f"{wrapped(table.intro)}\n"] if table.intro else []
            parts += [markdown(piece.header, piece.rows, piece.names) for piece in table.pieces()]
        return "\n".join([*parts, *([listed(self.notes)] if self.notes else [])])

    def latex(self) -> str:
        """Return the tables as LaTeX, caption and notes with each."""
        said = [self.caption, *self.notes]
        return "\n".join(
            latex(table.header, table.rows, table.names, " ".join([*said, *filter(None, [table.said])]), table.label)
            for table in self.tables
        )


@dataclass(frozen=True)
class Document:
    """Printed tables: a title, sections, and what the reader of all of them must know."""

    title: str
    sections: Sequence[Section]
    notes: Sequence[str]

    def markdown(self) -> str:
        """Return the document as Markdown."""
        notes = f"## Notes\n\n{listed(self.notes)}" if self.sections else listed(self.notes)
        return "\n".join([f"# {self.title}\n", *(section.markdown() for section in self.sections), notes])

    def latex(self) -> str:
        """Return the tables as LaTeX, the notes as comments; the first line names the package that they need."""
        notes = "\n".join(f"% {note}" for note in self.notes) + "\n"
        return "\n".join([f"% In the preamble: {PREAMBLE}\n", *(section.latex() for section in self.sections), notes])
