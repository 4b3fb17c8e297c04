"""Pieces whose clock does not begin at 0, and pictures that outlast the sound, are good files; lost sound is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from avpretext.config import MediaOptions, SegmentOptions
from avpretext.corpora.checks.headers import FileHeader, read_header
from avpretext.media import sound
from avpretext.media.decode import Decoded
from avpretext.media.stretches import WHOLE
from avpretext.refusal import Refusal
from avpretext.segment import cut

from .conftest import Make

ENCODINGS = {
    "mp4": ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"),
    "mkv": ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"),
    "webm": ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", 8, "-threads", 1, "-c:a", "libopus"),
    "ts": ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"),
    "flv": ("-c:v", "flv1", "-c:a", "aac"),
}
WINDOWS = SegmentOptions(by="windows", window_s=1.0, min_s=0.5, one_face=0)
Split = Callable[..., Decoded | Refusal]


def film(make: Make, kind: str, pictures_s: float, sound_s: float, *more: object) -> Path:
    inputs = ("-f", "lavfi", "-i", f"testsrc2=s=64x48:r=25:d={pictures_s}")
    inputs += ("-f", "lavfi", "-i", f"anoisesrc=a=0.1:seed=1:r=48000:d={sound_s}")
    return make(f"{pictures_s} {sound_s}.{kind}", *inputs, *ENCODINGS[kind], "-g", 25, *more)


def reasons(file: Path, ffmpeg: str, split_file: Split, **options: object) -> set[str | None]:
    """Return why split, with pictures and without, segment and predict refuse a file; None for what is kept."""
    found = [split_file(file, **options), split_file(file, video=False, **options)]
    found += [cut.measure(file, ffmpeg, WINDOWS, video, None, WHOLE) for video in (True, False)]
    said, listening = None, sound.listen(file, ffmpeg, MediaOptions(**options))
    try:
        while True:
            next(listening)
    except StopIteration as end:
        said = end.value
    return {one.reason if isinstance(one, Refusal) else None for one in [*found, said]}


@pytest.mark.parametrize("kind", ENCODINGS)
@pytest.mark.parametrize(("pictures_s", "sound_s"), [(2.48, 2.0), (3.0, 2.7), (8.0, 7.3)])
def test_sound_may_end_a_little_before_the_pictures(
    make: Make, ffmpeg: str, split_file: Split, kind: str, pictures_s: float, sound_s: float
) -> None:
    file = film(make, kind, pictures_s, sound_s)
    assert reasons(file, ffmpeg, split_file) == {None}
    clip = split_file(file)
    assert isinstance(clip, Decoded)
    assert clip.samples / 16_000 == pytest.approx(sound_s, abs=0.06)


@pytest.mark.parametrize("kind", ENCODINGS)
def test_sound_that_is_gone_for_the_last_third_is_lost(make: Make, ffmpeg: str, split_file: Split, kind: str) -> None:
    file = film(make, kind, 6.0, 4.0)
    assert reasons(file, ffmpeg, split_file) == {"lost_sound"}


@pytest.mark.parametrize("kind", ["mkv", "webm", "ts", "flv"])
def test_a_hole_in_the_sound_is_lost_sound_and_a_small_one_silence(
    make: Make, ffmpeg: str, split_file: Split, kind: str
) -> None:
    whole = film(make, kind, 6.0, 6.0)

    def lacks(seconds: float) -> Path:
        lost = f"noise=drop='between(pts*tb,2,{2 + seconds})'"
        return make(f"lacks {seconds}.{kind}", "-i", whole, "-c", "copy", "-bsf:a", lost)

    assert reasons(lacks(0.4), ffmpeg, split_file) == {None}
    hole = lacks(2.5)
    found = split_file(hole)
    assert isinstance(found, Refusal)
    assert (found.reason, found.detail[0]) == ("lost_sound", "2")
    # Of a recording, the clips are judged one by one.
    assert reasons(hole, ffmpeg, split_file) == {"lost_sound", None}


@pytest.mark.parametrize("kind", ["mkv", "webm", "mp4", "ts", "flv"])
def test_pieces_of_a_recording_are_good_files_of_their_own_length(
    make: Make, ffmpeg: str, split_file: Split, kind: str
) -> None:
    whole = film(make, kind, 9.0, 9.0)
    make(f"piece %d.{kind}", "-i", whole, "-c", "copy", "-f", "segment", "-segment_time", 3, "-reset_timestamps", 0)
    pieces = sorted(whole.parent.glob(f"piece *.{kind}"))
    assert len(pieces) == 3
    for piece in pieces:
        assert reasons(piece, ffmpeg, split_file, max_duration_s=4.0) == {None}
        header = read_header(piece)
        assert isinstance(header, FileHeader)
        assert header.duration_s == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("kind", ["mkv", "webm"])
def test_a_piece_that_starts_at_three_hours_is_as_long_as_it_is(
    make: Make, ffmpeg: str, split_file: Split, kind: str
) -> None:
    piece = film(make, kind, 3.0, 3.0, "-output_ts_offset", 10_800)
    assert reasons(piece, ffmpeg, split_file, max_duration_s=4.0) == {None}
    header = read_header(piece)
    assert isinstance(header, FileHeader)
    assert header.duration_s == pytest.approx(3.0, abs=0.1)
    content = piece.read_bytes()
    piece.write_bytes(content[: len(content) // 2])
    assert reasons(piece, ffmpeg, split_file) == {"truncated"}
