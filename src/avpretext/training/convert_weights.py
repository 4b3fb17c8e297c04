"""The command `convert`: published weights of either system, told apart by their names."""

from collections.abc import Sequence
from pathlib import Path

from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.models.published import is_chunk_model
from avpretext.models.published_clusters import is_deepemocluster
from avpretext.training import cluster_models, published_weights
from avpretext.training.cluster_models import Wishes
from avpretext.training.weight_files import read_weights


def run(
    file: Path,
    output: Path,
    config: Config | None,
    aggregator: str | None,
    channels: Sequence[str] | None,
    wishes: Wishes,
) -> str:
    """Convert a file; return in a few words what was written.

    Weights of the chunk framework become a checkpoint, see :func:`published_weights.convert`; those of DeepEmoCluster
    a model folder, see :func:`cluster_models.convert`.

    Raises
    ------
    UserError
        The file cannot be read, has weights of neither system, or an option is for the other one.
    """
    names = list(read_weights(file))
    if is_deepemocluster(names):
        _refuse(file, "DeepEmoCluster", {"--aggregator": aggregator, "--channel": channels, "--config": config})
        return cluster_models.convert(file, output, wishes)
    if not is_chunk_model(names):
        raise UserError(
            f"{file}: has weights of another network ({', '.join(names[:3])}, ...); expected those of the chunk"
            " framework (lstm...) or of DeepEmoCluster (cnn_features...)"
        )
    _refuse(file, "the chunk framework", {f"--{name}": value for name, value in wishes._asdict().items()})
    if output.is_dir():
        raise UserError(f"{output}: is a folder; weights of the chunk framework become a file, such as X.safetensors")
    published_weights.convert(file, output, config, aggregator, channels)
    return f"{output}: a checkpoint to fine-tune from: name it under finetune.checkpoints"


def _refuse(file: Path, system: str, given: dict[str, object]) -> None:
    for option, value in given.items():
        if value:
            raise UserError(f"{option}: {file} has weights of {system}, which this option is not for; leave it out")
