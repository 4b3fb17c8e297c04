from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avpretext import shards
from avpretext.action_units.expressions import DIRECTIONS, strength
from avpretext.config import LandmarkOptions
from avpretext.face import landmarks
from avpretext.face import preview as previews
from avpretext.face.points import dlib_points
from avpretext.face.thumbnails import PIXELS
from avpretext.face.tracker import FaceTracker
from avpretext.flow.artefacts import schema_of

FPS = 25.0


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    """A face that drifts to the side, as RGB."""
    from skimage import data

    return [np.ascontiguousarray(data.astronaut()[0:200, 100 + 4 * k : 300 + 4 * k]) for k in range(7)]


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1])


def frames_shard(path: Path, clips: dict[str, list[bytes]], row_group: int = 3) -> Path:
    with shards.ShardWriter(path, schema_of("split.frames"), {}, compression="none", row_group=row_group) as writer:
        writer.write(
            [
                {"clip_id": clip_id, "frame": k, "time_s": k / FPS, "image": {"bytes": content, "path": None}}
                for clip_id in sorted(clips)
                for k, content in enumerate(clips[clip_id])
            ]
        )
    return path


class Results:
    """Runs the stage and holds what it wrote."""

    def __init__(self, folder: Path, frames: Path, model: Path, options: LandmarkOptions) -> None:
        folder.mkdir(exist_ok=True)
        names = ("landmarks.parquet", "rejects.parquet", "preview.parquet", "thumbnails.parquet")
        *paths, small = (folder / name for name in names)
        landmarks.run(frames, model, options, landmarks.Artefacts(*paths, small, strength))
        self.landmarks, self.rejects, self.preview, self.thumbnails = (shards.read(path) for path in (*paths, small))
        self.bytes = paths[0].read_bytes() + small.read_bytes()


def test_a_shard_holds_what_mediapipe_sees_in_the_stored_frames(
    tmp_path: Path, face_model: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    stored = [jpeg(picture) for picture in pictures]
    frames = frames_shard(tmp_path / "frames.parquet", {"a": stored, "b": stored[::-1]})
    found = Results(tmp_path / "out", frames, face_model, LandmarkOptions())
    assert found.landmarks["clip_id"].to_list() == ["a"] * 7 + ["b"] * 7
    assert found.landmarks["frame"].to_list() == [*range(7)] * 2
    assert found.landmarks["detected"].all()
    assert set(found.landmarks["faces"]) == {1}
    assert found.landmarks["width"].unique().to_list() == [200]
    assert found.rejects.is_empty()
    expected = []
    for clip in (stored, stored[::-1]):
        with FaceTracker(face_model, 2, 0.5) as tracker:
            for k, content in enumerate(clip):
                picture = landmarks.decode(content)
                assert picture is not None
                face = tracker.track(picture, k / FPS)
                assert face is not None
                expected.append(face.landmarks.ravel())
    np.testing.assert_array_equal(np.stack(found.landmarks["landmarks"].to_list()), np.stack(expected))


def test_the_68_points_are_those_of_the_478_and_all_else_is_the_same(
    tmp_path: Path, face_model: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    frames = frames_shard(tmp_path / "frames.parquet", {"a": [jpeg(picture) for picture in pictures[:3]]})
    full = Results(tmp_path / "full", frames, face_model, LandmarkOptions(points="all")).landmarks
    few = Results(tmp_path / "few", frames, face_model, LandmarkOptions(points="dlib68")).landmarks
    points = np.stack(full["landmarks"].to_list()).reshape(3, 478, 3)
    np.testing.assert_array_equal(np.stack(few["landmarks"].to_list()), dlib_points(points).reshape(3, -1))
    assert few.drop("landmarks").equals(full.drop("landmarks"))


def test_the_same_frames_give_the_same_bytes(
    tmp_path: Path, face_model: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    frames = frames_shard(tmp_path / "frames.parquet", {"a": [jpeg(picture) for picture in pictures]})
    first, second = (Results(tmp_path / name, frames, face_model, LandmarkOptions()) for name in ("one", "two"))
    assert first.bytes == second.bytes


def test_clips_without_a_face_are_refused_and_gaps_are_null(
    tmp_path: Path, face_model: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    blank = jpeg(np.full((200, 200, 3), 80, dtype=np.uint8))
    face = jpeg(pictures[0])
    clips = {
        "blank 😀": [blank] * 6,
        "damaged": [b"no jpeg", b""],
        "mostly blank": [face] + [blank] * 5,
        "partly": [blank, blank, blank, face, face, face],
    }
    frames = frames_shard(tmp_path / "frames.parquet", clips)
    found = Results(tmp_path / "out", frames, face_model, LandmarkOptions(min_face_fraction=0.3))
    refused = {row["clip_id"]: row["detail"] for row in found.rejects.to_dicts()}
    assert list(refused) == ["blank 😀", "damaged", "mostly blank"]
    assert refused["mostly blank"].startswith("a face in 1 of 6 frames")
    assert set(found.rejects["reason"]) == {"no_face"}
    assert found.landmarks["clip_id"].unique().to_list() == ["partly"]
    assert found.landmarks["detected"].to_list() == [False] * 3 + [True] * 3
    for column in ("landmarks", "blendshapes", "pitch_deg"):
        assert found.landmarks[column].is_null().to_list() == [True] * 3 + [False] * 3, column
    assert set(found.preview["clip_id"]) == {"partly"}


def test_a_few_frames_are_kept_for_people_to_look_at(
    tmp_path: Path, face_model: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    stored = [jpeg(picture) for picture in pictures]
    frames = frames_shard(tmp_path / "frames.parquet", {f"clip{k:02d}": stored for k in range(10)})
    preview = Results(tmp_path / "out", frames, face_model, LandmarkOptions()).preview
    assert preview["clip_id"].n_unique() == previews.CLIPS
    assert preview.filter(preview["clip_id"] == "clip00")["frame"].to_list() == [0, 1, 2, 4, 5, 6]
    shown, kept = landmarks.decode(preview["image"][0]["bytes"]), landmarks.decode(stored[0])
    assert shown is not None
    assert kept is not None
    assert np.abs(shown.astype(int) - kept).mean() < 3


def test_a_few_small_pictures_of_every_accepted_face_are_kept(
    tmp_path: Path, face_model: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    clips = {"blank": [jpeg(np.full((200, 200, 3), 80, dtype=np.uint8))] * 3}
    clips |= {f"clip{k:02d}": [jpeg(picture) for picture in pictures] for k in range(3)}
    found = Results(tmp_path / "out", frames_shard(tmp_path / "frames.parquet", clips), face_model, LandmarkOptions())
    kept = found.thumbnails
    assert kept["clip_id"].unique(maintain_order=True).to_list() == ["clip00", "clip01", "clip02"]
    assert kept["clip_id"].value_counts()["count"].max() <= len(DIRECTIONS)
    assert kept["time_s"].to_list() == [frame / FPS for frame in kept["frame"]]
    picture = landmarks.decode(kept["image"][0]["bytes"])
    assert picture is not None
    assert picture.shape == (PIXELS, PIXELS, 3)


def test_of_a_long_clip_the_frames_kept_are_still_spread_over_all_of_it() -> None:
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    for length in (1, 5, 6, 7, 13, 100, 999):
        preview = previews.Preview()
        for frame in range(length):
            preview.offer(frame, frame / FPS, picture)
            assert len(preview._held) <= 2 * previews.FRAMES
        kept = [row["frame"] for row in preview.rows("a")]
        assert len(kept) == min(length, previews.FRAMES)
        assert kept[0] == 0
        assert kept[-1] >= length * 0.8 - 1
        assert max(np.diff(kept), default=0) <= 2 * length / previews.FRAMES + 1


def test_without_a_place_to_go_no_small_pictures_are_kept(
    tmp_path: Path, face_model: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    frames = frames_shard(tmp_path / "frames.parquet", {"a": [jpeg(pictures[0])]})
    paths = [tmp_path / name for name in ("landmarks", "rejects", "preview")]
    landmarks.run(frames, face_model, LandmarkOptions(), landmarks.Artefacts(*paths))
    assert {path.name for path in tmp_path.iterdir()} == {"frames.parquet", "landmarks", "rejects", "preview"}


def test_an_empty_shard_gives_empty_artefacts(tmp_path: Path, face_model: Path) -> None:
    frames = frames_shard(tmp_path / "frames.parquet", {})
    found = Results(tmp_path / "out", frames, face_model, LandmarkOptions())
    assert found.landmarks.is_empty()
    assert found.rejects.is_empty()
    assert found.preview.is_empty()
    assert found.thumbnails.is_empty()
