"""The mp4: its frame k is frame k of the grid, with landmarks k and the cursor at k / fps; picture and sound agree."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import Config, MediaOptions
from avpretext.flow.paths import Layout
from avpretext.inspect import movie, show
from avpretext.inspect.canvas import TimeAxis
from avpretext.inspect.clip_pictures import pictures_of
from avpretext.inspect.find import locate
from avpretext.inspect.overlay import LINE, View, placed
from avpretext.media import ffmpeg
from avpretext.media.decode import Decoded, decode
from tests.inspect.conftest import BITS, centre

Frames = NDArray[np.uint8]
LOSSLESS = MediaOptions(height=720, jpeg_quality=2)


def frames_of(path: Path, tmp_path: Path) -> tuple[list[Frames], NDArray[np.int16]]:
    """Return the frames and the sound of a film."""
    found = decode(path, ffmpeg.program("bundled"), LOSSLESS, True, tmp_path)
    assert isinstance(found, Decoded)
    images = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB) for jpeg in found.images()]
    return images, soundfile.read(io.BytesIO(found.flac), dtype="int16")[0]


def number_in(image: Frames, view: View) -> int:
    """Read the number that a frame of the source bears, from where the film shows it."""
    squares = placed(np.array([[20 * bit + 10, 110, 0] for bit in range(BITS)]), view).round().astype(int)
    lit = [image[movie.HEAD + y, movie.MARGIN + x].mean() > 128 for x, y in squares]
    return sum(1 << bit for bit, on in enumerate(lit) if on)


def drawn_at(image: Frames, view: View) -> NDArray[np.float64]:
    """Return the middle of what is drawn in the colour of the landmarks, in pixels of the film."""
    part = image[movie.HEAD : movie.HEAD + view.size[1], movie.MARGIN : movie.MARGIN + view.size[0]].astype(int)
    near = np.abs(part - LINE).sum(axis=2) < 150
    y, x = np.nonzero(near)
    return np.array([(x.min() + x.max()) / 2, (y.min() + y.max()) / 2])


def cursor_at(image: Frames, still: Frames, axis: TimeAxis) -> float:
    """Return the middle of what differs from the still background beside the picture, weighed by how much."""
    top, bottom, left = round(axis.top), round(axis.bottom), round(axis.left) - 10
    changed = np.abs(image[top:bottom, left:].astype(float) - still[top:bottom, left:]).sum(axis=(0, 2))
    changed[changed < changed.max() / 4] = 0
    return float(left + (changed * np.arange(len(changed))).sum() / changed.sum())


@pytest.mark.parametrize(
    ("fixture", "corpus", "first", "frames"),
    [
        ("run", "films", 0.0, 75),
        ("run", "cuts", 0.5, 25),
        # sound is found from .97 s to 2.02 s, by windows of 32 ms; with .1 s before and after, .84 to 2.16 s
        ("trimmed", "films", 0.84, 33),
    ],
)
def test_every_frame_shows_its_own_picture_landmarks_and_time(
    request: pytest.FixtureRequest, tmp_path: Path, fixture: str, corpus: str, first: float, frames: int
) -> None:
    run: Config = request.getfixturevalue(fixture)
    clip = locate(run, first_clip(run, corpus), corpus)
    pictures = pictures_of(clip)
    assert pictures.source == "video"
    still, axis, view = movie.background(clip, pictures, True, 480)
    assert view is not None
    movie.write(tmp_path / "film.mp4", clip, pictures, True, 480)
    images, sound = frames_of(tmp_path / "film.mp4", tmp_path)
    assert len(images) == clip.frames == frames
    assert images[0].shape == (480, 1280, 3)
    for frame, image in enumerate(images):
        # slot k of the grid holds the source's frame nearest to k / 25; halves may go either way
        assert abs(number_in(image, view) - 30 * (first + frame / 25)) <= 0.5 + 1e-6
        expected = placed(np.array([[*centre(frame), 0.0]]), view)[0]
        np.testing.assert_allclose(drawn_at(image, view), expected, atol=1.3)
        assert cursor_at(image, still, axis) == pytest.approx(axis.at(frame / 25), abs=1.5)
    heard = np.correlate(sound.astype(float), clip.sound.astype(float)[800:-800], "valid")
    assert abs(int(heard.argmax()) - 800) <= 16  # within a millisecond


def first_clip(run: Config, corpus: str) -> str:
    return str(shards.read(Layout(run.results).path("index", corpus=corpus, shard=0)).sort("start_s")["clip_id"][0])


def test_the_same_clip_gives_the_same_bytes(run: Config, tmp_path: Path) -> None:
    for kind in ("mp4", "png"):
        files = [tmp_path / f"{take}.{kind}" for take in "ab"]
        for file in files:
            show.run(run, first_clip(run, "cuts"), "cuts", file, whole=False, height=480)
        assert files[0].read_bytes() == files[1].read_bytes()


def test_of_sound_alone_the_signals_are_shown(run: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show.run(run, "ann/film", "sounds", tmp_path / "sound.mp4", whole=False, height=720)
    assert "none: the corpus is audio only" in capsys.readouterr().out
    images, _ = frames_of(tmp_path / "sound.mp4", tmp_path)
    clip = locate(run, "ann/film", "sounds")
    still, axis, view = movie.background(clip, pictures_of(clip), False, 720)
    assert view is None
    assert len(images) == 75
    assert cursor_at(images[50], still, axis) == pytest.approx(axis.at(2.0), abs=1.5)
    assert show.run(run, "ann/film", "sounds", tmp_path / "sound.png", whole=False, height=720).stat().st_size > 5000
