"""A mouth from speech: what cannot be heard is refused in one line, and what is drawn is where it belongs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tests.orofacial.toy import config, first_model, toy

from avpretext.cli import app
from avpretext.errors import UserError
from avpretext.face.points import OROFACIAL_POINTS
from avpretext.orofacial import animate, mouth
from avpretext.orofacial.film import Predicted, named, spread
from avpretext.orofacial.orofacial_model import OrofacialModel, write_model


@pytest.fixture(scope="module")
def model() -> OrofacialModel:
    """A model that hears three columns of openSMILE's, all it needs to be asked."""
    heard = replace(toy(clips=6), channels=["energy", "loudness", "F0final_sma"])
    made: OrofacialModel = first_model("joint", heard, config(epochs=1))[0]
    return made


@pytest.fixture(scope="module")
def folder(model: OrofacialModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the model."""
    made = tmp_path_factory.mktemp("model")
    write_model(model, made)
    return made


def tone(path: Path, seconds: float = 1.0, level: float = 0.3) -> Path:
    time = np.arange(int(16000 * seconds)) / 16000
    soundfile.write(path, level * np.sin(2 * np.pi * 200 * time) * (1 + np.sin(2 * np.pi * 3 * time)) / 2, 16000)
    return path


def test_blendshapes_come_per_video_frame_under_arkits_names(folder: Path, tmp_path: Path) -> None:
    animate.run(folder, tone(tmp_path / "a.wav", 1.2), None, tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0].startswith("frame,time_s,cheekPuff,jawForward,jawLeft,jawOpen,")
    assert len(lines) == 1 + 30
    assert [line.split(",")[1] for line in lines[1:3]] == ["0.0000", "0.0400"]


@pytest.mark.parametrize(
    ("speech", "message"),
    [
        (lambda path: tone(path, level=0.0), "silent: every sample is zero"),
        (lambda path: None, "no such file"),
        (lambda path: path.write_text("no sound at all"), "ffmpeg finds no audio"),
    ],
)
def test_what_is_silent_missing_or_no_sound_is_refused(
    folder: Path, tmp_path: Path, speech: Callable[[Path], object], message: str
) -> None:
    speech(tmp_path / "a.wav")
    with pytest.raises(UserError, match=message):
        animate.run(folder, tmp_path / "a.wav", None, tmp_path / "a.csv")
    assert not (tmp_path / "a.csv").exists()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """The command line, in this process and in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("avpretext.cli.tools.limit_pools", lambda threads: None)
    return lambda *arguments: app([*arguments], standalone_mode=False)


def test_the_command_says_in_one_line_what_is_no_model(command: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no orofacial model; expected a folder with model\.json") as error:
        command("animate", str(tmp_path), str(tone(tmp_path / "a.wav")))
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("*.csv"))


def test_training_says_what_is_not_named_of_a_corpus(command: Callable[..., None]) -> None:
    given = ["--features", "a.speech=f", "--movement", "a=m", "--index", "a=i", "--shape", "b=s", "--output", "o"]
    given += ["--options", "{}"]
    with pytest.raises(UserError, match="--shape: nothing of a, which another option names: name its files too"):
        command("orofacial_system", "joint", *given)


def face(opened: float) -> np.ndarray:
    """A mouth as a box, so much open."""
    rng = np.random.default_rng(0)
    shape = np.column_stack([rng.uniform(-0.4, 0.4, len(OROFACIAL_POINTS)), np.full(len(OROFACIAL_POINTS), 0.7)])
    shape[20:40] = [[x, 0.7 - opened / 2] for x in np.linspace(-0.2, 0.2, 11)] + [
        [x, 0.7 + opened / 2] for x in np.linspace(0.16, -0.16, 9)
    ]
    return shape


def test_an_open_mouth_is_darker_inside_the_wider_it_is() -> None:
    def dark(opened: float) -> int:
        return int((mouth.draw(face(opened), 200).sum(axis=2) < 200).sum())

    assert dark(0.3) > dark(0.15) + 100
    missing = mouth.draw(np.full((len(OROFACIAL_POINTS), 2), np.nan), 200)
    assert missing.shape == (200, 200, 3)


def clip(name: str, r: float) -> Predicted:
    return Predicted("c", name, np.zeros((1, 2)), np.zeros((1, 1, 2)), np.zeros((1, 1, 2)), r)


def test_clips_on_film_are_spread_from_badly_to_well_predicted() -> None:
    clips = [clip(str(number), number / 10) for number in range(11)] + [clip("none", float("nan"))]
    assert [one.clip_id for one in spread(clips, 1)] == ["5"]
    assert [one.clip_id for one in spread(clips, 3)] == ["2", "5", "8"]
    with pytest.raises(UserError, match="'c/12': no test clip of the orofacial models"):
        named(clips, ["c/12"])


def test_plain_sound_is_read_as_ffmpeg_reads_it(
    model: OrofacialModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = animate.listen(tone(tmp_path / "a.wav"), model)
    monkeypatch.setattr(animate, "read_plain", lambda source: None)
    np.testing.assert_array_equal(animate.listen(tmp_path / "a.wav", model), sound)
    whole = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    monkeypatch.undo()
    with pytest.raises(UserError, match="the file ends before"):
        animate.listen(tmp_path / "cut.wav", model)
