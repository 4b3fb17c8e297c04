"""The sound of a file as it comes: the samples of `split`, and its refusals."""

import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from tests.predict.conftest import speechlike

from avpretext.config import MediaOptions
from avpretext.media import sound
from avpretext.media.decode import decode
from avpretext.refusal import Refusal

from .conftest import Make


def heard(source: Path, ffmpeg: str, options: MediaOptions) -> tuple[NDArray[np.int16], Refusal | None]:
    """Return all samples, and why the file is refused."""
    blocks, found = [], sound.listen(source, ffmpeg, options)
    while True:
        try:
            blocks.append(next(found))
        except StopIteration as end:
            return np.concatenate([np.empty(0, np.int16), *blocks]), end.value


def split_samples(source: Path, ffmpeg: str, options: MediaOptions) -> NDArray[np.int16]:
    import io

    clip = decode(source, ffmpeg, options, False, source.parent)
    assert not isinstance(clip, Refusal)
    samples: NDArray[np.int16] = soundfile.read(io.BytesIO(clip.flac), dtype="int16")[0]
    return samples


@pytest.mark.parametrize(
    ("name", "rate", "subtype"),
    [("a.wav", 16_000, "PCM_16"), ("a.flac", 16_000, "PCM_16"), ("a.wav", 44_100, "PCM_16"), ("a.wav", 16_000, "FLOAT"),
     ("a.flac", 16_000, "PCM_24"), ("a.ogg", 48_000, "VORBIS"), ("a.mp3", 22_050, "MPEG_LAYER_III"),
     ("really a flac.txt", 16_000, "PCM_16")],
)  # fmt: skip
def test_samples_are_those_of_split(
    tmp_path: Path, ffmpeg: str, options: MediaOptions, name: str, rate: int, subtype: str
) -> None:
    file = tmp_path / name
    kind = "FLAC" if name.endswith((".flac", ".txt")) else file.suffix[1:].upper()
    soundfile.write(file, speechlike(2.5, rate=rate), rate, subtype, format=kind)
    samples, refusal = heard(file, ffmpeg, options)
    assert refusal is None
    assert np.array_equal(samples, split_samples(file, ffmpeg, options))


def test_video_and_stereo_have_the_samples_of_split(
    flash_and_beep: Make, ffmpeg: str, options: MediaOptions, make: Make
) -> None:
    late = flash_and_beep("late.mp4", audio_late=0.5)
    stereo = make("two.wav", "-f", "lavfi", "-i", "aevalsrc=0.3*sin(900*t)|0.5*sin(1300*t):s=16000:d=2")
    for file in (late, stereo):
        samples, refusal = heard(file, ffmpeg, options)
        assert refusal is None
        assert np.array_equal(samples, split_samples(file, ffmpeg, options))


def test_plain_files_start_no_process(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    soundfile.write(file, speechlike(1), 16_000, "PCM_16")
    samples, refusal = heard(file, "/no/such/program", MediaOptions())
    assert (len(samples), refusal) == (16_000, None)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp4"])
@pytest.mark.parametrize("harm", ["half", "text", "short", "long"])
def test_refusals_are_those_of_split(tmp_path: Path, flash_and_beep: Make, ffmpeg: str, suffix: str, harm: str) -> None:
    file = tmp_path / f"a{suffix}"
    if suffix == ".mp4":
        file.write_bytes(flash_and_beep("whole.mp4").read_bytes())
    else:
        soundfile.write(file, speechlike(3), 16_000, "PCM_16")
    content = file.read_bytes()
    file.write_bytes({"half": content[: len(content) // 2], "text": b"hello " * 99}.get(harm, content))
    options = {"short": MediaOptions(min_duration_s=9), "long": MediaOptions(max_duration_s=2)}.get(
        harm, MediaOptions()
    )
    _samples, refusal = heard(file, ffmpeg, options)
    expected = decode(file, ffmpeg, options, False, tmp_path)
    assert isinstance(expected, Refusal)
    assert refusal is not None
    assert refusal.reason == expected.reason


def test_what_is_no_file_is_refused(tmp_path: Path, ffmpeg: str, options: MediaOptions) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "pointer.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (tmp_path / "link.wav").symlink_to("nowhere.wav")
    expected = {
        "gone.wav": "missing_file", "pipe.wav": "unreadable", ".": "unreadable", "link.wav": "unreadable",
        "empty.wav": "empty_file", "pointer.wav": "lfs_pointer",
    }  # fmt: skip
    refused = {name: heard(tmp_path / name, ffmpeg, options)[1] for name in expected}
    assert {name: refusal and refusal.reason for name, refusal in refused.items()} == expected


def test_a_playlist_in_disguise_opens_nothing(tmp_path: Path, ffmpeg: str, options: MediaOptions) -> None:
    other = tmp_path / "secret.wav"
    soundfile.write(other, speechlike(1), 16_000, "PCM_16")
    playlist = tmp_path / "a.wav"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{other}\n#EXT-X-ENDLIST\n")
    samples, refusal = heard(playlist, ffmpeg, options)
    assert (len(samples), refusal and refusal.reason) == (0, "not_media")


def test_who_stops_listening_leaves_no_process(make: Make, ffmpeg: str) -> None:
    file = make("long.flac", "-f", "lavfi", "-i", "sine=300:d=90", "-ac", "2")
    found = sound.listen(file, ffmpeg, MediaOptions(max_duration_s=1000))
    assert len(next(found)) == sound.BLOCK_SAMPLES
    closing = threading.Thread(target=found.close, daemon=True)
    closing.start()
    closing.join(60)  # ffmpeg, nobody reading its sound, would wait for ever
    assert not closing.is_alive()
