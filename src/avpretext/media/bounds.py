"""How much time and memory one clip may take to decode."""

import resource
from contextlib import suppress

TIME_LIMIT_S = 60.0
TIME_LIMIT_PER_SECOND = 20.0
"""A clip may take 60 s, and 20 s for each second that it lasts, of processor time; then its ffmpeg is ended."""

STALL_LIMIT_S = 60.0
"""So long ffmpeg may neither compute, nor read or write."""

DECODER_MB = 1024
"""What ffmpeg may hold: the rules ask for it beside what Python needs. 8K holds 600 MB by the levels of its formats."""


def limit_s(length_s: float) -> float:
    """Return the processor time that decoding a clip may take; the rules ask for it.

    >>> limit_s(600.0)
    12060.0
    """
    return TIME_LIMIT_S + TIME_LIMIT_PER_SECOND * length_s


def bound_memory(process: int) -> None:
    """Let a process, and what it starts, hold no more than `DECODER_MB`: pictures that it needs can fill any memory."""
    if hasattr(resource, "prlimit"):
        with suppress(OSError, ValueError):
            resource.prlimit(process, resource.RLIMIT_DATA, _lowered(process))


def _lowered(process: int) -> tuple[int, int]:
    bound = DECODER_MB << 20
    soft, hard = resource.prlimit(process, resource.RLIMIT_DATA)
    return tuple(bound if known == resource.RLIM_INFINITY else min(bound, known) for known in (soft, hard))  # type: ignore[return-value]
