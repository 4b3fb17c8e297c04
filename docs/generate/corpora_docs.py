"""Writes the table of readers in docs/corpora.md; run: python docs/generate/corpora_docs.py docs/corpora.md"""

import sys
from collections.abc import Mapping
from pathlib import Path

from marked import replaced

from avpretext.config import CorpusOptions
from avpretext.corpora import READERS, Reader
from avpretext.corpora.reader import Published

UNKNOWN = "?"
TABLES = ("folder", "emobox", "audformat")
"""Readers whose sources come from the corpus."""


def table() -> str:
    """Return the table: a row for each reader of a published corpus."""
    lines = ["| reader | language | clips | hours | speakers | targets | parts | a file | seen |", "|" + "---|" * 9]
    return "\n".join([*lines, *(row(name, reader) for name, reader in READERS.items() if name not in TABLES), ""])


def row(name: str, reader: Reader) -> str:
    """Return the row of a reader."""
    known = reader.published
    assert known is not None
    targets = ", ".join(reader.sources(CorpusOptions(path=".", reader=name, use=["finetune"]))) or "none"
    cells = [f"[`{name}`]({known.url})", known.language, *numbers(known), targets, ", ".join(reader.parts)]
    return f"| {' | '.join([*cells, f'`{known.example}`', known.seen])} |".replace("|  |", "| |")


def numbers(known: Published) -> list[str]:
    """Return clips, hours and speakers, of all parts together where it is published of all."""
    return [whole(known.clips), whole(known.hours), whole(known.speakers, shared=True)]


def whole(of_part: Mapping[str, float], shared: bool = False) -> str:
    """Return the number of all parts; parts that share what is counted have the largest.

    >>> whole({"speech": 1440, "song": 1012}), whole({"all": 0.51}), whole({}), whole({"a": 24, "b": 23}, shared=True)
    ('2,452', '0.51', '?', '24')
    """
    if not of_part:
        return UNKNOWN
    together = max(of_part.values()) if shared else sum(of_part.values())
    number = of_part.get("all", together)
    return f"{number:,}" if isinstance(number, int) else f"{number:.4g}"


def document(page: Path) -> str:
    """Return the page with its table as the readers have it."""
    return replaced(page.read_text("utf-8"), {"readers": table()})


if __name__ == "__main__":
    place = Path(sys.argv[1])
    text = document(place)
    place.write_text(text, "utf-8")
