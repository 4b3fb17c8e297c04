"""Every kind of bad or odd media is refused with its reason, or handled by the rule in docs/bad-media.md."""

import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from avpretext import corpora, shards
from avpretext.config import CorpusOptions, MediaOptions, SegmentOptions
from avpretext.corpora import index
from avpretext.corpora.checks.check import check
from avpretext.media import split
from avpretext.media.decode import Decoded, decode
from avpretext.media.stretches import Stretch
from avpretext.refusal import REASONS, Refusal
from avpretext.segment import cut

from .conftest import Make

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")
TONE = ("-f", "lavfi", "-i", "sine=f=500:d=2:r=44100")
Split = Callable[..., Decoded | Refusal]


def picture(source: str) -> tuple[str, str, str, str]:
    """Return the arguments for a source of pictures."""
    return ("-f", "lavfi", "-i", source)


def samples(clip: Decoded | Refusal) -> np.ndarray:
    assert isinstance(clip, Decoded), clip
    return soundfile.read(io.BytesIO(clip.flac))[0]


def images(clip: Decoded | Refusal) -> list[Image.Image]:
    assert isinstance(clip, Decoded), clip
    return [Image.open(io.BytesIO(image)) for image in clip.images()]


def reason(clip: Decoded | Refusal) -> str | None:
    return clip.reason if isinstance(clip, Refusal) else None


@pytest.mark.parametrize("name", ["a.mp4", "a.wav", "a.mkv"])
def test_an_empty_file_and_text_are_not_media(split_file: Split, tmp_path: Path, name: str) -> None:
    for content in (b"", b"\0" * 5000, b"this is no video\n" * 300, os.urandom(20_000)):
        (tmp_path / name).write_bytes(content)
        assert reason(split_file(tmp_path / name)) == "not_media"


def test_garbage_in_the_middle_is_bridged_or_refused_and_never_changes_the_clock(
    make: Make, split_file: Split, tmp_path: Path
) -> None:
    content = make("a.mkv", *picture("testsrc2=s=160x120:r=25:d=2"), *TONE, *H264).read_bytes()
    garbage = np.random.default_rng(1).integers(0, 256, len(content), dtype=np.uint8).tobytes()
    found = set()
    for share in (1, 5, 20, 50):
        first, last = len(content) * 2 // 5, len(content) * (40 + share) // 100
        (tmp_path / "b.mkv").write_bytes(content[:first] + garbage[first:last] + content[last:])
        clip = split_file(tmp_path / "b.mkv")
        found.add(reason(clip))
        if isinstance(clip, Decoded):
            assert clip.samples == pytest.approx(32_000, abs=1600)
            assert len(clip.frame_bytes) == pytest.approx(50, abs=3)
    assert found <= {None, "decode_error", "truncated"}
    assert found & {"decode_error", "truncated"}, "half of the file is garbage"


def test_streams_that_are_not_there(make: Make, split_file: Split) -> None:
    whole = make("a.mp4", *picture("testsrc2=s=160x120:r=25:d=2"), *TONE, *H264)
    sound, mute = (make(f"{name}.mp4", "-i", whole, f"-{name}", "-c", "copy") for name in ("vn", "an"))
    assert reason(split_file(mute)) == reason(split_file(mute, video=False)) == "no_audio"
    assert reason(split_file(sound)) == "no_video"
    assert len(samples(split_file(sound, video=False))) == pytest.approx(32_000, abs=200)


def test_of_several_audio_streams_the_first_is_taken(make: Make, split_file: Split) -> None:
    sounds = [("-f", "lavfi", "-i", f"sine=f={pitch}:d=2") for pitch in (300, 900)]
    maps = ("-map", "0", "-map", "1", "-map", "2", "-disposition:a:1", "default", "-disposition:a:0", "0")
    clip = split_file(make("a.mp4", *picture("testsrc2=s=64x48:r=25:d=2"), *sounds[0], *sounds[1], *maps, *H264))
    assert np.argmax(np.abs(np.fft.rfft(samples(clip)[:32_000]))) / 2 == pytest.approx(300, abs=2)


@pytest.mark.parametrize(("rate", "changes"), [(1, 2), (5, 10), (240, 50)])
def test_slow_and_fast_films_come_onto_the_grid(make: Make, split_file: Split, rate: int, changes: int) -> None:
    clip = split_file(make("a.mp4", *picture(f"testsrc2=s=160x120:r={rate}:d=2"), *TONE, *H264))
    pictures = [np.asarray(image.convert("L"), dtype=float) for image in images(clip)]
    assert len(pictures) == 50
    moved = [np.abs(now - before).mean() > 0.5 for before, now in itertools.pairwise(pictures)]
    assert sum(moved) == pytest.approx(changes - 1, abs=1)


@pytest.mark.parametrize(
    ("size", "expected"), [("8x8", (8, 8)), ("161x121", (161, 121)), ("7680x4320", (853, 480)), ("32x2000", (8, 480))]
)
def test_tiny_huge_and_odd_pictures_keep_their_shape(
    make: Make, split_file: Split, size: str, expected: tuple[int, int]
) -> None:
    coding = ("-c:v", "mjpeg", "-pix_fmt", "yuvj444p" if "161" in size else "yuvj420p")
    clip = split_file(make("a.mkv", *picture(f"testsrc=s={size}:r=1:d=1"), *TONE, "-t", 1, *coding))
    assert images(clip)[0].size == expected


def test_interlaced_film_is_taken_frame_by_frame_on_the_clock(make: Make, split_file: Split) -> None:
    film = picture("color=black:s=160x120:r=50:d=2,drawbox=c=white:t=fill:enable='gte(t,0.999)'")
    source = make("a.mp4", *film, *TONE, "-vf", "interlace", "-flags", "+ilme+ildct", *H264)
    brightness = np.array([np.asarray(image.convert("L")).mean() for image in images(split_file(source))])
    assert len(brightness) == 50
    assert np.flatnonzero(brightness > 128)[0] / 25 == pytest.approx(1.0, abs=0.04)


def test_alpha_is_dropped(make: Make, split_file: Split) -> None:
    film = picture("color=0x808080:s=64x48:r=25:d=2,format=yuva420p,colorchannelmixer=aa=0.1")
    clip = split_file(make("a.mov", *film, *TONE, "-c:v", "qtrle", "-pix_fmt", "argb", "-c:a", "aac"))
    assert np.asarray(images(clip)[0]).mean() == pytest.approx(128, abs=3)


@pytest.mark.parametrize(("layout", "rate"), [("5.1", 48_000), ("mono", 8000), ("mono", 192_000)])
def test_channels_are_mixed_and_rates_resampled_beside_pictures(
    make: Make, split_file: Split, layout: str, rate: int
) -> None:
    sound = f"sine=f=500:d=2:r={rate},aformat=channel_layouts={layout}"
    source = make("a.mkv", *picture("testsrc2=s=64x48:r=25:d=2"), "-f", "lavfi", "-i", sound, "-c:a", "pcm_s16le")
    heard = samples(split_file(source))
    assert len(heard) == 32_000
    assert np.argmax(np.abs(np.fft.rfft(heard))) / 2 == pytest.approx(500, abs=1)
    assert np.abs(heard).max() < 1


def test_silence_is_refused_and_so_is_a_recording_without_speech(
    make: Make, corpus: CorpusOptions, ffmpeg: str, split_file: Split
) -> None:
    source = make("a.mp4", *picture("testsrc2=s=64x48:r=25:d=2"), "-f", "lavfi", "-i", "anullsrc=d=2", "-t", 2, *H264)
    assert reason(split_file(source)) == "silent"
    recording = {"clip_id": "a", "path": "a.mp4", "start_s": None, "end_s": None}
    found = cut.clips_of(recording, Path(corpus.path), ffmpeg, SegmentOptions(), False, None)
    assert reason(found) == "no_segments"


def samples_of(flac: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(flac))[0]


def test_clipped_sound_is_kept_as_it_is(make: Make, split_file: Split) -> None:
    loud = ("-f", "lavfi", "-i", "aevalsrc='clip(9*sin(2*PI*200*t),-1,1)':s=48000:d=2")
    heard = samples(split_file(make("a.mkv", *picture("testsrc2=s=64x48:r=25:d=2"), *loud, "-c:a", "flac")))
    # The high-pass tilts what is flat, by a fifth in 2.5 ms.
    assert (np.abs(heard) > 0.75).mean() > 0.8
    assert -1 <= heard.min() < heard.max() < 1


def test_a_frozen_picture_is_a_picture(make: Make, split_file: Split) -> None:
    clip = split_file(make("a.mp4", *picture("color=gray:s=64x48:r=25:d=2"), *TONE, *H264))
    assert len(images(clip)) == 50
    one = make("b.mkv", *picture("color=gray:s=64x48:r=25:d=0.04"), *TONE, *H264)
    assert 1 <= len(images(split_file(one))) <= 2, "pictures that end early are not made up"
    assert len(samples(split_file(one))) == pytest.approx(32_000, abs=1100)


def test_a_tenth_of_a_second_is_too_short_unless_allowed(make: Make, split_file: Split) -> None:
    source = make("a.mkv", *picture("testsrc2=s=64x48:r=25:d=0.1"), "-f", "lavfi", "-i", "sine=d=0.1", "-c:a", "flac")
    assert split_file(source) == Refusal("too_short", "0.100 s")
    assert len(samples(split_file(source, min_duration_s=0.05))) == 1600


@pytest.fixture(scope="module")
def half_an_hour(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of 16 x 16 pixels, one a second, and silence; a file that declares its length."""
    file = tmp_path_factory.mktemp("long") / "half an hour.mkv"
    inputs = [*picture("color=gray:s=16x16:r=1:d=1800"), *picture("sine=r=8000")]
    encoding = ["-t", "1800", "-c:v", "mjpeg", "-c:a", "flac"]
    subprocess.run([ffmpeg, "-y", "-nostdin", "-v", "error", *inputs, *encoding, str(file)], check=True)
    return file


def test_half_an_hour_is_too_long_for_a_clip_whether_declared_or_not(
    half_an_hour: Path, make: Make, split_file: Split
) -> None:
    assert split_file(half_an_hour) == Refusal("too_long", "it declares 1800.0 s")
    silent = make("live.mkv", "-i", half_an_hour, "-c", "copy", "-live", 1)
    assert split_file(silent) == Refusal("too_long", "at least 601.0 s")


def test_half_an_hour_is_cut_into_clips_and_a_stretch_of_it_is_a_clip(
    half_an_hour: Path, ffmpeg: str, split_file: Split
) -> None:
    recording = {"clip_id": "a", "path": half_an_hour.name, "start_s": None, "end_s": None}
    windows = SegmentOptions(by="windows", window_s=600.0, one_face=0)
    found = cut.clips_of(recording, half_an_hour.parent, ffmpeg, windows, True, None)
    assert isinstance(found, list)
    assert [clip["start_s"] for clip in found] == [600.0 * number for number in range(3)]
    late = decode(half_an_hour, ffmpeg, MediaOptions(), True, half_an_hour.parent, Stretch(1795.0, 1799.0))
    assert len(samples(late)) == 64_000


def test_the_extension_does_not_count(make: Make, split_file: Split, tmp_path: Path) -> None:
    content = make("a.mkv", *picture("testsrc2=s=64x48:r=25:d=2"), *TONE, *H264).read_bytes()
    for name in ("a.mp4", "a.wav", "a.mp3", "a.ts"):
        (tmp_path / name).write_bytes(content)
        assert len(images(split_file(tmp_path / name))) == 50


def scanned(folder: Path) -> dict[str, str | None]:
    found = corpora.scan(CorpusOptions(path=str(folder), use=["pretrain"]))
    return {file.path: file.refusal and file.refusal.reason for file in found}


def test_links_that_lead_round_are_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to("b.mp4")
    (tmp_path / "b.mp4").symlink_to("a.mp4")
    (tmp_path / "self.mkv").symlink_to("self.mkv")
    (tmp_path / "folder").symlink_to("folder")
    assert scanned(tmp_path) == {"a.mp4": "unreadable", "b.mp4": "unreadable", "self.mkv": "unreadable"}


READ_WITHOUT_RIGHTS = """
import sys
from pathlib import Path
from avpretext import corpora
from avpretext.config import CorpusOptions, MediaOptions
from avpretext.media import ffmpeg
from avpretext.media.decode import decode
folder = Path(sys.argv[1])
[file] = corpora.scan(CorpusOptions(path=str(folder), use=["pretrain"]))
clip = decode(folder / file.path, ffmpeg.program("bundled"), MediaOptions(), True, folder)
print(file.path, file.refusal.reason, clip.reason)
"""
AS_ROOT = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
"""Root without the right to read what it has forbidden itself."""


def test_a_file_that_may_not_be_read_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"secret")
    (tmp_path / "a.mp4").chmod(0)
    privileged = AS_ROOT if os.access(tmp_path / "a.mp4", os.R_OK) else ()
    if privileged and subprocess.run([*privileged, "true"], capture_output=True, check=False).returncode:
        pytest.skip("root may read every file, and may not give that up here: run the tests as another user")
    command = [*privileged, sys.executable, "-c", READ_WITHOUT_RIGHTS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "a.mp4 unreadable unreadable\n", done.stderr


def test_links_lead_out_of_the_corpus_to_media_alone(
    make: Make, corpus: CorpusOptions, split_file: Split, tmp_path: Path
) -> None:
    folder, film, secret = Path(corpus.path), tmp_path / "elsewhere/x.mp4", tmp_path / "secret.txt"
    film.parent.mkdir()
    make("x.mp4", *picture("testsrc2=s=64x48:r=25:d=1"), *TONE, "-t", 1, *H264).rename(film)
    secret.write_text("password\n" * 300)
    for name, place in (("film.mp4", film), ("secret.mp4", secret), ("folder", film.parent)):
        (folder / name).symlink_to(place)
    assert scanned(folder) == {"film.mp4": None, "folder/x.mp4": None, "secret.mp4": None}
    assert isinstance(split_file(folder / "film.mp4"), Decoded)
    assert split_file(folder / "secret.mp4").reason == "not_media"
    told = {entry.reason: entry for entry in check(corpus, "all").findings}
    assert (told["leads_outside"].count, told["leads_outside"].wrong) == (3, False)
    assert told["leads_outside"].examples == tuple(
        f"{name} ({place})" for name, place in (("film.mp4", film), ("folder", film.parent), ("secret.mp4", secret))
    )


def test_a_dataset_of_git_annex_is_a_corpus_and_what_was_not_fetched_says_how(
    make: Make, corpus: CorpusOptions, split_file: Split
) -> None:
    """DataLad's layout: each file is a link to its content in the repository, which is hidden, or leads nowhere yet."""
    content = make(".git/annex/objects/a1/b2/SHA-x.mp4", *picture("testsrc2=s=64x48:r=25:d=1"), *TONE, "-t", 1, *H264)
    folder = Path(corpus.path) / "anna"
    folder.mkdir()
    (folder / "here.mp4").symlink_to(f"../.git/annex/objects/a1/b2/{content.name}")
    (folder / "there.mp4").symlink_to("../.git/annex/objects/c3/d4/SHA-y.mp4")
    (folder / "unlocked.mp4").write_text("/annex/objects/SHA256E-s4--y.mp4\n")
    found = {file.path: file.refusal for file in corpora.scan(corpus)}
    assert found.pop("anna/here.mp4") is None
    assert {path: refusal and refusal.reason for path, refusal in found.items()} == {
        "anna/there.mp4": "unreadable",
        "anna/unlocked.mp4": "lfs_pointer",
    }
    assert all("datalad get" in refusal.detail for refusal in found.values() if refusal)
    assert isinstance(split_file(folder / "here.mp4"), Decoded)
    assert "leads_outside" not in {entry.reason for entry in check(corpus).findings}


def test_a_name_of_255_bytes_is_a_name(make: Make, corpus: CorpusOptions, tmp_path: Path) -> None:
    name = "é" * 125 + "x.mp4"
    assert len(name.encode()) == 255
    make(name, *picture("testsrc2=s=64x48:r=25:d=1"), *TONE, "-t", 1, *H264)
    index.run(corpus, 0, tmp_path / "index.parquet", tmp_path / "refused.parquet")
    paths = [tmp_path / f"{part}.parquet" for part in ("audio", "frames", "rejects")]
    split.run(tmp_path / "index.parquet", Path(corpus.path), MediaOptions(), *paths)
    assert shards.read(paths[0])["clip_id"].to_list() == [name.removesuffix(".mp4")]


def test_a_folder_named_like_a_video_is_a_folder_and_never_decoded(
    make: Make, corpus: CorpusOptions, split_file: Split
) -> None:
    make("x.mp4/y.mp4", *picture("testsrc2=s=64x48:r=25:d=1"), *TONE, "-t", 1, *H264)
    assert scanned(Path(corpus.path)) == {"x.mp4/y.mp4": None}
    assert reason(split_file(Path(corpus.path) / "x.mp4")) in REASONS


def test_every_row_of_the_document_has_tests_that_exist() -> None:
    root = Path(__file__).resolve().parents[2]
    lines = (root / "docs/bad-media.md").read_text("utf-8").splitlines()
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    cases = json.loads((root / "tests/media/bad_media_cases.json").read_text("utf-8"))
    assert [row for row in rows if row != "case"] == list(cases)
    tests = "".join(path.read_text("utf-8") for path in (root / "tests").rglob("test_*.py"))
    assert [name for names in cases.values() for name in names if f"def {name}(" not in tests] == []
    assert all(cases.values())
