"""DeepEmoCluster's published networks as model folders, which `predict` takes."""

import hashlib
import re
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avpretext import __version__, shards
from avpretext.config import ChunkOptions, MediaOptions, ModelOptions
from avpretext.errors import UserError
from avpretext.models.published_clusters import BANDS, CHUNK_COUNT, CHUNK_FRAMES, ClipNetwork, load_published
from avpretext.sound.mel_power import HOP_SAMPLES, OPTIONS
from avpretext.training import model_folder
from avpretext.training.model_folder import ClusterDescription, Description, MediaSettings, Normalisation
from avpretext.training.objectives import TASK, Scale
from avpretext.training.weight_files import read_weights

ATTRIBUTES = {"arousal": "act", "dominance": "dom", "valence": "val"}
"""Attribute: its short name in the names of published files."""

CHUNKS = ChunkOptions(method="published", length_s=0.992, count=CHUNK_COUNT)
"""The published grid in seconds: 62 frames of 16 ms."""

Floats = NDArray[np.float64]


class Wishes(NamedTuple):
    """What may be said of a conversion; see :func:`convert`."""

    statistics: Path | None = None
    normalise: Literal["train", "speaker"] | None = None
    attribute: str | None = None


class Statistics(NamedTuple):
    """Mean and deviation, over the training set, of the bands, (128,) each, and of the attribute."""

    bands: Normalisation
    scale: Scale


def convert(file: Path, output: Path, wishes: Wishes) -> str:
    """Write a published network as a model folder; return in a few words what it is.

    Parameters
    ----------
    file
        A published `.pth.tar` file.
    output
        The folder to write: new, or empty. It appears whole or not at all.
    wishes
        `statistics`: the published folder `NormTerm`; without it values are in deviations from the mean of the training
        set, and `normalise` is `speaker`. `normalise`: bands are normalised by the statistics (`train`, the default
        with them) or by the files that are predicted (`speaker`). `attribute`: None: by the name of the file.

    Raises
    ------
    UserError
        A file cannot be read, the weights are of another network, the attribute is not known, or the folder is there.
    """
    _check_new(output)
    network = load_published(read_weights(file), TASK, str(file))
    attribute = _attribute(file, wishes.attribute)
    found = None if wishes.statistics is None else read_statistics(wishes.statistics, attribute)
    normalise = wishes.normalise or ("speaker" if found is None else "train")
    if normalise == "train" and found is None:
        raise UserError("--normalise train: --statistics FOLDER is needed, the published folder NormTerm")
    scale = Scale(0.0, 1.0) if found is None else found.scale
    description = describe(file, network, attribute, normalise, scale)
    known = found.bands if found is not None and normalise == "train" else None
    _write(output, description, network, known)
    by = f"the statistics of {wishes.statistics}" if known else "the files themselves (predict --speakers one|folder)"
    unit = "in deviations from the training mean" if found is None else "in its published unit"
    return f"{output}: a model for predict; {attribute} {unit}; bands normalised by {by}"


def describe(
    file: Path, network: ClipNetwork, attribute: str, normalise: Literal["train", "speaker"], scale: Scale
) -> Description:
    """Return the description of a converted network."""
    inside = network.network
    made_of = ClusterDescription(
        clusters=inside.cluster_top.out_features,
        width=len(inside.state_dict()["trunk.0.weight"]),
        hop_samples=HOP_SAMPLES,
        chunk_frames=CHUNK_FRAMES,
        chunks=CHUNK_COUNT,
        source=file.name,
        source_sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
    )
    channels = [f"mel[{band}]" for band in range(BANDS)]
    media = {**MediaOptions().model_dump(), "trim_db": None}
    return Description(
        format=model_folder.FORMAT,
        package_version=__version__,
        setting=f"deepemocluster.{attribute}",
        target=attribute,
        kind="attribute",
        classes=[attribute],
        speaker_leaks=False,
        corpora={},
        initialisation="published",
        dev_scores={},
        seed=0,
        networks=1,
        media=MediaSettings(**{field: media[field] for field in MediaSettings.model_fields}),
        speech=None,
        log_mel=OPTIONS,
        deepemocluster=made_of,
        channels=channels,
        chunks=CHUNKS,
        model=ModelOptions(features=["log_mel"], channels=["mel[*]"], normalise=normalise, step_frames=1),
        scale=scale,
    )


def read_statistics(folder: Path, attribute: str) -> Statistics:
    """Read the published means and deviations: of the bands, and of an attribute, a key of `ATTRIBUTES`.

    Raises
    ------
    UserError
        A file is missing, or does not hold as many finite numbers, deviations above 0.
    """
    mean, deviation = (_numbers(folder / f"feat_norm_{name}.mat", BANDS, name == "stds") for name in ("means", "stds"))
    of = ATTRIBUTES[attribute]
    scale = [_numbers(folder / f"{of}_norm_{name}.mat", 1, name == "stds").item() for name in ("means", "stds")]
    return Statistics(Normalisation(mean, deviation), Scale(*scale))


def _numbers(file: Path, count: int, positive: bool) -> Floats:
    from scipy.io import loadmat

    if not file.is_file():
        raise UserError(f"{file}: no such file; --statistics expects the published folder NormTerm")
    try:
        values = np.asarray(loadmat(str(file))["normal_para"], np.float64).ravel()
    except Exception:  # whatever a broken file makes of the reader
        raise UserError(f"{file}: no MATLAB file with the variable normal_para; take it from NormTerm again") from None
    if values.shape != (count,):
        raise UserError(f"{file}: {count} numbers are expected, it has {len(values)}; take it from NormTerm again")
    if not np.isfinite(values).all() or (positive and not (values > 0).all()):
        kind = "above 0" if positive else "finite"
        raise UserError(f"{file}: not all numbers are {kind}; take it from NormTerm again")
    return values


def _attribute(file: Path, wish: str | None) -> str:
    named = [name for name, short in ATTRIBUTES.items() if re.search(rf"_{short}(?![a-z])", file.name.lower())]
    if wish is None and len(named) != 1:
        raise UserError(f"{file}: its name does not tell the attribute (_Act, _Dom, _Val); give --attribute arousal")
    return wish or named[0]


def _check_new(output: Path) -> None:
    if output.is_file() or output.suffix == ".safetensors":
        raise UserError(f"{output}: weights of DeepEmoCluster become a model folder; name a new folder")
    if output.is_dir() and any(output.iterdir()):
        raise UserError(f"{output}: is not empty; name a new folder")


def _write(output: Path, description: Description, network: ClipNetwork, known: Normalisation | None) -> None:
    """Write a model folder beside its place, and put it there once it is whole."""
    with shards.explained(output.parent):
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=".convert-", ignore_cleanup_errors=True) as beside:
            model_folder.write(Path(beside) / "model", description, [network.state_dict()], known)
            (Path(beside) / "model").rename(output)
