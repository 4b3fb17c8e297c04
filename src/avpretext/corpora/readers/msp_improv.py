"""MSP-IMPROV: twelve actors in six sessions of two, who improvise and read, rated by many people.

Names are `session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav`, or `.avi`: sentence, intended emotion (A H N S), speaker,
kind of turn (P between takes, R read, S improvised around the target, T the target sentence improvised), pair. The file
`Evalution.txt` (or `Evaluation.txt`) beside the sessions has, for each clip, a line of means and one per rater:

    UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:2.866667; V:2.933333; D:3.000000 ; N:4.200000;
    WORKER01; Neutral; Neutral,Concerned; A:3.000000; V:3.000000; D:3.000000; N:5.000000;

that is consensus (A H N S, O other, X no agreement), activation, valence, dominance, from 1 to 5, and how natural it
is, which is not read.

Sources: Busso et al., IEEE Transactions on Affective Computing 8, 67-80 (2017),
https://doi.org/10.1109/TAFFC.2016.2515617; the corpus's readers in github.com/Strong-AI-Lab/emotion,
datasets/MSP-IMPROV, and github.com/felixbur/nkululeko, data/msp-improv. A rater who stands twice in a clip counts once,
as there. Not checked on the corpus itself: no copy was at hand.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from avpretext.config import CorpusOptions
from avpretext.corpora import sheets
from avpretext.corpora.reader import Clip, Person, Reader, Source, named, stem
from avpretext.corpora.readers import msp, rated
from avpretext.corpora.readers.rated import Rated
from avpretext.errors import UserError

LABEL_FILES = ("Evalution.txt", "Evaluation.txt")
EMOTIONS = {"A": "angry", "H": "happy", "N": "neutral", "S": "sad"}
CLASSES = (*EMOTIONS.values(), msp.OTHER)
ATTRIBUTES = ("arousal", "valence", "dominance")
_FIX = "copy it from the corpus, beside the folders of the sessions"
_NAME = re.compile(r"MSP-IMPROV-S(0[1-9]|1\d|20)([AHNS])-([FM]0[1-6])-([PRST])-(?:FM|MF)0[1-6]")
_VALUE = r"\s*(\d+\.?\d*|NaN)\s*"
_CLIP = re.compile(rf"UTD-(IMPROV-\S+)\.avi;\s*([A-Z]);\s*A:{_VALUE};\s*V:{_VALUE};\s*D:{_VALUE};\s*N:{_VALUE};")
_RATER = re.compile(r"([\w-]+);\s*(Angry|Happy|Neutral|Sad|Other);.*A:.*")


def read(path: str) -> Clip | None:
    """Read a name such as `session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav`; read sentences alone have one.

    >>> read("MSP-IMPROV-S01A-F01-T-FM01.wav").label
    'angry'
    """
    name = stem(path)
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    sentence, emotion, speaker, kind = match.groups()
    return Clip(name, speaker, EMOTIONS[emotion], sentence if kind in "RT" else None)


def sources(options: CorpusOptions) -> dict[str, Source]:
    """Return what raters say, and the intended emotion, which the names tell."""
    return {**rated.sources(clips, ATTRIBUTES, CLASSES), "intended": Source("label")}


def clips(options: CorpusOptions) -> Iterator[Rated]:
    """Yield what is said of every clip; other letters and other lines are errors, and that there is no file."""
    file = sheets.needed(options, ("",), LABEL_FILES, _FIX)
    for block in re.split(r"\n(?=UTD-)", file.read_text("utf-8", "replace")):
        if not block.startswith("UTD-"):
            continue  # what stands above the first clip
        if (match := _CLIP.match(block)) is None:
            line = block.partition("\n")[0]
            raise UserError(f"{file}: {line!r} is not as the line of a clip: correct it")
        name = f"MSP-{match[1]}"
        if match[2] not in {*EMOTIONS, "O", "X"}:
            raise UserError(f"{file}: {name}: {match[2]!r}; expected A, H, N, S, O or X: correct the line")
        yield Rated(name, EMOTIONS.get(match[2]), [*map(float, match.group(3, 4, 5))], _votes_in(block, file))


def _votes_in(block: str, file: Path) -> Counter[str]:
    raters = {}
    for line in filter(None, map(str.strip, block.splitlines()[1:])):
        if (found := _RATER.match(line)) is None:
            raise UserError(f"{file}: {line!r} is not as the line of a rater: correct it, or take it out")
        raters[found[1]] = found[2].lower()
    return Counter(raters.values())


def annotations(options: CorpusOptions) -> list[str]:
    """Return the file of labels, where it is."""
    return sheets.present(options, ("",), LABEL_FILES)


def _session(name: str) -> str:
    return f"session{int(name.split('-')[3][1:])}"


READER = Reader(
    entries=named(read),
    sources=sources,
    annotations=annotations,
    partitions=rated.partitions(clips, _session),
    people=lambda options: {
        f"{code}{number:02d}": Person(sex) for code, sex in (("F", "female"), ("M", "male")) for number in range(1, 7)
    },
)
