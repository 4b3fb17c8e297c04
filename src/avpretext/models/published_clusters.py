"""The published networks of DeepEmoCluster: their sizes, and their weights under our names.

Lin, Sridhar & Busso (ICASSP 2021), PyTorch code: github.com/winston-lin-wei-cheng/DeepEmoClusters, class `VGG` of
`models/vgg16.py`; its three trained networks differ in the attribute and in the number of clusters.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from avpretext.errors import UserError
from avpretext.models.cluster_network import CONVOLUTIONS, DeepEmoCluster

CHUNK_FRAMES, CHUNK_COUNT = 62, 11
"""m, frames of 16 ms, and C; n is 1."""

BANDS = 128

_LINEAR = 3 * len(CONVOLUTIONS) + 1
"""Place of the linear layer in the trunk: after the convolutions, each with normalisation and ReLU, and `Flatten`."""

PREFIXES = {
    "cnn_features.": "trunk.",
    "cnn_out.0.": f"trunk.{_LINEAR}.",
    "classifier.0.": "cluster_hidden.",
    "top_layer_class.": "cluster_top.",
    "emo_regressor.0.": "label_hidden.",
    "top_layer_attri.": "label_top.",
}
"""Published name, without `module`: ours; the rest of the name is the same."""


class ClipNetwork(nn.Module):
    """DeepEmoCluster over whole clips: the output for the labels is the mean over the chunks of a clip.

    Parameters
    ----------
    network
        Answers for chunks.
    task
        Name of the output.
    """

    def __init__(self, network: DeepEmoCluster, task: str) -> None:
        super().__init__()
        self.network, self.task = network, task

    def forward(self, steps: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return {task: (N, outputs)} for clips (N, K, m, bands); `mask` is not read, since no chunk is padded."""
        # Clip by clip: the first convolutions make 11 MB of a clip's chunks.
        return {self.task: torch.stack([self.network.label_outputs(chunks).mean(0) for chunks in steps])}


def is_deepemocluster(names: Iterable[str]) -> bool:
    """Return whether names of weights are those of DeepEmoCluster rather than of the chunk framework.

    >>> is_deepemocluster(["cnn_features.0.weight"]), is_deepemocluster(["lstm.weight_ih_l0"])
    (True, False)
    """
    return any(name.startswith(("cnn_features.", "emo_regressor.")) for name in names)


def clip_network(clusters: int, width: int, task: str, steps: int = CHUNK_FRAMES, bands: int = BANDS) -> ClipNetwork:
    """Return a network for one attribute, of random weights; see :class:`DeepEmoCluster` for its sizes."""
    return ClipNetwork(DeepEmoCluster(steps, bands, width, clusters, 1), task).eval()


def load_published(weights: Mapping[str, Tensor], task: str, where: str) -> ClipNetwork:
    """Return the network with published weights, in evaluation mode.

    Parameters
    ----------
    weights
        As :func:`avpretext.training.weight_files.read_weights` returns them.
    task
        Name of the output.
    where
        The file, for errors.

    Raises
    ------
    UserError
        A weight is missing, unknown or of another shape.
    """
    ours = {_our_name(name): value for name, value in weights.items()}
    with torch.random.fork_rng(devices=[]):
        clips = clip_network(_rows("cluster_top.weight", ours, 1), _rows("trunk.0.weight", ours, 32), task)
    try:
        clips.network.load_state_dict(ours)
    except RuntimeError as error:
        differ = "; ".join(line.strip().rstrip(".") for line in str(error).splitlines()[1:])
        short = differ if len(differ) < 300 else f"{differ[:300]} ..."
        raise UserError(f"{where}: not the weights of DeepEmoCluster: {short}; see docs/deepemocluster.md") from None
    return clips


def _our_name(name: str) -> str:
    prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
    return name if prefix is None else PREFIXES[prefix] + name.removeprefix(prefix)


def _rows(name: str, weights: Mapping[str, Tensor], otherwise: int) -> int:
    return len(weights[name]) if name in weights and weights[name].ndim else otherwise
