"""Which readers know the names of a corpus's files: two corpora may lay their names out alike, with other meanings."""

from collections.abc import Sequence

from avpretext.config import CorpusOptions
from avpretext.corpora.checks.headers import spread
from avpretext.corpora.findings import Finding
from avpretext.corpora.reader import by_kind
from avpretext.corpora.readers import ANY_CORPUS, READERS
from avpretext.errors import UserError

SAMPLE = 2000
"""Files whose names are tried on every reader."""

ANY_NAME = "folder"
"""The reader that takes files of any name."""


def known_names(files: Sequence[str], path: str, video: bool) -> dict[str, int]:
    """Return how many of some files, evenly spread, each reader knows by name, with the tables at `path`; none is 0.

    `files` are relative to the folder of the corpus, sorted. Parts are all that a corpus has.
    """
    some, found = spread(files, SAMPLE), {}
    for name, reader in READERS.items():
        options = CorpusOptions(path=path, reader=name, use=["pretrain"], video=video, parts=list(reader.parts))
        try:
            entries = [] if name == ANY_NAME else reader.entries(options, some)
        except (UserError, OSError):  # it needs tables that are not in the folder
            continue
        named = {entry.path for entry in entries if entry.clip is not None and entry.refusal is None}
        if named:
            found[name] = len(named)
    return found


def findings(options: CorpusOptions, files: Sequence[str]) -> list[Finding]:
    """Return that names are those of another corpus: wrong where it has more of them than the chosen one."""
    if options.reader not in READERS or options.reader in ANY_CORPUS:
        return []
    video = options.video and bool(by_kind(files, True))
    # A database lists files whatever their names are: that says nothing against the reader of these names.
    known = {name: n for name, n in known_names(files, options.path, video).items() if name not in ANY_CORPUS}
    own, looked_at = known.pop(options.reader, 0), len(by_kind(spread(files, SAMPLE), video))
    found = []
    for name, number in sorted(known.items(), key=lambda entry: (-entry[1], entry[0])):
        if number >= own > 0:
            words = f"of {looked_at:,} names, {name} knows {number:,} and {options.reader} {own:,}"
            meaning = f"{words}: the same names mean other speakers and labels there"
            found.append(Finding("other_reader", meaning, wrong=number > own))
    return found
