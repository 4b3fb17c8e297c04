"""What a folder of media most likely is: which reader knows its names, and what that reader finds."""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from avpretext.config import CorpusOptions, ProtocolOptions
from avpretext.corpora import reader_of, scan
from avpretext.corpora.checks import likely
from avpretext.corpora.checks.headers import have_no_sound, read_headers, spread
from avpretext.corpora.protocols import partition_folds
from avpretext.corpora.reader import Clip, by_kind
from avpretext.errors import UserError

OPENED = 24
"""Files that are opened to see whether they have sound."""

SHOWN = 3
"""Files with labels that are named."""

KNOWN = 0.5
"""A reader must know this share of the names, or the folder is one of the user's own (`folder`)."""

CLIPS_PER_SHARD = 200
FOLDS, FEWEST_FOLDS = 4, 3


@dataclass(frozen=True)
class OwnDivision:
    """Whether the partitions of a corpus, such as a column `fold`, are a protocol.

    `test` are the speakers who test where that is fixed (train, dev, test), empty where each partition tests once.
    `problem` says why partitions that it has are no protocol to begin with.
    """

    usable: bool = False
    test: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class FoundCorpus:
    """What a reader finds in a corpus: clips, files that are none, and speakers whose names are known, sorted.

    The `use` of its options is what it can be used for; `anonymous` clips are of speakers that are not known; `labels`
    are the targets that can be learnt, the default first; `division` is what its own partitions are worth.
    """

    options: CorpusOptions
    clips: int
    refused: int
    speakers: Sequence[str]
    anonymous: int
    labels: Sequence[str]
    division: OwnDivision = field(default_factory=OwnDivision)

    @property
    def voices(self) -> int:
        """Return how many speakers training can tell apart; a clip of an unknown one counts as one of its own."""
        return len(self.speakers) + self.anonymous


def guess_reader(files: Sequence[str], folder: Path | str = ".") -> tuple[str, bool]:
    """Return reader and whether there is video, by the names of the media files (relative to the corpus, sorted).

    Readers that need tables find them in the folder of the corpus.

    >>> guess_reader(["VideoFlash/1001_DFA_ANG_XX.flv", "AudioWAV/1001_DFA_ANG_XX.wav"])
    ('crema_d', True)
    >>> guess_reader(["anna/take1.wav", "bob/take1.wav"])
    ('folder', False)
    """
    some = spread(files, likely.SAMPLE)
    video = bool(by_kind(some, True))
    known = likely.known_names(some, str(folder), video)
    best = max(known, key=lambda name: known[name], default="folder")
    return (best if known.get(best, 0) >= KNOWN * len(by_kind(some, video)) else "folder"), video


def has_sound(folder: Path, files: Sequence[str]) -> bool:
    """Tell whether there is sound in any of some files, spread over all; of files that cannot be read, assume it."""
    return not have_no_sound(read_headers(folder, spread(files, OPENED), threads=1).values())


def look(options: CorpusOptions) -> FoundCorpus:
    """Return what is found in a corpus, read as the options say; one without clips is an error."""
    files = scan(options)
    clips = [file.clip for file in files if file.clip is not None]
    speakers = sorted({clip.speaker for clip in clips if clip.speaker is not None})
    anonymous = sum(clip.speaker is None for clip in clips)
    refused, division = len(files) - len(clips), own_division(options, clips)
    return FoundCorpus(options, len(clips), refused, speakers, anonymous, _labels_of(options), division)


def own_division(options: CorpusOptions, clips: Sequence[Clip]) -> OwnDivision:
    """Return whether the corpus has partitions that make folds, and no speaker is in two of them."""
    partitions = reader_of(options).partitions
    try:
        known = dict(partitions(options).iter_rows()) if partitions is not None else {}
    except UserError:  # it has none
        return OwnDivision()
    rows = [(clip.clip_id, clip.speaker, known.get(clip.clip_id)) for clip in clips]
    table = pl.DataFrame(rows, dict.fromkeys(("clip_id", "speaker", "partition"), pl.String), orient="row")
    divided = table.drop_nulls("partition")
    if divided.is_empty():
        return OwnDivision()
    try:
        folds = partition_folds(table, None, ProtocolOptions().dev_speakers, seed=1).folds
    except UserError as error:
        return OwnDivision(problem=str(error))
    of_each = divided.drop_nulls("speaker").group_by("speaker").agg(pl.col("partition").unique().sort())
    shared = of_each.filter(pl.col("partition").list.len() > 1).sort("speaker")
    for speaker, names in shared.iter_rows():
        return OwnDivision(problem=f"speaker {speaker!r} is in {' and '.join(names)}")
    test = divided.filter(pl.col("clip_id").is_in(folds[0].test)) if len(folds) == 1 else divided.clear()
    return OwnDivision(usable=True, test=tuple(test["speaker"].drop_nulls().unique().sort()))


def origin(options: CorpusOptions, target: str) -> str:
    """Return where the labels of a target are read: `file names`, or the corpus's own files."""
    reader = reader_of(options)
    if reader.sources(options)[target].read is None:
        return "file names"
    root = Path(options.path)
    files = [Path(file) for file in reader.annotations(options)]
    names = [str(file.relative_to(root)) if file.is_relative_to(root) else str(file) for file in files]
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "") or options.path


def _labels_of(options: CorpusOptions) -> list[str]:
    """Return the label targets that can be learnt of a corpus, those whose tables are there, the default first."""
    found = []
    for name, source in reader_of(options).sources(options).items():
        with contextlib.suppress(UserError):
            if source.read is not None:
                source.read(options)
            found.append(name)
    return found


def uses(found: FoundCorpus) -> list[str]:
    """Return what a corpus can be used for: learning labels takes labels, and speakers for train, dev and test."""
    can_tune = found.options.audio and bool(found.labels) and len(found.speakers) >= FEWEST_FOLDS
    return ["pretrain", "finetune"] if can_tune else ["pretrain"]


def shards_for(clips: int) -> int:
    """Return how many shards suit so many clips on one machine.

    >>> [shards_for(clips) for clips in (6, 200, 7442, 10**7)]
    [1, 1, 38, 10000]
    """
    return min(10_000, max(1, math.ceil(clips / CLIPS_PER_SHARD)))


def test_speakers(found: FoundCorpus) -> tuple[str, ...]:
    """Return the speakers who alone test by the protocol to begin with; none where each speaker tests once."""
    name = protocol_for(found)["name"]
    if name == "partitions":
        return found.division.test
    folds = reader_of(found.options).protocols.get(str(name), ())
    return folds[0].test if len(folds) == 1 else ()


def protocol_for(found: FoundCorpus) -> dict[str, object]:
    """Return the protocol to begin with: the published one that these speakers are all of, else folds by speaker."""
    reader = reader_of(found.options)
    for name, folds in reader.protocols.items():
        if {speaker for fold in folds for speaker in fold.test} <= set(found.speakers):
            return {"name": name}
    if found.division.usable:
        return {"name": "partitions"}
    return {"name": "speaker_kfold", "folds": max(FEWEST_FOLDS, min(FOLDS, len(found.speakers)))}
