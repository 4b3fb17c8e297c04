"""Stage `co_occurrence`: how often raters name two emotions together, in the training clips of each fold.

The matrix is what the penalty loss reads, see `models.penalty`. Clips of dev and test, clips that a fold leaves out,
clips without a label (votes that tie, under a target of one class), and clips that nobody rated do not count.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avpretext import shards
from avpretext.corpora.settings import NUMBERS
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.models.penalty import co_occurrences, frequencies, penalties
from avpretext.training.fold_parts import Fold
from avpretext.training.predictions import LabelledFolds
from avpretext.training.target_rows import Targets

Matrix = NDArray[np.float64]


def run(targets: Mapping[str, Path], folds: Path, output: Path) -> None:
    """Write the co-occurrences of each fold, `co_occurrence`: a row for each pair of classes.

    Parameters
    ----------
    targets
        `targets` of each corpus that the folds name.
    folds
        `folds`.
    output
        The table, by fold, target and predicted class. Its provenance has `classes` and `clips`, the number of clips
        that were counted in each fold.

    Raises
    ------
    UserError
        The target is a number, or no training clip of a fold has votes.
    """
    labelled = LabelledFolds.read(targets, folds)
    known, table = labelled
    if known.kind in NUMBERS:
        raise UserError(
            f"{table.setting}: finetune.loss: penalty needs classes, and {known.classes[0]!r} is a number; set"
            " finetune.loss to base"
        )
    votes = {fold.number: training_votes(known, fold) for fold in table.folds}
    made_by = provenance(
        "co_occurrence",
        clips={str(number): len(of_fold) for number, of_fold in votes.items()},
        **labelled.provenance(),
    )
    rows = [row for number, of_fold in votes.items() for row in _rows(number, of_fold, known.classes)]
    shards.write_table(output, rows, schema_of("co_occurrence"), made_by)


def training_votes(known: Targets, fold: Fold) -> NDArray[np.float32]:
    """Return the votes (N, K) of the training clips of a fold that have any.

    Raises
    ------
    UserError
        None has.
    """
    rated = [known.votes[name] for name in sorted(fold.parts["train"]) if name in known.votes]
    if not rated:
        names = " and ".join(dict.fromkeys(known.names.values()))
        raise UserError(
            f"finetune.loss: penalty needs raters' votes, and the target {names!r} has none in fold {fold.number}'s"
            " training clips; choose a target with votes, such as voice of CREMA-D, or set finetune.loss to base"
        )
    return np.stack(rated)


def _rows(fold: int, votes: NDArray[np.float32], classes: Sequence[str]) -> Iterator[dict[str, Any]]:
    counts = co_occurrences(torch.from_numpy(votes))
    columns = {"count": counts, "frequency": frequencies(counts), "penalty": penalties(counts)}
    for place, target in enumerate(classes):
        for other, predicted in enumerate(classes):
            values = {name: float(matrix[place, other]) for name, matrix in columns.items()}
            yield {"fold": fold, "target": target, "predicted": predicted, **values}


def read_matrices(path: Path, classes: Sequence[str], column: str = "penalty") -> dict[int, Matrix]:
    """Return a column of `co_occurrence` by fold: a matrix (K, K) by target and prediction, in the order of `classes`.

    Raises
    ------
    UserError
        The table is of other classes.
    """
    found = shards.read_provenance(path).get("classes", [])
    if sorted(found) != sorted(classes):
        raise UserError(
            f"{path}: is of the classes {', '.join(found)}, and the targets are {', '.join(classes)}; both must be of"
            " one run: redo the stage co_occurrence"
        )
    places = {name: place for place, name in enumerate(classes)}
    matrices: dict[int, Matrix] = {}
    for fold, target, predicted, value in shards.read(path, ["fold", "target", "predicted", column]).iter_rows():
        matrix = matrices.setdefault(fold, np.zeros((len(classes), len(classes))))
        matrix[places[target], places[predicted]] = value
    return matrices
