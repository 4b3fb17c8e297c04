"""EmoDB, the Berlin Database of Emotional Speech: 10 actors, 10 German sentences, seven emotions, audio only.

Names are `03a01Fa`: speaker, sentence, emotion (W L E A F T N, the initial of the German word), version. The files lie
in `wav`; any folder will do.

Sources: Burkhardt, Paeschke, Rolfes, Sendlmeier & Weiss, Interspeech 2005; names and speakers from
http://emodb.bilderbar.info; hours from EmoBox (Ma et al., Interspeech 2024). Not checked on the corpus itself. No
licence was found in these sources.
"""

import re

from avpretext.config import CorpusOptions
from avpretext.corpora.reader import Clip, Person, Reader, acted, named, stem

EMOTIONS = {
    "W": "angry",  # Wut, also Aerger
    "L": "boredom",  # Langeweile
    "E": "disgust",  # Ekel
    "A": "fear",  # Angst
    "F": "happy",  # Freude
    "T": "sad",  # Trauer
    "N": "neutral",
}
SENTENCES = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
SPEAKERS = {
    "03": Person("male", 31),
    "08": Person("female", 34),
    "09": Person("female", 21),
    "10": Person("male", 32),
    "11": Person("male", 26),
    "12": Person("male", 30),
    "13": Person("female", 32),
    "14": Person("female", 35),
    "15": Person("male", 25),
    "16": Person("female", 31),
}
_NAME = re.compile(rf"(\d\d)({'|'.join(SENTENCES)})([{''.join(EMOTIONS)}])[a-z]?")


def read(path: str) -> Clip | None:
    """Read a name such as `wav/03a01Fa.wav`.

    >>> read("wav/03a01Fa.wav")
    Clip(clip_id='03a01Fa', speaker='03', label='happy', sentence='a01', level=None, start_s=None, end_s=None)
    """
    name = stem(path)
    match = _NAME.fullmatch(name)
    return Clip(name, match[1], EMOTIONS[match[3]], match[2]) if match else None


def people(options: CorpusOptions) -> dict[str, Person]:
    """Return sex and age of the speakers, as the corpus's page lists them."""
    return SPEAKERS


READER = Reader(entries=named(read), sources=acted, people=people)
