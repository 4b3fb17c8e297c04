"""Features of sound as it comes: those of the stages, whatever blocks it comes in."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.predict.conftest import speechlike

from avpretext.config import LogMelOptions, SpeechOptions
from avpretext.errors import UserError
from avpretext.sound import descriptors
from avpretext.sound import live as live_features
from avpretext.sound.descriptors import frame_energy, open_descriptors
from avpretext.sound.live import LiveFeatures, parts
from avpretext.sound.log_mel import hann, log_mel, mel_filters

CHANNELS = ["mel[2]", "energy", "mfcc_sma[1]", "F0final_sma", "loudness"]
MEL = LogMelOptions(bands=16)


def samples_of(seconds: float) -> NDArray[np.int16]:
    return np.rint(speechlike(seconds) * 32768).astype(np.int16)


def whole(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the channels as the stages compute them of a whole clip."""
    signal = samples.astype(np.float32) / np.float32(32768)
    mel = log_mel(signal, hann(MEL.window_s), mel_filters(MEL))
    with open_descriptors(SpeechOptions()) as described:
        values = described.compute(signal)
        named = {name: values[:, described.names.index(name)] for name in ("mfcc_sma[1]", "F0final_sma")}
        loud = described.loudness(values)
    return np.stack([mel[:, 2], frame_energy(signal), named["mfcc_sma[1]"], named["F0final_sma"], loud], axis=1)


@pytest.fixture(scope="module", autouse=True)
def pieces_of_ten_seconds() -> Iterator[None]:
    """In place of a minute."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (descriptors, live_features):
            patch.setattr(module, "PIECE_FRAMES", 1000)
        yield


@pytest.fixture(scope="module")
def long(pieces_of_ten_seconds: None) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    samples = samples_of(31.237)
    return samples, whole(samples)


@pytest.mark.parametrize("seconds", [0.3, 0.3051, 1.0, 9.99, 14.999, 15.01])
def test_clips_have_the_values_of_the_stages(seconds: float) -> None:
    samples = samples_of(seconds)
    live = LiveFeatures(SpeechOptions(), MEL, CHANNELS)
    found = np.concatenate([live.of(part) for part in parts([samples])])
    live.close()
    expected = whole(samples)
    assert found.shape == expected.shape
    assert np.array_equal(found[:, 2:], expected[:, 2:]), "openSMILE's to the bit"
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("block", [1 << 17, 99_991, 1 << 22])
def test_long_sound_has_the_values_of_the_whole(
    long: tuple[NDArray[np.int16], NDArray[np.float32]], block: int
) -> None:
    samples, expected = long
    live = LiveFeatures(SpeechOptions(), MEL, CHANNELS)
    pieces = [live.of(part) for part in parts(np.split(samples, range(block, len(samples), block)))]
    live.close()
    assert len(pieces) == 3
    found = np.concatenate(pieces)
    assert np.array_equal(found[:, 2:], expected[:, 2:]), "openSMILE's to the bit"
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_what_is_held_does_not_grow_with_the_sound() -> None:
    hour = (np.zeros(1 << 17, np.int16) for _ in range(440))
    sizes = [len(part.samples) for part in parts(hour)]
    assert len(sizes) == 360
    assert max(sizes) < 30 * 16_000


def test_no_sound_has_no_parts() -> None:
    assert list(parts([])) == []
    assert list(parts([np.empty(0, np.int16)])) == []


def test_a_channel_that_there_is_not_is_named() -> None:
    with pytest.raises(UserError, match=r"no feature is called 'mel\[16\]'"):
        LiveFeatures(None, MEL, ["mel[15]", "mel[16]"])
