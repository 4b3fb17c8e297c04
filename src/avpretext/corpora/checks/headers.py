"""What media files declare, read quickly off their starts and ends: how long they are and which streams they have."""

import math
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import soundfile

from avpretext.corpora.reader import Clip, extension
from avpretext.media.checks import MISSING_S
from avpretext.media.container import is_cover, opened
from avpretext.media.endings import MISSING_FRACTION, broken_off, is_cut_off_mp4
from avpretext.media.ffmpeg import Header, length_declared
from avpretext.pool import ordered_map
from avpretext.progress import progress
from avpretext.refusal import Refusal

_OF_LIBSNDFILE = (".wav", ".flac")
_UNKNOWN_FRAMES = 2**63 - 1
"""libsndfile's number of frames for FLAC that was written to a pipe."""

_CONFIDENCE = 1.96
"""Of a normal distribution, 95 % lies within so many standard errors."""


@dataclass(frozen=True)
class FileHeader(Header):
    """What a file declares, and in a few words how it is shorter than that, if it is."""

    broken_off: str | None = None


@dataclass(frozen=True)
class Lengths:
    """How long the clips of a corpus are, from the headers of `opened` of its `files` files.

    `hours` is None where no header declares a length; `margin_hours`, half of the 95 % interval of an estimate, is None
    where all is known.
    """

    opened: int
    files: int
    hours: float | None
    margin_hours: float | None = None


def spread(items: Sequence[str], number: int) -> list[str]:
    """Return so many of the items, spread evenly over their order; all where there are no more.

    >>> spread("abcdefgh", 3)
    ['a', 'c', 'f']
    """
    if number >= len(items):
        return list(items)
    return [items[place * len(items) // number] for place in range(number)]


def read_headers(root: Path, paths: Sequence[str], threads: int) -> dict[str, FileHeader | Refusal]:
    """Read the headers of files below a folder, several at a time; in a terminal, tell how far it is."""
    found: Iterable[FileHeader | Refusal] = ordered_map(lambda path: read_header(root / path), paths, threads)
    if sys.stderr.isatty():
        found = progress(found, total=len(paths), unit="files", label="headers")
    return dict(zip(paths, found, strict=True))


def read_header(file: Path) -> FileHeader | Refusal:
    """Return what a file declares, or why nothing can be read of it.

    WAV and FLAC are read by libsndfile, five times as fast; what it does not know of them, and all else, by FFmpeg,
    with the formats and protocols that `split` allows.
    """
    if extension(file.name) in _OF_LIBSNDFILE:
        try:
            return _header_of_libsndfile(file)
        except soundfile.LibsndfileError:
            pass
    try:
        return _header_of_ffmpeg(file)
    except PermissionError:
        return Refusal("unreadable")
    except (av.FFmpegError, OSError, ValueError) as error:
        text = str(getattr(error, "strerror", None) or error)
        return Refusal("truncated" if is_cut_off_mp4(file) or broken_off(file) else "not_media", text)


def _header_of_libsndfile(file: Path) -> FileHeader:
    with soundfile.SoundFile(file) as sound:
        known = sound.frames != _UNKNOWN_FRAMES
        duration_s = sound.frames / sound.samplerate if known else None
        how = broken_off(file)
        if duration_s and sound.format == "FLAC":
            least_s = duration_s - max(MISSING_S, MISSING_FRACTION * duration_s)
            try:
                sound.seek(max(0, int(least_s * sound.samplerate)))
            except soundfile.LibsndfileError:
                how = f"less than {least_s:.2f} s of the {duration_s:.2f} s that it declares"
    return FileHeader(duration_s, audio=True, video=False, broken_off=how)


def _header_of_ffmpeg(file: Path) -> FileHeader:
    with opened(file) as container:
        kinds = {stream.type for stream in container.streams if not is_cover(stream)}
        duration_s = None if container.duration is None else container.duration / av.time_base
        duration_s = length_declared(duration_s, (container.start_time or 0) / av.time_base, container.format.name)
        return FileHeader(duration_s, "audio" in kinds, "video" in kinds, broken_off=broken_off(file))


def refuse_by_header(
    header: FileHeader | Refusal, clips: Sequence[Clip], video: bool, audio: bool = True
) -> Refusal | None:
    """Return why the clips of a file will be refused, None if its header gives no reason."""
    if isinstance(header, Refusal):
        return header
    if (how := header.broken_off) and any(clip.end_s is None for clip in clips):
        return Refusal("truncated", how)
    if audio and (not header.audio or header.duration_s == 0):
        return Refusal("no_audio")
    if video and not header.video:
        return Refusal("no_video")
    end_s = max((clip.end_s or 0.0 for clip in clips), default=0.0)
    if header.duration_s is not None and end_s > header.duration_s + MISSING_S:
        return Refusal("bad_segment", f"it ends at {end_s:.2f} s, the file at {header.duration_s:.2f} s")
    return None


def have_no_sound(headers: Iterable[FileHeader | Refusal]) -> bool:
    """Tell whether there are videos among these files, and none that can be read has a stream of sound."""
    read = [header for header in headers if not isinstance(header, Refusal)]
    return any(header.video for header in read) and not any(header.audio for header in read)


def lengths_of(clips: Mapping[str, Sequence[Clip]], headers: Mapping[str, FileHeader | Refusal]) -> Lengths:
    """Return how long the clips of each file are: known where all files were opened, else estimated.

    The estimate is the mean per file times the number of files; its margin is that of a sample without replacement
    (Cochran, Sampling Techniques, 1977, section 2.6).
    """
    files, every = len(clips), [clip for found in clips.values() for clip in found]
    if all(clip.end_s is not None for clip in every):
        return Lengths(len(headers), files, sum(_length_s(clip, None) for clip in every) / 3600)
    known, declared = [], False
    for path, header in headers.items():
        if isinstance(header, Refusal) or header.broken_off:
            known.append(0.0)  # it will be refused: it adds nothing, and is no reason to guess
        elif header.duration_s is not None:
            known.append(sum(_length_s(clip, header.duration_s) for clip in clips[path]))
            declared = True
    if not declared:
        return Lengths(len(headers), files, None)
    if len(headers) == files and len(known) == files:
        return Lengths(len(headers), files, sum(known) / 3600)
    spread_s = statistics.stdev(known) if len(known) > 1 else 0.0
    margin_s = _CONFIDENCE * spread_s * files * math.sqrt(max(0.0, 1 / len(known) - 1 / files))
    return Lengths(len(headers), files, statistics.fmean(known) * files / 3600, margin_s / 3600)


def _length_s(clip: Clip, duration_s: float | None) -> float:
    end_s = clip.end_s if clip.end_s is not None else duration_s or 0.0
    return max(0.0, end_s - (clip.start_s or 0.0))


def duration(hours: float) -> str:
    """Write hours as people read them.

    >>> duration(5.26), duration(0.05), duration(0.002)
    ('5.26 h', '3.0 min', '7 s')
    """
    if hours >= 1:
        return f"{hours:,.2f} h"
    return f"{60 * hours:.1f} min" if hours >= 1 / 60 else f"{3600 * hours:.0f} s"
