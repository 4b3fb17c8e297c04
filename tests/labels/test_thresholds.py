import numpy as np
import pytest

from avpretext.labels.thresholds import UNLABELLED, label_by_quantile


def test_values_above_the_quantile_are_high() -> None:
    values = np.array([5.0, 1, 4, 2, 3])
    labels = label_by_quantile(values, np.zeros(5), 0.5)
    assert labels.label.tolist() == [1, 0, 1, 0, 0], "3 is the median itself: a value equal to the threshold is low"
    np.testing.assert_array_equal(labels.threshold, 3.0)
    # Ranks .9 .1 .7 .3 .5; distance from .5 over .5.
    np.testing.assert_allclose(labels.confidence, [0.8, 0.8, 0.4, 0.4, 0.0])


def test_confidence_counts_ranks_on_the_own_side_of_the_quantile() -> None:
    labels = label_by_quantile(np.arange(1.0, 5), np.zeros(4), 0.75)
    assert labels.label.tolist() == [0, 0, 0, 1]
    # Ranks .125 .375 .625 .875: (.75 - r) / .75 below, (r - .75) / .25 above.
    np.testing.assert_allclose(labels.confidence, [5 / 6, 1 / 2, 1 / 6, 1 / 2])


def test_equal_values_get_equal_labels_and_confidence() -> None:
    labels = label_by_quantile(np.array([0.0, 0, 0, 1, 2]), np.zeros(5), 0.5)
    assert labels.label.tolist() == [0, 0, 0, 1, 1]
    np.testing.assert_allclose(labels.confidence, [0.4, 0.4, 0.4, 0.4, 0.8])


def test_values_that_are_all_equal_are_low() -> None:
    labels = label_by_quantile(np.full(4, 7.0), np.zeros(4), 0.5)
    assert labels.label.tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(labels.confidence, 0, atol=1e-12)


def test_the_dead_zone_takes_its_share_from_around_the_threshold() -> None:
    labels = label_by_quantile(np.arange(100.0), np.zeros(100), 0.5, dead_zone=0.2)
    dropped = np.flatnonzero(labels.label == UNLABELLED)
    assert dropped.tolist() == list(range(40, 60))
    assert labels.label[:40].max() == 0
    assert labels.label[60:].min() == 1


def test_each_group_has_its_own_threshold() -> None:
    values = np.array([1.0, 10, 2, 20])
    groups = np.array(["quiet", "loud", "quiet", "loud"], dtype=object)
    labels = label_by_quantile(values, groups, 0.5)
    assert labels.label.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(labels.threshold, [1.5, 15, 1.5, 15])


def test_what_is_not_measured_gets_no_label_and_moves_no_threshold() -> None:
    labels = label_by_quantile(np.array([1.0, np.nan, 3]), np.zeros(3), 0.5)
    assert labels.label.tolist() == [0, UNLABELLED, 1]
    assert np.isnan(labels.confidence).tolist() == [False, True, False]
    np.testing.assert_allclose(labels.threshold, 2.0)
    nothing = label_by_quantile(np.array([np.nan]), np.zeros(1), 0.5)
    assert nothing.label.tolist() == [UNLABELLED]
    assert np.isnan(nothing.threshold).all()


def test_no_values_are_no_labels() -> None:
    assert len(label_by_quantile(np.zeros(0), np.zeros(0), 0.5).label) == 0


@pytest.mark.parametrize("quantile", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("dead_zone", [0.0, 0.3, 1.0])
def test_whatever_the_values_confidence_is_a_share_and_high_lies_above_low(quantile: float, dead_zone: float) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = np.round(rng.normal(size=rng.integers(1, 40)), 1)
        labels = label_by_quantile(values, rng.integers(0, 3, len(values)), quantile, dead_zone)
        assert ((labels.confidence >= 0) & (labels.confidence <= 1)).all()
        assert (values[labels.label == 1] > labels.threshold[labels.label == 1]).all()
        assert (values[labels.label == 0] <= labels.threshold[labels.label == 0]).all()
