"""RAVDESS: 24 actors, two statements, eight emotions (Livingstone & Russo, 2018; CC BY-NC-SA 4.0).

Names are `03-01-05-02-01-01-12`: modality (01 audio and video, 02 video only, 03 audio only), channel (01 speech,
02 song), emotion, intensity, statement, repetition, actor. Speech alone is read; video from modality 01, audio from
modality 03 or, where there is none, from the sound of 01.
"""

import re
from collections.abc import Iterable

from avpretext.corpora.reader import Clip, Reader, by_kind, stem

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_NAME = re.compile(r"(0[123])-(0[12])-0([1-8])-0([12])-0([12])-0[12]-(\d\d)")
_LEVELS = ("normal", "strong")
_STATEMENTS = ("kids", "dogs")
"""Kids are talking by the door; dogs are sitting by the door."""
_SONG = "02"


def read(path: str) -> Clip | None:
    """Read a name such as `Actor_12/03-01-05-02-01-01-12.wav`."""
    name = stem(path)
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    emotion, intensity, statement = (int(part) - 1 for part in match.group(3, 4, 5))
    return Clip(name, match[6], EMOTIONS[emotion], _STATEMENTS[statement], _LEVELS[intensity])


def select(paths: Iterable[str], video: bool) -> list[str]:
    """Select speech of the wanted modality; names that are not RAVDESS's stay, to be refused by name."""
    files = [(path, _NAME.fullmatch(stem(path))) for path in by_kind(paths, video)]
    speech = [(path, match[1] if match else None) for path, match in files if not match or match[2] != _SONG]
    wanted = "01" if video or not any(modality == "03" for _, modality in speech) else "03"
    return [path for path, modality in speech if modality in (wanted, None)]


READER = Reader(read=read, select=select, targets=("acted",))
