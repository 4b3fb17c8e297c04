"""Fine-tuning: a corpus's labels, every fold and seed of one initialisation in one job."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext import schemas, shards
from avpretext.config import Config, FinetuneOptions, ModelOptions
from avpretext.errors import UserError
from avpretext.models.losses import balanced_class_weights, masked_class_loss
from avpretext.models.network import SpeechNetwork, make_network
from avpretext.progress import progress
from avpretext.training import checkpoint as checkpoints
from avpretext.training.checkpoint import Body
from avpretext.training.data import SpeechChunks, chunk_grid, load_chunks, normalise, rows_of
from avpretext.training.loop import ClipSet, HistoryRow, Target, TrainingState, epochs, predict, start
from avpretext.training.measures import dev_measures
from avpretext.training.protocols import Fold, make_folds

TASK = "ser"
"""Name of the head that is fine-tuned."""


@dataclass(frozen=True)
class LabelledClips:
    """Clips and the number of each clip's class."""

    chunks: SpeechChunks
    labels: NDArray[np.int64]
    classes: list[str]


class Prediction(NamedTuple):
    """Probabilities (N, classes) for the clips of these rows."""

    split: str
    rows: NDArray[np.int64]
    probabilities: NDArray[np.float32]


class Run(NamedTuple):
    """What one fold and seed came to."""

    fold: int
    seed: int
    predictions: list[Prediction]
    history: list[HistoryRow]


def run(
    initialisation: str,
    checkpoint: Path | None,
    speech: Sequence[Path],
    index: Sequence[Path],
    config: Config,
    output: Path,
    threads: int,
) -> None:
    """Fine-tune from one initialisation; write `predictions.parquet` and `history.parquet`.

    Parameters
    ----------
    initialisation
        `scratch`, or the name of the checkpoint's tasks.
    checkpoint
        What to start from; None from scratch.
    speech, index
        The shards of one corpus.
    config
        Read: `seed`, `chunks`, `model`, `finetune`.
    output
        The folder to write.
    threads
        CPU threads.
    """
    torch.set_num_threads(threads)
    clips = read_clips(speech, index, config)
    body = checkpoints.read_body(checkpoint, clips.chunks.channels, config) if checkpoint else None
    folds = make_folds(clips.chunks.speakers, config.finetune, config.seed)
    warn_of_missing_classes(clips, folds)
    jobs = [(fold, seed) for fold in folds for seed in range(config.finetune.seeds)]
    label = f"finetune from {initialisation}"
    runs = []
    normalised: tuple[int, SpeechChunks] | None = None
    for fold, seed in progress(jobs, total=len(jobs), unit="runs", label=label):
        if normalised is None or normalised[0] != fold.number:
            normalised = fold.number, normalise_for(fold, clips.chunks, config.model)
        runs.append(run_once(LabelledClips(normalised[1], clips.labels, clips.classes), fold, seed, body, config))
    write(runs, initialisation, clips, config, output)


def read_clips(speech: Sequence[Path], index: Sequence[Path], config: Config) -> LabelledClips:
    """Read the labelled clips of a corpus.

    Raises
    ------
    UserError
        No clip has a label, or only one class occurs.
    """
    rows = shards.read(index, ["clip_id", "speaker", "label"])
    labelled = rows.filter(pl.col("label").is_not_null())
    if labelled.is_empty():
        raise UserError(
            f"none of the {len(rows)} clips of the corpus has a label; fine-tuning needs labels:"
            " choose another `target` or `reader` for the corpus, or take `finetune` out of its `use`"
        )
    if unknown := labelled["speaker"].null_count():
        print(
            f"finetune: warning: the speaker of {unknown} of {len(labelled)} labelled clips is not known; each counts"
            " as a speaker of its own, so train and test may share speakers",
            file=sys.stderr,
        )
    names = dict(labelled.select("clip_id", "label").iter_rows())
    speakers = dict(labelled.select("clip_id", pl.col("speaker").fill_null(pl.col("clip_id"))).iter_rows())
    chunks = load_chunks(speech, speakers, config.model.channels, chunk_grid(config.chunks, config.model))
    classes = sorted({names[clip_id] for clip_id in chunks.clip_ids})
    if len(classes) < 2:
        raise UserError(f"all labelled clips are {classes[0]!r}; fine-tuning needs at least two classes in the index")
    number = {name: place for place, name in enumerate(classes)}
    return LabelledClips(chunks, np.array([number[names[clip_id]] for clip_id in chunks.clip_ids]), classes)


def warn_of_missing_classes(clips: LabelledClips, folds: Sequence[Fold]) -> None:
    """Warn of each fold that has a class in its test clips but not in its training clips."""
    for fold in folds:
        learnt, tested = (
            set(clips.labels[rows_of(clips.chunks.speakers, part)].tolist()) for part in (fold.train, fold.test)
        )
        for missing in sorted(tested - learnt):
            name = clips.classes[missing]
            print(f"finetune: warning: fold {fold.number} tests {name!r} and learns it from no clip", file=sys.stderr)


def normalise_for(fold: Fold, chunks: SpeechChunks, model: ModelOptions) -> SpeechChunks:
    """Normalise all clips by what the fold may know; see `model.normalise`."""
    return normalise(chunks, rows_of(chunks.speakers, fold.train), model.normalise)


def run_once(clips: LabelledClips, fold: Fold, seed: int, body: Body | None, config: Config) -> Run:
    """Train on one fold with one seed; the best dev epoch predicts dev and test.

    Runs of one fold and seed share head, order of batches and dropout, whatever they start from: they are pairs.
    """
    options = config.finetune
    rows = {part: rows_of(clips.chunks.speakers, getattr(fold, part)) for part in ("train", "dev", "test")}
    if len(rows["train"]) < 2:
        raise UserError(
            f"fold {fold.number} has {len(rows['train'])} training clips; at least 2 are needed; label more"
        )
    state = start(
        initial_network(clips, body, config, network_seed(config.seed, seed)),
        options,
        network_seed(config.seed, seed, fold.number),
        options.body_rate if body and body.heard_all else 1.0,
    )
    objective = Objective(clips.labels[rows["train"]], len(clips.classes), options)
    sets = clip_set(clips, rows["train"]), clip_set(clips, rows["dev"])
    for _ in epochs(state, *sets, objective.loss, objective.score, options):
        pass
    predictions = [
        Prediction(split, rows[split], best_probabilities(state, clip_set(clips, rows[split]), options))
        for split in ("dev", "test")
    ]
    return Run(fold.number, seed, predictions, state.history)


def network_seed(*parts: int) -> int:
    """Return one number that stands for several."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def initial_network(clips: LabelledClips, body: Body | None, config: Config, seed: int) -> SpeechNetwork:
    """Return the network to fine-tune: encoder and aggregator from `body` if given, the head new."""
    network = make_network(len(clips.chunks.channels), config.model, {TASK: len(clips.classes)}, seed)
    if body:
        network.load_state_dict({**network.state_dict(), **body.weights})
    return network


def clip_set(clips: LabelledClips, rows: NDArray[np.int64]) -> ClipSet:
    """Return input and target of these clips."""
    labels = torch.from_numpy(clips.labels[rows])
    target = Target(labels, torch.ones(len(rows)))
    return ClipSet(clips.chunks.steps[rows], clips.chunks.mask[rows], {TASK: target})


class Objective:
    """Cross-entropy, balanced over the classes by option; the dev epoch is chosen by UAR, between equals by loss."""

    def __init__(self, train_labels: NDArray[np.int64], classes: int, options: FinetuneOptions) -> None:
        balanced = balanced_class_weights(torch.from_numpy(train_labels), classes)
        self.class_weights = balanced if options.class_balance else torch.ones(classes)
        self.classes = classes
        self.smoothing = options.label_smoothing

    def loss(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> Tensor:
        """Return the loss of a batch."""
        weights = self.class_weights.to(logits[TASK].device)
        return masked_class_loss(logits[TASK], *targets[TASK], weights, self.smoothing)

    def score(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, float]:
        """Return the measures of the dev clips."""
        measures = dev_measures(targets[TASK].labels, logits[TASK].argmax(1), self.classes)
        loss = float(masked_class_loss(logits[TASK], *targets[TASK]))
        return {"loss": loss, **measures, "score": measures["uar"] - 1e-3 * loss}


def best_probabilities(state: TrainingState, clips: ClipSet, options: FinetuneOptions) -> NDArray[np.float32]:
    """Return the class probabilities (N, classes) that the best epoch gives."""
    state.network.load_state_dict(state.best)
    device = next(state.network.parameters()).device
    logits = predict(state.network, clips.to(device), options.batch_size)[TASK]
    probabilities: NDArray[np.float32] = logits.softmax(1).numpy()
    return probabilities


def write(runs: Sequence[Run], initialisation: str, clips: LabelledClips, config: Config, output: Path) -> None:
    """Write predictions and history, by fold, seed, split and clip."""
    options = {name: getattr(config, name).model_dump(mode="json") for name in ("chunks", "model", "finetune")}
    made_by = shards.provenance("finetune", {"seed": config.seed, **options}, classes=clips.classes)
    predictions = [row for result in runs for row in prediction_rows(result, initialisation, clips)]
    shards.write_table(output / "predictions.parquet", predictions, schemas.PREDICTIONS, made_by)
    history = [
        {"initialisation": initialisation, "fold": result.fold, "seed": result.seed, **row._asdict()}
        for result in runs
        for row in result.history
    ]
    shards.write_table(output / "history.parquet", history, schemas.FINETUNE_HISTORY, made_by)


def prediction_rows(result: Run, initialisation: str, clips: LabelledClips) -> list[dict[str, Any]]:
    """Return the rows of one run for `predictions.parquet`."""
    return [
        {
            "initialisation": initialisation,
            "fold": result.fold,
            "seed": result.seed,
            "split": part.split,
            "clip_id": clips.chunks.clip_ids[row],
            "speaker": clips.chunks.speakers[row],
            "label": clips.classes[clips.labels[row]],
            "predicted": clips.classes[int(probabilities.argmax())],
            "probabilities": probabilities.tolist(),
        }
        for part in result.predictions
        for row, probabilities in zip(part.rows.tolist(), part.probabilities, strict=True)
    ]
