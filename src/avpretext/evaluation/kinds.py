"""How predictions are scored, by what the label of a clip is: one class, several, shares of classes, or numbers.

Each kind turns a clip into an array whose sum over clips says all that its measures need. So sums per speaker and seed
can be pooled, weighted and exchanged, and intervals and tests are the same for every kind.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext.corpora.settings import Kind
from avpretext.evaluation import metrics
from avpretext.evaluation.metrics import Floats, places
from avpretext.training.target_rows import has_classes

MEASURE_NAMES = {
    "macro_precision": "macro-precision", "macro_recall": "macro-recall", "macro_f1": "macro-F1", "uar": "UAR",
    "war": "WAR", "micro_f1": "micro-F1", "hamming_accuracy": "Hamming accuracy", "kl_divergence": "KL divergence",
    "ccc": "CCC", "pearson": "Pearson", "rmse": "RMSE", "mae": "MAE",
}  # fmt: skip
"""Every measure over all classes, as it is printed."""

LESS_IS_BETTER = ("kl_divergence", "rmse", "mae")
"""Of all other measures, more is."""

IN_UNITS = ("rmse", "mae")
"""Measures in the unit of the label, which corpora need not share."""

_BOUNDS = dict.fromkeys(LESS_IS_BETTER, (0.0, np.inf)) | {"ccc": (-1.0, 1.0), "pearson": (-1.0, 1.0)}
"""Least and largest value of measures that are not of 0 to 1."""

_BINS = 6
"""In how many ranges numbers are counted."""


@dataclass(frozen=True)
class Scoring:
    """How one kind of target is scored.

    Attributes
    ----------
    measures
        Measures over all classes, in the order of the tables.
    main
        The measure that the printed table and the charts are about.
    shown
        Others that the printed table gives.
    note
        What a reader must know of the measures, as a sentence.
    known
        Which rows of the predictions have a target.
    tally
        From predictions with a target, and the classes, to what is summed: shape (clips, ...).
    scores
        From sums, shape (..., what a clip has), to each of `measures`, shape (...).
    of_classes
        From sums to the measures of each class or attribute, such as precision, recall and F1, and the clips that have
        it, shape (..., classes); None for a single number.
    of_class
        Which of these the report shows.
    matrix
        Whether the sums are confusion matrices.
    balance
        From the classes, and the targets of clips, to how many clips have which; of shares, their sum.
    """

    measures: tuple[str, ...]
    main: str
    shown: tuple[str, ...]
    note: str
    known: pl.Expr
    tally: Callable[[pl.DataFrame, Sequence[str]], Floats]
    scores: Callable[[Floats], dict[str, Floats]]
    of_classes: Callable[[Floats], tuple[Mapping[str, Floats], Floats]] | None
    matrix: bool
    balance: Callable[[Sequence[str], pl.DataFrame], dict[str, float]]
    of_class: str = "f1"

    @property
    def main_name(self) -> str:
        """The main measure as it is printed."""
        return MEASURE_NAMES[self.main]

    def all_scores(self, sums: Floats, classes: Sequence[str]) -> dict[tuple[str, str | None], Floats]:
        """Return every measure under (measure, class), those over all classes under (measure, None)."""
        scores: dict[tuple[str, str | None], Floats] = {
            (name, None): value for name, value in self.scores(sums).items()
        }
        if self.of_classes is None:
            return scores
        of_classes, _ = self.of_classes(sums)
        for measure, values in of_classes.items():
            scores |= {(measure, name): values[..., place] for place, name in enumerate(classes)}
        return scores

    def support(self, sums: Floats) -> Floats | None:
        """Return how many clips have each class, shape (..., classes); None for a single number."""
        return None if self.of_classes is None else self.of_classes(sums)[1]


def within_bounds(measure: str, ends: tuple[float, float]) -> tuple[float, float]:
    """Cut the ends of an interval at the least and the largest value that a measure can have.

    >>> within_bounds("macro_f1", (0.9, 1.04)), within_bounds("ccc", (-0.2, 0.1))
    ((0.9, 1.0), (-0.2, 0.1))
    """
    low, high = np.clip(ends, *_BOUNDS.get(measure, (0.0, 1.0))).tolist()
    return low, high


def _vectors(column: pl.Series, width: int) -> NDArray[np.float32]:
    """Return a column of equally long lists as an array, shape (rows, width)."""
    return column.list.to_array(width).to_numpy().reshape(-1, width).astype(np.float32)


def _pairs(rows: pl.DataFrame, classes: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return truth and prediction, each of shape (clips, classes)."""
    return _vectors(rows["truth"], len(classes)), _vectors(rows["probabilities"], len(classes))


def _confusions(rows: pl.DataFrame, classes: Sequence[str]) -> Floats:
    """Return a confusion matrix per clip, shape (clips, classes, classes)."""
    sums = np.zeros((rows.height, len(classes), len(classes)))
    sums[np.arange(rows.height), places(rows["label"], classes), places(rows["predicted"], classes)] = 1
    return sums


def _decisions(rows: pl.DataFrame, classes: Sequence[str]) -> Floats:
    """Return the decisions of each clip, shape (clips, classes, 2, 2)."""
    truth, predicted = _pairs(rows, classes)
    return metrics.decisions(has_classes(truth, "multi_label"), has_classes(predicted, "multi_label"))


def _shares(rows: pl.DataFrame, classes: Sequence[str]) -> Floats:
    """Return decisions, divergence and 1 for each clip, shape (clips, 4 * classes + 2)."""
    truth, predicted = _pairs(rows, classes)
    decided = metrics.decisions(has_classes(truth, "distribution"), has_classes(predicted, "distribution"))
    divergence = metrics.kl_divergence(truth.astype(np.float64), predicted.astype(np.float64))
    return np.concatenate([decided.reshape(rows.height, -1), divergence[:, None], np.ones((rows.height, 1))], axis=1)


def _decisions_of_shares(sums: Floats) -> Floats:
    return sums[..., :-2].reshape(*sums.shape[:-1], -1, 2, 2)


def _numbers(rows: pl.DataFrame, classes: Sequence[str]) -> Floats:
    truth, predicted = _pairs(rows, classes)
    return metrics.moments(truth[:, 0].astype(np.float64), predicted[:, 0].astype(np.float64))


def _several_numbers(rows: pl.DataFrame, classes: Sequence[str]) -> Floats:
    """Return moments and the distance of each attribute and clip, shape (clips, attributes, 7)."""
    truth, predicted = (values.astype(np.float64) for values in _pairs(rows, classes))
    return np.concatenate([metrics.moments(truth, predicted), np.abs(truth - predicted)[..., None]], axis=-1)


def _scores_of_numbers(sums: Floats) -> dict[str, Floats]:
    """Return the measures of each attribute, shape (..., attributes)."""
    clips = sums[..., 0]
    distance = np.divide(sums[..., -1], clips, out=np.full(clips.shape, np.nan), where=clips > 0)
    return metrics.number_scores(sums[..., :-1]) | {"mae": distance}


def _mean_of_numbers(sums: Floats) -> dict[str, Floats]:
    """Return the mean of each measure over the attributes; NaN where it is not known of one."""
    return {name: np.asarray(values.mean(axis=-1)) for name, values in _scores_of_numbers(sums).items()}


def _classes_of_numbers(sums: Floats) -> tuple[Mapping[str, Floats], Floats]:
    return _scores_of_numbers(sums), sums[..., 0]


def _share_scores(sums: Floats) -> dict[str, Floats]:
    clips = sums[..., -1]
    divergence = np.divide(sums[..., -2], clips, out=np.full(clips.shape, np.nan), where=clips > 0)
    return metrics.decision_scores(_decisions_of_shares(sums)) | {"kl_divergence": divergence}


def _classes_of_confusions(sums: Floats) -> tuple[Mapping[str, Floats], Floats]:
    return vars(metrics.class_scores(sums)), sums.sum(axis=-1)


def _classes_of_decisions(sums: Floats) -> tuple[Mapping[str, Floats], Floats]:
    return vars(metrics.decision_class_scores(sums)), sums[..., 1, :].sum(axis=-1)


def _classes_of_shares(sums: Floats) -> tuple[Mapping[str, Floats], Floats]:
    return _classes_of_decisions(_decisions_of_shares(sums))


def _label_balance(classes: Sequence[str], rows: pl.DataFrame) -> dict[str, float]:
    """Count the clips of each label that there is."""
    counts = rows["label"].drop_nulls().value_counts(sort=False).sort("label")
    return {str(label): count for label, count in counts.iter_rows()}


def _share_balance(classes: Sequence[str], rows: pl.DataFrame) -> dict[str, float]:
    total = _vectors(rows["values"], len(classes)).astype(np.float64).sum(axis=0)
    return {name: float(value) for name, value in zip(classes, total, strict=True)}


def _class_balance(classes: Sequence[str], rows: pl.DataFrame) -> dict[str, float]:
    return {name: round(value) for name, value in _share_balance(classes, rows).items()}


def _number_balance(classes: Sequence[str], rows: pl.DataFrame) -> dict[str, float]:
    """Count the clips in ranges of equal width, of each attribute; of several its name stands before a range."""
    found: dict[str, float] = {}
    for name, column in zip(classes, _vectors(rows["values"], len(classes)).astype(np.float64).T, strict=True):
        counts, edges = np.histogram(column, bins=_BINS)
        of = f"{name} " if len(classes) > 1 else ""
        ranges = zip(edges, edges[1:], counts, strict=False)
        found |= {f"{of}{low:.2f} to {high:.2f}": int(count) for low, high, count in ranges}
    return found


_MACRO = ("macro_precision", "macro_recall", "macro_f1")
_DECIDED = "; precision, recall and F1 of a class are those of its decisions, a class that no test clip has is left out"

_ATTRIBUTE = Scoring(
    measures=("ccc", "pearson", "rmse"),
    main="ccc",
    shown=("pearson", "rmse"),
    note="CCC is the concordance correlation coefficient (Lin, 1989), with population moments; RMSE is in units of"
    " the target, and less is better.",
    known=pl.col("truth").is_not_null(),
    tally=_numbers,
    scores=metrics.number_scores,
    of_classes=None,
    matrix=False,
    balance=_number_balance,
)

SCORINGS: Mapping[Kind, Scoring] = {
    "hard": Scoring(
        measures=(*_MACRO, "uar", "war"),
        main="macro_f1",
        shown=("uar", "war", "macro_precision"),
        note="UAR is macro recall; WAR is the share of clips that are right.",
        known=pl.col("label").is_not_null(),
        tally=_confusions,
        scores=metrics.overall_scores,
        of_classes=_classes_of_confusions,
        matrix=True,
        balance=_label_balance,
    ),
    "multi_label": Scoring(
        measures=(*_MACRO, "micro_f1", "hamming_accuracy"),
        main="macro_f1",
        shown=("micro_f1", "macro_precision", "macro_recall"),
        note=f"Multi-label: a class is predicted from a probability of .5 on{_DECIDED}.",
        known=pl.col("truth").is_not_null(),
        tally=_decisions,
        scores=metrics.decision_scores,
        of_classes=_classes_of_decisions,
        matrix=False,
        balance=_class_balance,
    ),
    "distribution": Scoring(
        measures=(*_MACRO, "micro_f1", "hamming_accuracy", "kl_divergence"),
        main="macro_f1",
        shown=("micro_f1", "macro_precision", "macro_recall"),
        note="Distribution: of K classes, one is there, and one is predicted, from a share of 1/K on (Chou, Lee and"
        f" Busso, 2022){_DECIDED}. KL divergence is of the target from the prediction, in nats, predicted shares being"
        " at least 1e-7; less is better.",
        known=pl.col("truth").is_not_null(),
        tally=_shares,
        scores=_share_scores,
        of_classes=_classes_of_shares,
        matrix=False,
        balance=_share_balance,
    ),
    "attribute": _ATTRIBUTE,
    "attributes": replace(
        _ATTRIBUTE,
        measures=("ccc", "pearson", "rmse", "mae"),
        shown=("pearson", "rmse", "mae"),
        note="Several attributes: each measure is the mean of theirs. CCC is the concordance correlation coefficient"
        " (Lin, 1989), with population moments; RMSE and MAE are in units of the target, and less is better.",
        tally=_several_numbers,
        scores=_mean_of_numbers,
        of_classes=_classes_of_numbers,
        of_class="ccc",
    ),
}
"""The five kinds of `corpora.settings`."""


def measure_columns(kinds: Iterable[Kind] = ()) -> list[str]:
    """Return the measures that a table of settings of these kinds has columns for.

    Those of every kind but `attributes` are always there, so that a table has the same columns whatever it is of.
    """
    shown = dict.fromkeys(kind for kind in SCORINGS if kind != "attributes" or kind in set(kinds))
    known = {measure for kind in shown for measure in SCORINGS[kind].measures}
    return [name for name in MEASURE_NAMES if name in known]
