"""The loss of fine-tuning, and the dev score that chooses the epoch, for every kind of target."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from avpretext.config import FinetuneOptions
from avpretext.corpora.settings import NUMBERS, Kind
from avpretext.errors import UserError
from avpretext.models import losses
from avpretext.models.losses import NO_LABEL
from avpretext.models.penalty import Terms, class_penalty, class_terms, label_terms, pair_penalty
from avpretext.training.loop import Target
from avpretext.training.target_rows import has_classes

TASK = "ser"
"""Name of the head that is fine-tuned."""

Values = NDArray[np.float32]
"""(N, C) of clips: see `target_rows.Targets`; C is the number of classes, or of attributes."""

Matrix = NDArray[np.float64]


class Scale(NamedTuple):
    """Mean and deviation of an attribute over the training clips: an attribute is learnt in deviations."""

    mean: float
    deviation: float

    @classmethod
    def of_each(cls, train: Values) -> tuple[Self, ...]:
        """Return those of each of C attributes, from the values (N, C) of clips."""
        return tuple(cls(float(of.mean(dtype=np.float64)), float(of.std(dtype=np.float64))) for of in train.T)


def outputs_of(kind: Kind, logits: Tensor, scales: Sequence[Scale] = ()) -> Values:
    """Return the predictions of logits (N, C), (N, C).

    hard, distribution: probabilities or shares that add up to 1; multi_label: the probability 0..1 of each label;
    attributes: their values in their own units, by the scales that they were learnt in.
    """
    values: Values = output_tensor(kind, logits, scales).float().numpy()
    return values


def output_tensor(kind: Kind, logits: Tensor, scales: Sequence[Scale] = ()) -> Tensor:
    """Return the predictions of logits (N, C) as `outputs_of`, attributes as float64."""
    if kind in NUMBERS:
        means, deviations = torch.tensor(scales, dtype=torch.float64).unbind(1)
        return logits.double() * deviations + means
    return logits.sigmoid() if kind == "multi_label" else logits.softmax(1)


class Objective(ABC):
    """Loss, dev score and predictions of one kind of target, for one set of training clips."""

    kind: ClassVar[Kind]

    def target(self, values: Values) -> Target:
        """Return the target that the loss reads: the values as they are, unless a kind says otherwise."""
        return Target(torch.from_numpy(values), torch.ones(len(values)))

    @abstractmethod
    def loss(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> Tensor:
        """Return the loss of a batch."""

    @abstractmethod
    def score(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, float]:
        """Return the measures of the dev clips; `score` chooses the epoch, between equals by the loss."""

    def predictions(self, logits: Tensor) -> Values:
        """Return probabilities, or the values of attributes, from logits of the same shape; see `outputs_of`."""
        return outputs_of(self.kind, logits)


class ClassObjective(Objective):
    """An objective of classes; with a matrix its loss is beta * its own + alpha * the penalty, see `models.penalty`.

    Dev clips are measured without balance, smoothing and penalty, so that the epoch is chosen alike whatever the loss.
    `train` are the targets of the training clips; `penalty` is P (K, K); None: no penalty.
    """

    def __init__(self, train: Values, options: FinetuneOptions, penalty: Matrix | None = None) -> None:
        self.weights = self.balance(train) if options.class_balance else torch.ones(train.shape[1])
        self.smoothing, self.options = options.label_smoothing, options.penalty
        self.penalty = None if penalty is None else torch.from_numpy(penalty)

    @abstractmethod
    def balance(self, train: Values) -> Tensor:
        """Return (K,) the weights that balance the classes of the training clips."""

    @abstractmethod
    def batch_loss(self, logits: Tensor, target: Target, weights: Tensor | None = None, smoothing: float = 0) -> Tensor:
        """Return the loss of a batch."""

    @abstractmethod
    def terms(self, logits: Tensor, target: Target) -> Terms:
        """Return the terms of the loss of a batch, for the penalty."""

    def loss(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> Tensor:
        """Return the loss of a batch."""
        weights = self.weights.to(logits[TASK].device)
        loss = self.batch_loss(logits[TASK], targets[TASK], weights, self.smoothing)
        if self.penalty is None:
            return loss
        penalise = pair_penalty if self.options.sum == "pair" else class_penalty
        penalty = penalise(self.terms(logits[TASK], targets[TASK]), self.penalty.to(logits[TASK]))
        return self.options.beta * loss + self.options.alpha * penalty

    def score(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, float]:
        """Return loss and macro-F1 over the classes that a clip has, see `has_classes`."""
        values = (targets[TASK].labels.numpy(), self.predictions(logits[TASK]))
        f1 = label_macro_f1(*(torch.from_numpy(has_classes(part, self.kind)) for part in values))
        return _scored(float(self.batch_loss(logits[TASK], targets[TASK])), {"macro_f1": f1}, "macro_f1")


class Hard(ClassObjective):
    """One class per clip: cross-entropy, by option balanced over the classes and smoothed; scored by UAR."""

    kind = "hard"

    def target(self, values: Values) -> Target:
        """Return class numbers."""
        return Target(torch.from_numpy(values.argmax(1)), torch.ones(len(values)))

    def balance(self, train: Values) -> Tensor:
        """Return (K,) weights by which every class counts the same, see `losses.balanced_class_weights`."""
        return losses.balanced_class_weights(self.target(train).labels, train.shape[1])

    def batch_loss(self, logits: Tensor, target: Target, weights: Tensor | None = None, smoothing: float = 0) -> Tensor:
        """Return the cross-entropy of logits (B, K) and class numbers (B,)."""
        return losses.masked_class_loss(logits, *target, weights, smoothing)

    def terms(self, logits: Tensor, target: Target) -> Terms:
        """Return the terms of the cross-entropy, see `models.penalty.class_terms`."""
        labels = functional.one_hot(target.labels, len(self.weights)).to(logits.dtype)
        clip_weights = target.weights * self.weights.to(logits.device)[target.labels]
        return class_terms(logits, labels, clip_weights.to(logits.dtype), self.smoothing)

    def score(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, float]:
        """Return loss, UAR and macro-F1."""
        measures = dev_measures(targets[TASK].labels, logits[TASK].argmax(1), len(self.weights))
        return _scored(float(self.batch_loss(logits[TASK], targets[TASK])), measures, "uar")


class MultiLabel(ClassObjective):
    """Any of the classes: binary cross-entropy, by option with yes and no balanced in each class; macro-F1 at .5."""

    kind = "multi_label"

    def balance(self, train: Values) -> Tensor:
        """Return (K,) weights of yes that balance yes and no in each class, see `losses.positive_weights`."""
        return losses.positive_weights(torch.from_numpy(train))

    def batch_loss(self, logits: Tensor, target: Target, weights: Tensor | None = None, smoothing: float = 0) -> Tensor:
        """Return the binary cross-entropy of logits and labels, both (B, K)."""
        return losses.multi_label_loss(logits, target.labels, weights, smoothing)

    def terms(self, logits: Tensor, target: Target) -> Terms:
        """Return the terms of the binary cross-entropy, see `models.penalty.label_terms`."""
        return label_terms(logits, target.labels.to(logits.dtype), self.weights.to(logits), self.smoothing)


class Distribution(ClassObjective):
    """A share of each class: cross-entropy, by option weighing clips by their classes; macro-F1 of shares over 1/K.

    A clip weighs as much as its classes do on average, so that rare classes count and shares are still learnt as they
    are.
    """

    kind = "distribution"

    def balance(self, train: Values) -> Tensor:
        """Return (K,) weights by which every class counts the same, by its shares; see `losses.balanced_weights`."""
        return losses.balanced_weights(torch.from_numpy(train).sum(0))

    def batch_loss(self, logits: Tensor, target: Target, weights: Tensor | None = None, smoothing: float = 0) -> Tensor:
        """Return the cross-entropy of logits and shares, both (B, K)."""
        return losses.shares_loss(logits, target.labels, weights, smoothing)

    def terms(self, logits: Tensor, target: Target) -> Terms:
        """Return the terms of the cross-entropy with shares, see `models.penalty.class_terms`."""
        shares = target.labels.to(logits.dtype)
        return class_terms(logits, shares, shares @ self.weights.to(logits), self.smoothing)


class Attributes(Objective):
    """Numbers: 1 - CCC over the batch, in deviations from the mean of the training clips; scored by CCC.

    Of several attributes loss and CCC are the mean of theirs, as in the baseline of the challenges on MSP-Podcast,
    whose loss is the sum (github.com/msplabresearch/MSP-Podcast_Challenge, train_ft_dim_ser.py). Class balance and
    label smoothing do not apply. `names` are those of the attributes, for messages.
    """

    kind = "attributes"

    def __init__(self, train: Values, names: Sequence[str] = ()) -> None:
        self.scales = Scale.of_each(train)
        for place, scale in enumerate(self.scales):
            if scale.deviation < 1e-6 * max(1.0, abs(scale.mean)):
                of = f" of {names[place]!r}" if len(self.scales) > 1 and names else ""
                raise UserError(
                    f"all training clips have the value {scale.mean:g}{of}; there is nothing to learn from them"
                )

    def target(self, values: Values) -> Target:
        """Return deviations from the training clips' means."""
        means, scales = np.array(self.scales, values.dtype).T
        deviations = (values - means) / scales
        return Target(torch.from_numpy(deviations).float(), torch.ones(len(values)))

    def loss(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> Tensor:
        """Return the loss of a batch."""
        return losses.concordance_loss(logits[TASK], targets[TASK].labels)

    def score(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, float]:
        """Return loss and CCC over all dev clips, which is the same in any unit."""
        ccc = float(losses.concordance(logits[TASK].double(), targets[TASK].labels.double()).mean())
        return _scored(1 - ccc, {"ccc": ccc}, "ccc")

    def predictions(self, logits: Tensor) -> Values:
        """Return values in the units of the target."""
        return outputs_of(self.kind, logits, self.scales)


_OF_CLASSES: dict[Kind, type[ClassObjective]] = {kind.kind: kind for kind in (Hard, MultiLabel, Distribution)}


def make_objective(
    kind: Kind, train: Values, options: FinetuneOptions, penalty: Matrix | None = None, names: Sequence[str] = ()
) -> Objective:
    """Return the objective of a kind of target.

    The targets of the training clips say how classes are balanced and how attributes are scaled. `penalty` is P (K, K)
    of `models.penalty` for these clips, read by the loss `penalty` alone; `names` are those of classes or attributes.

    Raises
    ------
    UserError
        An attribute is the same for all training clips; the loss is `penalty` and there are no classes, no matrix, or
        no loss for the classes of a clip.
    """
    if options.loss != "penalty":
        return Attributes(train, names) if kind in NUMBERS else _OF_CLASSES[kind](train, options)
    if kind in NUMBERS:
        raise UserError("finetune.loss: penalty needs classes, and an attribute has none; set finetune.loss to base")
    if penalty is None:
        raise UserError(
            "finetune.loss: penalty needs the table of the stage co_occurrence; run that stage first and name its table"
        )
    if kind == "multi_label" and options.penalty.sum == "pair" and not options.penalty.beta:
        raise UserError(
            "finetune.penalty: beta 0 with sum: pair has no loss for a label of a clip with several; set beta above 0,"
            " or sum to class"
        )
    return _OF_CLASSES[kind](train, options, penalty)


def _scored(loss: float, measures: dict[str, float], chooses: str) -> dict[str, float]:
    """Return the measures with the score; one that is not defined on the dev clips counts 0."""
    value = 0.0 if np.isnan(measures[chooses]) else measures[chooses]
    return {"loss": loss, **measures, "score": value - 1e-3 * loss}


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
