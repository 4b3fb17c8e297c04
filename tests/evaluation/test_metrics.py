"""Metrics: hand-worked numbers, and scikit-learn's on random predictions."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, precision_recall_fscore_support

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
    overall = metrics.overall_scores(metrics.confusion(labels, predicted, CLASSES))
    expected = precision_recall_fscore_support(
        labels, predicted, labels=sorted(set(labels)), average="macro", zero_division=0
    )
    found = [overall[name] for name in ("macro_precision", "macro_recall", "macro_f1")]
    np.testing.assert_allclose(found, expected[:3])
    assert overall["war"] == pytest.approx(accuracy_score(labels, predicted))


def test_uar_is_balanced_accuracy() -> None:
    labels, predicted = ["anger", "anger", "fear"], ["anger", "fear", "fear"]
    overall = metrics.overall_scores(metrics.confusion(labels, predicted, CLASSES))
    assert overall["uar"] == pytest.approx(balanced_accuracy_score(labels, predicted))


def test_many_matrices_at_once_score_as_one_by_one() -> None:
    matrices = np.random.default_rng(0).integers(0, 5, (7, 2, 3, 3)).astype(float)
    together = metrics.overall_scores(matrices)["macro_f1"]
    alone = [[metrics.overall_scores(matrix)["macro_f1"] for matrix in pair] for pair in matrices]
    np.testing.assert_allclose(together, alone)


def test_unknown_class_is_an_error() -> None:
    with pytest.raises(ValueError, match="joy"):
        metrics.confusion(["joy"], ["anger"], CLASSES)
