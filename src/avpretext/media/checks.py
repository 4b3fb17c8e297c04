"""What is wrong with a file: by what it declares, by what came out of it, by how long that is."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from avpretext.config import MediaOptions
from avpretext.media import faults
from avpretext.media.container import end_of
from avpretext.media.endings import MISSING_FRACTION, broken_off, is_cut_off_mp4
from avpretext.media.process import FfmpegProcess
from avpretext.media.stretches import WHOLE, Stretch
from avpretext.refusal import Refusal

MISSING_S = 0.25
"""A file is truncated when all of its streams end more than 0.25 s and 5 % before the duration that it declares."""

TRUNCATION_SIGNS = ("partial file", "File ended prematurely", "Truncating packet of size", "Packet mismatch")
"""Messages of ffmpeg's demuxers about a file that breaks off."""

MOST_JUMPS = 30
"""The clock of an MPEG stream begins anew where files were joined; ffmpeg tells that one to three times for each place,
and for every packet of sound where it cannot follow. Only what is joined without a hole in the sound is right for sure.
"""

EMPTY_STREAM = ("Could not open encoder before EOF", "Nothing was written into output file")
"""Error messages of ffmpeg, one or the other, where a stretch has no pictures."""

LOST_SOUND_S = 0.6
LOST_SOUND_FRACTION = 0.1
"""A clip is refused when more than 0.6 s and 10 % of its sound are missing: gaps, and what the pictures outlast it by.

Phones and browsers end the sound up to half a second before the pictures.
"""


class HasPictures(Protocol):
    """A result that knows the length of its pictures."""

    @property
    def video_s(self) -> float | None:
        """Length of its pictures, in seconds; None where none were wanted."""


Read = TypeVar("Read", bound=HasPictures)

_CONSEQUENCES = (
    "Error opening input",
    "Error submitting packet",
    "Task finished",
    "Terminating",
    "Nothing was written",
)


def decoded(
    source: Path, program: str, options: MediaOptions, video: bool, read: Callable[[FfmpegProcess], Read],
    stretch: Stretch = WHOLE, gaps: bool = True, as_jpeg: bool = True, frames: bool | None = None, sound: bool = True,
) -> Read | Refusal:  # fmt: skip
    """Decode a file, or a stretch of it, with one ffmpeg process; see `FfmpegProcess` for most parameters.

    Parameters
    ----------
    video, sound
        Whether the file must have pictures, and sound.
    read
        Reads the output of ffmpeg to its end; its result knows the length of the pictures. It is called once more where
        the first end is in doubt (`faults.settled`).
    gaps
        See `refuse_by_content`.
    frames
        Whether ffmpeg gives frames; None: where the file must have pictures.
    """
    wanted = video if frames is None else frames
    if not stretch.is_valid:
        return Refusal("bad_segment", f"from {stretch.start_s} s to {stretch.end_s} s")

    def attempt() -> faults.Ending[Read]:
        with FfmpegProcess(source, program, options, wanted, stretch, as_jpeg, sound) as process:
            refusal = refuse_by_header(process, video)
            if refusal is not None:
                return faults.ending(process, refusal, whole=False)
            found = read(process)
            return faults.ending(process, refuse_by_content(process, found.video_s, gaps) or found, whole=True)

    return faults.settled(source, program, attempt)


def refuse_by_header(process: FfmpegProcess, video: bool) -> Refusal | None:
    """Return why a file is refused by what it declares, None if it may be decoded; see `decoded`."""
    source, header, stretch = process.source, process.header, process.stretch
    if header is None and not os.access(source, os.R_OK):
        return Refusal("unreadable", _most_telling(process.errors()))
    if header is None:
        cut_off = is_cut_off_mp4(source) or broken_off(source)
        return Refusal("truncated" if cut_off else "not_media", _most_telling(process.errors()))
    # What comes before the break is good: a stretch with an end is held against what is decoded of it.
    if stretch.end_s is None and (how := broken_off(source)):
        return Refusal("truncated", how)
    if process.wants_sound and not header.audio:
        return Refusal("no_audio")
    if video and not header.video:
        return Refusal("no_video")
    declared_s = stretch.length_s(header.duration_s)
    if declared_s is not None and declared_s > process.options.max_duration_s:
        return Refusal("too_long", f"it declares {declared_s:.1f} s" if stretch.is_whole else f"{declared_s:.1f} s")
    return None


def refuse_by_content(process: FfmpegProcess, video_s: float | None, gaps: bool = True) -> Refusal | None:
    """Return why a file is refused by what came out of it, None if it is good.

    `video_s` is the length of the pictures that were decoded; None for no video wanted. `gaps`: whether gaps in the
    sound count as lost; in a long recording, which is cut into clips, they do not.
    """
    stretch, log = process.stretch, process.log()
    empty_stretch = not stretch.is_whole and any(text.startswith(EMPTY_STREAM) for text in process.errors())
    if process.wait() != 0 and not empty_stretch:
        reason = "truncated" if _sign_of_truncation(log) else "decode_error"
        return Refusal(reason, _most_telling(process.errors()))
    if process.jumps > MOST_JUMPS or (process.jumps and process.sound.lost_s > MISSING_S):
        return Refusal(
            "decode_error", "its clock jumps, as where files are joined by their bytes; give them one by one"
        )
    # What an MPEG stream declares is the difference of its last and its first time stamp.
    declared_s = process.header.duration_s if process.header and not process.jumps else None
    expected_s, audio_s = stretch.length_s(declared_s), process.sound.seconds
    if not process.wants_sound:
        return _refuse_silent(process, video_s or 0.0, declared_s)
    if video_s is None and expected_s is not None and not _is_complete(audio_s, expected_s):
        video_s = _undecoded_s(end_of("video", process.source), expected_s, stretch)
    refusal = refuse_by_end(max(audio_s, video_s or 0), declared_s, stretch)
    refusal = refusal or refuse_by_length(audio_s, video_s, expected_s, log, process.options)
    return refusal or refuse_by_sound(audio_s, process.sound.lost_s if gaps else 0.0, video_s)


def _refuse_silent(process: FfmpegProcess, video_s: float, declared_s: float | None) -> Refusal | None:
    """Return why a file is refused of which pictures alone were decoded, None if it is good.

    Sound may outlast the pictures, and a file declares the longer of the two.
    """
    expected_s, heard_s = process.stretch.length_s(declared_s), 0.0
    if expected_s is not None and not _is_complete(video_s, expected_s):
        heard_s = _undecoded_s(end_of("audio", process.source), expected_s, process.stretch) or 0.0
    refusal = refuse_by_end(max(video_s, heard_s), declared_s, process.stretch)
    return refusal or refuse_by_length(None, video_s, expected_s, process.log(), process.options, heard_s)


def _undecoded_s(end_s: float | None, longest_s: float, stretch: Stretch) -> float | None:
    """Return how much of a stretch there is of what was not decoded and ends there in its file; None for nothing."""
    length_s = min((end_s or 0.0) - stretch.start_s, longest_s)
    return length_s if length_s > 0 else None


def refuse_by_sound(audio_s: float, gaps_s: float, video_s: float | None) -> Refusal | None:
    """Return why a clip is refused of which sound is lost, None if it is good.

    Of sound that lasts `audio_s` from its start to its end, `gaps_s` are missing; pictures last `video_s`, if that is
    known.

    >>> refuse_by_sound(2.0, 0.0, 2.48), refuse_by_sound(2.0, 0.1, 3.0)
    (None, Refusal(reason='lost_sound', detail='1.10 s of 3.00 s'))
    """
    whole_s = max(audio_s, video_s or 0.0)
    lost_s = whole_s - audio_s + gaps_s
    if lost_s <= max(LOST_SOUND_S, LOST_SOUND_FRACTION * whole_s):
        return None
    return Refusal("lost_sound", f"{lost_s:.2f} s of {whole_s:.2f} s")


def refuse_by_end(decoded_s: float, declared_s: float | None, stretch: Stretch) -> Refusal | None:
    """Return why a stretch is refused that its file does not hold to its end, None if it does.

    Where the file declares to be long enough, and is not, it is the file that is at fault: `refuse_by_length`.

    >>> refuse_by_end(1.5, 6.5, Stretch(5.0, 8.0))
    Refusal(reason='bad_segment', detail='it ends at 8.00 s, its file at 6.50 s')
    """
    if decoded_s == 0 and not stretch.is_whole:
        return Refusal("bad_segment", f"its file has nothing after {stretch.start_s:.2f} s")
    if stretch.end_s is None or stretch.end_s <= (declared_s or 0) + MISSING_S:
        return None
    if _is_complete(decoded_s, stretch.end_s - stretch.start_s):
        return None
    file_end_s = stretch.start_s + decoded_s
    return Refusal("bad_segment", f"it ends at {stretch.end_s:.2f} s, its file at {file_end_s:.2f} s")


def _is_complete(decoded_s: float, expected_s: float) -> bool:
    return expected_s - decoded_s <= max(MISSING_S, MISSING_FRACTION * expected_s)


def refuse_by_length(
    audio_s: float | None, video_s: float | None, declared_s: float | None, log: list[str], options: MediaOptions,
    undecoded_s: float = 0.0,
) -> Refusal | None:  # fmt: skip
    """Return why a decoded clip is refused by its length, None if it is good.

    `audio_s` and `video_s` were decoded; None for no audio, or no video, wanted. The clip is as long as its audio, if
    that is wanted. `declared_s` is what the container declares, if anything, of the stretch that was decoded;
    `undecoded_s` is the length of a stream of the file that is not wanted.

    >>> refuse_by_length(1.5, 1.4, 3.0, [], MediaOptions())
    Refusal(reason='truncated', detail='1.50 s of the 3.00 s that it declares')
    """
    if audio_s == 0:
        return Refusal("no_audio", "its audio stream holds no sound")
    if video_s == 0:
        return Refusal("no_video", "its video stream holds no frames")
    decoded_s = max(audio_s or 0, video_s or 0)
    if decoded_s > options.max_duration_s:
        return Refusal("too_long", f"at least {decoded_s:.1f} s")
    if declared_s is not None and not _is_complete(max(decoded_s, undecoded_s), declared_s):
        return Refusal("truncated", f"{decoded_s:.2f} s of the {declared_s:.2f} s that it declares")
    if sign := _sign_of_truncation(log):
        return Refusal("truncated", sign)
    length_s = decoded_s if audio_s is None else audio_s
    if length_s < options.min_duration_s:
        return Refusal("too_short", f"{length_s:.3f} s")
    return None


def _sign_of_truncation(log: list[str]) -> str | None:
    return next((text for text in log for sign in TRUNCATION_SIGNS if sign in text), None)


def _most_telling(errors: list[str]) -> str:
    """Return the last error that is the cause, not the consequence."""
    telling = [text for text in errors if not text.startswith(_CONSEQUENCES)]
    return (telling or errors or [""])[-1]
