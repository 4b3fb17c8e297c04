"""NaN and infinity in losses, weights and predictions are errors, told where they appear first."""

import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext.errors import UserError

if TYPE_CHECKING:  # tables are checked without the second that torch takes to start
    from torch import Tensor, nn

DIVERGED = 100.0
"""A mean loss so many times as large as that of the first batch, and as 1, is of a training that has diverged."""

Values: TypeAlias = "Tensor | NDArray[Any]"


def not_finite(values: Values) -> float | None:
    """Return the first NaN or infinity of some numbers, None where all are finite.

    >>> not_finite(np.array([1.0, np.inf])), not_finite(np.array([1, 2]))
    (inf, None)
    """
    wrong = ~(np.isfinite(values) if isinstance(values, np.ndarray) else values.isfinite())
    return float(values[wrong][0]) if bool(wrong.any()) else None


def check_loss(loss: float, start: float, where: str, option: str | None) -> None:
    """Raise an error where the mean loss of an epoch is not finite, or far above the one at the start.

    `where` is stage, fold, seed, epoch; `option` the learning rate's key and value, None where it is fixed.
    """
    if math.isfinite(loss) and loss <= DIVERGED * max(start, 1.0):
        return
    fix = f"lower {option}" if option else "look for values in the features or labels that are far off"
    raise UserError(f"{where}: training has diverged, the loss is {loss:g} (at the start {start:g}); {fix}")


def check_weights(tensors: "Mapping[str, Tensor]", where: str, fix: str) -> None:
    """Raise an error that names the first tensor with a NaN or an infinity."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and (value := not_finite(tensor)) is not None:
            raise UserError(f"{where}: {name} holds {value}; {fix}")


def check_values(values: Values, where: str, fix: str) -> None:
    """Raise an error where a number is NaN or infinite."""
    if (value := not_finite(values)) is not None:
        raise UserError(f"{where}: a value is {value}; {fix}")


def check_rows(predictions: pl.DataFrame) -> None:
    """Raise an error for rows of `finetune.predictions` with a prediction that is missing, NaN or infinite."""
    known = pl.col("probabilities").list.eval(pl.element().is_finite().fill_null(value=False)).list.all()
    wrong = predictions.filter(~known.fill_null(value=False))
    if wrong.height:
        first = wrong.row(0, named=True)
        where = ", ".join(f"{name} {first[name]}" for name in ("fold", "seed", "split", "clip_id"))
        raise UserError(
            f"{first['initialisation']}, {where}: predicts {first['probabilities']}, and so {wrong.height} of"
            f" {predictions.height} rows: not scored; train again with a lower learning rate"
        )


def load_all(network: "nn.Module", weights: "Mapping[str, Tensor]", path: Path, fix: str) -> None:
    """Load weights into a network, all of them and nothing else; those without effect may be there or not.

    On the device `meta`, a file of other shapes is refused before it takes memory. `path` is the file, `fix` what to do
    about an error.

    Raises
    ------
    UserError
        Weights are missing, unknown, of other shapes or types, or not finite.
    """
    check_weights(weights, str(path), fix)
    known = network.state_dict()
    for name, value in weights.items():
        if name in known and value.dtype != known[name].dtype:
            raise UserError(f"{path}: {name} holds {value.dtype}, expected {known[name].dtype}; {fix}")
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        differ = textwrap.shorten("; ".join(str(error).splitlines()[1:]), 300, placeholder=" ...")
        raise UserError(f"{path}: its weights are not those of the network: {differ}; {fix}") from None
