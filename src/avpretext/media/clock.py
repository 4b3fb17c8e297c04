"""Sound on the clock: packets with time stamps become samples at 16 kHz, sample 0 at the time 0 of the container.

ffmpeg decodes, `mono` mixes to one channel; a packet stands where its time stamp has it. A late start and gaps are
silence, of what overlaps the later is left out. Time stamps that only tremble move nothing.
"""

import itertools
import statistics
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO

import av
import numpy as np

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.media.filters import OPENING_S, Floats, HighPass, Samples, resampled, to_16_bit
from avpretext.media.mono import Mono, Packet, channels_of

TOLERANCE_S = 0.003
"""Sound is moved when it is further than this from its time stamps."""

_STEADY = 25
"""A packet is placed by the median over so many before and after it: time stamps tremble, gaps stay."""

_SILENCE_S = 1.0
"""Of a gap, at most so much is made at a time."""


class Sound:
    """The sound that ffmpeg writes to a pipe; it is read once.

    Attributes
    ----------
    samples
        How many have been given.
    mono
        How the channels became one.
    lost_s
        Seconds of silence among them in place of sound that the file lacks, between its first and its last.
    """

    def __init__(
        self, pipe: IO[bytes], zero_s: float = 0.0, lead_s: float = 0.0, length_s: float | None = None
    ) -> None:
        """Of the sound from the time stamp `zero_s` on, a whole number, leave out `lead_s` and give `length_s`."""
        self._pipe, self._zero_s = pipe, zero_s
        self._first = round(lead_s * SAMPLE_RATE_HZ)
        self._end = None if length_s is None else self._first + round(length_s * SAMPLE_RATE_HZ)
        self.mono = Mono()
        self.samples = 0
        self.lost_s = 0.0

    @property
    def seconds(self) -> float:
        """Length of the samples given so far."""
        return self.samples / SAMPLE_RATE_HZ

    def blocks(self, size: int) -> Iterator[Samples]:
        """Yield the samples in blocks of this size; the last may be shorter."""
        held = np.empty(0, np.int16)
        for block in self._wanted():
            held = np.concatenate([held, block])
            while len(held) >= size:
                yield held[:size]
                held = held[size:]
        if len(held):
            yield held

    def _wanted(self) -> Iterator[Samples]:
        """Yield what is wanted of the samples; all are read, or ffmpeg would wait for ever."""
        place = 0
        for block in self._at_16_khz():
            end = len(block) if self._end is None else max(0, self._end - place)
            wanted = to_16_bit(block[max(0, self._first - place) : end])
            place += len(block)
            self.samples += len(wanted)
            yield wanted

    def _at_16_khz(self) -> Iterator[Floats]:
        try:
            with av.open(self._pipe, "r", format="nut") as container:
                rate_hz = container.streams.audio[0].rate
                packets = _high_passed(self.mono.mixed(_packets(container), rate_hz), rate_hz)
                yield from resampled(self._placed(packets, rate_hz), rate_hz)
        except av.FFmpegError:  # no sound, or ffmpeg was ended: its exit status tells
            return

    def _placed(self, packets: Iterable[Packet], rate_hz: int) -> Iterator[Floats]:
        """Yield the sound of packets without a gap, from the time 0 on."""
        now, is_first = 0, True
        for packet in steadied(packets):
            place, samples = packet.place - round(self._zero_s * rate_hz), packet.samples
            late = place - now
            if late > 0 and (is_first or late > TOLERANCE_S * rate_hz):
                yield from _silence(late, rate_hz)
                self.lost_s += 0.0 if is_first else self._overlap_s(now / rate_hz, place / rate_hz)
                now = place
            elif late < 0 and (is_first or -late > TOLERANCE_S * rate_hz):
                samples = samples[-late:]
            is_first = False
            now += len(samples)
            yield samples

    def _overlap_s(self, begin_s: float, end_s: float) -> float:
        """Return how much of this time is wanted."""
        last_s = end_s if self._end is None else min(end_s, self._end / SAMPLE_RATE_HZ)
        return max(0.0, last_s - max(begin_s, self._first / SAMPLE_RATE_HZ))


def _packets(container: av.container.InputContainer) -> Iterator[Packet]:
    """Yield what ffmpeg wrote: 32 bit floating numbers of all channels, in units of whose rate the time stamps are."""
    channels = container.streams.audio[0].codec_context.channels
    for packet in container.demux():
        samples = channels_of(bytes(packet), channels)
        if len(samples) and packet.pts is not None:
            yield Packet(packet.pts, samples)


def _high_passed(packets: Iterator[Packet], rate_hz: int) -> Iterator[Packet]:
    opening: list[Packet] = []
    while sum(len(packet.samples) for packet in opening) < OPENING_S * rate_hz and (packet := next(packets, None)):
        opening.append(packet)
    high_pass = HighPass(rate_hz, np.concatenate([np.empty(0), *(packet.samples for packet in opening)]))
    for packet in itertools.chain(opening, packets):
        yield Packet(packet.place, high_pass(packet.samples))


def steadied(packets: Iterable[Packet]) -> Iterator[Packet]:
    """Yield packets in places that do not tremble: the median of how late they and their neighbours are.

    How late a packet is, is its place less the number of samples before it. The neighbours are as many before as after,
    so that a gap stays where it is.

    >>> two = np.zeros(2)
    >>> [packet.place for packet in steadied([Packet(0, two), Packet(3, two), Packet(4, two), Packet(9, two)])]
    [0, 2, 5, 9]
    """
    near: deque[tuple[Packet, int, int]] = deque()  # a packet, the number of samples before it, how late it is
    before, at = 0, 0
    for packet in itertools.chain(packets, itertools.repeat(None, _STEADY)):
        if packet is not None:
            near.append((packet, before, packet.place - before))
            before += len(packet.samples)
        if at < len(near) and (packet is None or len(near) - at > _STEADY):
            reach = min(at, len(near) - 1 - at, _STEADY)
            late = statistics.median_low(entry[2] for entry in itertools.islice(near, at - reach, at + reach + 1))
            yield Packet(near[at][1] + late, near[at][0].samples)
            at += 1
            if at > _STEADY:
                near.popleft()
                at -= 1


def _silence(samples: int, rate_hz: int) -> Iterator[Floats]:
    step = round(_SILENCE_S * rate_hz)
    for place in range(0, samples, step):
        yield np.zeros(min(step, samples - place))
