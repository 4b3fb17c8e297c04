"""When each picture of a file is shown, on the clock of `split`: for tables of other tools, which count pictures."""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from avpretext.media.container import is_cover, opened

_UNSEEN = {"skip_loop_filter": "all", "skip_idct": "all"}
"""Options of decoders: the pictures are counted, and nobody looks at them."""


@dataclass(frozen=True)
class Pictures:
    """The pictures of a file.

    Attributes
    ----------
    time_s
        (N,) seconds from the start of the container, in the order in which they are shown.
    rates_hz
        The frame rates that programs take a file of this kind to have: on average, guessed, the least common one.
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
    Time 0 is what ffmpeg takes for the start of the container, as `split` does.
    """
    try:
        with opened(source) as container:
            stream = next((video for video in container.streams.video if not is_cover(video)), None)
            if stream is None:
                return None
            stream.codec_context.options = _UNSEEN
            stream.codec_context.thread_count = 1
            times = _times(container, stream) - (container.start_time or 0) / av.time_base
            rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    except (av.FFmpegError, OSError, ValueError):
        return None
    if not len(times) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        return None
    return Pictures(times, tuple(float(rate) for rate in rates if rate))


def _times(container: av.container.InputContainer, stream: av.VideoStream) -> NDArray[np.float64]:
    """Return the times of all pictures as the container has them, NaN where it has none."""
    times = []
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.InvalidDataError:  # programs that read videos skip what is damaged
            continue
        for frame in frames:
            stamp = frame.dts if frame.pts is None else frame.pts
            if stamp is None or frame.time_base is None:
                times.append(float("nan"))
            else:
                times.append(float(stamp * frame.time_base))
    return np.array(times, np.float64)
