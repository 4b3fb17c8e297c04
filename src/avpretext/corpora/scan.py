"""Which files of a corpus count, found quickly and in a fixed order; and a fingerprint of each shard's files."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avpretext.config import CorpusOptions
from avpretext.corpora import crema_d, folder, grid, ravdess
from avpretext.corpora.reader import Clip, Reader, is_media, without_extension
from avpretext.errors import UserError, nearest
from avpretext.paths import shard_of

READERS: Mapping[str, Reader] = {
    "crema_d": crema_d.READER,
    "ravdess": ravdess.READER,
    "grid": grid.READER,
    "folder": folder.READER,
}
"""The corpora by the names that the config uses."""


@dataclass(frozen=True, slots=True)
class ClipFile:
    """A media file that counts as a clip.

    Attributes
    ----------
    path
        Relative to the corpus folder, posix.
    clip_id
        As the reader names it; for names that it refuses, the path without extension.
    clip
        What the name says, None where the reader refuses it.
    size_bytes, mtime_ns
        As the file system has them; -1 for what cannot be read as a file (a broken link, a pipe).
    """

    path: str
    clip_id: str
    clip: Clip | None
    size_bytes: int
    mtime_ns: int


def reader_of(options: CorpusOptions) -> Reader:
    """Return the reader that the config names, and check the label target with it."""
    if options.reader not in READERS:
        raise UserError(
            f"reader: {options.reader!r}; expected one of {', '.join(READERS)}{nearest(options.reader, READERS)}"
        )
    reader = READERS[options.reader]
    if options.target is not None and options.target not in reader.targets:
        known = f"one of {', '.join(reader.targets)}" if reader.targets else "null: the corpus has no labels"
        raise UserError(
            f"target: {options.target!r} of the reader {options.reader!r}; expected {known}"
            f"{nearest(options.target, reader.targets)}"
        )
    return reader


def target_of(options: CorpusOptions) -> str | None:
    """Return the name of the label that is learnt: the one chosen, or the corpus's default, or None without labels."""
    targets = reader_of(options).targets
    return options.target or (targets[0] if targets else None)


def annotations(options: CorpusOptions) -> list[str]:
    """Return the paths of the files, beside the clips, that the labels are read from: inputs of `index`."""
    reader = reader_of(options)
    if options.target is None or options.target == reader.targets[0]:
        return []
    return [str(Path(options.path) / name) for name in reader.annotations]


def scan(options: CorpusOptions, shard: int | None = None) -> list[ClipFile]:
    """Find the clips of a corpus, sorted by path.

    Hidden files and folders are left out; links to folders are followed, each folder is visited once.

    Parameters
    ----------
    options
        Where the corpus lies and how it is read.
    shard
        Only the clips of this shard, for a quick look; all by default.

    Raises
    ------
    UserError
        The folder is missing, or holds no clips; the message says what it holds instead.
    """
    reader = reader_of(options)
    root = Path(options.path)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; a corpus is expected there{_fix(root, 'correct corpora.NAME.path')}")
    entries = dict(_walk(root))
    selected = sorted(reader.select(entries, options.video))
    if not selected:
        raise UserError(f"{root}: {_what_is_missing(entries, options)}")
    named = [(path, reader.read(path)) for path in selected]
    named = [(path, clip) for path, clip in named if _wanted(clip, options.speakers)]
    if not named:
        speakers = ", ".join(options.speakers or [])
        raise UserError(f"{root}: no clip is of the speakers {speakers}; correct corpora.NAME.speakers")
    files = ((path, clip, clip.clip_id if clip else without_extension(path)) for path, clip in named)
    return [
        ClipFile(path, clip_id, clip, *_size_and_mtime(entries[path]))
        for path, clip, clip_id in files
        if shard is None or shard_of(clip_id, options.shards) == shard
    ]


def fingerprints(files: Iterable[ClipFile], shards: int) -> list[str]:
    """Return one fingerprint per shard: it changes when a file of the shard comes, goes or changes, and only then.

    Two files of a shard may change places in the order of `files` without changing it.
    """
    lines: list[list[str]] = [[] for _ in range(shards)]
    for file in files:
        line = f"{file.path}\0{file.size_bytes}\0{file.mtime_ns}"
        lines[shard_of(file.clip_id, shards)].append(line)
    return [_digest(sorted(entries)) for entries in lines]


def fingerprint(files: Iterable[ClipFile], shard: int, shards: int) -> str:
    """Return the fingerprint of one shard; for all of them at once `fingerprints` is quicker."""
    return fingerprints(files, shards)[shard]


def _digest(lines: Sequence[str]) -> str:
    text = "\0\0".join(lines).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def _walk(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield (path relative to root, entry) of every file with a media extension, folders in sorted order."""
    visited = set()
    waiting = [("", str(root))]
    while waiting:
        prefix, place = waiting.pop()
        status = os.stat(place)
        # A folder is known by device and inode: a link back to a parent would otherwise never end.
        if (status.st_dev, status.st_ino) in visited:
            continue
        visited.add((status.st_dev, status.st_ino))
        folders = []
        for entry in _entries(place):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append((f"{prefix}{entry.name}/", entry.path))
            elif is_media(entry.name):
                yield prefix + entry.name, entry
        waiting.extend(sorted(folders, reverse=True))


def _entries(place: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            return list(entries)
    except OSError as error:
        raise UserError(
            f"{place}: the folder cannot be listed ({error.strerror}); mend its permissions or move it out of the"
            " corpus"
        ) from None


def _size_and_mtime(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        status = entry.stat()
    except OSError:
        return -1, -1
    if not stat.S_ISREG(status.st_mode):
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _wanted(clip: Clip | None, speakers: Sequence[str] | None) -> bool:
    return clip is None or speakers is None or clip.speaker in speakers


def _what_is_missing(entries: Mapping[str, object], options: CorpusOptions) -> str:
    """Say what an empty corpus holds, and what to do."""
    kind = "video" if options.video else "audio or video"
    if not entries:
        return f"no {kind} files there{_fix(Path(options.path), 'correct corpora.NAME.path')}"
    example = min(entries)
    found = f"none of its {len(entries)} media files (such as {example!r}) is a {kind} clip of {options.reader!r}"
    if options.video and not folder.READER.select(entries, True):
        return f"{found}; they are audio: set corpora.NAME.video to false"
    return f"{found}; correct corpora.NAME.path or corpora.NAME.reader"


def _fix(root: Path, otherwise: str) -> str:
    if root.parts[-2:] == ("data", "demo") or root.parts[-3:-1] == ("data", "demo"):
        return ": run `avpretext demo data/demo`"
    return f": {otherwise}"
