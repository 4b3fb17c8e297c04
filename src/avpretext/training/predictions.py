"""What a model predicts, as `predictions.parquet` holds it, whatever made it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avpretext.training import finite
from avpretext.training.fold_parts import Clip, FoldTable
from avpretext.training.target_rows import Targets, in_words


class Prediction(NamedTuple):
    """Probabilities, or values of an attribute, (M, C), for the M clips of a split that have these names."""

    split: str
    names: list[str]
    probabilities: NDArray[np.float32]


def provenance_of(known: Targets, table: FoldTable) -> dict[str, Any]:
    """Return what predictions say of their target and folds in their provenance."""
    target = "+".join(sorted({known.names[corpus] for corpus in table.tested()}))
    return {"kind": known.kind, "classes": known.classes, "target": target, "setting": table.setting, **table.notes}


def prediction_rows(
    predictions: Iterable[Prediction], run: Mapping[str, Any], clips: Mapping[str, Clip], known: Targets
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a run, as `schemas.PREDICTIONS` has them.

    Parameters
    ----------
    predictions
        What the run predicts of each split.
    run
        Its initialisation, fold and seed.
    clips
        Every clip by its name.
    known
        The truth.

    Raises
    ------
    UserError
        A prediction is not finite.
    """
    where = ", ".join(f"{name} {value}" for name, value in run.items())
    for part in predictions:
        finite.check_values(
            part.probabilities,
            f"prediction of {where}, {part.split}",
            "its model has diverged, or hears what is not finite",
        )
        for name, probabilities in zip(part.names, part.probabilities, strict=True):
            yield {
                **run,
                "split": part.split,
                "clip_id": clips[name].clip_id,
                "speaker": clips[name].speaker,
                "label": known.labels[name],
                "predicted": in_words(probabilities, known.classes, known.kind),
                "truth": known.values[name].tolist(),
                "probabilities": probabilities.tolist(),
            }
