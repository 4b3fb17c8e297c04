"""The readers of corpora by the names that the config uses: those that come with the package, and the user's own."""

import sys
from collections.abc import Mapping
from dataclasses import replace

from avpretext import own_code, yaml_files
from avpretext.config import CorpusOptions
from avpretext.corpora.reader import Published, Reader
from avpretext.corpora.readers import (
    by_name,
    cmu_mosei,
    crema_d,
    folder,
    from_audformat,
    from_emobox,
    grid,
    iemocap,
    mead,
    meld,
    msp_face,
    msp_improv,
    msp_podcast,
    ravdess,
)
from avpretext.errors import UserError, nearest

_READERS = {
    "crema_d": crema_d.READER,
    "ravdess": ravdess.READER,
    "msp_podcast": msp_podcast.READER,
    "msp_face": msp_face.READER,
    "msp_improv": msp_improv.READER,
    "iemocap": iemocap.READER,
    "meld": meld.READER,
    "cmu_mosei": cmu_mosei.READER,
    **by_name.READERS,
    "mead": mead.READER,
    "grid": grid.READER,
    "emobox": from_emobox.READER,
    "audformat": from_audformat.READER,
    "folder": folder.READER,
}
_PUBLISHED = yaml_files.of_package("avpretext.corpora.readers", "published.yaml")

READERS: Mapping[str, Reader] = {
    name: replace(reader, published=Published(**_PUBLISHED[name])) if name in _PUBLISHED else reader
    for name, reader in _READERS.items()
}
"""Name to reader."""

ANY_CORPUS = frozenset(name for name, reader in READERS.items() if reader.published is None)
"""Readers of anybody's corpora: names of files and speakers may be those of any other corpus."""


def reader_of(options: CorpusOptions) -> Reader:
    """Return the reader that the config names; an unknown name, or one that cannot be imported, is an error."""
    name = options.reader
    if name in READERS:
        return READERS[name]
    if ":" not in name:
        raise UserError(
            f"reader: {name!r}; expected one of {', '.join(READERS)}, or my_package.module:NAME{nearest(name, READERS)}"
        )
    found = own_code.resolve(name, "corpora.NAME.reader")
    if isinstance(found, Reader):
        return found
    module = sys.modules[name.partition(":")[0]]
    known = [key for key, value in vars(module).items() if isinstance(value, Reader)]
    fix = f"the module has {', '.join(known)}" if known else "make one by avpretext.corpora.reader.Reader(...)"
    raise UserError(
        f"corpora.NAME.reader = {name!r} is of the type {type(found).__name__}; a Reader is expected: {fix}"
    )


def published_of(options: CorpusOptions) -> Published | None:
    """Return what is published of the corpus; None where its reader knows nothing, or it is synthetic."""
    return None if options.synthetic else reader_of(options).published
