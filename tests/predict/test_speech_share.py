"""Each row says how much of it is speech, and one without any has no prediction: against sound whose truth is known."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

import avpretext
from avpretext.demo.voice import Delivery, speak
from avpretext.errors import UserError
from avpretext.predict import MIN_SPEECH
from avpretext.predict.result import Prediction
from avpretext.predict.run import run
from avpretext.predict.speech_share import spoken
from avpretext.sound.live import parts

from .conftest import MEDIA, MakeModel

RATE = 16_000
Signal = NDArray[np.float64]


@pytest.fixture(scope="module")
def sentence() -> Signal:
    """A sentence of some two seconds, as a synthesiser says it; full scale 1."""
    said = speak("Maybe tomorrow it will be cold, so don't forget a jacket.", Delivery("en-us+m3", 50, 50, 160))
    return resample_poly(said.samples.astype(np.float64), RATE, 22_050)


def times(seconds: float = 10.0) -> Signal:
    return np.arange(round(seconds * RATE)) / RATE


def noise(seconds: float = 10.0) -> Signal:
    return np.random.default_rng(0).normal(size=round(seconds * RATE))


def melody() -> Signal:
    """Notes of an instrument: five harmonics that fade."""
    beat = times() % 0.42
    pitch = np.array([220, 277, 330, 440, 392, 330, 294, 262])[(times() / 0.42).astype(int) % 8]
    return sum(np.sin(2 * np.pi * pitch * k * beat) / k for k in range(1, 6)) * np.exp(-3 * beat)


SILENT = {
    "digital silence": 0 * times(),
    "dither": np.sign(noise()) / 32768,
    "white noise": 0.1 * noise(),
    "brown noise": np.diff(np.cumsum(noise()), prepend=0, n=1).cumsum() / 500,
    "hum": 0.1 * np.sin(2 * np.pi * 50 * times()) + 0.05 * np.sin(2 * np.pi * 150 * times()),
    "a beep": 0.5 * np.sin(2 * np.pi * 1000 * times()),
    "beeps": 0.5 * np.sin(2 * np.pi * 1000 * times()) * (times() % 1 < 0.2),
    "music": 0.2 * melody(),
    "an offset": 0 * times() + 0.3,
    "clicks": 1.0 * (np.arange(10 * RATE) % 8000 < 3),
    "a sweep": 0.5 * np.sin(2 * np.pi * (100 + 150 * times()) * times()),
}


def share(signal: Signal) -> float:
    samples = np.clip(np.rint(signal * 32767), -32768, 32767).astype(np.int16)
    return float(np.concatenate([spoken(part) for part in parts([samples])]).mean())


@pytest.mark.parametrize("name", SILENT)
@pytest.mark.parametrize("level_db", [0, -40])
def test_what_is_no_speech_counts_as_none(name: str, level_db: float) -> None:
    assert share(SILENT[name] * 10 ** (level_db / 20)) < MIN_SPEECH / 2


@pytest.mark.parametrize("level_db", [0, -20, -40, -55])
def test_speech_counts_at_any_level(sentence: Signal, level_db: float) -> None:
    quiet = np.zeros(len(sentence) // 2)
    signal = np.concatenate([quiet, sentence, quiet]) * 10 ** (level_db / 20) / abs(sentence).max()
    assert 0.2 < share(signal) < 0.6, "half of it is the sentence, which pauses once"


@pytest.mark.parametrize("beside", ["hum", "white noise", "an offset"])
def test_speech_counts_in_noise_of_a_tenth_of_its_level(sentence: Signal, beside: str) -> None:
    other = np.resize(SILENT[beside], len(sentence))
    level = 0.05 * np.sqrt(np.square(sentence).mean()) / np.sqrt(np.square(other).mean())
    assert share(0.3 * sentence / abs(sentence).max() + level * other) > 0.4


def write(path: Path, *signals: Signal) -> Path:
    soundfile.write(path, np.clip(np.concatenate(signals), -1, 1), RATE, "PCM_16")
    return path


@pytest.mark.parametrize(
    "changes",
    [{}, {"kind": "multi_label"}, {"kind": "attribute", "classes": ["arousal"], "scale": (3.0, 1.5)},
     {"media": MEDIA.model_copy(update={"trim_db": 30.0})}, {"model": {"normalise": "speaker"}}],
)  # fmt: skip
def test_a_silent_file_has_no_label_and_no_numbers(
    make_model: MakeModel, sentence: Signal, tmp_path: Path, changes: dict[str, object]
) -> None:
    model = avpretext.load(make_model(**changes))
    files = [write(tmp_path / "silent.wav", 0 * times()), write(tmp_path / "said.wav", sentence)]
    silent, said = model.predict_many(files, speakers=["ann", "ann"])
    assert isinstance(silent, Prediction)
    assert isinstance(said, Prediction)
    assert (silent.label, silent.speech[0], silent.spoken[0]) == (None, 0, False)
    assert np.isnan(silent.probabilities).all()
    assert next(silent.rows())["probabilities"] == dict.fromkeys(model.names)
    assert str(silent).endswith("silent.wav: no speech (0% of it)")
    assert said.speech[0] > 0.6
    assert np.isfinite(said.probabilities).all()
    assert (said.label is None) == (model.description.kind == "attribute")
    everything = next(model.predict_many(files, speakers=["ann", "ann"], min_speech=0))
    assert isinstance(everything, Prediction)
    assert np.isfinite(everything.probabilities).all()
    assert everything.speech[0] == 0


def test_along_time_the_windows_between_sentences_have_no_label(
    make_model: MakeModel, sentence: Signal, tmp_path: Path
) -> None:
    model, pause = avpretext.load(make_model()), 0 * times(5.0)
    clause = sentence / abs(sentence).max() * 0.3
    # Two minutes, so that the sound comes in several parts, with a sentence every ten seconds or so.
    file = write(tmp_path / "talk.wav", *([clause, pause] * round(120 / (len(clause) / RATE + 5))))
    said = model.predict(file, along_time=(1, 1))
    period, length = len(clause) / RATE + 5, len(clause) / RATE
    since = said.start_s % period
    within, between = since + 1 < length - 0.3, (since > length + 0.3) & (since + 1 < period - 0.3)
    assert said.spoken[within].mean() > 0.95
    assert not said.spoken[between].any()
    assert said.speech[within].mean() > 0.6
    assert [label is None for label in said.labels] == (~said.spoken).tolist()
    assert np.isnan(said.probabilities[between]).all()


def test_the_threshold_is_an_option(make_model: MakeModel, sentence: Signal, tmp_path: Path) -> None:
    model = avpretext.load(make_model())
    half = write(tmp_path / "half.wav", sentence, 0 * sentence)
    known = float(model.predict(half).speech[0])
    assert 0.3 < known < 0.6
    assert model.predict(half, min_speech=known - 0.01).label is not None
    assert model.predict(half, min_speech=known + 0.01).label is None
    with pytest.raises(UserError, match=r"min_speech = 5: expected the share"):
        model.predict(half, min_speech=5)


def test_every_format_tells_it(
    make_model: MakeModel, sentence: Signal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_model()
    files = [str(write(tmp_path / "silent.wav", 0 * times())), str(write(tmp_path / "said.wav", sentence))]
    assert run(model, files, None, None, MIN_SPEECH, "csv", None, 1) == 0
    written = capsys.readouterr()
    silent, said = csv.DictReader(io.StringIO(written.out))
    assert "predict: 1 of 2 rows have less than 0.1 of speech (--min-speech)" in written.err
    assert (silent["speech"], silent["predicted"], silent["happy"], silent["reason"]) == ("0.00", "", "", "")
    assert float(said["speech"]) > 0.6
    assert said["predicted"]
    run(model, files, None, None, MIN_SPEECH, "json", None, 1)
    text = capsys.readouterr().out
    silent, said = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (silent["speech"], silent["predicted"], silent["probabilities"]["sad"]) == (0.0, None, None)
    assert said["predicted"] in said["probabilities"]
    run(model, files, None, None, MIN_SPEECH, "table", None, 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["silent.wav", "0.00", "10.00", "0.00", "no", "speech", "-", "-", "-"]
    assert lines[2].split()[4] == said["predicted"]
