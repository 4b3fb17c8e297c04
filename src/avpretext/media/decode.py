"""One clip: from a file to FLAC audio and frames on the grid, stored or looked at, or to the reason why not."""

import hashlib
import io
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.config import MediaOptions
from avpretext.media import checks
from avpretext.media.clock import Sound
from avpretext.media.filters import Samples
from avpretext.media.mono import Way
from avpretext.media.process import FfmpegProcess
from avpretext.media.stretches import WHOLE, Stretch
from avpretext.media.trim import speech_span
from avpretext.refusal import Refusal

_SPOOL_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 18
_BLOCK_SAMPLES = 1 << 17
_JPEG_SEAM = b"\xff\xd9\xff\xd8"
"""End of one image and start of the next; within an image JPEG writes no 0xFF that could be taken for either."""


Picture = NDArray[np.uint8]
"""RGB, shape (height, width, 3)."""

Look = Callable[[Iterator[Picture]], Any]
"""Callback over a clip's frames; its result is kept in `Decoded.seen`."""


@dataclass
class Decoded:
    """A clip on the common clock.

    Attributes
    ----------
    flac
        16 kHz mono 16 bit FLAC; None: its sound was not read, so that `content`, `mix` and `clipped` are None too.
    samples
        Number of its samples; sample 0 is the start of the container, or of the stretch decoded. Without sound: as many
        as the pictures last.
    content
        Hash of its samples: equal for equal audio.
    spool
        JPEG images one after another: in memory while they are few, else in a file without a name.
    frame_bytes
        Length of each image; frame k stands at k / fps seconds.
    video_s
        Length of its pictures, in seconds; None where none were wanted.
    silent
        Whether its samples are all the same, or nearly so.
    skipped_bytes
        Length of what is in the spool before frame 0.
    seen
        Result of the callback `look`; then no frame is in the spool.
    looked_at
        Frames that the callback was given.
    mix
        How its channels were mixed; see `mono.Way`.
    clipped
        Share of its samples at or beyond full scale, 0..1.
    """

    flac: bytes | None
    samples: int
    content: str | None
    spool: IO[bytes]
    frame_bytes: list[int]
    video_s: float | None
    silent: bool
    skipped_bytes: int = 0
    seen: Any = None
    looked_at: int = 0
    mix: Way | None = "mean"
    clipped: float | None = 0.0

    @property
    def video_frames(self) -> int:
        """Number of frames of the clip."""
        return len(self.frame_bytes) + self.looked_at

    def sound(self) -> Samples:
        """Return its samples, shape (samples,); its sound must have been read."""
        assert self.flac is not None
        samples: Samples = soundfile.read(io.BytesIO(self.flac), dtype="int16")[0]
        return samples

    def images(self) -> Generator[bytes]:
        """Yield the JPEG images in order, once; then they are gone."""
        with self.spool:
            self.spool.seek(self.skipped_bytes)
            for length in self.frame_bytes:
                yield self.spool.read(length)


def decode(
    source: Path,
    program: str,
    options: MediaOptions,
    video: bool,
    temporary: Path | None = None,
    stretch: Stretch = WHOLE,
    look: Look | None = None,
    sound: bool = True,
) -> Decoded | Refusal:
    """Decode a file, or a stretch of it, with one ffmpeg process.

    Parameters
    ----------
    video
        False: audio only; the file may lack pictures.
    temporary
        Folder for the frames of long clips until they are written to their shard; None: the system's.
    stretch
        Part of the file: sample 0 and frame 0 are its start, and the limits of duration apply to it.
    look
        Callback over the frames, which are not stored; it runs before the clip is checked.
    sound
        False: pictures alone, of which nothing is trimmed; the file may lack sound.
    """
    # Frames wait here until the whole clip is known to be good; a shard cannot take rows back.
    spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES, dir=str(temporary) if temporary else None)  # noqa: SIM115

    def read(process: FfmpegProcess) -> Decoded:
        spool.seek(0)
        spool.truncate()
        frames = _Frames(spool, look, None if sound else partial(process.followed, piece_s=1 / options.fps))

        def hear(sound: Sound) -> tuple[bytes, int, str]:
            return encode_flac(process.followed(sound.blocks(_BLOCK_SAMPLES), _BLOCK_SAMPLES / SAMPLE_RATE_HZ))

        (flac, samples, content), _ = process.read(hear, frames.read)
        mono, video_s = process.sound.mono, frames.count / options.fps if video else None
        clip = Decoded(
            flac, samples, content, spool, frames.lengths, video_s, mono.silent,
            seen=frames.seen, looked_at=frames.looked_at, mix=mono.way, clipped=mono.clipped,
        )  # fmt: skip
        if sound:
            return clip
        samples = round(frames.count / options.fps * SAMPLE_RATE_HZ)
        return replace(clip, flac=None, samples=samples, content=None, silent=False, mix=None, clipped=None)

    clip = checks.decoded(source, program, options, video, read, stretch, as_jpeg=look is None, sound=sound)
    if isinstance(clip, Decoded) and clip.silent:
        clip = Refusal("silent", "all of its samples are the same, or nearly so")
    if isinstance(clip, Refusal):
        spool.close()
        return clip
    return clip if options.trim_db is None or not sound else trimmed(clip, options.trim_db, options)


def trimmed(clip: Decoded, below_db: float, options: MediaOptions) -> Decoded:
    """Return a clip without the silence before and after its speech; see `trim.speech_span`."""
    signal = clip.sound()
    span = speech_span(signal, below_db, options.fps, options.min_duration_s)
    flac, samples, content = encode_flac([signal[span.start : span.stop]])
    skipped, kept = clip.frame_bytes[: span.first], clip.frame_bytes[span.first : span.last]
    video_s = None if clip.video_s is None else len(kept) / options.fps
    return replace(
        clip, flac=flac, samples=samples, content=content, frame_bytes=kept, skipped_bytes=sum(skipped), video_s=video_s
    )


class _Frames:
    """The frames of a clip as they come, with progress or without: stored one after another, or looked at."""

    def __init__(self, spool: IO[bytes], look: Look | None, followed: Callable[..., Iterator[Any]] | None) -> None:
        self._spool, self._look = spool, look
        self._followed = followed or iter
        self.lengths: list[int] = []
        self.looked_at = 0
        self.seen: Any = None

    @property
    def count(self) -> int:
        return len(self.lengths) + self.looked_at

    def read(self, stream: IO[bytes] | None) -> None:
        if self._look is None:
            self.lengths = [self._spool.write(image) for image in self._followed(split_jpegs(stream))]
            return
        pictures = self._counted(stream)
        self.seen = self._look(pictures)
        for _ in pictures:  # what was not looked at is read and counted too
            pass

    def _counted(self, stream: IO[bytes] | None) -> Iterator[Picture]:
        for picture in self._followed(read_pictures(stream)):
            self.looked_at += 1
            yield picture


def encode_flac(blocks: Iterable[Samples]) -> tuple[bytes, int, str]:
    """Encode 16 kHz mono samples; return the FLAC file, the number of samples and their hash."""
    encoded = io.BytesIO()
    samples = 0
    content = hashlib.blake2b(digest_size=8)
    with soundfile.SoundFile(encoded, "w", SAMPLE_RATE_HZ, 1, "PCM_16", format="FLAC") as file:
        for block in blocks:
            file.write(block)
            content.update(block.astype("<i2").tobytes())
            samples += len(block)
    return encoded.getvalue(), samples, content.hexdigest()


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


def read_pictures(stream: IO[bytes] | None) -> Iterator[Picture]:
    """Yield the pictures of a stream of binary PPM files, RGB with 8 bits; one that breaks off is left out."""
    while stream is not None and stream.readline() == b"P6\n":
        size, _largest_value = stream.readline(), stream.readline()
        width, height = map(int, size.split() if size.endswith(b"\n") else (0, 0))
        pixels = stream.read(3 * width * height)
        if not pixels or len(pixels) < 3 * width * height:
            return
        yield np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
