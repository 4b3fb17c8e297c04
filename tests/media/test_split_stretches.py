"""A stretch of a file decodes to the same sound and pictures as that part of the whole file, whatever the container.

The film counts its frames in stripes; its sound is a slow sweep, so that a shift in time shows.
"""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from avpretext import shards
from avpretext.config import MediaOptions
from avpretext.flow.artefacts import schema_of
from avpretext.media import split
from avpretext.media.checks import refuse_by_end
from avpretext.media.decode import Decoded, decode
from avpretext.media.ffmpeg import command, is_mpeg_stream
from avpretext.media.stretches import WHOLE, Stretch
from avpretext.refusal import Refusal

DIGITS = 9
_BITS = "".join(f"+255*gte(X,{16 * k})*lt(X,{16 * k + 16})*mod(floor(N/{2**k}),2)" for k in range(DIGITS))
COUNTER = f"nullsrc=s={16 * DIGITS}x48:r=25:d=14,format=gray,geq=lum='0{_BITS}'"
SWEEP = "aevalsrc='0.5*sin(2*PI*(100*t+7*t*t))':s=44100:d=14"
LONG_GOP = ("-c:v", "libx264", "-preset", "ultrafast", "-g", 500)
STRETCHES = [Stretch(0.2, 1.7), Stretch(7.013, 9.5), Stretch(11.48, 13.0), Stretch(12.0)]


def numbers(clip: Decoded) -> list[int]:
    """Read the number in each frame."""
    pictures = [
        np.asarray(Image.open(io.BytesIO(image)).convert("L"))[:, 8::16].mean(axis=0) for image in clip.images()
    ]
    return [int((picture > 128) @ 2 ** np.arange(DIGITS)) for picture in pictures]


def samples(clip: Decoded) -> np.ndarray:
    return soundfile.read(io.BytesIO(clip.flac))[0]


def decoded(source: Path, ffmpeg: str, stretch: Stretch, options: MediaOptions, video: bool = True) -> Decoded:
    clip = decode(source, ffmpeg, options, video, source.parent, stretch)
    assert isinstance(clip, Decoded), clip
    return clip


def refused(source: Path, ffmpeg: str, stretch: Stretch, options: MediaOptions, video: bool = True) -> Refusal:
    refusal = decode(source, ffmpeg, options, video, source.parent, stretch)
    assert isinstance(refusal, Refusal), "the clip was kept"
    return refusal


@pytest.fixture
def film(make):
    lossless = ("-c:v", "ffv1", "-c:a", "pcm_s16le")
    master = make("../master.mkv", "-f", "lavfi", "-i", COUNTER, "-f", "lavfi", "-i", SWEEP, *lossless)

    def run(name: str, *encoding: object) -> Path:
        return make(name, "-i", master, *encoding)

    return run


def difference(part: np.ndarray, whole: np.ndarray, start: int, shift: int) -> float:
    """Return how far a part is from its place in the whole, up to a shift in samples, as a share of its loudness."""
    length = min(len(part), len(whole) - start) - 2 * shift
    middle = part[shift : shift + length]
    errors = [np.sqrt(np.mean((middle - whole[start + k : start + k + length]) ** 2)) for k in range(2 * shift + 1)]
    return float(min(errors) / np.sqrt(np.mean(middle**2)))


@pytest.mark.parametrize(
    ("name", "encoding", "shift"),
    [
        ("a.mp4", (*LONG_GOP, "-c:a", "aac"), 0),
        ("a.ts", (*LONG_GOP[:-1], 250, "-c:a", "aac"), 0),
        ("a.avi", ("-c:v", "mjpeg", "-q:v", 2, "-c:a", "pcm_s16le"), 0),
        ("a.mpg", ("-c:v", "mpeg1video", "-q:v", 2, "-c:a", "mp2"), 0),
        # Matroska's time stamps are whole milliseconds: 16 samples.
        ("a.mkv", (*LONG_GOP, "-c:a", "libopus", "-ar", 48000), 16),
    ],
)
def test_a_stretch_is_that_part_of_the_whole_file(film, ffmpeg, options, name, encoding, shift):
    source = film(name, *encoding)
    whole = decoded(source, ffmpeg, WHOLE, options)
    sound, counted = samples(whole), numbers(whole)
    for stretch in STRETCHES:
        part = decoded(source, ffmpeg, stretch, options)
        if stretch.end_s is not None:
            assert part.samples == round((stretch.end_s - stretch.start_s) * 16_000)
            assert len(part.frame_bytes) == round((stretch.end_s - stretch.start_s) * 25)
        assert difference(samples(part), sound, round(stretch.start_s * 16_000), shift) < 0.03, stretch
        first = round(stretch.start_s * 25)
        shown = numbers(part)
        assert np.abs(np.subtract(shown, counted[first : first + len(shown)])).max() <= 1, stretch


def test_a_stretch_cut_on_whole_frames_has_the_very_frames(film, ffmpeg, options):
    source = film("a.mp4", *LONG_GOP, "-c:a", "aac")
    assert numbers(decoded(source, ffmpeg, Stretch(10.0, 12.0), options)) == list(range(250, 300))


def test_the_picture_of_a_stretch_may_have_begun_before_it(make, ffmpeg, options):
    """A film of stills: the picture changes every 0.4 s, the stretch starts half way."""
    film = COUNTER.replace("r=25", "r=2.5")
    source = make("stills.mp4", "-f", "lavfi", "-i", film, "-f", "lavfi", "-i", SWEEP, *LONG_GOP, "-c:a", "aac")
    shown = numbers(decoded(source, ffmpeg, Stretch(8.2, 9.0), options))
    assert shown[0] == 20
    assert shown[-1] == 22


def test_sound_alone_and_stretches_without_loss_are_equal_to_the_bit(make, ffmpeg, options):
    source = make("a.flac", "-f", "lavfi", "-i", SWEEP)
    whole = decoded(source, ffmpeg, WHOLE, options, video=False)
    for stretch in STRETCHES:
        part, start = decoded(source, ffmpeg, stretch, options, video=False), round(stretch.start_s * 16_000)
        assert np.array_equal(samples(part), samples(whole)[start : start + part.samples])


def test_the_limits_are_about_the_stretch(film, ffmpeg):
    source = film("a.mp4", *LONG_GOP, "-c:a", "aac")
    short = MediaOptions(max_duration_s=3.0)
    assert refused(source, ffmpeg, WHOLE, short).reason == "too_long"
    assert decoded(source, ffmpeg, Stretch(5.0, 7.0), short).samples == 32_000
    assert refused(source, ffmpeg, Stretch(5.0, 9.0), short) == Refusal("too_long", "4.0 s")
    assert refused(source, ffmpeg, Stretch(5.0), short).reason == "too_long"
    assert refused(source, ffmpeg, Stretch(5.0, 5.1), MediaOptions()).reason == "too_short"


def test_a_stretch_that_its_file_does_not_hold_is_refused(film, make, ffmpeg, options):
    source = film("a.mp4", *LONG_GOP, "-c:a", "aac")
    assert refused(source, ffmpeg, Stretch(12.0, 16.0), options) == Refusal(
        "bad_segment", "it ends at 16.00 s, its file at 14.00 s"
    )
    for stretch in (Stretch(20.0, 22.0), Stretch(20.0)):
        assert refused(source, ffmpeg, stretch, options).reason == "bad_segment"
        assert refused(source, ffmpeg, stretch, options, video=False).reason == "bad_segment"
    assert refused(source, ffmpeg, Stretch(5.0, 4.0), options) == Refusal("bad_segment", "from 5.0 s to 4.0 s")
    for stretch in (Stretch(-1.0, 4.0), Stretch(1e18), Stretch(1.0, 1e300), Stretch(float("nan"), 3.0)):
        assert refused(source, ffmpeg, stretch, options).reason == "bad_segment"
    assert refused(source, ffmpeg, Stretch(1.0, 1e9), options).reason == "too_long"
    assert decoded(source, ffmpeg, Stretch(12.0, 14.2), options).samples == pytest.approx(32_000, abs=100)
    blind = make("blind.mp4", "-t", 5, "-i", source, "-i", source, "-map", "0:v", "-map", "1:a", "-c", "copy")
    assert refused(blind, ffmpeg, Stretch(8.0, 10.0), options).reason == "no_video"


def test_what_breaks_off_is_truncated_and_what_comes_before_is_good(film, ffmpeg, options):
    whole = film("a.mkv", *LONG_GOP, "-c:a", "libopus", "-ar", 48000)
    content = whole.read_bytes()
    (whole.parent / "cut.mkv").write_bytes(content[: len(content) // 2])
    cut = whole.parent / "cut.mkv"
    assert refused(cut, ffmpeg, WHOLE, options).reason == "truncated"
    assert refused(cut, ffmpeg, Stretch(5.0, 9.0), options).reason == "truncated"
    assert decoded(cut, ffmpeg, Stretch(1.0, 3.0), options).samples == 32_000


def test_who_is_at_fault_for_a_short_stretch():
    wanted = Stretch(5.0, 8.0)
    assert refuse_by_end(3.0, 10.0, wanted) is None
    assert refuse_by_end(2.9, None, wanted) is None
    assert refuse_by_end(1.5, 10.0, wanted) is None, "the file declares to be longer: it is truncated"
    assert refuse_by_end(1.5, None, wanted) == Refusal("bad_segment", "it ends at 8.00 s, its file at 6.50 s")
    assert refuse_by_end(0.0, 10.0, wanted) == Refusal("bad_segment", "its file has nothing after 5.00 s")
    assert refuse_by_end(0.0, 10.0, WHOLE) is None


def test_streams_without_an_index_are_told_from_files_with_one(film, tmp_path):
    assert is_mpeg_stream(str(film("a.ts", *LONG_GOP, "-c:a", "aac", "-t", 1)))
    assert is_mpeg_stream(str(film("a.m2ts", *LONG_GOP, "-c:a", "ac3", "-t", 1)))
    assert is_mpeg_stream(str(film("a.mpg", "-c:v", "mpeg1video", "-c:a", "mp2", "-t", 1)))
    assert not is_mpeg_stream(str(film("a.mp4", *LONG_GOP, "-c:a", "aac", "-t", 1)))
    (tmp_path / "short").write_bytes(b"G")
    assert not is_mpeg_stream(str(tmp_path / "nowhere"))


def test_every_call_for_a_stretch_is_as_guarded_as_for_a_file(options):
    guards = [
        word for word in command("ffmpeg", "a.mp4", options, 5) if "whitelist" in word or word.startswith("file:")
    ]
    stretch = command("ffmpeg", "a.mp4", options, 5, Stretch(700.0, 703.5))
    assert len(guards) == 3
    assert set(guards) <= set(stretch)
    assert stretch[stretch.index("-ss") + 1] == "699.0"
    assert stretch.index("-ss") < stretch.index("-i"), "what lies before is not decoded"


def test_clips_of_one_recording_go_through_the_stage(film, options, tmp_path):
    source = film("talk.mp4", *LONG_GOP, "-c:a", "aac")
    rows = [
        {"clip_id": f"talk_{round(start * 1000):08d}", "path": source.name, "start_s": start, "end_s": end}
        for start, end in ((1.0, 3.0), (3.0, 5.5), (13.0, 20.0))
    ]
    blank = {"speaker": "anna", "label": None, "sentence": None, "level": None, "recording": "talk", "size_bytes": 1}
    index, out = tmp_path / "it" / "segment" / "0000.parquet", tmp_path / "out"
    shards.write_table(index, [row | blank for row in rows], schema_of("index"), {})
    split.run(index, source.parent, options, out / "audio", out / "frames", out / "rejects", threads=2)
    audio = shards.read(out / "audio")
    assert audio["clip_id"].to_list() == ["talk_00001000", "talk_00003000"]
    assert audio["duration_s"].to_list() == [2.0, 2.5]
    assert audio["video_frames"].to_list() == [50, 62]
    assert shards.read(out / "frames")["time_s"].to_list()[:51] == pytest.approx([k / 25 for k in range(50)] + [0.0])
    assert shards.read(out / "rejects").select("clip_id", "reason").rows() == [("talk_00013000", "bad_segment")]
    for clip in audio.to_dicts():
        heard = soundfile.read(io.BytesIO(clip["audio"]["bytes"]), dtype="int16")[0].astype("<i2").tobytes()
        assert clip["content"] == hashlib.blake2b(heard, digest_size=8).hexdigest()
    assert audio["content"].n_unique() == 2
