"""GRID: 34 speakers, 1,000 command sentences each, without emotion (Cooke et al., 2006).

Names are `bbaf2n`: command, colour, preposition, letter, digit, adverb. The speaker is the folder `s1` ... `s34` that
the file lies in, as the corpus is distributed; without one it is unknown.
"""

import re
from pathlib import PurePosixPath

from avpretext.corpora.reader import Clip, Reader, by_kind, stem

_COMMANDS = {"b": "bin", "l": "lay", "p": "place", "s": "set"}
_COLOURS = {"b": "blue", "g": "green", "r": "red", "w": "white"}
_PREPOSITIONS = {"a": "at", "b": "by", "i": "in", "w": "with"}
_DIGITS = {"z": "zero", "1": "one", "2": "two", "3": "three", "4": "four"}
_DIGITS |= {"5": "five", "6": "six", "7": "seven", "8": "eight", "9": "nine"}
_ADVERBS = {"a": "again", "n": "now", "p": "please", "s": "soon"}
_NAME = re.compile("([blps])([bgrw])([abiw])([a-vx-z])([z1-9])([anps])")
_SPEAKER = re.compile(r"s\d{1,2}")


def read(path: str) -> Clip | None:
    """Read a name such as `s1/bbaf2n.mpg`; speakers share sentences, so the clip_id has the speaker before it.

    >>> read("s1/bbaf2n.mpg")
    Clip(clip_id='s1_bbaf2n', speaker='s1', label=None, sentence='bin blue at f two now', level=None)
    """
    name = stem(path)
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    speaker = next((part for part in PurePosixPath(path).parts[:-1] if _SPEAKER.fullmatch(part)), None)
    return Clip(f"{speaker}_{name}" if speaker else name, speaker, sentence=_sentence(*match.groups()))


def _sentence(command: str, colour: str, preposition: str, letter: str, digit: str, adverb: str) -> str:
    words = (_COMMANDS[command], _COLOURS[colour], _PREPOSITIONS[preposition], letter, _DIGITS[digit], _ADVERBS[adverb])
    return " ".join(words)


READER = Reader(read=read, select=by_kind)
