"""Weights that Lin & Busso published: read safely, converted to our checkpoints, used to predict an attribute."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext.chunks import chunk_starts
from avpretext.config import ChunkOptions, Config, ModelOptions, SpeechOptions
from avpretext.errors import UserError
from avpretext.models import published
from avpretext.models.network import SpeechNetwork, make_network
from avpretext.sound.descriptors import open_descriptors
from avpretext.training import checkpoint as checkpoints
from avpretext.training.data import CLIP
from avpretext.training.objectives import TASK
from avpretext.training.weight_files import read_weights

CHUNKS = ChunkOptions(method="published", length_s=1.0, count=11)
"""The published grid in time: 11 chunks of about 1 s. Their frames come every 16 ms, ours every 10 ms."""


def descriptors() -> list[str]:
    """Return the names of the 130 inputs in the published order.

    It is that in which openSMILE's IS13_ComParE configuration joins them, `lld` before `lld_de`: the names and the
    order of the columns of `speech` with `feature_set: ComParE_2016` and `deltas: true`.
    """
    with open_descriptors(SpeechOptions(feature_set="ComParE_2016", deltas=True)) as compare:
        return compare.names


def network_of(weights: dict[str, Tensor], options: ModelOptions | None = None) -> SpeechNetwork:
    """Return the network with these published weights, in evaluation mode; its head is named `objectives.TASK`.

    `options` are encoder and aggregator; None: the published ones, the aggregator as the weights' names have it.

    Raises
    ------
    UserError
        The weights are not those of such a network.
    """
    chosen = options or published.published_options(published.aggregator_of(weights))
    outputs = len(weights["fc2.bias"]) if "fc2.bias" in weights else 1
    network = make_network(published.CHANNELS, chosen, {TASK: outputs}, seed=0)
    published.load_published(network, weights, TASK)
    return network.eval()


def convert(
    path: Path,
    output: Path,
    config: Config | None = None,
    aggregator: str | None = None,
    channels: Sequence[str] | None = None,
) -> None:
    """Write published weights of the chunk framework as a checkpoint that fine-tuning can start from.

    Parameters
    ----------
    path
        A published `.pth.tar` file.
    output
        The safetensors file to write.
    config
        Read: `model` and `chunks` of the runs that are to start from it; None: the published model, and `CHUNKS`.
    aggregator
        Instead of that of `config`, or of that which the names of the weights tell: `self_attention`, say, to go
        on from weights of `self_attention_published` with attention across chunks.
    channels
        Names of the 130 inputs in the order of the weights; None: `descriptors()`.

    Raises
    ------
    UserError
        The file cannot be read, or its weights do not fit the model, or the names are not 130.
    """
    weights = read_weights(path)
    model = config.model if config else published.published_options(published.aggregator_of(weights))
    if aggregator:
        model = model.model_copy(update={"aggregator": aggregator})
    names = list(channels or descriptors())
    if len(names) != published.CHANNELS:
        raise UserError(
            f"channels: {len(names)} names are given; the published model has {published.CHANNELS} inputs: name each"
        )
    network = network_of(weights, model)
    metadata = {
        "tasks": [TASK],
        "hidden_from": [],
        "channels": names,
        "source": path.name,
        "config": {
            "model": model.model_dump(mode="json"),
            "chunks": (config.chunks if config else CHUNKS).model_dump(mode="json"),
        },
    }
    checkpoints.write(output, {f"best.{name}": value for name, value in network.state_dict().items()}, metadata)


def predict_attribute(
    network: SpeechNetwork,
    clips: Sequence[NDArray[np.float64]],
    mean: NDArray[np.float64],
    deviation: NDArray[np.float64],
    label_mean: float = 0.0,
    label_deviation: float = 1.0,
) -> NDArray[np.float32]:
    """Return the attribute of each clip as the published code does: z-norm, NaN to 0, clipped to +-3, 11 chunks.

    Parameters
    ----------
    network
        From :func:`network_of`.
    clips
        N clips, (T, 130) each, T at least 62, 16 ms frames; (N, T, 130) for clips of one length.
    mean, deviation
        (130,) of the training set: `feat_norm_means.mat` and `feat_norm_stds.mat` beside the published weights.
    label_mean, label_deviation
        Of the attribute in the training set: predictions come in its unit; left out, in deviations.

    Returns
    -------
    (N,).

    Raises
    ------
    UserError
        A clip is shorter than a chunk.
    """
    values = [_predict_clip(network, (frames - mean.ravel()) / deviation.ravel()) for frames in clips]
    predicted: NDArray[np.float32] = np.array(values, dtype=np.float32) * np.float32(label_deviation)
    return predicted + np.float32(label_mean)


@torch.no_grad()
def _predict_clip(network: SpeechNetwork, normalised: NDArray[np.float64]) -> float:
    frames = np.clip(np.nan_to_num(normalised, nan=0.0), -CLIP, CLIP)
    starts = chunk_starts(len(frames), published.CHUNK_FRAMES, published.CHUNK_COUNT, method="published")
    steps = torch.from_numpy(frames[starts[:, None] + np.arange(published.CHUNK_FRAMES)]).float()[
        None
    ]  # (1, 11, 62, 130)
    return float(network(steps, torch.ones(steps.shape[:3], dtype=torch.bool))[TASK])
