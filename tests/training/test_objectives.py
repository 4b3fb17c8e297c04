"""Objectives: scores by hand, and units that come back."""

import math

import numpy as np
import pytest
import torch

from avpretext.config import FinetuneOptions
from avpretext.errors import UserError
from avpretext.training.objectives import TASK, make_objective

OPTIONS = FinetuneOptions()


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
