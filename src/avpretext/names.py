"""Names of people, labels, clips and files: in one Unicode form, and which of them are alike."""

import os
import re
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from avpretext.errors import raise_fault

_NO_WIDTH = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
EDGES = "".join(chr(code) for code in range(0x3001) if chr(code).isspace()) + _NO_WIDTH
"""What is stripped from both ends of a cell: white space of any kind, and letters without width."""

_NUMBER = re.compile(r"0*(\d+)(\.0+)?")


def nfc(text: str) -> str:
    """Return a text in Unicode's composed form, NFC: names of files from a Mac come decomposed.

    >>> len("Jo\u0308rg"), len(nfc("Jo\u0308rg"))
    (5, 4)
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def key(name: str) -> str:
    """Return what is equal for names that differ only in case, white space, invisible letters or Unicode form.

    Numbers that differ only in zeros around them are equal too: `1.0` and `01` are what programs make of 1.

    >>> key(" Bob\u00a0 Lee"), key("\uff22ob lee"), key("1.0"), key("01")
    ('boblee', 'boblee', '1', '1')
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    seen = "".join(letter for letter in folded if not letter.isspace() and unicodedata.category(letter)[0] != "C")
    number = _NUMBER.fullmatch(seen)
    return number[1] if number else seen


def alike(names: Iterable[str | None]) -> list[tuple[str, ...]]:
    """Return the groups of different names that have the same `key`, sorted.

    >>> alike(["Bob", "eve", "bob", "Bob"])
    [('Bob', 'bob')]
    """
    groups = defaultdict(set)
    for name in set(names) - {None}:
        groups[key(str(name))].add(str(name))
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def quoted(groups: Iterable[tuple[str, ...]], most: int = 3) -> str:
    """Return groups of names for a message, letters that cannot be seen spelt out.

    >>> quoted([("Bob", "bob"), ("Eve", "Eve\u200b")])
    "'Bob' and 'bob'; 'Eve' and 'Eve\\\\u200b'"
    """
    found = list(groups)
    words = "; ".join(" and ".join(map(repr, group)) for group in found[:most])
    return words + (f"; {len(found) - most} more" if len(found) > most else "")


def on_disk(root: Path, path: str) -> str | None:
    """Return the path of a file below a folder as the disk spells it, whatever its Unicode form; None for no file.

    `path` is relative to the folder, posix, composed.
    """
    if _is_file(root / path):
        return path
    spelt: list[str] = []
    for part in path.split("/"):
        if not os.path.lexists(root / "/".join([*spelt, part])):
            part = next((name for name in _listed(root / "/".join(spelt)) if nfc(name) == part), part)
        spelt.append(part)
    found = "/".join(spelt)
    return found if _is_file(root / found) else None


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError as error:
        raise_fault(error, path)
    except ValueError:  # a name with bytes that are 0
        pass
    return False


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise_fault(error, folder)
        return []
