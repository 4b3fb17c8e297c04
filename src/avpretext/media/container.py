"""A media file opened in this process, by PyAV: what it declares, and when its pictures are shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from avpretext.media.ffmpeg import DEMUXERS, PROTOCOLS
from avpretext.refusal import check_readable

_TIMEOUT_S = 30.0
"""For opening a file, and for each packet."""

_UNSEEN = {"skip_loop_filter": "all", "skip_idct": "all"}
"""Options of decoders: the pictures are counted, and nobody looks at them."""

_UNREADABLE = (av.FFmpegError, OSError, ValueError)


def opened(file: Path) -> av.container.InputContainer:
    """Open a file with the formats and protocols that `split` allows."""
    allowed = {"protocol_whitelist": PROTOCOLS, "format_whitelist": DEMUXERS}
    # The prefix keeps names with a colon from being taken for a protocol.
    return av.open(f"file:{file}", options=allowed, metadata_errors="replace", timeout=_TIMEOUT_S)


def is_cover(stream: av.stream.Stream) -> bool:
    """Tell whether a stream is a cover picture, which is no video."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def start_s(container: av.container.InputContainer) -> float:
    """Return the time that is 0 on the clock of `split`, in seconds: what ffmpeg takes for the container's start."""
    return (container.start_time or 0) / av.time_base


def end_of(kind: Literal["video", "audio"], file: Path) -> float | None:
    """Return when the last picture, or the sound, of a file ends, in seconds from its start; None where none is read.

    All packets are read.
    """
    try:
        with opened(file) as container:
            stream = next((one for one in container.streams if one.type == kind and not is_cover(one)), None)
            ends = [
                (packet.pts + (packet.duration or 0)) * packet.time_base
                for packet in (container.demux(stream) if stream else ())
                if packet.pts is not None and packet.time_base is not None
            ]
            return float(max(ends)) - start_s(container) if ends else None
    except _UNREADABLE:
        check_readable(str(file))
        return None


@dataclass(frozen=True)
class Pictures:
    """The pictures of a file, for tables of other tools, which count pictures.

    `time_s` (N,) counts seconds from the start of the container, in the order in which they are shown. `rates_hz` are
    the frame rates that programs take a file of this kind to have: on average, guessed, the least common one.
    """

    time_s: NDArray[np.float64]
    rates_hz: tuple[float, ...] = ()

    @property
    def step_s(self) -> float:
        """The median time from one picture to the next; NaN of fewer than two."""
        return float(np.median(np.diff(self.time_s))) if len(self.time_s) > 1 else float("nan")


def pictures_of(source: Path) -> Pictures | None:
    """Return the pictures of a file's first video stream; None where they cannot be told, or their times do not rise.

    Packets are decoded, since they are no pictures one by one: some hold two fields, a hidden picture, or two.
    """
    try:
        with opened(source) as container:
            stream = next((video for video in container.streams.video if not is_cover(video)), None)
            if stream is None:
                return None
            stream.codec_context.options = _UNSEEN
            stream.codec_context.thread_count = 1
            times = np.array(list(_times(container, stream)), np.float64) - start_s(container)
            rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    except _UNREADABLE:
        return None
    if not len(times) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        return None
    return Pictures(times, tuple(float(rate) for rate in rates if rate))


def _times(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[float]:
    """Yield the times of all pictures as the container has them, NaN where it has none."""
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.InvalidDataError:  # programs that read videos skip what is damaged
            continue
        for frame in frames:
            stamp = frame.dts if frame.pts is None else frame.pts
            yield float("nan") if stamp is None or frame.time_base is None else float(stamp * frame.time_base)
