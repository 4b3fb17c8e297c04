"""Corpora whose file names tell all of a clip: each is a row of `by_name.yaml`.

EmoDB, SAVEE, TESS, EMOVO, ESD, nEMO, BanglaSER, URDU, BAVED, ShEMO, CASIA, eNTERFACE'05.

Sources: the corpora's own pages, named in each row; the lists of names and the programs that read them in EmoBox,
github.com/emo-box/EmoBox at 08280f2, and nkululeko, github.com/felixbur/nkululeko at a1e2bd1. Every name in these lists
is read, with the label that the list has. `published.yaml` says which corpora were seen on real files.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from avpretext import yaml_files
from avpretext.corpora.reader import Clip, Person, Reader, SpeakerFold, acted, named, stem, without_extension

FILE = "by_name.yaml"
_SPAN = re.compile(r"(\D*)(\d+)-\1(\d+)(?:/(\d+))?")


@dataclass(frozen=True)
class Row:
    """How a corpus names its files.

    Attributes
    ----------
    pattern
        Of the path without extension, below any folders; `{speaker}` and so on stand for any of the codes below. A
        group `subject`, if it matches, is the speaker instead.
    labels
        Code to label.
    speakers, female, male
        Codes of speakers, by sex where it is known.
    sentences, levels
        Codes of what is said; code to how strongly.
    clip_id
        Groups that make the clip_id, joined by `_`; empty for the name of the file.
    ages
        Of speakers, in years.
    words
        What is said, `{}` for the sentence.
    emobox
        Test speakers of each of EmoBox's folds (Ma et al., Interspeech 2024).
    """

    pattern: str
    labels: Mapping[str, str]
    speakers: Sequence[str] = ()
    female: Sequence[str] = ()
    male: Sequence[str] = ()
    sentences: Sequence[str] = ()
    levels: Mapping[str, str] = field(default_factory=dict)
    clip_id: Sequence[str] = ()
    ages: Mapping[str, int] = field(default_factory=dict)
    words: str = ""
    emobox: Sequence[Sequence[str]] = ()


def codes(spans: Iterable[str]) -> list[str]:
    """Return codes, spans of them spelt out.

    >>> codes(["M08-M10", "0001", "02-06/2"])
    ['M08', 'M09', 'M10', '0001', '02', '04', '06']
    """
    found = []
    for span in spans:
        if (match := _SPAN.fullmatch(span)) is None:
            found.append(span)
            continue
        letters, first, last, step = match.groups()
        numbers = range(int(first), int(last) + 1, int(step or 1))
        width = len(first) if first.startswith("0") and first != "0" else 0
        found += [f"{letters}{number:0{width}d}" for number in numbers]
    return found


def reader_of_row(row: Row) -> Reader:
    """Return the reader of a corpus."""
    people = _people(row)
    return Reader(
        entries=named(_reading(row, [*people])),
        sources=acted,
        people=lambda options: {name: person for name, person in people.items() if person != Person()},
        protocols={"emobox": tuple(SpeakerFold(tuple(fold)) for fold in row.emobox)} if row.emobox else {},
        words=lambda sentence: row.words.format(sentence) or None,
    )


def _people(row: Row) -> dict[str, Person]:
    by_sex = {"female": row.female, "male": row.male, None: row.speakers}
    return {name: Person(sex, row.ages.get(name)) for sex, spans in by_sex.items() for name in codes(spans)}


def _reading(row: Row, speakers: Sequence[str]) -> Callable[[str], Clip | None]:
    """Return what makes a clip of a path, None of a name that is not the corpus's."""
    of_code = {"speaker": speakers, "label": row.labels, "sentence": row.sentences, "level": row.levels}
    text = row.pattern
    for name, known in of_code.items():
        text = text.replace(f"{{{name}}}", f"(?P<{name}>{'|'.join(map(re.escape, known))})")
    pattern = re.compile(f"(?:.*?/)??{text}")

    def read(path: str) -> Clip | None:
        match = pattern.fullmatch(without_extension(path))
        if match is None:
            return None
        found = match.groupdict()
        found["speaker"] = found.get("subject") or found["speaker"]
        name = "_".join(found[group] for group in row.clip_id if found[group]) or stem(path)
        level = row.levels.get(found.get("level") or "")
        return Clip(name, found["speaker"], row.labels[found["label"]], found.get("sentence"), level)

    return read


_ROWS = {name: Row(**row) for name, row in yaml_files.of_package("avpretext.corpora.readers", FILE).items()}
LABELS: Mapping[str, frozenset[str]] = {name: frozenset(row.labels.values()) for name, row in _ROWS.items()}
"""Reader to the labels that names of its corpus tell."""

READERS: Mapping[str, Reader] = {name: reader_of_row(row) for name, row in _ROWS.items()}
"""Name to reader, of the rows of `by_name.yaml`."""
