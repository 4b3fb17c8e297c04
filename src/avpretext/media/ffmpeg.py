"""The ffmpeg program: which one, with which arguments, and what its log tells about a file.

One process reads a source once and gives audio and frames at the same time, through two pipes. Sound comes with its
time stamps, for `clock` to place: ffmpeg's own way, `aresample=async`, closes gaps of up to 0.1 s, and begins anew
wherever the number of channels or the rate changes. What ffmpeg prints on opening the file stands in for a probe of its
own: the wheel that brings ffmpeg brings no ffprobe, and a second opening of each file would cost more than a short
clip's frames.
"""

import math
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

import ffmpeg
import imageio_ffmpeg

from avpretext.config import MediaOptions
from avpretext.errors import MachineFault, UserError, raise_fault
from avpretext.media.extensions import FORMATS
from avpretext.media.packets import TS_PACKET_BYTES, transport_stride
from avpretext.media.stretches import WHOLE, Stretch

PROTOCOLS = "file,pipe"
"""What ffmpeg may open: a playlist disguised as a video must not make it open a connection."""

DEMUXERS = ",".join(FORMATS)
"""How ffmpeg may read a file, whatever its name."""

MAX_DECODE_ERRORS = 0.1
"""Share of packets that may fail to decode before ffmpeg gives the clip up."""

MAX_PIXELS = 1 << 27
"""Of a picture, 16384 x 8192: a few kilobytes can declare one that fills the memory."""

RUN_UP_S = 0.5
"""Of a stretch, decoding starts at the last whole second that is at least this much earlier: decoders of sound need a
run-up, the first picture may have begun before, and from a whole second resampling has the same phase as from 0."""

STREAM_RUN_UP_S = 12.0
"""The same for MPEG streams: they have no index of the pictures that can be decoded on their own, which other
containers are searched by; encoders put one every 10 s or more often."""

JUMP = "timestamp discontinuity"
"""Start of the message that the clock of an MPEG stream begins anew."""

END_OF_HEADER = ("Stream mapping:", "Output #0", "Press [q]")
"""Starts of the lines after ffmpeg's description of its input."""

VERSION_LIMIT_S = 60.0
"""Time for a program to print its version."""

_EXTRA_S = 1.0
_FORMAT = re.compile(r"^Input #0, (.*), from '")
_DURATION = re.compile(r"^\s*Duration: (?:N/A|(\d+):(\d\d):(\d\d(?:\.\d+)?))(?:, start: (-?[\d.]+))?")
_STREAM = re.compile(r"^\s*Stream #0:\d+\S*: (Audio|Video): (.*)")
_LINE = re.compile(r"(?:\[[^\]]* @ 0x[0-9a-f]+\] *)*\[(\w+)\] ?(.*)", re.DOTALL)


@dataclass(frozen=True)
class Header:
    """What a file declares of itself; containers lie, so none of it is believed without decoding.

    `duration_s` counts from the first packet on; None where the file declares none, or ffmpeg only guesses it from the
    bit rate. Cover pictures are no video.
    """

    duration_s: float | None
    audio: bool
    video: bool


@dataclass(frozen=True)
class Part:
    """What of a file is kept: `length_s` from `start_s` on; it is decoded from `seek_s` on.

    `zero_s` is where in the file the time stamps of what is decoded are 0.
    """

    start_s: float
    length_s: float
    seek_s: float
    zero_s: float


def program(name: str) -> str:
    """Return the path of the ffmpeg program that `split.ffmpeg` names."""
    if name != "bundled":
        found = shutil.which(name)
        if found is None:
            raise UserError(f"split.ffmpeg = {name!r}: no such program; install it, or set split.ffmpeg to bundled")
        return found
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        raise UserError(
            "split.ffmpeg = 'bundled': the package imageio-ffmpeg brings no program for this machine; install ffmpeg"
            " and set split.ffmpeg to ffmpeg"
        ) from None


def version(path: str) -> str:
    """Return the version that the program reports, such as `7.0.2`, for the provenance."""
    fix = "set split.ffmpeg to bundled"
    try:
        answer = subprocess.run(
            [path, "-version"], capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=VERSION_LIMIT_S
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"split.ffmpeg: {path} -version takes more than {VERSION_LIMIT_S:.0f} s; {fix}") from None
    except OSError as error:
        raise UserError(f"split.ffmpeg: {path} cannot be started ({error.strerror}); {fix}") from None
    if answer.returncode < 0:
        raise MachineFault(path, f"it was ended by signal {-answer.returncode}")
    words = answer.stdout.decode("utf-8", "replace").split()
    if answer.returncode or len(words) < 3 or words[:2] != ["ffmpeg", "version"]:
        raise UserError(f"split.ffmpeg: {path} is no ffmpeg program; {fix}")
    return words[2]


def command(
    path: str,
    source: str,
    options: MediaOptions,
    frames_pipe: int | None,
    stretch: Stretch = WHOLE,
    as_jpeg: bool = True,
    sound: bool = True,
) -> list[str]:
    """Return the arguments that turn a source into audio on standard output and frames on another pipe.

    ffmpeg takes the container's start as time 0. Audio is written with all channels and its timestamps, in the
    container NUT. Frames go onto the constant-rate grid by timestamps: slot k holds the frame nearest to k / fps, a
    late start repeats the first frame. Rotation is applied by ffmpeg itself; pixels that are not square are made so.

    Parameters
    ----------
    frames_pipe
        File descriptor that frames are written to; None for audio alone.
    stretch
        What of the source: its start is time 0 of the output.
    as_jpeg
        How frames are written: to be stored, as JPEG; to be looked at as they come, as PPM, which is RGB with its size.
    sound
        False: nothing is written to standard output; the file may lack sound.
    """
    part = part_of(stretch, source, options)
    inputs = ffmpeg.input(
        f"file:{source}",
        protocol_whitelist=PROTOCOLS,
        format_whitelist=DEMUXERS,
        threads=1,
        max_pixels=MAX_PIXELS,
        t=(part.start_s + part.length_s - part.seek_s if part else options.max_duration_s) + _EXTRA_S,
        **({"ss": part.seek_s} if part and part.seek_s else {}),
    )
    outputs = [_audio(inputs, part.seek_s - part.zero_s if part else 0)] if sound else []
    if frames_pipe is not None:
        outputs.append(_frames(inputs, options, frames_pipe, part, as_jpeg))
    if is_mpeg_stream(source):
        # Of these, ffmpeg takes the earliest start among the streams that it reads: what is not wanted counts too.
        unread = [*([] if sound else ["a:0?"]), *(["V:0?"] if frames_pipe is None else [])]
        outputs += [ffmpeg.output(inputs[stream], "-", format="null", codec="copy") for stream in unread]
    arguments = [] if part is None or part.zero_s else ["-copyts", "-start_at_zero"]
    arguments += ["-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"]
    arguments += ["-max_error_rate", str(MAX_DECODE_ERRORS), "-filter_threads", "1"]
    # A picture of another size begins the grid anew, at slot 0: slots that have their frame already are left out.
    arguments += ["-frame_drop_threshold", "0.5"]
    compiled = ffmpeg.merge_outputs(*outputs).global_args(*arguments).compile(cmd=path)
    return [str(argument) for argument in compiled]


def part_of(stretch: Stretch, source: str, options: MediaOptions) -> Part | None:
    """Return what of the decoded is kept of a stretch, no more than a clip may last; None for a whole file."""
    if stretch.is_whole:
        return None
    seek_s, longest_s = start_of_decoding(stretch, source), options.max_duration_s + _EXTRA_S
    # ffmpeg mends the time stamps of MPEG streams, whose clock may begin anew, unless it is told to keep them; those of
    # other files it would move by the time sought, in whole units of the stream: up to 12 ms in AVI.
    zero_s = seek_s if is_mpeg_stream(source) else 0.0
    return Part(stretch.start_s, min(stretch.length_s(None) or longest_s, longest_s), seek_s, zero_s)


def start_of_decoding(stretch: Stretch, source: str) -> float:
    """Return the time from which on a source is decoded for a stretch: a whole second, before it by the run-up or more.

    >>> [start_of_decoding(Stretch(start), "a.mp4") for start in (0.4, 12.3, 12.7)]
    [0.0, 11.0, 12.0]
    """
    if stretch.start_s == 0:
        return 0.0
    run_up_s = STREAM_RUN_UP_S if is_mpeg_stream(source) else RUN_UP_S
    return float(max(0, math.floor(stretch.start_s - run_up_s)))


def is_mpeg_stream(source: str) -> bool:
    """Tell whether a file starts as MPEG program or transport streams do (ISO/IEC 13818-1, 2.4.3.2 and 2.5.3.3)."""
    try:
        with open(source, "rb") as file:
            start = file.read(3 * TS_PACKET_BYTES)
    except OSError as error:
        raise_fault(error, source)
        return False
    return start.startswith(b"\x00\x00\x01\xba") or transport_stride(start) is not None


def _audio(inputs: ffmpeg.nodes.FilterableStream, start_s: float) -> ffmpeg.nodes.OutputStream:
    # All channels as they are: `mono.Mono` mixes them. Where their number changes, ffmpeg makes it that of the start,
    # and needs a limit to do so as loud. What lies before is cut off to the sample: NUT has no time stamps below 0.
    filters = f"aresample=rematrix_maxval=1.0,aformat=sample_fmts=flt,atrim=start={start_s}"
    return ffmpeg.output(inputs["a:0"], "pipe:1", format="nut", acodec="pcm_f32le", af=filters)


def _frames(
    inputs: ffmpeg.nodes.FilterableStream, options: MediaOptions, pipe: int, part: Part | None, as_jpeg: bool
) -> ffmpeg.nodes.OutputStream:
    # A chain of its own: in one graph with the sound, a picture of another size would begin the sound anew.
    filters = [f"fps=fps={options.fps}:start_time={round(part.start_s - part.zero_s, 6) if part else 0}"]
    filters += ["setpts=PTS-STARTPTS"] if part else []
    filters += [f"scale=w='max(1,round(oh*dar))':h='min(ih,{options.height})':out_range=pc", "setsar=1"]
    filters += [f"format={'yuv420p' if as_jpeg else 'rgb24'}"]
    # bitexact keeps the encoder's version out of every frame.
    coding: dict[str, float | str] = {"vcodec": "mjpeg", "q:v": options.jpeg_quality, "qmin": 1, "flags": "+bitexact"}
    if not as_jpeg:
        coding = {"vcodec": "ppm"}
    if part is not None:
        coding["frames:v"] = max(1, round(part.length_s * options.fps))
    coding["vf"] = ",".join(filters)
    return ffmpeg.output(inputs["V:0"], f"pipe:{pipe}", format="image2pipe", threads=1, **coding)


def level_and_text(line: str) -> tuple[str, str]:
    """Split a line of ffmpeg's log into its level and its text, without the component that wrote it.

    >>> level_and_text("[mov,mp4 @ 0x55d] [error] moov atom not found")
    ('error', 'moov atom not found')
    """
    match = _LINE.match(line)
    return (match[1], match[2].rstrip()) if match else ("", line.rstrip())


def length_declared(duration_s: float | None, start_s: float, container: str) -> float | None:
    """Return how long a file is by the duration that FFmpeg reads in it.

    That of Matroska (RFC 9559, 5.1.2.10) counts from the time 0, also where the first packet comes later, as in a piece
    of a longer recording; a writer that counts from the first packet is believed once it is decoded.

    >>> length_declared(9.0, 6.0, "matroska,webm"), length_declared(3.0, 6.0, "mov,mp4,m4a,3gp,3g2,mj2")
    (3.0, 3.0)
    """
    if duration_s is None or start_s <= 0 or not container.startswith("matroska"):
        return duration_s
    return max(0.0, duration_s - start_s)


def parse_header(lines: Iterable[str]) -> Header | None:
    """Read what ffmpeg printed on opening a file; None if it did not open it."""
    opened, guessed, container = False, False, ""
    duration_s: float | None = None
    streams = set()
    for line in lines:
        _, text = level_and_text(line)
        opened = opened or text.startswith("Input #0")
        container = match[1] if (match := _FORMAT.match(text)) else container
        guessed = guessed or text.startswith("Estimating duration from bitrate")
        if (match := _DURATION.match(text)) and match[1]:
            declared_s = 3600 * int(match[1]) + 60 * int(match[2]) + float(match[3])
            duration_s = length_declared(declared_s, float(match[4] or 0), container)
        elif (match := _STREAM.match(text)) and "(attached pic)" not in text:
            streams.add(match[1])
    if not opened:
        return None
    return Header(None if guessed else duration_s, "Audio" in streams, "Video" in streams)
