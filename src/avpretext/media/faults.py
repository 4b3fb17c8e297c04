"""Whose fault it is that a file did not decode: its own, or that of the disk, the memory or the machine.

Only content refuses a clip. What content could not have done alone raises a `MachineFault`; what either could have
done is done again, and refuses the clip only if it comes to the same end.
"""

import errno
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from avpretext.errors import MachineFault
from avpretext.media import bounds
from avpretext.media.process import FfmpegProcess
from avpretext.refusal import Refusal, check_readable

CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP})
"""Signals that a damaged file can make a decoder end by; all others come from elsewhere."""

DOUBTED = frozenset({"not_media", "truncated", "decode_error", "no_audio", "no_video", "timeout", "unreadable"})
"""Reasons that a disk or a memory that fails can feign."""

_NO_MEMORY = (os.strerror(errno.ENOMEM), os.strerror(errno.EAGAIN))
"""The second where a thread gets no memory."""

_CONTROL_LIMIT_S = 120.0

Read = TypeVar("Read")


@dataclass(frozen=True)
class Ending(Generic[Read]):
    """How decoding a file ended.

    Attributes
    ----------
    result
        What was read, or why it is refused.
    heard_s
        How much sound came out of it.
    fault
        The first line of the log that names a fault of the machine, which a damaged file can cause too; empty for none.
    crash
        Name of the signal by which the decoder crashed; empty for none.
    is_doubtful
        Whether something else than the content of the file may have ended it.
    """

    result: Read | Refusal
    heard_s: float
    fault: str
    crash: str
    is_doubtful: bool

    def is_like(self, other: "Ending[Read]") -> bool:
        """Tell whether two ended in the same way."""
        return self._way == other._way

    @property
    def _way(self) -> tuple[str, float, bool, str]:
        reason = self.result.reason if isinstance(self.result, Refusal) else "kept"
        return reason, self.heard_s, bool(self.fault), self.crash


def ending(process: FfmpegProcess, result: Read | Refusal, whole: bool) -> Ending[Read]:
    """Return how a process ended; `whole`: its output was read to the end, it was not left before.

    Raises
    ------
    MachineFault
        Something else than the content of the file has ended it.
    """
    by = None
    if process.out_of_time:
        result = Refusal("timeout", process.out_of_time)
    elif whole or not process.is_described:
        by = process.ended_by()
        if by is None and process.header is None and not any(level for level, _ in process.messages):
            raise MachineFault(process.source, f"ffmpeg does not start ({''.join(process.log()[-1:])})")
    if by is not None and by not in CRASHES:
        raise MachineFault(process.source, f"ffmpeg was ended by {by.name}")
    crash = "" if by is None else by.name
    if crash:
        result = Refusal("decode_error", f"ffmpeg crashes ({crash})")
    elif process.fault in _NO_MEMORY and isinstance(result, Refusal):
        result = Refusal(result.reason, f"its decoder needs more than {bounds.DECODER_MB} MB of memory")
    feigned = isinstance(result, Refusal) and result.reason in DOUBTED and not process.is_spent
    # Where pictures fill the memory, it is left to chance how far the sound beside them has come.
    by_chance = process.fault in _NO_MEMORY and process.frames is not None
    heard_s = 0.0 if by_chance else process.sound.seconds
    return Ending(result, heard_s, process.fault, crash, feigned or bool(process.fault or crash))


def settled(source: Path, program: str, attempt: Callable[[], Ending[Read]]) -> Read | Refusal:
    """Return what a file comes to: where its first end is in doubt, by a second attempt.

    Raises
    ------
    MachineFault
        The file cannot be read, or comes to another end each time, or ffmpeg has not the memory that a clip may need.
    """
    first = attempt()
    if not first.is_doubtful:
        return first.result
    return confirmed(source, program, first, attempt).result


def confirmed(
    source: Path, program: str, first: Ending[Read], attempt: Callable[[], Ending[Read]], again: bool = True
) -> Ending[Read]:
    """Return how a file ends whose first end is in doubt: once more, and twice where something told of a fault.

    `again`: what another attempt reads can be taken in place of the first. See `settled`.
    """
    check_readable(str(source))
    last = first
    for _ in range(2 if first.fault or first.crash else 1):
        found = attempt()
        if again and not found.is_doubtful:
            return found
        if not found.is_like(last):
            ends = " and ".join(_in_words(one) for one in (last, found))
            raise MachineFault(source, f"decoded again, it comes to another end: {ends}")
        last = found
    if (cause := last.fault or last.crash) and not has_memory(program):
        raise MachineFault(source, f"{cause}, and ffmpeg does not get {bounds.DECODER_MB} MB of memory")
    return last


def _in_words(one: Ending[Read]) -> str:
    words = f"{one.result.reason} ({one.result.detail})" if isinstance(one.result, Refusal) else "a good clip"
    return words + (f" ({one.fault})" if one.fault else "")


def has_memory(program: str) -> bool:
    """Tell whether ffmpeg gets nearly as much memory as a clip may need: by a picture of 800 MB."""
    picture = "color=black:s=8192x8192:r=1,format=gbrpf32le"
    words = ["-nostdin", "-v", "error", "-f", "lavfi", "-i", picture, "-frames:v", "1", "-f", "null", "-"]
    try:
        control = subprocess.Popen(
            [program, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError:
        return False
    with control:
        bounds.bound_memory(control.pid)
        try:
            return control.wait(_CONTROL_LIMIT_S) == 0
        except subprocess.TimeoutExpired:
            control.kill()
            return False
