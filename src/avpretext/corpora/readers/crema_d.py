"""CREMA-D: 91 actors, 12 sentences, six emotions, 7,442 clips (Cao et al., 2014; ODbL 1.0).

Names are `1001_DFA_ANG_XX`: actor, sentence, emotion, level. Video is read from `VideoFlash` where there is such a
folder, else from any video; audio from `AudioWAV`, else `AudioMP3`, else any audio, else the videos' own sound.

Sources: Cao et al., IEEE Transactions on Affective Computing 2014; https://github.com/CheyneyComputerScience/CREMA-D;
hours from EmoBox (Ma et al., Interspeech 2024). Checked on the corpus's tables and on 18 of its clips. The sizes and
SHA-256 of its 22,326 media files are those of the Git LFS pointers of the repository at 1658cd3, the first 32 bits of
each: `crema_d_files.parquet`, 129 kB.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora.checks import checksums
from avpretext.corpora.reader import Clip, Person, Reader, Source, SpeakerFold, by_kind, named, stem, within
from avpretext.errors import UserError

VOTES = "tabulatedVotes.csv"
PEOPLE = "VideoDemographics.csv"
EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}

# One clip of the corpus, 1040_ITH_SAD, comes with level X in some copies. Actors are 1001 to 1091, in the demo 1101
# and so on.
_NAME = re.compile(
    rf"(10(?:0[1-9]|[1-8]\d|9[01])|11\d\d)_({'|'.join(SENTENCES)})_({'|'.join(EMOTIONS)})_(LO|MD|HI|XX?)"
)
_VOTE_COLUMNS = {emotion[0]: emotion for emotion in EMOTIONS}
_VOTE_IDS = {"voice": "1", "face": "2", "both": "3"}


def read(path: str) -> Clip | None:
    """Read a name such as `VideoFlash/1001_DFA_ANG_XX.flv`."""
    name = stem(path)
    match = _NAME.fullmatch(name)
    return Clip(name, match[1], match[3], match[2], match[4]) if match else None


def select(paths: Sequence[str], options: CorpusOptions) -> list[str]:
    """Select one file per clip, see the module's description."""
    for folder in ("VideoFlash",) if options.video else ("AudioWAV", "AudioMP3"):
        if chosen := by_kind(within(paths, folder), options.video):
            return chosen
    return by_kind(paths, options.video)


def votes(raters: str) -> Callable[[CorpusOptions], pl.DataFrame]:
    """Return what reads the votes of those who heard (`voice`), saw (`face`) or did both.

    The votes are the columns A D F H N S of `tabulatedVotes.csv`; rows whose id starts with 1, 2, 3 are of listeners,
    of viewers, of both.
    """

    def read_votes(options: CorpusOptions) -> pl.DataFrame:
        file = Path(options.path) / VOTES
        if not file.is_file():
            raise UserError(
                f"{file}: no such file; the target {raters!r} is read from it: copy it from the corpus, or set targets"
                " to [acted]"
            )
        try:
            table = pl.read_csv(file, columns=["", *_VOTE_COLUMNS, "fileName"], schema_overrides={"": pl.String})
        except pl.exceptions.PolarsError as error:
            words = (str(error).strip().splitlines() or ["it is empty"])[0]
            fix = "copy it from the corpus again"
            raise UserError(f"{file}: not the corpus's table of votes ({words}); {fix}") from None
        rows = table.filter(pl.col("").str.starts_with(_VOTE_IDS[raters]))
        return rows.select(pl.col("fileName").alias("clip_id"), **{name: key for key, name in _VOTE_COLUMNS.items()})

    return read_votes


def people_files(options: CorpusOptions) -> list[str]:
    """Return the path of `VideoDemographics.csv`; nothing where the corpus lacks it."""
    file = Path(options.path) / PEOPLE
    return [str(file)] if file.is_file() else []


def people(options: CorpusOptions) -> dict[str, Person]:
    """Return sex and age of the actors, from `VideoDemographics.csv`; nobody without that file."""
    file = next(iter(people_files(options)), None)
    if file is None:
        return {}
    table = pl.read_csv(file, columns=["ActorID", "Age", "Sex"], schema_overrides={"ActorID": pl.String})
    return {actor: Person(sex.lower(), age) for actor, age, sex in table.select("ActorID", "Age", "Sex").iter_rows()}


def sources(options: CorpusOptions) -> dict[str, Source]:
    """Return the sources of targets: the acted emotion, and the votes of each kind of raters, see `votes`."""
    return {"acted": Source("label"), **{raters: Source("votes", votes(raters)) for raters in _VOTE_IDS}}


def annotations(options: CorpusOptions) -> list[str]:
    """Return the path of `tabulatedVotes.csv`; nothing where the corpus lacks it."""
    file = Path(options.path) / VOTES
    return [str(file)] if file.is_file() else []


SESSIONS = {
    1: range(1037, 1055),
    2: range(1001, 1019),
    3: range(1073, 1092),
    4: range(1055, 1073),
    5: range(1019, 1037),
}
"""Five groups of actors (Chou, Lee & Busso, Interspeech 2022; HiCMAE, Sun et al., Information Fusion 2024)."""

EMO_SUPERB = ((2, 5), (5, 1), (1, 4), (4, 3), (3, 2))
"""Test and dev group of EMO-SUPERB's five partitions, in its order (Wu et al., "Open-Emotion: A Reproducible EMO-SUPERB
for Speech Emotion Recognition Systems", SLT 2024). Read in the last column of its `labels_consensus_1..5.csv`,
github.com/EMOsuperb/EMO-SUPERB-submission, data/CREMA-D/Primary, at 4167e30."""


def _group(session: int) -> tuple[str, ...]:
    return tuple(str(actor) for actor in SESSIONS[session])


READER = Reader(
    entries=named(read, select),
    sources=sources,
    people=people,
    people_files=people_files,
    annotations=annotations,
    protocols={
        "chou": tuple(SpeakerFold(_group(test), _group(dev)) for dev, test in ((4, 5), (5, 1), (1, 2), (2, 3), (3, 4))),
        "hicmae": tuple(SpeakerFold(_group(test), ()) for test in SESSIONS),
        "emo_superb": tuple(SpeakerFold(_group(test), _group(dev)) for test, dev in EMO_SUPERB),
    },
    words=SENTENCES.get,
    checksums=lambda: checksums.published("crema_d_files.parquet"),
    broken=frozenset({"1076_MTI_NEU_XX", "1076_MTI_SAD_XX", "1064_TIE_SAD_XX", "1064_IEO_DIS_MD"}),
)
