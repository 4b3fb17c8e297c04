"""What a corpus reader is: how its files and tables become clips, and what it knows of them that can be learnt."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora.findings import Finding
from avpretext.corpora.speaker_folders import SpeakerFolder
from avpretext.errors import UserError, nearest
from avpretext.media.extensions import AUDIO_EXTENSIONS, SILENT_EXTENSIONS, VIDEO_EXTENSIONS
from avpretext.refusal import Refusal


class Clip(NamedTuple):
    """What the name of a file, or a row of the corpus's table, tells of a clip; None where it is not known.

    `clip_id` is unique in the corpus; `label` is the emotion acted, `level` how strongly. The label is that of the name
    alone: labels of tables are read by `targets`, so that an edit of them decodes no video again. `start_s` and `end_s`
    are where in the file the clip lies; None for the start and the end of the file.
    """

    clip_id: str
    speaker: str | None = None
    label: str | None = None
    sentence: str | None = None
    level: str | None = None
    start_s: float | None = None
    end_s: float | None = None


class Entry(NamedTuple):
    """A clip that a corpus names, or a file or row of it that is refused.

    `path` is relative to the corpus folder, posix; of a row without its file, where the file should be. Either
    `clip` or `refusal` is None.
    """

    path: str
    clip: Clip | None
    refusal: Refusal | None = None


SourceKind = Literal["label", "votes", "attribute", "attributes"]


@dataclass(frozen=True)
class Source:
    """Something that a corpus knows of its clips and that can be learnt.

    Attributes
    ----------
    kind
        `label`: one class; `votes`: how many raters chose each class; `attribute`: a number, such as arousal;
        `attributes`: several numbers, see `joint.together`.
    read
        From the corpus's options to a table: `clip_id` and, by kind, `label` (null: none); one column of counts per
        class; `value` (null: none); one column of numbers per attribute. None for the labels that the index has, from
        the clips' names.
    """

    kind: SourceKind
    read: Callable[[CorpusOptions], pl.DataFrame] | None = None


@dataclass(frozen=True, slots=True)
class SpeakerFold:
    """A fold of a published protocol: who tests, who chooses the epoch; all others train.

    `dev` is empty where the protocol has no dev set, and None where it leaves the choice open: it is drawn by seed.
    """

    test: tuple[str, ...]
    dev: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Published:
    """What is published of a corpus, to hold a copy against.

    `clips`, `hours` and `speakers` are of each part, {part: number}, or under `all`; what is not published is left out.
    `example` is a file, and `seen` what of the real corpus the reader was checked on.
    """

    name: str
    citation: str
    url: str
    licence: str
    clips: Mapping[str, int] = field(default_factory=dict)
    hours: Mapping[str, float] = field(default_factory=dict)
    speakers: Mapping[str, int] = field(default_factory=dict)
    language: str = ""
    example: str = ""
    seen: str = ""


class Person(NamedTuple):
    """What a corpus knows of a speaker: `female` or `male`, and years; None where it does not."""

    sex: str | None = None
    age: int | None = None


@dataclass(frozen=True)
class Reader:
    """How one corpus names and lays out its files.

    Attributes
    ----------
    entries
        From the corpus's options and the paths of all its media files (relative, posix, sorted) to its clips and
        what is refused of it, in any order. Files that do not count (audio where video is wanted) are left out.
    parts
        Names of its parts, for `corpora.NAME.parts`; the first is taken where none is chosen.
    sources
        What can be learnt, the default first; empty for a corpus without labels.
    annotations
        The files, beside the media, that `sources` and `partitions` read: inputs of the stages that do.
    tables
        The files that `entries` reads: what lists clips.
    elsewhere
        The paths outside of the corpus's folder that its tables name; called where `outside` allows them.
    partitions
        From options to `clip_id`, `partition`: the corpus's own division (train, dev, test, or names of folds).
    protocols
        Published folds of speakers, by name.
    partition_protocols
        Published protocols on the corpus's own partitions: by name, the partitions that test together.
    published
        What is published of the corpus: for readers that come with the package, its row in `published.yaml`.
    broken
        The clip_ids that the corpus is known to hold broken.
    people
        What is known of the speakers, by their name; asked by `trust`, and when labels are handed to other tools.
    people_files
        The files, beside the media, that `people` reads.
    words
        From `Clip.sentence` to the words that are said; None where they are not known.
    transcripts
        From options to `clip_id`, `text`: words that its `tables` have, before those of the sentence.
    findings
        What must be known of the cells of its tables.
    speaker_folder
        Which folder of its clips' paths names the speaker; None where it is not read from folders.
    checksums
        The published sizes and checksums of its files, see `checksums.published`; empty where there are none.
    """

    entries: Callable[[CorpusOptions, Sequence[str]], list[Entry]]
    parts: tuple[str, ...] = ()
    sources: Callable[[CorpusOptions], Mapping[str, Source]] = lambda options: {}
    annotations: Callable[[CorpusOptions], list[str]] = lambda options: []
    tables: Callable[[CorpusOptions], list[str]] = lambda options: []
    elsewhere: Callable[[CorpusOptions], list[str]] = lambda options: []
    partitions: Callable[[CorpusOptions], pl.DataFrame] | None = None
    protocols: Mapping[str, tuple[SpeakerFold, ...]] = field(default_factory=dict)
    partition_protocols: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    published: Published | None = None
    broken: frozenset[str] = frozenset()
    people: Callable[[CorpusOptions], Mapping[str, Person]] = lambda options: {}
    people_files: Callable[[CorpusOptions], list[str]] = lambda options: []
    words: Callable[[str], str | None] = lambda sentence: None
    transcripts: Callable[[CorpusOptions], pl.DataFrame] | None = None
    findings: Callable[[CorpusOptions], list[Finding]] = lambda options: []
    speaker_folder: Callable[[CorpusOptions, Sequence[str]], SpeakerFolder | None] = lambda options, paths: None
    checksums: Callable[[], Mapping[str, tuple[int, int]]] = dict


def by_kind(paths: Iterable[str], video: bool) -> list[str]:
    """Select the files of the wanted kind, by extension; audio is taken out of videos where there is nothing else.

    >>> by_kind(["a/x.wav", "a/x.mp4"], video=True), by_kind(["x.mp4"], video=False)
    (['a/x.mp4'], ['x.mp4'])
    """
    found, extensions = list(paths), VIDEO_EXTENSIONS | SILENT_EXTENSIONS
    videos = [path for path in found if extension(path) in extensions]
    if video:
        return videos
    return [path for path in found if extension(path) in AUDIO_EXTENSIONS] or videos


def named(
    read: Callable[[str], Clip | None],
    select: Callable[[Sequence[str], CorpusOptions], Iterable[str]] = lambda paths, options: by_kind(
        paths, options.video
    ),
) -> Callable[[CorpusOptions, Sequence[str]], list[Entry]]:
    """Return `Reader.entries` for a corpus whose names tell all of its clips.

    `read` makes a clip of a path; a name for which it returns None is refused. `select` takes those that count of all
    media files: by default all of the wanted kind.
    """
    unknown = Refusal("unknown_name", "the reader does not know names like this")

    def entries(options: CorpusOptions, files: Sequence[str]) -> list[Entry]:
        found = ((path, read(path)) for path in select(files, options))
        return [Entry(path, clip, None if clip else unknown) for path, clip in found]

    return entries


def acted(options: CorpusOptions) -> Mapping[str, Source]:
    """Return the one target of a corpus whose file names tell the emotion: `acted`."""
    return {"acted": Source("label")}


def parts_of(options: CorpusOptions, parts: Sequence[str]) -> tuple[str, ...]:
    """Return the chosen parts of a corpus, else its first; a part that it does not have is an error."""
    for part in options.parts:
        if part not in parts:
            raise UserError(
                f"parts: {part!r} of the reader {options.reader!r}; expected one of {', '.join(parts)}"
                f"{nearest(part, parts)}"
            )
    return tuple(dict.fromkeys(options.parts)) or (parts[0],)


def within(paths: Iterable[str], folder: str) -> list[str]:
    """Select the files that lie below a folder of this name, at any depth."""
    return [path for path in paths if f"/{folder}/" in f"/{path}"]


def stem(path: str) -> str:
    """Return the file's name without folders and extension."""
    return without_extension(path.rpartition("/")[2])


def without_extension(path: str) -> str:
    """Return the path without the file's extension.

    Plain string work: a scan calls it for every file of a corpus, and `pathlib` would take most of its time.

    >>> without_extension("a.b/take 1.x.mp4"), without_extension("a.b/take")
    ('a.b/take 1.x', 'a.b/take')
    """
    return path[: _dot(path)]


def extension(path: str) -> str:
    """Return the file's extension in lower case, with its dot."""
    return path[_dot(path) :].lower()


def _dot(path: str) -> int:
    """Return where a path's extension begins, of one without it its length."""
    dot = path.rfind(".")
    return dot if dot > path.rfind("/") + 1 else len(path)


def is_media(name: str, silent: bool = False) -> bool:
    """Tell by the extension whether a file may hold sound or a film; `silent`: pictures without sound count too."""
    kind = extension(name)
    return kind in VIDEO_EXTENSIONS or kind in AUDIO_EXTENSIONS or (silent and kind in SILENT_EXTENSIONS)
