"""A media file opened in this process, by PyAV: what it declares and when its packets end."""

from pathlib import Path

import av

from avpretext.media.ffmpeg import DEMUXERS, PROTOCOLS

_TIMEOUT_S = 30.0
"""For opening a file, and for each packet."""


def opened(file: Path) -> av.container.InputContainer:
    """Open a file with the formats and protocols that `split` allows."""
    allowed = {"protocol_whitelist": PROTOCOLS, "format_whitelist": DEMUXERS}
    # The prefix keeps names with a colon from being taken for a protocol.
    return av.open(f"file:{file}", options=allowed, metadata_errors="replace", timeout=_TIMEOUT_S)


def is_cover(stream: av.stream.Stream) -> bool:
    """Tell whether a stream is a cover picture, which is no video."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def end_of_pictures(file: Path) -> float | None:
    """Return when the last picture of a file ends, in seconds from its start; None where it has none, or none is read.

    All packets are read.
    """
    try:
        with opened(file) as container:
            streams = [stream for stream in container.streams.video if not is_cover(stream)]
            if not streams:
                return None
            ends = [
                (packet.pts + (packet.duration or 0)) * packet.time_base
                for packet in container.demux(streams[0])
                if packet.pts is not None and packet.time_base is not None
            ]
            return float(max(ends)) - (container.start_time or 0) / av.time_base if ends else None
    except (av.FFmpegError, OSError, ValueError):
        return None
