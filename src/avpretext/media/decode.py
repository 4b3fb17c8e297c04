"""One clip: from a file to FLAC audio and JPEG frames on the grid, or to the reason why not."""

import io
import os
import struct
import tempfile
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import soundfile

from avpretext.config import MediaOptions
from avpretext.media.process import FfmpegProcess
from avpretext.media.refusal import Refusal
from avpretext.schemas import SAMPLE_RATE_HZ

MISSING_S = 0.25
MISSING_FRACTION = 0.05
"""A file is truncated when all of its streams end more than 0.25 s and 5 % before the duration that it declares."""

TRUNCATION_SIGNS = (
    "partial file",
    "File ended prematurely",
    "Truncating packet of size",
    "Packet mismatch",
)
"""What ffmpeg's demuxers say when a file breaks off."""

_CONSEQUENCES = (
    "Error opening input",
    "Error submitting packet",
    "Task finished",
    "Terminating",
    "Nothing was written",
)
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MAX_BOXES = 1000
_SPOOL_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 18
_JPEG_SEAM = b"\xff\xd9\xff\xd8"
"""End of one image and start of the next; within an image JPEG writes no 0xFF that could be taken for either."""


@dataclass
class Decoded:
    """A clip on the common clock.

    Attributes
    ----------
    flac
        16 kHz mono 16 bit FLAC.
    samples
        Number of its samples; sample 0 is the start of the container.
    spool
        JPEG images one after another: in memory while they are few, else in a file without a name.
    frame_bytes
        Length of each image; frame k stands at k / fps seconds.
    """

    flac: bytes
    samples: int
    spool: IO[bytes]
    frame_bytes: list[int]

    def images(self) -> Generator[bytes]:
        """Yield the JPEG images in order, once; then they are gone."""
        with self.spool:
            self.spool.seek(0)
            for length in self.frame_bytes:
                yield self.spool.read(length)


def decode(source: Path, program: str, options: MediaOptions, video: bool, temporary: Path) -> Decoded | Refusal:
    """Decode a file with one ffmpeg process.

    Parameters
    ----------
    source
        The file.
    program
        Path of ffmpeg.
    options
        Grid, height, quality and the durations allowed.
    video
        False for audio alone: frames are left out, and the file need not have any.
    temporary
        Folder for the frames of long clips until they are in their shard.
    """
    # Frames wait here until the whole clip is known to be good; a shard cannot take rows back.
    spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES, dir=str(temporary))  # noqa: SIM115
    clip: Decoded | None = None
    with FfmpegProcess(source, program, options, video) as process:
        refusal = _refuse_by_header(source, process, options, video)
        if refusal is None:
            clip = _read(process, spool)
            refusal = _refuse_by_content(clip, process, options, video)
        if process.out_of_time:
            refusal = Refusal("timeout", f"more than {process.limit_s:.0f} s")
    if clip is None or refusal is not None:
        spool.close()
        return refusal or Refusal("decode_error")
    return clip


def _read(process: FfmpegProcess, spool: IO[bytes]) -> Decoded:
    """Read audio, frames and log at the same time, to their ends."""
    with ThreadPoolExecutor(2) as pool:
        log = pool.submit(process.read_messages)
        audio = pool.submit(encode_flac, process.audio)
        try:
            frame_bytes = [spool.write(image) for image in split_jpegs(process.frames)]
        except BaseException:
            # The two threads wait for ffmpeg, and ffmpeg for its frames to be read.
            process.kill()
            raise
        log.result()
        flac, samples = audio.result()
    return Decoded(flac, samples, spool, frame_bytes)


def encode_flac(pcm: IO[bytes]) -> tuple[bytes, int]:
    """Encode a stream of 16 kHz mono signed 16 bit samples; return the FLAC file and the number of samples.

    Samples stay below full scale: 16 bit integers reach 32767 / 32768 at most.
    """
    encoded = io.BytesIO()
    samples = 0
    with soundfile.SoundFile(encoded, "w", SAMPLE_RATE_HZ, 1, "PCM_16", format="FLAC") as file:
        while chunk := pcm.read(_CHUNK_BYTES):
            # A killed ffmpeg may leave half a sample.
            values = np.frombuffer(chunk[: len(chunk) // 2 * 2], "<i2")
            file.write(values)
            samples += len(values)
    return encoded.getvalue(), samples


def split_jpegs(stream: IO[bytes] | None) -> Iterator[bytes]:
    """Yield the images of a stream of concatenated JPEG files."""
    pending = bytearray()
    searched = 0
    while stream is not None and (chunk := stream.read1(_CHUNK_BYTES)):  # type: ignore[attr-defined]
        pending += chunk
        while (seam := pending.find(_JPEG_SEAM, searched)) >= 0:
            yield bytes(pending[: seam + 2])
            del pending[: seam + 2]
            searched = 0
        searched = max(0, len(pending) - len(_JPEG_SEAM) + 1)
    if pending.endswith(_JPEG_SEAM[:2]):
        yield bytes(pending)


def _refuse_by_header(source: Path, process: FfmpegProcess, options: MediaOptions, video: bool) -> Refusal | None:
    """Return why a file is refused by what it declares, None if it may be decoded."""
    header = process.header
    if header is None and not os.access(source, os.R_OK):
        return Refusal("unreadable", _most_telling(process.errors()))
    if header is None:
        reason = "truncated" if is_cut_off_mp4(source) else "not_media"
        return Refusal(reason, _most_telling(process.errors()))
    if not header.audio:
        return Refusal("no_audio")
    if video and not header.video:
        return Refusal("no_video")
    if header.duration_s is not None and header.duration_s > options.max_duration_s:
        return Refusal("too_long", f"it declares {header.duration_s:.1f} s")
    return None


def _refuse_by_content(clip: Decoded, process: FfmpegProcess, options: MediaOptions, video: bool) -> Refusal | None:
    """Return why a file is refused by what came out of it, None if it is good."""
    if process.wait() != 0:
        reason = "truncated" if _sign_of_truncation(process.log()) else "decode_error"
        return Refusal(reason, _most_telling(process.errors()))
    audio_s, video_s = clip.samples / SAMPLE_RATE_HZ, len(clip.frame_bytes) / options.fps
    declared_s = process.header.duration_s if process.header else None
    return refuse_by_length(audio_s, video_s if video else None, declared_s, process.log(), options)


def refuse_by_length(
    audio_s: float, video_s: float | None, declared_s: float | None, log: list[str], options: MediaOptions
) -> Refusal | None:
    """Return why a decoded clip is refused by its length, None if it is good.

    Parameters
    ----------
    audio_s, video_s
        What was decoded; None for no video wanted.
    declared_s
        What the container declares, if anything.
    log
        What ffmpeg said.
    options
        The durations allowed.

    Examples
    --------
    >>> refuse_by_length(1.5, 1.4, 3.0, [], MediaOptions())
    Refusal(reason='truncated', detail='1.50 s of the 3.00 s that it declares')
    """
    if audio_s == 0:
        return Refusal("no_audio", "its audio stream holds no sound")
    if video_s == 0:
        return Refusal("no_video", "its video stream holds no frames")
    decoded_s = max(audio_s, video_s or 0)
    if decoded_s > options.max_duration_s:
        return Refusal("too_long", f"at least {decoded_s:.1f} s")
    if declared_s is not None and declared_s - decoded_s > max(MISSING_S, MISSING_FRACTION * declared_s):
        return Refusal("truncated", f"{decoded_s:.2f} s of the {declared_s:.2f} s that it declares")
    if sign := _sign_of_truncation(log):
        return Refusal("truncated", sign)
    if audio_s < options.min_duration_s:
        return Refusal("too_short", f"{audio_s:.3f} s")
    return None


def is_cut_off_mp4(source: Path) -> bool:
    """Tell whether a file starts as MP4 or QuickTime does, and ends within one of its boxes or before its `moov`.

    ISO/IEC 14496-12, 4.2: a box is its length (4 bytes, big-endian; 1: 8 bytes more hold it; 0: up to the end of the
    file), its name (4 bytes), and its content.
    """
    names: list[bytes] = []
    try:
        size, place = source.stat().st_size, 0
        with source.open("rb") as file:
            while place + 8 <= size and len(names) < _MAX_BOXES:
                file.seek(place)
                length, name, long_length = struct.unpack(">I4sQ", file.read(16).ljust(16, b"\0"))
                names.append(name)
                place += {0: size - place, 1: max(long_length, 16)}.get(length, max(length, 8))
    except OSError:
        return False
    return bool(names) and names[0] in _MP4_BOXES and (place > size or b"moov" not in names)


def _sign_of_truncation(log: list[str]) -> str | None:
    return next((text for text in log for sign in TRUNCATION_SIGNS if sign in text), None)


def _most_telling(errors: list[str]) -> str:
    """Return the last error that is not just ffmpeg saying that it stops."""
    telling = [text for text in errors if not text.startswith(_CONSEQUENCES)]
    return (telling or errors or [""])[-1]
