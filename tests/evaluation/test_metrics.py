"""Metrics: hand-worked numbers, and scikit-learn's on random predictions."""

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    hamming_loss,
    precision_recall_fscore_support,
)

from avpretext.evaluation import metrics

CLASSES = ["anger", "fear", "neutral"]


def test_hand_worked_scores() -> None:
    # anger: 3 of 4 right, 1 taken for fear; fear: 1 of 2 right, 1 taken for neutral; neutral: all 4 right.
    matrix = np.array([[3.0, 1, 0], [0, 1, 1], [0, 0, 4]])
    of_classes, overall = metrics.class_scores(matrix), metrics.overall_scores(matrix)
    np.testing.assert_allclose(of_classes.precision, [1, 1 / 2, 4 / 5])
    np.testing.assert_allclose(of_classes.recall, [3 / 4, 1 / 2, 1])
    np.testing.assert_allclose(of_classes.f1, [6 / 7, 1 / 2, 8 / 9])
    assert overall["war"] == pytest.approx(0.8)
    assert overall["uar"] == overall["macro_recall"] == pytest.approx(0.75)
    assert overall["macro_f1"] == pytest.approx((6 / 7 + 1 / 2 + 8 / 9) / 3)


def test_class_without_clips_is_left_out_and_clips_taken_for_it_are_still_errors() -> None:
    matrix = np.array([[2.0, 0, 2], [0, 4, 0], [0, 0, 0]])
    scores, overall = metrics.class_scores(matrix), metrics.overall_scores(matrix)
    assert np.isnan(scores.recall[2])
    assert np.isnan(scores.precision[2])
    assert overall["uar"] == pytest.approx((0.5 + 1) / 2)
    assert overall["macro_precision"] == pytest.approx(1)


def test_class_never_predicted_scores_zero() -> None:
    scores = metrics.class_scores(np.array([[4.0, 0], [2, 0]]))
    assert (scores.precision[1], scores.recall[1], scores.f1[1]) == (0, 0, 0)


def test_nothing_to_score_is_nan() -> None:
    assert all(np.isnan(value) for value in metrics.overall_scores(np.zeros((2, 2))).values())


@pytest.mark.parametrize("seed", range(20))
def test_equals_scikit_learn_over_the_labels_present(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clips = int(rng.integers(1, 25))
    labels, predicted = (rng.choice(CLASSES, clips).tolist() for _ in range(2))
    overall = metrics.overall_scores(confusion_matrix(labels, predicted, labels=CLASSES).astype(float))
    expected = precision_recall_fscore_support(
        labels, predicted, labels=sorted(set(labels)), average="macro", zero_division=0
    )
    found = [overall[name] for name in ("macro_precision", "macro_recall", "macro_f1")]
    np.testing.assert_allclose(found, expected[:3])
    assert overall["war"] == pytest.approx(accuracy_score(labels, predicted))


def test_uar_is_balanced_accuracy() -> None:
    labels, predicted = ["anger", "anger", "fear"], ["anger", "fear", "fear"]
    overall = metrics.overall_scores(confusion_matrix(labels, predicted, labels=CLASSES).astype(float))
    assert overall["uar"] == pytest.approx(balanced_accuracy_score(labels, predicted))


def test_many_matrices_at_once_score_as_one_by_one() -> None:
    matrices = np.random.default_rng(0).integers(0, 5, (7, 2, 3, 3)).astype(float)
    together = metrics.overall_scores(matrices)["macro_f1"]
    alone = [[metrics.overall_scores(matrix)["macro_f1"] for matrix in pair] for pair in matrices]
    np.testing.assert_allclose(together, alone)


def test_unknown_class_is_an_error() -> None:
    with pytest.raises(ValueError, match="joy"):
        metrics.places(["joy"], CLASSES)


def test_hand_worked_decisions() -> None:
    truth = np.array([[1, 0, 1], [1, 0, 0]], dtype=bool)
    found = np.array([[1, 1, 0], [0, 0, 0]], dtype=bool)
    scores = metrics.decision_scores(metrics.decisions(truth, found).sum(axis=0))
    # right: the first class of the first clip; wrong: its two others, and the first of the second clip
    assert scores["micro_f1"] == pytest.approx(2 / (2 + 3))
    assert scores["hamming_accuracy"] == pytest.approx(3 / 6)
    # of the second class there is no clip; the third is never found
    assert scores["macro_precision"] == pytest.approx((1 + 0) / 2)
    assert scores["macro_recall"] == pytest.approx((1 / 2 + 0) / 2)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)


@pytest.mark.parametrize("seed", range(10))
def test_decisions_equal_scikit_learn_over_the_labels_present(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clips = int(rng.integers(2, 25))
    truth, found = rng.random((clips, 4)) < 0.3, rng.random((clips, 4)) < 0.4
    truth[0, 0] = True
    scores = metrics.decision_scores(metrics.decisions(truth, found).sum(axis=0))
    present = np.flatnonzero(truth.any(axis=0))
    expected = precision_recall_fscore_support(truth, found, labels=present, average="macro", zero_division=0)
    found_scores = [scores[name] for name in ("macro_precision", "macro_recall", "macro_f1")]
    np.testing.assert_allclose(found_scores, expected[:3])
    assert scores["micro_f1"] == pytest.approx(f1_score(truth, found, average="micro", zero_division=0))
    assert scores["hamming_accuracy"] == pytest.approx(1 - hamming_loss(truth, found))


def test_divergence_by_hand_and_finite_where_nothing_was_expected() -> None:
    truth = np.array([[0.5, 0.5, 0], [1, 0, 0], [0, 1, 0]])
    predicted = np.array([[0.25, 0.25, 0.5], [1, 0, 0], [1, 0, 0]])
    expected = [np.log(2), 0, -np.log(metrics.KL_FLOOR)]
    np.testing.assert_allclose(metrics.kl_divergence(truth, predicted), expected)


def of_numbers(truth: list[float], predicted: list[float]) -> dict[str, np.ndarray]:
    return metrics.number_scores(metrics.moments(np.array(truth), np.array(predicted)).sum(axis=0))


def test_hand_worked_concordance_with_population_moments() -> None:
    # means 2 and 3, variances 2/3 and 2/3, covariance 1/3: 2/3 / (2/3 + 2/3 + 1) = 2/7; r = 1/2
    scores = of_numbers([1, 2, 3], [3, 2, 4])
    assert scores["ccc"] == pytest.approx(2 / 7)
    assert scores["pearson"] == pytest.approx(1 / 2)
    assert scores["rmse"] == pytest.approx(np.sqrt((4 + 0 + 1) / 3))


def test_numbers_shifted_correlate_but_do_not_agree() -> None:
    scores = of_numbers([1, 2, 3, 4], [2, 3, 4, 5])
    assert scores["pearson"] == pytest.approx(1)
    assert scores["ccc"] == pytest.approx(2 * 1.25 / (2 * 1.25 + 1))
    perfect = of_numbers([1, 2, 3, 4], [1, 2, 3, 4])
    assert perfect["ccc"] == pytest.approx(1)
    assert perfect["rmse"] == pytest.approx(0, abs=1e-7)


def test_the_same_number_for_all_clips_has_no_correlation_and_no_concordance() -> None:
    for value in (0.1, 3.7):  # sums of 0.1 leave rounding in the variance
        scores = of_numbers([1, 2, 3, 4, 5, 6, 7], [value] * 7)
        assert np.isnan(scores["pearson"])
        assert scores["ccc"] == 0
    assert np.isnan(metrics.number_scores(np.zeros(6))["ccc"])


def test_moments_can_be_weighted_and_pooled() -> None:
    rng = np.random.default_rng(1)
    truth, predicted = rng.normal(4, 1, 30), rng.normal(4, 1, 30)
    sums = metrics.moments(truth, predicted)
    twice = metrics.number_scores(np.stack([sums.sum(axis=0), 2 * sums.sum(axis=0)]))
    np.testing.assert_allclose(twice["pearson"], np.corrcoef(truth, predicted)[0, 1])
    assert twice["rmse"][0] == pytest.approx(np.sqrt(np.mean((truth - predicted) ** 2)))
