"""`avpretext corpus` hears what is odd about clips: each fault is made, found with its count, and nothing else is."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from tests.media.voices import voice

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.config import CorpusOptions
from avpretext.corpora.checks import check as checking
from avpretext.corpora.checks.check import check
from avpretext.corpora.checks.listening import sample
from avpretext.corpora.checks.overview import CorpusCheck
from avpretext.corpora.reader import Clip

ABOUT_SOUND = {"no_speaker"}
TIMES = np.arange(3 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ


def listened(folder: Path, video: bool = False, which: str = "sample", model: Path | None = None) -> CorpusCheck:
    return check(CorpusOptions(path=str(folder), use=["pretrain"], video=video), listened=which, model=model)  # type: ignore[arg-type]


def found(folder: Path) -> dict[str, int]:
    """Return reasons of findings and their counts."""
    return {entry.reason: entry.count for entry in listened(folder).findings if entry.reason not in ABOUT_SOUND}


def write(folder: Path, name: str, content: np.ndarray, subtype: str = "PCM_16", rate: int = SAMPLE_RATE_HZ) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / name, content, rate, subtype)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three good clips of three speakers, in three formats: mono of 24 bits, mono as stereo, 5.1 with a voice in it."""
    write(tmp_path, "anna/a.wav", voice(0, "en-us+f2"), "PCM_24")
    write(tmp_path, "ben/b.wav", np.stack([voice(1)] * 2, axis=1), "FLOAT")
    front, nothing = voice(2), np.zeros(len(voice(2)))
    write(tmp_path, "carl/c.wav", np.stack([0.3 * front, 0.3 * front, front, nothing, nothing, nothing], axis=1))
    return tmp_path


def test_good_clips_are_found_to_be_good_whatever_their_format(folder: Path) -> None:
    assert found(folder) == {}
    words = listened(folder).sound
    assert words.startswith("all 3 clips listened to, level -2")
    share = int(words.partition("speech in ")[2].partition("%")[0])
    assert share > 50


def both(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right[: len(left)]], axis=1)


ODD: dict[str, Callable[[], tuple[np.ndarray, str]]] = {
    "silent": lambda: (np.zeros(20_000), "PCM_16"),
    "clipped": lambda: (5 * voice(), "FLOAT"),
    "inverted": lambda: (both(voice(), -voice()), "PCM_24"),
    "silent_channel": lambda: (both(voice(), 0 * voice()), "PCM_16"),
    "no_speech_channel": lambda: (
        both(voice(), 0.3 * np.sin(2 * np.pi * 1000 * np.resize(TIMES, len(voice())))),
        "PCM_16",
    ),
    "no_speech": lambda: (0.05 * np.random.default_rng(1).normal(size=48_000), "PCM_16"),
    "offset": lambda: (0.8 * voice() + 0.03, "PCM_16"),
    "quiet": lambda: (0.008 * voice(), "PCM_24"),
    "zeros": lambda: (np.concatenate([voice(), np.zeros(30_000)]), "PCM_16"),
}


def test_each_fault_is_found_and_no_other(folder: Path) -> None:
    for reason, made in ODD.items():
        content, subtype = made()
        for number in range(2):
            write(folder, f"{reason}/{number}.wav", np.roll(content, 100 * number, axis=0), subtype)
    entries = {entry.reason: entry for entry in listened(folder).findings}
    for reason in ODD:
        entry = entries.pop(reason)
        assert [example.partition(" ")[0] for example in entry.examples] == [f"{reason}/0.wav", f"{reason}/1.wav"]
        assert (entry.count, entry.wrong) == (2, reason == "silent")
    # All but the silence are made of few sentences, some are loud, and both of the silence are equal.
    assert set(entries) - ABOUT_SOUND == {"copies", "levels", "equal_files"}


def test_a_telephone_is_heard_though_its_files_say_16_khz(folder: Path) -> None:
    write(folder, "odd/a.wav", voice(1, "en-us+f2")[::2], rate=8000)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(folder / "odd/a.wav")]
    subprocess.run([*command, "-ar", "16000", str(folder / "odd/b.wav")], check=True)
    assert found(folder)["narrow_band"] == 2


def test_levels_of_speakers_that_lie_apart_are_told(folder: Path) -> None:
    write(folder, "far/f.wav", 0.05 * voice(1, "en-us+f2"), "PCM_24")
    (entry,) = [entry for entry in listened(folder).findings if entry.reason == "levels"]
    assert entry.examples[0].startswith("speaker far")
    assert not entry.wrong


def test_copies_under_other_names_are_told_with_both(folder: Path) -> None:
    write(folder, "dora/d.wav", 0.6 * voice(1), "PCM_U8")
    (entry,) = [entry for entry in listened(folder).findings if entry.reason == "copies"]
    assert (entry.count, entry.examples) == (1, ("dora/d.wav is ben/b.wav",))
    assert "1 of them under the names of different speakers" in entry.meaning


def test_faces_are_looked_for_where_the_model_is_and_told_where_not(tmp_path: Path, face_model: Path) -> None:
    write(tmp_path, "a.wav", voice())
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=s=64x48:r=5:d=3"]
    subprocess.run([*command, "-i", str(tmp_path / "a.wav"), "-shortest", str(tmp_path / "a.mp4")], check=True)
    looked = listened(tmp_path, video=True, model=face_model)
    (entry,) = [entry for entry in looked.findings if entry.reason == "no_face"]
    assert (entry.count, entry.wrong, entry.examples) == (1, True, ("a.mp4 (0%)",))
    assert "a face in 0% of the pictures of 1" in looked.sound
    assert "faces" in [entry.reason for entry in listened(tmp_path, video=True).findings]


def test_a_sample_takes_every_speaker_in_turn_and_is_the_same_each_time() -> None:
    clips = [
        (f"{speaker}/{number}.wav", Clip(f"{speaker}{number}", speaker)) for speaker in "abc" for number in range(9)
    ]
    some = sample(clips, 6)
    assert some == sample(clips[::-1], 6)
    assert sorted(clip.speaker for _, clip in some) == ["a", "a", "b", "b", "c", "c"]
    assert sample(clips, 0) == []
    assert len(sample(clips, 1000)) == 27


def test_what_cannot_be_decoded_is_passed_over_and_nothing_is_heard_unasked(folder: Path) -> None:
    (folder / "ben" / "x.wav").write_bytes(b"no sound")
    assert "of 4 clips listened to" in listened(folder).sound
    assert listened(folder, which="none").sound == ""
    assert check(CorpusOptions(path=str(folder), use=["pretrain"], video=False)).sound == ""


def test_a_silent_corpus_ends_with_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "a/a.wav", np.zeros(16_000))
    options = CorpusOptions(path=str(tmp_path), use=["pretrain"], video=False)
    assert checking.run(options) == 1
    assert "silent: there is no sound in the clip" in capsys.readouterr().out
    assert checking.run(options, listened="none") == 0


def test_people_and_recordings_that_another_corpus_has_too_are_told(folder: Path, tmp_path: Path) -> None:
    other = tmp_path.parent / f"{tmp_path.name} other"
    write(other, "anna/new.flac", 0.5 * voice(1))
    write(other, "zoe/z.flac", voice(0, "en-us+m3", 60))
    first, second = (CorpusOptions(path=str(place), use=["finetune"], video=False) for place in (folder, other))
    found = {entry.reason: entry for entry in check(first, listened="all", others=[second]).findings}
    assert found["same_people"].meaning.startswith("1 speaker of this corpus and ")
    assert "such as 'anna'" in found["same_people"].meaning
    assert (found["copies"].count, found["copies"].examples) == (1, ("ben/b.wav is anna/new.flac",))
