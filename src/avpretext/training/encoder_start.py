"""Training of a pre-trained encoder: its files opened, the sound of clips read, and the means that it starts with."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext.chunks import frame_count
from avpretext.config import Config, LoopOptions, ModelOptions
from avpretext.errors import UserError
from avpretext.models.network import SpeechNetwork, make_network
from avpretext.options.base import settled
from avpretext.options.pretrained_encoders import TuningOptions
from avpretext.options.training import TunedLoopOptions
from avpretext.progress import progress
from avpretext.shards import atomic_path
from avpretext.sound import encoder_files
from avpretext.sound.encoder_model import save
from avpretext.training import mapped
from avpretext.training import sounds as sound_shards
from avpretext.training.batches import NormalisedSteps, Rows, normalise
from avpretext.training.checkpoint import front_weights
from avpretext.training.data import EncodedBy, SpeechChunks, everywhere, load_corpora
from avpretext.training.encoder_front import EncoderFront, EncoderWeights
from avpretext.training.loop import ClipSet, Input, Target, mixed_precision, torch_device
from avpretext.training.run_pool import grid_map
from avpretext.training.sounds import Sounds
from avpretext.training.tunable import TunableEncoder, open_tunable

FOLDER = "encoder"
"""Beside a checkpoint: the encoder that has learnt, as transformers opens it."""

BLOCK = 32
"""Clips that are encoded as one piece of work before training."""

Features = Mapping[str, Mapping[str, Sequence[Path]]]
"""corpus: name of features: their files."""


@dataclass(frozen=True)
class EncoderStart:
    """What a training starts with: an encoder and its weights; of `learning` None, they are drawn by the run's seed."""

    shared: TunableEncoder
    learning: Mapping[str, Tensor] | None
    merged: Mapping[str, Tensor]

    def front(self, chunks: SpeechChunks, rows: NDArray[np.int64], seed: int, options: LoopOptions) -> EncoderFront:
        """Return the front of a network, its output normalised as the means of these rows are at the start."""
        learning = self.shared.first_weights(seed) if self.learning is None else self.learning
        front = EncoderFront(self.shared, learning, self.merged, *chunks.mean_and_deviation(rows))
        front.time_mask = options.time_mask
        front.mixed_precision = mixed_precision(options.precision, self.shared.speech.device.type)
        return front


@dataclass(frozen=True)
class OpenedEncoder:
    """An encoder of the configuration, opened to learn, or to compute what an earlier training made of it.

    Attributes
    ----------
    shared
        The encoder itself.
    by
        What is to be known of it.
    """

    shared: TunableEncoder
    by: EncodedBy

    @property
    def channels(self) -> list[str]:
        """Names of the numbers of a layer, as pooled features have them."""
        return [f"{self.by.name}[{place}]" for place in range(self.shared.speech.size)]

    def start(self, weights: EncoderWeights | None) -> EncoderStart:
        """Return what a training starts with that follows another one: where both learn alike, the same weights go on.

        Else the first one's are merged into the encoder, beside or upon which the second one's are new.
        """
        if weights is None:
            return EncoderStart(self.shared, None if self.shared.tuning.tuned else {}, {})
        if _alike(weights.tuning, self.shared.tuning):
            return EncoderStart(self.shared, weights.learning, weights.merged)
        earlier = reopened(self.shared, weights.tuning)
        merged = {**weights.merged, **_merged(earlier, weights)}
        learning = None
        if self.shared.tuning.tune in ("last_n", "full"):
            learning = {name: merged.pop(name, value) for name, value in self.shared.start.items()}
        return EncoderStart(self.shared, learning if self.shared.tuning.tuned else {}, merged)


def _alike(one: TuningOptions, other: TuningOptions) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in ("tune", "last", "rank"))


def _merged(encoder: TunableEncoder, weights: EncoderWeights) -> dict[str, Tensor]:
    """Return the weights that learnt by their names in the files, those of adapters added to what is beneath."""
    encoder.put({**weights.merged, **weights.learning})
    return encoder.merged({**weights.merged, **weights.learning})


def reopened(shared: TunableEncoder, tuning: TuningOptions) -> TunableEncoder:
    """Return the same encoder, opened again to learn in another way."""
    speech = shared.speech
    return open_tunable(speech.files, shared.options, shared.chunks, tuning, speech.device.type)


def open_encoder(config: Config, tuning: TuningOptions, device: torch.device) -> OpenedEncoder:
    """Return the encoder that the model hears.

    Raises
    ------
    UserError
        It is none of the configuration's, its files are not there, or it cannot learn so.
    """
    name = config.model.features[0]
    if name not in config.encoders:
        raise UserError(f"model.features: {name!r} is given as sound, and is no name in encoders")
    options = config.encoders[name]
    files = encoder_files.find(name, options)
    shared = open_tunable(files, options, config.chunks, tuning, device.type)
    hub = None if options.folder else encoder_files.hub_name(name, options)
    speech = shared.speech
    return OpenedEncoder(
        shared, EncodedBy(name, files.kind, hub, speech.layers, dict(speech.digests), settled(options))
    )


def hears_sound(features: Features) -> bool:
    """Tell whether what a model is given is the sound of clips; a single feature can be."""
    first = next(iter(features.values()), {})
    return len(first) == 1 and sound_shards.are_sound(next(iter(first.values())))


def load_sound(features: Features, speakers: Mapping[str, Mapping[str, str]]) -> tuple[list[str], list[str], Sounds]:
    """Return `{corpus}/{clip_id}`, `{corpus}/{speaker}` and sound of the clips of the corpora of `speakers`."""
    names: list[str] = []
    people: list[str] = []
    signals = []
    for corpus, known in speakers.items():
        (files,) = features[corpus].values()
        found, samples = sound_shards.read(files, known)
        names += [f"{corpus}/{clip_id}" for clip_id in found]
        people += [f"{corpus}/{known[clip_id]}" for clip_id in found]
        signals += samples
    return names, people, Sounds(signals, torch.arange(len(signals)), torch.device("cpu"))


def encoded(
    opened: OpenedEncoder, start: EncoderStart, names: Sequence[str], speakers: Sequence[str], sounds: Sounds,
    threads: int = 1,
) -> tuple[SpeechChunks, Sounds]:  # fmt: skip
    """Return the means of clips as a training starts with them, float32, and the sound of the same clips.

    Clips whose means are not finite are left out, with a warning.
    """
    values = _means(start, sounds, threads)
    fine = torch.cat([torch.isfinite(part).flatten(1).all(1) for part in torch.split(values, BLOCK)]).numpy()
    if not fine.any():
        raise UserError("encoder: no clip has finite hidden states; use another model")
    if not fine.all():
        odd = np.flatnonzero(~fine)
        said = f"{len(odd)} clips have hidden states that are not finite and are left out: {names[int(odd[0])]}, ..."
        print(f"encoder: warning: {said}", file=sys.stderr)
    rows = np.flatnonzero(fine)
    frames = np.array([frame_count(len(sounds.signals[row])) for row in range(len(sounds))], np.float64)
    chunks = SpeechChunks(
        list(names), list(speakers), opened.channels, values, everywhere(values.shape[:3]),
        frames[None, :, None], opened.by,
    )  # fmt: skip
    return (chunks, sounds) if fine.all() else (chunks.take(rows), sounds[rows])


class Heard(NamedTuple):
    """Clips that an encoder learns from, what a network hears of them, and what it starts with.

    `sounds` is the sound by which a pre-trained encoder learns; `chunks` are then its means before training.
    """

    chunks: SpeechChunks
    sounds: Sounds | None = None
    start: EncoderStart | None = None
    steps: NormalisedSteps | None = None

    @property
    def input(self) -> Input:
        """Input of a network: sound, or steps (N, K, m, F)."""
        found = self.sounds if self.steps is None else self.steps
        return self.chunks.steps if found is None else found

    def set_of(self, targets: Mapping[str, Target], rows: NDArray[np.int64]) -> ClipSet:
        """Return these clips, with targets that are theirs."""
        return ClipSet(self.input[rows], Rows.of_all(self.chunks.mask)[rows], dict(targets))

    def normalised(
        self, train: NDArray[np.int64], model: ModelOptions, used: NDArray[np.int64] | None = None
    ) -> "Heard":
        """Return the clips normalised by the rows `train`, see `normalise`; sound is by the network."""
        if self.sounds is not None:
            return self
        return self._replace(steps=normalise(self.chunks, train, model.normalise, used, model.whole_corpora))

    def network(
        self, model: ModelOptions, outputs: Mapping[str, int], seed: int, train: NDArray[np.int64], options: LoopOptions
    ) -> SpeechNetwork:
        """Return a new network for the clips; see `make_network`."""
        front = self.start.front(self.chunks, train, seed, options) if self.start else None
        return make_network(len(self.chunks.channels), model, outputs, seed, self.chunks.layers, front)


def hear(
    features: Features,
    speakers: Mapping[str, Mapping[str, str]],
    config: Config,
    options: TunedLoopOptions,
    threads: int,
) -> Heard:
    """Read the clips of the corpora of `speakers`: stored features, or sound by which the encoder learns."""
    if not hears_sound(features):
        return Heard(load_corpora(features, speakers, config.chunks, config.model))
    opened = open_encoder(config, options.encoder, torch_device(options.device))
    start = opened.start(None)
    names, people, sounds = load_sound(features, speakers)
    return Heard(*encoded(opened, start, names, people, sounds, threads), start)


def save_learnt(start: EncoderStart, best: Mapping[str, Tensor], folder: Path) -> None:
    """Write the encoder with the weights that were kept of a network, `front.` before their names, adapters merged."""
    front = {name.removeprefix("front."): value for name, value in best.items() if name.startswith("front.")}
    weights = front_weights(start.shared.tuning, front)
    changed = start.shared.merged({**weights.merged, **weights.learning})
    with TemporaryDirectory() as work:
        save(start.shared.speech.files, {name: value.cpu() for name, value in changed.items()}, Path(work))
        # The weights come last: where they are, the folder is whole.
        for file in sorted(Path(work).iterdir(), key=lambda file: (file.suffix == ".safetensors", file.name)):
            with atomic_path(folder / file.name) as temporary:
                shutil.copyfile(file, temporary)


def _means(start: EncoderStart, sounds: Sounds, threads: int) -> Tensor:
    shared = start.shared
    front = EncoderFront(shared, start.learning or {}, start.merged, torch.zeros(1), torch.ones(1)).eval()
    blocks = [slice(place, place + BLOCK) for place in range(0, len(sounds), BLOCK)]
    # In forked processes, as the runs are: threads that computed before a fork may leave locks to its children.
    device = shared.speech.device
    found = grid_map(lambda block: _means_of(front, sounds[block]), blocks, threads, device)
    found = progress(found, total=len(sounds), label="encoder, first means", size=len)
    return torch.from_numpy(mapped.filled(len(sounds), found))


@torch.no_grad()
def _means_of(front: EncoderFront, sounds: Sounds) -> NDArray[np.float32]:
    """Return the means of some clips as an array, which another process can send."""
    means: NDArray[np.float32] = front.means(sounds).cpu().numpy()
    return means
