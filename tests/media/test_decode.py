"""One clock for audio and frames, whatever the container; and what is wrong with a file is found out."""

import hashlib
import io
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from avpretext.config import MediaOptions
from avpretext.errors import UserError
from avpretext.media import bounds, effort
from avpretext.media import decode as decoding
from avpretext.media.checks import refuse_by_length
from avpretext.media.decode import Decoded, decode, encode_flac, read_pictures, split_jpegs
from avpretext.media.endings import is_cut_off_mp4
from avpretext.media.ffmpeg import Header, level_and_text, parse_header, program
from avpretext.refusal import Refusal

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")
FRAME_S = 1 / 25


def onset_s(clip: Decoded) -> tuple[float, float]:
    """Return when the beep and the flash start, on the common clock."""
    samples, rate = soundfile.read(io.BytesIO(clip.flac))
    assert (rate, len(samples)) == (16_000, clip.samples)
    grey = np.array([np.asarray(Image.open(io.BytesIO(image)).convert("L")).mean() for image in clip.images()])
    return np.flatnonzero(np.abs(samples) > 0.2)[0] / rate, np.flatnonzero(grey > 128)[0] * FRAME_S


def decoded(source: Path, ffmpeg: str, options: MediaOptions, video: bool = True) -> Decoded:
    clip = decode(source, ffmpeg, options, video, source.parent)
    assert isinstance(clip, Decoded), clip
    return clip


def refused(source: Path, ffmpeg: str, options: MediaOptions, video: bool = True) -> str:
    refusal = decode(source, ffmpeg, options, video, source.parent)
    assert isinstance(refusal, Refusal), "the clip was kept"
    return refusal.reason


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("a.mp4", H264),
        ("a.mkv", ("-c:v", "libx264", "-c:a", "libopus", "-ar", 48000)),
        ("a.mpg", ("-c:v", "mpeg1video", "-c:a", "mp2")),
        ("a.flv", ("-c:v", "flv1", "-c:a", "libmp3lame")),
    ],
)
@pytest.mark.parametrize(("video_late", "audio_late"), [(0, 0), (0.48, 0), (0, 0.5)])
def test_flash_and_beep_stay_where_the_container_has_them(
    flash_and_beep, ffmpeg, options, name, encoding, video_late, audio_late
):
    source = flash_and_beep(name, *encoding, video_late=video_late, audio_late=audio_late)
    beep, flash = onset_s(decoded(source, ffmpeg, options))
    # The container may start up to a frame before its first picture (the encoder's delay); the streams move together.
    assert flash - beep == pytest.approx(video_late - audio_late, abs=0.025)
    assert beep == pytest.approx(1.0 + audio_late, abs=FRAME_S)


def test_a_late_start_is_padded_from_time_zero(flash_and_beep, ffmpeg, options):
    late_audio = decoded(flash_and_beep("a.mp4", *H264, audio_late=0.5), ffmpeg, options)
    samples, _ = soundfile.read(io.BytesIO(late_audio.flac))
    assert not samples[: int(0.49 * 16_000)].any()
    assert len(late_audio.frame_bytes) == 75
    late_video = decoded(flash_and_beep("v.mp4", *H264, video_late=0.48), ffmpeg, options)
    assert len(late_video.frame_bytes) == 75 + 12


def test_variable_frame_rate_is_resampled_by_timestamps(make, ffmpeg, options):
    kept = "if(lt(t,0.9),not(mod(n,3)),if(lt(t,1.5),not(mod(n,5)),not(mod(n,20))))"
    video = f"color=black:s=160x120:r=100:d=3,drawbox=c=white:t=fill:enable='gte(t,1.999)',select='{kept}'"
    sound = "aevalsrc='0.8*sin(2*PI*1000*t)*gte(t,2)':s=44100:d=3"
    inputs = ("-f", "lavfi", "-i", video, "-f", "lavfi", "-i", sound)
    clip = decoded(make("vfr.mp4", *inputs, "-fps_mode", "vfr", *H264), ffmpeg, options)
    assert len(clip.frame_bytes) == pytest.approx(75, abs=5)
    beep, flash = onset_s(clip)
    assert (beep, flash) == (pytest.approx(2.0, abs=0.005), pytest.approx(2.0, abs=FRAME_S / 2))


@pytest.mark.parametrize("rate", [10, 29.97, 60])
def test_every_source_rate_comes_onto_the_grid(make, ffmpeg, options, rate):
    video = f"color=black:s=160x120:r={rate}:d=3,drawbox=c=white:t=fill:enable='gte(t,1.999)'"
    inputs = ("-f", "lavfi", "-i", video, "-f", "lavfi", "-i", "sine=d=3")
    clip = decoded(make("rate.mp4", *inputs, *H264), ffmpeg, options)
    assert len(clip.frame_bytes) == pytest.approx(75, abs=2)
    grey = [np.asarray(Image.open(io.BytesIO(image)).convert("L")).mean() for image in clip.images()]
    assert np.flatnonzero(np.array(grey) > 128)[0] * FRAME_S == pytest.approx(2.0, abs=max(FRAME_S, 0.6 / rate))


def test_rotation_height_and_square_pixels(make, flash_and_beep, ffmpeg, options):
    def size(source: Path, **more: object) -> tuple[int, int]:
        clip = decoded(source, ffmpeg, options.model_copy(update=more))
        return Image.open(io.BytesIO(next(clip.images()))).size

    upright = flash_and_beep("plain.mp4", *H264)
    assert size(upright) == (160, 120)
    assert size(upright, height=60) == (80, 60)
    assert size(upright, height=45) == (60, 45)
    assert size(make("turned.mp4", "-display_rotation", 90, "-i", upright, "-c", "copy")) == (120, 160)
    assert size(make("wide.mp4", "-i", upright, "-vf", "setsar=2", *H264)) == (320, 120)
    assert size(make("odd.mkv", "-i", upright, "-vf", "crop=75:51:exact=1", "-c:v", "ffv1", "-c:a", "flac")) == (75, 51)


@pytest.mark.parametrize("pixels", ["gray", "yuv420p10le", "yuv444p", "yuva420p", "rgb24"])
def test_every_pixel_format_becomes_an_ordinary_jpeg_of_the_same_brightness(make, ffmpeg, options, pixels):
    video = "color=0x808080:s=64x48:r=25:d=1"
    inputs = ("-f", "lavfi", "-i", video, "-f", "lavfi", "-i", "sine=d=1", "-pix_fmt", pixels)
    clip = decoded(make("pixels.mkv", *inputs, "-c:v", "ffv1", "-c:a", "flac"), ffmpeg, options)
    image = Image.open(io.BytesIO(next(clip.images())))
    assert (image.mode, image.size) == ("RGB", (64, 48))
    assert np.asarray(image).mean() == pytest.approx(128, abs=3)


@pytest.mark.parametrize(("channels", "rate"), [(1, 8000), (2, 44100), (6, 48000), (1, 192000)])
def test_all_sound_becomes_16_khz_mono_of_the_same_length(make, ffmpeg, options, channels, rate):
    source = make("a.wav", "-f", "lavfi", "-i", f"sine=f=500:d=1:r={rate}", "-ac", channels, "-ar", rate)
    clip = decoded(source, ffmpeg, options, video=False)
    samples, read_rate = soundfile.read(io.BytesIO(clip.flac))
    assert (read_rate, samples.ndim, clip.samples) == (16_000, 1, 16_000)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) == pytest.approx(500, abs=2)


@pytest.mark.parametrize("layout", ["stereo", "5.1"])
def test_equal_channels_are_as_loud_as_one(make, ffmpeg, options, layout):
    tone = "0.5*sin(2*PI*500*t)"
    one, several = (
        make(f"{name}.wav", "-f", "lavfi", "-i", f"aevalsrc='{'|'.join([tone] * count)}':c={name}:s=48000:d=1")
        for name, count in (("mono", 1), (layout, {"stereo": 2, "5.1": 6}[layout]))
    )
    heard = [soundfile.read(io.BytesIO(decoded(file, ffmpeg, options, video=False).flac))[0] for file in (one, several)]
    assert np.abs(heard[0] - heard[1]).max() < 2e-4


def test_the_first_streams_count_and_a_cover_is_no_video(make, flash_and_beep, ffmpeg, options):
    first = flash_and_beep("first.mkv", "-c:v", "ffv1", "-c:a", "flac")
    second = make("second.mkv", "-f", "lavfi", "-i", "color=red:s=64x48:d=3", "-f", "lavfi", "-i", "anullsrc=d=3")
    both = make("both.mkv", "-i", first, "-i", second, "-map", "0", "-map", "1", "-c", "copy", "-t", 3)
    clip = decoded(both, ffmpeg, options)
    assert Image.open(io.BytesIO(next(clip.images()))).size == (160, 120)
    picture = make("cover.png", "-f", "lavfi", "-i", "color=red:s=64x48", "-frames:v", 1)
    song = make("song.mp3", "-f", "lavfi", "-i", "sine=d=1", "-i", picture, "-map", 0, "-map", 1, "-c:v", "png")
    assert refused(song, ffmpeg, options) == "no_video"
    assert decoded(song, ffmpeg, options, video=False).samples == pytest.approx(16_000, abs=800)


def test_same_file_same_bytes(flash_and_beep, ffmpeg, options):
    source = flash_and_beep("a.mp4", *H264)
    one, two = decoded(source, ffmpeg, options), decoded(source, ffmpeg, options)
    assert one.flac == two.flac
    assert list(one.images()) == list(two.images())


def test_frames_of_long_clips_wait_in_a_file_that_vanishes(flash_and_beep, ffmpeg, options, monkeypatch):
    source = flash_and_beep("a.mp4", *H264)
    expected = list(decoded(source, ffmpeg, options).images())
    monkeypatch.setattr(decoding, "_SPOOL_BYTES", 1000)
    clip = decoded(source, ffmpeg, options)
    assert list(clip.images()) == expected
    assert clip.spool.closed
    assert os.listdir(source.parent) == ["a.mp4"]


def test_a_missing_file_and_a_length_out_of_bounds_are_refused(flash_and_beep, ffmpeg, options):
    whole = flash_and_beep("whole.mp4", *H264)
    assert refused(whole.with_name("missing.mp4"), ffmpeg, options) == "unreadable"
    assert refused(whole, ffmpeg, MediaOptions(min_duration_s=4)) == "too_short"
    assert refused(whole, ffmpeg, MediaOptions(max_duration_s=2)) == "too_long"


def test_an_mp4_is_cut_off_wherever_it_ends_early(flash_and_beep, tmp_path):
    content = flash_and_beep("whole.mp4", *H264).read_bytes()
    cut = tmp_path / "cut.mp4"
    for length in range(16, len(content), 97):
        cut.write_bytes(content[:length])
        assert is_cut_off_mp4(cut)
    for other in (content, b"this is no video" * 9, b"", b"\0\0\0\x08moov"):
        cut.write_bytes(other)
        assert not is_cut_off_mp4(cut)


def test_much_garbage_is_a_decode_error_and_a_little_is_not(make, ffmpeg, options, tmp_path):
    inputs = ("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=3", "-f", "lavfi", "-i", "sine=d=3")
    content = make("whole.mp4", *inputs, *H264).read_bytes()
    garbage = np.random.default_rng(1).integers(0, 256, len(content), dtype=np.uint8).tobytes()

    def spoilt(file: Path, share: float) -> Path:
        first, last = len(content) * 2 // 5, int(len(content) * (0.4 + share))
        file.write_bytes(content[:first] + garbage[first:last] + content[last:])
        return file

    assert decoded(spoilt(tmp_path / "a little.mp4", 0.02), ffmpeg, options).samples == pytest.approx(48_000, abs=2000)
    assert refused(spoilt(tmp_path / "much.mp4", 0.4), ffmpeg, options) == "decode_error"


def test_playlists_in_disguise_open_nothing(make, flash_and_beep, ffmpeg, options):
    good = flash_and_beep("good.mp4", *H264)
    for name, text in [
        ("concat.mp4", f"ffconcat version 1.0\nfile {good.name}\n"),
        ("hls.mp4", f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{good.name}\n#EXT-X-ENDLIST\n"),
        ("hls.ts", f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{good}\n#EXT-X-ENDLIST\n"),
    ]:
        (good.parent / name).write_text(text)
        assert refused(good.parent / name, ffmpeg, options) == "not_media"


@pytest.mark.parametrize("speaks", [True, False])
def test_a_decoder_that_hangs_is_ended(tmp_path, options, monkeypatch, speaks):
    header = "[info] Input #0, mov, from x:\n[info]   Duration: 00:00:01.00, start: 0.0\n"
    header += "[info]   Stream #0:0: Video: h264\n[info]   Stream #0:1: Audio: aac\n[info] Stream mapping:\n"
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\n" + (f"printf '{header}' >&2\n" if speaks else "") + "exec sleep 60\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(effort, "POLL_S", 0.05)
    monkeypatch.setattr(bounds, "STALL_LIMIT_S", 0.3)
    assert refused(tmp_path / "x.mp4", str(script), options) == "timeout"


def test_a_missing_program_is_the_users_to_mend(tmp_path, options):
    with pytest.raises(UserError, match="no such program"):
        program("no-such-ffmpeg")
    with pytest.raises(UserError, match="cannot be started"):
        decode(tmp_path / "x.mp4", str(tmp_path / "none"), options, True, tmp_path)


def test_the_length_rule_by_numbers():
    options = MediaOptions(min_duration_s=0.3, max_duration_s=10)

    def reason(*arguments: object) -> str | None:
        refusal = refuse_by_length(*arguments, options)
        return refusal and refusal.reason

    assert reason(2.0, 2.0, 2.0, []) is None
    assert reason(1.76, 1.5, 2.0, []) is None
    assert reason(1.74, 1.5, 2.0, []) == "truncated"
    assert reason(1.5, 1.9, 2.0, []) is None
    assert reason(9.6, None, 10.0, []) is None
    assert reason(9.4, None, 10.0, []) == "truncated"
    assert reason(2.0, 2.0, None, ["stream 0, offset 0x20: partial file"]) == "truncated"
    assert reason(0.2, 0.2, 0.2, []) == "too_short"
    assert reason(11, 2.0, None, []) == "too_long"
    assert reason(0, 2.0, 2.0, []) == "no_audio"
    assert reason(2.0, 0, 2.0, []) == "no_video"


def test_the_header_is_read_as_ffmpeg_writes_it():
    lines = """\
[info] Input #0, flv, from 'a Stream #0:7: Audio: b.flv':
[info]   Metadata:
[info]     title           : Stream #0:8: Audio: trick
[info]   Duration: 01:02:03.50, start: 0.027000, bitrate: 951 kb/s
[info]   Stream #0:1[0x1](und): Video: mjpeg, 3k tbn (attached pic)
[info]   Stream #0:2: Video: vp6f, yuv420p, 480x360
"""
    assert parse_header(lines.splitlines()) == Header(3723.5, audio=False, video=True)
    guessed = ["[mp3 @ 0x5] [warning] Estimating duration from bitrate, this may be inaccurate", *lines.splitlines()]
    assert parse_header(guessed).duration_s is None
    assert parse_header(["[in#0 @ 0x1] [error] Error opening input: No such file"]) is None
    assert level_and_text("[a @ 0x1] [b @ 0x2] [warning] x [y] z\n") == ("warning", "x [y] z")


def test_a_stream_of_images_is_cut_at_their_seams():
    images = [b"\xff\xd8" + bytes([number]) * 300_000 + b"\xff\xd9" for number in range(3)]
    assert list(split_jpegs(io.BufferedReader(io.BytesIO(b"".join(images))))) == images
    broken_off = io.BufferedReader(io.BytesIO(b"".join(images) + images[0][:50]))
    assert list(split_jpegs(broken_off)) == images
    assert list(split_jpegs(None)) == []


def test_flac_keeps_every_sample():
    values = np.random.default_rng(1).integers(-32768, 32768, 300_001).astype("<i2")
    flac, samples, content = encode_flac([values[:200_000], values[200_000:]])
    assert samples == len(values)
    assert content == hashlib.blake2b(values.tobytes(), digest_size=8).hexdigest()
    assert np.array_equal(soundfile.read(io.BytesIO(flac), dtype="int16")[0], values)


def test_pictures_of_a_stream_are_read_to_where_it_breaks_off():
    pictures = [np.arange(36, dtype=np.uint8).reshape(3, 4, 3), np.full((2, 2, 3), 10, np.uint8)]
    files = [b"P6\n%d %d\n255\n" % (one.shape[1], one.shape[0]) + one.tobytes() for one in pictures]
    for missing in range(len(files[1])):
        stream = io.BytesIO(b"".join(files)[: sum(map(len, files)) - missing])
        found = list(read_pictures(stream))
        assert len(found) == (2 if missing == 0 else 1)
        assert all((ours == theirs).all() for ours, theirs in zip(found, pictures, strict=False))
    assert list(read_pictures(None)) == []


def test_frames_may_be_looked_at_in_place_of_stored(flash_and_beep, ffmpeg, options, tmp_path):
    source = flash_and_beep("a.mkv", "-c:v", "ffv1", "-c:a", "flac")
    stored = decoded(source, ffmpeg, options)
    clip = decode(source, ffmpeg, options, True, tmp_path, look=lambda frames: [frame.mean() for frame in frames])
    assert isinstance(clip, Decoded)
    assert (clip.flac, clip.video_frames) == (stored.flac, 75)
    assert [frame for frame, shade in enumerate(clip.seen) if shade > 128] == [25, 26, 27, 28, 29]
    some = decode(source, ffmpeg, options, True, tmp_path, look=lambda frames: next(frames).shape)
    assert isinstance(some, Decoded)
    assert (some.seen, some.video_frames) == ((120, 160, 3), 75), "who looks away loses nothing"
