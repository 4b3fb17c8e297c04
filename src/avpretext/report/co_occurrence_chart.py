"""How often raters name two emotions together, and what the penalty loss makes of it: heat maps and tables.

`python -m avpretext.report.co_occurrence_chart docs/penalty.md benchmarks/penalty.md CREMA-D` writes the tables of
these documents anew, from the votes in CREMA-D's folder, and the picture beside the first, `penalty-crema-d.png`.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import CorpusOptions
from avpretext.corpora import crema_d
from avpretext.evaluation.formats import markdown, write_text
from avpretext.evaluation.results import Evaluated
from avpretext.evaluation.summaries import present
from avpretext.flow.paths import Layout
from avpretext.report.action_unit_docs import marks
from avpretext.report.theme import COLOURS, figure, inline, style
from avpretext.training.penalty_matrices import read_matrices

Matrix = NDArray[np.float64]

PICTURE = "penalty-crema-d.png"

PAPER = {
    **dict.fromkeys(("surface", "raised"), "#ffffff"), "ink": "#1b2126", "muted": "#5c6770", "accent": "#14657f",
}  # fmt: skip
"""Colours of a picture that stands alone: those of the page in the light."""

GROUPS = {"voice": "who heard", "face": "who saw", "both": "who did both"}
"""CREMA-D's raters, in words."""

_CELL, _MARGIN = 54, 76
_DARKEST = 0.6
"""Opacity of a cell that is 1; ink stays readable on it, in the light and in the dark."""


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
    # Only the document needs these: the report would wait seconds for torch.
    import torch

    from avpretext.models.penalty import co_occurrences, frequencies, penalties

    counts = co_occurrences(torch.from_numpy(votes))
    return Rated(name, len(votes), counts.numpy(), frequencies(counts).numpy(), penalties(counts).numpy())


def heat_map_of(one: Evaluated, name: str, layout: Layout) -> Markup | None:
    """Return the heat maps of a setting's first fold; None where no penalty was computed."""
    found = present([layout.co_occurrence(one.corpus, one.setting.name)])
    return heat_maps(Path(found[0]), name) if found else None


def heat_maps(table: Path, name: str, fold: int | None = None) -> Markup:
    """Draw frequency and penalty of one fold of the stage co_occurrence side by side, to stand within the page.

    Parameters
    ----------
    table
        `schemas.CO_OCCURRENCE`.
    name
        Unique name of the figure on the page.
    fold
        Its number; None: the first.
    """
    classes: list[str] = shards.read_provenance(table)["classes"]
    frequency, penalty = (read_matrices(table, classes, column) for column in ("frequency", "penalty"))
    chosen = min(frequency) if fold is None else fold
    shown = {
        "Share of the clips of a column named so too": frequency[chosen],
        "Penalty: target (row), predicted (column)": penalty[chosen],
    }
    with style():
        chart = _drawn(shown, classes, COLOURS)
        return inline(chart, name, f"Co-occurrence of fold {chosen}: {_spoken(penalty[chosen], classes)}")


def _drawn(matrices: Mapping[str, Matrix], classes: Sequence[str], colours: Mapping[str, str]) -> Figure:
    """Draw matrices side by side, a title above each."""
    side = _MARGIN + _CELL * len(classes)
    chart, _ = figure(side * len(matrices), side)
    chart.clear()
    panels = chart.subplots(1, len(matrices), squeeze=False)[0]
    for axes, (title, matrix) in zip(panels, matrices.items(), strict=True):
        _heat_map(axes, matrix, classes, title, colours)
    return chart


def _heat_map(axes: Axes, matrix: Matrix, classes: Sequence[str], title: str, colours: Mapping[str, str]) -> None:
    """Draw a cell for each number: the larger, the darker."""
    for (row, column), value in np.ndenumerate(matrix):
        axes.add_patch(
            Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, linewidth=0, facecolor=colours["accent"],
                      alpha=_DARKEST * float(value))
        )  # fmt: skip
        axes.annotate(f"{value:.2f}", (column, row), ha="center", va="center", color=colours["ink"])
    places = range(len(classes))
    axes.set_xticks(places, classes)
    axes.set_yticks(places, classes)
    axes.tick_params(colors=colours["ink"])
    axes.xaxis.tick_top()
    axes.set_xlim(-0.5, len(classes) - 0.5)
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.spines[:].set_visible(False)
    axes.set_title(title, color=colours["ink"], fontweight="bold", pad=9)


def _spoken(penalty: Matrix, classes: Sequence[str]) -> str:
    """Say which wrong prediction costs least and most."""
    wrong = ~np.eye(len(classes), dtype=bool)
    least = np.where(wrong, penalty, np.inf)
    most = np.where(wrong, penalty, -np.inf)
    said = []
    for word, values, place in (("least", least, least.argmin()), ("most", most, most.argmax())):
        target, predicted = divmod(int(place), len(classes))
        value = values[target, predicted]
        said.append(f"{classes[predicted]} for {classes[target]} costs {word}, {value:.2f}")
    return "; ".join(said)


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


def written_anew(document: str, tables: Mapping[str, str]) -> str:
    """Return the document with these tables between their marks, as far as it has them."""
    for name, table in tables.items():
        begin, end = marks(name)
        if begin not in document:
            continue
        before, _, rest = document.partition(begin)
        _, _, after = rest.partition(end)
        document = f"{before}{begin}{table}{end}{after}"
    return document


def write_picture(sets: Sequence[Rated], classes: Sequence[str], path: Path) -> None:
    """Write the penalties of these sets of clips side by side, as PNG."""
    with style(), mpl.rc_context({"figure.facecolor": PAPER["raised"], "savefig.facecolor": PAPER["raised"]}):
        chart = _drawn({f"{one.name[0].upper()}{one.name[1:]}": one.penalty for one in sets}, classes, PAPER)
        chart.suptitle("Penalty of each prediction (column) for each target (row), CREMA-D", color=PAPER["ink"])
        with shards.atomic_path(path) as temporary:
            chart.savefig(temporary, format="png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    *targets, corpus = (Path(argument) for argument in sys.argv[1:])
    tables = generated(corpus)
    for target in targets:
        write_text(target, written_anew(target.read_text("utf-8"), tables))
    write_picture(crema_d_rated(corpus), crema_d.EMOTIONS, targets[0].with_name(PICTURE))
