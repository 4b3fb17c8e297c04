r"""The co-occurrence penalty: a loss that costs more where raters would not have said so.

Raters who disagree tell which emotions go together. From their votes on the training clips:

- N[j,z] is the number of clips in which both j and z were named by at least one rater; N[z,z] those with z.
- F[j,z] = N[j,z] / N[z,z]: every column divided by its class total, so the diagonal is 1, and F is not symmetric: the
  share of the clips with z in which somebody named j too.
- P = 1 - F: the penalty between the target j and the predicted z.

The penalty of a batch is the sum over clips i, targets j and predictions z of P[j,z] times an elementwise loss, in one
of two readings; the loss is beta * base + alpha * penalty.

`class`, the formula as printed: sum_ijz P[j,z] L[i,j], with L[i,j] the term of class j in the base loss of clip i. It
says z in P alone, so it is a weight for each class, w[j] = sum_z P[j,z], whatever is predicted.

`pair`, the intent by its words, a penalty between the target class and the predicted class: sum_ijz P[j,z] L[i,j,z],

    L[i,j,z] = tau[i,j] * D(t[i,z], p[i,z])
    D(t, p)  = t log(t / p) + (1 - t) log((1 - t) / (1 - p))  where p > t, else 0

tau[i,j] is the share of class j in the target of clip i, t[i,z] what is asked of class z, and p[i,z] the probability
put on it. D is the divergence between saying z with probability p and with t, counted where p is too much: 0 at p = t,
with slope 0, so it has a derivative everywhere, and the best prediction of every clip stays its target. By kind:

- hard, target y: sum_z P[y,z] * -log(1 - p[i,z]), p = softmax.
- multi_label, labels Y of a clip: sum over z not in Y of mean_{j in Y} P[j,z] * -log(1 - p[i,z]), p = sigmoid.
- distribution, shares t: sum_z (sum_j t[j] P[j,z]) * D(t[z], p[i,z]), p = softmax.

Label smoothing changes t as it does in the base loss, and tau not: the target is smoothed, not who it is. Class balance
weighs clips (hard, distribution) as in the base loss; of multi_label it weighs what is said of present classes, so it
is part of L[i,j], and says nothing of `pair`, which is about the absent ones.

By hand, with three clips in which raters named {0}, {0, 1} and {1, 2}: N = [[2, 1, 0], [1, 2, 1], [0, 1, 1]],
F = [[1, .5, 0], [.5, 1, 1], [0, .5, 1]], P = [[0, .5, 1], [.5, 0, 0], [1, .5, 0]]. A clip of class 0 is predicted
(1/2, 1/4, 1/4): `class` gives 1.5 * log 2 = 1.0397, `pair` gives .5 * log(4/3) + 1 * log(4/3) = .4315.

Source: Chou, Lee & Busso, "Exploiting co-occurrence frequency of emotions in perceptual evaluations to train a speech
emotion classifier", Interspeech 2022, for N, F, P and the printed sum; the formula of `pair` is ours.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Terms(NamedTuple):
    """What a batch of N clips and K classes comes to, term by term.

    Attributes
    ----------
    shares
        (N, K), tau: the share of each class in the target of a clip; a row adds up to 1, or is 0 without any class.
    asked
        (N, K), t: what is asked of each class, label smoothing included.
    log_yes, log_no
        (N, K): logarithms of the probability p put on each class, and of 1 - p.
    losses
        (N, K), L: the terms of the base loss.
    weights
        (N,): what a clip counts, so that the base loss is sum_i weights[i] * sum_j losses[i,j].
    """

    shares: Tensor
    asked: Tensor
    log_yes: Tensor
    log_no: Tensor
    losses: Tensor
    weights: Tensor


def co_occurrences(votes: Tensor) -> Tensor:
    """Return in how many clips two classes were both named, (K, K); the diagonal: in how many each one was.

    `votes` (N, K) are how many raters chose each class; one is enough.

    >>> co_occurrences(torch.tensor([[9, 0, 0], [1, 4, 0], [0, 2, 2]]))
    tensor([[2., 1., 0.],
            [1., 2., 1.],
            [0., 1., 1.]], dtype=torch.float64)
    """
    named = (votes > 0).double()
    return named.T @ named


def frequencies(counts: Tensor) -> Tensor:
    """Return co-occurrences (K, K) with each column divided by its class total: the diagonal is 1.

    A class that nobody names goes with no other: 0 beside the diagonal.

    >>> frequencies(torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.0]]))
    tensor([[1.0000, 0.5000, 0.0000],
            [0.5000, 1.0000, 0.0000],
            [0.0000, 0.0000, 1.0000]])
    """
    shares = counts / counts.diagonal().clamp(min=1)
    return shares.fill_diagonal_(1)


def penalties(counts: Tensor) -> Tensor:
    """Return P (K, K), by target and prediction, from the co-occurrences: 0 on the diagonal, at most 1."""
    return 1 - frequencies(counts)


def class_terms(logits: Tensor, shares: Tensor, clip_weights: Tensor, smoothing: float = 0.0) -> Terms:
    """Return the terms of the cross-entropy with a share of each class, as of `losses.shares_loss`.

    Logits and shares are (N, K), shares add up to 1: one-hot for a single class. `clip_weights` (N,) are what each clip
    counts; `smoothing` is the share of the target spread evenly over all classes, 0..1.
    """
    asked = shares * (1 - smoothing) + smoothing / shares.shape[1]
    log_yes = logits.log_softmax(1)
    weights = clip_weights / clip_weights.sum().clamp(min=1e-8)
    return Terms(shares, asked, log_yes, _log_of_others(logits), -asked * log_yes, weights)


def label_terms(logits: Tensor, labels: Tensor, positive_weights: Tensor, smoothing: float = 0.0) -> Terms:
    """Return the terms of the binary cross-entropies, as of `losses.multi_label_loss`, whose arguments it takes."""
    asked = labels * (1 - smoothing) + smoothing / 2
    log_yes, log_no = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    losses = -positive_weights * asked * log_yes - (1 - asked) * log_no
    shares = labels / labels.sum(1, keepdim=True).clamp(min=1)
    return Terms(shares, asked, log_yes, log_no, losses, torch.full_like(logits[:, 0], 1 / logits.numel()))


def _log_of_others(logits: Tensor) -> Tensor:
    """Return log(1 - softmax(logits)), (N, K): exact where a probability is nearly 1, as a difference is not."""
    itself = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
    others = logits.unsqueeze(1).masked_fill(itself, -torch.inf)  # (N, K, K)
    return others.logsumexp(2) - logits.logsumexp(1, keepdim=True)


def class_penalty(terms: Terms, penalty: Tensor) -> Tensor:
    """Return the penalty of a batch as printed, with P (K, K): sum_ijz P[j,z] L[i,j], a weight for each class."""
    return terms.weights @ (terms.losses @ penalty.sum(1))


def pair_penalty(terms: Terms, penalty: Tensor) -> Tensor:
    """Return the penalty between target and prediction, with P (K, K): sum_ijz P[j,z] tau[i,j] D(t[i,z], p[i,z])."""
    costs = terms.shares @ penalty  # (N, K): what a too high probability of z costs
    return terms.weights @ (costs * excess(terms.asked, terms.log_yes, terms.log_no)).sum(1)


def excess(asked: Tensor, log_yes: Tensor, log_no: Tensor) -> Tensor:
    """Return D(t, p) = t log(t / p) + (1 - t) log((1 - t) / (1 - p)) where p > t, else 0; in nats.

    `asked` is t, 0..1; `log_yes` and `log_no` are log p and log(1 - p), of the same shape.
    """
    certain = torch.xlogy(asked, asked) + torch.xlogy(1 - asked, 1 - asked)
    divergence = certain - asked * log_yes - (1 - asked) * log_no
    return torch.where(log_yes.exp() > asked, divergence, torch.zeros_like(divergence))
