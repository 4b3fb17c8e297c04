"""The co-occurrence penalty against sums written out by hand, pair by pair."""

import math

import pytest
import torch
from torch import Tensor

from avpretext.models.losses import masked_class_loss, multi_label_loss, shares_loss
from avpretext.models.penalty import (
    Terms,
    class_penalty,
    class_terms,
    co_occurrences,
    excess,
    frequencies,
    label_terms,
    pair_penalty,
    penalties,
)

VOTES = torch.tensor([[9, 0, 0], [1, 4, 0], [0, 2, 2]])
"""Three clips in which raters named {0}, {0, 1}, {1, 2}."""
P = [[0.0, 0.5, 1.0], [0.5, 0.0, 0.0], [1.0, 0.5, 0.0]]
"""The penalty by target and prediction, worked out from them by hand."""
PENALTY = torch.tensor(P, dtype=torch.double)
HALF = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.double)


def one_hot(*labels: int) -> Tensor:
    return torch.eye(3, dtype=torch.double)[list(labels)]


def ones(count: int) -> Tensor:
    return torch.ones(count, dtype=torch.double)


def random_logits(clips: int, classes: int = 3) -> Tensor:
    return torch.randn(clips, classes, generator=torch.Generator().manual_seed(1), dtype=torch.double)


def test_the_matrix_of_three_clips_is_that_worked_out_by_hand() -> None:
    counts = co_occurrences(VOTES)
    assert counts.tolist() == [[2, 1, 0], [1, 2, 1], [0, 1, 1]]
    assert frequencies(counts).tolist() == [[1, 0.5, 0], [0.5, 1, 1], [0, 0.5, 1]]
    assert penalties(counts).tolist() == P


def test_it_matters_whether_a_class_was_named_not_how_often() -> None:
    assert torch.equal(co_occurrences(VOTES), co_occurrences((VOTES > 0).float()))
    assert torch.equal(co_occurrences(VOTES), co_occurrences(VOTES * 0.5))


def test_a_class_that_nobody_names_goes_with_no_other_and_costs_nothing_where_it_is_the_target() -> None:
    penalty = penalties(co_occurrences(torch.tensor([[3, 1, 0], [2, 0, 0]])))
    assert penalty.tolist() == [[0, 0, 1], [0.5, 0, 1], [1, 1, 0]]
    assert penalties(co_occurrences(torch.zeros(0, 2))).tolist() == [[0, 1], [1, 0]]


def test_one_clip_of_one_class_costs_what_was_worked_out_by_hand() -> None:
    terms = class_terms(HALF.log(), one_hot(0), ones(1))
    assert float(class_penalty(terms, PENALTY)) == pytest.approx(1.5 * math.log(2))
    assert float(pair_penalty(terms, PENALTY)) == pytest.approx(1.5 * math.log(4 / 3))
    # for target 1, to say 2 costs nothing, for whoever said 2 said 1 too; to say 0 costs half
    terms = class_terms(HALF.log(), one_hot(1), ones(1))
    assert float(class_penalty(terms, PENALTY)) == pytest.approx(0.5 * math.log(4))
    assert float(pair_penalty(terms, PENALTY)) == pytest.approx(0.5 * math.log(2))


def test_several_labels_cost_the_mean_over_them_of_each_absent_class() -> None:
    # labels 0 and 1; class 2 is said with 3/4: (P[0,2] + P[1,2]) / 2 = 1/2; mean over the 3 classes
    logits = torch.tensor([[0.0, 0.0, math.log(3)]], dtype=torch.double)
    terms = label_terms(logits, torch.tensor([[1.0, 1.0, 0.0]]).double(), ones(3))
    assert float(pair_penalty(terms, PENALTY)) == pytest.approx(0.5 * math.log(4) / 3)
    expected = (1.5 * math.log(2) + 0.5 * math.log(2) + 1.5 * math.log(4)) / 3
    assert float(class_penalty(terms, PENALTY)) == pytest.approx(expected)


def test_shares_cost_where_a_class_gets_more_than_its_share() -> None:
    # shares (1/2, 1/2, 0), predicted (1/4, 1/2, 1/4): only class 2 has too much, and costs (P[0,2] + P[1,2]) / 2
    predicted = torch.tensor([[0.25, 0.5, 0.25]], dtype=torch.double)
    shares = torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.double)
    assert float(pair_penalty(class_terms(predicted.log(), shares, ones(1)), PENALTY)) == pytest.approx(
        0.5 * math.log(4 / 3)
    )
    # predicted (1/2, 1/4, 1/4) of shares (1/4, 1/2, 1/4): class 0 has too much, and costs 1/2 P[1,0] + 1/4 P[2,0]
    shares = torch.tensor([[0.25, 0.5, 0.25]], dtype=torch.double)
    excess_of_0 = 0.25 * math.log(1 / 2) + 0.75 * math.log(3 / 2)
    terms = class_terms(HALF.log(), shares, ones(1))
    assert float(pair_penalty(terms, PENALTY)) == pytest.approx(0.5 * excess_of_0)
    assert float(class_penalty(terms, PENALTY)) == pytest.approx(
        1.5 * 0.25 * math.log(2) + 0.5 * 0.5 * math.log(4) + 1.5 * 0.25 * math.log(4)
    )


def all_terms(logits: Tensor, smoothing: float) -> dict[str, Terms]:
    weights = torch.tensor([1.0, 2.0, 0.5, 1.5], dtype=torch.double)
    shares = random_logits(4).abs().softmax(1)
    labels = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1]], dtype=torch.double)
    return {
        "hard": class_terms(logits, one_hot(0, 2, 1, 1), weights, smoothing),
        "multi_label": label_terms(logits, labels, weights[:3], smoothing),
        "distribution": class_terms(logits, shares, weights, smoothing),
    }


def base_loss(terms: Terms) -> Tensor:
    """Return the base loss of a batch, as `Terms.weights` says."""
    return terms.weights @ terms.losses.sum(1)


@pytest.mark.parametrize("kind", ["hard", "multi_label", "distribution"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_both_readings_are_the_sums_over_clips_targets_and_predictions(kind: str, smoothing: float) -> None:
    terms = all_terms(random_logits(4), smoothing)[kind]
    printed = pairs = 0.0
    for i in range(4):
        for j in range(3):
            for z in range(3):
                weight = float(terms.weights[i]) * P[j][z]
                t, p = float(terms.asked[i, z]), math.exp(float(terms.log_yes[i, z]))
                too_much = t * math.log(t / p) if t and p > t else 0.0
                too_much += (1 - t) * math.log((1 - t) / (1 - p)) if t < 1 and p > t else 0.0
                printed += weight * float(terms.losses[i, j])
                pairs += weight * float(terms.shares[i, j]) * too_much
    assert float(class_penalty(terms, PENALTY)) == pytest.approx(printed)
    assert float(pair_penalty(terms, PENALTY)) == pytest.approx(pairs)
    assert pairs > 0


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_terms_add_up_to_the_base_losses_balanced_and_smoothed(smoothing: float) -> None:
    logits, labels = random_logits(4), torch.tensor([0, 2, 1, 1])
    balance = torch.tensor([0.5, 2.0, 1.0], dtype=torch.double)
    hard = class_terms(logits, one_hot(0, 2, 1, 1), balance[labels], smoothing)
    assert float(base_loss(hard)) == pytest.approx(
        float(masked_class_loss(logits, labels, ones(4), balance, smoothing))
    )
    shares = random_logits(4).softmax(1)
    assert float(base_loss(class_terms(logits, shares, shares @ balance, smoothing))) == pytest.approx(
        float(shares_loss(logits, shares, balance, smoothing))
    )
    several = (random_logits(4) > 0).double()
    assert float(base_loss(label_terms(logits, several, balance, smoothing))) == pytest.approx(
        float(multi_label_loss(logits, several, balance, smoothing))
    )


@pytest.mark.parametrize("kind", ["hard", "multi_label", "distribution"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("penalise", [class_penalty, pair_penalty])
def test_gradients_are_those_of_finite_differences(kind: str, smoothing: float, penalise) -> None:  # type: ignore[no-untyped-def]
    logits = random_logits(4).requires_grad_()
    assert torch.autograd.gradcheck(lambda values: penalise(all_terms(values, smoothing)[kind], PENALTY), logits)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_by_pairs_the_best_prediction_of_a_clip_stays_its_target(smoothing: float) -> None:
    shares = torch.tensor([[0.6, 0.3, 0.1]], dtype=torch.double)
    asked = shares * (1 - smoothing) + smoothing / 3
    logits = asked.log().requires_grad_()
    terms = class_terms(logits, shares, ones(1), smoothing)
    (base_loss(terms) + pair_penalty(terms, PENALTY)).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-12
    # as printed it does not: the class with the larger weight is said too often
    logits = asked.log().requires_grad_()
    class_penalty(class_terms(logits, shares, ones(1), smoothing), PENALTY).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[0, 0] < -0.01


def test_by_pairs_a_prediction_that_raters_would_not_make_costs_more_and_as_printed_it_costs_the_same() -> None:
    likely, unlikely = (torch.tensor([row], dtype=torch.double).log() for row in ([0.2, 0.7, 0.1], [0.2, 0.1, 0.7]))
    near, far = (class_terms(logits, one_hot(0), ones(1)) for logits in (likely, unlikely))
    assert float(pair_penalty(far, PENALTY)) > 1.5 * float(pair_penalty(near, PENALTY))
    assert float(class_penalty(far, PENALTY)) == pytest.approx(float(class_penalty(near, PENALTY)))


@pytest.mark.parametrize("size", [30.0, 200.0])
def test_certain_predictions_have_finite_losses_and_gradients(size: float) -> None:
    logits = torch.tensor([[size, 0.0, 0.0], [0.0, size, -size]], requires_grad=True)
    shares = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    for terms in (class_terms(logits, shares, torch.ones(2)), label_terms(logits, shares, torch.ones(3))):
        loss = pair_penalty(terms, PENALTY.float()) + class_penalty(terms, PENALTY.float())
        (gradient,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()
        assert gradient[0, 0] > 0.1  # said too surely, it is pulled down as strongly as ever


def test_too_much_is_counted_and_too_little_is_not() -> None:
    asked = torch.tensor([0.5, 0.5, 0.5, 0.0, 1.0])
    said = torch.tensor([0.25, 0.5, 0.75, 0.5, 0.5])
    found = excess(asked, said.log(), (1 - said).log())
    assert found.tolist() == pytest.approx([0, 0, 0.5 * math.log(2 / 3) + 0.5 * math.log(2), math.log(2), 0], abs=1e-6)
