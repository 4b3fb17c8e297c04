"""Pre-training: any subset of the pretext tasks, learnt from speech alone, once for each seed."""

import math
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext import own_code, shards
from avpretext.config import Config, PretrainOptions
from avpretext.corpora.who import speaker_of_each
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.paths import CHECKPOINT
from avpretext.flow.provenance import provenance
from avpretext.flow.tasks import CHUNK_TASKS, CLUSTERS
from avpretext.models.losses import NO_LABEL, balanced_class_weights, masked_binary_loss, masked_class_loss, total_loss
from avpretext.progress import progress
from avpretext.training import checkpoint as checkpoints
from avpretext.training import data, mapped, memory, together
from avpretext.training.batches import NormalisedSteps
from avpretext.training.cluster_labels import ClusterLabels, unclustered
from avpretext.training.encoder_start import FOLDER, Features, Heard, hear, save_learnt
from avpretext.training.finished import State, UnfinishedRun, fingerprint
from avpretext.training.loop import ClipSet, Target, epochs, layer_rows, network_seed, start, torch_device
from avpretext.training.objectives import dev_measures
from avpretext.training.predictions import HistoryRow
from avpretext.training.run_pool import grid_map
from avpretext.training.tracking import Follow, Tracking

RESUME = "resume.safetensors"
"""The state of a run after its last epoch, kept until the job is done; no output of the rule, so it survives a kill."""


@together.in_processes(lambda config: config.pretrain)
@memory.bounded("pretrain", "pretrain")
def run(
    tasks: Sequence[str],
    features: Features,
    index: Mapping[str, Sequence[Path]],
    labels: Mapping[str, Mapping[str, Path]] | None,
    config: Config,
    output: Path,
    threads: int,
) -> None:
    """Pre-train on a set of tasks, once for each seed; write `{seed}/checkpoint.safetensors` and `history.parquet`.

    Everything random is drawn anew by each seed: the held-out speakers, the first weights, the order of batches,
    dropout and augmentation. A killed job resumes after the last whole epoch of each run, and writes the same bytes as
    an undisturbed one.

    Parameters
    ----------
    tasks
        Any of energy, activation, emotion, clusters.
    features
        corpus: name of per-frame features: their shards, in the order of `model.features`. Where a pre-trained
        encoder learns: its name, and shards of `split.audio`; then `{seed}/encoder` is that encoder, for transformers.
    index
        The shards of each corpus.
    labels
        corpus: task: table of pseudo-labels; a corpus without it has no labels of the task. None: clusters alone.
    config
        Read: `seed`, `chunks`, `model`, `pretrain`; where sound is heard also `encoders`.
    output
        The folder to write.
    threads
        Seeds trained at a time, each with one CPU thread; see `run_pool.grid_map`.
    """
    torch.set_num_threads(1)
    output.mkdir(parents=True, exist_ok=True)
    heard = read_clips(features, index, config, threads)
    chunks, tables = heard.chunks, labels or {}
    classes = read_classes(tasks, tables, config.pretrain)
    targets = read_targets(chunks, tasks, tables, classes, config.pretrain)

    def once(job: _Job) -> list[HistoryRow]:
        follow = tracking.of(f"seed{job.seed}")
        return _run_once(heard, targets, classes, config, output / str(job.seed), follow, job)

    tracking = Tracking("pretrain", config, output)
    jobs = [_Job(tuple(tasks), seed) for seed in range(config.pretrainings)]
    runs = grid_map(once, jobs, threads, torch_device(config.pretrain.device))
    label, early = f"pretrain {'-'.join(tasks)}", config.pretrain.keep == "best" and config.pretrain.stops_early
    histories = list(progress(runs, total=len(jobs), unit="runs", label=label, at_most=early))
    models = chunks.encoder.digests if heard.start and chunks.encoder else None
    made_by = provenance("pretrain", settings_of(config), models, tasks=list(tasks))
    if not together.is_first():
        return
    history = [{"seed": seed, **row._asdict()} for seed, rows in enumerate(histories) for row in rows]
    shards.write_table(output / "history.parquet", history, schema_of("pretrain.history"), made_by)
    for job in jobs:
        (output / str(job.seed) / RESUME).unlink(missing_ok=True)


class _Job(NamedTuple):
    tasks: tuple[str, ...]
    seed: int

    def __str__(self) -> str:
        return f"pretrain {'-'.join(self.tasks)}, seed {self.seed}"


def _run_once(
    heard: Heard,
    targets: Mapping[str, Target],
    classes: Mapping[str, list[str]],
    config: Config,
    folder: Path,
    follow: Follow,
    job: _Job,
) -> list[HistoryRow]:
    """Train with one seed, from the start or from `RESUME`; write its checkpoint and return its history.

    `heard` is not normalised; `targets` have a row per clip, `classes` no names for a chunk task; `follow` writes the
    curves.
    """
    options, seed, chunks = config.pretrain, network_seed(config.seed, job.seed), heard.chunks
    learnt, held_out = hold_out_speakers(chunks.speakers, options.dev_fraction, seed)
    hidden = data.hidden_channels(chunks.channels, options.hidden_channels)
    normalised = heard.normalised(learnt, config.model)
    metadata = {**describe(chunks, classes, hidden, config), "seed": job.seed}
    outputs = {task: len(names) for task, names in classes.items()}
    network = heard.network(config.model, outputs, seed, learnt, options)
    state = start(network, options, seed, tuning=options.encoder)
    objective = Objective({task: target.of_clips(learnt) for task, target in targets.items()}, classes, options)
    learnt_set, dev_set = (
        hide(
            normalised.set_of({task: target.of_clips(rows) for task, target in targets.items()}, rows),
            hidden,
            options.hidden_from,
        )
        for rows in (learnt, held_out)
    )
    learnt_set = learnt_set.to(torch_device(options.device))
    labels = ClusterLabels(learnt_set, dev_set, options, seed) if CLUSTERS in classes else None

    def pack() -> State:
        tensors, counters = checkpoints.pack(state)
        return {**tensors, **(labels.state() if labels else {})}, counters

    def unpack(tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
        checkpoints.unpack(state, tensors, counters)
        if labels:
            labels.restore(tensors)

    def renew() -> None:
        if labels and state.epoch < options.epochs:
            labels.renew(state)

    arrays = [chunks.steps, chunks.mask, *(array for target in targets.values() for array in target)]
    code = [own_code.digest(name) for name in (config.model.encoder, config.model.aggregator)]
    key = fingerprint("pretrain", {**metadata, "code": code}, arrays)
    unfinished = UnfinishedRun(folder / RESUME, key, share=math.inf)
    unfinished.restore(unpack)
    renew()
    keep = kept(classes, options)
    steps = epochs(state, learnt_set, dev_set, objective.loss, objective.score, options, keep, str(job))
    for _ in follow(steps):
        unfinished.keep(pack)
        renew()
    mean, deviation = (torch.from_numpy(part) for part in chunks.mean_and_deviation(learnt))
    tensors, counters = checkpoints.pack(state)
    channels = {"input.mean": mean, "input.deviation": deviation}
    if heard.start and together.is_first():
        save_learnt(heard.start, state.best, folder / FOLDER)
    checkpoints.write(folder / CHECKPOINT, {**tensors, **channels}, {**metadata, **counters})
    return [*state.history, *layer_rows(state, chunks.encoder.layers if chunks.encoder else ())]


def kept(tasks: Collection[str], options: PretrainOptions) -> Literal["last", "best"]:
    """Return which weights are kept: with `clusters` always those of the last epoch.

    The clusters of two epochs are different classes, so their losses cannot be compared.
    """
    if CLUSTERS in tasks and options.keep == "best":
        print("pretrain: with clusters, the last epoch is kept, whatever pretrain.keep says", file=sys.stderr)
        return "last"
    return options.keep


def read_clips(features: Features, index: Mapping[str, Sequence[Path]], config: Config, threads: int = 1) -> Heard:
    """Read the clips of all corpora; see `who_speaks` for clips whose speaker is not known."""
    speakers = {corpus: speaker_of_each(index[corpus]) for corpus in sorted(features)}
    return hear(features, speakers, config, config.pretrain, threads)


def read_classes(
    tasks: Sequence[str], labels: Mapping[str, Mapping[str, Path]], options: PretrainOptions
) -> dict[str, list[str]]:
    """Return the names of each task's classes.

    A chunk task has none; those of a clip task have a column of scores in its label tables; those of `clusters` are
    their numbers.
    """
    names: dict[str, list[str]] = {task: [] for task in tasks}
    for task in names.keys() - set(CHUNK_TASKS):
        tables = [tables[task] for tables in labels.values() if task in tables]
        scores = {column for table in tables for column in shards.columns_of(table) if column.startswith("score_")}
        names[task] = sorted(column.removeprefix("score_") for column in scores)
    if CLUSTERS in names:
        names[CLUSTERS] = [str(number) for number in range(options.clusters.count)]
    return names


def read_targets(
    chunks: data.SpeechChunks,
    tasks: Sequence[str],
    labels: Mapping[str, Mapping[str, Path]],
    classes: Mapping[str, list[str]],
    options: PretrainOptions,
) -> dict[str, Target]:
    """Return the pseudo-labels of each task, in the order of the clips; those of `clusters` are yet to be made.

    Raises
    ------
    UserError
        A task has no label for any clip that has speech, or its chunks are not those of the grid.
    """
    targets = {}
    for task in tasks:
        tables = {corpus: files[task] for corpus, files in sorted(labels.items()) if task in files}
        if task == CLUSTERS:
            targets[task] = unclustered(chunks.mask)
        else:
            names = None if task in CHUNK_TASKS else classes[task]
            targets[task] = label_target(
                chunks, tables, names, options.confidence, options.min_confidence.get(task, 0.0)
            )
        if not (targets[task].labels != NO_LABEL).any():
            raise UserError(
                f"no clip with speech has a label of task {task!r} ({len(chunks)} clips, tables:"
                f" {', '.join(map(str, tables.values())) or 'none'}); see labels.{task}, pretrain.min_confidence and"
                " results/*/rejects"
            )
    return targets


def label_target(
    chunks: data.SpeechChunks,
    tables: Mapping[str, Path],
    classes: Sequence[str] | None,
    confidence: bool,
    min_confidence: float = 0.0,
) -> Target:
    """Return labels and weights from tables: class numbers (N,) of a clip task, 0 and 1 (N, K) of a chunk task.

    A chunk task has no `classes` (None). With `confidence` a label's weight is its confidence, else 1. Labels whose
    confidence is below `min_confidence`, 0..1, are left out.

    Raises
    ------
    UserError
        The chunks of the table are not those of the grid.
    """
    of_clips = classes is not None
    row = {clip_id: place for place, clip_id in enumerate(chunks.clip_ids)}
    number = {name: place for place, name in enumerate(classes or ())}
    labels = mapped.empty(chunks.mask.shape[: 1 if of_clips else 2], "i8")
    weights = mapped.empty(labels.shape, "f4")
    labels[:], weights[:] = NO_LABEL, 1
    least = np.float32(min_confidence)  # as the table has it, so that a confidence of exactly that much is enough
    found = left_out = 0
    for corpus, table in tables.items():
        columns = ["clip_id", "label", "confidence", *([] if of_clips else ["chunk"])]
        for clip_id, label, trust, *chunk in shards.read(table, columns).drop_nulls("label").iter_rows():
            if (place := row.get(f"{corpus}/{clip_id}")) is None:
                continue
            found += 1
            if trust < least:
                left_out += 1
                continue
            if chunk and chunk[0] >= labels.shape[1]:
                raise UserError(
                    f"{table}: chunk {chunk[0]} of {clip_id}, but clips have {labels.shape[1]} chunks; redo the labels"
                )
            labels[place, *chunk] = number[label] if of_clips else label
            weights[place, *chunk] = trust if confidence else 1.0
    if left_out:
        where = ", ".join(map(str, tables.values()))
        print(f"pretrain: {left_out} of {found} labels are below confidence {least:g} ({where})", file=sys.stderr)
    return Target(torch.from_numpy(labels), torch.from_numpy(weights))


def hold_out_speakers(
    speakers: Sequence[str], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to learn from and the rows held out: at least one speaker each, drawn by seed."""
    known = sorted(set(speakers))
    if len(known) < 2:
        raise UserError(
            f"pre-training has clips of {len(known)} speaker; 2 are needed at least, one held out for early stopping;"
            " add speakers, or check how the corpus reader finds them"
        )
    count = min(len(known) - 1, max(1, round(fraction * len(known))))
    held_out = np.random.default_rng([seed, 1]).permutation(known)[:count].tolist()
    rest = [speaker for speaker in known if speaker not in held_out]
    return data.rows_of(speakers, rest), data.rows_of(speakers, held_out)


def hide(clips: ClipSet, hidden: NDArray[np.bool_], hidden_from: Sequence[str]) -> ClipSet:
    """Return the clips with the hidden channels at zero for the tasks of `hidden_from`.

    If channels are hidden from some of the tasks only, every clip comes twice, hidden and whole, each time with the
    labels of its tasks alone. So the other tasks learn to use the channels, which fine-tuning does not hide. Sound has
    no channels.
    """
    kept_from = [task for task in clips.targets if task in hidden_from]
    if not kept_from or not isinstance(clips.steps, NormalisedSteps):
        return clips
    silenced = clips.steps.hiding(torch.from_numpy(hidden))
    if len(kept_from) == len(clips.targets):
        return clips._replace(steps=silenced)
    targets = {}
    for task, target in clips.targets.items():
        unasked = Target(torch.full_like(target.labels, NO_LABEL), target.weights)
        halves = (target, unasked) if task in kept_from else (unasked, target)
        targets[task] = halves[0].followed_by(halves[1])
    twice = torch.arange(len(clips.steps)).repeat(2)
    return ClipSet(silenced.followed_by(clips.steps), clips.mask[twice], targets)


def describe(
    chunks: data.SpeechChunks, classes: Mapping[str, list[str]], hidden: NDArray[np.bool_], config: Config
) -> dict[str, Any]:
    """Return the metadata of a checkpoint; a run resumes only if they are equal."""
    return {
        "tasks": list(classes),
        "classes": {task: names for task, names in classes.items() if names},
        "channels": chunks.channels,
        "hidden_channels": [name for name, hides in zip(chunks.channels, hidden, strict=True) if hides],
        "hidden_from": [task for task in classes if task in config.pretrain.hidden_from],
        "clips": len(chunks),
        "config": settings_of(config),
        **({} if chunks.encoder is None else {"encoder": asdict(chunks.encoder)}),
    }


def settings_of(config: Config) -> dict[str, Any]:
    """Return the options that shape a pre-training."""
    settings = {name: getattr(config, name).model_dump(mode="json") for name in ("chunks", "model", "pretrain")}
    for name in ("task_sets", "threads", "seeds"):
        settings["pretrain"].pop(name)
    return {"seed": config.seed, **settings}


class Objective:
    """The weighted sum of the tasks' losses; with `keep: best`, the dev epoch is chosen by that sum."""

    def __init__(self, train: Mapping[str, Target], classes: Mapping[str, list[str]], options: PretrainOptions) -> None:
        self.classes = {task: len(names) for task, names in classes.items()}
        self.class_weights = {
            task: balanced_class_weights(train[task].labels, count, train[task].weights)
            for task, count in self.classes.items()
            if task not in (*CHUNK_TASKS, CLUSTERS)
        }
        self.task_weights = {str(task): weight for task, weight in options.task_weights.items()}

    def losses(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, Tensor]:
        """Return the loss of each task."""
        return {task: self._loss(task, logits[task], target) for task, target in targets.items()}

    def _loss(self, task: str, logits: Tensor, target: Target) -> Tensor:
        if task in CHUNK_TASKS:
            return masked_binary_loss(logits, *target)
        if task == CLUSTERS:
            return masked_class_loss(logits.flatten(0, 1), target.labels.flatten(), target.weights.flatten())
        return masked_class_loss(logits, *target, self.class_weights[task].to(logits.device))

    def loss(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> Tensor:
        """Return the loss of a batch."""
        return total_loss(self.losses(logits, targets), self.task_weights)

    def score(self, logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> dict[str, float]:
        """Return the measures of the dev clips: the loss, and loss, UAR and macro-F1 of each task."""
        losses = self.losses(logits, targets)
        measures = {"loss": float(total_loss(losses, self.task_weights))}
        for task, target in targets.items():
            binary = task in CHUNK_TASKS
            predicted = (logits[task] > 0).long() if binary else logits[task].argmax(-1)
            of_task = dev_measures(target.labels, predicted, 2 if binary else self.classes[task])
            measures |= {f"{task}_{name}": value for name, value in of_task.items()}
            measures[f"{task}_loss"] = float(losses[task])
        return {**measures, "score": -measures["loss"]}
