"""The baseline: support vector machines and linear discriminants on one vector per clip, tested as the networks are."""

import itertools
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import SVC, LinearSVC

from avpretext import shards
from avpretext.config import BaselineOptions
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.paths import condition_of, original_of
from avpretext.flow.provenance import provenance
from avpretext.progress import progress
from avpretext.systems import DISCRIMINANT, Learner, Machine
from avpretext.training import finite, mapped, memory, pooled
from avpretext.training.fold_parts import Fold
from avpretext.training.objectives import dev_measures
from avpretext.training.predictions import LabelledFolds, Prediction, Run

COST_WITHOUT_DEV = 1e-4
"""Linear machines' C of a fold without dev clips, if it is tried: the usual one for some thousands of values."""

SEED = 0
"""Of the solvers, which draw; there is one run per fold."""

TOLERANCE = 1e-3
"""Of the solver: decision values are within 2e-4 of those at 1e-6, found in half the time (RAVDESS, C from 1e-4 on)."""

ITERATIONS = 2000
"""Of the solver, at most: passes over the clips."""

SHARPNESS = tuple(2.0**power for power in range(-2, 8))
"""Tried as the factor of decision values; without dev clips it is `SHARPNESS_WITHOUT_DEV`."""

SHARPNESS_WITHOUT_DEV = 4.0


ROUNDING = 1e-7
"""A column whose deviation is a smaller share of its mean is constant: float32 tells no more."""

FARTHEST = 10.0
"""Deviations at which values are cut, one in ten thousand of them. A functional that hardly varies among the clips
learnt from can be thousands of deviations off in another, some are in copies at another speed, and hides the rest."""

BLOCK = 256
"""Vectors that are held in memory at a time, beside those that the machine learns."""

Learnt: TypeAlias = LinearSVC | SVC | Pipeline
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class DescribedClips:
    """Vectors (N, D) and classes (N,) of N clips, vectors in the units of their stage.

    A name is `{corpus}/{clip_id}`, of a copy `{corpus}@{speed}/{clip_id}` or `{corpus}@{condition}/{clip_id}`; a
    speaker `{corpus}/{speaker}`, a copy being of a speaker of its own. `originals` (N,) has the row of the clip that a
    row is at another speed, or its own; -1 in a condition, for nothing is learnt there.
    """

    names: list[str]
    speakers: NDArray[np.str_]
    vectors: NDArray[np.float32]
    labels: Rows
    originals: Rows

    def at_every_speed(self, rows: Rows) -> Rows:
        """Return these rows and those of their copies at other speeds, ascending."""
        return np.flatnonzero(np.isin(self.originals, rows))


@memory.bounded("baseline", "baseline", one_run=True, single=True)
def run(
    vectors: Mapping[str, Mapping[str, Sequence[Path]]],
    targets: Mapping[str, Path],
    folds: Path,
    options: BaselineOptions,
    output: Path,
) -> None:
    """Learn and test every fold; write the predictions.

    A fold's machines, one for each C (of a discriminant: number of principal components), learn its training clips; the
    UAR of its dev clips chooses C, between equals the smaller. Then, as is usual, a machine with this C learns train
    and dev together and predicts test; the predictions of dev are those of the machine that did not learn it. Without
    dev clips C is `COST_WITHOUT_DEV`, or the first that is tried if that is not among them. So the baseline learns from
    more clips than fine-tuning, whose dev clips only choose the epoch.

    A support vector machine has no probabilities, and those of a discriminant are too sure: `probabilities` are
    softmax(s * decision values), with the s of `SHARPNESS` under which dev is likeliest (Guo et al., "On calibration of
    modern neural networks", ICML 2017). The class predicted is the machine's own.

    Parameters
    ----------
    vectors
        {corpus: {stage or encoder: shards}} of each corpus that the folds name, and of its copies: at other speeds,
        which are learnt from wherever the clips themselves are, and in conditions, of which test clips alone are used.
    targets
        `targets` of each; of kind hard.
    folds
        `folds`.
    options
        Which machines, costs and class balance.
    output
        `finetune.predictions`: initialisation the name of the machine, seed 0.

    Raises
    ------
    UserError
        The targets are not classes, or inputs do not belong together.
    """
    labelled = LabelledFolds.read(targets, folds)
    known, table = labelled
    if known.kind != "hard":
        raise UserError(f"{table.setting}: the baseline learns targets of kind hard, not {known.kind}; leave it out")
    total = len(options.machines()) * len(table.folds)
    runs = progress(_runs(vectors, labelled, options), total=total, unit="folds", label=f"baseline {table.setting}")
    named = list(runs)
    rows = (row for name, run in named for row in labelled.rows(name, run))
    made_by = provenance("baseline", options.model_dump(mode="json"), **labelled.provenance())
    shards.write_rows(output, rows, schema_of("baseline.predictions"), made_by)


def _runs(
    vectors: Mapping[str, Mapping[str, Sequence[Path]]], labelled: LabelledFolds, options: BaselineOptions
) -> Iterator[tuple[str, Run]]:
    known, table = labelled
    for stage, machines in itertools.groupby(options.machines(), key=lambda machine: machine.vectors):
        clips = read_clips({name: of[stage] for name, of in vectors.items() if stage in of}, labelled, stage)
        for machine in machines:
            for fold in table.folds:
                predictions = predict_fold(clips, fold, machine, len(known.classes), options)
                yield machine.name, Run(fold.number, SEED, predictions, history=[])


def predict_fold(
    clips: DescribedClips,
    fold: Fold,
    machine: Machine,
    classes: int,
    options: BaselineOptions,
) -> list[Prediction]:
    """Choose C on dev, learn train and dev, predict test; see `run`.

    The vectors are standardised by the clips that are learnt from, or by each speaker's own clips in the fold, as
    `machine` has it.
    """
    rows, degraded = fold.rows(clips.names), fold.degraded(clips.names)
    heard = {**rows, **degraded, "train": clips.at_every_speed(rows["train"])}
    costs = options.tried(machine.learner)
    chosen = COST_WITHOUT_DEV if COST_WITHOUT_DEV in costs else costs[0]
    sharpness, predictions = SHARPNESS_WITHOUT_DEV, []
    if len(rows["dev"]):
        train, [dev] = _shown(clips, heard, rows["train"], ["dev"], machine)
        labels = {part: clips.labels[heard[part]] for part in ("train", "dev")}
        chosen, decided = choose(train, dev, labels, classes, machine.learner, options)
        sharpness = choose_sharpness(decided, clips.labels[rows["dev"]])
        predictions.append(Prediction.of("dev", rows["dev"], clips.names, probabilities(decided, sharpness)))
    learnt = np.sort(np.concatenate([rows["train"], rows["dev"]]))
    heard["train"] = clips.at_every_speed(learnt)
    tested = ["test", *degraded]
    train, shown = _shown(clips, heard, learnt, tested, machine)
    fitted = fit(train, clips.labels[heard["train"]], chosen, machine.learner, options)
    for split, of_split in zip(tested, shown, strict=True):
        said = probabilities(decisions(fitted, of_split, classes), sharpness)
        predictions.append(Prediction.of(split, heard[split], clips.names, said))
    return predictions


def _shown(
    clips: DescribedClips, heard: Mapping[str, Rows], learnt: Rows, asked: Sequence[str], machine: Machine
) -> tuple[Floats, list[Floats]]:
    """Return what a machine is shown of train and of the parts asked: vectors (N, D), or kernels with train (N, M)."""
    inputs = normalised(clips, heard, learnt, machine.normalise)
    train, *others = (
        np.take(inputs, heard[part], 0, mapped.empty((len(heard[part]), inputs.shape[1]), "f8"), "clip")
        for part in ("train", *asked)
    )
    if machine.learner != "rbf":
        return train, others
    return kernel(train, train), [kernel(part, train) for part in others]


def kernel(inputs: Floats, others: Floats) -> Floats:
    """Return exp(-|x - y|^2 / (2 D)) of x (N, D) and y (M, D), shape (N, M).

    In deviations |x - y|^2 is about 2 D, so that it is neither flat nor spiky.
    """
    values: Floats = rbf_kernel(inputs, others, gamma=1 / (2 * inputs.shape[1]))
    return values


def choose(
    train: Floats,
    dev: Floats,
    labels: Mapping[str, NDArray[np.int64]],
    classes: int,
    learner: Learner,
    options: BaselineOptions,
) -> tuple[float, Floats]:
    """Return the C whose machine has the best UAR on dev, and its decision values (M, classes) there."""
    truth = torch.from_numpy(labels["dev"])
    tried = []
    for cost in sorted(options.tried(learner)):
        machine = fit(train, labels["train"], cost, learner, options)
        decided = decisions(machine, dev, classes)
        uar = dev_measures(truth, torch.from_numpy(decided.argmax(1)), classes)["uar"]
        tried.append((uar, cost, decided))
    _, chosen, decided = max(tried, key=lambda entry: entry[0])
    return chosen, decided


def decisions(machine: Learnt, shown: Floats, classes: int) -> Floats:
    """Return decision values (N, classes); minus infinity for a class that was not learnt."""
    found = machine.decision_function(shown)
    values = np.full((len(shown), classes), -np.inf)
    values[:, machine.classes_] = np.column_stack([-found, found]) if found.ndim == 1 else found
    return values


def probabilities(decided: Floats, sharpness: float) -> NDArray[np.float32]:
    """Return softmax(sharpness * decision values), (N, classes)."""
    shares: NDArray[np.float32] = softmax(sharpness * decided, axis=1).astype(np.float32)
    return shares


def choose_sharpness(decided: Floats, labels: NDArray[np.int64]) -> float:
    """Return the sharpness under which these labels are likeliest, given decision values (M, classes)."""

    def likelihood(sharpness: float) -> float:
        given = log_softmax(sharpness * decided, axis=1)[np.arange(len(labels)), labels]
        return float(np.maximum(given, -50.0).sum())

    return max(SHARPNESS, key=likelihood)


def fit(shown: Floats, labels: NDArray[np.int64], cost: float, learner: Learner, options: BaselineOptions) -> Learnt:
    """Return a machine that has learnt these clips, of vectors (N, D), or of their kernels with each other (N, N).

    A linear one, one class against the rest, minimises |w|^2 / 2 + C sum_i v[i] max(0, 1 - t[i] (w x[i] + b))^2 for
    each class (Fan et al., "LIBLINEAR", JMLR 2008), v being 1, or balanced: clips / (classes * clips of the class).
    One with another kernel lets pairs of classes vote (Chang & Lin, "LIBSVM", 2011). A discriminant: `discriminant`.
    """
    if learner == DISCRIMINANT:
        return discriminant(shown, labels, int(cost), options.class_balance)
    weight = "balanced" if options.class_balance else None
    if learner == "rbf":
        return SVC(C=cost, kernel="precomputed", class_weight=weight).fit(shown, labels)
    machine = LinearSVC(C=cost, class_weight=weight, dual=True, random_state=SEED, tol=TOLERANCE, max_iter=ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        machine.fit(shown, labels)
    if any(issubclass(entry.category, ConvergenceWarning) for entry in caught):
        print(
            f"baseline: warning: C = {cost:g} is not learnt to the end after {ITERATIONS} passes over {len(labels)}"
            " clips; leave it out of baseline.costs, or take it as it is",
            file=sys.stderr,
        )
    return machine


def discriminant(vectors: Floats, labels: NDArray[np.int64], components: int, balanced: bool) -> Pipeline:
    """Return linear discriminant analysis of the first principal components of vectors (N, D), fitted.

    The covariance within the classes is shrunk by as much as it is uncertain (Ledoit & Wolf, "A well-conditioned
    estimator for large-dimensional covariance matrices", 2004). `balanced`: every class is equally likely beforehand.
    There are at most as many components as clips or values. A class of one clip counts as one without spread.
    """
    classes = len(np.unique(labels))
    likely = np.full(classes, 1 / classes) if balanced else None
    size = min(components, *vectors.shape)
    analysis = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=likely)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Only one sample available")
        return make_pipeline(PCA(size, random_state=SEED), analysis).fit(vectors, labels)


def read_clips(vectors: Mapping[str, Sequence[Path]], labelled: LabelledFolds, stage: str) -> DescribedClips:
    """Read the vectors of the clips that the folds name, and of their copies.

    `vectors` has the shards of a corpus or a copy; `stage` made them, for messages.

    Raises
    ------
    UserError
        A corpus has none, or they are of other values than those of the rest, or not finite.
    """
    known, table = labelled
    wanted = table.by_key
    table.refuse_missing(vectors, stage)
    sets = {_kind_of(files[0]) for files in vectors.values()}
    if len(sets) > 1:
        raise UserError(f"{table.setting}: {stage} are of different feature sets; redo the stage {stage}")
    names = sorted(
        {
            f"{heard}/{clip_id}"
            for heard, files in vectors.items()
            for file in files
            for clip_id in shards.rows_per_clip(file)
            if f"{original_of(heard)}/{clip_id}" in (table.test_clips if condition_of(heard) else wanted)
        }
    )
    clips = [original_of(name) for name in names]
    left_out = len(wanted) - len(set(names) & set(wanted))
    if left_out == len(wanted):
        raise UserError(f"{table.setting}: no clip of the folds has {stage}; redo the stage {stage}")
    if left_out:
        print(f"baseline: warning: {left_out} of {len(wanted)} clips have no {stage}: left out", file=sys.stderr)
    place = {name: row for row, name in enumerate(names)}
    matrix = _matrix(vectors, place)
    for name, values in zip(names, matrix, strict=True):
        fix = f"redo the stage {stage}, or look at the clip's sound"
        finite.check_values(values, f"{table.setting}: {stage} of {name}", fix)
    return DescribedClips(
        names,
        np.array([f"{name.partition('/')[0]}/{wanted[clip].speaker}" for name, clip in zip(names, clips, strict=True)]),
        matrix,
        known.values_of(clips).argmax(1),
        np.array([-1 if condition_of(name) else place.get(clip, -1) for name, clip in zip(names, clips, strict=True)]),
    )


def _matrix(vectors: Mapping[str, Sequence[Path]], place: Mapping[str, int]) -> NDArray[np.float32]:
    """Return the vectors of the clips that have a row, (N, D), on disk."""
    matrix: NDArray[np.float32] | None = None
    for heard, files in vectors.items():
        for clip_id, values in _vectors(files):
            row = place.get(f"{heard}/{clip_id}")
            if row is not None:
                matrix = mapped.empty((len(place), len(values)), values.dtype) if matrix is None else matrix
                matrix[row] = values
    assert matrix is not None
    return matrix


def _kind_of(file: Path) -> str:
    """Return what the vectors of a shard are: the names of their values, or the encoder that made them."""
    said = shards.read_provenance(file)
    return json.dumps([said.get(name) for name in ("names", *pooled.SHAPING)])


def _vectors(files: Sequence[Path]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield clip_id and vector of each clip of a corpus; of a pre-trained encoder the mean over chunks and layers."""
    for file in progress(files, total=len(files), unit="shards", label="training data, vectors", quiet=True):
        size = shards.read_provenance(file).get("size")
        for clip_id, rows in shards.iterate_clips(file, ["values"]):
            values = pooled.flat(rows["values"])
            if size is not None:
                values = values.reshape(-1, size).mean(0, dtype=np.float64).astype(np.float32)
            yield clip_id, values


def normalised(clips: DescribedClips, rows: Mapping[str, Rows], learnt: Rows, by: str) -> Floats:
    """Return vectors (N, D) in deviations: of the clips `learnt`, or of each speaker's own clips in the fold.

    A copy is standardised as the clip itself would be, or by its own speaker's copies.

    A speaker with a single clip, of which nothing would be left, is standardised by the clips learnt.
    """
    inputs = standardise(clips.vectors, clips.vectors, learnt)
    if by == "train":
        return inputs
    used = np.concatenate(list(rows.values()))
    for speaker in np.unique(clips.speakers[used]):
        own = used[clips.speakers[used] == speaker]
        if len(own) > 1:
            inputs[own] = standardise(clips.vectors[own], clips.vectors, own)
    return inputs


def standardise(values: NDArray[np.float32], source: NDArray[np.float32], rows: Rows) -> Floats:
    """Return values (N, D) in deviations from the mean of these rows of `source`, cut at `FARTHEST`; 0 if constant.

    They are on disk, and changed in place: those of thousands of clips are hundreds of megabytes.
    """
    mean = _mean(source, rows, lambda block: block)
    deviation = np.sqrt(_mean(source, rows, lambda block: np.square(block - mean)))
    constant = deviation <= ROUNDING * np.abs(mean)
    scaled: Floats = np.subtract(values, mean, out=mapped.empty(values.shape, "f8"))
    scaled /= np.where(constant, 1.0, deviation)
    scaled[:, constant] = 0
    return np.clip(scaled, -FARTHEST, FARTHEST, out=scaled)


def _mean(source: NDArray[np.float32], rows: Rows, of: Callable[[Floats], Floats]) -> Floats:
    """Return the mean over these rows, added up one after another, of what is computed of them in blocks."""
    total = np.zeros((1, source.shape[1]))
    for block in np.array_split(rows, len(rows) // BLOCK + 1):
        total = np.concatenate([total, of(source[block].astype(np.float64))]).sum(0, keepdims=True)
    mean: Floats = total[0] / len(rows)
    return mean
