"""pocketsphinx: phones aligned to a known sentence, or recognised without one.

A decoder remembers: of 40 clips, 17 aligned differently when one decoder took them in the opposite order, even with
noise removal and mean normalisation off. So each clip gets a decoder of its own; with a dictionary of its sentence
alone that takes 6 ms. The interpreter's lock is held while it works: threads would gain nothing, shards do.
"""

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pocketsphinx
from numpy.typing import NDArray

from avpretext.flow.schemas import SAMPLE_RATE_HZ
from avpretext.orofacial.phone_intervals import Interval
from avpretext.orofacial.phone_words import Dictionary
from avpretext.orofacial.visemes import PHONES, SILENCE
from avpretext.refusal import Refusal

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


class Word(NamedTuple):
    """A word as it was said, and its phones; silence between words is a word too."""

    name: str
    phones: list[Interval]


class Aligner:
    """Aligns clips to their words.

    Parameters
    ----------
    dictionary
        Pronunciations; pocketsphinx chooses among those of a word.
    folder
        For temporary dictionaries.
    """

    def __init__(self, dictionary: Dictionary, folder: Path) -> None:
        self.dictionary = dictionary
        self._folder = folder
        self._files: dict[tuple[str, ...], str] = {}

    def align(self, signal: NDArray[np.int16], words: Sequence[str]) -> list[Word] | Refusal:
        """Return the words of a clip, in order, or why it does not align.

        Parameters
        ----------
        signal
            Shape (samples,), 16 kHz.
        words
            What is said; all in the dictionary.
        """
        if refusal := refuse(signal):
            return refusal
        decoder = self._decoder(words, lm=None)
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

    def recognise(self, signal: NDArray[np.int16]) -> list[Interval] | Refusal:
        """Return the phones that pocketsphinx hears, without knowing what is said."""
        if refusal := refuse(signal):
            return refusal
        model = pocketsphinx.get_model_path(f"{MODEL}/{MODEL}-phone.lm.bin")
        decoder = self._decoder(["a"], allphone=model, **_LOOP)
        _process(decoder, signal)
        return [
            Interval(_time(heard.start_frame), _time(heard.end_frame + 1), _phone(heard.word))
            for heard in decoder.seg() or ()
        ]

    def _decoder(self, words: Sequence[str], **options: Any) -> Any:
        """Return a fresh decoder that knows these words."""
        known = tuple(sorted(set(words)))
        if known not in self._files:
            file = self._folder / f"{len(self._files)}.dict"
            file.write_text("".join(self.dictionary.lines(known)), "utf-8")
            self._files[known] = str(file)
        return pocketsphinx.Decoder(dict=self._files[known], **_COMMON, **options)


@contextmanager
def open_aligner(dictionary: Dictionary) -> Iterator[Aligner]:
    """Give an aligner; its temporary files are removed at the end."""
    with tempfile.TemporaryDirectory(prefix="avpretext-") as folder:
        yield Aligner(dictionary, Path(folder))


def refuse(signal: NDArray[np.int16]) -> Refusal | None:
    """Return why a clip cannot have phones: it is silent, or too long."""
    if not len(signal) or int(np.abs(signal.astype(np.int32)).max()) < SILENT:
        return Refusal("silent", "no sample is above -60 dB of full scale")
    if len(signal) > LONGEST_S * SAMPLE_RATE_HZ:
        seconds = len(signal) / SAMPLE_RATE_HZ
        return Refusal("no_alignment", f"{seconds:.0f} s, at most {LONGEST_S:.0f} s can be aligned: cut it into clips")
    return None


def _process(decoder: Any, signal: NDArray[np.int16]) -> None:
    """Run a whole clip through a decoder."""
    decoder.start_utt()
    decoder.process_raw(signal.tobytes(), full_utt=True)
    decoder.end_utt()


def _phones(word: Iterable[Any]) -> Iterator[Interval]:
    """Yield the phones of an aligned word with their times and confidences."""
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
