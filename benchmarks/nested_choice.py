"""What does choosing systems on dev speakers cost? The choice of each fold beside one choice for all folds.

python benchmarks/nested_choice.py CONFIG CORPUS
CONFIG is a configuration whose run is finished and whose `baseline` has linear and RBF machines and discriminants on
functionals and statistics, such as examples/real-speech.yaml. Chosen from: these six, and the means of the
discriminants, of the SVMs, of the RBF SVMs and the discriminants, and of all six. `nested`: each fold takes what its
own dev speakers score best; `flat`: one for all folds, by all their dev speakers together. UAR on test clips of all
folds together; brackets: 95 % by 2,000 draws of test speakers, so no other luck is in them.
"""

import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config_file import load
from avpretext.run.plan import Plan
from avpretext.systems import Machine, Normalisation

DRAWS = 2000
VECTORS = ("functionals", "statistics")


class Clips(NamedTuple):
    """Clips of one part of the folds: fold, speaker and label (N,), and of each system probabilities (N, C)."""

    folds: NDArray[np.int64]
    speakers: NDArray[np.str_]
    labels: NDArray[np.int64]
    said: dict[str, NDArray[np.float64]]

    def uar(self, found: NDArray[np.float64], rows: NDArray[np.bool_] | slice = slice(None)) -> float:
        """Return the UAR of probabilities on these rows."""
        return uar(self.labels[rows], found[rows].argmax(1))


def uar(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Return the mean recall of the classes that occur."""
    return float(np.mean([(predicted[labels == label] == label).mean() for label in np.unique(labels)]))


def candidates(normalise: Normalisation) -> dict[str, list[str]]:
    """Return the systems to choose from: what they are called, and whose probabilities are averaged."""
    linear, rbf, lda = (
        [Machine(vectors, learner, normalise).name for vectors in VECTORS] for learner in ("linear", "rbf", "lda")
    )
    alone = {name: [name] for name in (*linear, *rbf, *lda)}
    return {**alone, "LDA": lda, "SVM": [*linear, *rbf], "RBF SVM, LDA": [*rbf, *lda], "all": [*linear, *rbf, *lda]}


def read(predictions: pl.DataFrame, split: str, sets: dict[str, list[str]]) -> Clips:
    """Return the clips of a split, with the probabilities of each candidate."""
    classes = sorted(predictions["label"].unique())
    rows = predictions.filter(split=split).sort("fold", "clip_id")
    of = {name[0]: part for name, part in rows.group_by("initialisation", maintain_order=True)}
    first = of[next(iter(sets))]
    each = {name: np.array(part["probabilities"].to_list()) for name, part in of.items()}
    labels = np.array([classes.index(label) for label in first["label"]])
    said = {name: np.mean([each[member] for member in members], 0) for name, members in sets.items()}
    return Clips(first["fold"].to_numpy(), first["speaker"].to_numpy(), labels, said)


def interval(clips: Clips, predicted: NDArray[np.int64]) -> tuple[float, float]:
    """Return the 95 % interval of the UAR over draws of speakers."""
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(clips.speakers == speaker) for speaker in np.unique(clips.speakers)]
    drawn = [np.concatenate([rows[k] for k in rng.integers(len(rows), size=len(rows))]) for _ in range(DRAWS)]
    low, high = np.quantile([uar(clips.labels[part], predicted[part]) for part in drawn], [0.025, 0.975])
    return float(low), float(high)


def told(how: str, chosen: Sequence[str], test: Clips, predicted: NDArray[np.int64]) -> str:
    """Return a row of the table."""
    low, high = interval(test, predicted)
    return f"| {how} | {', '.join(chosen)} | {uar(test.labels, predicted):.3f} [{low:.3f}, {high:.3f}] |"


def main() -> None:
    """Print a table for both ways to normalise."""
    plan, corpus = Plan(load(sys.argv[1])), sys.argv[2]
    setting = next(iter(plan.settings[corpus]))
    predictions = shards.read(plan.layout.path("baseline.predictions", corpus=corpus, setting=setting))
    print("| normalised by, choice | chosen | UAR, test |\n|---|---|---|")
    for normalise in ("train", "speaker"):
        sets = candidates(normalise)
        dev, test = (read(predictions, split, sets) for split in ("dev", "test"))
        flat = max(sets, key=lambda name: dev.uar(dev.said[name]))
        print(told(f"{normalise}, flat", [flat], test, test.said[flat].argmax(1)))
        chosen, predicted = [], np.empty(len(test.labels), np.int64)
        for fold in np.unique(test.folds):
            best = max(sets, key=lambda name: dev.uar(dev.said[name], dev.folds == fold))
            chosen.append(best)
            predicted[test.folds == fold] = test.said[best][test.folds == fold].argmax(1)
        print(told(f"{normalise}, nested", chosen, test, predicted))


if __name__ == "__main__":
    main()
