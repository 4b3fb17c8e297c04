"""A converted network of DeepEmoCluster says of files what the published program says, step by step."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from scipy.io import savemat
from tests.models.published_vgg import checkpoint, outputs

import avpretext
from avpretext.config import LogMelOptions
from avpretext.errors import RefusedFile, UserError
from avpretext.media.sound import read_plain
from avpretext.predict.result import Prediction
from avpretext.sound.log_mel import mel_filters
from avpretext.training.cluster_models import Wishes, convert

MakeWav = Callable[..., Path]
Floats = NDArray[np.float64]
MEAN, DEVIATION = np.linspace(2, 1, 128), np.linspace(6, 3, 128)


@pytest.fixture(autouse=True)
def all_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take everything for speech."""
    monkeypatch.setattr("avpretext.predict.hearing.spoken", lambda part: np.ones(part.stop - part.first, np.float32))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models of the same weights: normalised by statistics, and by the files themselves."""
    work = tmp_path_factory.mktemp("converted")
    torch.save(checkpoint(5), work / "X_Act.pth.tar")
    (work / "NormTerm").mkdir()
    for name, value in {"feat_norm_means": MEAN, "feat_norm_stds": DEVIATION, "act_norm_means": 4.0}.items():
        savemat(work / f"NormTerm/{name}.mat", {"normal_para": value})
    savemat(work / "NormTerm/act_norm_stds.mat", {"normal_para": 0.5})
    convert(work / "X_Act.pth.tar", work / "given", Wishes(work / "NormTerm"))
    convert(work / "X_Act.pth.tar", work / "heard", Wishes())
    return {"given": work / "given", "heard": work / "heard"}


def spectrogram(file: Path, begin_s: float = 0, end_s: float | None = None) -> Floats:
    """Return the mel power of a file, frame by frame: windows of 512 samples, 256 apart, the ends reflected.

    Its samples are those that every stage hears: the published program has no high-pass of 20 Hz.
    """
    heard = read_plain(file)
    assert heard is not None
    samples = heard[round(begin_s * 16_000) : None if end_s is None else round(end_s * 16_000)] / 32_768
    signal = np.pad(samples / np.abs(samples).max(), 256, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    bins = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(512)) / 512)
    frames = np.stack([signal[256 * k : 256 * k + 512] * hann for k in range(1 + len(samples) // 256)])
    filters = mel_filters(LogMelOptions(bands=128, low_hz=0, high_hz=8000))
    power: Floats = np.abs(frames @ bins.T) ** 2 @ filters.T
    return power


def published(power: Floats, mean: Floats, deviation: Floats) -> float:
    """Return the attribute, in deviations: z-norm, 3 at most, chunks every floor((T - 62) / 10) frames, their mean."""
    normal = np.clip((power - mean) / deviation, -3, 3)
    hop = (len(power) - 62) // 10
    chunks = np.stack([normal[k * hop : k * hop + 62] for k in range(11)])
    return float(outputs(checkpoint(5)["state_dict"], torch.from_numpy(chunks).float())[1].mean())


def test_by_statistics_a_file_gets_the_published_value(folders: dict[str, Path], make_wav: MakeWav) -> None:
    model = avpretext.load(folders["given"])
    assert model.names == ("arousal",)
    values = []
    for seed, seconds in enumerate((3.2, 1.0, 7.77)):
        file = make_wav(f"{seed}.wav", seconds, seed)
        prediction = model.predict(file)
        values.append(published(spectrogram(file), MEAN, DEVIATION))
        assert prediction.probabilities[0, 0] == pytest.approx(4 + 0.5 * values[-1], abs=1e-5)
    assert np.std(values) > 1e-3


def test_by_the_files_all_frames_of_a_speaker_count_once(folders: dict[str, Path], make_wav: MakeWav) -> None:
    files = [make_wav(f"{seed}.wav", 2.0 + seed, seed) for seed in range(3)]
    model = avpretext.load(folders["heard"])
    said = list(model.predict_many(files, speakers=["a", "a", "b"], threads=2))
    powers = [spectrogram(file) for file in files]
    both = np.concatenate(powers[:2])
    for prediction, power, by in zip(said, powers, (both, both, powers[2]), strict=True):
        assert isinstance(prediction, Prediction)
        assert prediction.probabilities[0, 0] == pytest.approx(published(power, by.mean(0), by.std(0)), abs=1e-5)
    with pytest.raises(UserError, match="say who speaks in each file"):
        model.predict(files[0])


def test_along_time_a_window_is_a_clip(folders: dict[str, Path], make_wav: MakeWav) -> None:
    file = make_wav("long.wav", 5.0)
    curve = avpretext.load(folders["given"]).predict(file, along_time=(2.0, 1.5))
    assert curve.start_s.tolist() == [0, 1.5, 3]
    for row, begin_s in enumerate(curve.start_s):
        value = published(spectrogram(file, begin_s, begin_s + 2), MEAN, DEVIATION)
        assert curve.probabilities[row, 0] == pytest.approx(4 + 0.5 * value, abs=1e-5)


def test_a_clip_shorter_than_a_chunk_is_refused(folders: dict[str, Path], make_wav: MakeWav) -> None:
    model = avpretext.load(folders["given"])
    with pytest.raises(RefusedFile, match=r"too_short.*0\.98 s.*needs 0\.99 s"):
        model.predict(make_wav("short.wav", 0.98))
    assert np.isfinite(model.predict(make_wav("just.wav", 0.99)).probabilities).all()
    with pytest.raises(UserError, match=r"windows of 0\.5 s"):
        model.predict(make_wav("just.wav", 2), along_time=(0.5, 0.5))


def test_silence_has_a_number_and_no_warning(folders: dict[str, Path], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(32_000), 16_000)
    value = avpretext.load(folders["given"]).predict(tmp_path / "silence.wav").probabilities[0, 0]
    assert value == pytest.approx(4 + 0.5 * published(np.zeros((126, 128)), MEAN, DEVIATION), abs=1e-5)
