"""Losses: numbers worked by hand, and what has no label has no influence."""

import math

import torch

from avpretext.models.losses import NO_LABEL, balanced_class_weights, masked_binary_loss, masked_class_loss, total_loss


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
