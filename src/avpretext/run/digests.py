"""Small files that the user brings, known by their content: labels, partitions, maps, transcripts, lists, imports.

A corrected table may have an older time than the one before (unzip, rsync -a, cp -p), and a copied folder other times
for the same content: so times are not compared. A file that is too large to be read at each start goes by its size, its
beginning and end, and its time. What was read is kept, so that the next start reads only what has changed since: the
system notes each change of a file (`st_ctime_ns`), whatever time the file is given.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

FILE_LIMIT = 64 << 20
"""Bytes of a file that is read whole."""

FOLDER_LIMIT = 256 << 20
"""Bytes of the files of a folder that are read; of a larger one, names, sizes and times count."""

_END = 1 << 16


class Content(NamedTuple):
    """Digests of a file or folder: of its content, and of times where the content was not read; else empty."""

    digest: str
    times: str = ""


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; an empty one where there is none."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class Known:
    """What was read of files, by name and status: of artefacts their recipes, of other files their digests.

    The file `path` keeps it from one start to the next.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = read_object(path)
        self._now: dict[str, list[object]] = {}

    def get(self, path: str, name: str) -> list[object] | None:
        """Return what was kept of a file under a name, if the file is still the same."""
        kept = self._now.get(name) or self._before.get(name)
        if kept is None or kept[0] != _status(path):
            return None
        self._now[name] = kept
        return list(kept[1:])

    def put(self, path: str, name: str, *values: object) -> None:
        """Keep values of a file under a name."""
        self._now[name] = [_status(path), *values]

    def save(self) -> None:
        """Write what was read of the files of this start, if it is not what was kept; a read-only folder is none."""
        kept = {**self._before, **self._now}
        if kept == self._before:
            return
        aside = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(exist_ok=True)
            aside.write_text(json.dumps(kept), "utf-8")
            aside.replace(self._path)
        except OSError:
            return


def _status(path: str) -> str:
    found = os.stat(path)
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"


def of(path: str, known: Known | None = None, only: Sequence[str] = ()) -> Content:
    """Return the digests of a file, or of the files below a folder; those of nothing for a missing one.

    `known` is what was read before; `only` are extensions of the files of a folder that count, in small letters, all by
    default. Hidden files never do.
    """
    if os.path.isdir(path):
        return _of_folder(Path(path), known, only)
    return _of_file(path, known) if os.path.isfile(path) else Content("missing")


def _of_file(path: str, known: Known | None) -> Content:
    place = os.path.abspath(path)
    found = known.get(place, place) if known else None
    if found is None:
        found = list(_read(place))
        if known:
            known.put(place, place, *found)
    return Content(str(found[0]), str(found[1]))


def _read(path: str) -> Content:
    size, digest = os.path.getsize(path), hashlib.sha256()
    with open(path, "rb") as file:
        if size <= FILE_LIMIT:
            return Content(hashlib.file_digest(file, "sha256").hexdigest()[:32])
        digest.update(file.read(_END))
        file.seek(-_END, os.SEEK_END)
        digest.update(file.read(_END))
    return Content(f"{digest.hexdigest()[:32]}-{size}", str(os.stat(path).st_mtime_ns))


def _of_folder(folder: Path, known: Known | None, only: Sequence[str]) -> Content:
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.startswith(".") and (not only or file.suffix.lower() in only)
    ]
    names = [file.relative_to(folder).as_posix() for file in files]
    sizes = [file.stat().st_size for file in files]
    if sum(sizes) > FOLDER_LIMIT:
        times = [file.stat().st_mtime_ns for file in files]
        return Content(joined(zip(names, sizes, strict=True)), joined(zip(names, times, strict=True)))
    found = [_of_file(str(file), known) for file in files]
    times_of = [content.times for content in found]
    digest = joined(zip(names, [content.digest for content in found], strict=True))
    return Content(digest, joined(zip(names, times_of, strict=True)) if any(times_of) else "")


def joined(parts: Iterable[object]) -> str:
    """Return one digest of many values, in their order."""
    return hashlib.sha256(repr(list(parts)).encode("utf-8", "surrogateescape")).hexdigest()[:32]
