"""Standard input as a file, and raw samples of a microphone as blocks that come while it is heard."""

import shutil
import signal
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np

from avpretext.chunks import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, frames_of
from avpretext.errors import UserError
from avpretext.media.filters import OPENING_S, Floats, HighPass, Samples, to_16_bit
from avpretext.predict.windows import AlongTime
from avpretext.programs import command

ARGUMENT, NAME = "-", "stdin"
"""What stands for standard input among the files, and in its rows."""

RECORD = f"arecord -t raw -f S16_LE -r {SAMPLE_RATE_HZ} -c 1"
"""Command that writes what live windows are made of."""

_BYTES = 2
"""Of a sample."""

_LONGEST_CHUNK_BYTES = 1 << 20
"""Of a WAV header: what declares more is none."""

_OTHER_MEDIA = (b"OggS", b"fLaC", b"\x1a\x45\xdf\xa3", b"ID3", b"FORM", b"caff", b".snd", b"RF64")
"""First bytes of files that are no raw samples."""


def stream() -> IO[bytes]:
    """Return standard input; it is an error if it is closed, or a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        predict = command("avpretext predict MODEL -")
        raise UserError(f"predict -: nothing is piped in; e.g. ffmpeg -i talk.mkv -f wav - | {predict}")
    return sys.stdin.buffer


@contextmanager
def as_files(files: Sequence[str]) -> Iterator[list[str]]:
    """Give the same files, standard input among them as a temporary file that holds all of it."""
    if ARGUMENT not in files:
        yield list(files)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "standard-input"
        with copy.open("wb") as file:
            shutil.copyfileobj(stream(), file)
        yield [str(copy) if name == ARGUMENT else name for name in files]


def blocks(source: IO[bytes], along: AlongTime) -> Iterator[Samples]:
    """Yield 16 kHz mono samples as soon as they complete a window, without what is slower than 20 Hz, as in `split`.

    Ctrl-C ends the sound as its end does.

    Parameters
    ----------
    source
        Raw signed 16 bit little-endian samples; a WAV header before them, as arecord writes, is read and left out.
    along
        The first block is as long as the window, each after it as the hop; at the end there may be less.

    Raises
    ------
    UserError
        It is a file of another kind, or has another rate, or several channels.
    """
    opening = round(OPENING_S * SAMPLE_RATE_HZ)
    window, hop = (frames_of(seconds) * SAMPLES_PER_FRAME for seconds in along)
    with suppress(KeyboardInterrupt):
        samples = _read(source, max(window, opening), _without_header(source))
        high_pass = HighPass(SAMPLE_RATE_HZ, samples)
        while len(samples):
            yield to_16_bit(high_pass(samples))
            samples = _read(source, hop)


def _read(source: IO[bytes], count: int, start: bytes = b"") -> Floats:
    """Wait for so many samples, full scale 1; at the end there are fewer. `start` are bytes that were read already."""
    if hasattr(signal, "siginterrupt"):
        signal.siginterrupt(signal.SIGINT, True)  # openSMILE's handler would go on waiting after Ctrl-C
    content = start + source.read(max(0, count * _BYTES - len(start)))
    return np.asarray(np.frombuffer(content, "<i2", len(content) // _BYTES) / 32768.0)


def _without_header(source: IO[bytes]) -> bytes:
    """Read a WAV header up to its samples, if there is one; return the first bytes of samples that were read."""
    start = source.read(12)
    if start.startswith(_OTHER_MEDIA) or start[4:8] == b"ftyp":
        raise UserError(f"predict - --live: a file, no raw samples; leave out --live, or pipe in: {RECORD}")
    if start[:4] != b"RIFF" or start[8:] != b"WAVE":
        return start
    while len(head := source.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        if name == b"data":
            break
        if length > _LONGEST_CHUNK_BYTES:
            raise UserError(f"predict - --live: a broken WAV header; pipe in: {RECORD}")
        content = source.read(length + length % 2)
        if name == b"fmt ":
            _check(content)
    return b""


def _check(form: bytes) -> None:
    """Check the chunk `fmt ` of a WAV header: PCM or extensible, mono, 16 kHz, 16 bit."""
    code, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", form[:16].ljust(16, b"\0"))
    if code not in (1, 0xFFFE) or (channels, rate_hz, bits) != (1, SAMPLE_RATE_HZ, 16):
        raise UserError(
            f"predict - --live: {rate_hz} Hz, {channels} channels, {bits} bit (WAV format {code}); expected 16 bit PCM,"
            f" mono, {SAMPLE_RATE_HZ} Hz: {RECORD}"
        )
