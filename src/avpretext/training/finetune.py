"""Fine-tuning: every fold and seed of one setting and one initialisation in one job."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from avpretext import own_code
from avpretext.config import Config
from avpretext.models.network import SpeechNetwork
from avpretext.progress import progress
from avpretext.training import checkpoint as checkpoints
from avpretext.training import loop, memory, together
from avpretext.training.checkpoint import Body
from avpretext.training.co_occurrence import Matrix, read_matrices
from avpretext.training.finished import FinishedRuns, UnfinishedRun, fingerprint
from avpretext.training.fold_parts import Fold, FoldTable
from avpretext.training.labelled_clips import LabelledClips, clips_of_fold, read_starts, warn_of_missing_classes
from avpretext.training.loop import ClipSet, TrainingState
from avpretext.training.objectives import TASK, Objective, make_objective
from avpretext.training.predictions import LabelledFolds, Prediction, Run
from avpretext.training.run_pool import grid_map
from avpretext.training.tracking import Follow, Tracking, unfollowed

EVERY_CLIP = 1_000_000
"""Number of the fold in which every clip trains, for seeds: no protocol has so many."""

_SHAPING = ("chunks", "model", "finetune")


@together.in_processes(lambda config: config.finetune)
@memory.bounded("finetune", "finetune")
def run(
    initialisation: str,
    starts: Sequence[Path] | None,
    features: Mapping[str, Mapping[str, Sequence[Path]]],
    targets: Mapping[str, Path],
    folds: Path,
    co_occurrence: Path | None,
    config: Config,
    output: Path,
    threads: int,
) -> None:
    """Fine-tune from one initialisation; write `predictions.parquet` and `history.parquet`.

    The dev clips of a fold choose the epoch. A fold without dev clips is trained for all epochs, whatever `patience`
    says; the last weights are kept, and nothing is predicted for dev.

    Parameters
    ----------
    initialisation
        `scratch`, or the name of the checkpoints' tasks.
    starts
        Checkpoints to start from, one for each pre-training: run i of a fold starts from the one at i modulo their
        number; none from scratch.
    features
        corpus that the folds name, its copy at another speed, of which training clips alone are heard, or in a
        condition, of which test clips alone are: name of per-frame features: their shards, in the order of
        `model.features`. Where a pre-trained encoder learns, or did in pre-training: its name, and shards of
        `split.audio`.
    targets
        `targets` of each.
    folds
        `folds`: which clips train, choose and test.
    co_occurrence
        `co_occurrence` of the same folds; needed by the penalty loss alone.
    config
        Read: `seed`, `chunks`, `model`, `finetune`; where sound is heard also `encoders`.
    output
        The folder to write.
    threads
        Runs at a time, each with one CPU thread; see `run_pool.grid_map`. Finished runs are kept until all are, and the
        state of an unfinished one every few seconds, so that a killed job resumes.
    """
    torch.set_num_threads(1)
    labelled = LabelledFolds.read(targets, folds)
    table = labelled.table
    clips, bodies = read_starts(features, labelled, starts or (), config, threads)
    warn_of_missing_classes(clips[0], table.folds)
    asked = co_occurrence is not None and config.finetune.loss == "penalty"
    penalties = read_matrices(co_occurrence, clips[0].classes) if co_occurrence and asked else {}
    device = loop.torch_device(config.finetune.device)
    loop.mixed_precision(config.finetune.precision, device.type)  # says once, before the runs, if it cannot be
    tracking = Tracking("finetune", config, output)
    finished = FinishedRuns(output, _made_from(clips, table, penalties, bodies, config))

    def once(job: _Job) -> Run:
        body = body_of_run(bodies, job.seed)
        follow = tracking.of(f"fold{job.fold.number}.seed{job.seed}")
        train = functools.partial(run_once, job.clips, job.fold, job.seed, body, config, job.penalty, follow=follow)
        return finished.once(f"{job.fold.number}-{job.seed}", train)

    jobs = (
        _Job(normalised[seed % len(normalised)], fold, seed, penalties.get(fold.number))
        for fold in table.folds
        for normalised in [[clips_of_fold(heard, fold, config.model) for heard in clips]]
        for seed in range(config.finetune.seeds)
    )
    label, total = f"finetune {table.setting} from {initialisation}", len(table.folds) * config.finetune.seeds
    runs = grid_map(once, jobs, threads, device)
    runs = progress(runs, total=total, unit="runs", label=label, at_most=config.finetune.stops_early)
    named = [(initialisation, run) for run in runs]
    if together.is_first():
        models = clips[0].chunks.encoder.digests if clips[0].start and clips[0].chunks.encoder else None
        labelled.write(named, "finetune", {"seed": config.seed, **_shaping(config)}, output, len(bodies), models)
        finished.remove()


def body_of_run(bodies: Sequence[Body], number: int) -> Body | None:
    """Return the weights that a run starts from: the pre-trainings take turns, so that each counts alike."""
    return bodies[number % len(bodies)] if bodies else None


def _shaping(config: Config) -> dict[str, Any]:
    """Return the groups of options that shape the runs."""
    apart = {"threads", "checkpoints"}
    return {name: getattr(config, name).model_dump(mode="json", exclude=apart) for name in _SHAPING}


def _made_from(
    heard: Sequence[LabelledClips],
    table: FoldTable,
    penalties: Mapping[int, Matrix],
    bodies: Sequence[Body],
    config: Config,
) -> str:
    clips = heard[0]
    weights = [entry for body in bodies for entry in sorted(body.weights.items())]
    weights += [entry for body in bodies if body.front for entry in sorted(body.front.as_tensors().items())]
    said = {
        "options": list(_shaping(config).values()),
        "code": [own_code.digest(name) for name in (config.model.encoder, config.model.aggregator)],
        "seed": config.seed,
        "clips": [clips.chunks.clip_ids, clips.chunks.speakers, clips.chunks.channels],
        "learnt": [clips.kind, clips.classes],
        "folds": table.plain(),
        "bodies": [[body.heard_all, *sorted(body.weights)] for body in bodies],
    }
    matrices = [matrix for _, matrix in sorted(penalties.items())]
    steps = [one.chunks.steps for one in heard]
    numbers = [*steps, clips.chunks.mask, *(value for _, value in weights)]
    return fingerprint("finetune", said, [*numbers, clips.values, *matrices])


class _Job(NamedTuple):
    """A run to do, with all that its fold says."""

    clips: LabelledClips
    fold: Fold
    seed: int
    penalty: Matrix | None

    def __str__(self) -> str:
        return str(RunSeeds(self.seed, self.fold.number))


def run_once(
    clips: LabelledClips,
    fold: Fold,
    seed: int,
    body: Body | None,
    config: Config,
    penalty: Matrix | None = None,
    unfinished: UnfinishedRun | None = None,
    follow: Follow = unfollowed,
) -> Run:
    """Train on one fold with one seed; the best dev epoch, or the last without dev, predicts dev, test and conditions.

    Runs of one fold and seed share head, order of batches and dropout, whatever they start from: they are pairs.
    `clips` are from `clips_of_fold`; without a `body` training starts from scratch; `penalty` is the fold's matrix (K,
    K), for the penalty loss alone; `unfinished` keeps the state while it trains, `follow` writes its curves.
    """
    rows = fold.rows(clips.chunks.clip_ids)
    state, objective = train(clips, rows, RunSeeds(seed, fold.number), body, config, penalty, unfinished, follow)
    predictions = [
        Prediction.of(
            split, of_split, clips.chunks.clip_ids, best_predictions(state, clips, of_split, objective, config)
        )
        for split, of_split in {**rows, **fold.degraded(clips.chunks.clip_ids)}.items()
        if split != "train" and len(of_split)
    ]
    by = clips.chunks.encoder
    return Run(fold.number, seed, predictions, [*state.history, *loop.layer_rows(state, by.layers if by else ())])


class RunSeeds(NamedTuple):
    """What a run draws by: head and first weights by `run`, order of batches and dropout by both."""

    run: int
    fold: int

    def __str__(self) -> str:
        where = f"finetune: fold {self.fold}, seed"
        return f"{'export: network' if self.fold == EVERY_CLIP else where} {self.run}"


def train(
    clips: LabelledClips,
    rows: Mapping[str, NDArray[np.int64]],
    seeds: RunSeeds,
    body: Body | None,
    config: Config,
    penalty: Matrix | None = None,
    unfinished: UnfinishedRun | None = None,
    follow: Follow = unfollowed,
) -> tuple[TrainingState, Objective]:
    """Train on the rows `train`, the epoch chosen by the rows `dev` if there are any; see `run_once`."""
    options = config.finetune
    state = loop.start(
        initial_network(clips, body, config, loop.network_seed(config.seed, seeds.run), rows["train"]),
        options,
        loop.network_seed(config.seed, seeds.run, seeds.fold),
        options.body_rate if body and body.heard_all else 1.0,
        options.encoder,
    )
    objective = make_objective(clips.kind, clips.values[rows["train"]], options, penalty, clips.classes)
    dev = clip_set(clips, rows["dev"], objective) if len(rows["dev"]) else None
    learnt = at_every_speed(clips, rows["train"], objective)
    if unfinished:
        unfinished.restore(functools.partial(checkpoints.unpack, state))
    for _ in follow(loop.epochs(state, learnt, dev, objective.loss, objective.score, options, where=str(seeds))):
        if unfinished:
            unfinished.keep(functools.partial(checkpoints.pack, state))
    return state, objective


def initial_network(
    clips: LabelledClips, body: Body | None, config: Config, seed: int, train: NDArray[np.int64]
) -> SpeechNetwork:
    """Return the network to fine-tune: encoder and aggregator from `body` if given, the head new.

    In front of it, where it hears sound, is the pre-trained encoder, normalised by the clips of the rows `train`.
    """
    network = clips.heard.network(config.model, {TASK: len(clips.classes)}, seed, train, config.finetune)
    if body:
        network.load_state_dict({**network.state_dict(), **body.weights})
    return network


def clip_set(clips: LabelledClips, rows: NDArray[np.int64], objective: Objective) -> ClipSet:
    """Return input and target of these clips."""
    return clips.heard.set_of({TASK: objective.target(clips.values[rows])}, rows)


def at_every_speed(clips: LabelledClips, rows: NDArray[np.int64], objective: Objective) -> ClipSet:
    """Return input and target of these clips, each at every speed."""
    versions = clips.versions(rows)
    used, places = np.unique(versions, return_inverse=True)
    if len(used) == len(rows):
        return clip_set(clips, rows, objective)
    every = clip_set(clips, used, objective)
    return every._replace(versions=torch.from_numpy(places.reshape(versions.shape)))


def best_predictions(
    state: TrainingState, clips: LabelledClips, rows: NDArray[np.int64], objective: Objective, config: Config
) -> NDArray[np.float32]:
    """Return what the weights that were kept predict for these clips, (N, C)."""
    state.network.load_state_dict(state.best)
    asked = clip_set(clips, rows, objective).to(next(state.network.parameters()).device)
    return objective.predictions(loop.predict(state.network, asked, config.finetune)[TASK])
