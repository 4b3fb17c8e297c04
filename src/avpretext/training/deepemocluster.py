"""DeepEmoCluster, semi-supervised: every fold and seed of one setting, with and without a head that learns.

Lin, Sridhar & Busso, "DeepEmoCluster: a semi-supervised framework for latent cluster representation of speech emotions"
(ICASSP 2021). docs/deepemocluster.md says where this is as published and where not.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from avpretext.training import finite, mapped, memory
from avpretext.training.clusters import Labels, agreement, cluster, collapse, sizes, uniform_rows
from avpretext.training.data import SpeechChunks, chunk_grid
from avpretext.training.finished import FinishedRuns, State, UnfinishedRun, fingerprint
from avpretext.training.fold_parts import Fold, FoldTable
from avpretext.training.loop import Target, network_seed, torch_device
from avpretext.training.objectives import TASK, Objective, make_objective
from avpretext.training.predictions import HistoryRow, LabelledFolds, Prediction, Run
from avpretext.training.spectrograms import Rows, Sound, read_spectrograms

TRUNK_RATE, ADAM_RATE, TOP_RATE = 1e-3, 5e-4, 0.05
"""Learning rates, as published: SGD and Adam of the trunk, SGD of the top layer of the clusters."""


@memory.bounded("deepemocluster", "deepemocluster", one_run=True)
def run(
    features: Mapping[str, Mapping[str, Sequence[Path]]],
    index: Mapping[str, Sequence[Path]] | None,
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
        The shards of the corpora that are heard without labels, if any.
    targets
        `targets` of each corpus that the folds name.
    folds
        `folds`: which clips train, choose and test.
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
    unlabelled = {corpus: speaker_of_each(files) for corpus, files in (index or {}).items()}
    wanted = {
        corpus: unlabelled.get(corpus, {}) | table.speakers_of(corpus) for corpus in {*unlabelled, *table.corpora}
    }
    if missing := sorted(set(wanted) - set(features)):
        raise UserError(f"{table.setting}: no log_mel features of {missing[0]} are given; name their shards")
    options = config.deepemocluster
    heard = read_spectrograms(features, wanted, chunk_grid(config.chunks, options.step_frames))
    shaping = {name: getattr(config, name).model_dump(mode="json") for name in ("chunks", "deepemocluster")}
    losses = {name: getattr(config.finetune, name) for name in ("class_balance", "label_smoothing")}
    made_from = {
        "options": list(shaping.values()),
        "losses": [config.seed, *losses.values()],
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
    labelled.write(by_system, "deepemocluster", {"seed": config.seed, **shaping, "finetune": losses}, output)
    finished.remove()


def _runs(
    heard: SpeechChunks,
    unlabelled: Mapping[str, Mapping[str, str]],
    labelled: LabelledFolds,
    config: Config,
    finished: FinishedRuns,
) -> Iterator[tuple[str, Run]]:
    known, table = labelled
    values = np.zeros((len(heard.clip_ids), len(known.classes)), np.float32)
    rows_known = [row for row, name in enumerate(heard.clip_ids) if name in known.values]
    values[rows_known] = known.values_of([heard.clip_ids[row] for row in rows_known])
    plain = config.finetune.model_copy(update={"loss": "base"})
    for fold in table.folds:
        rows = fold.rows(heard.clip_ids)
        sound = Sound(heard, rows["train"], torch_device(config.deepemocluster.device))
        without = unlabelled_rows(heard.clip_ids, unlabelled, table, fold)
        objective = make_objective(known.kind, values[rows["train"]], plain, names=known.classes)
        clips = FoldClips(sound, heard.clip_ids, values, rows, without, objective)
        for seed in range(config.deepemocluster.seeds):
            for variant in config.deepemocluster.variants:
                learner = Learner(clips, fold.number, seed, variant == "head_trained", config)
                yield DEEPEMOCLUSTER[variant], finished.once(f"{variant}-{fold.number}-{seed}", learner.run)


def unlabelled_rows(
    names: Sequence[str], unlabelled: Mapping[str, Mapping[str, str]], table: FoldTable, fold: Fold
) -> Rows:
    """Return the rows of the clips, named `{corpus}/{clip_id}`, that a fold hears without labels, ascending.

    They are the training clips, and those of `unlabelled` (corpus: clip_id: speaker) whose speakers neither choose the
    epoch nor test. Corpora that share a clip_id count as one folder under two names, whose speakers are the same.
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


@dataclass(frozen=True)
class FoldClips:
    """The clips of a fold, by name `{corpus}/{clip_id}`, and the chunks of all, `sound`.

    `values` (N, C) are targets, of clips without labels anything. `rows` are those of train, dev and test; `unlabelled`
    those of the clips that are used without labels.
    """

    sound: Sound
    names: list[str]
    values: NDArray[np.float32]
    rows: Mapping[str, Rows]
    unlabelled: Rows
    objective: Objective

    def target(self, split: str) -> Target:
        """Return the target of the clips of a split."""
        return self.objective.target(self.values[self.rows[split]])


class Learner:
    """One network on one fold.

    Every epoch: all chunks without labels are clustered, and the network learns to name their clusters; then those of
    the labelled clips are clustered by themselves, and it learns to name cluster and label. In the published code,
    which this follows, the head of the labels takes part but never learns (`head_trained` False): the trunk learns to
    suit its random weights.
    """

    def __init__(self, clips: FoldClips, fold: int, seed: int, head_trained: bool, config: Config) -> None:
        self.clips, self.options = clips, config.deepemocluster
        self.numbers = (config.seed, seed, fold)
        self.where = f"deepemocluster: fold {fold}, seed {seed}"
        steps, bands = clips.sound.steps.shape[2:]
        sizes = (steps, bands, self.options.width, self.options.clusters, clips.values.shape[1])
        self.network = make_deepemocluster(*sizes, network_seed(config.seed, seed)).to(clips.sound.device)
        self.optimisers = Optimisers(self.network, head_trained)
        self.before: dict[str, Labels] = {}
        self.history: list[HistoryRow] = []
        self.epoch, self.best_score = 0, -math.inf
        self.best: dict[str, Tensor] = {}

    def run(self, unfinished: UnfinishedRun) -> Run:
        """Train; the best dev epoch, or the last without dev, predicts dev and test."""
        clips = self.clips
        torch.manual_seed(network_seed(*self.numbers))
        unfinished.restore(self.unpack)
        epochs = range(self.epoch + 1, self.options.epochs + 1)
        count, before = self.options.epochs, self.epoch
        for epoch in progress(epochs, total=count, unit="epochs", label=self.where, within=True, before=before):
            self.epoch = epoch
            self.learn_clusters(np.random.default_rng([*self.numbers, self.epoch]))
            self._check()
            score = self.dev_score()
            if score > self.best_score or not self.best or not len(clips.rows["dev"]):
                self.best_score = score
                self.best = {name: value.clone() for name, value in self.network.state_dict().items()}
            unfinished.keep(self.pack)
        self.network.load_state_dict(self.best)
        predictions = [
            Prediction.of(split, rows, clips.names, clips.objective.predictions(self.outputs(rows)))
            for split, rows in clips.rows.items()
            if split != "train" and len(rows)
        ]
        _, seed, fold = self.numbers
        return Run(fold, seed, predictions, self.history)

    def _check(self) -> None:
        where = f"{self.where}, epoch {self.epoch}"
        losses = {row.measure: row.value for row in self.history if row.epoch == self.epoch}
        finite.check_loss(losses["unlabelled_loss"] + losses["loss"], math.log(self.options.clusters), where, None)
        finite.check_weights(self.network.state_dict(), where, "training has diverged")

    def pack(self) -> State:
        """Return the state of the training; plain SGD has none."""
        tensors = {f"model.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= {f"before.{part}": torch.from_numpy(labels) for part, labels in self.before.items()}
        tensors |= checkpoints.pack_optimiser(self.optimisers.adam)
        tensors |= checkpoints.pack_random(self.clips.sound.device.type == "cuda")
        return tensors, {"epoch": self.epoch, "best_score": self.best_score, "history": self.history}

    def unpack(self, tensors: Mapping[str, Tensor], said: Mapping[str, Any]) -> None:
        """Restore the state that `pack` returned."""
        self.network.load_state_dict(checkpoints.below("model", tensors))
        self.best = checkpoints.below("best", tensors)
        self.before = {part: labels.numpy() for part, labels in checkpoints.below("before", tensors).items()}
        checkpoints.unpack_optimiser(self.optimisers.adam, tensors)
        checkpoints.unpack_random(tensors)
        self.epoch, self.best_score = said["epoch"], float(said["best_score"])
        self.history = checkpoints.read_history(said["history"])

    def learn_clusters(self, rng: np.random.Generator) -> None:
        """Go once over the chunks without labels, then over those with."""
        clips, optimisers = self.clips, self.optimisers
        labels = self.assign(clips.unlabelled, "unlabelled", rng)
        losses = [
            optimisers.name_clusters(chunks, clusters)
            for chunks, clusters, _ in self.batches(clips.unlabelled, labels, rng)
        ]
        self.note("train", {"unlabelled_loss": float(np.mean(losses))})
        train, target = clips.rows["train"], clips.target("train")
        labels = self.assign(train, "labelled", rng)
        both = [
            optimisers.name_both(chunks, clusters, target.take(rows), clips.objective)
            for chunks, clusters, rows in self.batches(train, labels, rng)
        ]
        of_clusters, of_labels = np.mean(both, axis=0)
        self.note("train", {"cluster_loss": of_clusters, "label_loss": of_labels, "loss": of_clusters + of_labels})

    def assign(self, rows: Rows, part: str, rng: np.random.Generator) -> Labels:
        """Cluster the chunks of these clips, clip by clip, draw a fresh top layer, and note the sizes of clusters."""
        vectors = self.answers(self.network.eval().cluster_vectors, rows).flatten(0, 1).numpy()
        count, seed = self.options.clusters, int(rng.integers(2**31))
        labels = cluster(vectors, count, self.options.iterations, seed, "deepemocluster.clusters").labels
        self.network.renew_top(torch.Generator().manual_seed(seed))
        measures = sizes(labels, count)
        if part in self.before:
            measures["nmi"] = agreement(self.before[part], labels)
        self.before[part] = labels
        self.note("train", {f"{part}_{name}": value for name, value in measures.items()})
        if told := collapse(labels, count, "deepemocluster.clusters"):
            print(f"deepemocluster: warning: epoch {self.epoch}: {told}", file=sys.stderr)
        return labels

    def batches(self, rows: Rows, labels: Labels, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield batches of chunks, as many of each cluster as of any other: the chunks, their clusters, their clips.

        A batch has `batch_size` clips' worth of chunks; of the clips, the place among `rows` is given.
        """
        sound = self.clips.sound
        device, order = sound.device, uniform_rows(labels, rng)
        size = self.options.batch_size * sound.chunks
        parts = np.array_split(order, math.ceil(len(order) / size))
        where = f"{self.where}, epoch {self.epoch}"
        for part in progress(parts, total=len(parts), unit="batches", label=where, quiet=True):
            clips, places = np.divmod(part, sound.chunks)
            yield (
                sound.batch(rows[clips], places),
                torch.from_numpy(labels[part]).to(device),
                torch.from_numpy(clips),
            )

    @torch.no_grad()
    def answers(self, ask: Callable[[Tensor], Tensor], rows: Rows) -> Tensor:
        """Return the outputs of a network in evaluation mode for all chunks of these clips, (N, K, D), on disk."""
        sound = self.clips.sound
        places = np.arange(sound.chunks)
        parts = (
            ask(sound.batch(np.repeat(part, sound.chunks), np.tile(places, len(part)))).float().cpu().numpy()
            for part in np.array_split(rows, math.ceil(len(rows) / self.options.batch_size))
        )
        found = mapped.filled(len(rows) * sound.chunks, parts)
        return torch.from_numpy(found).view(len(rows), sound.chunks, -1)

    def outputs(self, rows: Rows) -> Tensor:
        """Return the outputs for the labels of these clips, (N, C): the mean over their chunks."""
        return self.answers(self.network.eval().label_outputs, rows).mean(1)

    def dev_score(self) -> float:
        """Return and note the score of the dev clips; minus infinity without any."""
        clips = self.clips
        if not len(clips.rows["dev"]):
            return -math.inf
        measures = clips.objective.score({TASK: self.outputs(clips.rows["dev"])}, {TASK: clips.target("dev")})
        self.note("dev", measures)
        return measures["score"]

    def note(self, split: str, measures: Mapping[str, float]) -> None:
        """Add measures of this epoch to the history."""
        self.history += [HistoryRow(self.epoch, split, name, float(value)) for name, value in measures.items()]


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
