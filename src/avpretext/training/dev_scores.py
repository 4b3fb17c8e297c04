"""What is measured on the dev clips during training."""

import torch
from torch import Tensor

from avpretext.models.losses import NO_LABEL


def dev_measures(labels: Tensor, predicted: Tensor, classes: int) -> dict[str, float]:
    """Return `uar` and `macro_f1` over what is labelled; classes without a label are left out of both.

    Labels and predictions are class numbers of one shape, labels `NO_LABEL` where missing.

    >>> dev_measures(torch.tensor([0, 0, 1, 1, -1]), torch.tensor([0, 0, 0, 1, 1]), 3)["uar"]
    0.75
    """
    known = labels != NO_LABEL
    pairs = torch.bincount(labels[known] * classes + predicted[known], minlength=classes**2)
    matrix = pairs.view(classes, classes).double()  # row: label, column: predicted
    hits, actual, guessed = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    present = actual > 0
    if not present.any():
        return {"uar": float("nan"), "macro_f1": float("nan")}
    recall = hits / actual.clamp(min=1)
    f1 = 2 * hits / (actual + guessed).clamp(min=1)
    return {"uar": float(recall[present].mean()), "macro_f1": float(f1[present].mean())}


def label_macro_f1(actual: Tensor, predicted: Tensor) -> float:
    """Return the mean F1 over the classes that any clip has, from (N, K) bool; NaN where none has any.

    F1 = 2 both / (actual + predicted), each a number of clips.

    >>> actual, predicted = torch.tensor([[1, 1, 0], [1, 0, 0]]).bool(), torch.tensor([[1, 0, 0], [0, 0, 1]]).bool()
    >>> round(label_macro_f1(actual, predicted), 4)
    0.3333
    """
    both, of_class = (actual & predicted).sum(0).double(), actual.sum(0)
    f1 = 2 * both / (of_class + predicted.sum(0)).clamp(min=1)
    present = of_class > 0
    return float(f1[present].mean()) if present.any() else float("nan")
