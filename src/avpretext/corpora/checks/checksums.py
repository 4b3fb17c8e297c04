"""Files of a corpus against the sizes and SHA-256 that are published of them: a damaged or re-encoded copy is told.

A list is a Parquet file beside the readers: `name` without extension and, for each kind, `EXT_bytes` and `EXT_sha256`,
the first 32 bits of the SHA-256, so that one damaged file of four thousand million passes.
"""

import functools
import hashlib
import io
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import polars as pl

from avpretext.corpora.findings import Finding, counted
from avpretext.corpora.reader import extension

_BLOCK = 1 << 20
_MIDDLE = 4096


@dataclass(frozen=True)
class Checked:
    """The files that have a published checksum, and what differs of those that are other than published, by path."""

    known: frozenset[str]
    altered: Mapping[str, str]

    @property
    def same(self) -> frozenset[str]:
        """Return the files that are as published."""
        return self.known - self.altered.keys()


@functools.cache
def published(name: str) -> Mapping[str, tuple[int, int]]:
    """Return a list: file name to size in bytes and the first 32 bits of its SHA-256."""
    table = pl.read_parquet(io.BytesIO(files("avpretext.corpora.checks").joinpath(name).read_bytes()))
    kinds = [column.removesuffix("_bytes") for column in table.columns if column.endswith("_bytes")]
    return {
        f"{stem}.{kind}": (size, digest)
        for kind in kinds
        for stem, size, digest in table.select("name", f"{kind}_bytes", f"{kind}_sha256").iter_rows()
    }


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as opened:
        digest = hashlib.sha256()
        while block := opened.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def check(root: Path, paths: Iterable[str], known: Mapping[str, tuple[int, int]]) -> Checked:
    """Compare files below a folder with those that are known by name; those that cannot be read are left out."""
    compared, altered = set(), {}
    for path in paths:
        expected = known.get(path.rpartition("/")[2])
        if expected is None:
            continue
        try:
            what = _difference(root / path, *expected)
        except OSError:
            continue
        compared.add(path)
        if what:
            altered[path] = what
    return Checked(frozenset(compared), altered)


def equal_files(root: Path, sizes: Mapping[str, int]) -> list[list[str]]:
    """Return groups of files that are equal, byte by byte.

    Of files of equal size a block in the middle is read, and those whose blocks are equal are read whole. `sizes` has
    the size of each file, by its path below the folder.
    """
    groups = _groups([[*sizes]], sizes.__getitem__)
    groups = _groups(groups, lambda path: _middle(root / path, sizes[path]))
    return sorted(map(sorted, _groups(groups, lambda path: sha256(root / path))))


def _groups(groups: Iterable[Sequence[str]], key: Callable[[str], Hashable]) -> list[list[str]]:
    """Return the groups parted by a key of their files; files alone, and those that cannot be read, are left out."""
    found = []
    for paths in groups:
        parted: dict[Hashable, list[str]] = defaultdict(list)
        for path in paths:
            with suppress(OSError):
                parted[key(path)].append(path)
        found += [some for some in parted.values() if len(some) > 1]
    return found


def _middle(file: Path, size: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(size // 2)
        return opened.read(_MIDDLE)


def of_equal_files(
    groups: Iterable[Sequence[str]], label_of: Mapping[str, str | None], published: frozenset[str]
) -> list[Finding]:
    """Return that files are equal, and whether their labels differ, so that at most one of them can be right.

    That is wrong, unless the files are as published: then every copy of the corpus has them.
    """
    apart: dict[bool, list[str]] = {True: [], False: []}
    wrong = False
    for paths in groups:
        labels = [label_of.get(path) for path in paths]
        differ = len(set(labels) - {None}) > 1
        told = [f"{path} ({label})" if differ else path for path, label in zip(paths, labels, strict=True)]
        apart[differ].append(" = ".join(told))
        wrong |= differ and not published.issuperset(paths)
    same = "groups of files are equal, byte by byte"
    return [
        *counted("contradictions", f"{same}, and have different labels", apart[True], wrong),
        *counted("equal_files", same, apart[False]),
    ]


def _difference(file: Path, size: int, digest: int) -> str:
    found = file.stat().st_size
    if found != size:
        return f"{found:,} bytes, published {size:,}"
    return "" if int(sha256(file)[:8], 16) == digest else "other bytes"


def findings(found: Checked) -> list[Finding]:
    """Return that files are not as published: wrong where some of a kind are, as damaged ones; else re-encoded."""
    told = []
    for kind in sorted({extension(path) for path in found.altered}):
        altered = [f"{path} ({what})" for path, what in found.altered.items() if extension(path) == kind]
        every = sum(extension(path) == kind for path in found.known)
        if len(altered) == every:
            meaning = (
                f"{kind} files are not the published ones, byte by byte: all that were compared, a re-encoded copy"
            )
        else:
            meaning = f"{kind} files of {every:,} are not the published ones, byte by byte, and others are: damaged"
        told += counted("altered", meaning, altered, wrong=len(altered) < every)
    return told
