"""The labels of the pretext task clusters, which are made anew before each epoch."""

import sys
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from avpretext.config import PretrainOptions
from avpretext.flow.tasks import CLUSTERS
from avpretext.models.losses import NO_LABEL, balanced_class_weights
from avpretext.models.network import SpeechNetwork, set_to_nearest
from avpretext.training import mapped
from avpretext.training.clusters import Vectors, agreement, cluster, collapse, nearest, sizes
from avpretext.training.loop import ClipSet, Target, TrainingState
from avpretext.training.predictions import HistoryRow

BEFORE = "clusters.before"
"""Name of the last clusters in the checkpoint from which a run is taken up again."""


def unclustered(mask: Tensor) -> Target:
    """Return the target (N, K) of chunks that are yet to be clustered, for mask (N, K, m): padding alone has none."""
    heard = mask.any(-1)
    return Target(torch.where(heard, 0, NO_LABEL), torch.ones(heard.shape))


class ClusterLabels:
    """Which chunks the task asks about, and the cluster of each.

    The targets of the two sets of clips are changed in place: `learnt`, on the device that trains, and `held_out`, not
    there, are what the training loop reads. The weight of a chunk makes every cluster count the same. It stands for the
    published uniform sampling of chunks, whose expected gradient it has too, since batches are of whole clips, of which
    other tasks ask other things.
    """

    def __init__(self, learnt: ClipSet, held_out: ClipSet, options: PretrainOptions, seed: int) -> None:
        self.learnt, self.held_out = learnt, held_out
        self.asked = learnt.targets[CLUSTERS].labels != NO_LABEL
        self.asked_of_held_out = held_out.targets[CLUSTERS].labels != NO_LABEL
        self.options = options
        self.seed = seed
        self.before: Tensor | None = None

    def state(self) -> dict[str, Tensor]:
        """Return what a run that is taken up again needs: the clusters of the last epoch."""
        return {} if self.before is None else {BEFORE: self.before}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what :meth:`state` returned."""
        self.before = tensors.get(BEFORE)

    def renew(self, state: TrainingState) -> None:
        """Make the labels of the next epoch and its top layer, and note what the clusters are like.

        The chunks are clustered by their vectors in evaluation mode, with the averaged weights that dev measures too;
        the chunks of the held-out clips belong to the centre that is nearest.
        """
        count, epoch = self.options.clusters.count, state.epoch + 1
        network = state.averaged.module
        assert isinstance(network, SpeechNetwork)
        vectors = self._vectors(network, self.learnt, self.asked)
        seed = int(np.random.SeedSequence([self.seed, epoch]).generate_state(1)[0])
        labels, centres = cluster(vectors, count, self.options.clusters.iterations, seed, "pretrain.clusters.count")
        others = nearest(self._vectors(network, self.held_out, self.asked_of_held_out), centres)
        named = torch.from_numpy(labels)
        weights = balanced_class_weights(named, count)
        _write(self.learnt.targets[CLUSTERS], self.asked, named, weights)
        _write(self.held_out.targets[CLUSTERS], self.asked_of_held_out, torch.from_numpy(others), weights)
        measures = sizes(labels, count)
        if self.before is not None:
            measures["nmi"] = agreement(self.before.numpy(), labels)
        self.before = named
        state.history += [HistoryRow(epoch, "train", f"{CLUSTERS}_{name}", value) for name, value in measures.items()]
        if told := collapse(labels, count, "pretrain.clusters.count"):
            print(f"pretrain: warning: epoch {epoch}: {told}", file=sys.stderr)
        renew_top(state, torch.from_numpy(centres))

    @torch.no_grad()
    def _vectors(self, network: SpeechNetwork, clips: ClipSet, asked: Tensor) -> Vectors:
        """Return the vectors (N, D) of the chunks that are asked about."""
        network.eval()
        device = next(network.parameters()).device
        rows = torch.split(asked.any(1).nonzero().squeeze(1).cpu(), 4 * self.options.batch_size)
        parts = (
            network.chunk_vectors(batch.steps, batch.mask)[asked[part].to(device)].float().cpu().numpy()
            for part, batch in zip(rows, clips.to(device).batches(rows), strict=True)
        )
        return mapped.filled(int(asked.sum()), parts)


def _write(target: Target, asked: Tensor, labels: Tensor, weights: Tensor) -> None:
    target.labels[asked] = labels.to(asked.device)
    target.weights[asked] = weights[labels].to(asked.device)


def renew_top(state: TrainingState, centres: Tensor) -> None:
    """Begin with a top layer that knows the centres (k, D), and forget what the optimiser knows of the one before.

    In the published code it is drawn at random, and an epoch of thousands of steps trains it. In an epoch of a few
    steps it would learn nothing, and so would the network below it.
    """
    top, averaged = (_top(network) for network in (state.network, state.averaged.module))
    set_to_nearest(top, centres.to(top.weight.device))
    averaged.load_state_dict(top.state_dict())
    for parameter in top.parameters():
        state.optimiser.state.pop(parameter, None)


def _top(network: nn.Module) -> nn.Linear:
    top = network.get_submodule(f"heads.{CLUSTERS}.top")
    assert isinstance(top, nn.Linear)
    return top
