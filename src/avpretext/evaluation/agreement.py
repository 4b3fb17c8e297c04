"""Agreement between the labels of the pretext tasks: the table `label_agreement`.

The tasks ask different questions, so they need not agree; but if two of them say the same everywhere, one of them
teaches nothing that the other does not.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats.contingency import association

from avpretext.evaluation.open_run import OpenRun, Rows
from avpretext.flow.tasks import CHUNK_TASKS, LABELLED

HIGH_LOW = {1: "high", 0: "low"}


@dataclass(frozen=True)
class Agreement:
    """How often labels of two tasks, `one` and `other`, stand together in a corpus.

    `counts`, shape (rows, columns), are the chunks with both labels; an emotion is that of the chunk's clip. The chunks
    of a clip overlap, so there is less evidence than the counts suggest: they are of so many `clips`.
    """

    corpus: str
    one: str
    other: str
    rows: list[str]
    columns: list[str]
    counts: NDArray[np.int64]
    clips: int

    @property
    def chunks(self) -> int:
        """Chunks that have both labels."""
        return int(self.counts.sum())

    @property
    def association(self) -> float:
        """Cramér's V."""
        return cramers_v(self.counts)

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; None where the two tasks have different labels."""
        return cohens_kappa(self.counts) if self.rows == self.columns else None


def cramers_v(counts: NDArray[np.integer]) -> float:
    """Return Cramér's V of counts (R, C) (Cramér, 1946).

    V = sqrt(chi² / (n (min(rows, columns) - 1))), over the labels that there are: 0 where the labels are unrelated, 1
    where one follows from the other; NaN where a task has one label only. Of a table of two by two it is the size of
    the correlation (phi).

    >>> cramers_v(np.array([[30, 10], [10, 30]])), cramers_v(np.array([[5, 5], [5, 5]]))
    (0.5, 0.0)
    """
    table = np.asarray(counts, dtype=np.float64)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return float("nan")
    return float(association(table.astype(np.int64), method="cramer"))


def cohens_kappa(counts: NDArray[np.integer]) -> float:
    """Return Cohen's kappa of counts (K, K), labels in the same order on both sides (Cohen, 1960).

    It is the agreement beyond what the shares of the labels would give by chance. 1: they always agree; 0: as by
    chance; below 0: less than by chance; NaN where chance alone agrees always.

    >>> cohens_kappa(np.array([[20, 5], [10, 15]]))
    0.4
    """
    table = np.asarray(counts, dtype=np.float64)
    total = float(table.sum())
    if not total:
        return float("nan")
    chance = float((table.sum(axis=1) * table.sum(axis=0)).sum()) / total**2
    return float("nan") if chance == 1 else round((float(np.trace(table)) / total - chance) / (1 - chance), 12)


def agreements(run: OpenRun) -> list[Agreement]:
    """Return the agreement of each pair of tasks that a corpus has labels of."""
    found = []
    for corpus in run.config.with_clips():
        labels = {task: _labels(run, corpus, task) for task in LABELLED}
        known = {task: rows for task, rows in labels.items() if rows is not None}
        found += [_agreement(corpus, one, other, known) for one, other in itertools.combinations(known, 2)]
    return [one for one in found if one.chunks]


def _labels(run: OpenRun, corpus: str, task: str) -> pl.DataFrame | None:
    """Return clip, label and, of a task that labels chunks, the chunk; clips as numbers, for a million fit so."""
    chunk = ["chunk"] if task in CHUNK_TASKS else []
    rows = run.labels(corpus, task, ["clip_id", *chunk, "label"])
    if rows is None:
        return None
    label = pl.col("label")
    named = label.replace_strict(HIGH_LOW, return_dtype=pl.String) if task in CHUNK_TASKS else label
    return rows.filter(pl.col("label").is_not_null()).select(
        pl.col("clip_id").hash().alias("clip"), *chunk, named.cast(pl.Categorical).alias("label")
    )


def _agreement(corpus: str, one: str, other: str, labels: dict[str, pl.DataFrame]) -> Agreement:
    on = ["clip", "chunk"] if {one, other} <= set(CHUNK_TASKS) else ["clip"]
    both = labels[one].join(labels[other], on=on, how="inner", suffix="_other")
    counted = both.group_by("label", "label_other").len("count").cast({"label": pl.String, "label_other": pl.String})
    rows, columns = (_names(task, counted[name]) for task, name in ((one, "label"), (other, "label_other")))
    counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
    for label, label_other, count in counted.iter_rows():
        counts[rows.index(label), columns.index(label_other)] = count
    return Agreement(corpus, one, other, rows, columns, counts, both["clip"].n_unique())


def _names(task: str, found: pl.Series) -> list[str]:
    return list(HIGH_LOW.values()) if task in CHUNK_TASKS else sorted(found.unique())


def agreement_rows(found: Sequence[Agreement]) -> Rows:
    """Return a row for each pair of labels: corpus, task, label, other_task, other_label, chunks, clips, V, kappa."""
    return [
        {
            "corpus": one.corpus, "task": one.one, "label": label, "other_task": one.other, "other_label": other,
            "chunks": int(one.counts[row, column]), "all_chunks": one.chunks, "all_clips": one.clips,
            "cramers_v": one.association, "kappa": one.kappa,
        }
        for one in found
        for row, label in enumerate(one.rows)
        for column, other in enumerate(one.columns)
    ]  # fmt: skip
