"""pocketsphinx: words of a dictionary, phones aligned to a known sentence or recognised without one.

A decoder remembers: of 40 clips, 17 aligned differently when one decoder took them in the opposite order, even with
noise removal and mean normalisation off. So each clip gets a decoder of its own; with the words of its sentence alone
that takes 6 ms. The interpreter's lock is held while it works: threads would gain nothing, shards do.
"""

import functools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pocketsphinx
from numpy.typing import NDArray

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.errors import UserError, nearest
from avpretext.orofacial.visemes import PHONES, SILENCE, Interval
from avpretext.refusal import Refusal

_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'"})
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*'?")
_VARIANT = re.compile(r"\(\d+\)$")

MODEL = "en-us"

FRAME_S = 0.01

BOUNDARY_S = (0.025625 - FRAME_S) / 2
"""Frame k is of the 25.6 ms from k * 10 ms on: midway between its centre and that of the frame before it."""

SCORE = 1024 * math.log(1.0001)
"""Scores are logarithms to the base 1.0001, shifted by ten bits."""

SILENT = 33
"""-60 dB: where no 16 bit sample is larger, nobody speaks."""

LONGEST_S = 120.0
"""The memory of an alignment grows with the square of the clip's length; for two minutes it is 0.4 GB."""

_COMMON = {
    "samprate": SAMPLE_RATE_HZ,
    "dither": False,
    "seed": 1,
    "cmn": "batch",
    # The lattice gives phones fewer frames than they have states (pocketsphinx #500): a quarter of the clips failed.
    "bestpath": False,
    "loglevel": "FATAL",
}
_LOOP = {"lw": 2.0, "pip": 0.3, "beam": 1e-20, "pbeam": 1e-20}
"""For recognising phones: weights and beams that pocketsphinx's own documentation names."""


class Dictionary:
    """Words and how they are pronounced: CMUdict, and a user's own dictionary in its format, if one is named.

    That has a word and its phones on each line, stress or not; its pronunciations are added. It is an error if the file
    is missing, or if a line is no word with phones; the message names the line.
    """

    def __init__(self, path: str | None = None) -> None:
        self._own: dict[str, list[str]] = {}
        for word, phones in _own(path) if path else ():
            self._own.setdefault(word, []).append(phones)

    def __contains__(self, word: str) -> bool:
        return word in self._own or word in _bundled()

    def pronunciations(self, word: str) -> list[str]:
        """Return the pronunciations of a word, the usual one first, as phones with spaces between them."""
        return list(dict.fromkeys([*_bundled().get(word, ()), *self._own.get(word, ())]))

    def words_of(self, text: str | None) -> list[str] | Refusal:
        """Return the words of a text as the dictionary writes them, or why it cannot be aligned.

        >>> Dictionary().words_of("It’s eleven o'clock; a T.V.-set.")
        ["it's", 'eleven', "o'clock", 'a', 't', 'v', 'set']
        """
        found = _WORD.findall((text or "").lower().translate(_APOSTROPHES))
        # An apostrophe at the end is a quotation mark, unless the word is listed with it.
        found = [word if word in self else word.rstrip("'") for word in found]
        if not found:
            return Refusal("no_text", "the corpus does not say what is spoken")
        unknown = sorted({word for word in found if word not in self})
        if unknown:
            return Refusal("unknown_word", f"{', '.join(map(repr, unknown))}: add it to a file named phones.dictionary")
        return found


@functools.cache
def _bundled() -> dict[str, list[str]]:
    """Return CMUdict as pocketsphinx brings it: 126,000 words, phones without stress."""
    words: dict[str, list[str]] = {}
    for line in Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")).read_text("utf-8").splitlines():
        word, phones = line.split(" ", 1)
        words.setdefault(_VARIANT.sub("", word), []).append(phones)
    return words


def _own(path: str) -> Iterator[tuple[str, str]]:
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"phones.dictionary = {path!r}: cannot be read ({error}); null: CMUdict alone") from None
    for number, line in enumerate(lines, 1):
        word, *phones = line.split() or [""]
        if not word or word.startswith((";;;", "#")):
            continue
        phones = [phone.upper().rstrip("012") for phone in phones]
        if not phones:
            raise UserError(f"{path}: line {number}: {word!r} has no phones; expected e.g. 'hello HH AH L OW'")
        for phone in phones:
            if phone not in PHONES or phone == SILENCE:
                raise UserError(f"{path}: line {number}: {phone!r} is no phone of CMUdict{nearest(phone, PHONES)}")
        yield _VARIANT.sub("", word.lower()), " ".join(phones)


class Word(NamedTuple):
    """A word as it was said, and its phones; silence between words is a word too."""

    name: str
    phones: list[Interval]


def align(signal: NDArray[np.int16], words: Sequence[str], dictionary: Dictionary) -> list[Word] | Refusal:
    """Return the words of a clip, (samples,) at 16 kHz, in order, or why it does not align.

    All words of the sentence are in the dictionary; pocketsphinx chooses among the pronunciations of a word.
    """
    if refusal := refuse(signal):
        return refusal
    decoder = pocketsphinx.Decoder(dict=None, lm=None, **_COMMON)
    for word in sorted(set(words)):
        for number, phones in enumerate(dictionary.pronunciations(word), 1):
            decoder.add_word(word if number == 1 else f"{word}({number})", phones, True)
    try:
        decoder.set_align_text(" ".join(words))
        _process(decoder, signal)
        # The first pass finds words; only a second one, within them, finds phones.
        decoder.set_alignment()
        _process(decoder, signal)
    except RuntimeError:
        return Refusal("no_alignment", f"the sound does not fit {' '.join(words)!r}")
    # An entry points into the alignment without holding it: it must be read while the alignment is there.
    alignment = decoder.get_alignment()
    return [Word(word.name, list(_phones(word))) for word in alignment]


def recognise(signal: NDArray[np.int16]) -> list[Interval] | Refusal:
    """Return the phones that pocketsphinx finds without knowing what is spoken."""
    if refusal := refuse(signal):
        return refusal
    model = pocketsphinx.get_model_path(f"{MODEL}/{MODEL}-phone.lm.bin")
    decoder = pocketsphinx.Decoder(dict=None, allphone=model, **_LOOP, **_COMMON)
    _process(decoder, signal)
    return [
        Interval(_time(heard.start_frame), _time(heard.end_frame + 1), _phone(heard.word))
        for heard in decoder.seg() or ()
    ]


def refuse(signal: NDArray[np.int16]) -> Refusal | None:
    """Return why a clip cannot have phones: it is silent, or too long."""
    if not len(signal) or int(np.abs(signal.astype(np.int32)).max()) < SILENT:
        return Refusal("silent", "no sample is above -60 dB of full scale")
    if len(signal) > LONGEST_S * SAMPLE_RATE_HZ:
        seconds = len(signal) / SAMPLE_RATE_HZ
        return Refusal("no_alignment", f"{seconds:.0f} s, at most {LONGEST_S:.0f} s can be aligned: cut it into clips")
    return None


def _process(decoder: Any, signal: NDArray[np.int16]) -> None:
    decoder.start_utt()
    decoder.process_raw(signal.tobytes(), full_utt=True)
    decoder.end_utt()


def _phones(word: Iterable[Any]) -> Iterator[Interval]:
    for entry in word:
        confidence = min(1.0, math.exp(SCORE * entry.score / max(entry.duration, 1)))
        yield Interval(_time(entry.start), _time(entry.start + entry.duration), _phone(entry.name), confidence)


def _time(frame: int) -> float:
    """Return when a frame begins, in seconds; the first one at 0.

    >>> _time(0), round(_time(10), 4)
    (0.0, 0.1078)
    """
    return frame * FRAME_S + BOUNDARY_S if frame else 0.0


def _phone(name: str) -> str:
    """Return the phone of `visemes.PHONES`; noise, breath and fillers are silence."""
    return name if name in PHONES else SILENCE
