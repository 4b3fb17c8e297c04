"""What the page shows of a file, without a browser."""

import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
from tests.predict.conftest import describe, speechlike, write_model

import avpretext
from avpretext.predict.model import Model
from avpretext.predict.result import Prediction
from avpretext.programs import command
from avpretext.serve import first_look as looking
from avpretext.serve import web
from avpretext.serve.first_look import FirstLook, first_look
from avpretext.serve.look_page import results, style_sheet
from avpretext.training.model_folder import SYNTHETIC

NOWHERE = Path("nowhere/face_landmarker.task")


@pytest.fixture(scope="module")
def loaded(model: Path) -> Model:
    return avpretext.load(model)


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take everything for speech: Silero VAD is not fooled by the tests' sounds."""
    known = Model.predict
    monkeypatch.setattr(Model, "predict", lambda *given, **named: known(*given, **{**named, "min_speech": 0.0}))


@pytest.fixture
def sine(tmp_path: Path) -> Path:
    """A second of silence, then a second of a sine of amplitude 0.1: -23.01 dB."""
    time = np.arange(32_000) / 16_000
    soundfile.write(tmp_path / "sine.wav", np.where(time < 1, 0, 0.1 * np.sin(2 * np.pi * 200 * time)), 16_000)
    return tmp_path / "sine.wav"


def test_a_film_shows_class_curves_energy_face_and_action_units(
    loaded: Model, film: Path, face_model: Path, spoken: None
) -> None:
    look = first_look(loaded, film, face_model)
    known = loaded.predict(film)
    assert look.whole is not None
    assert look.whole.label == known.label
    assert look.whole.probabilities == pytest.approx(known.probabilities)
    assert look.along is not None
    assert look.along.start_s.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert look.face is not None
    assert look.face_note == ""
    assert len(look.face.time_s) == 50
    assert len(look.face.units) == 5
    peaks = [float(np.nanmax(values)) for values in look.face.units.values()]
    assert peaks == sorted(peaks, reverse=True)
    assert len(look.face.pictures) == 3
    picture = cv2.imdecode(np.frombuffer(look.face.pictures[0].jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    lines = (np.abs(picture.astype(int) - [98, 234, 255]) < 60).all(axis=2)
    assert lines.mean() > 0.002, "the landmarks are drawn"

    page = results(look)
    assert re.search(rf'<strong id="label">{known.label}</strong>', page)
    assert page.count("data:image/jpeg") == 3
    assert "a &lt;b&gt;film.mp4" in page
    assert all(unit in page for unit in look.face.units)
    assert page.count("<svg") == 1
    assert "https://" not in page


def test_energy_is_in_decibels_relative_to_full_scale(loaded: Model, sine: Path) -> None:
    time_s, energy_db = looking.vocal_energy(sine)
    assert time_s[[0, -1]].tolist() == [0.0, 1.99]
    assert energy_db[time_s < 0.9].max() == looking.SILENCE_DB
    assert energy_db[(time_s > 1.1) & (time_s < 1.9)] == pytest.approx(20 * np.log10(0.1 / np.sqrt(2)), abs=0.2)
    look = first_look(loaded, sine, NOWHERE)
    assert look.face is None
    assert look.face_note == "", "a file without pictures lacks no face model"


def test_energy_of_long_sound_is_thinned_out(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.flac", speechlike(30.0), 16_000)
    time_s, energy_db = looking.vocal_energy(tmp_path / "long.flac")
    assert len(time_s) == len(energy_db) == 750
    assert np.diff(time_s) == pytest.approx(0.04)


def test_long_sound_gets_longer_windows(loaded: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "SHORT_S", 4.0)
    soundfile.write(tmp_path / "long.flac", speechlike(5.0), 16_000)
    along = first_look(loaded, tmp_path / "long.flac", NOWHERE).along
    assert along is not None
    assert (along.end_s - along.start_s)[0] == 3.0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Refused: the file has no bytes."),
        (b"no film" * 99, "Refused: ffmpeg finds no audio or video in the file"),
    ],
)
def test_a_refused_file_has_the_reason_in_words(loaded: Model, tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "bad.mp4").write_bytes(content)
    page = results(first_look(loaded, tmp_path / "bad.mp4", NOWHERE))
    assert f'role="alert">{words}' in page
    assert "<svg" not in page


def test_noise_has_no_prediction(loaded: Model, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(1).normal(0, 0.01, 32_000), 16_000)
    page = results(first_look(loaded, tmp_path / "noise.wav", NOWHERE))
    assert "No speech: 0% of it" in page
    assert 'id="label"' not in page


def test_a_missing_face_model_is_told_with_the_command(loaded: Model, film: Path) -> None:
    look = first_look(loaded, film, NOWHERE)
    assert look.face is None
    assert look.face_note == f"{NOWHERE} is missing; get it with: {command(f'avpretext models --output {NOWHERE}')}"
    assert "No face is shown: nowhere/face_landmarker.task is missing" in results(look)


def test_missing_mediapipe_is_told_with_the_command(
    loaded: Model, film: Path, face_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("avpretext.serve.face_frames", "avpretext.face."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    assert "this needs mediapipe, which is not installed" in first_look(loaded, film, face_model).face_note


def test_attributes_are_shown_as_numbers() -> None:
    numbers = np.array([[2.5, 4.25]], np.float32)
    said = Prediction("a", "attributes", ("arousal", "valence"), np.zeros(1), np.ones(1), numbers, np.ones(1))
    page = results(FirstLook("a.wav", said, "", said, np.arange(5) / 5, np.zeros(5)))
    assert "Attribute" in page
    assert ">4.25</td>" in page
    assert 'id="label"' not in page
    assert "valence, windows of 1 s" in page


def test_results_use_the_colours_of_the_report() -> None:
    styles = style_sheet()
    assert "--accent: #14657f" in styles
    assert "prefers-color-scheme: dark" in styles
    assert "{{" not in styles
    assert "https://" not in styles


def test_models_of_synthetic_speech_say_so(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "<model>", describe())
    model = avpretext.load(folder)
    assert "&lt;model&gt;" in web.head(folder, model)
    assert SYNTHETIC not in web.head(folder, model), "it has no card"
    for synthetic in (False, True):
        (folder / "card.json").write_text(json.dumps({"synthetic": synthetic}))
        assert (SYNTHETIC in web.head(folder, model)) == synthetic


def test_the_face_model_of_the_results_is_found(tmp_path: Path) -> None:
    assert web.usual_face_model(tmp_path / "best").as_posix() == "results/models/face_landmarker.task"
    kept = tmp_path / "models" / "face_landmarker.task"
    kept.parent.mkdir()
    kept.touch()
    assert web.usual_face_model(tmp_path / "corpus" / "export" / "acted.speaker_kfold" / "best") == kept
