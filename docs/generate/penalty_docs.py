"""The tables of `docs/penalty.md` and `benchmarks/penalty.md`, and a picture: CREMA-D's penalty matrices.

`python docs/generate/penalty_docs.py docs/penalty.md benchmarks/penalty.md CREMA-D` rewrites the tables of these pages,
from the votes in CREMA-D's folder, and the picture beside the first, `penalty-crema-d.png`.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from marked import replaced

from avpretext import shards
from avpretext.config import CorpusOptions
from avpretext.corpora.readers import crema_d
from avpretext.evaluation.formats import markdown, write_text
from avpretext.models.penalty import co_occurrences, frequencies, penalties
from avpretext.report.figures import Matrix, side_by_side
from avpretext.report.theme import COLOURS, style

PICTURE = "penalty-crema-d.png"

GROUPS = {"voice": "who heard", "face": "who saw", "both": "who did both"}
"""CREMA-D's raters, in words."""


@dataclass(frozen=True)
class Rated:
    """Votes of a set of clips.

    Attributes
    ----------
    name
        Of the set.
    clips
        How many there are.
    counts, frequency, penalty
        (K, K) by target and prediction, see `models.penalty`.
    """

    name: str
    clips: int
    counts: Matrix
    frequency: Matrix
    penalty: Matrix


def rated(name: str, votes: Matrix) -> Rated:
    """Return the matrices of votes (N, K)."""
    counts = co_occurrences(torch.from_numpy(votes))
    return Rated(name, len(votes), counts.numpy(), frequencies(counts).numpy(), penalties(counts).numpy())


def crema_d_votes(folder: Path, raters: str) -> tuple[list[str], Matrix]:
    """Return clip names (N,) and votes (N, 6) of one group of CREMA-D's raters, emotions in alphabetical order."""
    options = CorpusOptions(path=str(folder), reader="crema_d", use=[])
    table = crema_d.votes(raters)(options).sort("clip_id")
    return table["clip_id"].to_list(), table.select(crema_d.EMOTIONS).to_numpy().astype(np.float64)


def crema_d_rated(folder: Path) -> list[Rated]:
    """Return the matrices of all of CREMA-D's clips, for each group of raters."""
    return [rated(f"all clips, {words}", crema_d_votes(folder, group)[1]) for group, words in GROUPS.items()]


def crema_d_folds(folder: Path) -> list[Rated]:
    """Return the matrices of the training clips of Chou's folds, for those who heard."""
    names, votes = crema_d_votes(folder, "voice")
    found = []
    for number, fold in enumerate(crema_d.READER.protocols["chou"]):
        held_out = {*fold.test, *(fold.dev or ())}
        trains = np.array([name[:4] not in held_out for name in names])
        found.append(rated(f"fold {number}, who heard", votes[trains]))
    return found


def generated(folder: Path) -> dict[str, str]:
    """Return the tables of the document as Markdown, by the name in their marks."""
    everyone, by_fold = crema_d_rated(folder), crema_d_folds(folder)
    return {
        "counts": _table(everyone[0].counts, crema_d.EMOTIONS, "{:.0f}"),
        "frequency": _table(everyone[0].frequency, crema_d.EMOTIONS, "{:.3f}"),
        "penalty": _table(everyone[0].penalty, crema_d.EMOTIONS, "{:.3f}"),
        "weights": _weights([*everyone, *by_fold], crema_d.EMOTIONS),
    }


def _table(matrix: Matrix, classes: Sequence[str], form: str) -> str:
    rows = [[name, *[form.format(value) for value in matrix[place]]] for place, name in enumerate(classes)]
    return markdown(["target, predicted →", *classes], rows, numbers=1)


def _weights(sets: Sequence[Rated], classes: Sequence[str]) -> str:
    """Return the weight of each class as the formula is printed, and how far the penalties of a set are apart."""
    first, wrong = sets[0].penalty, ~np.eye(len(classes), dtype=bool)
    rows = [
        [one.name, str(one.clips), *(f"{weight:.2f}" for weight in one.penalty.sum(axis=1)),
         f"{np.abs(one.penalty - first)[wrong].max():.3f}"]
        for one in sets
    ]  # fmt: skip
    return markdown(["votes of", "clips", *classes, "largest difference"], rows, numbers=1)


def write_picture(sets: Sequence[Rated], classes: Sequence[str], path: Path) -> None:
    """Write the penalties of these sets of clips side by side, as PNG."""
    with style(), mpl.rc_context({"figure.facecolor": COLOURS["raised"], "savefig.facecolor": COLOURS["raised"]}):
        chart = side_by_side({f"{one.name[0].upper()}{one.name[1:]}": one.penalty for one in sets}, classes)
        chart.suptitle("Penalty of each prediction (column) for each target (row), CREMA-D", color=COLOURS["ink"])
        with shards.atomic_path(path) as temporary:
            chart.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    *targets, corpus = (Path(argument) for argument in sys.argv[1:])
    tables = generated(corpus)
    for target in targets:
        write_text(target, replaced(target.read_text("utf-8"), tables))
    write_picture(crema_d_rated(corpus), crema_d.EMOTIONS, targets[0].with_name(PICTURE))
