"""Faces that the detector misses in the whole frame, pasted where the truth is known."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avpretext.config import LandmarkOptions
from avpretext.face.landmarker import Landmarker, Seen
from avpretext.face.landmarks import Artefacts, ClipSeen, LandmarkWriter, faces_missed
from avpretext.face.small_faces import (
    HOLD_S,
    TILES_PER_FRAME,
    larger_frames_help,
    smallest_face,
    tile_around,
    tile_levels,
)
from avpretext.face.tracker import Face, FaceTracker
from avpretext.flow.artefacts import landmarks_schema

Picture = NDArray[np.uint8]

SIZE = (480, 854)
FACE_SHARE = 0.4
"""Height of the face in the portrait, of the portrait's."""


@pytest.fixture(scope="module")
def portrait() -> Picture:
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[0:240, 100:340])


@pytest.fixture(scope="module")
def truth(face_model: Path, portrait: Picture) -> NDArray[np.float32]:
    """Landmarks of the portrait, of three times as many pixels, in its own pixels."""
    with FaceTracker(face_model, 1, 0.5) as tracker:
        face = tracker.track(cv2.resize(portrait, (720, 720), interpolation=cv2.INTER_CUBIC), 0.0)
    assert face is not None
    return face.landmarks / 3


def frame(*pasted: tuple[Picture, int, int, int], size: tuple[int, int] = SIZE) -> Picture:
    """A photograph without faces, with pictures pasted into it: (picture, left, top, pixels of its side)."""
    from skimage import data

    photograph = data.stereo_motorcycle()[0]
    scene = np.array(cv2.resize(photograph, size[::-1], interpolation=cv2.INTER_AREA), dtype=np.uint8)
    for picture, left, top, side in pasted:
        scene[top : top + side, left : left + side] = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return scene


def tracked(model: Path, frames: list[Picture], tiles: bool = True, max_faces: int = 2) -> list[Face | None]:
    with FaceTracker(model, max_faces, 0.5, tiles=tiles) as tracker:
        return [tracker.track(image, number / 25) for number, image in enumerate(frames)]


def centre(face: Face | None) -> tuple[float, float]:
    assert face is not None
    x, y = face.landmarks[:, :2].mean(axis=0)
    return float(x), float(y)


@pytest.mark.parametrize(("left", "top"), [(380, 200), (0, 0), (754, 380), (37, 300)])
@pytest.mark.parametrize(("side", "allowed"), [(100, 0.06), (200, 0.03)])
def test_points_are_those_of_the_enlarged_crop(
    face_model: Path, portrait: Picture, truth: NDArray[np.float32], left: int, top: int, side: int, allowed: float
) -> None:
    """Mean distance in distances of the outer eye corners: faces 40 and 80 pixels high, at borders too."""
    left, top = min(left, SIZE[1] - side), min(top, SIZE[0] - side)
    image = frame((portrait, left, top, side))
    assert tracked(face_model, [image], tiles=False) == [None]
    (face,) = tracked(face_model, [image])
    assert face is not None
    expected = truth * side / 240 + [left, top, 0]
    eyes = np.linalg.norm(expected[33] - expected[263])
    errors = np.linalg.norm((face.landmarks - expected)[:, :2], axis=1)
    assert errors.mean() < allowed * eyes
    assert np.abs(face.landmarks[:, 2] - expected[:, 2]).mean() < 2 * allowed * eyes, "depth has the scale of x"


def test_frames_in_which_the_whole_shows_a_face_are_the_same_bytes(face_model: Path, portrait: Picture) -> None:
    frames = [np.roll(portrait, shift, axis=1) for shift in (0, 4, 8)]
    for max_faces in (1, 2):
        without, with_tiles = (tracked(face_model, frames, tiles, max_faces) for tiles in (False, True))
        for one, other in zip(without, with_tiles, strict=True):
            assert one is not None
            assert other is not None
            assert one.landmarks.tobytes() == other.landmarks.tobytes()
            assert one.blendshapes.tobytes() == other.blendshapes.tobytes()
            assert one.faces == other.faces


def test_a_face_that_walks_through_the_frame_is_found_in_each_and_moves_as_it_does(
    face_model: Path, portrait: Picture
) -> None:
    frames = [frame((portrait, 20 + 9 * step, 100 + 2 * step, 120)) for step in range(40)]
    places = np.array([centre(face) for face in tracked(face_model, frames)])
    assert np.diff(places[:, 0]) == pytest.approx(9, abs=1.5)
    assert places[-1] - places[0] == pytest.approx([9 * 39, 2 * 39], abs=2)


def test_of_several_small_faces_the_largest_is_followed_and_they_are_counted(
    face_model: Path, portrait: Picture
) -> None:
    image = frame((portrait, 100, 100, 110), (portrait, 600, 250, 140))
    for max_faces in (1, 2):
        for face in tracked(face_model, [image] * 3, max_faces=max_faces):
            assert centre(face)[0] > 600
            assert face is not None
            assert face.faces <= max_faces


def test_another_person_takes_over_only_when_the_one_followed_has_been_gone_for_a_while(
    face_model: Path, portrait: Picture
) -> None:
    both = frame((portrait, 100, 100, 140), (portrait, 600, 250, 120))
    other = frame((portrait, 600, 250, 120))
    gone = round(HOLD_S * 25)
    faces = tracked(face_model, [both] * 2 + [other] * (gone + 10))
    assert centre(faces[1])[0] < 300
    assert faces[2:gone] == [None] * (gone - 2)
    assert centre(faces[-1])[0] > 600


def test_a_clearly_larger_face_beside_takes_over(face_model: Path, portrait: Picture) -> None:
    small, larger = (portrait, 100, 100, 100), (portrait, 600, 200, 200)
    faces = tracked(face_model, [frame(small)] * 2 + [frame(small, larger)] * 25)
    assert centre(faces[1])[0] < 300
    assert centre(faces[-1])[0] > 600


def test_frames_without_a_face_cost_few_tiles(face_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []
    see = Landmarker.see

    def count(self: Landmarker, image: Picture, time_ms: int = 0) -> list[Seen]:
        looked_at.append(image.shape)
        return see(self, image, time_ms)

    monkeypatch.setattr(Landmarker, "see", count)
    assert tracked(face_model, [frame()] * 30) == [None] * 30
    assert len(looked_at) - 30 <= 30 * TILES_PER_FRAME + sum(map(len, tile_levels(*SIZE)))


@pytest.mark.parametrize("size", [(8, 8), (64, 64), (480, 270), (480, 9), (60, 2000), (480, 4000)])
def test_frames_of_any_shape(face_model: Path, size: tuple[int, int]) -> None:
    assert tracked(face_model, [np.full((*size, 3), 90, np.uint8)] * 2) == [None, None]
    for tiles in tile_levels(*size):
        seen = np.zeros(size, bool)
        for left, top, width, height in tiles:
            assert 0 <= left <= size[1] - width
            assert 0 <= top <= size[0] - height
            seen[top : top + height, left : left + width] = True
        assert seen.all()


def test_portrait_format(face_model: Path, portrait: Picture) -> None:
    image = frame((portrait, 150, 300, 120), size=(480, 270))
    (face,) = tracked(face_model, [image])
    x, y = centre(face)
    assert 150 < x < 270
    assert 300 < y < 420


def test_threads_do_not_matter(face_model: Path, portrait: Picture, tmp_path: Path) -> None:
    clips = {
        f"clip {number}": [
            (k, k / 25, frame((portrait, 100 + 150 * number + 5 * k, 120, 110 + 10 * number))) for k in range(4)
        ]
        for number in range(3)
    }

    def rows(workers: int, threads: int) -> bytes:
        place = tmp_path / f"{workers} {threads}"
        files = Artefacts(place / "landmarks.parquet", place / "rejects.parquet", place / "preview.parquet")
        place.mkdir()
        with (
            LandmarkWriter(face_model, LandmarkOptions(), files, [], threads) as writer,
            ThreadPoolExecutor(workers) as pool,
        ):
            for seen in pool.map(writer.look, clips, clips.values()):
                assert seen.detected == 4
                writer.keep(seen)
        return files.landmarks.read_bytes()

    assert rows(1, 1) == rows(3, 2)


@pytest.mark.parametrize("box", [(0, 0, 20, 30), (800, 440, 854, 480), (300, 100, 500, 400), (-10, 200, 60, 300)])
def test_the_tile_around_a_face_holds_it_and_is_clearly_smaller_than_the_frame(box: tuple[int, ...]) -> None:
    tile = tile_around(np.array(box, np.float32), *SIZE)
    assert tile is not None
    assert 1.25 * max(tile.width, tile.height) <= SIZE[1]
    assert tile.left <= max(box[0], 0) < box[2] <= tile.left + tile.width <= SIZE[1]
    assert tile.top <= max(box[1], 0) < box[3] <= tile.top + tile.height <= SIZE[0]


def test_a_face_that_fills_the_frame_has_no_tile() -> None:
    assert tile_around(np.array([20, 20, 200, 230], np.float32), 256, 256) is None


def test_a_picture_may_be_a_part_of_another(face_model: Path, portrait: Picture) -> None:
    wide = np.hstack([portrait, portrait])
    whole, part = tracked(face_model, [portrait]), tracked(face_model, [wide[:, :240]])
    assert whole[0] is not None
    assert part[0] is not None
    assert part[0].landmarks.tobytes() == whole[0].landmarks.tobytes()


def missed(size: tuple[int, int] | None, **options: float) -> str:
    seen = ClipSeen("clip", 478, landmarks_schema(478), Path(), size=size, frames=50)
    return faces_missed(seen, LandmarkOptions(**options))


def test_a_refusal_names_the_height_that_was_looked_for_and_the_option_that_finds_more() -> None:
    assert missed(SIZE) == (
        "a face in 0 of 50 frames; landmarks.min_face_fraction = 0.3;"
        " in 854x480 a face must be about 38 pixels high (8%); for smaller ones crop the video"
    )
    assert "about 120 pixels high (25%)" in missed(SIZE, tiles=False)
    assert "about 38 pixels high (8%, at landmarks.min_confidence = 0.5)" in missed(SIZE, min_confidence=0.3)
    assert missed(SIZE, tiles=False).endswith("landmarks.tiles: true finds faces from 38 pixels (8%)")
    assert missed((360, 480)).endswith("a larger split.height finds smaller ones if the video is taller")
    assert missed(None) == "a face in 0 of 50 frames; landmarks.min_face_fraction = 0.3"


def test_more_pixels_help_tiles_in_small_frames_alone() -> None:
    assert [larger_frames_help(*size) for size in ((64, 64), (360, 640), (480, 854), (1080, 1920))] == [
        True, True, False, False,
    ]  # fmt: skip
    for height in (480, 720, 1080):
        assert smallest_face(height, height * 16 // 9, tiles=True) == pytest.approx(0.08 * height, abs=1)
        assert smallest_face(height, height * 16 // 9, tiles=False) == pytest.approx(0.249 * height, abs=1)
