"""Pages that are partly generated: tables between marks."""

from collections.abc import Mapping


def marks(name: str) -> tuple[str, str]:
    """Return the lines between which a table stands in the document."""
    return f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"


def replaced(document: str, tables: Mapping[str, str]) -> str:
    """Return the document with these tables between their marks, as far as it has them."""
    for name, table in tables.items():
        begin, end = marks(name)
        if begin not in document:
            continue
        before, _, rest = document.partition(begin)
        _, _, after = rest.partition(end)
        document = f"{before}{begin}{table}{end}{after}"
    return document
