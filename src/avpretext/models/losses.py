"""Losses that skip what has no label and trust labels by their confidence."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

NO_LABEL = -1
"""Stands where a chunk or a clip has no label."""


def masked_binary_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean binary cross-entropy over what is labelled; 0 where nothing is.

    Parameters
    ----------
    logits, labels, weights
        Of one shape; labels are 1, 0 or `NO_LABEL`, weights are confidences from 0 up.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, labels.clamp(min=0).to(logits.dtype), reduction="none")
    return _weighted_mean(losses, weights * (labels != NO_LABEL))


def masked_class_loss(
    logits: Tensor, labels: Tensor, weights: Tensor, class_weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Return the weighted mean cross-entropy over the clips that are labelled; 0 where none is.

    Parameters
    ----------
    logits
        (B, classes).
    labels, weights
        (B,) class numbers or `NO_LABEL`, and confidences from 0 up.
    class_weights
        (classes,); multiplies the weight of each clip by that of its class.
    smoothing
        Share of the target spread evenly over all classes, 0..1.
    """
    labelled = labels != NO_LABEL
    target = labels.clamp(min=0)
    losses = functional.cross_entropy(logits, target, reduction="none", label_smoothing=smoothing)
    weights = weights * labelled
    return _weighted_mean(losses, weights if class_weights is None else weights * class_weights[target])


def balanced_class_weights(labels: Tensor, classes: int, weights: Tensor | None = None) -> Tensor:
    """Return (classes,) factors by which every class that occurs counts the same, with mean 1 over what is labelled.

    Parameters
    ----------
    labels
        (N,) class numbers or `NO_LABEL`.
    classes
        Number of classes.
    weights
        (N,) what each label counts already, such as its confidence: a class whose confidences are low needs a larger
        factor to count the same. None: all count 1.

    Examples
    --------
    >>> balanced_class_weights(torch.tensor([0, 0, 0, 1, -1]), 2)
    tensor([0.6667, 2.0000])
    >>> balanced_class_weights(torch.tensor([0, 1]), 2, torch.tensor([0.8, 0.2]))
    tensor([0.6250, 2.5000])
    """
    labelled = labels != NO_LABEL
    counted = torch.ones(len(labels)) if weights is None else weights
    mass = torch.zeros(classes).index_add_(0, labels[labelled], counted[labelled].float())
    present = (mass > 0).sum().clamp(min=1)
    return torch.where(mass > 0, mass.sum() / (present * mass.clamp(min=1e-8)), torch.zeros(classes))


def total_loss(losses: Mapping[str, Tensor], task_weights: Mapping[str, float]) -> Tensor:
    """Return the sum over tasks of weight times loss; a task without a weight counts 1."""
    return torch.stack([task_weights.get(name, 1.0) * loss for name, loss in losses.items()]).sum()


def _weighted_mean(losses: Tensor, weights: Tensor) -> Tensor:
    return (losses * weights).sum() / weights.sum().clamp(min=1e-8)
