"""Predictions as people and programs read them, written row by row: a table, CSV, JSON."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import IO, Any, Literal

from avpretext import escapes
from avpretext.corpora.settings import NUMBERS, Kind
from avpretext.predict.result import Prediction, Refused

Format = Literal["table", "json", "jsonl", "csv", "submission"]
"""`submission`: see `predict.submission`; the name of a file never asks for it."""
PLACES = 4
"""Decimals of probabilities: more would be noise."""


class Writer(ABC):
    """Writes rows to a stream as they come."""

    def __init__(self, stream: IO[str], kind: Kind, names: Sequence[str]) -> None:
        self.stream, self.kind, self.names = stream, kind, list(names)

    @abstractmethod
    def begin(self, files: Sequence[str]) -> None:
        """Write what comes first."""

    @abstractmethod
    def write(self, said: Prediction | Refused) -> None:
        """Write what is said of a file, or of some windows of it."""

    def end(self) -> None:
        """Write what comes last."""
        self.stream.flush()

    def told(self) -> list[str]:
        """Return what must be known of the rows beside them, when all are written."""
        return []

    def as_object(self, row: dict[str, Any]) -> str:
        """Return a row as a JSON object on one line."""
        if not self.in_words:
            row.pop("predicted", None)
        return json.dumps(_rounded(row), ensure_ascii=False, allow_nan=False)

    @property
    def in_words(self) -> bool:
        """Whether there is a prediction in words: attributes have none."""
        return self.kind not in NUMBERS


class CsvWriter(Writer):
    """A row for each clip or window: file, start_s, end_s, speech, predicted, a column per class, reason, detail."""

    def begin(self, files: Sequence[str]) -> None:
        """Write the header."""
        words = ["predicted"] if self.in_words else []
        escapes.write_cells(
            self.stream, ["file", "start_s", "end_s", "speech", *words, *self.names, "reason", "detail"]
        )

    def write(self, said: Prediction | Refused) -> None:
        """Write the rows."""
        for row in said.rows():
            if isinstance(said, Refused):
                empty = [""] * (3 + self.in_words + len(self.names))
                escapes.write_cells(
                    self.stream, [printable(row["file"]), *empty, row["reason"], printable(row["detail"])]
                )
                continue
            words = [row["predicted"]] if self.in_words else []
            values = ["" if value is None else f"{value:.{PLACES}f}" for value in row["probabilities"].values()]
            times = [f"{row[name]:.2f}" for name in ("start_s", "end_s", "speech")]
            escapes.write_cells(self.stream, [printable(row["file"]), *times, *words, *values, "", ""])


class JsonWriter(Writer):
    """One JSON array with an object for each clip or window, each on a line of its own."""

    def begin(self, files: Sequence[str]) -> None:
        """Open the array."""
        self._rows = 0
        self.stream.write("[")

    def write(self, said: Prediction | Refused) -> None:
        """Write the objects."""
        for row in said.rows():
            self.stream.write((",\n " if self._rows else "\n ") + self.as_object(row))
            self._rows += 1

    def end(self) -> None:
        """Close the array."""
        self.stream.write("\n]\n")
        super().end()


class JsonLinesWriter(Writer):
    """The objects of `JsonWriter`, one a line, without an array around them."""

    def begin(self, files: Sequence[str]) -> None:
        """Write nothing: there is no header."""

    def write(self, said: Prediction | Refused) -> None:
        """Write the objects."""
        for row in said.rows():
            self.stream.write(self.as_object(row) + "\n")


class TableWriter(Writer):
    """Columns for the eye; of a file that nothing can be said of, why."""

    def begin(self, files: Sequence[str]) -> None:
        """Write the header; columns are as wide as the files' names ask for, up to 40 letters."""
        self._name_width = max([4, *(len(_short(file)) for file in files)])
        # Of several labels as many may be predicted as there are.
        longest = "+".join(self.names) if self.kind == "multi_label" else max(self.names, key=len)
        self._word_width = max(9, min(len(longest), 24)) if self.in_words else 0
        self._widths = [max(len(name), 5) for name in self.names]
        words = [f"{'predicted':<{self._word_width}}"] if self.in_words else []
        names = [f"{name:>{width}}" for name, width in zip(self.names, self._widths, strict=True)]
        self._line([f"{'file':<{self._name_width}}", f"{'from':>8}", f"{'to':>8}", "speech", *words, *names])

    def write(self, said: Prediction | Refused) -> None:
        """Write the rows."""
        for row in said.rows():
            name = f"{_short(row['file']):<{self._name_width}}"
            if isinstance(said, Refused):
                self._line([name, f"{row['reason']}{': ' if row['detail'] else ''}{printable(row['detail'])}"])
                continue
            word = "no speech" if row["predicted"] is None else row["predicted"] or "-"
            words = [f"{word:<{self._word_width}}"] if self.in_words else []
            places = 2 if self.in_words else 3
            values = row["probabilities"].values()
            cells = [
                "-".rjust(width) if value is None else f"{value:>{width}.{places}f}"
                for value, width in zip(values, self._widths, strict=True)
            ]
            times = [f"{row['start_s']:>8.2f}", f"{row['end_s']:>8.2f}", f"{row['speech']:>6.2f}"]
            self._line([name, *times, *words, *cells])

    def _line(self, cells: Sequence[str]) -> None:
        self.stream.write("  ".join(cells).rstrip() + "\n")


WRITERS: dict[Format, type[Writer]] = {
    "table": TableWriter, "json": JsonWriter, "jsonl": JsonLinesWriter, "csv": CsvWriter,
}  # fmt: skip


def format_of(output: os.PathLike[str] | str | None) -> Format:
    """Return the format that the name of a file to write asks for.

    >>> format_of("a.csv"), format_of("a.JSON"), format_of(None)
    ('csv', 'json', 'table')
    """
    kinds: dict[str, Format] = {".csv": "csv", ".json": "json", ".jsonl": "jsonl"}
    return kinds.get(os.path.splitext(output)[1].lower(), "table") if output is not None else "table"


def printable(text: str) -> str:
    """Return text that UTF-8 can hold, on one line."""
    return escapes.line(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _short(file: str) -> str:
    """Return the name of a file without its folder, at most 40 letters of it."""
    name = printable(os.path.basename(file) or file)
    return name if len(name) <= 40 else f"{name[:18]}...{name[-19:]}"


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with numbers of as many decimals as mean something, and text that can be written."""
    said: dict[str, Any] = {key: printable(value) if isinstance(value, str) else value for key, value in row.items()}
    if "probabilities" in said:
        values = said["probabilities"].items()
        said["probabilities"] = {name: None if value is None else round(value, PLACES) for name, value in values}
        said |= {key: round(said[key], 2) for key in ("start_s", "end_s", "speech")}
    return said
