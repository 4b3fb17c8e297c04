"""Clusters: k-means finds what is there, sampling is uniform per cluster, and mistakes are told."""

import numpy as np
import pytest

from avpretext.errors import UserError
from avpretext.training.clusters import agreement, cluster, collapse, nearest, sizes, uniform_rows

CENTRES = np.array([[0, 0], [10, 0], [0, 10]], np.float32)


def vectors(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.repeat([0, 1, 2], [60, 30, 10])
    return (CENTRES[truth] + rng.normal(size=(100, 2))).astype(np.float32), truth


def test_clusters_that_lie_apart_are_found() -> None:
    points, truth = vectors()
    found = cluster(points, 3, 20, seed=4, option="k")
    assert agreement(found.labels, truth) == pytest.approx(1)
    for name in range(3):
        of_truth = truth[found.labels == name][0]
        np.testing.assert_allclose(found.centres[name], points[truth == of_truth].mean(0), atol=1e-4)
    assert np.array_equal(nearest(points, found.centres), found.labels)


def test_the_seed_alone_says_what_the_clusters_are() -> None:
    points = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    first, again, other = (cluster(points, 7, 20, seed, "k") for seed in (1, 1, 2))
    assert np.array_equal(first.labels, again.labels)
    assert first.centres.tobytes() == again.centres.tobytes()
    assert not np.array_equal(first.labels, other.labels)


def test_the_nearest_centre_is_found_far_from_zero() -> None:
    centres = np.array([[1e4, 0], [1e4 + 1, 0]], np.float32)
    assert nearest(centres + np.float32(0.25), centres).tolist() == [0, 1]


def test_vectors_that_are_all_alike_leave_clusters_empty() -> None:
    found = cluster(np.ones((9, 2), np.float32), 3, 20, seed=1, option="k")
    assert sizes(found.labels, 3) == {"smallest": 0, "largest": 9, "largest_share": 1}
    assert collapse(found.labels, 3, "k") is not None
    assert collapse(np.array([0, 1, 2]), 3, "k") is None


def test_fewer_vectors_than_clusters_and_vectors_that_are_no_numbers_are_errors() -> None:
    with pytest.raises(UserError, match=r"pretrain\.clusters\.count = 10: there are only 9 chunks .* lower it"):
        cluster(np.ones((9, 2), np.float32), 10, 20, 1, "pretrain.clusters.count")
    with pytest.raises(UserError, match="no longer finite"):
        cluster(np.full((9, 2), np.nan, np.float32), 3, 20, 1, "k")


def test_sampling_is_uniform_over_clusters_and_over_the_rows_of_each() -> None:
    labels = np.repeat([0, 2, 5], [900, 90, 10])
    rows = uniform_rows(labels, np.random.default_rng(1))
    assert len(rows) == 1000
    counts = np.bincount(labels[rows])[[0, 2, 5]]
    assert counts.sum() == 1000
    assert counts.max() - counts.min() == 1
    of_large, of_middle, of_small = (np.bincount(rows, minlength=1000)[labels == name] for name in (0, 2, 5))
    assert set(of_large) == {0, 1}
    assert set(of_middle) == {3, 4}
    assert set(of_small) == {33, 34}
    assert np.abs(np.diff(labels[rows])).astype(bool).mean() > 0.5  # shuffled


def test_agreement_is_the_formula_and_does_not_ask_for_names() -> None:
    first, second = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    joint = {(0, 0): 1 / 4, (0, 1): 1 / 4, (1, 1): 2 / 4}
    share = ({0: 0.5, 1: 0.5}, {0: 0.25, 1: 0.75})
    mutual = sum(p * np.log(p / (share[0][a] * share[1][b])) for (a, b), p in joint.items())
    entropies = [-sum(p * np.log(p) for p in part.values()) for part in share]
    assert agreement(first, second) == pytest.approx(2 * mutual / sum(entropies))
    assert agreement(first, 1 - first) == pytest.approx(1)
    assert agreement(first, np.array([0, 1, 0, 1])) == pytest.approx(0)
