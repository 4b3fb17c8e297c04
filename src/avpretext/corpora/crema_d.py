"""CREMA-D: 91 actors, 12 sentences, six emotions, 7,442 clips (Cao et al., 2014; ODbL 1.0).

Names are `1001_DFA_ANG_XX`: actor, sentence, emotion, level. Video is read from `VideoFlash` where there is such a
folder, else from any video; audio from `AudioWAV`, else `AudioMP3`, else any audio, else the videos' own sound.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from avpretext.corpora.reader import Clip, Reader, by_kind, stem, within
from avpretext.errors import UserError

VOTES = "tabulatedVotes.csv"
EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
SENTENCES = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")

# One clip of the corpus, 1040_ITH_SAD, comes with level X in some copies.
_NAME = re.compile(rf"(\d{{4}})_({'|'.join(SENTENCES)})_({'|'.join(EMOTIONS)})_(LO|MD|HI|XX?)")
_VOTE_COLUMNS = {emotion[0]: emotion for emotion in EMOTIONS}
_VOTE_IDS = {"voice": "1", "face": "2", "both": "3"}


def read(path: str) -> Clip | None:
    """Read a name such as `VideoFlash/1001_DFA_ANG_XX.flv`."""
    name = stem(path)
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    speaker, sentence, emotion, level = match.groups()
    return Clip(name, speaker, emotion, sentence, level)


def select(paths: Iterable[str], video: bool) -> list[str]:
    """Select one file per clip, see the module's description."""
    files = list(paths)
    for folder in ("VideoFlash",) if video else ("AudioWAV", "AudioMP3"):
        if chosen := by_kind(within(files, folder), video):
            return chosen
    return by_kind(files, video)


def target_labels(corpus: Path, target: str) -> Mapping[str, str | None]:
    """Return the majority of the votes on voice, face or both; None where the two most voted emotions tie.

    The votes are the columns A D F H N S of `tabulatedVotes.csv`; rows whose id starts with 1, 2, 3 are of listeners,
    of viewers, of both.
    """
    file = corpus / VOTES
    if not file.is_file():
        raise UserError(
            f"{file}: no such file; the target {target!r} is read from it: copy it from the corpus, or set target to"
            " acted"
        )
    with file.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row[""].startswith(_VOTE_IDS[target])]
    return {row["fileName"]: majority({_VOTE_COLUMNS[key]: int(row[key]) for key in _VOTE_COLUMNS}) for row in rows}


def majority(votes: Mapping[str, int]) -> str | None:
    """Return the emotion with most votes, None in a tie or without votes.

    >>> majority({"ANG": 3, "SAD": 1}), majority({"ANG": 2, "SAD": 2})
    ('ANG', None)
    """
    most = max(votes.values())
    winners = [emotion for emotion, count in votes.items() if count == most]
    return winners[0] if len(winners) == 1 and most > 0 else None


READER = Reader(
    read=read,
    select=select,
    targets=("acted", *_VOTE_IDS),
    annotations=(VOTES,),
    target_labels=target_labels,
    broken=frozenset({"1076_MTI_NEU_XX", "1076_MTI_SAD_XX", "1064_TIE_SAD_XX", "1064_IEO_DIS_MD"}),
)
