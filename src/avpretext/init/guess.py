"""What a folder of media most likely is: which reader knows its names, and what that reader finds."""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avpretext.config import CorpusOptions
from avpretext.corpora import reader_of, scan
from avpretext.corpora.checks import likely
from avpretext.corpora.checks.headers import have_no_sound, read_headers, spread
from avpretext.corpora.reader import Clip, by_kind
from avpretext.errors import UserError

OPENED = 24
"""Files that are opened to see whether they have sound."""

KNOWN = 0.5
"""A reader must know this share of the names, or the folder is one of the user's own (`folder`)."""

CLIPS_PER_SHARD = 200
FOLDS, FEWEST_FOLDS = 4, 3


@dataclass(frozen=True)
class FoundCorpus:
    """What a reader finds in a corpus: clips, files that are none, and speakers whose names are known, sorted.

    The `use` of its options is what it can be used for; `anonymous` clips are of speakers that are not known; `labels`
    are the targets that can be learnt, the default first. `parted`: it has partitions that share no speaker.
    """

    options: CorpusOptions
    clips: int
    refused: int
    speakers: Sequence[str]
    anonymous: int
    labels: Sequence[str]
    parted: bool = False

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
    refused, parted = len(files) - len(clips), _keep_apart(options, clips)
    return FoundCorpus(options, len(clips), refused, speakers, anonymous, _labels_of(options), parted)


def _keep_apart(options: CorpusOptions, clips: Sequence[Clip]) -> bool:
    """Tell whether the corpus has partitions, known of some of its clips, and no speaker is in two of them."""
    partitions = reader_of(options).partitions
    try:
        known = dict(partitions(options).iter_rows()) if partitions is not None else {}
    except UserError:
        return False
    pairs = {(clip.speaker, known[clip.clip_id]) for clip in clips if clip.speaker and clip.clip_id in known}
    return bool(known) and len(pairs) == len({speaker for speaker, _ in pairs})


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


def protocol_for(found: FoundCorpus) -> dict[str, object]:
    """Return the protocol to begin with: the published one that these speakers are all of, else folds by speaker."""
    reader = reader_of(found.options)
    for name, folds in reader.protocols.items():
        if {speaker for fold in folds for speaker in fold.test} <= set(found.speakers):
            return {"name": name}
    if found.parted and found.options.reader != "folder":
        return {"name": "partitions"}
    return {"name": "speaker_kfold", "folds": max(FEWEST_FOLDS, min(FOLDS, len(found.speakers)))}
