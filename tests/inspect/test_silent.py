"""A clip whose sound is not read: its picture, its film and its words."""

from pathlib import Path

import av
import pytest
from PIL import Image

from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.errors import UserError
from avpretext.evaluation.open_run import OpenRun
from avpretext.evaluation.opened import OpenedClip
from avpretext.inspect import show
from avpretext.inspect.clip_pictures import pictures_of
from avpretext.inspect.find import locate
from avpretext.media.encode import write_mp4
from avpretext.report.clip_panels import panels_of
from tests.inspect.conftest import FRAMES, HEIGHT, SOURCE_FPS, WIDTH, make, numbered


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The run of a corpus of one film without sound."""
    folder = tmp_path_factory.mktemp("silent")
    (folder / "media").mkdir()
    write_mp4(folder / "media/film.mp4", numbered(), (WIDTH, HEIGHT), SOURCE_FPS, None, 16_000)
    mute = {"path": str(folder / "media"), "use": ["pretrain"], "audio": False}
    config = parse({"results": str(folder / "results"), "corpora": {"mute": mute}})
    make(config, "mute")
    return config


def test_picture_and_words_are_of_the_face_alone(silent: Config, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    show.run(silent, "film", None, tmp_path / "film.png", False, 480)
    said = capsys.readouterr().out
    assert "sound not read (audio: false)" in said
    assert "energy" not in said
    assert "landmarks   in 75 of 75 frames" in said
    assert Image.open(tmp_path / "film.png").size[0] > 1000
    clip = locate(silent, "film", None)
    titles = [panel.title for panel in panels_of(clip, 3)]
    assert [title.partition(",")[0] for title in titles] == [
        "Face speed", "Activation labels of the chunks", "Action units",
    ]  # fmt: skip


def test_the_film_is_silent_and_shows_the_video_decoded_again(silent: Config, tmp_path: Path) -> None:
    assert pictures_of(locate(silent, "film", None)).source == "video"
    show.run(silent, "film", None, tmp_path / "film.mp4", False, 480)
    with av.open(str(tmp_path / "film.mp4")) as film:
        assert not film.streams.audio
        assert sum(1 for _ in film.decode(video=0)) == round(FRAMES * 25 / SOURCE_FPS)


def test_a_clip_without_a_face_is_shown_too(silent: Config, tmp_path: Path) -> None:
    run = OpenRun(silent)
    Path(run.layout.path("landmarks", corpus="mute", shard=0)).rename(tmp_path / "landmarks")
    for name in ("motion", "action_units"):
        Path(run.layout.path(name, corpus="mute", shard=0)).rename(tmp_path / name)
    for task in ("activation", "emotion"):
        Path(run.layout.path(f"labels_{task}", corpus="mute")).rename(tmp_path / task)
    show.run(silent, "film", None, tmp_path / "film.png", False, 480)
    assert (tmp_path / "film.png").is_file()


def test_its_sound_is_asked_for_in_vain(silent: Config) -> None:
    with pytest.raises(UserError, match="mute/film: no audio; its corpus has audio: false"):
        OpenedClip(OpenRun(silent), "mute", "film").audio()
