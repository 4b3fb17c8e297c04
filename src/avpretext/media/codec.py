"""Lossy codecs: what is left of a signal that was coded and decoded by the bundled ffmpeg."""

import tempfile
from pathlib import Path

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from avpretext.errors import UserError
from avpretext.media.ffmpeg import program

CODECS = {"mp3": "libmp3lame", "opus": "libopus"}
"""Codec, which is its file extension too, to ffmpeg's encoder."""


def coded(samples: NDArray[np.int16], rate_hz: int, codec: str, kbit_s: int) -> NDArray[np.int16]:
    """Return mono samples (N,) after a codec of `CODECS` at a constant bit rate: as many, at the same places.

    The delay of the codec is taken out, as its files declare it. Another processor may give other last digits.

    Raises
    ------
    UserError
        ffmpeg cannot do it.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / f"clip.{codec}")  # no pipe: the delay is known, and written, at the end
        pcm = {"format": "s16le", "ar": rate_hz, "ac": 1}
        constant = {"vbr": "off"} if codec == "opus" else {}
        to = ffmpeg.output(
            ffmpeg.input("pipe:", **pcm), file, acodec=CODECS[codec], audio_bitrate=f"{kbit_s}k", threads=1, **constant
        )
        _run(to, samples.astype("<i2").tobytes())
        decoded = np.frombuffer(_run(ffmpeg.output(ffmpeg.input(file), "pipe:", **pcm)), "<i2").astype(np.int16)
    return np.pad(decoded[: len(samples)], (0, max(0, len(samples) - len(decoded))))


def _run(command: ffmpeg.nodes.OutputStream, given: bytes = b"") -> bytes:
    told = command.global_args("-hide_banner", "-loglevel", "error")
    try:
        out, _ = told.run(cmd=program("bundled"), input=given, capture_stdout=True, capture_stderr=True)
    except ffmpeg.Error as error:
        raise UserError(f"ffmpeg could not code a clip: {error.stderr.decode('utf-8', 'replace').strip()}") from None
    return bytes(out)
