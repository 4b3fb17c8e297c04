"""GRID: 34 speakers, 1,000 command sentences each, without emotion (Cooke et al., 2006).

Names are `bbaf2n`: command, colour, preposition, letter, digit, adverb. The speaker is the folder `s1` ... `s34` that
the file lies in, as the corpus is distributed; without one it is unknown.

Sources: Cooke, Barker, Cunningham & Shao, JASA 120, 2421-2424 (2006); https://zenodo.org/records/3625687. Checked on
six clips.
"""

import re
from pathlib import PurePosixPath

from avpretext.corpora.reader import Clip, Reader, named, stem

_WORDS: tuple[dict[str, str], ...] = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {},
    {"z": "zero", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven",
     "8": "eight", "9": "nine"},
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)  # fmt: skip
"""Of each letter of a name, the words; letters of the alphabet stand for themselves."""

_NAME = re.compile("[blps][bgrw][abiw][a-vx-z][z1-9][anps]")
_SPEAKER = re.compile(r"s([1-9]|[12]\d|3[0-4])")


def read(path: str) -> Clip | None:
    """Read a name such as `s1/bbaf2n.mpg`; speakers share sentences, so the clip_id has the speaker before it.

    >>> read("s1/bbaf2n.mpg").clip_id, read("s1/bbaf2n.mpg").sentence
    ('s1_bbaf2n', 'bin blue at f two now')
    """
    name = stem(path)
    if not _NAME.fullmatch(name):
        return None
    speaker = next((part for part in PurePosixPath(path).parts[:-1] if _SPEAKER.fullmatch(part)), None)
    words = (meant.get(letter, letter) for letter, meant in zip(name, _WORDS, strict=True))
    return Clip(f"{speaker}_{name}" if speaker else name, speaker, sentence=" ".join(words))


READER = Reader(entries=named(read), words=str)
