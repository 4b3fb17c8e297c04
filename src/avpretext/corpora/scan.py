"""Which files of a corpus count, found quickly and in a fixed order; and a fingerprint of each shard's files."""

import hashlib
import os
import re
import stat
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from avpretext.config import CorpusOptions
from avpretext.corpora.findings import Finding
from avpretext.corpora.reader import Clip, Entry, by_kind, extension, is_media, without_extension
from avpretext.corpora.readers import reader_of
from avpretext.errors import UserError, nearest, raise_fault
from avpretext.flow.paths import shard_of
from avpretext.media.extensions import SILENT_EXTENSIONS, in_words, is_document, is_media_elsewhere
from avpretext.names import nfc, on_disk
from avpretext.programs import command
from avpretext.refusal import UNREADABLE, Refusal, is_annexed, printable, refuse_path, status_of


class ClipFile(NamedTuple):
    """A clip and its file, or what is refused of a corpus.

    `path` is relative to the corpus folder, posix; `clip_id` is as the reader names it, or the path without extension
    of names that it refuses. Either `clip` or `refusal` is None. `size_bytes` and `mtime_ns` are -1 for what cannot be
    read as a file (a broken link, a pipe).
    """

    path: str
    clip_id: str
    clip: Clip | None
    refusal: Refusal | None
    size_bytes: int
    mtime_ns: int


_CORRECT = "correct the path (in a configuration: corpora.NAME.path)"


class MediaFiles(dict[str, bool]):
    """Media files by their path: whether each is a link, as far as it lies in the corpus's folder.

    `left_out` has the endings of others that are no documents, one for each.
    """

    left_out: list[str]


def media_files(options: CorpusOptions) -> MediaFiles:
    """Return the media files of a corpus, by their path relative to its folder; posix, in no fixed order.

    They are those below the folder, and, where `outside` allows it, what its table names elsewhere. Hidden files and
    folders are left out; links to folders are followed, each folder is visited once. A folder that is missing, or
    cannot be listed, is an error.
    """
    root = Path(options.path)
    check_one_folder(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; a corpus is expected there{_fix(root, _CORRECT)}")
    files = MediaFiles()
    files.left_out = []
    for name, entry in _walk(root):
        if is_media(name, silent=not options.audio):
            files[name] = entry.is_symlink()
        elif not is_document(ending := extension(name)):
            files.left_out.append(ending)
    for named in reader_of(options).elsewhere(options) if options.outside else []:
        if is_media(named, silent=not options.audio) and (path := on_disk(root, named)):
            files.setdefault(path, False)
    return files


def check_one_folder(place: Path, option: str = "") -> None:
    """Raise UserError where a file or a pattern such as `/data/x/*.wav` stands in place of the folder of a corpus.

    `option` stands before the folder in the message.
    """
    if place.is_dir():
        return
    depth = next((depth for depth, part in enumerate(place.parts) if re.search(r"[*?\[]", part)), None)
    if place.is_file() or depth is not None:
        folder = place.parent if depth is None else Path(*place.parts[:depth])
        raise UserError(f"{place}: a corpus is a folder, not files: name the folder, {option}{folder}")


def scan(options: CorpusOptions, shard: int | None = None, files: Mapping[str, bool] | None = None) -> list[ClipFile]:
    """Return the clips of a corpus, or of one shard, and what is refused of it: what `find` yields."""
    return list(find(options, shard, files))


def find(
    options: CorpusOptions, shard: int | None = None, files: Mapping[str, bool] | None = None
) -> Iterator[ClipFile]:
    """Yield the clips of a corpus, or of one shard, and what is refused of it, sorted by path and start.

    The first valid file keeps a clip_id. Files are not opened, but for those short enough to be Git LFS pointers:
    `split` finds what else is wrong with them. Readers see all names in composed Unicode, as tables have them; `path`
    stays as the disk spells it. `files` is what `media_files` found, where it is at hand. A folder that is missing, or
    holds no clips, is an error; the message names what it holds instead.
    """
    files = media_files(options) if files is None else files
    root, broken, taken = str(Path(options.path)), reader_of(options).broken, dict[str, str]()
    spelt = defaultdict(list)  # as the disk has names that are not in composed Unicode, maybe in both forms
    for path in files:
        if not path.isascii() and (name := nfc(path)) != path:
            spelt[name].append(path)
    for name, paths in spelt.items():
        spelt[name] = sorted([*paths, *([name] if name in files else [])])
    for entry in _entries_of(options, set(map(nfc, files)) if spelt else files):
        clip_id = printable(entry.clip.clip_id if entry.clip else without_extension(entry.path))
        if shard is None or shard_of(clip_id, options.shards) == shard:
            for path in spelt.get(entry.path, [entry.path]):
                place = path if path.startswith("/") else f"{root}/{path}"
                file = place if path in files else None
                yield _clip_file(entry, path, clip_id, file, broken, taken)


def _entries_of(options: CorpusOptions, files: Collection[str]) -> list[Entry]:
    """Return what the reader makes of the files, of the wanted speakers, in a fixed order."""
    entries = reader_of(options).entries(options, sorted(files))
    if not entries:
        raise UserError(f"{options.path}: {_what_is_missing(files, options)}")
    here = {entry.clip.speaker for entry in entries if entry.clip is not None} - {None}
    for speaker in options.speakers or []:
        if speaker not in here:
            fix = f"{nearest(speaker, map(str, here))}; correct corpora.NAME.speakers"
            raise UserError(f"{options.path}: no clip is of the speaker {speaker!r}{fix}")
    entries.sort(key=_place)
    if options.speakers is None:
        return entries
    return [entry for entry in entries if entry.clip is None or entry.clip.speaker in options.speakers]


def _place(entry: Entry) -> tuple[str, float, str]:
    clip = entry.clip
    return (entry.path, clip.start_s or 0.0, clip.clip_id) if clip else (entry.path, 0.0, "")


def _clip_file(
    entry: Entry, spelt: str, clip_id: str, file: str | None, broken: frozenset[str], taken: dict[str, str]
) -> ClipFile:
    """Return a clip with its file, `spelt` as the disk has it; `taken`, the files by their clip_ids, grows by it."""
    path, size_and_mtime = printable(spelt), _size_and_mtime(file)
    if path != spelt:
        refusal: Refusal | None = Refusal("unknown_name", "its name is not valid UTF-8: rename it")
    elif entry.refusal is not None:
        refusal = entry.refusal
    elif clip_id in broken:
        refusal = Refusal("known_broken")
    elif file is None or (size_and_mtime[0] < 0 and not is_annexed(file)):
        refusal = UNREADABLE
    else:
        refusal = refuse_path(file, size_and_mtime[0])
    if refusal is None and clip_id in taken:
        refusal = Refusal("duplicate_clip_id", f"as {taken[clip_id]}")
    elif refusal is None:
        taken[clip_id] = path
    return ClipFile(path, clip_id, None if refusal else entry.clip, refusal, *size_and_mtime)


def left_out(endings: Sequence[str], options: CorpusOptions) -> list[Finding]:
    """Return what must be known of files that are left out by their ending; wrong where it is one of media."""
    media = [ending for ending in endings if ending in SILENT_EXTENSIONS or is_media_elsewhere(ending)]
    others = [ending for ending in endings if ending not in set(media)]
    found = []
    for those, reason in ((media, "media_left_out"), (others, "left_out")):
        if those:
            what = f"files are left out by their ending: {in_words(those)}"
            found.append(Finding(reason, what, len(those), wrong=reason == "media_left_out"))
    return found


def leads_outside(options: CorpusOptions, files: Mapping[str, bool]) -> dict[str, str]:
    """Return where links of a corpus lead that lead out of its folder: path below the folder: where.

    They are followed: whoever can make one can put a file there too, and people keep their media elsewhere. git-annex
    keeps it in the repository, of which the corpus may be a part: its links are left out.
    """
    root = os.path.realpath(options.path)
    found: dict[str, str] = {}
    folders = {folder for path in files for folder in _folders_of(path)}
    links = [path for path, is_link in files.items() if is_link]
    links += [folder for folder in folders if os.path.islink(os.path.join(options.path, folder))]
    for path in sorted(links):
        place = os.path.join(options.path, path)
        if is_annexed(place) or any(folder in found for folder in _folders_of(path)):
            continue
        target = os.path.realpath(place)
        if os.path.commonpath([root, target]) != root:
            found[path] = target
    return found


def _folders_of(path: str) -> list[str]:
    """Return the folders above a file, the outermost first.

    >>> _folders_of("a/b/c.mp4")
    ['a', 'a/b']
    """
    parts = path.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]


class Fingerprint(NamedTuple):
    """What changes when what is read of a clip of a shard changes, and only then; `content` is that of a copy too."""

    content: str
    timed: str


def fingerprints(files: Iterable[ClipFile], shards: int) -> list[Fingerprint]:
    """Return those of each shard.

    What is read of a clip is its file (its path, size and, in `timed`, its time of change), its clip_id, its speaker,
    its start and end; or why it is refused. Two files of a shard may change places in the order of `files` without
    changing it.
    """
    of_shards: list[list[ClipFile]] = [[] for _ in range(shards)]
    for file in files:
        of_shards[shard_of(file.clip_id, shards)].append(file)
    return [Fingerprint(*(digest(sorted(_read_of(file, times) for file in of_shard)) for times in (False, True)))
            for of_shard in of_shards]  # fmt: skip


def _read_of(file: ClipFile, times: bool) -> str:
    clip, time_ns = file.clip, file.mtime_ns if times else 0
    # Of a refused file, a change that leaves it refused counts for nothing.
    read = (file.size_bytes, time_ns, clip.speaker, clip.start_s, clip.end_s) if clip else (file.refusal,)
    return repr((file.path, file.clip_id, *read))


def digest(lines: Sequence[str]) -> str:
    """Return a short hash of lines of text."""
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def _walk(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield (path relative to root, entry) of every file that is not hidden, folders in sorted order."""
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
            if _is_folder(entry):
                folders.append((f"{prefix}{entry.name}/", entry.path))
            else:
                yield prefix + entry.name, entry
        waiting.extend(sorted(folders, reverse=True))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:  # a link that leads round to itself
        raise_fault(error, entry.path)
    return False


def _entries(place: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            return list(entries)
    except OSError as error:
        raise_fault(error, place)
        raise UserError(
            f"{place}: the folder cannot be listed ({error.strerror}); mend its permissions or move it out of the"
            " corpus"
        ) from None


def _size_and_mtime(file: str | None) -> tuple[int, int]:
    status = None if file is None else status_of(file)
    if status is None or not stat.S_ISREG(status.st_mode):
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _what_is_missing(entries: Collection[str], options: CorpusOptions) -> str:
    kind = "video" if options.video else "audio or video"
    if not entries:
        return f"no {kind} files there{_fix(Path(options.path), _CORRECT)}"
    example = min(entries)
    found = f"none of its {len(entries)} media files (such as {example!r}) is a {kind} clip of {options.reader!r}"
    if options.video and not by_kind(entries, True):
        return f"{found}; they are audio: set corpora.NAME.video to false"
    return f"{found}; correct corpora.NAME.path or corpora.NAME.reader"


def _fix(root: Path, otherwise: str) -> str:
    if root.parts[-2:] == ("data", "demo") or root.parts[-3:-1] == ("data", "demo"):
        return f": run `{command('avpretext demo data/demo')}`"
    return f": {otherwise}"
