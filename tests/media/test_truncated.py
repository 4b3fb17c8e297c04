"""A file that breaks off is refused as truncated, whatever its container; how that is told is read off bytes."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from avpretext.media.decode import Decoded, decode
from avpretext.media.endings import broken_off
from avpretext.media.packets import mpeg_audio_packet
from avpretext.media.stretches import Stretch
from avpretext.refusal import Refusal

from .conftest import Make

FILM = ("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=4")
SOUND = ("-f", "lavfi", "-i", "aevalsrc='0.3*sin(2*PI*300*t)+0.05*random(0)':s=44100:d=4")
X264 = ("-c:v", "libx264", "-preset", "ultrafast")
FRAGMENTS = ("-g", 25, "-movflags", "frag_keyframe+empty_moov")
Split = Callable[..., Decoded | Refusal]

FILMS = {
    "a.mp4": X264, "fast.mp4": (*X264, "-movflags", "+faststart"), "fragments.mp4": (*X264, *FRAGMENTS), "a.mov": X264,
    "a.3gp": (*X264, "-c:a", "aac"), "a.mkv": X264,
    "a.webm": ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", 8, "-threads", 1, "-ar", 48000), "a.flv": X264,
    "a.avi": ("-c:v", "mpeg4", "-c:a", "libmp3lame"), "a.wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
    "a.mpg": ("-c:v", "mpeg1video", "-c:a", "mp2"), "a.vob": ("-c:v", "mpeg2video", "-c:a", "ac3"), "a.ts": X264,
    "a.m2ts": (*X264, "-c:a", "ac3"), "a.ogv": ("-c:v", "libtheora", "-c:a", "libvorbis"),
    "a.mxf": ("-c:v", "mpeg2video", "-c:a", "pcm_s16le", "-ar", 48000),
}  # fmt: skip
SOUNDS = {
    "a.wav": (), "large.wav": ("-rf64", "always"), "a.w64": (), "a.aiff": (), "a.flac": (), "a.mp3": (), "a.m4a": (),
    "a.aac": (), "a.ogg": ("-c:a", "libvorbis"), "a.opus": ("-ar", 48000), "a.wma": ("-c:a", "wmav2"),
}  # fmt: skip


@pytest.mark.parametrize("name", [*FILMS, *SOUNDS])
def test_a_file_cut_anywhere_is_refused_and_whole_it_is_kept(make: Make, split_file: Split, name: str) -> None:
    film = name in FILMS
    encoding = FILMS[name] if film else SOUNDS[name]
    whole = make(name, *(FILM if film else ()), *SOUND, *encoding)
    assert isinstance(split_file(whole, film), Decoded)
    content = whole.read_bytes()
    cut = whole.with_name(f"cut.{name}")
    for share in (10, 50, 90):
        # One byte less: in streams of packets of one size, a round share is a packet's end.
        cut.write_bytes(content[: len(content) * share // 100 - 1])
        refusal = split_file(cut, film)
        assert isinstance(refusal, Refusal), share
        assert refusal.reason == "truncated" or (name, share) == ("a.mxf", 10), refusal


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("a.mp3", ("-write_xing", 0)),
        ("a.mp3", ("-write_xing", 0, "-id3v2_version", 0, "-write_id3v1", 1, "-metadata", "title=a", "-q:a", 4)),
        ("a.mp3", ("-write_xing", 0, "-ar", 22050)),
        ("a.mp3", ("-write_xing", 0, "-ar", 8000, "-b:a", "8k")),
        ("a.mp2", ()),
    ],
)
def test_mp3_without_a_header_may_end_after_a_frame_alone(make: Make, split_file: Split, name: str, encoding) -> None:
    whole = make(name, *SOUND, *encoding)
    assert isinstance(split_file(whole, False), Decoded)
    half, ends = whole.stat().st_size // 2, 0
    for length in range(half + 399, half - 1, -1):
        os.truncate(whole, length)
        ends += broken_off(whole) is None
    os.truncate(whole, half - 1 if broken_off(whole) is None else half)
    assert ends <= 6, "right after a frame"
    refusal = split_file(whole, False)
    assert isinstance(refusal, Refusal)
    assert refusal == Refusal("truncated", "it ends within a packet")


def test_a_transport_stream_cut_between_packets_may_end_after_a_whole_sound_or_picture_alone(
    make: Make, split_file: Split
) -> None:
    film = make("a.ts", *FILM, *SOUND, *X264, "-omit_video_pes_length", 0)
    content = film.read_bytes()
    assert isinstance(split_file(film), Decoded)
    told = []
    for packet in range(len(content) // 376 + 199, len(content) // 376 - 1, -1):
        os.truncate(film, packet * 188)
        told.append(broken_off(film))
    assert told.count("it ends within a packet") > 160
    assert isinstance(split_file(film), Refusal) == (told[-1] is not None)


def test_what_declares_nothing_is_kept_as_the_shorter_clip_that_it_is(make: Make, split_file: Split) -> None:
    sound = make("a.mp3", *SOUND, "-write_xing", 0, "-id3v2_version", 0, "-ar", 48000, "-b:a", "64k")
    frame = mpeg_audio_packet(sound.read_bytes()[:4])
    assert frame == 144 * 64_000 // 48_000
    sound.write_bytes(sound.read_bytes()[: sound.stat().st_size // frame // 2 * frame])
    film = make("a.ts", *FILM, *SOUND, *X264)
    content = film.read_bytes()
    for packet in range(len(content) // 376, len(content) // 188):
        film.write_bytes(content[: packet * 188])
        if broken_off(film) is None:
            break
    for file, video in ((sound, False), (film, True)):
        clip = split_file(file, video)
        assert isinstance(clip, Decoded)
        assert clip.samples == pytest.approx(32_000, abs=5000)


def test_a_stretch_before_the_break_is_a_clip(make: Make, ffmpeg: str, options, tmp_path: Path) -> None:
    whole = make("a.wav", *SOUND)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    good = decode(whole, ffmpeg, options, False, tmp_path, Stretch(1.0, 2.0))
    assert isinstance(good, Decoded)
    assert good.samples == 16_000
    for stretch in (Stretch(2.0, 3.5), Stretch(2.0)):
        assert isinstance(decode(whole, ffmpeg, options, False, tmp_path, stretch), Refusal)


def wav(declared: int, content: int, name: bytes = b"RIFF") -> bytes:
    return struct.pack("<4sI4s", name, declared, b"WAVE").ljust(content, b"\0")


def asf(declared: int, flags: int, content: int) -> bytes:
    start = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + struct.pack("<QIH", 134, 1, 0x201)
    properties = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365") + struct.pack("<Q16xQ40xI12x", 104, declared, flags)
    return (start + properties).ljust(content, b"\0")


def ogg(segments: list[int], content: int) -> bytes:
    return (b"OggS\0\4" + bytes(20) + bytes([len(segments), *segments])).ljust(content, b"\0")


def xing(declared: int, flags: int) -> bytes:
    first = MP3[:36] + b"Xing" + struct.pack(">III", flags, 3, declared)
    return first.ljust(417, b"\0") + 2 * MP3


def matroska(length: str) -> bytes:
    return bytes.fromhex("1a45dfa3 85 0102030405 18538067" + length)


def ts(payload: bytes, begins: bool = False) -> bytes:
    return (b"G" + (b"\x41" if begins else b"\x01") + b"\x00\x10" + payload).ljust(188, b"\0")


MP3 = bytes.fromhex("fffb9064").ljust(417, b"\0")
FLV = b"FLV\1\5\0\0\0\x09" + bytes(4)
FLV_TAG = bytes.fromhex("0900000a 00000000 000000") + bytes(10) + struct.pack(">I", 21)
PES = bytes.fromhex("000001c0 02d0 800000")
ADTS = bytes.fromhex("fff150802a1ffc").ljust(336, b"\0")
PACK = bytes.fromhex("000001ba210001000180000b")


@pytest.mark.parametrize(
    ("content", "how"),
    [
        (wav(992, 1000), None),
        (wav(992, 960), None),
        (wav(992, 900), "900 of the 1000 bytes that it declares"),
        (wav(1000, 1000), None),
        (wav(0, 1000), None),
        (wav(0xFFFFFFFF, 1000), None),
        (wav(0x7FFFF024, 1000), None),
        (wav(992, 1000) + wav(2000, 500), "1500 of the 3008 bytes that it declares"),
        (wav(992, 1000) + b"ID3 and more", None),
        (struct.pack("<4sI4s4sIQ", b"RF64", 0xFFFFFFFF, b"WAVE", b"ds64", 28, 5000).ljust(99), "99 of the 5008 bytes"),
        (asf(5000, 2, 5000), None),
        (asf(5000, 2, 4000), "4000 of the 5000 bytes that it declares"),
        (asf(5000, 1, 4000), None),
        (ogg([255, 10], 294), None),
        (ogg([255, 10], 293), "it ends within a packet"),
        (ogg([255, 10], 294) + ogg([200], 228)[:20], "it ends within a packet"),
        (3 * ADTS, None),
        (3 * ADTS[:-1] + ADTS, None),
        (3 * ADTS + ADTS[:300], "it ends within a packet"),
        (3 * ADTS + b"TAG" + bytes(125), None),
        (PACK + bytes.fromhex("000001e0000a") + bytes(10), None),
        (PACK + bytes.fromhex("000001e0000a") + bytes(9), "it ends within a packet"),
        (PACK + bytes.fromhex("000001e0000a") + bytes(10) + bytes.fromhex("000001b9"), None),
        (3 * (b"G" + bytes(187)), None),
        (3 * (b"G" + bytes(187)) + b"G", "it ends within a packet"),
        (3 * (bytes(4) + b"G" + bytes(187)), None),
        (3 * (bytes(4) + b"G" + bytes(187)) + b"1", "it ends within a packet"),
        (3 * MP3, None),
        (3 * MP3 + MP3[:2], "it ends within a packet"),
        (3 * MP3 + MP3[:416], "it ends within a packet"),
        (b"ID3\4\0\0\0\0\1\2" + bytes(130) + 4 * MP3 + MP3[:5], "it ends within a packet"),
        (3 * MP3 + b"TAG" + bytes(125), None),
        (xing(3 * 417, 3), None),
        (xing(300 * 417, 3), "1251 of the 125100 bytes that it declares"),
        (xing(0, 0) + MP3[:5], "it ends within a packet"),
        (FLV + 3 * FLV_TAG, None),
        (FLV + 3 * FLV_TAG + FLV_TAG[:5], "it ends within a packet"),
        (FLV + 3 * FLV_TAG + FLV_TAG[:15], "it ends within a packet"),
        (b"FORM" + struct.pack(">I", 992) + b"AIFF" + bytes(988), None),
        (b"FORM" + struct.pack(">I", 992) + b"AIFF" + bytes(900), "912 of the 1000 bytes that it declares"),
        (b"FORM" + struct.pack(">I", 0) + b"AIFF" + bytes(900), None),
        (matroska("43e8") + bytes(1000), None),
        (matroska("43e8") + bytes(500), "516 of the 1016 bytes that it declares"),
        (matroska("01ffffffffffffff") + bytes(500), None),
        (matroska("ff") + bytes(500), None),
        (4 * ts(bytes(184)), None),
        (ts(PES + bytes(175), begins=True) + 2 * ts(bytes(184)), "it ends within a packet"),
        (ts(PES + bytes(175), begins=True) + 3 * ts(bytes(184)), None),
        (ts(PES[:4] + bytes(180), begins=True) + 2 * ts(bytes(184)), None),
        (b"this is no video", None),
        (b"", None),
        (b"RIFF", None),
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), None),
    ],
)  # fmt: skip
def test_the_sizes_that_containers_write_are_read(tmp_path: Path, content: bytes, how: str | None) -> None:
    (tmp_path / "a").write_bytes(content)
    found = broken_off(tmp_path / "a")
    assert found == how or (how is not None and found is not None and found.startswith(how))
    assert broken_off(tmp_path / "gone") is None
