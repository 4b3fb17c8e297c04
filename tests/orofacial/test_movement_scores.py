"""Scores of movement, by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from avpretext.face.points import INNER_LIPS, OROFACIAL, OROFACIAL_POINTS
from avpretext.orofacial.movement_scores import MEASURE_NAMES, REGIONS, SHOWN, ClipSums

P = len(OROFACIAL_POINTS)
UPPER, LOWER = (OROFACIAL_POINTS.tolist().index(point) for point in INNER_LIPS)
SUMS = ClipSums(["SIL", "P"], ["ANG", "SAD"])
NOTHING = ([None] * 4, [None] * 4)


def moves(frames: int = 4, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(frames, P, 2))


def scores(truth: NDArray[np.float64], said: NDArray[np.float64], **known: object) -> dict[str, float]:
    visemes = known.get("visemes", ([None] * len(truth),) * 2)
    sums = SUMS.of_clip(truth, said, 25.0, visemes, known.get("emotion", (None, None)))  # type: ignore[arg-type]
    return {name: float(statistic(sums)) for name, statistic in SUMS.measures().items()}


def test_a_perfect_prediction_has_concordance_1_and_no_error() -> None:
    truth = moves()
    found = scores(truth, truth)
    for region in ("all", *OROFACIAL):
        assert found[f"ccc_{region}"] == pytest.approx(1)
        assert found[f"error_{region}"] == 0
        assert found[f"speed_error_{region}"] == 0
    assert found["aperture_r"] == pytest.approx(1)


def test_the_concordance_of_one_coordinate_is_lins() -> None:
    truth, said = np.zeros((3, P, 2)), np.zeros((3, P, 2))
    truth[:, 0, 0], said[:, 0, 0] = [0, 1, 2], [1, 2, 4]
    # means 1 and 7/3, variances 2/3 and 14/9, covariance 1: 2 / (2/3 + 14/9 + 16/9) = .5
    assert scores(truth, said)["ccc_lips"] == pytest.approx(0.5)
    assert np.isnan(scores(truth, said)["ccc_jaw"]), "nothing moves"


def test_an_offset_lowers_the_concordance_and_not_the_correlation() -> None:
    truth = moves(50)
    found = scores(truth, truth + 1.0)
    assert found["ccc_all"] < 0.8
    assert found["aperture_r"] == pytest.approx(1)
    assert found["error_all"] == pytest.approx(np.sqrt(2))
    assert found["speed_error_all"] == pytest.approx(0, abs=1e-12)


def test_errors_are_distances_of_points_in_their_region() -> None:
    truth, said = np.zeros((2, P, 2)), np.zeros((2, P, 2))
    said[:, REGIONS["jaw"].start] = [3.0, 4.0]  # 5 off, in one of the points of the jaw
    found = scores(truth, said)
    assert found["error_jaw"] == pytest.approx(5 / len(OROFACIAL["jaw"]))
    assert found["error_lips"] == 0
    assert found["error_all"] == pytest.approx(5 / P)


def test_velocity_errors_are_per_second_and_do_not_reach_over_a_gap() -> None:
    truth, said = np.zeros((4, P, 2)), np.zeros((4, P, 2))
    said[:, :, 0] = np.array([0.0, 0.1, 5.0, 0.3])[:, None]
    truth[2] = np.nan
    found = scores(truth, said)
    assert found["speed_error_all"] == pytest.approx(0.1 * 25)
    assert found["error_all"] == pytest.approx(0.4 / 3)


def test_aperture_correlates_within_clips_and_over_all_frames_together() -> None:
    def clip(truth: list[float], said: list[float]) -> NDArray[np.float64]:
        made = np.zeros((2, len(truth), P, 2))
        made[0, :, LOWER, 1], made[1, :, LOWER, 1] = truth, said
        return SUMS.of_clip(made[0], made[1], 25.0, ([None] * len(truth),) * 2, (None, None))

    # each follows perfectly, the second from another level
    sums = clip([0, 1, 2], [0, 1, 2]) + clip([0, 1, 2], [10, 11, 12])
    measures = SUMS.measures()
    assert float(measures["aperture_r"](sums)) == pytest.approx(1)
    everything = np.corrcoef([0, 1, 2, 0, 1, 2], [0, 1, 2, 10, 11, 12])[0, 1]
    assert float(measures["aperture_r_pooled"](sums)) == pytest.approx(everything)
    still = clip([1, 1, 1], [0, 1, 2])
    assert float(measures["aperture_r"](sums + still)) == pytest.approx(1), "what does not vary has no correlation"


def test_recall_is_of_what_is_known_and_said() -> None:
    truth = moves()
    visemes = (["SIL", "SIL", "P", None], ["SIL", "P", "P", "P"])
    found = scores(truth, truth, visemes=visemes, emotion=("ANG", "SAD"))
    assert found["viseme_uar"] == pytest.approx((0.5 + 1) / 2)
    assert found["emotion_uar"] == 0
    assert np.isnan(scores(truth, truth)["emotion_uar"])


def test_sums_of_clips_score_like_one_clip() -> None:
    truth, said = moves(8), moves(8, seed=2)
    none = ([None] * 4,) * 2
    halves = sum(SUMS.of_clip(truth[half], said[half], 25.0, none, (None, None)) for half in (slice(4), slice(4, 8)))
    for name, statistic in SUMS.measures().items():
        if name.startswith(("ccc", "error", "aperture_r_pooled")):
            assert float(statistic(np.asarray(halves))) == pytest.approx(scores(truth, said)[name]), name


def test_every_measure_has_a_name() -> None:
    assert set(SUMS.measures()) == set(MEASURE_NAMES) >= set(SHOWN)
