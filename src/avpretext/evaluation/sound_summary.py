"""Counts of clips with clipped, silent or inverted sound, for the table `corpora` and a sentence in the report."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

CLIPPED_SHARE = 0.001
"""A clip counts as clipped when so many of its samples are at or beyond full scale: a loud syllable alone is not."""

ODD = {
    "clipped": "clipped",
    "silent_channel": "silent on one channel, which is left out",
    "inverted": "inverted on one channel, which would cancel the other, and is turned over",
    "no_speech_channel": "without speech on one channel, which is left out",
}
"""Column of `corpora.csv` to what its clips are."""

COLUMNS = ("mix", "clipped")
"""Of `split.audio`."""


def counts(heard: pl.DataFrame | None) -> dict[str, int]:
    """Count the clips that are odd, by kind.

    Parameters
    ----------
    heard
        `COLUMNS`, a row per clip; None before `split`.
    """
    if heard is None:
        return dict.fromkeys(ODD, 0)
    clipped = int((heard["clipped"] >= CLIPPED_SHARE).sum())
    return {"clipped": clipped, **{way: int((heard["mix"] == way).sum()) for way in list(ODD)[1:]}}


def sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each corpus with odd clips, from rows of `corpora.csv`.

    >>> sentences([{"corpus": "mine", "clipped": 12, "silent_channel": 0, "inverted": 1, "no_speech_channel": 0}])
    ['mine: 12 clips are clipped; 1 clip is inverted on one channel, which would cancel the other, and is turned over.']
    """
    found = []
    for row in rows:
        odd = [f"{row[kind]:,} {'clip is' if row[kind] == 1 else 'clips are'} {ODD[kind]}" for kind in ODD if row[kind]]
        if odd:
            found.append(f"{row['corpus']}: {'; '.join(odd)}.")
    return found
