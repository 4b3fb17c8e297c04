"""A stretch of time within a file."""

from dataclasses import dataclass

_NO_TIME_S = 1e9


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start_s` to `end_s`, in seconds from the start of the container; without an end: to that of the file."""

    start_s: float = 0.0
    end_s: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether this is all of the file."""
        return self.start_s == 0 and self.end_s is None

    @property
    def is_valid(self) -> bool:
        """Whether it starts at or after 0 and ends after its start.

        >>> Stretch(2.0, 3.0).is_valid, Stretch(3.0, 3.0).is_valid, Stretch(float("nan")).is_valid
        (True, False, False)
        """
        end_s = _NO_TIME_S if self.end_s is None else self.end_s
        return 0 <= self.start_s < end_s <= _NO_TIME_S

    def length_s(self, file_s: float | None) -> float | None:
        """Return how long it is in a file of `file_s` seconds; None where neither its end nor the file's is known.

        >>> Stretch(2.0).length_s(5.0), Stretch(2.0, 3.5).length_s(None), Stretch(2.0).length_s(None)
        (3.0, 1.5, None)
        """
        end_s = file_s if self.end_s is None else self.end_s
        return None if end_s is None else max(0.0, end_s - self.start_s)


WHOLE = Stretch()
"""All of a file."""
