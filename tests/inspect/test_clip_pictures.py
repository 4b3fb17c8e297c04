"""Where pictures come from when frames are gone, and what is said where there are none."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from avpretext import shards
from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.face.thumbnails import jpeg
from avpretext.flow.artefacts import schema_of
from avpretext.flow.paths import Layout
from avpretext.inspect import show
from avpretext.inspect.clip_pictures import BLANK, pictures_of
from avpretext.inspect.find import locate
from avpretext.inspect.overlay import View, drawn, placed, view_of
from avpretext.inspect.strip import chosen
from tests.inspect.conftest import HEIGHT, WIDTH


@pytest.fixture
def moved(run: Config, tmp_path: Path) -> Config:
    """The same run, its corpus and results in a folder of their own."""
    shutil.copytree(run.corpora["films"].path, tmp_path / "media")
    shutil.copytree(run.results, tmp_path / "results")
    films = run.corpora["films"].model_copy(update={"path": str(tmp_path / "media")})
    return run.model_copy(update={"results": str(tmp_path / "results"), "corpora": {"films": films}})


def test_kept_frames_are_taken_before_the_video(moved: Config) -> None:
    clip = locate(moved.model_copy(update={"split": moved.split.model_copy(update={"keep_frames": True})}), "ann/film")
    rows = [
        {"clip_id": "ann/film", "frame": k, "time_s": k / 25,
         "image": {"bytes": jpeg(np.full((HEIGHT, WIDTH, 3), 3 * k, np.uint8)), "path": None}}
        for k in range(clip.frames)
    ]  # fmt: skip
    shards.write_table(
        Layout(moved.results).path("split.frames", corpus="films", shard=0), rows, schema_of("split.frames"), {}
    )
    pictures = pictures_of(clip)
    assert pictures.source == "frames"
    means = [float(picture.mean()) for _, picture in pictures.every(clip) if picture is not None]
    np.testing.assert_allclose(means, 3 * np.arange(clip.frames), atol=2)


def test_another_film_under_the_same_name_is_not_shown_under_these_landmarks(moved: Config) -> None:
    file = Path(moved.corpora["films"].path) / "ann/film.mp4"
    clip = locate(moved, "ann/film")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    pictures = pictures_of(clip)
    assert pictures.source == "thumbnails"
    assert "landmarks alone: " in pictures.note


def test_without_the_video_thumbnails_lie_where_they_were_cut_out(moved: Config) -> None:
    shutil.rmtree(moved.corpora["films"].path)
    red = {"bytes": jpeg(np.full((112, 112, 3), (250, 0, 0), np.uint8)), "path": None}
    rows = [{"clip_id": "ann/film", "frame": frame, "time_s": frame / 25, "image": red} for frame in (10, 40)]
    shards.write_table(
        Layout(moved.results).path("landmarks.thumbnails", corpus="films", shard=0),
        rows,
        schema_of("landmarks.thumbnails"),
        {},
    )
    clip = locate(moved, "ann/film")
    pictures = pictures_of(clip)
    assert pictures.note.startswith("thumbnails of some frames, landmarks of all: ")
    assert pictures.note.endswith("film.mp4 is not there")
    assert chosen(clip, pictures) == [10, 40]
    seen = dict(pictures.every(clip))
    assert (seen[9] == BLANK).all()
    assert clip.points is not None
    y, x = np.nonzero(seen[40][..., 0] > 240)
    middle = (clip.points[40, :, :2].min(axis=0) + clip.points[40, :, :2].max(axis=0)) / 2
    np.testing.assert_allclose([(x.min() + x.max() + 1) / 2, (y.min() + y.max() + 1) / 2], middle, atol=1)


def test_without_video_the_png_and_the_mp4_are_still_made(moved: Config, tmp_path: Path) -> None:
    shutil.rmtree(moved.corpora["films"].path)
    for name in ("one.png", "one.mp4"):
        assert show.run(moved, "ann/film", None, tmp_path / name, whole=False, height=480).stat().st_size > 10_000


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ann/empty", "ann/empty: refused by index, empty_file: the file has no bytes. There is nothing to show"),
        ("ann/words", "ann/words: refused by split, not_media: ffmpeg finds no audio or video in the file"),
    ],
)
def test_a_refused_file_says_stage_and_reason(run: Config, tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        show.run(run, name, "films", tmp_path / "x.png", whole=False, height=480)


def test_a_clip_that_a_later_stage_refused_is_shown_with_the_reason(
    moved: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = Layout(moved.results)
    Path(layout.path("landmarks", corpus="films", shard=0)).unlink()
    lost = {
        "clip_id": "ann/film",
        "path": "ann/film.mp4",
        "stage": "landmarks",
        "reason": "no_face",
        "detail": "0 of 75",
    }
    shards.write_table(layout.path("rejects", corpus="films"), [lost], schema_of("rejects"), {})
    show.run(moved, "ann/film", None, tmp_path / "x.png", whole=False, height=480)
    said = capsys.readouterr().out
    assert "refused by landmarks, no_face: no face is found in enough of the frames (0 of 75)" in said
    assert "the video itself" in said


def test_an_output_of_another_kind_is_refused(run: Config, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x.gif: expected a file that ends in .png or .mp4"):
        show.run(run, "ann/film", "films", tmp_path / "x.gif", whole=False, height=480)


def test_a_view_is_cut_to_where_the_face_goes_and_stays_within_the_picture() -> None:
    points = np.full((2, 68, 3), np.nan)
    points[0] = np.linspace([100.0, 50, 0], [140, 90, 0], 68)
    points[1] = points[0] - [95, 0, 0]
    view = view_of((200, 100), points, (400, 400), whole=False)
    room = 0.35 * 135
    assert (view.left, view.width) == (0, 188)  # 140 + 47.25, rounded up
    assert (view.top, view.height) == (int(50 - room), 100 - int(50 - room))
    assert view.size == (400, round(view.height * 400 / 188))
    assert view_of((200, 100), points, (400, 400), whole=True) == View(0, 0, 200, 100, 2.0)


def test_a_point_is_drawn_where_it_lies_in_the_enlarged_picture() -> None:
    picture = np.zeros((50, 50, 3), np.uint8)
    picture[20, 30] = 255  # its middle is (30.5, 20.5), counted from the edges
    view = View(10, 10, 40, 40, 4.0)
    shown = drawn(picture, None, view)
    weights = shown[..., 0].astype(float)
    middle = [(weights * axis).sum() / weights.sum() for axis in np.meshgrid(np.arange(160), np.arange(160))]
    np.testing.assert_allclose(placed(np.array([[30.5, 20.5, 0]]), view)[0], middle, atol=0.05)
