"""The baseline: a linear support vector machine on openSMILE functionals, on the folds of fine-tuning."""

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from avpretext import schemas, shards
from avpretext.config import BaselineOptions
from avpretext.errors import UserError
from avpretext.progress import progress
from avpretext.training.folds import Fold, FoldTable, read_folds
from avpretext.training.measures import dev_measures
from avpretext.training.predictions import Prediction, prediction_rows, provenance_of
from avpretext.training.targets import Targets, read_targets

NAMES = {"train": "svm", "speaker": "svm_speaker"}
"""What the baseline of each normalisation is called, where others say what fine-tuning starts from."""

COST_WITHOUT_DEV = 1e-4
"""C of a fold without dev clips, if it is among those tried: the usual one for some thousands of functionals."""

SEED = 0
"""Of the solver, which visits the clips in random order; there is one run per fold."""

TOLERANCE = 1e-3
"""Of the solver: decision values are within 2e-4 of those at 1e-6, found in half the time (RAVDESS, C from 1e-4 on)."""

ITERATIONS = 2000
"""Of the solver, at most: passes over the clips."""

ROUNDING = 1e-7
"""A column whose deviation is a smaller share of its mean is constant: float32 tells no more."""

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class DescribedClips:
    """Functionals and classes of N clips.

    Attributes
    ----------
    names
        `{corpus}/{clip_id}` of each.
    speakers
        (N,) `{corpus}/{speaker}`.
    functionals
        (N, D), in openSMILE's units.
    labels
        (N,) numbers of their classes.
    """

    names: list[str]
    speakers: NDArray[np.str_]
    functionals: NDArray[np.float32]
    labels: NDArray[np.int64]


def run(
    functionals: Mapping[str, Sequence[Path]],
    targets: Mapping[str, Path],
    folds: Path,
    options: BaselineOptions,
    output: Path,
) -> None:
    """Learn and test every fold; write the predictions.

    A fold's machines, one for each C, learn its training clips; the UAR of its dev clips chooses C, between equals the
    smaller. Then, as is usual, a machine with this C learns train and dev together and predicts test; the predictions
    of dev are those of the machine that did not learn it. Without dev clips C is `COST_WITHOUT_DEV`, or the first of
    `costs` if that is not tried. So the baseline learns from more clips than fine-tuning, whose dev clips only choose
    the epoch.

    A linear support vector machine has no probabilities: `probabilities` is 1 for the class predicted and 0 for others.

    Parameters
    ----------
    functionals
        The shards of each corpus that the folds name, `schemas.FUNCTIONALS`.
    targets
        `schemas.TARGETS` of each; of kind hard.
    folds
        `schemas.FOLDS`.
    options
        Normalisations, costs and class balance.
    output
        `schemas.PREDICTIONS`: initialisation `svm` or `svm_speaker`, seed 0.

    Raises
    ------
    UserError
        The targets are not classes, or inputs do not belong together.
    """
    known, table = read_targets(targets), read_folds(folds)
    if known.kind != "hard":
        raise UserError(f"{table.setting}: the baseline learns targets of kind hard, not {known.kind}; leave it out")
    clips = read_clips(functionals, known, table)
    total = len(options.normalise) * len(table.folds)
    results = progress(
        _rows(clips, known, table, options), total=total, unit="folds", label=f"baseline {table.setting}"
    )
    rows = [row for fold_rows in results for row in fold_rows]
    made_by = shards.provenance("baseline", options.model_dump(mode="json"), **provenance_of(known, table))
    shards.write_table(output, rows, schemas.PREDICTIONS, made_by)


def _rows(
    clips: DescribedClips, known: Targets, table: FoldTable, options: BaselineOptions
) -> Iterator[list[dict[str, object]]]:
    """Yield the predictions of one normalisation and one fold after the other."""
    named = {clip.key: clip for clip in table.clips}
    for normalise in options.normalise:
        for fold in table.folds:
            run = {"initialisation": NAMES[normalise], "fold": fold.number, "seed": SEED}
            predictions = predict_fold(clips, fold, normalise, len(known.classes), options)
            yield list(prediction_rows(predictions, run, named, known))


def read_clips(functionals: Mapping[str, Sequence[Path]], known: Targets, table: FoldTable) -> DescribedClips:
    """Read the functionals of the clips that the folds name.

    Raises
    ------
    UserError
        A corpus has none, or they are of another feature set than those of the rest.
    """
    wanted = {clip.key: clip for clip in table.clips}
    found: dict[str, NDArray[np.float32]] = {}
    sets = set()
    for corpus in sorted({clip.corpus for clip in table.clips}):
        if corpus not in functionals:
            raise UserError(f"{table.setting}: the folds name {corpus}, of which no functionals are given")
        sets.add(tuple(shards.read_provenance(functionals[corpus][0])["names"]))
        found |= {name: values for name, values in _named(corpus, functionals[corpus]) if name in wanted}
    if len(sets) > 1:
        raise UserError(f"{table.setting}: functionals are of different feature sets; redo the stage functionals")
    if not found:
        raise UserError(f"{table.setting}: no clip of the folds has functionals; redo the stage functionals")
    if left_out := len(wanted) - len(found):
        print(f"baseline: warning: {left_out} of {len(wanted)} clips have no functionals: left out", file=sys.stderr)
    names = sorted(found)
    speakers = np.array([f"{wanted[name].corpus}/{wanted[name].speaker}" for name in names])
    return DescribedClips(names, speakers, np.stack([found[name] for name in names]), known.values_of(names).argmax(1))


def _named(corpus: str, files: Sequence[Path]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield name and functionals of each clip of a corpus."""
    for file in files:
        for clip_id, rows in shards.iterate_clips(file, ["values"]):
            yield f"{corpus}/{clip_id}", rows["values"].combine_chunks().flatten().to_numpy()


def predict_fold(
    clips: DescribedClips,
    fold: Fold,
    normalise: Literal["train", "speaker"],
    classes: int,
    options: BaselineOptions,
) -> list[Prediction]:
    """Choose C on dev, learn train and dev, predict test; see `run`.

    Parameters
    ----------
    clips
        All clips.
    fold
        Which of them learn, choose and are tested.
    normalise
        By the clips that are learnt from, or by each speaker's own clips in the fold.
    classes
        Number of classes.
    options
        `costs` and `class_balance`.
    """
    rows = fold.rows(clips.names)
    chosen = COST_WITHOUT_DEV if COST_WITHOUT_DEV in options.costs else options.costs[0]
    predictions = []
    if len(rows["dev"]):
        inputs = normalised(clips, rows, rows["train"], normalise)
        chosen, decided = choose(inputs, clips.labels, rows, classes, options)
        predictions.append(_prediction("dev", rows["dev"], decided, clips.names, classes))
    learnt = np.sort(np.concatenate([rows["train"], rows["dev"]]))
    inputs = normalised(clips, rows, learnt, normalise)
    decided = fit(inputs[learnt], clips.labels[learnt], chosen, options.class_balance).predict(inputs[rows["test"]])
    return [*predictions, _prediction("test", rows["test"], decided, clips.names, classes)]


def choose(
    inputs: Floats, labels: NDArray[np.int64], rows: Mapping[str, Rows], classes: int, options: BaselineOptions
) -> tuple[float, NDArray[np.int64]]:
    """Return the C whose machine has the best UAR on dev, and the classes that it decides for there."""
    truth = torch.from_numpy(labels[rows["dev"]])
    tried = []
    for cost in sorted(options.costs):
        machine = fit(inputs[rows["train"]], labels[rows["train"]], cost, options.class_balance)
        decided = machine.predict(inputs[rows["dev"]])
        tried.append((dev_measures(truth, torch.from_numpy(decided), classes)["uar"], cost, decided))
    _, chosen, decided = max(tried, key=lambda entry: entry[0])
    return chosen, decided


def fit(inputs: Floats, labels: NDArray[np.int64], cost: float, balance: bool) -> LinearSVC:
    """Return a machine, one class against the rest, that has learnt these clips.

    It minimises |w|^2 / 2 + C sum_i v[i] max(0, 1 - t[i] (w x[i] + b))^2 for each class (Fan et al., "LIBLINEAR", JMLR
    2008), v being 1, or balanced: clips / (classes * clips of the class).
    """
    weight = "balanced" if balance else None
    machine = LinearSVC(C=cost, class_weight=weight, dual=True, random_state=SEED, tol=TOLERANCE, max_iter=ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        machine.fit(inputs, labels)
    if any(issubclass(entry.category, ConvergenceWarning) for entry in caught):
        print(
            f"baseline: warning: C = {cost:g} is not learnt to the end after {ITERATIONS} passes over {len(labels)}"
            " clips; leave it out of baseline.costs, or take it as it is",
            file=sys.stderr,
        )
    return machine


def normalised(clips: DescribedClips, rows: Mapping[str, Rows], learnt: Rows, by: str) -> Floats:
    """Return functionals (N, D) in deviations: of the clips learnt, or of each speaker's own clips in the fold.

    A speaker with a single clip, of which nothing would be left, is standardised by the clips learnt.
    """
    inputs = standardise(clips.functionals, clips.functionals[learnt])
    if by == "train":
        return inputs
    used = np.concatenate(list(rows.values()))
    for speaker in np.unique(clips.speakers[used]):
        own = used[clips.speakers[used] == speaker]
        if len(own) > 1:
            inputs[own] = standardise(clips.functionals[own], clips.functionals[own])
    return inputs


def standardise(values: NDArray[np.float32], source: NDArray[np.float32]) -> Floats:
    """Return values (N, D) in deviations from the mean of `source` (M, D); 0 in columns that are constant there."""
    mean, deviation = source.mean(0, dtype=np.float64), source.std(0, dtype=np.float64)
    constant = deviation <= ROUNDING * np.abs(mean)
    scaled: Floats = values - mean
    scaled /= np.where(constant, 1.0, deviation)  # in place: a corpus of thousands of clips is hundreds of megabytes
    scaled[:, constant] = 0
    return scaled


def _prediction(split: str, rows: Rows, decided: NDArray[np.int64], names: list[str], classes: int) -> Prediction:
    """Return decisions as probabilities of 0 and 1."""
    return Prediction(split, [names[row] for row in rows], np.eye(classes, dtype=np.float32)[decided])
