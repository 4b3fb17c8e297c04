"""Other people's names of phones, as `visemes.PHONES`: ARPABET with stress, TIMIT, Kaldi, and IPA as espeak-ng has it.

A sound that ARPABET writes as two phones is split into halves. Vowels that American English lacks get the phone that
CMUdict has in the same words: British `ɒ` (lot) AA, `əʊ` (goat) OW, Scottish `ʉ` (goose, foot) UW; `eə` without an r
that is spoken (square) EH. The table of IPA covers all that espeak-ng says in the demo's sentences in its accents.
"""

import re

from avpretext.orofacial.visemes import PHONES, SILENCE

SILENCES = frozenset({
    "", "sil", "sp", "spn", "nsn", "pau", "pause", "noise", "breath", "br", "ns", "lg", "h#", "#", "epi", "<eps>",
    "<p:>", "<sil>", "<s>", "</s>", "<unk>", "[noise]", "[speech]", "+nsn+", "+spn+", "_", "-",
})  # fmt: skip
"""What silence, breath and noise are called, in small letters."""

VARIANTS = {
    "AX": "AH", "AXR": "ER", "AX-H": "AH", "IX": "IH", "UX": "UW", "DX": "T", "NX": "N", "HV": "HH", "H": "HH",
    "EL": "AH L", "EM": "AH M", "EN": "AH N", "ENG": "IH NG", "WH": "W", "Q": "T",
    "BCL": "B", "DCL": "D", "GCL": "G", "PCL": "P", "TCL": "T", "KCL": "K",
}  # fmt: skip
"""ARPABET beyond CMUdict, as TIMIT has it; a closure is part of its stop."""

IPA = {
    "p": "P", "t": "T", "k": "K", "b": "B", "d": "D", "ɡ": "G", "g": "G", "ʔ": "T", "ɾ": "T",
    "m": "M", "n": "N", "ŋ": "NG", "f": "F", "v": "V", "θ": "TH", "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH",
    "x": "K", "h": "HH", "tʃ": "CH", "dʒ": "JH", "l": "L", "ɫ": "L", "r": "R", "ɹ": "R", "j": "Y", "ʲ": "Y", "w": "W",
    "ʍ": "W",
    "i": "IY", "iː": "IY", "ɪ": "IH", "ᵻ": "IH", "e": "EY", "eː": "EY", "eɪ": "EY", "ɛ": "EH", "ɛː": "EH", "eə": "EH",
    "æ": "AE", "a": "AE", "aː": "AA", "a:": "AA", "ɑ": "AA", "ɑː": "AA", "ɒ": "AA", "ɔ": "AO", "ɔː": "AO", "o": "AO",
    "oː": "OW", "oʊ": "OW", "əʊ": "OW", "ʊ": "UH", "u": "UW", "uː": "UW", "ʉ": "UW", "ʉː": "UW", "ʌ": "AH", "ə": "AH",
    "ɐ": "AH", "ɚ": "ER", "ɝ": "ER", "ɜ": "ER", "ɜː": "ER", "ʌɹ": "ER", "aɪ": "AY", "aʊ": "AW", "ʌʉ": "AW", "ɔɪ": "OY",
    "iə": "IY AH", "ɪə": "IY AH", "ʊə": "UH AH", "aɪə": "AY AH", "aɪɚ": "AY ER", "aʊə": "AW AH", "əl": "AH L",
    "ɛɹ": "EH R", "eəɹ": "EH R", "ɪɹ": "IH R", "iːɹ": "IY R", "ʊɹ": "UH R", "ʉɹ": "UH R", "ɑːɹ": "AA R", "ɔːɹ": "AO R",
    "oːɹ": "AO R",
}  # fmt: skip
"""IPA without stress marks."""

_ARPABET = re.compile(r"([A-Za-z]+(?:-H|-h)?)[012]?(?:_[BIES])?")


def phones_of(label: str) -> tuple[str, ...] | None:
    """Return the phones of `visemes.PHONES` that a label means, or None.

    >>> phones_of("AH0_B"), phones_of("sp"), phones_of("ˈɔːɹ"), phones_of("en"), phones_of("qu")
    (('AH',), ('SIL',), ('AO', 'R'), ('AH', 'N'), None)
    """
    name = label.strip()
    if name.lower() in SILENCES:
        return (SILENCE,)
    if name.lstrip("ˈˌ") in IPA:
        return tuple(IPA[name.lstrip("ˈˌ")].split())
    match = _ARPABET.fullmatch(name)
    if match is None:
        return None
    phone = match[1].upper()
    if phone in PHONES:
        return (phone,)
    return tuple(VARIANTS[phone].split()) if phone in VARIANTS else None
