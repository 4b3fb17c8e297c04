"""Progress of a stage: a live bar in a terminal, plain lines when piped and in logs."""

import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from avpretext import escapes

T = TypeVar("T")
LINE_EVERY_S = 5.0
_LINE = re.compile(r"(/s|each), (.+ left|done in .+)$")


def duration(seconds: float) -> str:
    """Write a duration as people read it.

    >>> duration(8), duration(200), duration(7260)
    ('8 s', '3 min 20 s', '2 h 01 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def describe(label: str, done: float, total: float | None, unit: str, elapsed_s: float) -> str:
    """Return one progress line: done, rate and time left; `last_progress` reads it back from the log.

    A rate below one a second is given as the time that each takes. A total that is not known is left out.

    >>> describe("speech demo/0001", 50, 200, "clips", 10.0)
    'speech demo/0001: 50/200 clips, 5.0 clips/s, 30 s left'
    >>> describe("finetune mine", 2, 16, "runs", 1500.0)
    'finetune mine: 2/16 runs, 12 min 30 s each, 2 h 55 min left'
    """
    rate = done / elapsed_s if elapsed_s > 0 else 0.0
    pace = f"{duration(1 / rate)} each" if 0 < rate < 1 else f"{rate:.1f} {unit}/s"
    if total is None:
        return f"{label}: {done:.0f} {unit}, {pace}, unknown time left"
    counted = f"{label}: {done:.0f}/{total:.0f} {unit}, {pace}"
    if done >= total:
        return f"{counted}, done in {duration(elapsed_s)}"
    left = duration((total - done) / rate) if rate else "unknown time"
    return f"{counted}, {left} left"


def progress(
    items: Iterable[T], *, total: float | None, unit: str = "clips", label: str = "",
    size: Callable[[T], float] | None = None, within: bool = False,
) -> Iterator[T]:  # fmt: skip
    """Yield the items and print the progress on standard error.

    Parameters
    ----------
    total
        Number of items, or the sum of their sizes; None if that is not known.
    unit
        The plural noun of an item, or of its size.
    label
        Names the work: stage, corpus and shard; after a comma, a part of it.
    size
        How much an item counts; None: 1.
    within
        The items are parts of an item of another progress: nothing is printed at their end, so that short ones are
        silent.
    """
    live = sys.stderr.isatty()
    begin = last = time.monotonic()
    done = 0.0
    for item in items:
        yield item
        done += 1 if size is None else size(item)
        now = time.monotonic()
        if (total is None or done < total) and now - last >= (0.2 if live and not within else LINE_EVERY_S):
            show(describe(label, done, total, unit, now - begin), live, end="")
            last = now
    if not within:
        whole = done if total is None else total
        show(describe(label, whole, whole, unit, time.monotonic() - begin), live, end="\n")


def show(line: str, live: bool, end: str) -> None:
    """Overwrite the line in a terminal; elsewhere write one more line."""
    plain = escapes.line(line)
    text = f"\r\x1b[2K{plain}{end}" if live else f"{plain}\n"
    escapes.raw(sys.stderr).write(text)
    sys.stderr.flush()


def last_progress(log: Path) -> str | None:
    """Return the last line of progress in a log, of its label the part alone; None if there is none yet."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        label, colon, said = line.partition(": ")
        if colon and _LINE.search(said):
            part = label.partition(", ")[2]
            return f"{part}: {said}" if part else said
    return None
