"""Does a file end where its container says? Read from the sizes that containers write, without decoding anything.

ffmpeg takes many a file that breaks off for a shorter one, and says nothing. Two kinds of containers tell the truth:
those that write their size at their start (RIFF, which is WAV and AVI; Wave64; ASF, which is WMV and WMA; MP4), and
those that are a row of packets, each with its size (Ogg, MPEG program and transport streams, AAC).
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

MISSING_FRACTION = 0.05
"""A file is truncated when it lacks more than 5 % of the size, or of the duration, that it declares."""

TS_PACKET_BYTES = 188

_RIFF_UNKNOWN = 0x7FFF_F000
"""From here on programs write such sizes as "unknown", of files that they wrote to a pipe."""
_WAVE64 = bytes.fromhex("726966662e91cf11a5d628db04c10000")
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_BROADCAST = 1
_OGG_PAGE_BYTES = 27 + 255 + 255 * 255
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MAX_BOXES = 1000
_MAX_PACKETS = 2_000_000


def broken_off(source: Path) -> str | None:
    """Say in few words how a file is shorter than its container declares; None where nothing speaks for it.

    Of a file of packets that ends right after one nothing can be said, nor of MP3 and raw video.
    """
    try:
        size = source.stat().st_size
        with source.open("rb") as file:
            start = file.read(3 * (TS_PACKET_BYTES + 4))
            if (read := _declared_by(start)) is not None:
                declared = read(file, size)
                if declared is not None and declared - size > MISSING_FRACTION * declared:
                    return f"{size} of the {declared} bytes that it declares"
            elif (walk := _packets_of(start)) is not None and walk(file, size) > size:
                return "it ends within a packet"
    except (OSError, struct.error):
        pass
    return None


def _declared_by(start: bytes) -> Callable[[BinaryIO, int], int | None] | None:
    """Return what reads the size that a file declares, by its first bytes; None where it declares none."""
    if start[:4] in (b"RIFF", b"RF64", b"BW64"):
        return _riff_size
    if start.startswith(_WAVE64):
        return lambda file, size: int(struct.unpack("<Q", _at(file, 16, 8))[0])
    if start.startswith(_ASF):
        return _asf_size
    return (lambda file, size: mp4_boxes(file, size)[1]) if start[4:8] in _MP4_BOXES else None


def _packets_of(start: bytes) -> Callable[[BinaryIO, int], int] | None:
    """Return what finds the end of a file's last packet, by the file's first bytes; None for other files."""
    if start.startswith(b"OggS"):
        return _end_of_ogg
    if start.startswith(b"\x00\x00\x01\xba"):
        return lambda file, size: _end_of_packets(file, size, _program_packet)
    if stride := transport_stride(start):
        return lambda file, size: -(-size // stride) * stride
    return (lambda file, size: _end_of_packets(file, size, _aac_packet)) if _aac_packet(start) else None


def _at(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)


def _riff_size(file: BinaryIO, size: int) -> int | None:
    """Return where the last of a file's RIFF chunks ends: AVI of over 1 GB has several (OpenDML)."""
    place = 0
    while place + 8 <= size:
        name, length = struct.unpack("<4sI", _at(file, place, 8))
        if name in (b"RF64", b"BW64"):  # EBU Tech 3306: the size is in the chunk ds64
            (length,) = struct.unpack("<Q", _at(file, place + 20, 8))
        elif name != b"RIFF":
            break
        elif length == 0 or length >= _RIFF_UNKNOWN:
            return None
        place += 8 + length + length % 2
    return place


def _asf_size(file: BinaryIO, size: int) -> int | None:
    """Return the size in the file properties of ASF (its specification, 3.2); a broadcast has none."""
    (length,) = struct.unpack("<Q", _at(file, 16, 8))
    header = _at(file, 0, min(length, 1 << 20))
    place = header.find(_ASF_PROPERTIES)
    if place < 0:
        return None
    declared, flags = struct.unpack_from("<Q", header, place + 40)[0], struct.unpack_from("<I", header, place + 88)[0]
    return None if flags & _ASF_BROADCAST else int(declared)


def mp4_boxes(file: BinaryIO, size: int) -> tuple[list[bytes], int]:
    """Return the names of the outermost boxes of an MP4 or QuickTime file, and where the last of them ends.

    ISO/IEC 14496-12, 4.2: a box is its length (4 bytes, big-endian; 1: 8 bytes more hold it; 0: up to the end of the
    file), its name (4 bytes), and its content.
    """
    names: list[bytes] = []
    place = 0
    while place + 8 <= size and len(names) < _MAX_BOXES:
        length, name, long_length = struct.unpack(">I4sQ", _at(file, place, 16).ljust(16, b"\0"))
        names.append(name)
        place += {0: size - place, 1: max(long_length, 16)}.get(length, max(length, 8))
    return names, place


def is_cut_off_mp4(source: Path) -> bool:
    """Tell whether a file starts as MP4 or QuickTime does, and ends within one of its boxes or before its `moov`."""
    try:
        size = source.stat().st_size
        with source.open("rb") as file:
            names, end = mp4_boxes(file, size)
    except OSError:
        return False
    return bool(names) and names[0] in _MP4_BOXES and (end > size or b"moov" not in names)


def _end_of_ogg(file: BinaryIO, size: int) -> int:
    """Return where the last page of an Ogg file ends (RFC 3533, 6)."""
    begin = max(0, size - _OGG_PAGE_BYTES)
    tail = _at(file, begin, _OGG_PAGE_BYTES)
    place = tail.rfind(b"OggS")
    if place < 0:
        return 0
    segments = tail[place + 26] if place + 26 < len(tail) else 0
    return begin + place + 27 + segments + sum(tail[place + 27 : place + 27 + segments])


def transport_stride(start: bytes) -> int | None:
    """Return the distance of packets in an MPEG transport stream (ISO/IEC 13818-1, 2.4.3.2), None for other files.

    On disc each packet may come with a time stamp of 4 bytes before it.
    """
    for extra in (0, 4):
        stride = TS_PACKET_BYTES + extra
        if set(start[extra : 3 * TS_PACKET_BYTES : stride]) == {0x47}:
            return stride
    return None


def _end_of_packets(file: BinaryIO, size: int, length_of: Callable[[bytes], int]) -> int:
    """Return where the last packet ends; 0 where something else stands among the packets."""
    place = 0
    for _ in range(_MAX_PACKETS):
        if place >= size:
            return place
        length = length_of(_at(file, place, 14))
        if not length:
            return 0
        place += length
    return 0


def _program_packet(start: bytes) -> int:
    """Return the length of a packet of an MPEG program stream (ISO/IEC 13818-1, 2.5.3; 11172-1, 2.4.3), 0 for none.

    >>> _program_packet(bytes.fromhex("000001e0 000a")), _program_packet(b"no packet")
    (16, 0)
    """
    if len(start) < 14 and b"\x00\x00\x01".startswith(start[:3]):
        start = start.ljust(14, b"\xff")
    if not start.startswith(b"\x00\x00\x01"):
        return 0
    if start[3] == 0xB9:
        return 4
    if start[3] == 0xBA:
        return 12 if start[4] >> 4 == 2 else 14 + (start[13] & 7)
    return 6 + int.from_bytes(start[4:6], "big") if start[3] > 0xBA else 0


def _aac_packet(start: bytes) -> int:
    """Return the length of a frame of AAC (ADTS; ISO/IEC 13818-7, 6.2), 0 for none.

    >>> _aac_packet(bytes.fromhex("fff15080 2a1ffc")), _aac_packet(b"RIFF....")
    (336, 0)
    """
    if len(start) < 7 or start[0] != 0xFF or start[1] & 0xF6 != 0xF0:
        return 0
    return (start[3] & 3) << 11 | start[4] << 3 | start[5] >> 5
