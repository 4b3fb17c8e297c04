"""Progress of a stage: a live bar in a terminal, plain lines when piped and in logs."""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from avpretext import escapes

T = TypeVar("T")
LINE_EVERY_S = 5.0


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


def describe(label: str, done: int, total: int, unit: str, elapsed_s: float) -> str:
    """Return one progress line: done, rate and time left; `last_progress` reads it back from the log.

    >>> describe("speech demo/0001", 50, 200, "clips", 10.0)
    'speech demo/0001: 50/200 clips, 5.0 clips/s, 30 s left'
    """
    rate = done / elapsed_s if elapsed_s > 0 else 0.0
    if done >= total:
        return f"{label}: {done}/{total} {unit}, {rate:.1f} {unit}/s, done in {duration(elapsed_s)}"
    left = duration((total - done) / rate) if rate else "unknown time"
    return f"{label}: {done}/{total} {unit}, {rate:.1f} {unit}/s, {left} left"


def progress(items: Iterable[T], *, total: int, unit: str = "clips", label: str = "") -> Iterator[T]:
    """Yield the items, `total` of them, and print the progress on standard error.

    `unit` is the plural noun of an item; `label` names the work: stage, corpus and shard.
    """
    live = sys.stderr.isatty()
    begin = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if done < total and now - last >= (0.2 if live else LINE_EVERY_S):
            show(describe(label, done, total, unit, now - begin), live, end="")
            last = now
    show(describe(label, total, total, unit, time.monotonic() - begin), live, end="\n")


def show(line: str, live: bool, end: str) -> None:
    """Overwrite the line in a terminal; elsewhere write one more line."""
    plain = escapes.line(line)
    text = f"\r\x1b[2K{plain}{end}" if live else f"{plain}\n"
    escapes.raw(sys.stderr).write(text)
    sys.stderr.flush()


def last_progress(log: Path) -> str | None:
    """Return the last line of progress in a log, without its label; None if there is none yet."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        _, colon, said = line.partition(": ")
        if colon and "/s, " in said:
            return said
    return None
