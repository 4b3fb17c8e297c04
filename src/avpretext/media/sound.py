"""The sound of one file, block by block: the samples that `split` would keep, without a shard.

WAV and FLAC files that hold 16 kHz, mono, 16 bit already are read by libsndfile, thirty times as fast as a process is
started; the samples are those that ffmpeg would give. ffmpeg decodes all other files.
"""

from collections.abc import Generator
from pathlib import Path

import soundfile

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.config import MediaOptions
from avpretext.media import faults
from avpretext.media.checks import refuse_by_content, refuse_by_header, refuse_by_length
from avpretext.media.endings import broken_off
from avpretext.media.filters import HighPass, Samples, to_16_bit
from avpretext.media.process import FfmpegProcess
from avpretext.refusal import Refusal, refuse_path

BLOCK_SAMPLES = 1 << 17
"""Eight seconds."""

PLAIN_SECONDS = 600
"""Longer files are left to ffmpeg, which gives them piece by piece."""


def listen(source: Path, program: str, options: MediaOptions) -> Generator[Samples, None, Refusal | None]:
    """Yield the samples of a file at 16 kHz, block by block; return why it is refused, None if it is good.

    That a file breaks off, or is too long, may be seen at its end only.
    """
    if (refusal := refuse_path(str(source))) is not None:
        return refusal
    plain = read_plain(source)
    if plain is not None:
        refusal = refuse_by_length(len(plain) / SAMPLE_RATE_HZ, None, None, [], options)
        if refusal is None:
            yield plain
        return refusal
    first = yield from _decoded(source, program, options)
    if first.is_doubtful:
        first = faults.confirmed(source, program, first, lambda: _drained(source, program, options), again=False)
    return first.result


def _decoded(source: Path, program: str, options: MediaOptions) -> Generator[Samples, None, faults.Ending[None]]:
    with FfmpegProcess(source, program, options, video=False) as process:
        refusal = refuse_by_header(process, video=False)
        if refusal is not None:
            return faults.ending(process, refusal, whole=False)
        yield from process.listen(BLOCK_SAMPLES)
        return faults.ending(process, refuse_by_content(process, None), whole=True)


def _drained(source: Path, program: str, options: MediaOptions) -> faults.Ending[None]:
    decoding = _decoded(source, program, options)
    while True:
        try:
            next(decoding)
        except StopIteration as end:
            ended: faults.Ending[None] = end.value
            return ended


def read_plain(source: Path) -> Samples | None:
    """Return the samples of a sound WAV or FLAC file that needs no decoding to our format, None for any other."""
    try:
        with soundfile.SoundFile(source) as file:
            kind = (file.format, file.subtype, file.samplerate, file.channels)
            if kind not in (("WAV", "PCM_16", SAMPLE_RATE_HZ, 1), ("FLAC", "PCM_16", SAMPLE_RATE_HZ, 1)):
                return None
            declared = file.frames
            if not 0 < declared <= PLAIN_SECONDS * SAMPLE_RATE_HZ or broken_off(source):
                return None
            samples: Samples = file.read(dtype="int16")
            if len(samples) != declared:
                return None
            exact = samples / 32768.0
            return to_16_bit(HighPass(SAMPLE_RATE_HZ, exact)(exact))
    except (soundfile.LibsndfileError, OSError, ValueError):
        return None
