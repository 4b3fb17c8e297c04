"""MEAD: 60 actors, eight emotions at three levels, filmed from seven sides at once.

Each actor is a folder, `M003` or `W009`. Videos are `M003/video/front/angry/level_1/001.mp4`, audio is
`M003/audio/angry/level_1/001.m4a`; copies without the folder `video` are read too. A part is a view. With `video:
false` the audio is read, which has no view, or the sound of the videos where there is none.

Sources: Wang et al., ECCV 2020; https://wywu.github.io/projects/MEAD/MEAD.html and https://github.com/uniBruce/Mead
for actors and folders; names of views, emotions and files from public code that reads the corpus. Not checked on the
corpus itself: how many clips each actor has, and whether every video has its sound.
"""

import re
from collections.abc import Sequence

from avpretext.config import CorpusOptions
from avpretext.corpora.reader import Clip, Person, Reader, acted, by_kind, named, parts_of, within, without_extension

VIEWS = ("front", "left_30", "left_60", "right_30", "right_60", "down", "top")
EMOTIONS = ("angry", "contempt", "disgusted", "fear", "happy", "neutral", "sad", "surprised")
_NAME = re.compile(
    rf"(?:.*/)?([MW]\d{{3}})/(?:video/)?({'|'.join(VIEWS)}|audio)/({'|'.join(EMOTIONS)})/level_([123])/(\d{{3}})"
)


def read(path: str) -> Clip | None:
    """Read a path such as `M003/video/front/angry/level_1/001.mp4`; the sentence is its number.

    >>> read("M003/audio/angry/level_1/001.m4a").clip_id
    'M003_audio_angry_level_1_001'
    """
    match = _NAME.fullmatch(without_extension(path))
    if match is None:
        return None
    speaker, view, emotion, level, sentence = match.groups()
    return Clip(f"{speaker}_{view}_{emotion}_level_{level}_{sentence}", speaker, emotion, sentence, level)


def select(files: Sequence[str], options: CorpusOptions) -> list[str]:
    """Select the chosen views, or the audio; see the module's description."""
    views = parts_of(options, VIEWS)
    audio = [] if options.video else by_kind(within(files, "audio"), False)
    names = ((path, _NAME.fullmatch(without_extension(path))) for path in by_kind(files, options.video))
    return audio or [path for path, match in names if match is None or match[2] in views]


def people(options: CorpusOptions) -> dict[str, Person]:
    """Return the sex of the actors, which is the letter of their names: M for men, W for women."""
    sexes = {"M": "male", "W": "female"}
    return {f"{letter}{number:03d}": Person(sex) for letter, sex in sexes.items() for number in range(1, 100)}


READER = Reader(entries=named(read, select), parts=VIEWS, sources=acted, people=people)
