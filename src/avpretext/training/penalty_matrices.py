"""The matrices of the stage `co_occurrence`, as fine-tuning and the report read them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import FinetuneOptions
from avpretext.errors import UserError

Matrix = NDArray[np.float64]


def penalties_of(path: Path | None, classes: Sequence[str], options: FinetuneOptions) -> dict[int, Matrix]:
    """Return P (K, K) of each fold if the loss asks for it and the table is given, else none."""
    return read_matrices(path, classes) if path is not None and options.loss == "penalty" else {}


def read_matrices(path: Path, classes: Sequence[str], column: str = "penalty") -> dict[int, Matrix]:
    """Return a matrix (K, K) for each fold, by target and prediction.

    Parameters
    ----------
    path
        `co_occurrence`.
    classes
        In the order that the matrix is to have.
    column
        `count`, `frequency` or `penalty`.

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
