import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from tests.action_units.test_neutral import corpus as corpus  # the fixture
from tests.face.faces import posed, resting_head, rotation

from avpretext import shards
from avpretext.action_units import backends, from_landmarks, neutral
from avpretext.action_units.formulas import FORMULAS, intensities
from avpretext.action_units.measures import GEOMETRY, MEASURES, TURNED, TYPICAL_REST, as_seen, measure, pose_effect
from avpretext.config import ActionUnitOptions
from avpretext.errors import UserError
from avpretext.face import geometry
from avpretext.face.blendshapes import BLENDSHAPES
from avpretext.flow.artefacts import landmarks_schema, schema_of
from avpretext.flow.columns import ACTION_UNITS

REST = neutral.RestingFace(TYPICAL_REST, 1)


def moved(**by: float) -> NDArray[np.float64]:
    values = TYPICAL_REST.copy()
    for name, amount in by.items():
        values[MEASURES.index(name)] += amount
    return values[None]


def unit(values: NDArray[np.float64], name: str) -> float:
    return float(intensities(values, REST)[0, ACTION_UNITS.index(name)])


def test_there_is_a_formula_for_each_action_unit_with_weights_that_sum_to_one() -> None:
    assert tuple(FORMULAS) == ACTION_UNITS
    for name, formula in FORMULAS.items():
        assert sum(weight for weight, _ in formula.evidence.values() if weight > 0) == pytest.approx(1), name
        assert set(formula.evidence) <= set(MEASURES), name
        assert formula.weakness, name


def test_the_resting_face_shows_nothing_and_full_movement_all() -> None:
    assert intensities(moved(), REST).max() == 0
    for name, formula in FORMULAS.items():
        full = {key: scale for key, (weight, scale) in formula.evidence.items() if weight > 0}
        assert unit(moved(**full), name) == pytest.approx(1), name


def test_a_persons_own_rest_is_zero() -> None:
    rest = neutral.RestingFace(moved(mouthSmile=0.4, corner_drop=-0.03)[0], 1)
    assert intensities(moved(mouthSmile=0.4, corner_drop=-0.03), rest).max() == 0
    assert intensities(moved(mouthSmile=0.9, corner_drop=-0.1), rest)[0, ACTION_UNITS.index("AU12")] > 0.4


def test_a_frown_alone_wrinkles_no_nose() -> None:
    frown = moved(browDown=0.5, inner_brow=-0.05, outer_brow=-0.04)
    assert unit(frown, "AU04") == pytest.approx(1)
    assert unit(frown, "AU09") < 0.1


def test_a_broad_smile_wrinkles_the_nose_less_than_disgust_with_the_same_lip_and_wings() -> None:
    disgust = unit(moved(nose_wings=-0.02, upper_lip=-0.04), "AU09")
    assert disgust == pytest.approx(0.55 * 0.5 + 0.35 * 0.8)
    assert unit(moved(nose_wings=-0.02, upper_lip=-0.04, mouthSmile=0.8), "AU09") == pytest.approx(disgust - 0.4)


def test_gaps_stay_gaps() -> None:
    assert np.isnan(intensities(np.full((1, len(MEASURES)), np.nan), REST)).all()


def test_distances_do_not_depend_on_where_the_head_is() -> None:
    poses = [((0, 0, 0), 1.0, (200, 200)), ((8, 25, -10), 1.0, (90, 300)), ((0, 0, 90), 1.0, (0, 0))]
    frames = np.stack([posed(resting_head(), rotation(*angles), scale, shift) for angles, scale, shift in poses])
    upright, pose = geometry.upright_and_pose(frames)
    values = as_seen(upright / geometry.usual_size(frames), np.zeros((3, 52)))
    np.testing.assert_allclose(values, np.broadcast_to(values[0], values.shape), atol=1e-9)
    np.testing.assert_allclose(measure(frames, np.zeros((3, 52))), values - pose_effect(pose), atol=1e-9)


def test_what_the_pose_adds_grows_with_pitch_and_with_yaw_to_either_side_and_is_bounded() -> None:
    still, down, left, right, far, further = pose_effect(
        np.array([[0, 0, 0], [10, 0, 0], [0, -10, 5], [0, 10, -5], [30, 0, 0], [60, 0, 0]], float)
    )
    np.testing.assert_array_equal(still, 0)
    np.testing.assert_allclose(down, TURNED[0] + TURNED[1])
    np.testing.assert_allclose(left, TURNED[2])
    np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(far, further)


@pytest.mark.parametrize(
    ("name", "points", "shift", "measured", "change"),
    [
        ("brows raised", range(17, 27), (0, -0.1), {"inner_brow": 0.1, "outer_brow": 0.1, "brow_gap": 0}, 0),
        ("brows together", range(22, 27), (-0.05, 0), {"brow_gap": -0.05}, 0),
        ("mouth corners up", (48, 54), (0, -0.1), {"corner_drop": -0.1, "corner_height": 0.1}, 0),
        ("lower lip down", (65, 66, 67), (0, 0.1), {"lip_gap": 0.1, "upper_lip": 0}, 0),
        ("chin down", (8,), (0, 0.2), {"chin_drop": 0.2, "chin_height": 0.2}, 0),
        ("nose wings up", (31, 35), (0, -0.05), {"nose_wings": -0.05}, 0),
        ("lower lids up", (40, 41, 46, 47), (0, -0.02), {"lower_lid": 0.02, "eye_opening": -0.02}, 0),
    ],
)
def test_a_known_movement_changes_the_measure_by_as_much(
    name: str, points: range, shift: tuple[float, float], measured: dict[str, float], change: float
) -> None:
    frames = np.stack([resting_head()] * 2)
    frames[1, list(points), :2] += shift
    values = measure(frames * 100, np.zeros((2, 52)))
    for key, amount in measured.items():
        column = MEASURES.index(key)
        assert values[1, column] - values[0, column] == pytest.approx(amount, abs=0.006), (name, key)


def test_blendshapes_are_the_mean_of_left_and_right_or_the_stronger_side_of_a_mouth() -> None:
    shapes = np.zeros((1, 52))
    shapes[0, [BLENDSHAPES.index(name) for name in ("mouthSmileLeft", "browDownRight")]] = 0.8
    shapes[0, BLENDSHAPES.index("jawOpen")] = 0.3
    values = as_seen(resting_head()[None], shapes)[0]
    assert values[MEASURES.index("mouthSmile")] == pytest.approx(0.8), "a smirk is a smile"
    assert values[MEASURES.index("browDown")] == pytest.approx(0.4)
    assert values[MEASURES.index("jawOpen")] == pytest.approx(0.3)
    assert (values[len(GEOMETRY) :] > 0).sum() == 3


def test_a_smile_is_measured_against_the_speakers_own_face(
    tmp_path: Path, corpus: tuple[list[Path], list[Path]]
) -> None:
    landmarks, index = corpus
    options = ActionUnitOptions(calibration="speaker")
    neutral.run(landmarks, index, options, tmp_path / "neutral.parquet")
    from_landmarks.run(landmarks[1], index[1], tmp_path / "neutral.parquet", options, tmp_path / "units.parquet")
    found = shards.read(tmp_path / "units.parquet")
    assert found["clip_id"].to_list() == ["a2"] * 4 + ["x1"] * 4
    anna, unknown = found["AU12"].to_list()[0], found["AU12"].to_list()[4]
    assert 0 < anna < unknown, "two clips tell more of a person than one, whose smile is taken for a smile"
    from_landmarks.run(landmarks[1], index[1], None, ActionUnitOptions(calibration="none"), tmp_path / "units.parquet")
    uncalibrated = shards.read(tmp_path / "units.parquet")["AU12"].to_list()
    assert uncalibrated[0] > anna
    assert uncalibrated[4] > unknown


def test_frames_without_a_face_are_null(tmp_path: Path) -> None:
    empty = dict.fromkeys(("landmarks", "blendshapes", "pitch_deg", "yaw_deg", "roll_deg", "width", "height"))
    rows = [{"clip_id": "a", "frame": k, "time_s": k / 25, "detected": False, "faces": 0, **empty} for k in range(2)]
    shards.write_table(tmp_path / "landmarks.parquet", rows, landmarks_schema(68), {})
    entry = {
        "clip_id": "a",
        "speaker": None,
        "path": "a",
        "label": None,
        "sentence": None,
        "level": None,
        "size_bytes": 1,
    }
    shards.write_table(tmp_path / "index.parquet", [entry], schema_of("index"), {})
    options = ActionUnitOptions(calibration="clip")
    from_landmarks.run(
        tmp_path / "landmarks.parquet", tmp_path / "index.parquet", None, options, tmp_path / "units.parquet"
    )
    found = shards.read(tmp_path / "units.parquet")
    assert all(found[name].null_count() == 2 for name in ACTION_UNITS)


def test_a_backend_says_what_it_needs(tmp_path: Path) -> None:
    for backend, missing in {"blendshapes": "landmarks", "pyfeat": "frames", "import": "landmarks"}.items():
        options = ActionUnitOptions.model_validate({"backend": backend, "imports": "folder"})
        with pytest.raises(UserError, match=f"'{backend}' needs --{missing}"):
            backends.run(backends.Inputs(), options, tmp_path / "units.parquet")


OWN = """
import json
{needs}
def measure(*arguments):
    *inputs, options, output = arguments
    output.write_text(json.dumps([str(path) for path in inputs] + [options.backend]))

NOTHING = 3
"""


def test_a_backend_may_be_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_units.py").write_text(OWN.format(needs=""))
    (tmp_path / "own_pictures.py").write_text(OWN.format(needs='NEEDS = ("frames", "index")'))
    (tmp_path / "own_wrong.py").write_text(OWN.format(needs='NEEDS = ("sound",)'))
    given = backends.Inputs(Path("landmarks"), Path("frames"), Path("index"))

    def ran(backend: str, inputs: backends.Inputs = given) -> list[str]:
        backends.run(inputs, ActionUnitOptions(backend=backend), tmp_path / "units.json")
        return json.loads((tmp_path / "units.json").read_text())

    assert ran("own_units:measure") == ["landmarks", "own_units:measure"]
    assert ran("own_pictures:measure") == ["frames", "index", "own_pictures:measure"]
    for backend, message in {
        "own_units:measured": "has no 'measured'; did you mean 'measure'",
        "own_units:NOTHING": "a int; expected a function of landmarks",
        "own_unit:measure": "there is no module 'own_unit'",
        "own_wrong:measure": "NEEDS of own_wrong has 'sound'; expected names among landmarks, frames",
    }.items():
        with pytest.raises(UserError, match=message):
            ran(backend)
    with pytest.raises(UserError, match="'own_units:measure' needs --landmarks"):
        ran("own_units:measure", backends.Inputs())
    with pytest.raises(ValidationError, match="expected blendshapes, pyfeat, import, or code of your own as"):
        ActionUnitOptions(backend="blendshape")


def test_calibration_by_speaker_needs_the_resting_faces(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run the stage 'neutral' first"):
        from_landmarks.resting_faces(tmp_path / "index.parquet", None, ActionUnitOptions(calibration="speaker"))
