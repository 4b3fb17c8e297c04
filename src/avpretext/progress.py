"""Progress of a stage: a live line in a terminal, plain lines when piped and in logs.

What is under way may have parts: runs have epochs, which have batches; recordings have minutes. Parts count towards
their whole, so that rate and time left of hours of work are known in its first minute.
"""

import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from avpretext import escapes

T = TypeVar("T")
LINE_EVERY_S, SLOWEST_S = 5.0, 300.0
"""Time between two lines of a log: at first, and of work that has lasted for hours."""

SURE_S, SURE = 30.0, 0.01
"""Seconds, or share of the work, after which a rate tells the time left: before, most of it was spent on beginning."""

MEDIA = "min"
"""Unit of work that is counted in minutes of sound or video."""

_SEAM = re.compile(r"[:,] ")
_LINE = re.compile(r"\d+(/\d+)? [^,]+, (.* left|(.*, )?done in [^;]+)(; .*)?$")


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


def pace(rate: float, unit: str) -> str:
    """Write a rate in units per second: per second, per minute, or the time of each; of media beside real time.

    >>> pace(25, "clips"), pace(0.4, "clips"), pace(1 / 750, "runs"), pace(2, MEDIA)
    ('25 clips/s', '24 clips/min', '12 min 30 s each', '120 times real time')
    """
    if unit == MEDIA:
        return f"{_rounded(60 * rate)} times real time"
    if rate >= 1:
        return f"{_rounded(rate)} {unit}/s"
    return f"{_rounded(60 * rate)} {unit}/min" if 60 * rate >= 1 else f"{duration(1 / rate)} each"


def _rounded(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}"


def describe(
    label: str, done: float, total: float | None, unit: str, elapsed_s: float, before: float = 0.0, part: str = "",
    at_most: bool = False, steady: bool = False,
) -> str:  # fmt: skip
    """Return one progress line: done, rate and time left; `last_progress` reads it back from the log.

    Of `done`, shares of unfinished items count for rate and time left; `before` was done by an earlier job. A total
    that is not known is left out, and so is a rate of the first seconds (`SURE`), unless it is `steady`: without what
    came before the work itself. `part` is how far a part is; `at_most`: items may end early.

    >>> describe("speech demo/0001", 50, 200, "clips", 10.0)
    'speech demo/0001: 50/200 clips, 5.0 clips/s, 30 s left'
    >>> describe("finetune mine", 0.1, 16, "runs", 75.0, part="fold 0, seed 0: 5/50 epochs")
    'finetune mine: 0/16 runs, 12 min 30 s each, 3 h 18 min left; fold 0, seed 0: 5/50 epochs'
    """
    is_sure = steady or elapsed_s >= SURE_S or total is None or done - before >= SURE * total
    rate = (done - before) / elapsed_s if elapsed_s > 0 and is_sure else 0.0
    words = [f"{label}: {_counted(done, total, unit)}"]
    words += [pace(rate, unit)] if rate > 0 else []
    if total is not None and done >= total:
        words.append(f"done in {duration(elapsed_s)}")
    else:
        bound = "at most " if at_most else ""
        left = bound + duration((total - done) / rate) if rate > 0 and total is not None else "unknown time"
        words.append(f"{left} left")
    return ", ".join(words) + (f"; {part}" if part else "")


def _counted(done: float, total: float | None, unit: str) -> str:
    return f"{int(done)} {unit}" if total is None else f"{int(done)}/{int(total)} {unit}"


class _Work:
    """Work under way: what is done of it, and of unfinished items their shares."""

    def __init__(
        self, label: str, total: float | None, unit: str, parent: "_Work | None", quiet: bool, before: float
    ) -> None:
        self.label, self.total, self.unit, self.parent, self.quiet = label, total, unit, parent, quiet
        self.at_most, self.done = False, before
        self.shares: dict[Hashable, float] = {}
        self.before: dict[Hashable, float] = {self: before}
        self.begin = self.last = time.monotonic()
        self.first: tuple[float, float] | None = None

    def amount(self) -> float:
        """Return how much is done, with the shares."""
        return self.done + sum(list(self.shares.values()))

    def amount_before(self) -> float:
        """Return how much of it an earlier job did."""
        return sum(list(self.before.values()))

    def line(self, now: float, part: str = "") -> str:
        """Return the line of progress."""
        elapsed_s, before, steady = now - self.begin, self.amount_before(), False
        if self.first is not None and self.amount() != self.total:
            at, own = self.first
            # What came before the first of it, such as reading a corpus, is no part of a rate.
            if now - at >= LINE_EVERY_S and self.amount() - before > own:
                elapsed_s, before, steady = now - at, before + own, True
        done, told = self.amount(), (part, self.at_most, steady)
        return describe(self.label, done, self.total, self.unit, elapsed_s, before, *told)

    def count(self) -> "_Work":
        """Count this towards the work that it is a part of; return the whole."""
        if self.parent is None or not self.total:
            return self
        scale = max(self.total, self.amount())
        self.parent.shares[self] = self.amount() / scale
        self.parent.before[self] = self.amount_before() / scale
        return self.parent.count()

    def tell(self, part: str | None = None) -> None:
        """Print the line of the whole where it is time, and in it how far this part is."""
        whole, now, live = self.count(), time.monotonic(), sys.stderr.isatty()
        if whole.first is None and (own := whole.amount() - whole.amount_before()) > 0:
            whole.first = (now, own)
        often_s = 0.2 if live and not whole.quiet else max(LINE_EVERY_S, min(SLOWEST_S, (now - whole.begin) / 60))
        if now - whole.last < often_s or (whole.total is not None and whole.amount() >= whole.total):
            return
        whole.last = now
        if part is None and whole is not self:
            part = _SEAM.split(self.label, maxsplit=1)[-1]
            if self.total is None or self.total >= 1:  # a clip of less than a minute has no minutes to count
                part += f": {_counted(self.done, self.total, self.unit)}"
        if _elsewhere is None:
            show(whole.line(now, part or ""), live, end="")
        else:
            _elsewhere(whole.amount(), whole.amount_before(), part or "")


_wholes: list[_Work] = []
_of_thread = threading.local()
_elsewhere: Callable[[float, float, str], None] | None = None


def _stack() -> list[_Work]:
    """Return the works under way in this thread."""
    found: list[_Work] = _of_thread.__dict__.setdefault("works", [])
    return found


def _innermost() -> _Work | None:
    """Return the innermost work of this thread, or what the other threads work for."""
    return next(reversed(_stack() or _wholes), None)


def progress(
    items: Iterable[T], *, total: float | None, unit: str = "clips", label: str = "",
    size: Callable[[T], float] | None = None, within: bool = False, quiet: bool = False, before: float = 0.0,
    at_most: bool = False,
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
        The items together are one item of the progress under way, whose line tells of them.
    quiet
        Nothing is printed of short work; so it is with `within`.
    before
        How much an earlier job did.
    at_most
        Items may end before all of their parts are done.
    """
    work = _Work(label, total, unit, _innermost() if within else None, quiet or within, before)
    work.at_most = at_most
    places = [_stack()] if within else [_stack(), _wholes]
    for place in places:
        place.append(work)
    try:
        for item in items:
            yield item
            work.done += 1 if size is None else size(item)
            work.tell()
    finally:
        for place in places:
            place.remove(work)
        if work.parent is not None:
            work.parent.shares.pop(work, None)
    if not within and (not quiet or work.last > work.begin):
        work.total = work.done = work.done if total is None else total
        show(work.line(time.monotonic()), sys.stderr.isatty(), end="\n")


def note_done_before() -> None:
    """Note that an earlier job did the item that the progress under way is at; it counts for no rate."""
    if (work := _innermost()) is not None:
        work.before[object()] = 1.0
        if _elsewhere is not None:
            _elsewhere(0.0, 1.0, "")


def tell_elsewhere(send: Callable[[float, float, str], None]) -> None:
    """Print nothing in this process, which was forked for one item of a progress: another process hears of it.

    `send` gets the share of the item that is done, the share that an earlier job did, and how far a part is.
    """
    global _elsewhere
    _elsewhere = send
    _wholes[:] = [_Work("", 1.0, "items", None, quiet=True, before=0.0)]
    _stack()[:] = _wholes


def note_share(item: Hashable, share: float, before: float | None = None, part: str = "") -> None:
    """Note what another process told of an item of the progress under way; see `tell_elsewhere`."""
    if (work := _innermost()) is not None:
        work.shares[item] = share
        if before is not None:
            work.before[item] = before
        work.tell(part)


def drop_share(item: Hashable) -> None:
    """Forget the share of an item, which is about to count as a whole."""
    if (work := _innermost()) is not None:
        work.shares.pop(item, None)


def show(line: str, live: bool, end: str) -> None:
    """Overwrite the line in a terminal, cut to its width; elsewhere write one more line."""
    plain = escapes.line(line)
    text = f"\r\x1b[2K{plain[: shutil.get_terminal_size().columns - 1]}{end}" if live else f"{plain}\n"
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
        if colon and _LINE.match(said):
            part = label.partition(", ")[2]
            return f"{part}: {said}" if part else said
    return None
