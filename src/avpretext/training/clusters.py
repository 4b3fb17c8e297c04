"""Clusters as labels: k-means of vectors, uniform sampling per cluster, and how alike two clusterings are."""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from avpretext.errors import UserError
from avpretext.training import mapped

COLLAPSED_SHARE = 0.9
"""A cluster with more of the vectors than this is told of: hardly anything is left to tell apart."""

BLOCK = 65_536
"""Vectors whose distances are computed at a time."""

Vectors = NDArray[np.float32]
"""(N, D)."""
Labels = NDArray[np.int64]
"""(N,) numbers of clusters, from 0."""


class Clustering(NamedTuple):
    """Clusters of N vectors: the number of each one's, and the centres (k, D), of which some may have no vector."""

    labels: Labels
    centres: Vectors


def cluster(vectors: Vectors, count: int, iterations: int, seed: int, option: str) -> Clustering:
    """Return k-means clusters of vectors (N, D) as they are: no PCA, no whitening, no scaling, as published.

    Lloyd's algorithm from `count` vectors drawn at random, for so many `iterations` at most. A centre that loses all
    its vectors is put on the vector farthest from its own centre; where fewer than `count` vectors differ, some
    clusters stay empty. `option` is the key of `count` in the configuration, for the error.

    Raises
    ------
    UserError
        There are fewer vectors than clusters, or some are not finite.
    """
    if len(vectors) < count:
        raise UserError(f"{option} = {count}: there are only {len(vectors)} chunks to put in clusters; lower it")
    if not np.isfinite([vectors.min(), vectors.max()]).all():
        raise UserError(f"{option}: the vectors of the chunks are no longer finite: training has diverged")
    # Not with the module: pre-training on other tasks would wait two seconds for it.
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    vectors = mapped.filled(len(vectors), [vectors])  # shifted in place: they may be gigabytes on disk
    means = KMeans(count, init="random", n_init=1, max_iter=iterations, tol=0.0, random_state=seed, copy_x=False)
    with threadpool_limits(limits=1), warnings.catch_warnings():  # several threads add up centres in no fixed order
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer vectors differ: `sizes` shows it
        labels = means.fit_predict(vectors)
    return Clustering(labels.astype(np.int64), means.cluster_centers_.astype(np.float32))


def nearest(vectors: Vectors, centres: Vectors) -> Labels:
    """Return the number of the centre (k, D) that is nearest to each vector (N, D); between equals the first."""
    shift = centres.mean(0, dtype=np.float64)
    places = centres - shift
    blocks = np.array_split(vectors, len(vectors) // BLOCK + 1)
    return np.concatenate([((one - shift) @ places.T - 0.5 * np.square(places).sum(1)).argmax(1) for one in blocks])


def uniform_rows(labels: Labels, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return N rows in random order, as many of each cluster as of any other (up to one): the published sampling.

    Of a cluster with more rows than are wanted of it each is drawn at most once, of a smaller one again and again.

    >>> rows = uniform_rows(np.array([0, 0, 0, 0, 0, 0, 2, 2]), np.random.default_rng(1))
    >>> sorted(rows[rows >= 6].tolist())
    [6, 6, 7, 7]
    """
    present = np.unique(labels)
    shares = np.full(len(present), len(labels) // len(present))
    shares[rng.permutation(len(present))[: len(labels) % len(present)]] += 1
    drawn = [_drawn(np.flatnonzero(labels == name), share, rng) for name, share in zip(present, shares, strict=True)]
    return rng.permutation(np.concatenate(drawn))


def _drawn(rows: NDArray[np.int64], share: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return `share` of the rows: every one equally often, up to once."""
    rounds = [rng.permutation(rows) for _ in range(-(-share // len(rows)))]
    return np.concatenate(rounds)[:share]


def agreement(first: Labels, second: Labels) -> float:
    """Return the normalised mutual information of two clusterings of the same vectors, 0..1; 1: the same up to names.

    NMI = 2 I(first; second) / (H(first) + H(second)) (Caron et al., "Deep clustering for unsupervised learning of
    visual features", ECCV 2018, there with the geometric mean).

    >>> agreement(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]))
    1.0
    """
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(first, second))


def sizes(labels: Labels, count: int) -> dict[str, float]:
    """Return `smallest` and `largest` number of vectors in one of the clusters, and `largest_share` of them, 0..1.

    >>> sizes(np.array([0, 0, 0, 2]), 3)
    {'smallest': 0.0, 'largest': 3.0, 'largest_share': 0.75}
    """
    counts = np.bincount(labels, minlength=count)
    largest = float(counts.max())
    return {"smallest": float(counts.min()), "largest": largest, "largest_share": largest / len(labels)}


def collapse(labels: Labels, count: int, option: str) -> str | None:
    """Return what to warn of where one cluster has nearly all vectors; None elsewhere.

    >>> collapse(np.zeros(20, np.int64), 5, "k")
    '100% of the chunks are in one of 5 clusters, so hardly anything is learnt from them; try another k'
    """
    share = sizes(labels, count)["largest_share"]
    if share <= COLLAPSED_SHARE:
        return None
    return (
        f"{share:.0%} of the chunks are in one of {count} clusters, so hardly anything is learnt from them; try another"
        f" {option}"
    )
