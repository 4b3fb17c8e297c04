"""Phones: their names, when each is spoken in a clip, and their viseme classes on the grid of a video."""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import yaml
from numpy.typing import NDArray

from avpretext.errors import UserError, nearest

SHIPPED = "orofacial/visemes.yaml"

SILENCE = "SIL"
"""The phone of silence, and of breath and noise."""

PHONES = (
    SILENCE,
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
"""Silence and the 39 phones of CMUdict: ARPABET in capitals, without stress."""

SHORTEST_S = 1e-6
"""Shorter intervals and gaps are rounding."""


def read_table(path: str | Path | None) -> dict[str, str]:
    """Read a table of viseme classes, {phone: class}, in its order; None for the shipped one.

    It is an error if the file is missing or not YAML, if a phone is unknown, in two classes or in none.
    """
    source = str(path or SHIPPED)
    content = _read(path, source)
    if not isinstance(content, dict) or not all(isinstance(phones, list) for phones in content.values()):
        raise UserError(f"{source}: expected CLASS: [PHONE, ...] for each class; see the shipped table")
    table: dict[str, str] = {}
    for name, phones in content.items():
        for phone in map(str, phones):
            if phone not in PHONES:
                hint = f"{nearest(phone, PHONES)}; expected of {', '.join(PHONES)}"
                raise UserError(f"{source}: {name}: {phone!r} is no phone{hint}")
            if phone in table:
                raise UserError(f"{source}: {phone} is in the classes {table[phone]} and {name}; leave it in one")
            table[phone] = str(name)
    if missing := [phone for phone in PHONES if phone not in table]:
        raise UserError(f"{source}: no class for {', '.join(missing)}; each phone must stand in exactly one class")
    return table


def _read(path: str | Path | None, source: str) -> Any:
    try:
        text = Path(path).read_text("utf-8") if path else files("avpretext").joinpath(SHIPPED).read_text("utf-8")
        return yaml.safe_load(text)
    except OSError as error:
        raise UserError(
            f"phones.visemes = {source!r}: cannot be read ({error.strerror}); null: the shipped table"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{source}: not YAML: {' '.join(str(error).split())}") from None


def classes(table: dict[str, str]) -> list[str]:
    """Return the classes of a table, in its order: the number of a class is its place.

    >>> classes(read_table(None))
    ['SIL', 'P', 'F', 'T', 'K', 'CH', 'W', 'IY', 'EH', 'AA', 'AH', 'AO', 'UH', 'ER']
    """
    return list(dict.fromkeys(table.values()))


def phones_on_grid(
    intervals: pl.DataFrame, frames: int, fps: float, names: Sequence[str], column: str = "viseme"
) -> NDArray[np.int64]:
    """Return the number of the class of each of so many video frames, (frames,), by its place in `names`; -1 for none.

    Frame k stands at the instant k / fps, as everywhere; it gets the interval that is under way then. `intervals` are
    the rows of one clip of `phones`, in order: `start_s`, `end_s`, and the column, `viseme` or `phone`.

    >>> rows = pl.DataFrame({"start_s": [0.0, 0.1], "end_s": [0.1, 0.16], "viseme": ["SIL", "P"]})
    >>> phones_on_grid(rows, 5, 25.0, ["SIL", "P"])
    array([ 0,  0,  0,  1, -1])
    """
    numbers = {name: number for number, name in enumerate(names)}
    # A boundary is a sum of frames of 10 ms: without the margin, rounding would decide who has the frame on it.
    instants = np.arange(frames) / fps + 1e-9
    place = np.searchsorted(intervals["start_s"].to_numpy(), instants, side="right") - 1
    kinds = np.array([numbers.get(name, -1) for name in intervals[column]] + [-1], np.int64)
    ends = np.append(intervals["end_s"].to_numpy(), -np.inf)
    return np.where(instants < ends[place], kinds[place], -1)


class Interval(NamedTuple):
    """A phone (of `visemes.PHONES`), from when to when in seconds, and how well it fits, 0..1; None: not known."""

    start_s: float
    end_s: float
    phone: str
    confidence: float | None = None


def covering(intervals: Iterable[Interval], duration_s: float) -> list[Interval]:
    """Return intervals that follow each other without gap from 0 to the end of the clip.

    Gaps become silence, silences that touch become one, what lies outside of the clip is cut off, and of two that
    overlap the later one yields.

    >>> covering([Interval(0.1, 0.2, "P"), Interval(0.15, 0.3, "AA"), Interval(0.3, 0.5, "SIL")], 0.4)
    ... # doctest: +NORMALIZE_WHITESPACE
    [Interval(start_s=0.0, end_s=0.1, phone='SIL', confidence=None),
     Interval(start_s=0.1, end_s=0.2, phone='P', confidence=None),
     Interval(start_s=0.2, end_s=0.3, phone='AA', confidence=None),
     Interval(start_s=0.3, end_s=0.4, phone='SIL', confidence=None)]
    """
    covered: list[Interval] = []
    at = 0.0
    for interval in sorted(intervals, key=lambda one: (one.start_s, one.end_s)):
        start, end = max(at, interval.start_s), min(duration_s, interval.end_s)
        if end - start <= SHORTEST_S:
            continue
        if start - at > SHORTEST_S:
            _append(covered, Interval(at, start, SILENCE))
        else:
            start = at
        _append(covered, interval._replace(start_s=start, end_s=end))
        at = end
    if duration_s - at > SHORTEST_S:
        _append(covered, Interval(at, duration_s, SILENCE))
    elif covered:
        covered[-1] = covered[-1]._replace(end_s=duration_s)
    return covered


def _append(covered: list[Interval], interval: Interval) -> None:
    """Append an interval, or lengthen the silence before it."""
    if covered and interval.phone == covered[-1].phone == SILENCE:
        covered[-1] = covered[-1]._replace(end_s=interval.end_s)
    else:
        covered.append(interval)


def clip_confidence(intervals: Sequence[Interval]) -> float | None:
    """Return how well the phones of a clip fit, 0..1: the geometric mean over their time; None where it is not known.

    >>> round(clip_confidence([Interval(0, 1, "SIL", 0.9), Interval(1, 2, "P", 0.1), Interval(2, 3, "AA", 0.4)]), 3)
    0.2
    """
    known = [
        (one.end_s - one.start_s, one.confidence)
        for one in intervals
        if one.phone != SILENCE and one.confidence is not None
    ]
    if not known:
        return None
    lengths, values = np.array(known).T
    return float(np.exp((lengths * np.log(np.maximum(values, 1e-9))).sum() / lengths.sum()))
