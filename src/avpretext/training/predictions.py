"""What runs predict, as `predictions.parquet` and `history.parquet` hold it, whatever made it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.flow.artefacts import schema_of
from avpretext.flow.paths import original_of
from avpretext.flow.provenance import provenance
from avpretext.training import finite
from avpretext.training.fold_parts import FoldTable, read_folds
from avpretext.training.target_rows import Targets, in_words, read_targets

LAYER = "layer"
"""Measures of a history that are the weights of a pre-trained encoder's layers: `layer[0]`, `layer[1]`, ..."""


class HistoryRow(NamedTuple):
    """One measured value: `split` is train or dev."""

    epoch: int
    split: str
    measure: str
    value: float


class Prediction(NamedTuple):
    """Probabilities, or values of an attribute, (M, C), for the M clips of a split that have these names."""

    split: str
    names: list[str]
    probabilities: NDArray[np.float32]

    @classmethod
    def of(cls, split: str, rows: Iterable[int], names: Sequence[str], probabilities: NDArray[np.float32]) -> Self:
        """Return the predictions of the clips of these rows, of which row i is that of names[i]."""
        return cls(split, [names[row] for row in rows], probabilities)


class Run(NamedTuple):
    """The result of one fold and seed."""

    fold: int
    seed: int
    predictions: list[Prediction]
    history: list[HistoryRow]


class LabelledFolds(NamedTuple):
    """A setting as its stages have written it: the labels of the clips, and which of them train, choose and test."""

    known: Targets
    table: FoldTable

    @classmethod
    def read(cls, targets: Mapping[str, Path], folds: Path) -> Self:
        """Read `targets` of each corpus, and `folds`."""
        return cls(read_targets(targets), read_folds(folds))

    def provenance(self) -> dict[str, Any]:
        """Return what predictions repeat of their target and folds in their provenance."""
        known, table = self
        target = "+".join(sorted({known.names[corpus] for corpus in table.tested()}))
        return {"kind": known.kind, "classes": known.classes, "target": target, "setting": table.setting, **table.notes}

    def rows(self, initialisation: str, run: Run) -> Iterator[dict[str, Any]]:
        """Yield the predictions of a run, as `finetune.predictions` has them.

        Raises
        ------
        UserError
            A prediction is not finite.
        """
        known, key = self.known, {"initialisation": initialisation, "fold": run.fold, "seed": run.seed}
        where = ", ".join(f"{name} {value}" for name, value in key.items())
        for part in run.predictions:
            finite.check_values(
                part.probabilities,
                f"prediction of {where}, {part.split}",
                "its model has diverged, or its input is not finite",
            )
            for name, probabilities in zip(part.names, part.probabilities, strict=True):
                original = original_of(name)
                clip = self.table.by_key[original]
                yield {
                    **key,
                    "split": part.split,
                    "clip_id": clip.clip_id,
                    "speaker": clip.speaker,
                    "label": known.labels[original],
                    "predicted": in_words(probabilities, known.classes, known.kind),
                    "truth": known.values[original].tolist(),
                    "probabilities": probabilities.tolist(),
                }

    def write(
        self,
        runs: Sequence[tuple[str, Run]],
        stage: str,
        options: Mapping[str, Any],
        output: Path,
        pretrainings: int = 0,
        models: Mapping[str, str] | None = None,
    ) -> None:
        """Write predictions and history of runs, by initialisation, in this order, into a folder.

        `stage`, `options` and `models`, SHA-256 of files by their names, are for the provenance. The runs started from
        so many `pretrainings`, in turn; 0: none.
        """
        made_by = provenance(stage, options, models, **self.provenance())
        predictions = (
            {**row, "pretraining": run.seed % pretrainings if pretrainings else None}
            for name, run in runs
            for row in self.rows(name, run)
        )
        shards.write_rows(output / "predictions.parquet", predictions, schema_of(f"{stage}.predictions"), made_by)
        history = (
            {"initialisation": name, "fold": run.fold, "seed": run.seed, **row._asdict()}
            for name, run in runs
            for row in run.history
        )
        shards.write_rows(output / "history.parquet", history, schema_of(f"{stage}.history"), made_by)
