"""Mono: what is said keeps its level, whichever channels it is on, and what was odd is named."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from avpretext.config import MediaOptions
from avpretext.flow.schemas import SAMPLE_RATE_HZ
from avpretext.media import sound
from avpretext.media.decode import Decoded, decode
from avpretext.media.filters import HighPass
from avpretext.media.mono import CHANNELS, Mono, Packet, channels_of
from avpretext.refusal import Refusal

from .voices import voice

Floats = NDArray[np.float32]
TIMES = np.arange(4 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
BEEP = (0.3 * np.sin(2 * np.pi * 1000 * TIMES) * (TIMES % 1 < 0.5)).astype(np.float32)
HUM = (0.2 * np.sin(2 * np.pi * 50 * TIMES) + 0.1 * np.sin(2 * np.pi * 150 * TIMES)).astype(np.float32)


def kept(sound: Floats) -> NDArray[np.float64]:
    """Return what `split` keeps of sound of one channel: all but what is slower than a voice."""
    exact = sound.astype(np.float64)
    return HighPass(SAMPLE_RATE_HZ, exact)(exact)


def channels(*sounds: Floats) -> Floats:
    return np.stack([one[: len(voice())] for one in sounds], axis=1)


@pytest.fixture
def heard(tmp_path: Path, ffmpeg: str) -> Callable[..., tuple[Decoded | Refusal, Floats]]:
    """Write sound as a file, split it, and return the clip with its samples."""

    def run(content: Floats, name: str = "a.wav", subtype: str = "PCM_16") -> tuple[Decoded | Refusal, Floats]:
        soundfile.write(tmp_path / name, content, SAMPLE_RATE_HZ, subtype)
        clip = decode(tmp_path / name, ffmpeg, MediaOptions(), False, tmp_path)
        samples = [] if isinstance(clip, Refusal) else soundfile.read(io.BytesIO(clip.flac), dtype="float32")[0]
        return clip, np.asarray(samples, dtype=np.float32)

    return run


def faint() -> Floats:
    return np.random.default_rng(3).normal(0, 3e-4, len(voice())).astype(np.float32)


@pytest.mark.parametrize(
    ("sounds", "way"),
    [
        (lambda: [voice()], "mean"),
        (lambda: [voice(), voice()], "mean"),
        (lambda: [voice(), 0 * voice()], "silent_channel"),
        (lambda: [faint(), voice()], "silent_channel"),
        (lambda: [voice(), -voice()], "inverted"),
        (lambda: [voice() + 0.3, 0.4 - 0.5 * voice() * 1e-3], "silent_channel"),
        (lambda: [voice(), BEEP], "no_speech_channel"),
        (lambda: [HUM, voice()], "no_speech_channel"),
        (lambda: [0 * voice(), 0 * voice(), voice(), 0 * voice(), 0 * voice(), 0 * voice()], "mean"),
        (lambda: [0 * voice(), 0 * voice(), 0 * voice(), voice()], "mean"),
        (lambda: [voice(), voice(), voice(), BEEP, voice(), voice()], "mean"),
    ],
)
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_voice_keeps_its_level_whichever_channels_it_is_on(heard, sounds, way: str, subtype: str) -> None:
    clip, samples = heard(channels(*sounds()), subtype=subtype)
    assert np.abs(samples - kept(voice())).max() < 1e-3
    assert clip.mix == way


def test_two_people_on_two_channels_are_averaged(heard) -> None:
    clip, samples = heard(channels(voice(), np.roll(voice(1, "en-us+f2"), 3000)))
    assert clip.mix == "mean"
    assert np.corrcoef(samples, voice())[0, 1] > 0.5


def test_channels_that_lean_to_one_side_are_no_silent_ones(heard) -> None:
    clip, samples = heard(channels(voice(), 0.2 * voice()))
    assert clip.mix == "mean"
    assert np.abs(samples - kept(0.6 * voice())).max() < 1e-3


@pytest.mark.parametrize(("subtype", "loudest"), [("PCM_U8", 1), ("PCM_16", 1), ("PCM_24", 1), ("FLOAT", 3)])
def test_clipping_is_counted_whatever_the_samples_are(heard, subtype: str, loudest: float) -> None:
    loud = np.clip(6 * voice(), -loudest, loudest)
    clip, _ = heard(loud, subtype=subtype)
    assert clip.clipped == pytest.approx((np.abs(loud) >= 0.99).mean(), rel=0.1)
    assert clip.clipped > 0.01
    assert heard(voice(), subtype=subtype)[0].clipped == 0


@pytest.mark.parametrize("offset", [0.0, 0.03])
@pytest.mark.parametrize("number", [1, 2, 6])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT"])
def test_a_silent_track_is_refused_with_an_offset_or_without(heard, offset: float, number: int, subtype: str) -> None:
    clip, _ = heard(np.full((SAMPLE_RATE_HZ, number), offset), subtype=subtype)
    assert clip == Refusal("silent", "all of its samples are the same, or nearly so")
    assert isinstance(heard(0.01 * voice())[0], Decoded), "a voice 46 dB below full scale is a voice"


def test_what_is_no_number_is_silence(heard) -> None:
    odd = voice().copy()
    odd[100], odd[200] = np.nan, np.inf
    _, samples = heard(odd, subtype="FLOAT")
    meant = voice().copy()
    meant[100], meant[200] = 0, 1
    assert np.abs(samples - kept(meant)).max() < 1e-3


@pytest.mark.parametrize("levels", [[1, -1], [1, 0], [0.5, 1]])
def test_predict_hears_what_split_keeps(heard, tmp_path: Path, ffmpeg: str, levels: list[float]) -> None:
    _, samples = heard(channels(*(level * voice() for level in levels)))
    blocks = list(sound.listen(tmp_path / "a.wav", ffmpeg, MediaOptions()))
    assert np.array_equal(np.concatenate(blocks), np.rint(samples * 32768).astype(np.int16))


def packets(sound: Floats, size: int = 999) -> list[Packet]:
    wide = np.zeros((len(sound), CHANNELS), np.float32)
    wide[:, : sound.shape[1]] = sound
    return [Packet(place, wide[place : place + size]) for place in range(0, len(wide), size)]


def test_each_stretch_decides_and_a_channel_that_has_sounded_is_not_left_out_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("avpretext.media.mono.DECIDE_S", 1.0)
    monkeypatch.setattr("avpretext.media.mono.DECIDE_SAMPLES", 16_000)
    said = np.resize(voice(), 4 * SAMPLE_RATE_HZ).astype(np.float32)
    second = np.repeat([1e-4, -1, 1e-4, 1e-4], SAMPLE_RATE_HZ).astype(np.float32)
    mono = Mono()
    found = list(mono.mixed(packets(np.stack([said, second * said], axis=1), 1000), SAMPLE_RATE_HZ))
    assert [packet.place for packet in found] == list(range(0, len(said), 1000))
    mixed = np.concatenate([packet.samples for packet in found])
    level = [np.ptp(mixed[start::][:16_000]) / np.ptp(said[start::][:16_000]) for start in range(0, len(said), 16_000)]
    assert level == pytest.approx([1, 1, 0.5, 0.5], abs=0.01)
    assert mono.way == "silent_channel"


def test_nothing_has_a_mix_too() -> None:
    nothing = Mono()
    assert list(nothing.mixed([], 16_000)) == []
    assert (nothing.clipped, nothing.way, nothing.offset) == (0.0, "mean", None)
    assert len(channels_of(b"", 2)) == 0
