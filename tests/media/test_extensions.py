"""One list of endings: what ffmpeg reads is found, decoded and checked; what is left out is counted and named."""

import re
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from avpretext import corpora
from avpretext.config import CorpusOptions, MediaOptions
from avpretext.corpora.checks.check import check
from avpretext.corpora.reader import is_media
from avpretext.errors import UserError
from avpretext.media.decode import Decoded, decode
from avpretext.media.endings import broken_off
from avpretext.media.extensions import AUDIO_EXTENSIONS, FORMATS, NOT_MEANT, SILENT_EXTENSIONS, VIDEO_EXTENSIONS
from avpretext.predict.inputs import expand
from avpretext.refusal import Refusal

from .conftest import Make

TONE = ("-f", "lavfi", "-i", "sine=d=2:r=16000")
PICTURES = ("-f", "lavfi", "-i", "testsrc2=s=720x576:r=25:d=2")
SOUND = {
    "a.caf": (), "a.au": (), "a.w64": (), "a.mka": ("-c:a", "libopus"), "a.wv": (), "a.tta": (), "a.voc": (),
    "a.ac3": ("-b:a", "192k"), "a.eac3": (), "a.aifc": ("-f", "aiff"), "a.mp2": (), "a.spx": ("-f", "ogg"),
    "a.m4b": ("-f", "ipod"), "a.nut": ("-c:a", "pcm_s16le"), "a.sf": ("-f", "ircam", "-c:a", "pcm_s16le"),
    "a.dts": ("-strict", "-2", "-ar", "48000"), "a.snd": ("-f", "au"),
}  # fmt: skip
EXACT = ("a.caf", "a.au", "a.w64", "a.wv", "a.tta", "a.aifc", "a.nut", "a.sf", "a.snd")


def sphere(file: Path, samples: np.ndarray) -> Path:
    """Write 16 bit samples as NIST SPHERE, as TIMIT has it."""
    fields = f"sample_count -i {len(samples)}\nsample_n_bytes -i 2\nchannel_count -i 1\nsample_byte_format -s2 01\n"
    fields += "sample_rate -i 16000\nsample_coding -s3 pcm\nend_head\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(f"NIST_1A\n   1024\n{fields}".encode().ljust(1024) + samples.astype("<i2").tobytes())
    return file


def test_the_list_has_every_ending_that_ffmpeg_names_for_its_formats(ffmpeg: str) -> None:
    known = VIDEO_EXTENSIONS | AUDIO_EXTENSIONS | SILENT_EXTENSIONS
    for demuxer in FORMATS:
        told = subprocess.run([ffmpeg, "-hide_banner", "-h", f"demuxer={demuxer}"], capture_output=True, text=True)
        named = re.search(r"Common extensions: (.*)\.", told.stdout)
        for ending in named[1].split(",") if named else ():
            assert f".{ending}" in known or ending in NOT_MEANT, demuxer
    assert not VIDEO_EXTENSIONS & AUDIO_EXTENSIONS
    assert not SILENT_EXTENSIONS & (VIDEO_EXTENSIONS | AUDIO_EXTENSIONS)


@pytest.mark.parametrize("name", SOUND)
def test_sound_of_every_format_is_found_and_decoded(make: Make, ffmpeg: str, name: str) -> None:
    file = make(name, *TONE, *SOUND[name])
    options = CorpusOptions(path=str(file.parent), use=["pretrain"], video=False)
    assert [one.path for one in corpora.scan(options)] == [name]
    assert expand([str(file.parent)]) == [str(file)]
    clip = decode(file, ffmpeg, MediaOptions(), False)
    assert isinstance(clip, Decoded), clip
    assert clip.samples / 16_000 == pytest.approx(2.0, abs=0.001 if name in EXACT else 0.1)


@pytest.mark.parametrize("name", ["a.sph", "a.wav", "a.nist"])
def test_sphere_is_read_also_where_it_is_named_wav(tmp_path: Path, ffmpeg: str, name: str) -> None:
    samples = (np.sin(np.arange(32_000) / 9) * 9000).astype(np.int16)
    file = sphere(tmp_path / "corpus" / name, samples)
    clip = decode(file, ffmpeg, MediaOptions(), False)
    assert isinstance(clip, Decoded), clip
    assert np.corrcoef(clip.sound()[2000:], samples[2000:])[0, 1] > 0.99
    file.write_bytes(file.read_bytes()[:40_000])
    assert decode(file, ffmpeg, MediaOptions(), False) == Refusal(
        "truncated", "40000 of the 65024 bytes that it declares"
    )


@pytest.mark.parametrize("name", ["a.caf", "a.au", "a.w64", "a.wv", "a.tta", "a.aifc"])
def test_a_file_of_such_a_format_that_is_cut_is_refused(make: Make, ffmpeg: str, name: str) -> None:
    file = make(name, *TONE)
    whole = file.read_bytes()
    assert broken_off(file) is None
    for share in (0.1, 0.5, 0.9):
        file.write_bytes(whole[: int(share * len(whole))])
        refusal = decode(file, ffmpeg, MediaOptions(), False)
        assert isinstance(refusal, Refusal), share
        assert refusal.reason in ("truncated", "decode_error", "not_media")


def test_sizes_that_are_not_known_are_not_held_against_a_file(tmp_path: Path) -> None:
    for name, content in (
        ("a.caf", b"caff\0\1\0\0" + struct.pack(">4sq", b"data", -1) + bytes(1000)),
        ("a.au", b".snd" + struct.pack(">IIIII", 24, 0xFFFFFFFF, 3, 16000, 1) + bytes(1000)),
        ("a.sph", b"NIST_1A\n   1024\nsample_coding -s26 pcm,embedded-shorten-v2.00\n"),
        ("b.sph", b"NIST_1A\n   xxxx\n"),
    ):
        (tmp_path / name).write_bytes(content)
        assert broken_off(tmp_path / name) is None


@pytest.mark.parametrize("name", ["a.dv", "a.nut", "a.3g2", "a.qt", "a.ogm"])
def test_films_of_every_format_are_found_and_decoded(make: Make, ffmpeg: str, name: str) -> None:
    coding = {
        "a.dv": ("-ar", "48000", "-ac", "2"), "a.nut": ("-c:v", "mpeg4", "-c:a", "pcm_s16le"), 
        "a.3g2": ("-c:v", "libx264"),
        "a.qt": ("-f", "mov", "-c:v", "libx264"), "a.ogm": ("-f", "ogg", "-c:v", "libtheora", "-c:a", "libvorbis"),
    }[name]  # fmt: skip
    try:
        file = make(name, *PICTURES, *TONE, *coding)
    except subprocess.CalledProcessError:
        pytest.skip("this ffmpeg cannot write it")
    assert [one.path for one in corpora.scan(CorpusOptions(path=str(file.parent), use=["pretrain"]))] == [name]
    clip = decode(file, ffmpeg, MediaOptions(), True)
    assert isinstance(clip, Decoded), clip
    assert clip.video_frames == pytest.approx(50, abs=2)


def test_pictures_without_sound_are_clips_of_a_corpus_without_sound(make: Make, ffmpeg: str) -> None:
    file = make("a.gif", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=2")
    make("b.mp4", *PICTURES, *TONE, "-c:v", "libx264")
    silent = CorpusOptions(path=str(file.parent), use=["pretrain"], audio=False)
    assert [one.path for one in corpora.scan(silent)] == ["a.gif", "b.mp4"]
    clip = decode(file, ffmpeg, MediaOptions(), True, sound=False)
    assert isinstance(clip, Decoded), clip
    heard = CorpusOptions(path=str(file.parent), use=["pretrain"])
    assert [one.path for one in corpora.scan(heard)] == ["b.mp4"]
    assert "1 files are left out by their ending: .gif 1" in {one.sentence for one in check(heard, "none").findings}


def test_what_is_left_out_is_counted_and_named_unless_it_is_a_document(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make("a.wav", *TONE).parent
    for name in ("b.gsm", "c.gsm", "d.dat", "noending", "e.DAT", "f.txt", ".hidden"):
        (folder / name).touch()
    options = CorpusOptions(path=str(folder), use=["pretrain"], video=False)
    found = {one.reason: one for one in check(options, "none").findings}
    assert found["media_left_out"].wrong
    assert "gsm 2" in found["media_left_out"].meaning
    assert not found["left_out"].wrong
    assert found["left_out"].meaning.endswith(": .dat 2, without ending 1")
    assert expand([str(folder)]) == [str(folder / "a.wav")]
    assert "5 files are left out by their ending: .dat 2, .gsm 2, without ending 1" in capsys.readouterr().err
    (folder / "a.wav").unlink()
    with pytest.raises(UserError, match=r"no audio or video file in this folder \(6 files are left out"):
        expand([str(folder)])


def test_endings_of_other_files_are_not_those_of_media() -> None:
    for name in ("a.txt", "a.csv", "a.json", "a.TextGrid", "a.png", "a.jpg", "a.ps", "a.dat", "a", "a.mks", "a.heic"):
        assert not is_media(name)
