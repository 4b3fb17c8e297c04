"""The one exception that is the user's to mend."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in the input: the message names the value, what was expected, and the fix.

    The command line prints it as one line, without a traceback.
    """


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
