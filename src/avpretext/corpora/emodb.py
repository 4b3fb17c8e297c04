"""EmoDB, the Berlin Database of Emotional Speech: 10 actors, 10 German sentences, seven emotions, audio only.

Names are `03a01Fa`: speaker, sentence, emotion (W L E A F T N, the initial of the German word), version. The files lie
in `wav`; any folder will do.

Sources: Burkhardt, Paeschke, Rolfes, Sendlmeier & Weiss, Interspeech 2005; names and speakers from
http://emodb.bilderbar.info; hours from EmoBox (Ma et al., Interspeech 2024). Not checked on the corpus itself. No
licence was found in these sources.
"""

import re

from avpretext.corpora.reader import Clip, Reader, acted, named, stem

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
_NAME = re.compile(rf"(\d\d)({'|'.join(SENTENCES)})([{''.join(EMOTIONS)}])[a-z]?")


def read(path: str) -> Clip | None:
    """Read a name such as `wav/03a01Fa.wav`.

    >>> read("wav/03a01Fa.wav")
    Clip(clip_id='03a01Fa', speaker='03', label='happy', sentence='a01', level=None, start_s=None, end_s=None)
    """
    name = stem(path)
    match = _NAME.fullmatch(name)
    return Clip(name, match[1], EMOTIONS[match[3]], match[2]) if match else None


READER = Reader(entries=named(read), sources=acted)
