"""Objectives: scores by hand, and units that come back."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from avpretext.config import FinetuneOptions, PenaltyOptions
from avpretext.errors import UserError
from avpretext.models.penalty import class_penalty, pair_penalty
from avpretext.training.objectives import TASK, ClassObjective, make_objective

OPTIONS = FinetuneOptions()
PENALTY = np.array([[0, 0.5, 1], [0.5, 0, 0], [1, 0.5, 0]])
"""The penalty by target and prediction of three clips in which raters named {0}, {0, 1} and {1, 2}."""
TRAIN = {
    "hard": [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "multi_label": [[1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 0]],
    "distribution": [[0.5, 0.5, 0], [0.75, 0, 0.25], [0, 1, 0], [1, 0, 0]],
}


def values(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_hard_is_scored_by_uar_and_between_equals_by_loss() -> None:
    objective = make_objective("hard", values([1, 0], [0, 1]), OPTIONS)
    target = {TASK: objective.target(values([1, 0], [1, 0], [0, 1]))}
    logits = torch.tensor([[0.0, -math.log(3)], [-math.log(3), 0.0], [-math.log(3), 0.0]])
    measures = objective.score({TASK: logits}, target)
    loss = (2 * math.log(4 / 3) + math.log(4)) / 3
    assert measures["uar"] == pytest.approx(0.75)
    assert measures["loss"] == pytest.approx(loss)
    assert measures["score"] == pytest.approx(0.75 - 1e-3 * loss)


def test_balanced_classes_are_the_weighted_cross_entropy_of_the_podcast_challenges() -> None:
    """Their baseline: clips / (classes * clips of the class) as weights of `torch.nn.CrossEntropyLoss`."""
    train = values(*[[1, 0, 0]] * 6, *[[0, 1, 0]] * 3, [0, 0, 1])
    objective = make_objective("hard", train, FinetuneOptions(class_balance=True, label_smoothing=0))
    logits = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    published = torch.nn.CrossEntropyLoss(weight=torch.tensor([10 / (3 * 6), 10 / (3 * 3), 10 / (3 * 1)]))
    found = objective.loss({TASK: logits}, {TASK: objective.target(train)})
    torch.testing.assert_close(found, published(logits, torch.from_numpy(train.argmax(1))))


def test_sets_of_labels_are_scored_by_macro_f1_at_one_half() -> None:
    objective = make_objective("multi_label", values([1, 0], [0, 1]), OPTIONS)
    target = {TASK: objective.target(values([1, 1], [1, 0]))}
    # decided: both classes for the first, none for the second: F1 of 2/3 and 1
    measures = objective.score({TASK: torch.tensor([[0.0, 2.0], [-1.0, -1.0]])}, target)
    assert measures["macro_f1"] == pytest.approx(5 / 6)
    assert objective.predictions(torch.tensor([[0.0, math.log(3)]]))[0] == pytest.approx([0.5, 0.75])


def test_shares_are_scored_by_macro_f1_at_one_in_all_classes() -> None:
    objective = make_objective("distribution", values([0.5, 0.25, 0.25, 0]), OPTIONS)
    target = {TASK: objective.target(values([0.5, 0.25, 0.25, 0], [0, 0, 0, 1]))}
    logits = torch.tensor([[0.5, 0.3, 0.1, 0.1], [0.05, 0.3, 0.05, 0.6]]).log()
    # actual: abc and d; decided: ab and bd; F1: a 1, b 2/3, c 0, d 1
    assert objective.score({TASK: logits}, target)["macro_f1"] == pytest.approx((1 + 2 / 3 + 0 + 1) / 4)


def test_without_a_class_in_dev_the_score_is_the_loss_alone() -> None:
    objective = make_objective("multi_label", values([1, 0], [0, 1]), OPTIONS)
    measures = objective.score({TASK: torch.zeros(2, 2)}, {TASK: objective.target(values([0, 0], [0, 0]))})
    assert math.isnan(measures["macro_f1"])
    assert measures["score"] == pytest.approx(-1e-3 * math.log(2))


def test_an_attribute_is_learnt_in_deviations_and_given_back_in_its_unit() -> None:
    train = values([2], [4], [6])  # mean 4, deviation sqrt(8/3)
    objective = make_objective("attribute", train, OPTIONS)
    labels = objective.target(values([4], [6])).labels
    assert labels.flatten().tolist() == pytest.approx([0, 2 / math.sqrt(8 / 3)])
    assert objective.predictions(labels).flatten() == pytest.approx([4, 6])
    logits = objective.target(values([1], [2], [3])).labels  # against 2, 4, 6: CCC 4/11, in any unit
    measures = objective.score({TASK: logits}, {TASK: objective.target(train)})
    assert measures["ccc"] == pytest.approx(4 / 11)
    assert measures["loss"] == pytest.approx(7 / 11)


def test_an_attribute_that_never_changes_is_an_error() -> None:
    with pytest.raises(UserError, match="all training clips have the value 3"):
        make_objective("attribute", values([3], [3]), OPTIONS)


def test_class_balance_can_be_switched_off() -> None:
    train = values([1, 0], [1, 0], [1, 0], [0, 1])
    logits = {TASK: torch.tensor([[0.0, 2.0], [0.0, 2.0]])}
    for kind in ("hard", "multi_label", "distribution"):
        losses = []
        for balance in (True, False):
            objective = make_objective(kind, train, FinetuneOptions(class_balance=balance))  # type: ignore[arg-type]
            losses.append(float(objective.loss(logits, {TASK: objective.target(train[2:])})))
        assert losses[0] != pytest.approx(losses[1])


def penalised(**penalty: Any) -> FinetuneOptions:
    return FinetuneOptions(loss="penalty", penalty=PenaltyOptions(**penalty))


@pytest.mark.parametrize("kind", ["hard", "multi_label", "distribution"])
@pytest.mark.parametrize("reading", ["class", "pair"])
def test_the_loss_is_beta_times_base_plus_alpha_times_penalty(kind: Any, reading: Any) -> None:
    train = values(*TRAIN[kind])
    logits = {TASK: torch.randn(4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.double)}
    base = make_objective(kind, train, OPTIONS)
    target = {TASK: base.target(train)}
    terms = base.terms(logits[TASK], target[TASK])  # type: ignore[attr-defined]
    penalise = pair_penalty if reading == "pair" else class_penalty
    expected = 0.25 * base.loss(logits, target) + 2 * penalise(terms, torch.from_numpy(PENALTY))
    objective = make_objective(kind, train, penalised(alpha=2, beta=0.25, sum=reading), PENALTY)
    assert float(objective.loss(logits, target)) == pytest.approx(float(expected))
    assert float(objective.loss(logits, target)) != pytest.approx(float(0.25 * base.loss(logits, target)))


@pytest.mark.parametrize("kind", ["hard", "multi_label", "distribution"])
@pytest.mark.parametrize("balance", [True, False])
def test_terms_of_the_loss_add_up_to_it_balanced_and_smoothed(kind: Any, balance: bool) -> None:
    train = values(*TRAIN[kind])
    objective = make_objective(kind, train, FinetuneOptions(class_balance=balance, label_smoothing=0.2))
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    target = objective.target(train)
    terms = objective.terms(logits, target)  # type: ignore[attr-defined]
    added = float(terms.weights @ terms.losses.sum(1))
    assert added == pytest.approx(float(objective.loss({TASK: logits}, {TASK: target})), rel=1e-5)


def test_published_weights_of_zero_leave_base_or_penalty_alone() -> None:
    train = values(*TRAIN["hard"])
    plain = FinetuneOptions(class_balance=False, label_smoothing=0)
    logits = {TASK: torch.tensor([[0.5, 0.25, 0.25]]).log()}
    losses = {}
    for alpha, beta in ((0, 1), (1, 0), (0.5, 1)):
        options = plain.model_copy(update={"loss": "penalty", "penalty": PenaltyOptions(alpha=alpha, beta=beta)})
        objective = make_objective("hard", train, options, PENALTY)
        losses[alpha, beta] = float(objective.loss(logits, {TASK: objective.target(train[:1])}))
    assert losses[0, 1] == pytest.approx(math.log(2))
    assert losses[1, 0] == pytest.approx(1.5 * math.log(4 / 3))
    assert losses[0.5, 1] == pytest.approx(math.log(2) + 0.75 * math.log(4 / 3))


def test_dev_clips_are_measured_as_without_the_penalty() -> None:
    train = values(*TRAIN["multi_label"])
    base = make_objective("multi_label", train, OPTIONS)
    other = make_objective("multi_label", train, penalised(), PENALTY)
    logits = {TASK: torch.randn(4, 3, generator=torch.Generator().manual_seed(2))}
    assert isinstance(other, ClassObjective)
    assert other.penalty is not None
    assert other.score(logits, {TASK: other.target(train)}) == base.score(logits, {TASK: base.target(train)})
    np.testing.assert_array_equal(other.predictions(logits[TASK]), base.predictions(logits[TASK]))


def test_the_base_loss_reads_no_matrix() -> None:
    train = values(*TRAIN["hard"])
    objective = make_objective("hard", train, OPTIONS, PENALTY)
    assert isinstance(objective, ClassObjective)
    assert objective.penalty is None


def test_what_the_penalty_cannot_do_without_is_told_with_its_fix() -> None:
    with pytest.raises(UserError, match=r"penalty needs classes.*set finetune.loss to base"):
        make_objective("attribute", values([2], [4]), penalised(), PENALTY)
    with pytest.raises(UserError, match="needs the table of the stage co_occurrence"):
        make_objective("hard", values(*TRAIN["hard"]), penalised())
    with pytest.raises(UserError, match=r"beta 0 with sum: pair.*set beta"):
        make_objective("multi_label", values(*TRAIN["multi_label"]), penalised(beta=0), PENALTY)
    make_objective("multi_label", values(*TRAIN["multi_label"]), penalised(beta=0, sum="class"), PENALTY)
