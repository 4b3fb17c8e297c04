"""Copies of a recording are found however they are coded, and other takes are not taken for them."""

import io
import subprocess
from collections import Counter
from collections.abc import Callable
from itertools import combinations, product
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import polars as pl
import pytest
import soundfile
from tests.media.voices import SENTENCES, voice

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.config import MediaOptions
from avpretext.corpora.checks import recordings
from avpretext.corpora.checks.recordings import copies, groups, with_recordings
from avpretext.media.decode import Decoded, decode
from avpretext.media.fingerprint import fingerprint, fingerprint_of

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def printed(sound: np.ndarray) -> np.ndarray:
    flac = io.BytesIO()
    soundfile.write(flac, sound, SAMPLE_RATE_HZ, "PCM_16", format="FLAC")
    return fingerprint_of(flac.getvalue())


@pytest.fixture(scope="module")
def takes() -> list[np.ndarray]:
    """Every sentence by two voices at three pitches, in other noise each: the same words, other recordings."""
    kinds = [(name, pitch) for name in ("en-us+m3", "en-us+f2") for pitch in (45, 50, 55)]
    said = [(sentence, *kind) for sentence in range(len(SENTENCES)) for kind in kinds]
    return [voice(*one, noise=number) for number, one in enumerate(said)]


@pytest.fixture
def encoded(tmp_path: Path) -> Callable[..., np.ndarray]:
    """Encode sound by ffmpeg's arguments, and return the fingerprint of what `split` makes of it."""

    def run(sound: np.ndarray, suffix: str, *arguments: str) -> np.ndarray:
        soundfile.write(tmp_path / "a.wav", sound, SAMPLE_RATE_HZ)
        command = [FFMPEG, "-y", "-loglevel", "error", "-i", str(tmp_path / "a.wav"), *arguments]
        subprocess.run([*command, str(tmp_path / f"b.{suffix}")], check=True)
        clip = decode(tmp_path / f"b.{suffix}", FFMPEG, MediaOptions(), False, tmp_path)
        assert isinstance(clip, Decoded)
        return fingerprint_of(clip.flac)

    return run


@pytest.mark.parametrize(
    ("suffix", "arguments"),
    [
        ("mp3", ("-b:a", "64k")),
        ("ogg", ("-c:a", "libvorbis", "-q:a", "1")),
        ("m4a", ("-c:a", "aac", "-b:a", "48k")),
        ("wav", ("-ar", "8000")),
        ("wav", ("-c:a", "pcm_u8")),
        ("flac", ("-ar", "44100", "-ac", "2")),
        ("wav", ("-af", "volume=6dB")),
        ("wav", ("-af", "volume=-20dB")),
        ("wav", ("-af", "atrim=start=0.137")),
        ("wav", ("-af", "adelay=93:all=1")),
        ("mp3", ("-af", "volume=-6dB,atrim=start=0.071", "-b:a", "64k", "-ar", "22050")),
    ],
)
def test_a_copy_is_found_however_it_is_coded(takes, encoded, suffix: str, arguments: tuple[str, ...]) -> None:
    known = [printed(take) for take in takes]
    found = copies([*known, encoded(takes[1], suffix, *arguments)])
    assert [(first, second) for first, second, _ in found] == [(1, len(takes))]


def test_other_takes_of_the_same_words_are_other_recordings(takes) -> None:
    assert copies([printed(take) for take in takes]) == []


def test_a_stretch_of_a_recording_is_a_copy_of_it(takes) -> None:
    long = np.concatenate(takes[:3])
    assert [pair[:2] for pair in copies([printed(take) for take in (long, takes[1], takes[5])])] == [(0, 1)]


def test_what_is_too_short_silent_or_unknown_has_no_copies(takes) -> None:
    short = printed(takes[0][:6000])
    silent = printed(np.zeros(16_000))
    assert copies([short, short, silent, silent, None, None, printed(np.zeros(10)), []]) == []
    assert copies([]) == []
    assert len(fingerprint(np.ones((3, 25), np.float32))) == 0


def test_blocks_of_long_sound_make_no_difference(takes, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = printed(np.concatenate(takes))
    monkeypatch.setattr("avpretext.media.fingerprint._BLOCK_FRAMES", 20)
    assert (whole == printed(np.concatenate(takes))).mean() > 0.99, "but for the rounding of transforms"
    assert len(whole) == len(printed(np.concatenate(takes)))


def test_copies_of_copies_are_one_recording(takes) -> None:
    prints = [printed(take) for take in (takes[0], takes[4], 0.5 * takes[0], takes[0][1000:], takes[7])]
    numbers = groups(prints)
    assert numbers[0] == numbers[2] == numbers[3]
    assert len(set(numbers.tolist())) == 3
    clips = pl.DataFrame(
        {"content": ["a", "b", "c", "d", None, "a"], "fingerprint": [prints[n].tolist() for n in (0, 1, 2, 3, 0, 0)]},
        schema={"content": pl.String, "fingerprint": pl.List(pl.UInt32)},
    )
    assert with_recordings(clips)["content"].to_list() == ["a", "b", "a", "a", None, "a"]


@pytest.mark.parametrize(("corpus", "expected"), [("ravdess-audio", 1), ("crema-d/AudioWAV", 0)])
def test_real_takes_by_real_people(shared_data, corpus: str, expected: int) -> None:
    """RAVDESS: 16 people say two sentences again and again; two of the first four's clips are equal to the sample."""
    files = sorted((shared_data / corpus).glob("*"))
    if not files:
        pytest.skip(f"{corpus} is absent")
    some = [file for file in files if "ravdess" not in corpus or file.stem[-2:] in ("07", "23")]
    found = copies([printed(soundfile.read(file)[0]) for file in some])
    assert len(found) == expected


def proposed_by_hand(words: list[np.ndarray]) -> list[tuple[int, int, int]]:
    """Return what `_proposed` yields, by a comparison of every frame with every other."""
    frequency = Counter(int(word) for one in words for word in one)
    votes: Counter[tuple[int, int, int]] = Counter()
    for (first, one), (second, other) in combinations(enumerate(words), 2):
        for (frame, word), (there, same) in product(enumerate(one.tolist()), enumerate(other.tolist())):
            if word == same != 0 and frequency[word] <= recordings.COMMON_WORD:
                votes[first, second, frame - there] += 1
    near = {(one, other, shift + step) for one, other, shift in votes for step in (0, 1)}
    return sorted(
        (one, other, shift)
        for one, other, shift in near
        if votes[one, other, shift] + votes[one, other, shift - 1] >= recordings.PROPOSED_BY
    )


@pytest.mark.parametrize("at_once", [1, 50, 1 << 20])
def test_clips_are_proposed_that_a_comparison_of_all_frames_proposes(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    rng = np.random.default_rng(0)
    words = [rng.integers(300, size=30).astype(np.uint32) for _ in range(20)]
    words += [words[place][place:] for place in range(4)] + [np.zeros(0, np.uint32)]
    monkeypatch.setattr(recordings, "COMMON_WORD", 4)
    monkeypatch.setattr(recordings, "_PAIRS_AT_ONCE", at_once)
    found = list(recordings._proposed(words))
    assert found == proposed_by_hand(words)
    assert {(place, 20 + place, place) for place in range(4)} <= set(found)
    assert list(recordings._proposed([])) == []
