"""Does a file end where its container declares? Read from the sizes in containers, without decoding anything.

ffmpeg takes many a file that breaks off for a shorter one, without an error. Two kinds of containers show it:
those that write their size at their start (RIFF, which is WAV and AVI; Wave64; AIFF; ASF, which is WMV and WMA; MP4;
Matroska, which is MKV and WebM; MP3 with a Xing or Info header; CAF; AU; NIST SPHERE), and those that are a row of
packets, each with its size (Ogg, FLV, WavPack, MPEG program and transport streams, AAC, MP3).
"""

import math
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from avpretext.errors import raise_fault
from avpretext.media.packets import after_id3, at, mpeg_audio_packet, packets_of

MISSING_FRACTION = 0.05
"""A file is truncated when it lacks more than 5 % of the size, or of the duration, that it declares."""

_RIFF_UNKNOWN = 0x7FFF_F000
"""From here on programs write such sizes as "unknown", of files that they wrote to a pipe."""
_WAVE64 = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_BROADCAST = 1
_EBML, _SEGMENT = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067")
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MAX_BOXES = 1000


def broken_off(source: Path) -> str | None:
    """Return in few words how a file is shorter than its container declares; None where it is not.

    A file of packets that ends right after one is not known to be shorter, nor is raw video. At most the last 256 KB
    are read, and what is at the start.
    """
    try:
        size = source.stat().st_size
        with source.open("rb") as file:
            read = _declared_by(file.read(len(_WAVE64)))
            declared = read(file, size) if read else None
            if declared is not None:
                if declared - size > MISSING_FRACTION * declared:
                    return f"{size} of the {declared} bytes that it declares"
            elif (end := packets_of(file, size)) is not None and end() > size:
                return "it ends within a packet"
    except OSError as error:
        raise_fault(error, source)
    except (struct.error, IndexError, KeyError, ValueError):
        pass
    return None


def _declared_by(start: bytes) -> Callable[[BinaryIO, int], int | None] | None:
    """Return what reads the size that a file declares, by its first bytes; None where it declares none."""
    if start[:4] in (b"RIFF", b"RF64", b"BW64"):
        return _riff_size
    if start.startswith(_WAVE64):
        return lambda file, size: int(struct.unpack("<Q", at(file, 16, 8))[0])
    if start.startswith(_ASF):
        return _asf_size
    if start.startswith(b"caff"):
        return _caf_size
    if start.startswith(b".snd"):
        return _au_size
    if start.startswith(b"NIST_1A"):
        return _sphere_size
    if start.startswith(b"FORM"):
        return _aiff_size
    if start.startswith(_EBML):
        return _matroska_size
    if start.startswith(b"ID3") or mpeg_audio_packet(start):
        return _xing_size
    return (lambda file, size: mp4_boxes(file, size)[1]) if start[4:8] in _MP4_BOXES else None


def _riff_size(file: BinaryIO, size: int) -> int | None:
    """Return where the last of a file's RIFF chunks ends: AVI of over 1 GB has several (OpenDML)."""
    place = 0
    while place + 8 <= size:
        name, length = struct.unpack("<4sI", at(file, place, 8))
        if name in (b"RF64", b"BW64"):  # EBU Tech 3306: the size is in the chunk ds64
            (length,) = struct.unpack("<Q", at(file, place + 20, 8))
        elif name != b"RIFF":
            break
        elif length == 0 or length >= _RIFF_UNKNOWN:
            return None
        place += 8 + length + length % 2
    return place


def _aiff_size(file: BinaryIO, size: int) -> int | None:
    """Return where the form of an AIFF file ends; a program that writes to a pipe does not know."""
    (length,) = struct.unpack(">I", at(file, 4, 4))
    return None if length == 0 or length >= _RIFF_UNKNOWN else 8 + int(length) + length % 2


def _matroska_size(file: BinaryIO, size: int) -> int | None:
    """Return where the segment of a Matroska file ends (RFC 8794, 5 and 6; RFC 9559, 5.1); a broadcast has no end."""
    place = 0
    for name in (_EBML, _SEGMENT):
        head = at(file, place, 12)
        width = 9 - head[4].bit_length()
        known = int.from_bytes(head[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
        if not head.startswith(name) or width > 8 or known == (1 << 7 * width) - 1:
            return None
        place += 4 + width + known
    return place


def _caf_size(file: BinaryIO, size: int) -> int | None:
    """Return where the last chunk of a Core Audio file ends (its specification, version 1); -1 is of unknown length."""
    place = 8
    for _ in range(_MAX_BOXES):
        name, length = struct.unpack(">4sq", at(file, place, 12))
        if length < 0:
            return None
        place += 12 + length
        if name == b"data" or place >= size:
            return int(place)
    return None


def _au_size(file: BinaryIO, size: int) -> int | None:
    """Return where the sound of a Sun AU file ends: after its header and its data; of unknown length from a pipe."""
    header, data = struct.unpack(">II", at(file, 4, 8))
    return None if data == 0xFFFF_FFFF else int(header + data)


def _sphere_size(file: BinaryIO, size: int) -> int | None:
    """Return where the samples of a NIST SPHERE file end; None where they are compressed (Shorten)."""
    header = int(at(file, 8, 8))
    text = at(file, 16, min(header, 1 << 16)).decode("latin-1")
    fields = dict(re.findall(r"(?m)^(sample_count|sample_n_bytes|channel_count|sample_coding) -\S+ (\S+)", text))
    if "shorten" in fields.get("sample_coding", ""):
        return None
    numbers = [int(fields[name]) for name in ("sample_count", "sample_n_bytes", "channel_count")]
    return header + math.prod(numbers)


def _asf_size(file: BinaryIO, size: int) -> int | None:
    """Return the size in the file properties of ASF (its specification, 3.2); a broadcast has none."""
    (length,) = struct.unpack("<Q", at(file, 16, 8))
    header = at(file, 0, min(length, 1 << 20))
    place = header.find(_ASF_PROPERTIES)
    if place < 0:
        return None
    declared, flags = struct.unpack_from("<Q", header, place + 40)[0], struct.unpack_from("<I", header, place + 88)[0]
    return None if flags & _ASF_BROADCAST else int(declared)


def _xing_size(file: BinaryIO, size: int) -> int | None:
    """Return where MP3 ends by the header that encoders write into its first frame, after Xing; None without one.

    It stands behind the frame's side information, whose length depends on version and channels: Xing or Info, flags (1:
    the number of frames follows, 2: that of bytes).
    """
    place = after_id3(file)
    frame = at(file, place, 64)
    if not mpeg_audio_packet(frame):
        return None
    for behind in (13, 21, 36):
        name, flags, first, second = struct.unpack_from(">4sIII", frame, behind)
        if name in (b"Xing", b"Info") and flags & 2:
            return place + int(second if flags & 1 else first)
    return None


def mp4_boxes(file: BinaryIO, size: int) -> tuple[list[bytes], int]:
    """Return the names of the outermost boxes of an MP4 or QuickTime file, and where the last of them ends.

    ISO/IEC 14496-12, 4.2: a box is its length (4 bytes, big-endian; 1: 8 bytes more hold it; 0: up to the end of the
    file), its name (4 bytes), and its content.
    """
    names: list[bytes] = []
    place = 0
    while place + 8 <= size and len(names) < _MAX_BOXES:
        length, name, long_length = struct.unpack(">I4sQ", at(file, place, 16).ljust(16, b"\0"))
        names.append(name)
        place += {0: size - place, 1: max(long_length, 16)}.get(length, max(length, 8))
    return names, place


def is_cut_off_mp4(source: Path) -> bool:
    """Tell whether a file starts as MP4 or QuickTime does, and ends within one of its boxes or before its `moov`."""
    try:
        size = source.stat().st_size
        with source.open("rb") as file:
            names, end = mp4_boxes(file, size)
    except OSError as error:
        raise_fault(error, source)
        return False
    return bool(names) and names[0] in _MP4_BOXES and (end > size or b"moov" not in names)
