"""The one exception that is the user's to mend."""

import difflib
import errno
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path


class UserError(Exception):
    """A mistake in the input: the message names the value, what was expected, and the fix.

    The command line prints it as one line, without a traceback.
    """


class MachineFault(UserError):
    """A fault of the disk, the memory or the machine: nothing is refused for it, the job fails and is tried again."""

    def __init__(self, what: object, cause: str) -> None:
        super().__init__(
            f"{what}: {cause}; this is a fault of the disk, the memory or the machine, and no file is refused for it:"
            " mend it and run the same command again"
        )


_OF_THE_FILE = frozenset(
    {
        errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM,
        errno.EINVAL, errno.EILSEQ, errno.ENXIO, errno.ESPIPE, errno.EEXIST, errno.ENOTEMPTY,
    }
)  # fmt: skip
"""Errors that a name, its permissions or the kind of a file explain."""

FAULT_TEXTS = tuple(
    os.strerror(code)
    for code in (
        errno.EIO, errno.ESTALE, errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT,
        errno.ENODEV, errno.EREMOTEIO, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH,
        errno.ENETDOWN, errno.ENETUNREACH, errno.ECONNRESET, errno.EBADMSG, errno.EUCLEAN, errno.ENOLCK,
    )
)  # fmt: skip
"""What programs write where disk, memory or machine fail; of some, a damaged file makes them write it too."""


def raise_fault(error: OSError, what: object) -> None:
    """Raise a `MachineFault` if an error is one of the machine; return if the file itself explains it."""
    if error.errno is not None and error.errno not in _OF_THE_FILE:
        raise MachineFault(what, error.strerror or os.strerror(error.errno)) from None


AGAIN = "and run the same command again: what is finished is kept"

NO_SPACE = {
    errno.ENOSPC: "the disk is full; free some space, or set `results` to a folder on a larger disk",
    errno.EDQUOT: "your quota of the disk is used up; free some space, or set `results` to a folder on another disk",
    errno.EFBIG: "the file is larger than files may be here (see `ulimit -f`); raise that limit",
}


_NO_SPACE_WORDS = re.compile(
    "|".join(f"({os.strerror(code)}|os error {code}\\b|errno {code}\\b)" for code in NO_SPACE), re.IGNORECASE
)


def of_disk(error: BaseException) -> str | None:
    """Return what an error of reading or writing tells a user, in one line; None for any other error.

    Libraries wrap that of the system in their own, as text.
    """
    seen: BaseException | None = error
    while seen is not None:
        code = seen.errno if isinstance(seen, OSError) else None
        if code not in NO_SPACE and (found := _NO_SPACE_WORDS.search(str(seen))):
            code = list(NO_SPACE)[(found.lastindex or 1) - 1]
        where = f"{seen.filename}: " if isinstance(seen, OSError) and seen.filename else ""
        if code in NO_SPACE:
            return f"{where}{NO_SPACE[code]}, {AGAIN}"
        if code is not None:
            return f"{where}{seen.strerror if isinstance(seen, OSError) else seen}"
        seen = seen.__cause__ or seen.__context__
    return None


class RefusedFile(UserError):
    """A file that nothing can be said of; `reason` is one of `REASONS`."""

    def __init__(self, source: str, reason: str, detail: str) -> None:
        super().__init__(f"{source}: {reason}{f': {detail}' if detail else ''}")
        self.reason = reason
        self.detail = detail


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the choice closest to `word`, or an empty string.

    >>> nearest("quantille", ["quantile", "scope"])
    "; did you mean 'quantile'?"
    """
    match = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""


def expect_file(path: Path, expected: str, endings: Collection[str] = ()) -> None:
    """Raise `UserError` where there is no file, or a folder in its place.

    Parameters
    ----------
    path
        What the user named.
    expected
        What the file should be, or the fix, for the message.
    endings
        Of the files that are meant, in lower case: those that lie in a folder are counted, and one is named.
    """
    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.name.lower().endswith(tuple(endings)) and one.is_file())
        found = f"; {len(files)} such files are in it: name one, such as {files[0]}" if files else ""
        raise UserError(f"{path}: is a folder; {expected}{found}")
    if not path.is_file():
        raise UserError(f"{path}: no such file; {expected}")


def expect_folder(path: Path, expected: str, said: str = "") -> None:
    """Raise `UserError` where there is no folder, or a file in its place.

    `expected` is what the folder should hold, or the fix; `said` is how the user named it: the path if left out.
    """
    if not path.is_dir():
        what = f"is a file, in the folder {path.parent}" if path.exists() else "no such folder"
        raise UserError(f"{said or path}: {what}; {expected}")
