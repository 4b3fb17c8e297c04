"""Losses: of pseudo-labels, which skip what has no label and trust labels by their confidence; of every kind of target.

In the formulas y is a logit, t a target, i a clip of N, c a class of K, and p = softmax(y) over the classes.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

NO_LABEL = -1
"""Stands where a chunk or a clip has no label."""

EPSILON = 1e-8
"""Keeps the CCC of two constants from being 0 / 0; targets have a variance of about 1."""


def masked_binary_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean binary cross-entropy over what is labelled; 0 where nothing is.

    All three have one shape; labels are 1, 0 or `NO_LABEL`, weights are confidences from 0 up.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, labels.clamp(min=0).to(logits.dtype), reduction="none")
    return _weighted_mean(losses, weights * (labels != NO_LABEL))


def masked_class_loss(
    logits: Tensor, labels: Tensor, weights: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Return the weighted mean cross-entropy over the clips that are labelled; 0 where none is.

    Logits are (B, classes), labels (B,) class numbers or `NO_LABEL`, weights (B,) confidences from 0 up.
    `class_weights` (classes,) multiply the weight of each clip by that of its class; `smoothing` is the share of the
    target spread evenly over all classes, 0..1.
    """
    labelled = labels != NO_LABEL
    target = labels.clamp(min=0)
    losses = functional.cross_entropy(logits, target, reduction="none", label_smoothing=smoothing)
    weights = weights * labelled
    return _weighted_mean(losses, weights if class_weights is None else weights * class_weights[target])


def balanced_class_weights(labels: Tensor, classes: int, weights: Tensor | None = None) -> Tensor:
    """Return (classes,) factors by which every class that occurs counts the same, with mean 1 over what is labelled.

    Labels are (N,) class numbers or `NO_LABEL`. `weights` (N,) are what each counts already, such as its confidence: a
    class whose confidences are low needs a larger factor to count the same. None: all count 1.

    >>> balanced_class_weights(torch.tensor([0, 0, 0, 1, -1]), 2)
    tensor([0.6667, 2.0000])
    >>> balanced_class_weights(torch.tensor([0, 1]), 2, torch.tensor([0.8, 0.2]))
    tensor([0.6250, 2.5000])
    """
    labelled = labels != NO_LABEL
    counted = torch.ones(len(labels)) if weights is None else weights
    mass = torch.zeros(classes).index_add_(0, labels[labelled], counted[labelled].float())
    return balanced_weights(mass)


def balanced_weights(mass: Tensor) -> Tensor:
    """Return (K,) factors by which every class that occurs counts the same: w[c] = sum(mass) / (present * mass[c]).

    `mass` (K,) is what the clips of each class count together; a class of mass 0 is not present and gets factor 0.
    """
    present = (mass > 0).sum().clamp(min=1)
    return torch.where(mass > 0, mass.sum() / (present * mass.clamp(min=1e-8)), torch.zeros(len(mass)))


def shares_loss(logits: Tensor, shares: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy with a share of each class: the Kullback-Leibler divergence plus a constant.

    loss = sum_i v[i] * (-sum_c t[i,c] log p[i,c]) / sum_i v[i], with v[i] = sum_c t[i,c] w[c]: weights belong to clips,
    not to the terms of a clip, so that the best prediction of every clip stays its own shares, whatever the weights.
    Logits and shares are (N, K), shares add up to 1; `class_weights` (K,) are w, None: all 1; `smoothing` is the share
    of the target spread evenly over all classes, 0..1.
    """
    losses = functional.cross_entropy(logits, shares, reduction="none", label_smoothing=smoothing)
    return _weighted_mean(losses, torch.ones_like(losses) if class_weights is None else shares @ class_weights)


def multi_label_loss(
    logits: Tensor, labels: Tensor, positive_weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Return the mean binary cross-entropy over clips and classes, logits and labels (0 or 1) being (N, K).

    loss = mean_ic (-w[c] t[i,c] log s[i,c] - (1 - t[i,c]) log(1 - s[i,c])), s = sigmoid(y), with w the
    `positive_weights` (K,), None: all 1. `smoothing` is the share of each target spread evenly over yes and no, 0..1.
    """
    smooth = labels * (1 - smoothing) + smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits, smooth, pos_weight=positive_weights)


def positive_weights(labels: Tensor) -> Tensor:
    """Return (K,) clips without each class per clip with it, so that yes and no count the same; 1 where one is missing.

    >>> positive_weights(torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]))
    tensor([2., 1.])
    """
    positive = labels.sum(0)
    negative = len(labels) - positive
    return torch.where((positive > 0) & (negative > 0), negative / positive.clamp(min=1), torch.ones_like(positive))


def concordance(predicted: Tensor, actual: Tensor) -> Tensor:
    """Return the concordance correlation coefficient (CCC) of two sets of N values, -1..1; of each column of (N, K).

    CCC = 2 cov / (var_p + var_a + (mean_p - mean_a)^2 + EPSILON), with population moments (1/N) throughout, so that
    equal values have CCC 1 for any N (Lin, "A concordance correlation coefficient", Biometrics 1989). Where one of the
    two is constant, as in a batch of one clip, the covariance is 0, and so are CCC and its gradient.
    """
    predicted_mean, actual_mean = predicted.mean(0), actual.mean(0)
    covariance = ((predicted - predicted_mean) * (actual - actual_mean)).mean(0)
    variances = (predicted - predicted_mean).square().mean(0) + (actual - actual_mean).square().mean(0)
    return 2 * covariance / (variances + (predicted_mean - actual_mean).square() + EPSILON)


def concordance_loss(predicted: Tensor, actual: Tensor) -> Tensor:
    """Return 1 - CCC over a batch: 0 for equal values, 1 without agreement, 2 at worst."""
    return (1 - concordance(predicted, actual)).mean()


def total_loss(losses: Mapping[str, Tensor], task_weights: Mapping[str, float]) -> Tensor:
    """Return the sum over tasks of weight times loss; a task without a weight counts 1."""
    return torch.stack([task_weights.get(name, 1.0) * loss for name, loss in losses.items()]).sum()


def _weighted_mean(losses: Tensor, weights: Tensor) -> Tensor:
    return (losses * weights).sum() / weights.sum().clamp(min=1e-8)
