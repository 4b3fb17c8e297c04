"""What is said, as words with their pronunciations: CMUdict as pocketsphinx brings it, and a user's own dictionary."""

import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pocketsphinx

from avpretext.errors import UserError, nearest
from avpretext.orofacial.visemes import PHONES, SILENCE
from avpretext.refusal import Refusal

_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'"})
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*'?")
_VARIANT = re.compile(r"\(\d+\)$")


class Dictionary:
    """Words and how they are pronounced.

    Parameters
    ----------
    path
        A user's own dictionary, in the format of CMUdict: a word and its phones on each line, stress or not. Its
        pronunciations are added to those of CMUdict. None: CMUdict alone.

    Raises
    ------
    UserError
        The file is missing, or a line is no word with phones; the message names the line.
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

    def lines(self, words: Iterable[str]) -> Iterator[str]:
        """Yield the entries of these words, each once, as pocketsphinx reads them."""
        for word in sorted(set(words)):
            for number, phones in enumerate(self.pronunciations(word), 1):
                yield f"{word} {phones}\n" if number == 1 else f"{word}({number}) {phones}\n"

    def words_of(self, text: str | None) -> list[str] | Refusal:
        """Return the words of a text as the dictionary writes them, or why it cannot be aligned.

        >>> Dictionary().words_of("It’s eleven o'clock; a T.V.-set.")
        ["it's", 'eleven', "o'clock", 'a', 't', 'v', 'set']
        """
        found = [self._listed(word) for word in _WORD.findall((text or "").lower().translate(_APOSTROPHES))]
        if not found:
            return Refusal("no_text", "the corpus does not say what is spoken")
        unknown = sorted({word for word in found if word not in self})
        if unknown:
            return Refusal("unknown_word", f"{', '.join(map(repr, unknown))}: add it to a file named phones.dictionary")
        return found

    def _listed(self, word: str) -> str:
        """Return the word without the apostrophe at its end, unless it is listed with it."""
        return word if word in self else word.rstrip("'")


@functools.cache
def _bundled() -> dict[str, list[str]]:
    """Return CMUdict as pocketsphinx brings it: 126,000 words, phones without stress."""
    words: dict[str, list[str]] = {}
    with Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")).open(encoding="utf-8") as file:
        for line in file:
            word, phones = line.rstrip("\n").split(" ", 1)
            words.setdefault(_VARIANT.sub("", word), []).append(phones)
    return words


def _own(path: str) -> Iterator[tuple[str, str]]:
    """Yield word and phones of each line of a user's dictionary."""
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
