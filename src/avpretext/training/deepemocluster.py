"""DeepEmoCluster, semi-supervised: every fold and seed of one setting, with and without a head that learns.

Lin, Sridhar & Busso, "DeepEmoCluster: a semi-supervised framework for latent cluster representation of speech emotions"
(ICASSP 2021). docs/deepemocluster.md says where this is as published and where not.
"""

import functools
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from avpretext.config import Config
from avpretext.corpora.who import speaker_of_each
from avpretext.errors import UserError
from avpretext.models.cluster_network import DeepEmoCluster, make_deepemocluster
from avpretext.progress import progress
from avpretext.systems import DEEPEMOCLUSTER
from avpretext.training import checkpoint as checkpoints
from avpretext.training import finite
from avpretext.training.clusters import Labels, agreement, cluster, collapse, sizes, uniform_rows
from avpretext.training.data import SpeechChunks
from avpretext.training.finished import FinishedRuns, State, UnfinishedRun, fingerprint
from avpretext.training.fold_parts import Fold, FoldTable
from avpretext.training.loop import HistoryRow, Target, network_seed, torch_device
from avpretext.training.objectives import TASK, Objective, make_objective
from avpretext.training.predictions import LabelledFolds, Prediction, Run
from avpretext.training.spectrograms import Rows, Sound, read_spectrograms, spectrogram_grid
from avpretext.training.target_rows import Targets

TRUNK_RATE, ADAM_RATE, TOP_RATE = 1e-3, 5e-4, 0.05
"""Learning rates, as published: SGD and Adam of the trunk, SGD of the top layer of the clusters."""


def run(
    features: Mapping[str, Mapping[str, Sequence[Path]]],
    index: Mapping[str, Sequence[Path]],
    targets: Mapping[str, Path],
    folds: Path,
    config: Config,
    output: Path,
    threads: int,
) -> None:
    """Learn and test every fold; write `predictions.parquet` and `history.parquet`.

    Parameters
    ----------
    features
        corpus: {"log_mel": shards}, of the corpora that the folds name and of those in `index`.
    index
        The shards of the corpora that are heard without labels.
    targets
        `schemas.TARGETS` of each corpus that the folds name.
    folds
        `schemas.FOLDS`: which clips train, choose and test.
    config
        Read: `seed`, `chunks`, `deepemocluster`; of `finetune`, `class_balance` and `label_smoothing`.
    output
        The folder to write.
    threads
        CPU threads.

    Raises
    ------
    UserError
        A corpus has no features, or there are fewer chunks than clusters.
    """
    torch.set_num_threads(threads)
    labelled = LabelledFolds.read(targets, folds)
    known, table = labelled
    unlabelled = {corpus: speaker_of_each(files) for corpus, files in index.items()}
    wanted = {
        corpus: unlabelled.get(corpus, {}) | table.speakers_of(corpus) for corpus in {*unlabelled, *table.corpora}
    }
    if missing := sorted(set(wanted) - set(features)):
        raise UserError(f"{table.setting}: no log_mel features of {missing[0]} are given; name their shards")
    options = config.deepemocluster
    heard = read_spectrograms(features, wanted, spectrogram_grid(config.chunks, options.step_frames))
    made_from = {
        "options": [getattr(config, name).model_dump(mode="json") for name in ("chunks", "deepemocluster")],
        "losses": [config.seed, config.finetune.class_balance, config.finetune.label_smoothing],
        "clips": [heard.clip_ids, sorted(unlabelled.items())],
        "learnt": [known.kind, known.classes, sorted((name, list(value)) for name, value in known.values.items())],
        "folds": table.plain(),
    }
    finished = FinishedRuns(output, fingerprint("deepemocluster", made_from, [heard.steps, heard.mask]))
    runs = progress(
        _runs(heard, unlabelled, labelled, config, finished),
        total=len(table.folds) * options.seeds * len(options.variants),
        unit="runs",
        label=f"deepemocluster {table.setting}",
    )
    by_system = sorted(runs, key=lambda entry: entry[0])
    shaping = {name: getattr(config, name).model_dump(mode="json") for name in ("chunks", "deepemocluster")}
    losses = {name: getattr(config.finetune, name) for name in ("class_balance", "label_smoothing")}
    labelled.write(by_system, "deepemocluster", {"seed": config.seed, **shaping, "finetune": losses}, output)
    finished.remove()


def _runs(
    heard: SpeechChunks,
    unlabelled: Mapping[str, Mapping[str, str]],
    labelled: LabelledFolds,
    config: Config,
    finished: FinishedRuns,
) -> Iterator[tuple[str, Run]]:
    """Yield the name of each system with one of its runs."""
    known, table = labelled
    values = np.zeros((len(heard.clip_ids), len(known.classes)), np.float32)
    rows_known = [row for row, name in enumerate(heard.clip_ids) if name in known.values]
    values[rows_known] = known.values_of([heard.clip_ids[row] for row in rows_known])
    for fold in table.folds:
        rows = fold.rows(heard.clip_ids)
        sound = Sound(heard, rows["train"], torch_device(config.deepemocluster.device))
        without = unlabelled_rows(heard.clip_ids, unlabelled, table, fold)
        for seed in range(config.deepemocluster.seeds):
            for variant in config.deepemocluster.variants:
                learner = Learner(sound, values, rows, without, known, variant == "head_trained", config)
                train = functools.partial(learner.run, fold, seed, heard.clip_ids)
                yield DEEPEMOCLUSTER[variant], finished.once(f"{variant}-{fold.number}-{seed}", train)


def unlabelled_rows(
    names: Sequence[str], unlabelled: Mapping[str, Mapping[str, str]], table: FoldTable, fold: Fold
) -> Rows:
    """Return the rows of the clips that a fold hears without labels, ascending.

    They are the training clips, and those of `unlabelled` whose speakers neither choose the epoch nor test. Corpora
    that share a clip_id count as one folder under two names, whose speakers are the same.

    Parameters
    ----------
    names
        `{corpus}/{clip_id}` of each row.
    unlabelled
        corpus: clip_id: speaker.
    table, fold
        All folds, and the one in question.
    """
    kept_apart = fold.parts["dev"] | fold.parts["test"]
    apart = {(clip.corpus, clip.speaker) for clip in table.clips if clip.key in kept_apart}
    heard = set(fold.parts["train"])
    for corpus, speakers in unlabelled.items():
        twins = {corpus, *(clip.corpus for clip in table.clips if clip.clip_id in speakers)}
        heard |= {
            f"{corpus}/{clip_id}"
            for clip_id, speaker in speakers.items()
            if not any((twin, speaker) in apart for twin in twins)
        }
    return np.flatnonzero(np.array([name in heard for name in names]))


class Learner:
    """One network on one fold.

    Every epoch: all chunks without labels are clustered, and the network learns to name their clusters; then those of
    the labelled clips are clustered by themselves, and it learns to name cluster and label. In the published code,
    which this follows, the head of the labels takes part but never learns (`head_trained` False): the trunk learns to
    suit its random weights.

    Parameters
    ----------
    sound
        The chunks of all clips.
    values
        (N, C) targets of all clips; of those without labels anything.
    rows
        train, dev, test: rows of the fold's clips.
    unlabelled
        Rows of the clips heard without labels.
    known
        What the values are.
    head_trained
        Whether the head of the labels learns.
    config
        Read: `seed`, `deepemocluster`; of `finetune`, `class_balance` and `label_smoothing`.
    """

    def __init__(
        self,
        sound: Sound,
        values: NDArray[np.float32],
        rows: Mapping[str, Rows],
        unlabelled: Rows,
        known: Targets,
        head_trained: bool,
        config: Config,
    ) -> None:
        self.sound, self.values, self.rows, self.unlabelled = sound, values, rows, unlabelled
        self.head_trained, self.seed = head_trained, config.seed
        self.options = config.deepemocluster
        plain = config.finetune.model_copy(update={"loss": "base"})
        self.objective: Objective = make_objective(known.kind, values[rows["train"]], plain)
        self.target = self.objective.target(values[rows["train"]])
        self.before: dict[str, Labels] = {}
        self.history: list[HistoryRow] = []
        self.epoch, self.best_score = 0, -math.inf
        self.best: dict[str, Tensor] = {}

    def run(self, fold: Fold, seed: int, names: Sequence[str], unfinished: UnfinishedRun) -> Run:
        """Train with one seed; the best dev epoch, or the last without dev, predicts dev and test."""
        steps, bands = self.sound.steps.shape[2:]
        start = network_seed(self.seed, seed)
        network = make_deepemocluster(
            steps, bands, self.options.width, self.options.clusters, self.values.shape[1], start
        ).to(self.sound.steps.device)
        torch.manual_seed(network_seed(self.seed, seed, fold.number))
        optimisers = Optimisers(network, self.head_trained)
        unfinished.restore(functools.partial(self.unpack, network, optimisers))
        while self.epoch < self.options.epochs:
            self.epoch += 1
            rng = np.random.default_rng([self.seed, seed, fold.number, self.epoch])
            self.learn_clusters(network, optimisers, self.epoch, rng)
            where = f"deepemocluster: fold {fold.number}, seed {seed}, epoch {self.epoch}"
            losses = {row.measure: row.value for row in self.history if row.epoch == self.epoch}
            finite.check_loss(losses["unlabelled_loss"] + losses["loss"], math.log(self.options.clusters), where, None)
            finite.check_weights(network.state_dict(), where, "training has diverged")
            score = self.dev_score(network, self.epoch)
            if score > self.best_score or not self.best or not len(self.rows["dev"]):
                self.best_score = score
                self.best = {name: value.clone() for name, value in network.state_dict().items()}
            unfinished.keep(functools.partial(self.pack, network, optimisers))
        network.load_state_dict(self.best)
        predictions = [
            Prediction(split, [names[row] for row in rows], self.objective.predictions(self.outputs(network, rows)))
            for split, rows in self.rows.items()
            if split != "train" and len(rows)
        ]
        return Run(fold.number, seed, predictions, self.history)

    def pack(self, network: DeepEmoCluster, optimisers: "Optimisers") -> State:
        """Return all that training goes on from; plain SGD remembers nothing."""
        tensors = {f"model.{name}": value for name, value in network.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= {f"before.{part}": torch.from_numpy(labels) for part, labels in self.before.items()}
        tensors |= checkpoints.pack_optimiser(optimisers.adam)
        tensors |= checkpoints.pack_random(self.sound.steps.is_cuda)
        return tensors, {"epoch": self.epoch, "best_score": self.best_score, "history": self.history}

    def unpack(
        self, network: DeepEmoCluster, optimisers: "Optimisers", tensors: Mapping[str, Tensor], said: Mapping[str, Any]
    ) -> None:
        """Put training back to where `pack` saw it."""
        network.load_state_dict(checkpoints.below("model", tensors))
        self.best = checkpoints.below("best", tensors)
        self.before = {part: labels.numpy() for part, labels in checkpoints.below("before", tensors).items()}
        checkpoints.unpack_optimiser(optimisers.adam, tensors)
        checkpoints.unpack_random(tensors)
        self.epoch, self.best_score = said["epoch"], float(said["best_score"])
        self.history = checkpoints.read_history(said["history"])

    def learn_clusters(
        self, network: DeepEmoCluster, optimisers: "Optimisers", epoch: int, rng: np.random.Generator
    ) -> None:
        """Go once over the chunks without labels, then over those with."""
        labels = self.assign(network, self.unlabelled, "unlabelled", epoch, rng)
        losses = [
            optimisers.name_clusters(chunks, clusters)
            for chunks, clusters, _ in self.batches(self.unlabelled, labels, rng)
        ]
        self.note(epoch, "train", {"unlabelled_loss": float(np.mean(losses))})
        train = self.rows["train"]
        labels = self.assign(network, train, "labelled", epoch, rng)
        both = [
            optimisers.name_both(chunks, clusters, self.target.take(clips), self.objective)
            for chunks, clusters, clips in self.batches(train, labels, rng)
        ]
        of_clusters, of_labels = np.mean(both, axis=0)
        self.note(
            epoch, "train", {"cluster_loss": of_clusters, "label_loss": of_labels, "loss": of_clusters + of_labels}
        )

    def assign(self, network: DeepEmoCluster, rows: Rows, part: str, epoch: int, rng: np.random.Generator) -> Labels:
        """Cluster the chunks of these clips, clip by clip, draw a fresh top layer, and note what they are like."""
        vectors = self.answers(network.eval().cluster_vectors, rows).flatten(0, 1).numpy()
        count, seed = self.options.clusters, int(rng.integers(2**31))
        labels = cluster(vectors, count, self.options.iterations, seed, "deepemocluster.clusters").labels
        network.renew_top(torch.Generator().manual_seed(seed))
        measures = sizes(labels, count)
        if part in self.before:
            measures["nmi"] = agreement(self.before[part], labels)
        self.before[part] = labels
        self.note(epoch, "train", {f"{part}_{name}": value for name, value in measures.items()})
        if told := collapse(labels, count, "deepemocluster.clusters"):
            print(f"deepemocluster: warning: epoch {epoch}: {told}", file=sys.stderr)
        return labels

    def batches(self, rows: Rows, labels: Labels, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield batches of chunks, as many of each cluster as of any other: the chunks, their clusters, their clips.

        A batch has `batch_size` clips' worth of chunks; of the clips, the place among `rows` is given.
        """
        device = self.sound.steps.device
        order = uniform_rows(labels, rng)
        size = self.options.batch_size * self.sound.chunks
        for part in np.array_split(order, math.ceil(len(order) / size)):
            clips, places = np.divmod(part, self.sound.chunks)
            yield (
                self.sound.batch(rows[clips], places),
                torch.from_numpy(labels[part]).to(device),
                torch.from_numpy(clips),
            )

    @torch.no_grad()
    def answers(self, ask: Callable[[Tensor], Tensor], rows: Rows) -> Tensor:
        """Return what a network in evaluation mode answers about all chunks of these clips, (N, K, D), on the CPU."""
        parts = []
        for part in np.array_split(rows, math.ceil(len(rows) / self.options.batch_size)):
            clips = np.repeat(part, self.sound.chunks)
            places = np.tile(np.arange(self.sound.chunks), len(part))
            parts.append(ask(self.sound.batch(clips, places)).float().cpu().view(len(part), self.sound.chunks, -1))
        return torch.cat(parts)

    def outputs(self, network: DeepEmoCluster, rows: Rows) -> Tensor:
        """Return the outputs for the labels of these clips, (N, C): the mean over their chunks."""
        return self.answers(network.eval().label_outputs, rows).mean(1)

    def dev_score(self, network: DeepEmoCluster, epoch: int) -> float:
        """Return and note the score of the dev clips; minus infinity without any."""
        rows = self.rows["dev"]
        if not len(rows):
            return -math.inf
        target = self.objective.target(self.values[rows])
        measures = self.objective.score({TASK: self.outputs(network, rows)}, {TASK: target})
        self.note(epoch, "dev", measures)
        return measures["score"]

    def note(self, epoch: int, split: str, measures: Mapping[str, float]) -> None:
        """Add measures to the history."""
        self.history += [HistoryRow(epoch, split, name, float(value)) for name, value in measures.items()]


class Optimisers:
    """The three optimisers of the published code, and a step of each of its two phases.

    The gradient of the summed loss is stepped twice where labels are learnt: by SGD and by Adam.
    """

    def __init__(self, network: DeepEmoCluster, head_trained: bool) -> None:
        self.network = network
        for parameter in network.label_head():
            parameter.requires_grad_(head_trained)
        learnt = [*network.body(), *(network.label_head() if head_trained else [])]
        self.trunk = torch.optim.SGD(learnt, lr=TRUNK_RATE)
        self.adam = torch.optim.Adam(learnt, lr=ADAM_RATE)
        self.top = torch.optim.SGD(network.cluster_top.parameters(), lr=TOP_RATE)

    def name_clusters(self, chunks: Tensor, clusters: Tensor) -> float:
        """Take a step on chunks (N, m, bands) without labels; return the cross-entropy of their clusters (N,)."""
        loss = functional.cross_entropy(self.network.train()(chunks).clusters, clusters)
        self._step(loss, self.trunk, self.top)
        return loss.item()

    def name_both(self, chunks: Tensor, clusters: Tensor, target: Target, objective: Objective) -> tuple[float, float]:
        """Take a step on labelled chunks; return the cross-entropy of their clusters and the loss of their labels."""
        answer = self.network.train()(chunks)
        target = Target(*(part.to(chunks.device) for part in target))
        of_clusters = functional.cross_entropy(answer.clusters, clusters)
        of_labels = objective.loss({TASK: answer.labels}, {TASK: target})
        self._step(of_clusters + of_labels, self.trunk, self.adam, self.top)
        return of_clusters.item(), of_labels.item()

    def _step(self, loss: Tensor, *optimisers: torch.optim.Optimizer) -> None:
        self.network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimiser in optimisers:
            optimiser.step()
