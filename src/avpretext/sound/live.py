"""Per-frame features of sound as it comes: those of `speech` and `log_mel`, without shards between.

A clip of up to a minute is computed whole; longer sound a minute at a time with a margin on both sides, as the stages
do it. So the values are those of the shards: of openSMILE to the bit, of `energy` and `log_mel` to rounding.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avpretext.chunks import SAMPLES_PER_FRAME, frame_count
from avpretext.config import LogMelOptions, SpeechOptions
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.sound.descriptors import MARGIN_FRAMES, PIECE_FRAMES, Descriptors, open_descriptors
from avpretext.sound.log_mel import hann, log_mel, mel_filters, schema
from avpretext.sound.speech import described

SCALE = np.float32(1 / 32768)
"""From 16 bit samples to full scale 1."""

_KEYS = ("clip_id", "frame", "time_s")

Floats = NDArray[np.float32]
Samples = NDArray[np.int16]


class Part(NamedTuple):
    """A stretch of a recording with a margin: rows `first` to before `stop` of `frames`, (samples,) at 16 kHz."""

    samples: Samples
    first: int
    stop: int
    frames: int


def parts(blocks: Iterable[Samples]) -> Iterator[Part]:
    """Cut sound that comes in blocks into parts of a minute; together their rows are those of the whole.

    No more than a part, its margins and a block are held.
    """
    held, start, first = np.empty(0, np.int16), 0, 0
    reach = PIECE_FRAMES + MARGIN_FRAMES + 1  # a frame more, so that the part is known not to be the last
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= (first - start + reach) * SAMPLES_PER_FRAME:
            here, frames = first - start, first - start + reach
            yield Part(held[: frames * SAMPLES_PER_FRAME], here, here + PIECE_FRAMES, frames)
            first += PIECE_FRAMES
            dropped = first - MARGIN_FRAMES - start
            held, start = held[dropped * SAMPLES_PER_FRAME :], start + dropped
    frames = frame_count(len(held))
    if len(held) and first - start < frames:
        yield Part(held, first - start, frames, frames)


class LiveFeatures:
    """Features of any number of recordings; may be asked from several threads.

    Parameters
    ----------
    speech, log_mel
        Their settings; None where they are not wanted.
    channels
        (F,) names of the columns wanted, in their order.

    Raises
    ------
    UserError
        There are no such columns.
    """

    def __init__(self, speech: SpeechOptions | None, log_mel: LogMelOptions | None, channels: Sequence[str]) -> None:
        self._stack = ExitStack()
        self._descriptors: Descriptors | None = None
        self._mel: tuple[Floats, Floats] | None = None
        columns: list[str] = []
        if speech is not None:
            self._descriptors = self._stack.enter_context(open_descriptors(speech))
            columns += [
                name for name in schema_of("speech", {"DESCRIPTOR": self._descriptors.names}).names if name not in _KEYS
            ]
        if log_mel is not None:
            self._mel = hann(log_mel.window_s), mel_filters(log_mel)
            columns += [name for name in schema(log_mel).names if name not in _KEYS]
        if missing := [name for name in channels if name not in columns]:
            self.close()
            raise UserError(f"no feature is called {missing[0]!r}, which the model hears; is openSMILE of its version?")
        self._places = [columns.index(name) for name in channels]

    def of(self, part: Part) -> Floats:
        """Return the wanted columns of the rows of a part, (stop - first, F)."""
        signal = part.samples.astype(np.float32) * SCALE
        columns: list[Floats] = []
        if self._descriptors is not None:
            columns.append(described(self._descriptors, signal, part.first, part.stop, part.frames))
        if self._mel is not None:
            columns.append(self._log_mel(signal, part, *self._mel))
        return np.concatenate(columns, axis=1)[:, self._places]

    @staticmethod
    def _log_mel(signal: Floats, part: Part, window: Floats, filters: Floats) -> Floats:
        margin = len(window) // SAMPLES_PER_FRAME + 1  # frames that no window reaches beyond
        begin = max(0, part.first - margin)
        end = part.stop + margin
        stop = len(signal) if end >= part.frames else end * SAMPLES_PER_FRAME
        values = log_mel(signal[begin * SAMPLES_PER_FRAME : stop], window, filters)
        return values[part.first - begin : part.stop - begin]

    def close(self) -> None:
        """Remove openSMILE's temporary configuration."""
        self._stack.close()
