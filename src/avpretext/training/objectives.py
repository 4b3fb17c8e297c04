"""What fine-tuning makes small and what chooses the epoch, for every kind of target."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from avpretext.config import FinetuneOptions, PenaltyOptions
from avpretext.corpora.settings import Kind
from avpretext.errors import UserError
from avpretext.models.losses import (
    balanced_class_weights,
    balanced_weights,
    concordance,
    concordance_loss,
    masked_class_loss,
    multi_label_loss,
    positive_weights,
    shares_loss,
)
from avpretext.models.penalty import Terms, class_penalty, class_terms, label_terms, pair_penalty
from avpretext.training.dev_scores import dev_measures, label_macro_f1
from avpretext.training.loop import Target
from avpretext.training.target_rows import has_classes

TASK = "ser"
"""Name of the head that is fine-tuned."""

Values = NDArray[np.float32]
"""(N, C) of clips: see `targets.Targets`; an attribute has C = 1."""

Matrix = NDArray[np.float64]


class Objective(Protocol):
    """Loss, dev score and predictions of one kind of target, for one set of training clips."""

    def target(self, values: Values) -> Target:
        """Return the target that the loss reads."""

    def loss(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> Tensor:
        """Return the loss of a batch."""

    def score(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, float]:
        """Return the measures of the dev clips; `score` chooses the epoch, between equals by the loss."""

    def predictions(self, logits: Tensor) -> Values:
        """Return probabilities, or the value of an attribute, from logits of the same shape."""


class Scale(NamedTuple):
    """Mean and deviation of an attribute over the training clips: an attribute is learnt in deviations."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, train: Values) -> Self:
        """Return those of the values of clips."""
        return cls(float(train.mean(dtype=np.float64)), float(train.std(dtype=np.float64)))


def outputs_of(kind: Kind, logits: Tensor, scale: Scale | None = None) -> Values:
    """Return what logits (N, C) say: probabilities or shares that add up to 1, probabilities 0..1 of each label, or,
    with the scale that it was learnt in, an attribute in its own unit.
    """
    if kind == "attribute":
        assert scale is not None
        return _array(logits.double() * scale.deviation + scale.mean)
    return _array(logits.sigmoid() if kind == "multi_label" else logits.softmax(1))


class ClassObjective(Objective, Protocol):
    """An objective of classes, whose loss can be taken apart."""

    def terms(self, logits: Tensor, target: Target) -> Terms:
        """Return the terms of the loss of a batch, for the co-occurrence penalty."""


class Hard:
    """One class per clip: cross-entropy, by option balanced over the classes and smoothed; scored by UAR."""

    def __init__(self, train: Values, options: FinetuneOptions) -> None:
        self.classes = train.shape[1]
        balanced = balanced_class_weights(self.target(train).labels, self.classes)
        self.class_weights = balanced if options.class_balance else torch.ones(self.classes)
        self.smoothing = options.label_smoothing

    def target(self, values: Values) -> Target:
        """Return class numbers."""
        return Target(torch.from_numpy(values.argmax(1)), torch.ones(len(values)))

    def loss(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> Tensor:
        """Return the loss of a batch."""
        weights = self.class_weights.to(logits[TASK].device)
        return masked_class_loss(logits[TASK], *targets[TASK], weights, self.smoothing)

    def terms(self, logits: Tensor, target: Target) -> Terms:
        """Return the terms of the loss of a batch."""
        labels = functional.one_hot(target.labels, self.classes).to(logits.dtype)
        clip_weights = target.weights * self.class_weights.to(logits.device)[target.labels]
        return class_terms(logits, labels, clip_weights.to(logits.dtype), self.smoothing)

    def score(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, float]:
        """Return loss, UAR and macro-F1."""
        measures = dev_measures(targets[TASK].labels, logits[TASK].argmax(1), self.classes)
        return _scored(float(masked_class_loss(logits[TASK], *targets[TASK])), measures, "uar")

    def predictions(self, logits: Tensor) -> Values:
        """Return probabilities that add up to 1."""
        return outputs_of("hard", logits)


class MultiLabel:
    """Any of the classes: binary cross-entropy, by option with yes and no balanced in each class; macro-F1 at .5."""

    def __init__(self, train: Values, options: FinetuneOptions) -> None:
        labels = torch.from_numpy(train)
        self.weights = positive_weights(labels) if options.class_balance else torch.ones(train.shape[1])
        self.smoothing = options.label_smoothing

    def target(self, values: Values) -> Target:
        """Return 0 and 1."""
        return Target(torch.from_numpy(values), torch.ones(len(values)))

    def loss(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> Tensor:
        """Return the loss of a batch."""
        weights = self.weights.to(logits[TASK].device)
        return multi_label_loss(logits[TASK], targets[TASK].labels, weights, self.smoothing)

    def terms(self, logits: Tensor, target: Target) -> Terms:
        """Return the terms of the loss of a batch."""
        return label_terms(logits, target.labels.to(logits.dtype), self.weights.to(logits), self.smoothing)

    def score(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, float]:
        """Return loss and macro-F1."""
        labels = targets[TASK].labels
        f1 = _macro_f1(labels, self.predictions(logits[TASK]), "multi_label")
        return _scored(float(multi_label_loss(logits[TASK], labels)), {"macro_f1": f1}, "macro_f1")

    def predictions(self, logits: Tensor) -> Values:
        """Return the probability of each class, between 0 and 1."""
        return outputs_of("multi_label", logits)


class Distribution:
    """A share of each class: cross-entropy, by option weighing clips by their classes; macro-F1 of shares over 1/K.

    A clip weighs as much as its classes do on average, so that rare classes count and shares are still learnt as they
    are.
    """

    def __init__(self, train: Values, options: FinetuneOptions) -> None:
        mass = torch.from_numpy(train).sum(0)
        self.class_weights = balanced_weights(mass) if options.class_balance else torch.ones(train.shape[1])
        self.smoothing = options.label_smoothing

    def target(self, values: Values) -> Target:
        """Return the shares."""
        return Target(torch.from_numpy(values), torch.ones(len(values)))

    def loss(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> Tensor:
        """Return the loss of a batch."""
        weights = self.class_weights.to(logits[TASK].device)
        return shares_loss(logits[TASK], targets[TASK].labels, weights, self.smoothing)

    def terms(self, logits: Tensor, target: Target) -> Terms:
        """Return the terms of the loss of a batch."""
        shares = target.labels.to(logits.dtype)
        return class_terms(logits, shares, shares @ self.class_weights.to(logits), self.smoothing)

    def score(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, float]:
        """Return loss and macro-F1."""
        shares = targets[TASK].labels
        f1 = _macro_f1(shares, self.predictions(logits[TASK]), "distribution")
        return _scored(float(shares_loss(logits[TASK], shares)), {"macro_f1": f1}, "macro_f1")

    def predictions(self, logits: Tensor) -> Values:
        """Return shares that add up to 1."""
        return outputs_of("distribution", logits)


class Attribute:
    """A number: 1 - CCC over the batch, in deviations from the mean of the training clips; scored by CCC.

    Class balance and label smoothing say nothing of it.
    """

    def __init__(self, train: Values, options: FinetuneOptions) -> None:
        self.scale = Scale.of(train)
        self.mean, self.deviation = self.scale
        if self.deviation < 1e-6 * max(1.0, abs(self.mean)):
            raise UserError(f"all training clips have the value {self.mean:g}; there is nothing to learn from them")

    def target(self, values: Values) -> Target:
        """Return deviations from the training clips' mean."""
        return Target(torch.from_numpy((values - self.mean) / self.deviation).float(), torch.ones(len(values)))

    def loss(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> Tensor:
        """Return the loss of a batch."""
        return concordance_loss(logits[TASK], targets[TASK].labels)

    def score(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, float]:
        """Return loss and CCC over all dev clips, which is the same in any unit."""
        ccc = float(concordance(logits[TASK].double(), targets[TASK].labels.double()))
        return _scored(1 - ccc, {"ccc": ccc}, "ccc")

    def predictions(self, logits: Tensor) -> Values:
        """Return values in the unit of the target."""
        return outputs_of("attribute", logits, self.scale)


class Penalised:
    """An objective of classes whose loss is beta * its own + alpha * the co-occurrence penalty; see `models.penalty`.

    Dev clips are measured as without the penalty, so that the epoch is chosen alike whatever the loss.
    """

    def __init__(self, base: ClassObjective, penalty: Matrix, options: PenaltyOptions) -> None:
        self.penalty = torch.from_numpy(penalty)
        self.alpha, self.beta = options.alpha, options.beta
        self.penalise = pair_penalty if options.sum == "pair" else class_penalty
        self.base = base
        self.target, self.score, self.predictions = base.target, base.score, base.predictions

    def loss(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> Tensor:
        """Return the loss of a batch."""
        terms = self.base.terms(logits[TASK], targets[TASK])
        penalty = self.penalise(terms, self.penalty.to(logits[TASK]))
        return self.beta * self.base.loss(logits, targets) + self.alpha * penalty


_CLASS_OBJECTIVES: dict[Kind, Callable[[Values, FinetuneOptions], ClassObjective]] = {
    "hard": Hard,
    "multi_label": MultiLabel,
    "distribution": Distribution,
}


def make_objective(kind: Kind, train: Values, options: FinetuneOptions, penalty: Matrix | None = None) -> Objective:
    """Return the objective of a kind of target.

    Parameters
    ----------
    kind
        What the label of a clip is.
    train
        Targets of the training clips, which say how classes are balanced and how an attribute is scaled.
    options
        `loss`, `penalty`, `class_balance` and `label_smoothing`.
    penalty
        (K, K), P of `models.penalty` for the training clips; read by the loss `penalty` alone.

    Raises
    ------
    UserError
        An attribute is the same for all training clips; the loss is `penalty` and there are no classes, no matrix, or
        nothing that asks for the classes of a clip.
    """
    if options.loss == "penalty":
        return _penalised(kind, train, options, penalty)
    return Attribute(train, options) if kind == "attribute" else _CLASS_OBJECTIVES[kind](train, options)


def _penalised(kind: Kind, train: Values, options: FinetuneOptions, penalty: Matrix | None) -> Objective:
    if kind == "attribute":
        raise UserError("finetune.loss: penalty needs classes, and an attribute has none; set finetune.loss to base")
    if penalty is None:
        raise UserError(
            "finetune.loss: penalty needs the table of the stage co_occurrence; run that stage first and name its table"
        )
    if kind == "multi_label" and options.penalty.sum == "pair" and not options.penalty.beta:
        raise UserError(
            "finetune.penalty: beta 0 with sum: pair would ask for no label at all of a clip with several; set beta"
            " above 0, or sum to class"
        )
    return Penalised(_CLASS_OBJECTIVES[kind](train, options), penalty, options.penalty)


def _macro_f1(actual: Tensor, predicted: Values, kind: Kind) -> float:
    decided = (torch.from_numpy(has_classes(values, kind)) for values in (actual.numpy(), predicted))
    return label_macro_f1(*decided)


def _scored(loss: float, measures: dict[str, float], chooses: str) -> dict[str, float]:
    """Return the measures with the score; one that is not defined on the dev clips counts 0."""
    value = 0.0 if np.isnan(measures[chooses]) else measures[chooses]
    return {"loss": loss, **measures, "score": value - 1e-3 * loss}


def _array(values: Tensor) -> Values:
    array: Values = values.float().numpy()
    return array
