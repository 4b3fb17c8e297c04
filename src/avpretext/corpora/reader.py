"""What a corpus reader is: a function from a file's name to a clip, and a rule for which files count."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

VIDEO_EXTENSIONS = frozenset({
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".flv", ".f4v", ".mpg", ".mpeg",
    ".vob", ".wmv", ".asf", ".3gp", ".ts", ".mts", ".m2ts", ".ogv", ".mxf",
})  # fmt: skip
AUDIO_EXTENSIONS = frozenset({
    ".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".oga", ".opus", ".wma", ".aiff", ".aif",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Clip:
    """What the name of a file says about the clip in it.

    Attributes
    ----------
    clip_id
        Unique in the corpus.
    speaker, label, sentence, level
        Who speaks, the emotion, what is said, how strongly; None where the name does not tell.
    """

    clip_id: str
    speaker: str | None = None
    label: str | None = None
    sentence: str | None = None
    level: str | None = None


@dataclass(frozen=True)
class Reader:
    """How one corpus names and lays out its files.

    Attributes
    ----------
    read
        From a path relative to the corpus folder (posix) to the clip, or None for a name that the corpus does not use.
    select
        From all media files of the corpus to those that count, given whether video is wanted.
    targets
        The labels that can be learnt, the default first; empty for a corpus without labels.
    annotations
        Files, relative to the corpus folder, that other targets than the default are read from.
    target_labels
        From corpus folder and target to {clip_id: label}, for targets that the name does not tell.
    broken
        The clip_ids that the corpus is known to hold broken.
    """

    read: Callable[[str], Clip | None]
    select: Callable[[Iterable[str], bool], list[str]]
    targets: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    target_labels: Callable[[Path, str], Mapping[str, str | None]] | None = None
    broken: frozenset[str] = frozenset()


def by_kind(paths: Iterable[str], video: bool) -> list[str]:
    """Select the files of the wanted kind, by extension; audio is taken out of videos where there is nothing else.

    >>> by_kind(["a/x.wav", "a/x.mp4"], video=True), by_kind(["x.mp4"], video=False)
    (['a/x.mp4'], ['x.mp4'])
    """
    files = list(paths)
    videos = [path for path in files if extension(path) in VIDEO_EXTENSIONS]
    if video:
        return videos
    return [path for path in files if extension(path) in AUDIO_EXTENSIONS] or videos


def within(paths: Iterable[str], folder: str) -> list[str]:
    """Select the files that lie below a folder of this name, at any depth."""
    return [path for path in paths if f"/{folder}/" in f"/{path}"]


def stem(path: str) -> str:
    """Return the file's name without folder and extension."""
    return without_extension(path.rpartition("/")[2])


def without_extension(path: str) -> str:
    """Return the path without the file's extension.

    Plain string work: a scan asks this of every file of a corpus, and `pathlib` would take most of its time.

    >>> without_extension("a.b/take 1.x.mp4"), without_extension("a.b/take")
    ('a.b/take 1.x', 'a.b/take')
    """
    dot = path.rfind(".")
    return path[:dot] if dot > path.rfind("/") + 1 else path


def extension(path: str) -> str:
    """Return the file's extension in lower case, with its dot."""
    return path[len(without_extension(path)) :].lower()


def is_media(name: str) -> bool:
    """Tell by the extension whether a file may hold audio or video."""
    kind = extension(name)
    return kind in VIDEO_EXTENSIONS or kind in AUDIO_EXTENSIONS
