"""RAVDESS: 24 actors, two statements, eight emotions, spoken and sung (Livingstone & Russo, 2018; CC BY-NC-SA 4.0).

Names are `03-01-05-02-01-01-12`: modality (01 audio and video, 02 video only, 03 audio only), channel (01 speech,
02 song), emotion, intensity, statement, repetition, actor; files lie in `Actor_01` ... `Actor_24`. The parts are
`speech` and `song`; actor 18 does not sing, and songs have no disgust and no surprise. Video is read from modality 01,
audio from modality 03 or, where there is none, from the sound of 01.

Sources: https://doi.org/10.1371/journal.pone.0196391, https://zenodo.org/record/1188976; hours of speech from EmoBox
(Ma et al., Interspeech 2024). Checked on 944 audio files of speech.
"""

import re
from collections.abc import Sequence

from avpretext.config import CorpusOptions
from avpretext.corpora.reader import Clip, Person, Reader, SpeakerFold, acted, by_kind, named, parts_of, stem

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
CHANNELS = {"speech": "01", "song": "02"}
PARTS = tuple(CHANNELS)
_NAME = re.compile(r"(0[123])-(?!02-0[78]|..-01-02)(0[12])-0([1-8])-0([12])-0([12])-0[12]-(0[1-9]|1\d|2[0-4])")
"""Songs have no disgust and no surprise, neutral has one intensity, and there are 24 actors."""

_LEVELS = ("normal", "strong")
_STATEMENTS = {"kids": "Kids are talking by the door.", "dogs": "Dogs are sitting by the door."}


def read(path: str) -> Clip | None:
    """Read a name such as `Actor_12/03-01-05-02-01-01-12.wav`."""
    name = stem(path)
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    emotion, intensity, statement = (int(part) - 1 for part in match.group(3, 4, 5))
    return Clip(name, match[6], EMOTIONS[emotion], tuple(_STATEMENTS)[statement], _LEVELS[intensity])


def select(paths: Sequence[str], options: CorpusOptions) -> list[str]:
    """Select the chosen parts in the wanted modality; names that are not RAVDESS's stay, to be refused by name."""
    codes = {path: match.group(1, 2) for path in paths if (match := _NAME.fullmatch(stem(path)))}
    chosen = [path for path in by_kind(paths, options.video) if path not in codes]
    for part in parts_of(options, PARTS):
        files = by_kind((path for path, (_, channel) in codes.items() if channel == CHANNELS[part]), options.video)
        modality = "03" if not options.video else "01" if options.audio else "02"
        wanted = [path for path in files if codes[path][0] == modality]
        there = {stem(path)[2:] for path in wanted}
        chosen += wanted + [path for path in files if codes[path][0] == "01" and stem(path)[2:] not in there]
    return sorted(chosen)


EMOBOX = ((1, 11, 20, 21), (4, 10, 12, 14), (8, 9, 19, 23), (3, 5, 7, 24), (2, 15, 16, 18), (6, 13, 17, 22))
"""Test actors of EmoBox's folds (Ma et al., Interspeech 2024)."""


def people(options: CorpusOptions) -> dict[str, Person]:
    """Return the sex of the actors: those with odd numbers are male."""
    return {f"{actor:02d}": Person("male" if actor % 2 else "female") for actor in range(1, 25)}


READER = Reader(
    entries=named(read, select),
    parts=PARTS,
    sources=acted,
    people=people,
    words=_STATEMENTS.get,
    protocols={"emobox": tuple(SpeakerFold(tuple(f"{actor:02d}" for actor in actors)) for actors in EMOBOX)},
)
