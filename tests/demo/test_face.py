"""The demo's face: each action unit moves what its muscle moves, and MediaPipe sees a face in every frame."""

from pathlib import Path

import numpy as np
import pytest

from avpretext.demo import mesh
from avpretext.demo.face import HeadMotion, Puppet
from avpretext.demo.muscles import ACTION_UNITS, MOVEMENTS, Layer, displacements
from avpretext.demo.portrait import Face, Portraits, compose, load_portraits
from avpretext.demo.speakers import draw_speaker

SIZE = 256


@pytest.fixture(scope="module")
def portraits(face_model: Path) -> Portraits:
    return load_portraits(face_model)


@pytest.fixture(scope="module")
def face(portraits: Portraits) -> Face:
    return compose(portraits, draw_speaker(0, "0", seed=1).look, SIZE)


@pytest.fixture(scope="module")
def puppet(face: Face) -> Puppet:
    return Puppet(face)


def still(frames: int) -> HeadMotion:
    return HeadMotion(np.zeros((frames, 2), np.float32), np.zeros(frames, np.float32), np.ones(frames, np.float32))


def activity(*frames: dict[str, float]) -> np.ndarray:
    moves = np.zeros((len(frames), len(MOVEMENTS)), np.float32)
    for row, frame in zip(moves, frames, strict=True):
        for name, value in frame.items():
            row[MOVEMENTS.index(name)] = value
    return moves


def shift(face: Face, movement: str, landmark: int, layer: Layer) -> np.ndarray:
    """How far a movement carries a landmark, in eye distances: (outwards on image right, down)."""
    moved = displacements(face, face.points[[landmark]], layer)[MOVEMENTS.index(movement), 0]
    return moved / face.eye_distance


@pytest.mark.parametrize(
    ("movement", "landmark", "layer", "outwards", "down"),
    [
        ("AU01", mesh.INNER_BROWS[1], "upper", 0, -1),
        ("AU02", mesh.OUTER_BROWS[1], "upper", 0, -1),
        ("AU04", mesh.INNER_BROWS[1], "upper", -1, 1),
        ("AU05", 386, "upper", 0, -1),
        ("AU06", mesh.CHEEKS[1], "centre", 1, -1),
        ("AU07", 374, "centre", 0, -1),
        ("AU09", mesh.NOSTRILS[1], "centre", 1, -1),
        ("AU10", 269, "centre", 0, -1),
        ("AU12", mesh.MOUTH_CORNERS[1], "centre", 1, -1),
        ("AU15", mesh.MOUTH_CORNERS[1], "centre", 1, 1),
        ("AU17", mesh.CHIN_BOSS, "lower", 0, -1),
        ("AU20", mesh.MOUTH_CORNERS[1], "centre", 1, 0),
        ("AU23", mesh.MOUTH_CORNERS[1], "centre", -1, 0),
        ("AU24", 17, "lower", 0, -1),
        ("AU25", 14, "lower", 0, 1),
        ("AU26", mesh.CHIN, "lower", 0, 1),
        ("AU43", 386, "upper", 0, 1),
    ],
)
def test_each_unit_moves_its_landmark_the_anatomical_way(
    face: Face, movement: str, landmark: int, layer: Layer, outwards: int, down: int
) -> None:
    moved = shift(face, movement, landmark, layer)
    for value, sign in zip(moved, (outwards, down), strict=True):
        if sign:
            assert sign * value > 0.02
        else:
            assert abs(value) < 0.05


def test_a_pulled_lip_corner_leaves_brows_and_chin_alone(face: Face) -> None:
    corner = np.linalg.norm(shift(face, "AU12", mesh.MOUTH_CORNERS[0], "centre"))
    for landmark in (*mesh.INNER_BROWS, mesh.CHIN):
        assert np.linalg.norm(shift(face, "AU12", landmark, "centre")) < 0.05 * corner


def test_both_sides_move_alike(face: Face) -> None:
    left, right = (shift(face, "AU12", corner, "centre") for corner in mesh.MOUTH_CORNERS)
    np.testing.assert_allclose(left * (-1, 1), right, atol=0.03)


def test_shut_lids_meet(face: Face) -> None:
    for upper, lower in ((159, 145), (386, 374)):
        gap = (face.points[lower] - face.points[upper])[1] / face.eye_distance
        closed = gap + shift(face, "AU43", lower, "centre")[1] - shift(face, "AU43", upper, "upper")[1]
        assert abs(closed) < 0.15 * gap


def test_no_field_folds_the_skin(face: Face) -> None:
    """A displacement that changes by more than 1 pixel per pixel along itself cannot be undone."""
    x, y = np.meshgrid(np.arange(0, SIZE, 4), np.arange(0, SIZE, 4))
    grid = np.column_stack([x.ravel(), y.ravel()]).astype(np.float32)
    layers: tuple[Layer, ...] = ("upper", "centre", "lower")
    for layer in layers:
        fields = displacements(face, grid, layer)[: len(ACTION_UNITS)].reshape(-1, *x.shape, 2)
        assert np.abs(np.diff(fields[..., 1], axis=1)).max() < 4
        assert np.abs(np.diff(fields[..., 0], axis=2)).max() < 4


def test_a_still_face_is_its_portrait(face: Face, puppet: Puppet) -> None:
    frame = puppet.render(activity({}), still(1))[0].astype(int)
    changed = np.abs(frame - face.image).max(axis=-1) > 24
    assert changed.mean() < 0.01


def test_the_open_mouth_is_dark(face: Face, puppet: Puppet) -> None:
    shut, wide = puppet.render(activity({}, {"AU25": 1, "AU26": 1}), still(2)).astype(float)
    x, y = (face.points[14] + (0, 0.22 * face.eye_distance)).round().astype(int)
    assert wide[y, x].mean() < 0.6 * shut[y, x].mean()


def test_the_head_goes_where_it_is_told_and_the_frame_stays(face: Face, puppet: Puppet) -> None:
    moved = still(2)._replace(shift=np.array([[0, 0], [0.1, 0]], np.float32))
    rest, shifted = puppet.render(activity({}, {}), moved).astype(int)
    by = round(0.1 * face.eye_distance)
    box = tuple(slice(int(low), int(high)) for low, high in ((100, 180), (100, 150)))
    there = tuple(slice(part.start, part.stop) if axis == 0 else slice(part.start + by, part.stop + by)
                  for axis, part in enumerate(box))  # fmt: skip
    assert np.abs(shifted[there] - rest[box]).mean() < 0.3 * np.abs(shifted[box] - rest[box]).mean()
    assert np.abs(shifted[:, :3] - rest[:, :3]).mean() < 2


def test_speakers_look_different(portraits: Portraits) -> None:
    faces = [compose(portraits, draw_speaker(number, "", seed=1).look, SIZE).image.astype(int) for number in range(6)]
    differences = [np.abs(a - b).mean() for i, a in enumerate(faces) for b in faces[:i]]
    assert min(differences) > 5


def test_mediapipe_sees_the_face_in_every_frame_and_answers(puppet: Puppet, face_model: Path) -> None:
    import mediapipe
    from mediapipe.tasks import python
    from mediapipe.tasks.python import vision

    shown = [{}, {"AU12": 1}, {"AU26": 1, "AU25": 1}, {"AU02": 1}, {"AU20": 1}, {"AU10": 1}, {"AU01": 1}]
    frames = puppet.render(activity(*shown), still(len(shown)))
    options = vision.FaceLandmarkerOptions(
        base_options=python.BaseOptions(model_asset_path=str(face_model)), output_face_blendshapes=True
    )
    answers = []
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        for frame in frames:
            found = landmarker.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=frame.copy()))
            assert len(found.face_landmarks) == 1
            answers.append({shape.category_name: shape.score for shape in found.face_blendshapes[0]})
    expected = ["mouthSmileLeft", "jawOpen", "browOuterUpLeft", "mouthStretchLeft", "mouthUpperUpLeft", "browInnerUp"]
    for answer, name in zip(answers[1:], expected, strict=True):
        assert answer[name] > answers[0][name] + 0.1, name
