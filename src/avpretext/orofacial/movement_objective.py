"""What orofacial training makes small, and by what the dev clips choose the epoch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from avpretext.models.losses import EPSILON, masked_class_loss, total_loss
from avpretext.options.orofacial import OrofacialWeights
from avpretext.orofacial.networks import EMOTION, MOVEMENT, VISEME
from avpretext.training.loop import Logits, Target


def concordances(predicted: Tensor, actual: Tensor, counted: Tensor) -> Tensor:
    """Return the CCC of each of K outputs over the frames that count, (K,).

    Lin's concordance, as `losses.concordance`, population moments; 0 where an output is constant.

    Parameters
    ----------
    predicted, actual
        (B, T, K).
    counted
        (B, T) bool.
    """
    p, a = predicted[counted], actual[counted]  # (M, K)
    if not len(p):
        return torch.zeros(predicted.shape[-1])
    p_mean, a_mean = p.mean(0), a.mean(0)
    covariance = ((p - p_mean) * (a - a_mean)).mean(0)
    variances = (p - p_mean).square().mean(0) + (a - a_mean).square().mean(0)
    return 2 * covariance / (variances + (p_mean - a_mean).square() + EPSILON)


def movement_loss(
    predicted: Tensor, target: Target, weights: Tensor, kind: Literal["mse", "ccc", "both"] = "mse"
) -> Tensor:
    """Return the error of the movement, each output by its weight, over the frames that show a face.

    The squared error did best on dev (docs/orofacial.md); 1 - CCC rewards movement that a squared error shrinks towards
    the mean where speech does not tell it.

    Parameters
    ----------
    predicted
        (B, T, K), in deviations.
    target
        Labels (B, T, K) and weights (B, T), 0 where no face is found.
    weights
        (K,), mean 1.
    kind
        Mean squared error, 1 - CCC over the batch, or their sum.
    """
    counted = target.weights > 0
    if not counted.any():
        return predicted.sum() * 0
    errors = functional.mse_loss(predicted[counted], target.labels[counted], reduction="none").mean(0)
    if kind != "mse":
        apart = 1 - concordances(predicted, target.labels, counted)
        errors = apart if kind == "ccc" else errors + apart
    return (errors * weights).mean()


@dataclass(frozen=True)
class OrofacialObjective:
    """Loss and score of an orofacial network.

    Attributes
    ----------
    outputs
        (K,) how much each output of the movement counts.
    weights
        Of the tasks.
    kind
        See `movement_loss`.
    """

    outputs: Tensor
    weights: OrofacialWeights
    kind: Literal["mse", "ccc", "both"] = "mse"

    def loss(self, logits: Logits, targets: Mapping[str, Target]) -> Tensor:
        """Return the weighted sum over the tasks that the network solves; what has no label counts nothing."""
        losses = {
            MOVEMENT: movement_loss(
                logits[MOVEMENT], targets[MOVEMENT], self.outputs.to(logits[MOVEMENT].device), self.kind
            )
        }
        if VISEME in logits:
            known = targets[VISEME]
            losses[VISEME] = masked_class_loss(
                logits[VISEME].flatten(0, 1), known.labels.flatten(), known.weights.flatten()
            )
        if EMOTION in logits:
            losses[EMOTION] = masked_class_loss(logits[EMOTION], *targets[EMOTION])
        return total_loss(losses, self.weights.model_dump())

    def score(self, logits: Logits, targets: Mapping[str, Target]) -> dict[str, float]:
        """Return the measures of the dev clips: the CCC of the movement chooses the epoch, in every system alike."""
        known = targets[MOVEMENT]
        found = concordances(logits[MOVEMENT], known.labels, known.weights > 0)
        shares = self.outputs / self.outputs.sum()
        measures = {"score": float((found * shares).sum())}
        for task in (VISEME, EMOTION):
            if task in logits and (targets[task].weights > 0).any():
                right = logits[task].argmax(-1) == targets[task].labels
                measures[f"{task}_accuracy"] = float(right[targets[task].weights > 0].float().mean())
        return measures
