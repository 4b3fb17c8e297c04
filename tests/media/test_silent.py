"""`audio: false`: pictures alone are read, and a clip is as long as they last."""

from collections.abc import Callable
from pathlib import Path

import pytest

from avpretext.config import MediaOptions
from avpretext.errors import UserError
from avpretext.media import split
from avpretext.media.decode import Decoded, decode
from avpretext.media.stretches import WHOLE, Stretch
from avpretext.refusal import Refusal

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")
MPEG = ("-c:v", "mpeg2video", "-c:a", "mp2")


@pytest.fixture
def look(ffmpeg: str, tmp_path: Path) -> Callable[..., Decoded | Refusal]:
    """Decode the pictures of one file."""

    def run(source: Path, stretch: Stretch = WHOLE, sound: bool = False, **options: object) -> Decoded | Refusal:
        return decode(source, ffmpeg, MediaOptions(**options), True, tmp_path, stretch, sound=sound)

    return run


def pictures(clip: Decoded | Refusal) -> list[bytes]:
    assert isinstance(clip, Decoded), clip
    return list(clip.images())


@pytest.mark.parametrize(("name", "encoding"), [("a.mp4", H264), ("a.mkv", H264), ("a.ts", MPEG), ("a.mpg", MPEG)])
@pytest.mark.parametrize("late", [{}, {"audio_late": 0.5}, {"video_late": 0.48}])
def test_the_pictures_are_the_same_whether_the_sound_is_read_or_not(flash_and_beep, look, name, encoding, late):
    source = flash_and_beep(name, *encoding, **late)
    assert pictures(look(source)) == pictures(look(source, sound=True))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_film_without_sound_lasts_as_long_as_its_pictures(flash_and_beep, make, look, name):
    whole = flash_and_beep("whole.mp4", *H264)
    mute = make(name, "-i", whole, "-an", "-c", "copy")
    clip = look(mute)
    assert isinstance(clip, Decoded)
    assert (clip.flac, clip.content, clip.mix, clip.clipped) == (None, None, None, None)
    assert (clip.video_frames, clip.samples, clip.video_s) == (75, 48_000, 3.0)
    assert pictures(clip) == pictures(look(whole, sound=True)), "those of the film with its sound"
    refusal = look(mute, sound=True)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "no_audio"


def test_a_stretch_is_as_long_as_asked(flash_and_beep, look):
    clip = look(flash_and_beep("a.mp4", *H264), Stretch(0.6, 1.4))
    assert isinstance(clip, Decoded)
    assert (clip.video_frames, clip.samples) == (20, 12_800)


def test_nothing_is_trimmed_by_sound_that_is_not_read(flash_and_beep, look):
    clip = look(flash_and_beep("a.mp4", *H264), trim_db=20.0)
    assert isinstance(clip, Decoded)
    assert clip.video_frames == 75


def test_sound_that_outlasts_the_pictures_is_no_reason_to_refuse(make, look):
    inputs = ("-f", "lavfi", "-i", "color=c=red:s=64x48:d=1.6:r=25", "-f", "lavfi", "-i", "sine=d=4")
    clip = look(make("long.mkv", *inputs, *H264))
    assert isinstance(clip, Decoded), clip
    assert clip.samples == 25_600


def test_what_is_wrong_with_the_pictures_is_found(flash_and_beep, make, look):
    whole = flash_and_beep("whole.mp4", *H264)
    mute = make("mute.ts", "-i", whole, "-an", "-c", "copy")
    cut = mute.with_name("cut.mkv")
    content = make("mute.mkv", "-i", whole, "-an", "-c:v", "ffv1").read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    blind = make("blind.mp4", "-i", whole, "-vn", "-c", "copy")
    reasons = [look(source, **more).reason for source, more in (
        (cut, {}), (blind, {}), (mute, {"min_duration_s": 4.0}), (mute, {"max_duration_s": 2.0}),
    )]  # fmt: skip
    assert reasons == ["truncated", "no_video", "too_short", "too_long"]
    beyond = look(whole, Stretch(2.0, 8.0))
    assert isinstance(beyond, Refusal)
    assert beyond.reason == "bad_segment"


def test_the_shard_lists_silent_clips_without_a_sound(flash_and_beep, make, corpus, options, tmp_path):
    from avpretext import shards
    from avpretext.corpora import index

    whole = flash_and_beep("heard.mp4", *H264)
    make("mute.mp4", "-i", whole, "-an", "-c", "copy")
    paths = [tmp_path / f"{name}.parquet" for name in ("index", "lost", "audio", "frames", "rejects")]
    index.run(corpus, 0, *paths[:2])
    split.run(paths[0], Path(corpus.path), options, *paths[2:], sound="ignored")
    assert shards.read(paths[4]).is_empty()
    clips = shards.read(paths[2])
    assert clips["clip_id"].to_list() == ["heard", "mute"]
    assert clips.select("duration_s", "samples", "video_frames").unique().rows() == [(3.0, 48_000, 75)]
    without = ["content", "audio", "mix", "clipped", "fingerprint"]
    assert clips.select(without).null_count().row(0) == (2,) * len(without)
    assert shards.read(paths[3], ["clip_id", "frame"]).height == 150
    with pytest.raises(UserError, match="name their shard by --frames"):
        split.run(paths[0], Path(corpus.path), options, paths[2], None, paths[4], sound="ignored")
