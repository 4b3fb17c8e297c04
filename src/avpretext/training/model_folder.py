"""A trained model as a folder: `model.json` describes it, `model.safetensors` holds its numbers.

`model.json` has everything that turns a file into a prediction: how sound is read, features, channels and chunks, the
network and its classes; and the SHA-256 of the weights. Nothing in the folder is code, and nothing is unpickled. Beside
the two lie `README.md` and `card.json`, the model's card, which shapes no prediction.
"""

import hashlib
import json
import os
import reprlib
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from avpretext import machine, strangers
from avpretext.config import ChunkOptions, LogMelOptions, ModelOptions, Options, SpeechOptions
from avpretext.corpora.settings import NUMBERS, Kind
from avpretext.errors import UserError, expect_folder
from avpretext.models.network import SpeechNetwork
from avpretext.models.published_clusters import ClipNetwork, clip_network
from avpretext.options.base import Count
from avpretext.options.pretrained_encoders import EncoderOptions, Layer, TuningOptions
from avpretext.own_code import is_own
from avpretext.shards import atomic_path
from avpretext.training import checkpoint, finite
from avpretext.training.objectives import TASK, Scale
from avpretext.training.sources import STAGES

FORMAT = 1
"""Raised when a folder could be misunderstood by the package as it was before."""

DESCRIPTION, WEIGHTS, README, CARD = "model.json", "model.safetensors", "README.md", "card.json"
"""The files of a folder."""

UNKNOWN_LICENCE = "none of it is known here; see where it comes from"
"""What the card says of the licence of a corpus whose reader knows none."""

SYNTHETIC = "Trained on a synthetic corpus: this model shows the way, and knows nothing of real speech."
"""Notice of a model whose card says so."""

ENCODER = "encoder"
"""Folder in it where the pre-trained encoder may be put that the model hears."""

_AGAIN = "take the folder again from where it was made, or run the stage 'export' again"


Many = Annotated[int, Field(ge=0, le=10**12)]
Value = Annotated[float, Field(ge=-1e12, le=1e12)]
Deviation = Annotated[float, Field(gt=0, le=1e12)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class MediaSettings(Options):
    """What of `split` shapes the sound of a clip, as the training clips had it."""

    trim_db: Annotated[float, Field(gt=0, le=200)] | None
    fps: float = Field(gt=0, le=1000)
    min_duration_s: float = Field(ge=0, le=86400)
    max_duration_s: float = Field(gt=0, le=86400)


class LearntFrom(Options):
    """The clips of a corpus that a model was trained on."""

    clips: Many
    speakers: Many
    hours: float = Field(ge=0, le=1e9)


class EncoderDescription(Options):
    """The pre-trained encoder that a model hears: what it is, and what is kept of its hidden states.

    `digests` are the SHA-256 of its files, `weights` those of its layers, the mean over the networks; empty for a
    single layer. The files themselves are no part of the folder, unless they are put into `encoder` below it. `tuning`
    says how the encoder has learnt in fine-tuning; then `model.safetensors` has the weights that are not those of its
    files, of each network, also those that pre-training alone has changed (`tune: frozen`).
    """

    name: str
    kind: str
    hub: str | None
    layers: list[Layer] = Field(min_length=1, max_length=1000)
    size: int = Field(ge=1, le=1_000_000)
    digests: dict[str, Digest]
    options: EncoderOptions
    weights: list[Value] = Field(default_factory=list, max_length=1000)
    tuning: TuningOptions | None = Field(None, exclude_if=lambda tuning: tuning is None)


class ClusterDescription(Options):
    """A published network of DeepEmoCluster, converted: its sizes, its input, and the file that it came from.

    The waveform is divided by its largest absolute value; frames of mel power, by the window and bands of `log_mel`,
    come every `hop_samples` at 16 kHz; `chunk_frames` of them are a chunk, and there are `chunks`.
    """

    clusters: Count = Field(le=100_000)
    width: int = Field(ge=4, le=4096)
    hop_samples: Count = Field(le=16_000)
    chunk_frames: Count = Field(le=10_000)
    chunks: int = Field(ge=2, le=1000)
    source: str
    source_sha256: str


class Description(Options):
    """The content of `model.json`.

    `dev_scores` are those that the initialisation was chosen by, empty where it was named. The networks start from
    `pretrainings` pre-trainings in turn; 0: from random weights, or not known. `speech` and `log_mel` are
    null where the model does not hear them, `encoder` where it hears no pooled features. `scale` is mean and deviation
    of an attribute, or of each of several. `normalisation` by `train` lies beside the weights. `speaker_leaks`: its
    protocol has speakers in both train and test. `machine` is that which it was trained on, with versions.
    """

    format: int = Field(ge=1, le=1_000_000)
    package_version: str
    setting: str
    target: str
    kind: Kind
    classes: list[str] = Field(min_length=1, max_length=10_000)
    speaker_leaks: bool
    corpora: dict[str, LearntFrom]
    initialisation: str
    dev_scores: dict[str, Value]
    seed: int = Field(ge=-(2**63), lt=2**63)
    networks: Count = Field(le=1000)
    pretrainings: int = Field(0, ge=0, le=1_000_000)
    media: MediaSettings
    speech: SpeechOptions | None
    log_mel: LogMelOptions | None
    encoder: EncoderDescription | None = None
    deepemocluster: ClusterDescription | None = None
    channels: list[str] = Field(min_length=1, max_length=100_000)
    chunks: ChunkOptions
    model: ModelOptions
    scale: tuple[Value, Deviation] | Annotated[list[tuple[Value, Deviation]], Field(max_length=10_000)] | None
    machine: dict[str, str] = Field(default_factory=dict)
    weights_sha256: str = ""

    @property
    def layers(self) -> int:
        """Number of layers that the steps of its input are; 1 of steps in time."""
        return 1 if self.encoder is None else len(self.encoder.layers)

    @property
    def by_speaker(self) -> bool:
        """Whether each speaker is normalised by their own clips, so that it must be told who speaks."""
        return self.model.normalise == "speaker" and not self.as_one

    @property
    def as_one(self) -> bool:
        """Whether all clips are normalised together, as those of its corpora were (`model.whole_corpora`)."""
        return bool(self.corpora) and self.corpora.keys() <= set(self.model.whole_corpora)


@dataclass(frozen=True)
class Normalisation:
    """Mean and deviation (F,) of each channel over the training clips."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


@dataclass(frozen=True)
class TrainedModel:
    """What a folder holds.

    `normalisation` is None for a model that normalises each speaker by their own clips, and where `fronts` have one for
    each network. These are the tensors of `EncoderFront`, without those of the encoder's files; none where it is as in
    its files.
    """

    description: Description
    networks: list[SpeechNetwork | ClipNetwork]
    normalisation: Normalisation | None
    fronts: list[dict[str, Tensor]] = field(default_factory=list)

    @property
    def scales(self) -> tuple[Scale, ...]:
        """Mean and deviation of each attribute."""
        known = self.description.scale
        return tuple(Scale(*of) for of in (known if isinstance(known, list) else [known] if known else []))


def write(
    folder: Path, description: Description, networks: Sequence[Mapping[str, Tensor]], known: Normalisation | None
) -> None:
    """Write the two files of a model; the description, which names the other's SHA-256, last."""
    tensors = {f"network.{place}.{name}": value for place, one in enumerate(networks) for name, value in one.items()}
    if known is not None:
        tensors["normalisation.mean"] = torch.from_numpy(known.mean)
        tensors["normalisation.deviation"] = torch.from_numpy(known.deviation)
    checkpoint.write(folder / WEIGHTS, tensors, {"format": FORMAT})
    sha256 = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    found = {"weights_sha256": sha256, "machine": machine.facts()}
    content = description.model_copy(update=found).model_dump(mode="json")
    with atomic_path(folder / DESCRIPTION) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def read(folder: Path) -> TrainedModel:
    """Read a model, every part of it checked.

    Raises
    ------
    UserError
        A file is missing or not as it was written, is of a newer format, the model hears features that cannot be
        computed from a file, or its encoder or aggregator is code of a package that is not installed.
    """
    description = read_description(folder)
    encoded = [] if description.encoder is None else [description.encoder.name]
    foreign = [name for name in description.model.features if name not in (*STAGES, *encoded)]
    if foreign:
        raise UserError(
            f"{folder}: the model hears {foreign[0]!r}, features of your own, which cannot be computed from a file;"
            " train one with model.features: [speech], [log_mel] or both, or with a pooled one of `encoders`"
        )
    heard = [name for name in description.model.features if name in STAGES]
    missing = [name for name in heard if getattr(description, name) is None]
    if missing:
        raise UserError(f"{folder / DESCRIPTION}: no settings of {missing[0]}, which the model hears; {_AGAIN}")
    if description.deepemocluster and description.log_mel and description.log_mel.bands != len(description.channels):
        raise UserError(f"{folder / DESCRIPTION}: log_mel.bands is not the number of channels; {_AGAIN}")
    known, numbers, fronts = None, len(description.channels) * description.layers, []
    tensors = _read_tensors(folder / WEIGHTS, description.weights_sha256, _most_bytes(description, folder / WEIGHTS))
    parts = [checkpoint.below(f"network.{place}", tensors) for place in range(description.networks)]
    if description.encoder and description.encoder.tuning:
        fronts = [_front(part, numbers, folder / WEIGHTS) for part in parts]
    elif description.model.normalise == "train":
        known = _normalisation(checkpoint.below("normalisation", tensors), numbers, folder / WEIGHTS)
    networks = []
    for part in parts:
        behind = {name: value for name, value in part.items() if not name.startswith("front.")}
        networks.append(_network(description, folder / WEIGHTS))
        finite.load_all(networks[-1], behind, folder / WEIGHTS, _AGAIN)
        networks[-1].eval()
        _try_out(networks[-1], description, folder / WEIGHTS)
    trained = TrainedModel(description, networks, known, fronts)
    if len(trained.scales) != (len(description.classes) if description.kind in NUMBERS else 0):
        raise UserError(
            f"{folder / DESCRIPTION}: scale = {description.scale} of a target that is {description.kind}:"
            f" {', '.join(description.classes)}; {_AGAIN}"
        )
    return trained


def _front(tensors: Mapping[str, Tensor], numbers: int, file: Path) -> dict[str, Tensor]:
    """Return the tensors of a network's front; the names of weights are checked where they are put into the encoder."""
    found = checkpoint.below("front", tensors)
    _normalisation(found, numbers, file)
    return found


def read_description(folder: Path) -> Description:
    """Read `model.json` of a folder."""
    file = folder / DESCRIPTION
    content = _content(file)
    if content.get("format", 0) != FORMAT:
        raise UserError(
            f"{file}: is of format {reprlib.repr(content.get('format'))}, and this avpretext reads format {FORMAT}:"
            " update avpretext, or export the model with this one"
        )
    try:
        return Description.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        what = textwrap.shorten(f"{where}: {first['msg']}", 300)
        raise UserError(f"{file}: {what}; {_AGAIN}") from None


def _content(file: Path) -> dict[str, Any]:
    if file.parent.is_file():
        expect_folder(file.parent, "expected the folder of a model")
    if os.path.lexists(file):
        strangers.check_file(file, strangers.TEXT_BYTES, _AGAIN)
    if not file.is_file():
        below = sorted([*file.parent.glob(f"*/{DESCRIPTION}"), *file.parent.glob(f"*/*/{DESCRIPTION}")])
        hint = (
            f"; did you mean {below[0].parent}?"
            if below
            else "; the stage 'export' makes such a folder, of DeepEmoCluster's weights `convert`"
        )
        raise UserError(f"{file.parent}: no model of avpretext: it has no {DESCRIPTION}{hint}")
    try:
        content = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError, OSError):
        raise UserError(f"{file}: cannot be read as JSON; {_AGAIN}") from None
    if not isinstance(content, dict):
        raise UserError(f"{file}: is no description of a model; {_AGAIN}")
    return content


def _most_bytes(description: Description, file: Path) -> int:
    """Return how large the weights may be by the description: of networks, of the front of each, of their encoder."""
    network = _network(description, file)
    numbers = sum(value.numel() for value in network.state_dict().values())
    numbers += 2 * len(description.channels) * description.layers
    learnt = strangers.LARGEST_ENCODER_BYTES if description.encoder and description.encoder.tuning else 0
    return int(description.networks * (8 * numbers + learnt)) + strangers.SLACK_BYTES


def _read_tensors(file: Path, sha256: str, most_bytes: int) -> dict[str, Tensor]:
    """Return the tensors of the very bytes that were checked."""
    strangers.check_file(file, most_bytes, _AGAIN)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); {_AGAIN}") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f"{file}: is not the file that {DESCRIPTION} names: its SHA-256 is another; {_AGAIN}")
    try:
        tensors: dict[str, Tensor] = load_tensors(content)
    except (SafetensorError, KeyError, ValueError, RuntimeError, TypeError, RecursionError):
        raise UserError(f"{file}: is no safetensors file; {_AGAIN}") from None
    return tensors


def _normalisation(tensors: Mapping[str, Tensor], channels: int, file: Path) -> Normalisation:
    parts = [tensors.get(name) for name in ("mean", "deviation")]
    values = [
        part.double().numpy()
        for part in parts
        if part is not None and part.shape == (channels,) and not part.is_complex()
    ]
    if len(values) < 2 or not np.isfinite(values).all() or not (values[1] > 0).all():
        raise UserError(f"{file}: has no mean and deviation of {channels} channels; {_AGAIN}")
    return Normalisation(values[0], values[1])


@contextmanager
def _of_own_code(description: Description, file: Path) -> Iterator[None]:
    """Turn any error of a network that names somebody's own code into one line."""
    own = [name for name in (description.model.encoder, description.model.aggregator) if is_own(name)]
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not own:
            raise
        what = textwrap.shorten(f"{type(error).__name__}: {error}", 200)
        raise UserError(
            f"{file.with_name(DESCRIPTION)}: {own[0]} is no part of this model ({what}); {_AGAIN}"
        ) from None


def _try_out(network: SpeechNetwork | ClipNetwork, description: Description, file: Path) -> None:
    """Raise where own code cannot compute: it is asked once."""
    if not (is_own(description.model.encoder) or is_own(description.model.aggregator)):
        return
    steps = torch.zeros(1, 2, 4, len(description.channels))
    with torch.inference_mode(), _of_own_code(description, file):
        found = network(steps, torch.ones(1, 2, 4, dtype=torch.bool))[TASK]
        if found.shape != (1, len(description.classes)):
            raise ValueError(f"it gives {tuple(found.shape)} numbers for {len(description.classes)} classes")


def _network(description: Description, file: Path) -> SpeechNetwork | ClipNetwork:
    """Return a network without weights, which takes no memory."""
    outputs = {TASK: len(description.classes)}
    with torch.device("meta"), _of_own_code(description, file):
        if (published := description.deepemocluster) is not None:
            sizes = published.chunk_frames, len(description.channels)
            return clip_network(published.clusters, published.width, TASK, *sizes)
        # A folder from elsewhere may name code, but must not bring it.
        return SpeechNetwork(
            len(description.channels),
            description.model,
            outputs,
            description.layers,
            str(file.with_name(DESCRIPTION)),
        )


def is_synthetic(folder: Path) -> bool:
    """Tell whether the card of a model calls its corpus synthetic; a model without a card does not."""
    try:
        return bool(json.loads((folder / CARD).read_text("utf-8")).get("synthetic"))
    except (OSError, ValueError, AttributeError):
        return False
