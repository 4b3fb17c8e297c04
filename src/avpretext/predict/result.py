"""The prediction for a file."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avpretext.corpora.settings import Kind
from avpretext.training.target_rows import in_words


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction for a clip, one row, or along the time of a recording, a row for each window.

    Attributes
    ----------
    source
        The file as it was named; `array` for sound given as numbers.
    kind
        `hard`: one class; `multi_label`: any of them; `distribution`: shares of them; `attribute`: a number;
        `attributes`: several numbers.
    names
        The C classes, or the attributes.
    start_s
        (W,) start, in seconds from the start of the file.
    end_s
        (W,) end, the same.
    probabilities
        (W, C) float32: probabilities that add up to 1; of `multi_label` each by itself; of attributes their values; NaN
        in rows without speech.
    speech
        (W,) float32: the share of each row in which somebody speaks, 0..1.
    """

    source: str
    kind: Kind
    names: tuple[str, ...]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    speech: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.start_s)

    def where_spoken(self, least: float) -> "Prediction":
        """Return the same, of rows whose share of speech is smaller than `least` without a prediction."""
        silent = (self.speech < least)[:, None]
        return replace(self, probabilities=np.where(silent, np.float32(np.nan), self.probabilities))

    @property
    def spoken(self) -> NDArray[np.bool_]:
        """(W,) whether a row has a prediction, since somebody speaks in it."""
        return np.asarray(np.isfinite(self.probabilities).all(axis=1))

    @property
    def labels(self) -> list[str | None]:
        """The likeliest class of each row, or the classes of at least .5 joined by +.

        None for attributes, and where nobody speaks.
        """
        rows = zip(self.probabilities, self.spoken, strict=True)
        return [in_words(row, self.names, self.kind) if spoken else None for row, spoken in rows]

    @property
    def label(self) -> str | None:
        """The label of the first row, which for a clip is the only one."""
        return self.labels[0]

    def by_name(self, row: int = 0) -> dict[str, float]:
        """Return {name: probability} of a row: of a clip the only one; NaN where nobody speaks."""
        return dict(zip(self.names, self.probabilities[row].tolist(), strict=True))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows as plain values; where nobody speaks label and probabilities are None."""
        for place, (label, spoken) in enumerate(zip(self.labels, self.spoken, strict=True)):
            yield {
                "file": self.source,
                "start_s": float(self.start_s[place]),
                "end_s": float(self.end_s[place]),
                "speech": float(self.speech[place]),
                "predicted": label,
                "probabilities": self.by_name(place) if spoken else dict.fromkeys(self.names),
            }

    def __str__(self) -> str:
        values = ", ".join(f"{name} {value:.2f}" for name, value in self.by_name().items())
        more = f", and {len(self) - 1} more windows" if len(self) > 1 else ""
        if not self.spoken[0]:
            return f"{self.source}: no speech ({self.speech[0]:.0%} of it){more}"
        said = "" if self.label is None else f"{self.label or 'none'} ({values})"
        return f"{self.source}: {said or values}{more}"


@dataclass(frozen=True)
class Refused:
    """A file, or the rest of one, that nothing can be said of: a reason from `REASONS`, and what was seen."""

    source: str
    reason: str
    detail: str = ""

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the one row as plain values."""
        yield {"file": self.source, "reason": self.reason, "detail": self.detail}
