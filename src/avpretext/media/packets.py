"""Where the last packet of a file ends, of files that are a row of packets, each with its size.

Only the last part of a file is read, so that hours cost no more than seconds.
"""

import functools
import re
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

TS_PACKET_BYTES = 188

HEADER_BYTES = 14
"""Of a packet, as much as tells its length."""

_TAIL_BYTES = 1 << 18
_IN_A_ROW = 3
"""So many packets, each where the one before ends, are no chance."""
_OGG_PAGE_BYTES = 27 + 255 + 255 * 255
_SYNC = 0x47
_SOUND_OR_PICTURES = {0xBD, 0xFD, *range(0xC0, 0xF0)}
"""Stream numbers of PES packets, private and extended ones among them, such as those of AC-3."""
_ID3_BYTES = 10

_MPEG1_KBPS = (
    (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
_MPEG2_KBPS = (
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
"""Bit rates of layers I, II, III (ISO/IEC 11172-3, 2.4.2.3; 13818-3, 2.4.2.3)."""
_MPEG1_HZ = (44100, 48000, 32000)

_PACK = re.compile(rb"\x00\x00\x01\xba")
_FRAME = re.compile(rb"\xff[\xe0-\xff]")
_WAVPACK = re.compile(b"wvpk")
_FLV_TAG = re.compile(rb"[\x08\x09\x12].{7}\0\0\0", re.DOTALL)

LengthOf = Callable[[bytes], int]
"""From the first bytes of a packet, fewer at the end of a file, to its length at least; 0 for what is none."""


def packets_of(file: BinaryIO, size: int) -> Callable[[], int] | None:
    """Return what finds the end of a file's last packet, in bytes; None for files of another kind.

    It is larger than the file where the file ends within a packet, and 0 where nothing can be said.
    """
    start = at(file, 0, 3 * (TS_PACKET_BYTES + 4))
    if start.startswith(b"OggS"):
        return lambda: _end_of_ogg(file, size)
    if start.startswith(b"\x00\x00\x01\xba"):
        return lambda: _end_of_row(file, size, program_packet, _PACK, 1)
    if start.startswith(b"FLV"):
        return lambda: _end_of_row(file, size, flv_packet, _FLV_TAG, _IN_A_ROW)
    if start.startswith(b"wvpk"):
        return lambda: _end_of_row(file, size, wavpack_packet, _WAVPACK, 1)
    if stride := transport_stride(start):
        return lambda: _end_of_transport(file, size, stride)
    start = at(file, after_id3(file), HEADER_BYTES)
    for length_of in (aac_packet, mpeg_audio_packet):
        if length_of(start):
            return functools.partial(_end_of_row, file, size, length_of, _FRAME, _IN_A_ROW)
    return None


def at(file: BinaryIO, place: int, length: int) -> bytes:
    """Return the bytes at a place of a file."""
    file.seek(place)
    return file.read(length)


def after_id3(file: BinaryIO) -> int:
    """Return where what follows the tags at the start of a file begins (id3.org, ID3v2.4.0, 3.1)."""
    place = 0
    while (tag := at(file, place, _ID3_BYTES)).startswith(b"ID3") and len(tag) == _ID3_BYTES:
        place += _ID3_BYTES + sum(byte << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True))
    return place


def _end_of_ogg(file: BinaryIO, size: int) -> int:
    """Return where the last page of an Ogg file ends (RFC 3533, 6)."""
    begin = max(0, size - _OGG_PAGE_BYTES)
    tail = at(file, begin, _OGG_PAGE_BYTES)
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
        if set(start[extra : 3 * TS_PACKET_BYTES : stride]) == {_SYNC}:
            return stride
    return None


def _end_of_row(file: BinaryIO, size: int, length_of: LengthOf, sign: re.Pattern[bytes], in_a_row: int) -> int:
    """Return where the last packet ends, reading from where, in the last part of a file, some are first in a row.

    Something else may stand among them, such as a tag: they are then sought again behind it.
    """
    begin = max(0, size - _TAIL_BYTES)
    tail = at(file, begin, _TAIL_BYTES)
    searched = 0
    while found := sign.search(tail, searched):
        ends = list(_ends(tail, found.start(), length_of))
        if len(ends) >= in_a_row and ends[-1] >= len(tail):
            return begin + ends[-1]
        searched = ends[-1] if len(ends) >= in_a_row else found.start() + 1
    return 0


def _ends(tail: bytes, place: int, length_of: LengthOf) -> Iterator[int]:
    """Yield where each packet ends of those that follow each other from a place on."""
    while place < len(tail) and (length := length_of(tail[place : place + HEADER_BYTES])):
        place += length
        yield place


def program_packet(start: bytes) -> int:
    """Return the length of a packet of an MPEG program stream (ISO/IEC 13818-1, 2.5.3; 11172-1, 2.4.3), 0 for none.

    >>> program_packet(bytes.fromhex("000001e0 000a")), program_packet(b"no packet")
    (16, 0)
    """
    if len(start) < HEADER_BYTES and b"\x00\x00\x01".startswith(start[:3]):
        start = start.ljust(HEADER_BYTES, b"\xff")
    if not start.startswith(b"\x00\x00\x01"):
        return 0
    if start[3] == 0xB9:
        return 4
    if start[3] == 0xBA:
        return 12 if start[4] >> 4 == 2 else 14 + (start[13] & 7)
    return 6 + int.from_bytes(start[4:6], "big") if start[3] > 0xBA else 0


def flv_packet(start: bytes) -> int:
    """Return the length of a tag of FLV, its length behind it included (its specification, E.4.1), 0 for none.

    >>> flv_packet(bytes.fromhex("090001f4 00000000 000000")), flv_packet(b"RIFF")
    (515, 0)
    """
    if len(start) < 11 and start[0] in (8, 9, 18):
        return 15
    if not _FLV_TAG.match(start):
        return 0
    return 11 + int.from_bytes(start[1:4], "big") + 4


def wavpack_packet(start: bytes) -> int:
    """Return the length of a block of WavPack (its specification, 4), 0 for none.

    >>> wavpack_packet(b"wvpk\\x10\\0\\0\\0\\x10\\x04"), wavpack_packet(b"RIFF....")
    (24, 0)
    """
    if len(start) < 8:
        return 8 if b"wvpk".startswith(start[:4]) else 0
    return 8 + int.from_bytes(start[4:8], "little") if start.startswith(b"wvpk") else 0


def aac_packet(start: bytes) -> int:
    """Return the length of a frame of AAC (ADTS; ISO/IEC 13818-7, 6.2), 0 for none.

    >>> aac_packet(bytes.fromhex("fff15080 2a1ffc")), aac_packet(b"RIFF....")
    (336, 0)
    """
    if len(start) < 7:
        return 7 if start.startswith(b"\xff") else 0
    if start[0] != 0xFF or start[1] & 0xF6 != 0xF0:
        return 0
    return (start[3] & 3) << 11 | start[4] << 3 | start[5] >> 5


def mpeg_audio_packet(start: bytes) -> int:
    """Return the length of a frame of MPEG audio, such as MP3 (ISO/IEC 11172-3, 2.4.1.3 and 2.4.3.1), 0 for none.

    >>> mpeg_audio_packet(bytes.fromhex("fffb9064")), mpeg_audio_packet(b"RIFF")
    (417, 0)
    """
    if len(start) < 4:
        return 4 if start.startswith(b"\xff") else 0
    if start[0] != 0xFF or start[1] & 0xE0 != 0xE0:
        return 0
    version, layer = start[1] >> 3 & 3, 4 - (start[1] >> 1 & 3)  # 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5
    rate, sampling, padding = start[2] >> 4, start[2] >> 2 & 3, start[2] >> 1 & 1
    if version == 1 or layer == 4 or rate in (0, 15) or sampling == 3:
        return 0
    hertz = _MPEG1_HZ[sampling] >> {3: 0, 2: 1, 0: 2}[version]
    bits_per_s = 1000 * (_MPEG1_KBPS if version == 3 else _MPEG2_KBPS)[layer - 1][rate]
    if layer == 1:
        return (12 * bits_per_s // hertz + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * bits_per_s // hertz + padding


def _end_of_transport(file: BinaryIO, size: int, stride: int) -> int:
    """Return where the last packet of a transport stream ends, with what is missing of the sound or picture in it.

    A packet of 188 bytes holds a part of a longer one (PES), which may say how long it is (ISO/IEC 13818-1, 2.4.3.6):
    that of sound does, that of pictures seldom.
    """
    whole = -(-size // stride) * stride
    begin = max(0, size - _TAIL_BYTES) // stride * stride
    tail = at(file, begin, _TAIL_BYTES + stride)
    missing: dict[int, int] = {}
    for place in range(stride - TS_PACKET_BYTES, len(tail) - TS_PACKET_BYTES + 1, stride):
        packet = tail[place : place + TS_PACKET_BYTES]
        stream, payload = (packet[1] & 0x1F) << 8 | packet[2], _payload(packet)
        if packet[1] & 0x40:
            missing[stream] = _declared_by(payload)
        missing[stream] = max(0, missing.get(stream, 0) - len(payload))
    return whole + max(missing.values(), default=0)


def _payload(packet: bytes) -> bytes:
    """Return the content of a packet of a transport stream (ISO/IEC 13818-1, 2.4.3.2)."""
    if packet[0] != _SYNC or not packet[3] & 0x10:
        return b""
    return packet[4 + (1 + packet[4] if packet[3] & 0x20 else 0) :]


def _declared_by(payload: bytes) -> int:
    """Return the length that a PES packet of sound or pictures declares, 0 where it declares none."""
    if len(payload) < 6 or payload[:3] != b"\x00\x00\x01" or payload[3] not in _SOUND_OR_PICTURES:
        return 0
    length: int = struct.unpack(">H", payload[4:6])[0]
    return 6 + length if length else 0
