"""Times of phones or words that other tools wrote (TextGrid, CTM, GRID's .align), and their names of phones.

A clip's file is named like the clip_id, or like the clip's media file; of several, the one is taken that lies in
folders of the same names (GRID has a `bbaf2n` of most speakers). A CTM may hold many clips; their ids are its first
column. `phone_labels.yaml` has what phones are called elsewhere.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from avpretext import yaml_files
from avpretext.errors import UserError, expect_folder, raise_fault
from avpretext.names import nfc
from avpretext.orofacial.visemes import PHONES, SILENCE, Interval
from avpretext.refusal import Refusal

EXTENSIONS = (".textgrid", ".ctm", ".align")
GRID_HZ = 25_000
"""GRID's .align files count samples at 25 kHz, whatever the rate of the sound at hand."""

_TABLES = yaml_files.of_package("avpretext.orofacial", "phone_labels.yaml")
SILENCES = frozenset(_TABLES["silence"])
"""What silence, breath and noise are called, in small letters."""

VARIANTS, IPA = (
    {name: phones for phones, names in _TABLES[table].items() for name in names} for table in ("arpabet", "ipa")
)
"""Name: phones of `visemes.PHONES`; of ARPABET beyond CMUdict, and of IPA without stress marks."""

_ARPABET = re.compile(r"([A-Za-z]+(?:-H|-h)?)[012]?(?:_[BIES])?")
_TIER = re.compile(r'"IntervalTier"\s+"((?:[^"]|"")*)"\s+\S+\s+\S+\s+(\d+)\s+')
_ENTRY = re.compile(r'(\S+)\s+(\S+)\s+"((?:[^"]|"")*)"\s*')
_NUMBER_OR_TEXT = re.compile(r'"(?:[^"]|"")*"|<exists>|(?<![\w.+-])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.:\]])')
_PHONE_TIER = re.compile(r"(?:.* - )?(phones?|phonemes?|mau|segments?)", re.IGNORECASE)
_WORD_TIER = re.compile(r"(?:.* - )?(words?|ort(-mau)?)", re.IGNORECASE)


class Label(NamedTuple):
    """A stretch of time, in seconds, and its text in a file."""

    start_s: float
    end_s: float
    text: str


class Track(NamedTuple):
    """The labels of a clip in a file: its phones, or no more than its words."""

    kind: Literal["phones", "words"]
    labels: list[Label]


class Files(NamedTuple):
    """The files of a folder, by name without extension, in small letters, and the rows of all CTM files by clip."""

    named: Mapping[str, list[Path]]
    ctm: Mapping[str, list[Label]]


def open_folder(folder: str | None) -> Files:
    """Find the files of a folder, and read its CTMs.

    It is an error if the folder is not named, not there, or holds no such file, or if a CTM cannot be read.
    """
    if folder is None:
        raise UserError(
            "phones.imports = null: the backend 'import' needs the folder of the TextGrid, CTM or .align files"
        )
    expected = "expected one with TextGrid, CTM or .align files"
    expect_folder(Path(folder), expected, f"phones.imports = {folder!r}")
    files = [path for path in sorted(Path(folder).rglob("*")) if path.suffix.lower() in EXTENSIONS and path.is_file()]
    if not files:
        raise UserError(f"phones.imports = {folder!r}: no TextGrid, CTM or .align file in it; {expected}")
    named, rows = defaultdict(list), defaultdict(list)
    for path in files:
        if path.suffix.lower() == ".ctm":
            for clip, label in _ctm(path):
                rows[nfc(clip)].append(label)
        else:
            named[nfc(path.stem).lower()].append(path)
    return Files(named, {clip: sorted(labels) for clip, labels in rows.items()})


def track_of(files: Files, clip_id: str, path: str) -> Track | Refusal:
    """Return the track of a clip, or why there is none; `path` is its media file relative to the corpus."""
    path = nfc(path)
    names = [PurePosixPath(clip_id).name, PurePosixPath(path).stem]
    for name in (clip_id, *names):
        if name in files.ctm:
            return _track(files.ctm[name])
    found = list(dict.fromkeys(file for name in names for file in files.named.get(name.lower(), ())))
    if not found:
        return Refusal("no_phones", f"no file named {' or '.join(dict.fromkeys(names))} in phones.imports")
    folders = {*PurePosixPath(clip_id).parts[:-1], *PurePosixPath(path).parts[:-1]}
    shared = [len(folders & {nfc(part) for part in file.parts[:-1]}) for file in found]
    if shared.count(max(shared)) > 1:
        return Refusal("no_phones", f"several files in phones.imports could be meant, among them {found[0].name}")
    return _read(found[shared.index(max(shared))])


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


def to_phones(labels: Iterable[Label]) -> list[Interval] | Refusal:
    """Return the intervals of labels; a label that means two phones is split into halves."""
    intervals = []
    for start, end, text in labels:
        phones = phones_of(text)
        if phones is None:
            return Refusal("no_phones", f"{text!r} at {start:g} s is no phone that is known")
        step = (end - start) / len(phones)
        intervals += [Interval(start + k * step, start + (k + 1) * step, phone) for k, phone in enumerate(phones)]
    return intervals


def _track(labels: list[Label]) -> Track:
    """Return labels of phones if all are names of phones; GRID's one-letter words are not, beside longer ones."""
    return Track("phones" if all(phones_of(label.text) is not None for label in labels) else "words", labels)


def _read(path: Path) -> Track | Refusal:
    try:
        data = path.read_bytes()
        encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        text = data.decode(encoding)
        return _textgrid(text) if path.suffix.lower() == ".textgrid" else Track("words", list(_align(text)))
    except (OSError, ValueError) as error:
        if isinstance(error, OSError):
            raise_fault(error, path)
        return Refusal("no_phones", f"{path.name}: {error}")


def _textgrid(text: str) -> Track:
    """Read a TextGrid of Praat, long or short: the tier of phones, else that of words, else the only one."""
    # Names of fields ("xmin =") and numbers of items ("intervals [1]:") are left out: what stays is the short form.
    plain = " ".join(match[0] for match in _NUMBER_OR_TEXT.finditer(text))
    tiers = {}
    for tier in _TIER.finditer(plain):
        at, labels = tier.end(), []
        for _ in range(int(tier[2])):
            entry = _ENTRY.match(plain, at)
            if entry is None:
                raise ValueError(f"the tier {tier[1]!r} ends too soon")
            labels.append(Label(float(entry[1]), float(entry[2]), entry[3].replace('""', '"').strip()))
            at = entry.end()
        tiers[tier[1]] = labels
    kinds: dict[Literal["phones", "words"], re.Pattern[str]] = {"phones": _PHONE_TIER, "words": _WORD_TIER}
    for kind, named in kinds.items():
        for name, labels in tiers.items():
            if named.fullmatch(name):
                return Track(kind, labels)
    if len(tiers) == 1:
        return _track(*tiers.values())
    raise ValueError(f"no tier 'phones' or 'words' among {', '.join(map(repr, tiers)) or 'none'}")


def _align(text: str) -> Iterator[Label]:
    """Read GRID's .align: first and last sample at 25 kHz, and a word, on each line."""
    for line in text.splitlines():
        if line.strip():
            start, end, word = line.split()
            yield Label(int(start) / GRID_HZ, int(end) / GRID_HZ, word)


def _ctm(path: Path) -> Iterator[tuple[str, Label]]:
    """Yield clip and label of each row of a CTM: clip, channel, start and length in seconds, label, confidence."""
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        cells = line.split()
        if not cells or line.startswith(";;"):
            continue
        try:
            clip, _, start, length, label = cells[:5]
            yield clip, Label(float(start), float(start) + float(length), label)
        except ValueError:
            raise UserError(
                f"{path}: line {number}: {line.strip()!r}; expected clip, channel, start and length in seconds, label"
            ) from None
