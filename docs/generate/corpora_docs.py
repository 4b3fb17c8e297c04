"""Writes the table of readers in docs/corpora.md; run: python docs/generate/corpora_docs.py docs/corpora.md"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from marked import replaced

from avpretext.config import CorpusOptions
from avpretext.corpora import READERS, Reader
from avpretext.corpora.reader import Published
from avpretext.corpora.readers import ANY_CORPUS

UNKNOWN = "?"


def table() -> str:
    """Return the table: a row for each reader of a published corpus."""
    lines = ["| reader | language | clips | hours | speakers | targets | parts | a file | seen |", "|" + "---|" * 9]
    return "\n".join([*lines, *(row(name, reader) for name, reader in READERS.items() if name not in ANY_CORPUS), ""])


def row(name: str, reader: Reader) -> str:
    """Return the row of a reader."""
    known = reader.published
    assert known is not None
    targets = ", ".join(reader.sources(CorpusOptions(path=".", reader=name, use=["finetune"]))) or "none"
    numbers = numbers_of(known, reader.parts)
    cells = [f"[`{name}`]({known.url})", known.language, *numbers, targets, ", ".join(reader.parts)]
    return f"| {' | '.join([*cells, f'`{known.example}`', known.seen])} |".replace("|  |", "| |")


def numbers_of(known: Published, parts: Sequence[str]) -> list[str]:
    """Return clips, hours and speakers of all parts together; see `whole`."""
    return [whole(known.clips, parts), whole(known.hours, parts), whole(known.speakers, parts, shared=True)]


def whole(of_part: Mapping[str, float], parts: Sequence[str] = (), shared: bool = False) -> str:
    """Return the number of all parts, with the names of its parts where it is not published of all.

    Parts that share what is counted have the largest.

    >>> whole({"speech": 1440, "song": 1012}, ["speech", "song"]), whole({"speech": 1.48}, ["speech", "song"])
    ('2,452', '1.48 (speech)')
    >>> whole({"all": 0.51}), whole({}), whole({"a": 24, "b": 23}, ["a", "b"], shared=True)
    ('0.51', '?', '24')
    """
    if not of_part:
        return UNKNOWN
    together = max(of_part.values()) if shared else sum(of_part.values())
    number = of_part.get("all", together)
    text = f"{number:,}" if isinstance(number, int) else f"{number:.4g}"
    return text if "all" in of_part or set(parts) <= of_part.keys() else f"{text} ({', '.join(of_part)})"


def document(page: Path) -> str:
    """Return the page with its table as the readers have it."""
    return replaced(page.read_text("utf-8"), {"readers": table()})


if __name__ == "__main__":
    place = Path(sys.argv[1])
    text = document(place)
    place.write_text(text, "utf-8")
