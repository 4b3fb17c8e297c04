"""Windows along a recording: where they lie, in frames of 10 ms, as the recording goes by."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avpretext.chunks import SAMPLES_PER_FRAME, frames_of
from avpretext.errors import UserError
from avpretext.sound.descriptors import MARGIN_FRAMES
from avpretext.sound.live import Part, Samples

Floats = NDArray[np.float32]
Frames = NDArray[np.int64]


class AlongTime(NamedTuple):
    """A window of so many seconds, every so many seconds."""

    window_s: float
    hop_s: float

    @classmethod
    def parse(cls, text: str, option: str = "--along-time") -> "AlongTime":
        """Read WINDOW,HOP in seconds; `option` is where it was given.

        >>> AlongTime.parse("3,1"), AlongTime.parse("2.5")
        (AlongTime(window_s=3.0, hop_s=1.0), AlongTime(window_s=2.5, hop_s=2.5))
        """
        if not re.fullmatch(r"\d*\.?\d+(,\d*\.?\d+)?", text.replace(" ", "")):
            raise UserError(f"{option} {text!r}: expected WINDOW,HOP in seconds, such as 3,1")
        window_s, _, hop_s = text.replace(" ", "").partition(",")
        return cls(float(window_s), float(hop_s or window_s)).checked()

    def checked(self) -> "AlongTime":
        """Return the windows, both lengths being at least a frame; other lengths are an error."""
        if not 0.01 <= min(self) <= max(self) <= 86_400:
            raise UserError(
                f"windows of {self.window_s:g} s every {self.hop_s:g} s: each must be between 0.01 s and a day"
            )
        return self


class WindowBatch(NamedTuple):
    """Windows of a recording: `frames` (T, F) hold them, window i being ``first[i] : first[i] + lengths[i]``.

    `start` (N,) is the frame of the recording that a window starts with.
    """

    frames: Floats
    first: Frames
    lengths: Frames
    start: Frames


def batches(pieces: Iterable[Floats], along: AlongTime, least: int) -> Iterator[WindowBatch]:
    """Yield the windows of a recording whose frames come in pieces (T, F), as soon as they are complete.

    Window k starts at frame ``k * hop``. The last is the first that reaches the end; it may be shorter, and is left out
    if it has fewer than `least` frames and is not the only one.
    """
    window, hop = frames_of(along.window_s), frames_of(along.hop_s)
    held: Floats | None = None
    begin, start = 0, 0  # frames of the recording: of held[0], of the next window
    for piece in pieces:
        held = piece if held is None else np.concatenate([held, piece])
        complete = (begin + len(held) - window - start) // hop + 1
        if complete > 0:
            yield _batch(held, begin, start + hop * np.arange(complete), window)
            start += hop * complete
        dropped = min(max(0, start - begin), len(held))
        held, begin = held[dropped:], begin + dropped
    if held is None:
        return
    end = begin + len(held)
    if _is_left(start, end, window, hop, least):
        yield _batch(held, begin, np.array([start]), end - start)


def _batch(held: Floats, begin: int, starts: Frames, length: int) -> WindowBatch:
    return WindowBatch(held, starts - begin, np.full(len(starts), length, np.int64), starts)


def live_windows(blocks: Iterable[Samples], along: AlongTime, least: int) -> Iterator[tuple[int, Part]]:
    """Yield the windows of `batches`, first frame and sound, of a recording that goes on: each ends where it is known.

    The sound has up to `MARGIN_FRAMES` before the window, and nothing after it. No more than that, a window and a block
    are held.
    """
    window, hop = frames_of(along.window_s), frames_of(along.hop_s)
    held = np.empty(0, np.int16)
    begin, start = 0, 0  # frames of the recording: of held[0], of the next window
    for block in blocks:
        held = np.concatenate([held, block])
        while begin + len(held) // SAMPLES_PER_FRAME >= start + window:
            yield start, _with_margin(held[: (start + window - begin) * SAMPLES_PER_FRAME], start - begin)
            start += hop
            dropped = min(max(0, start - MARGIN_FRAMES - begin), len(held) // SAMPLES_PER_FRAME)
            held, begin = held[dropped * SAMPLES_PER_FRAME :], begin + dropped
    end = begin + len(held) // SAMPLES_PER_FRAME
    if end > start and _is_left(start, end, window, hop, least):
        yield start, _with_margin(held, start - begin)


def _is_left(start: int, end: int, window: int, hop: int, least: int) -> bool:
    """Tell whether a recording that ends has a last window, from `start` on, that is shorter than the others."""
    reached = start > 0 and start - hop + window >= end
    return not reached and (start == 0 or end - start >= least)


def _with_margin(samples: Samples, first: int) -> Part:
    """Return the frames of a sound from `first` to its end, with a margin before them."""
    cut = max(0, first - MARGIN_FRAMES)
    frames = len(samples) // SAMPLES_PER_FRAME - cut
    return Part(samples[cut * SAMPLES_PER_FRAME :], first - cut, frames, frames)
