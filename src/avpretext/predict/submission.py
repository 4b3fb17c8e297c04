"""Predictions as the file that the challenges on MSP-Podcast take for their hidden test set, `Test3`.

Attributes: `FileName,EmoAct,EmoVal,EmoDom`, each within 1 to 7, as the baseline of Odyssey 2024 writes it
(github.com/msplabresearch/MSP-Podcast_Challenge, eval_dim_ser_test3.py: CSV with lines that end in CR LF). Categories:
`FileName,EmoClass`, a letter; the baseline has no such file, that of several participants is the source.
"""

import os
from collections import Counter
from collections.abc import Sequence
from typing import IO

from avpretext import escapes
from avpretext.corpora.reader import stem
from avpretext.corpora.readers import msp
from avpretext.corpora.settings import Kind
from avpretext.errors import UserError
from avpretext.predict.output import PLACES, Writer, printable
from avpretext.predict.result import Prediction, Refused

LETTERS = {word: letter for letter, word in msp.LETTERS.items() if word}
"""The letter of each emotion."""

_NAME = "FileName"


class SubmissionWriter(Writer):
    """A row for each file, in the order of the files; files that are refused have none, and are told of at the end.

    Raises
    ------
    UserError
        The model predicts neither the three attributes nor emotions of MSP-Podcast.
    """

    def __init__(self, stream: IO[str], kind: Kind, names: Sequence[str]) -> None:
        super().__init__(stream, kind, names)
        self._numbers = kind == "attributes" and set(names) == set(msp.ATTRIBUTES)
        if not self._numbers and not (kind in ("hard", "distribution") and set(names) <= set(LETTERS)):
            raise UserError(
                f"--format submission: the model predicts {', '.join(names)} (kind {kind}); a submission needs the"
                f" attributes {', '.join(msp.ATTRIBUTES)} together, or one of the emotions {', '.join(LETTERS)}"
            )
        self._refused: list[Refused] = []
        self._rows = self._clipped = 0

    def begin(self, files: Sequence[str]) -> None:
        """Write the header; two files of one name are an error."""
        name, count = Counter(map(_wav, files)).most_common(1)[0]
        if count > 1:
            one, other = [printable(file) for file in files if _wav(file) == name][:2]
            raise UserError(
                f"--format submission: {count} files are named {name!r}, such as {one} and {other}; name each file of"
                " the test set once"
            )
        header = [_NAME, *(msp.ATTRIBUTES.values() if self._numbers else ["EmoClass"])]
        escapes.write_cells(self.stream, header, "\r\n")

    def write(self, said: Prediction | Refused) -> None:
        """Write the row of a file."""
        if isinstance(said, Refused):
            self._refused.append(said)
            return
        self._rows += 1
        values = self._values(said) if self._numbers else [LETTERS[said.label or ""]]
        escapes.write_cells(self.stream, [_wav(said.source), *values], "\r\n")

    def _values(self, said: Prediction) -> list[str]:
        """Return the values within `msp.RANGE`, in the order of the header."""
        low, high = msp.RANGE
        by_name = said.by_name()
        self._clipped += sum(not low <= value <= high for value in by_name.values())
        return [f"{min(max(by_name[name], low), high):.{PLACES}f}" for name in msp.ATTRIBUTES]

    def told(self) -> list[str]:
        """Return which files have no row, and how many values were clipped."""
        low, high = msp.RANGE
        lost = [f"{printable(one.source)}: {one.reason} {printable(one.detail)}".rstrip() for one in self._refused]
        said = [f"no row for {text}" for text in lost]
        if self._clipped:
            said.append(f"{self._clipped} of {self._rows * len(self.names)} values were clipped to {low:g} to {high:g}")
        return said


def _wav(file: str) -> str:
    """Return the name of a file in the corpus, which has WAV files alone.

    >>> _wav("test3/MSP-PODCAST_test3_0001.flac")
    'MSP-PODCAST_test3_0001.wav'
    """
    return f"{stem(os.path.basename(printable(file)))}.wav"
