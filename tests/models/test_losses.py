"""Losses: numbers worked by hand, and what has no label has no influence."""

import math

import pytest
import torch

from avpretext.models.losses import (
    NO_LABEL,
    balanced_class_weights,
    balanced_weights,
    concordance,
    concordance_loss,
    masked_binary_loss,
    masked_class_loss,
    multi_label_loss,
    positive_weights,
    shares_loss,
    total_loss,
)


def test_binary_loss_is_the_weighted_mean_over_what_is_labelled() -> None:
    logits = torch.tensor([[0.0, 2.0, 9.0]])
    loss = masked_binary_loss(logits, torch.tensor([[1, 0, NO_LABEL]]), torch.tensor([[1.0, 0.5, 1.0]]))
    # log 2 for the first, log(1 + e^2) for the second, half as heavy
    assert math.isclose(float(loss), (math.log(2) + 0.5 * math.log(1 + math.exp(2))) / 1.5, rel_tol=1e-6)


def test_class_loss_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(3)], [5.0, -5.0]])
    labels = torch.tensor([0, 1, NO_LABEL])
    loss = masked_class_loss(logits, labels, torch.ones(3), torch.tensor([1.0, 3.0]))
    assert math.isclose(float(loss), (math.log(2) + 3 * math.log(4 / 3)) / 4, rel_tol=1e-6)


def test_without_a_label_loss_and_gradient_are_zero() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    missing = torch.full((4,), NO_LABEL)
    loss = masked_class_loss(logits, missing, torch.ones(4)) + masked_binary_loss(
        logits, missing[:, None].expand(4, 3), torch.ones(4, 3)
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_balanced_classes_count_the_same() -> None:
    labels = torch.tensor([0, 0, 0, 2, NO_LABEL])
    weights = balanced_class_weights(labels, 3)
    torch.testing.assert_close(weights, torch.tensor([2 / 3, 0.0, 2.0]))


def test_balanced_classes_count_the_same_whatever_their_confidence() -> None:
    labels, confidence = torch.tensor([0, 0, 1, NO_LABEL]), torch.tensor([0.9, 0.9, 0.2, 1.0])
    weights = balanced_class_weights(labels, 2, confidence)
    counted = confidence[:3] * weights[labels[:3]]
    torch.testing.assert_close(counted[:2].sum(), counted[2])
    torch.testing.assert_close(counted.sum(), confidence[:3].sum())


def test_tasks_are_weighed() -> None:
    losses = {"energy": torch.tensor(2.0), "emotion": torch.tensor(3.0)}
    assert float(total_loss(losses, {"energy": 0.5})) == 4.0


def test_shares_are_weighed_by_clip() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    shares = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    # p = (1/4, 3/4) and (1/2, 1/2); clips weigh .25 * 4 + .75 * 1 = 1.75 and 4
    first, second = 0.25 * math.log(4) + 0.75 * math.log(4 / 3), math.log(2)
    loss = shares_loss(logits, shares, torch.tensor([4.0, 1.0]))
    assert math.isclose(float(loss), (1.75 * first + 4 * second) / 5.75, rel_tol=1e-6)
    assert math.isclose(float(shares_loss(logits, shares)), (first + second) / 2, rel_tol=1e-6)


def test_whole_shares_cost_what_classes_cost() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(9, 3), torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2])
    whole = torch.nn.functional.one_hot(labels, 3).float()
    weights = balanced_class_weights(labels, 3)
    torch.testing.assert_close(balanced_weights(whole.sum(0)), weights)
    expected = masked_class_loss(logits, labels, torch.ones(9), weights, 0.1)
    torch.testing.assert_close(shares_loss(logits, whole, weights, 0.1), expected)


def test_whatever_the_weights_a_clip_is_best_predicted_by_its_own_shares() -> None:
    shares = torch.tensor([[0.2, 0.5, 0.3]])
    logits = shares.log().requires_grad_()
    shares_loss(logits, shares, torch.tensor([7.0, 1.0, 0.5])).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert float(logits.grad.abs().max()) < 1e-6


def test_multi_label_loss_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3)]])  # s = 1/2, 3/4
    labels = torch.tensor([[1.0, 0.0]])
    assert math.isclose(float(multi_label_loss(logits, labels)), (math.log(2) + math.log(4)) / 2, rel_tol=1e-6)
    weighted = multi_label_loss(logits, labels, torch.tensor([3.0, 9.0]))
    assert math.isclose(float(weighted), (3 * math.log(2) + math.log(4)) / 2, rel_tol=1e-6)
    # Smoothed by .2 the targets are .9 and .1.
    smooth = multi_label_loss(logits, labels, smoothing=0.2)
    expected = (math.log(2) + 0.1 * math.log(4 / 3) + 0.9 * math.log(4)) / 2
    assert math.isclose(float(smooth), expected, rel_tol=1e-6)


def test_yes_and_no_weigh_the_same_in_each_class() -> None:
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    assert positive_weights(labels).tolist() == [3.0, 1.0, 1.0]


def test_concordance_by_hand() -> None:
    # means 2 and 4, covariance 4/3, variances 2/3 and 8/3: 8/3 / (10/3 + 4) = 4/11
    predicted, actual = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 4.0, 6.0])
    assert float(concordance(predicted, actual)) == pytest.approx(4 / 11)
    assert float(concordance_loss(predicted, actual)) == pytest.approx(7 / 11)
    assert float(concordance(actual, actual)) == pytest.approx(1)
    assert float(concordance(predicted, 4 - predicted)) == pytest.approx(-1)
    # A shift by 1 alone: 2 * 2/3 / (4/3 + 1) = 4/7.
    assert float(concordance(predicted, predicted + 1)) == pytest.approx(4 / 7)


def test_concordance_of_constants_is_zero_with_a_finite_gradient() -> None:
    for actual in (torch.tensor([1.0]), torch.tensor([2.0, 2.0, 2.0])):
        predicted = torch.randn(len(actual), requires_grad=True)
        loss = concordance_loss(predicted, actual)
        loss.backward()  # type: ignore[no-untyped-call]
        assert loss.item() == pytest.approx(1)
        assert predicted.grad is not None
        assert torch.isfinite(predicted.grad).all()
