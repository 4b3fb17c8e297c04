"""What is learnt: the label of every clip, of one corpus or of several that share their classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.corpora.settings import NUMBERS, Kind
from avpretext.corpora.targets import JOIN
from avpretext.errors import UserError

SHARE_TOLERANCE = 1e-6
"""A share counts as 1/K when rounding alone keeps it below."""


@dataclass(frozen=True)
class Targets:
    """The clips about which something is known, by `{corpus}/{clip_id}`.

    Attributes
    ----------
    kind
        What the label of a clip is.
    classes
        Names of the C values of a clip, sorted; of attributes their own.
    names
        corpus: the name of its target.
    labels
        The label in words; None where there is none, as in a tie.
    values
        (C,) float32: one-hot, 0 and 1, shares that add up to 1, or the numbers of the attributes.
    votes
        (C,) float32: how many raters chose each class; only of the clips that raters voted on.
    """

    kind: Kind
    classes: list[str]
    names: dict[str, str]
    labels: dict[str, str | None]
    values: dict[str, NDArray[np.float32]]
    votes: dict[str, NDArray[np.float32]]

    def values_of(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Return the values (N, C) of these clips.

        Raises
        ------
        UserError
            Of a clip nothing is known.
        """
        unknown = [name for name in names if name not in self.values]
        if unknown:
            raise UserError(
                f"{len(unknown)} clips of the folds have no target, such as {unknown[0]}; folds and targets are of"
                " different runs: redo the stage folds"
            )
        return np.stack([self.values[name] for name in names])


def read_targets(tables: Mapping[str, Path]) -> Targets:
    """Read the targets of one or more corpora; the classes are those of all of them, sorted.

    Raises
    ------
    UserError
        The corpora's labels are of different kinds, or there are fewer than two classes.
    """
    made_by = {corpus: shards.read_provenance(tables[corpus]) for corpus in sorted(tables)}
    kinds: dict[str, Kind] = {corpus: entry["kind"] for corpus, entry in made_by.items()}
    if len(set(kinds.values())) > 1:
        said = ", ".join(f"{corpus} {kind}" for corpus, kind in kinds.items())
        raise UserError(f"targets: the labels of corpora learnt together are of one kind; these are: {said}")
    kind = next(iter(kinds.values()))
    classes = sorted({name for entry in made_by.values() for name in entry["classes"]})
    if kind == "attribute" and len(classes) > 1:
        raise UserError(f"targets: {', '.join(classes)} are different attributes; choose the same one for each corpus")
    if kind == "attributes" and (lacking := [name for name in made_by if len(made_by[name]["classes"]) < len(classes)]):
        raise UserError(
            f"targets: {lacking[0]} has not all of the attributes {', '.join(classes)}; choose the same ones for each"
            " corpus, such as arousal+valence"
        )
    if kind not in NUMBERS and len(classes) < 2:
        raise UserError(
            f"targets: all labelled clips are {classes[0]!r}; at least two classes are needed"
            if classes
            else f"targets: no clip of {', '.join(tables)} has a label; choose another of the corpus's `targets`"
        )
    labels: dict[str, str | None] = {}
    values: dict[str, NDArray[np.float32]] = {}
    votes: dict[str, NDArray[np.float32]] = {}
    for corpus, entry in made_by.items():
        rows = shards.read(tables[corpus], ["clip_id", "label", "values", "votes"]).drop_nulls("values")
        places = [classes.index(name) for name in entry["classes"]]
        for clip_id, label, known, voted in rows.iter_rows():
            labels[f"{corpus}/{clip_id}"] = label
            values[f"{corpus}/{clip_id}"] = _placed(known, places, len(classes))
            if voted is not None:
                votes[f"{corpus}/{clip_id}"] = _placed(voted, places, len(classes))
    return Targets(kind, classes, {corpus: entry["target"] for corpus, entry in made_by.items()}, labels, values, votes)


def _placed(known: Sequence[float], places: Sequence[int], count: int) -> NDArray[np.float32]:
    """Return (count,) with the values at their places, 0 elsewhere."""
    values = np.zeros(count, np.float32)
    values[list(places)] = known
    return values


def has_classes(values: NDArray[np.float32], kind: Kind) -> NDArray[np.bool_]:
    """Return which classes a clip counts as having, shape (N, C), from values or probabilities of this shape.

    hard: the largest; multi_label: those of at least .5; distribution: those whose share is at least 1/C (Chou, Lee &
    Busso, "Exploiting co-occurrence frequency of emotions", Interspeech 2022). Attributes have no classes.

    >>> has_classes(np.array([[0.5, 0.25, 0.25, 0.0]], np.float32), "distribution")
    array([[ True,  True,  True, False]])
    """
    if kind == "hard":
        largest: NDArray[np.bool_] = np.arange(values.shape[1]) == values.argmax(1)[:, None]
        return largest
    least = 0.5 if kind == "multi_label" else 1 / values.shape[1] - SHARE_TOLERANCE
    has: NDArray[np.bool_] = values >= least
    return has


def in_words(probabilities: NDArray[np.float32], classes: Sequence[str], kind: Kind) -> str | None:
    """Return what a prediction of shape (C,) says, as a label is written; None for attributes.

    One class for hard and distribution: the largest. For multi_label the classes joined by "+", "" for none.

    >>> in_words(np.array([0.6, 0.1, 0.5], np.float32), ["angry", "happy", "sad"], "multi_label")
    'angry+sad'
    """
    if kind in NUMBERS:
        return None
    if kind == "multi_label":
        return JOIN.join(
            name for name, has in zip(classes, has_classes(probabilities[None], kind)[0], strict=True) if has
        )
    return classes[int(probabilities.argmax())]
