"""The readers of corpora by the names that the config uses: those that come with the package, and the user's own."""

import importlib
import os
import sys
from collections.abc import Mapping

from avpretext.config import CorpusOptions
from avpretext.corpora import crema_d, emodb, folder, grid, mead, msp_face, msp_podcast, ravdess
from avpretext.corpora.reader import Reader
from avpretext.errors import UserError, nearest

READERS: Mapping[str, Reader] = {
    "crema_d": crema_d.READER,
    "ravdess": ravdess.READER,
    "msp_podcast": msp_podcast.READER,
    "msp_face": msp_face.READER,
    "emodb": emodb.READER,
    "mead": mead.READER,
    "grid": grid.READER,
    "folder": folder.READER,
}
"""Name to reader."""


def reader_of(options: CorpusOptions) -> Reader:
    """Return the reader that the config names.

    Raises
    ------
    UserError
        No reader has this name; a reader of the user's own, `my_package.module:NAME`, cannot be imported.
    """
    name = options.reader
    if ":" in name:
        return _own_reader(name)
    if name not in READERS:
        raise UserError(
            f"reader: {name!r}; expected one of {', '.join(READERS)}, or my_package.module:NAME{nearest(name, READERS)}"
        )
    return READERS[name]


def _own_reader(name: str) -> Reader:
    """Import a reader of the user's own; modules are sought in the current folder too, that of the project."""
    module_name, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever a module of the user's raises
        raise UserError(
            f"reader: {name!r}: the module {module_name!r} cannot be imported ({type(error).__name__}: {error}); it is"
            f" sought in {os.getcwd()} and among the installed packages: correct corpora.NAME.reader, or the module"
        ) from None
    found = getattr(module, attribute, None)
    if isinstance(found, Reader):
        return found
    known = [key for key, value in vars(module).items() if isinstance(value, Reader)]
    fix = f"it has {', '.join(known)}" if known else "make one by avpretext.corpora.reader.Reader(...)"
    what = f"is of the type {type(found).__name__}" if hasattr(module, attribute) else "is not there"
    raise UserError(f"reader: {name!r}: {attribute!r} of {module_name!r} {what}; a Reader is expected: {fix}")
