"""IEMOCAP: ten actors in five sessions of two, improvised and scripted dialogues, rated by three people or more.

Read are the turns, `Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav`, with `video: false`: session, whose
motion was recorded, dialogue, who speaks in this turn (F or M), number. A speaker is a session and a sex: `Ses01F`.
`Session1/dialog/EmoEvaluation/Ses01F_impro01.txt` has what raters said, in blocks such as

    [6.2901 - 8.2357]  Ses01F_impro01_F000  neu  [2.5000, 2.5000, 2.5000]
    C-E2:  Neutral;  ()
    A-E3:  val 3; act 2; dom  2;  ()

with tabs between: consensus, then valence, activation, dominance (means, 1 to 5). The votes are the emotions of the
lines `C-E`, each that a rater chose; the actors' own, `C-F` and `C-M`, are left out. `xxx`, no agreement, is no label.
The words are in `Session1/dialog/transcriptions`.

Sources: Busso et al., Language Resources and Evaluation 42, 335-359 (2008), https://sail.usc.edu/iemocap; the corpus's
readers in EmoBox (github.com/emo-box/EmoBox, EmoBox/preprocess/scripts/iemocap.py) and in
github.com/Strong-AI-Lab/emotion, datasets/IEMOCAP; all 5,531 names of EmoBox's list are read. Not checked on the corpus
itself: no copy was at hand.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora.reader import Clip, Person, Reader, SpeakerFold, by_kind, named, parts_of, stem, within
from avpretext.corpora.readers import rated
from avpretext.corpora.readers.rated import Rated
from avpretext.errors import UserError

PARTS = {"all": "", "improvised": "impro", "scripted": "script"}
EMOTIONS = {
    "ang": "angry", "hap": "happy", "sad": "sad", "neu": "neutral", "exc": "excited", "fru": "frustrated",
    "fea": "fear", "sur": "surprise", "dis": "disgust", "oth": "other", "xxx": None,
}  # fmt: skip
WORDS = {
    "anger": "angry", "happiness": "happy", "sadness": "sad", "neutral": "neutral", "neutral state": "neutral",
    "excited": "excited", "frustration": "frustrated", "fear": "fear", "surprise": "surprise", "disgust": "disgust",
    "other": "other",
}  # fmt: skip
"""What the lines of single raters call the emotions."""

CLASSES = tuple(dict.fromkeys(WORDS.values()))
ATTRIBUTES = ("valence", "arousal", "dominance")
SESSIONS = tuple(f"Ses0{number}" for number in range(1, 6))
_NAME = re.compile(r"(Ses0[1-5])[FM]_((?:impro0[1-8][ab]?|script0[1-3]_[1-3]b?))_([FM])(?:\d{3}|XX\d)")
_CONSENSUS = re.compile(r"\[[\d.]+ - [\d.]+\]\t(\w+)\t(\w+)\t\[([\d.]+), ([\d.]+), ([\d.]+)\]")
_TRANSCRIPT = re.compile(r"(Ses0\w+) \[[\d.]+-[\d.]+\]:\s*(.*)")
# A Mac leaves `._Ses01F_impro01.txt` beside a file, which is no text.
_EVALUATIONS = "Session[1-5]/dialog/EmoEvaluation/Ses*.txt"
_TRANSCRIPTS = "Session[1-5]/dialog/transcriptions/Ses*.txt"


def read(path: str) -> Clip | None:
    """Read a name such as `Session1/sentences/wav/Ses01M_impro01/Ses01M_impro01_F000.wav`.

    >>> read("Ses01M_impro01_F000.wav").speaker
    'Ses01F'
    """
    name = stem(path)
    match = _NAME.fullmatch(name)
    return Clip(name, match[1] + match[3]) if match else None


def select(paths: Sequence[str], options: CorpusOptions) -> list[str]:
    """Select the turns of the chosen parts; the dialogues as a whole, and other channels of them, are left out."""
    chosen = [PARTS[part] for part in parts_of(options, tuple(PARTS))]
    names = ((path, _NAME.fullmatch(stem(path))) for path in by_kind(paths, options.video))
    found = [path for path, match in names if match is None or match[2].startswith(tuple(chosen))]
    return within(found, "sentences") or found


def turns(options: CorpusOptions) -> Iterator[Rated]:
    """Yield what is said of every turn; other emotions and other lines are errors, and that there are no files."""
    found = annotations(options)
    if not found:
        place = Path(options.path) / "Session1/dialog/EmoEvaluation"
        raise UserError(f"{place}: no files of labels there; copy the folders dialog of IEMOCAP beside sentences")
    for file in found:
        for block in re.split(r"\n(?=\[)", Path(file).read_text("utf-8")):
            if not block.startswith("["):
                continue  # what stands above the first turn
            if (match := _CONSENSUS.match(block)) is None:
                line = block.partition("\n")[0]
                raise UserError(f"{file}: {line!r} is not time, turn, emotion, three means, tabs between: correct it")
            if match[2] not in EMOTIONS:
                raise UserError(f"{file}: {match[1]}: emotion {match[2]!r}; expected one of {', '.join(EMOTIONS)}")
            yield Rated(match[1], EMOTIONS[match[2]], [*map(float, match.group(3, 4, 5))], _votes_in(block, file))


def _votes_in(block: str, file: str) -> Counter[str]:
    votes: Counter[str] = Counter()
    for line in re.findall(r"^C-E\d+:(.*)$", block, re.MULTILINE):
        for word in (part.strip().lower() for part in line.split("(")[0].split(";")):
            if word and word not in WORDS:
                raise UserError(f"{file}: a rater chose {word!r}; expected one of {', '.join(WORDS)}")
            votes.update([WORDS[word]] if word else [])
    return votes


def annotations(options: CorpusOptions) -> list[str]:
    """Return the files of labels."""
    return sorted(map(str, Path(options.path).glob(_EVALUATIONS)))


def tables(options: CorpusOptions) -> list[str]:
    """Return the files of words."""
    return sorted(map(str, Path(options.path).glob(_TRANSCRIPTS)))


def transcripts(options: CorpusOptions) -> pl.DataFrame:
    """Return the words of the turns."""
    lines = (line for file in tables(options) for line in Path(file).read_text("utf-8", "replace").splitlines())
    rows = [match.groups() for line in lines if (match := _TRANSCRIPT.fullmatch(line.strip()))]
    return pl.DataFrame(rows, {"clip_id": pl.String, "text": pl.String}, orient="row").unique(
        "clip_id", maintain_order=True
    )


READER = Reader(
    entries=named(read, select),
    parts=tuple(PARTS),
    sources=lambda options: rated.sources(turns, ATTRIBUTES, CLASSES),
    annotations=annotations,
    tables=tables,
    partitions=rated.partitions(turns, lambda name: name[:5]),
    transcripts=transcripts,
    people=lambda options: {
        f"{session}{code}": Person(sex) for session in SESSIONS for code, sex in (("F", "female"), ("M", "male"))
    },
    protocols={"emobox": tuple(SpeakerFold((f"{session}F", f"{session}M")) for session in SESSIONS)},
)
