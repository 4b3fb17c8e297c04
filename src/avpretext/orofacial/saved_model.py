"""A trained orofacial model: from per-frame features of speech to a moving face; a folder without pickles.

`model.json` holds what a person may want to read: system, options, names of channels, classes, points and blendshapes;
`weights.safetensors` holds the numbers: network, normalisation, movement scale, blendshape map.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from avpretext import __version__, machine
from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.errors import UserError
from avpretext.face.blendshapes import MOUTH_BLENDSHAPES
from avpretext.face.points import OROFACIAL
from avpretext.options.orofacial import OrofacialOptions
from avpretext.orofacial.movement_targets import BlendshapeMap, MovementScale, pieces
from avpretext.orofacial.networks import EMOTION, MOVEMENT, VISEME, OrofacialNetwork
from avpretext.shards import atomic_path
from avpretext.systems import OrofacialSystem
from avpretext.training import checkpoint as checkpoints
from avpretext.training import finite
from avpretext.training.data import CLIP

Floats = NDArray[np.float32]

FORMAT = 1
"""Of the folder; raised when older programs could no longer read it."""

MARGIN_S = 1.0
"""Heard on each side of a piece of a long recording, and dropped, so that pieces join."""
_SHAPING = ("seed", "speech", "log_mel", "orofacial")
_SCALES = (
    "scale.mean", "scale.deviation", "blendshapes.weight", "blendshapes.bias", "rest",
    *(f"targets.{name}" for name in ("mean", "basis", "inverse", "weights")),
)  # fmt: skip
_AGAIN = "take the folder again from where it was made, or run `snakemake orofacial` again"


@dataclass(frozen=True)
class SpeechScale:
    """Mean and deviation of each channel, (F,), by which speech is normalised."""

    mean: Floats
    deviation: Floats

    @classmethod
    def of(cls, clips: Sequence[Floats]) -> Self:
        """Find them over the frames of these clips, (T, F) each; a constant channel gets deviation 1."""
        frames = np.concatenate(list(clips)).astype(np.float64)
        known = np.isfinite(frames)
        number = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, frames, 0).sum(axis=0) / number
        variance = np.square(np.where(known, frames - mean, 0)).sum(axis=0) / number
        deviation = np.where(variance > 1e-12 * np.maximum(np.square(mean), 1e-30), np.sqrt(variance), 1.0)
        return cls(mean.astype(np.float32), deviation.astype(np.float32))

    def normalised(self, steps: Floats) -> Floats:
        """Return speech in deviations from the mean: NaN 0, clipped to plus and minus 3."""
        scaled: Floats = np.nan_to_num((steps - self.mean) / self.deviation).clip(-CLIP, CLIP).astype(np.float32)
        return scaled


class Said(NamedTuple):
    """What a model says of a clip.

    Attributes
    ----------
    movement
        (T, D) in inter-ocular distances from rest.
    viseme
        (T, classes) probabilities; (T, 0) where they are not asked.
    emotion
        (classes,) probabilities; (0,) where it is not asked.
    """

    movement: Floats
    viseme: Floats
    emotion: Floats


@dataclass(frozen=True)
class OrofacialModel:
    """A network with all that it needs to move a face.

    Attributes
    ----------
    network, system, outputs
        The network, what it is, and how many values it says of each task.
    classes
        Task: names of its classes.
    channels
        (F,) names of what it hears.
    scale, targets, blendshapes
        How speech is normalised, what the outputs mean, and the map to blendshapes.
    rest
        (P, 2) the mean resting shape of the training speakers, see `resting_shape`.
    config
        What it was trained with.
    trained_on
        Number of clips and speakers, names of corpora.
    """

    network: OrofacialNetwork
    system: OrofacialSystem
    outputs: Mapping[str, int]
    classes: Mapping[str, Sequence[str]]
    channels: Sequence[str]
    scale: SpeechScale
    targets: MovementScale
    blendshapes: BlendshapeMap
    rest: Floats
    config: Config
    trained_on: Mapping[str, Any]

    @property
    def fps(self) -> float:
        """Frames per second of what it says."""
        return self.config.split.fps

    def has(self, task: str) -> bool:
        """Tell whether it says anything of a helper task."""
        return task in self.network.helpers

    @torch.no_grad()
    def predict(self, steps: Floats) -> Said:
        """Return what it says of a clip, (T, F) in the units of the features; long ones piece by piece."""
        scaled = self.scale.normalised(steps)
        longest = max(1, round(self.config.orofacial.piece_s * self.fps))
        margin = round(MARGIN_S * self.fps)
        moved, seen = [], []
        emotion = np.zeros(self.outputs.get(EMOTION, 0) if self.has(EMOTION) else 0)
        for place in pieces(len(scaled), longest):
            first = max(0, place.start - margin)
            part = torch.from_numpy(scaled[first : place.stop + margin])[None, None]
            said = self.network(part, torch.ones(part.shape[:3], dtype=torch.bool))
            kept = slice(place.start - first, place.stop - first)
            moved.append(said[MOVEMENT][0, kept].numpy())
            if VISEME in said:
                seen.append(said[VISEME][0, kept].softmax(-1).numpy())
            if EMOTION in said:
                emotion += said[EMOTION][0].softmax(-1).numpy() * (place.stop - place.start) / len(scaled)
        viseme = np.concatenate(seen) if seen else np.zeros((len(scaled), 0), np.float32)
        movement = self.targets.movement(np.concatenate(moved))
        for values in (movement, viseme, emotion):
            finite.check_values(values, "what an orofacial model says", "it has diverged: train it again")
        return Said(movement, viseme, emotion.astype(np.float32))


def write_model(model: OrofacialModel, folder: Path) -> None:
    """Write a model's folder: the numbers first, so that a folder with `model.json` is whole."""
    tensors = {f"network.{name}": value for name, value in model.network.state_dict().items()}
    tensors |= {f"targets.{name}": value for name, value in model.targets.tensors().items()}
    tensors |= {f"scale.{name}": torch.from_numpy(getattr(model.scale, name)) for name in ("mean", "deviation")}
    tensors |= {
        f"blendshapes.{name}": torch.from_numpy(getattr(model.blendshapes, name)) for name in ("weight", "bias")
    }
    tensors["rest"] = torch.from_numpy(model.rest)
    checkpoints.write(folder / "weights.safetensors", tensors, {"format": FORMAT})
    said = {
        "format": FORMAT,
        "kind": "avpretext orofacial model",
        "package_version": __version__,
        "machine": machine.facts(),
        "system": model.system,
        "fps": model.fps,
        "outputs": dict(model.outputs),
        "classes": {task: list(names) for task, names in model.classes.items()},
        "points": {region: points.tolist() for region, points in OROFACIAL.items()},
        "unit": "inter-ocular distances (between the outer eye corners); x to the right of the picture, y down",
        "blendshapes": list(MOUTH_BLENDSHAPES),
        "channels": list(model.channels),
        "trained_on": dict(model.trained_on),
        "options": {"split": {"fps": model.fps}} | {name: _plain(getattr(model.config, name)) for name in _SHAPING},
    }
    with atomic_path(folder / "model.json") as temporary:
        temporary.write_text(json.dumps(said, indent=1, sort_keys=True, allow_nan=False) + "\n", "utf-8")


def _plain(value: Any) -> Any:
    if not hasattr(value, "model_dump"):
        return value
    # A path of the machine that trained it says nothing elsewhere, and would be different bytes for the same model.
    return value.model_dump(mode="json", exclude={"checkpoint", "threads"})


def read_model(folder: Path) -> OrofacialModel:
    """Read a model's folder.

    Raises
    ------
    UserError
        It is no such folder, is of a later format, or its numbers are not those of its network, or not finite.
    """
    said, weights = _description(folder), folder / "weights.safetensors"
    tensors, _ = checkpoints.read(weights)
    config = parse({**said["options"], "corpora": {"none": {"path": ".", "use": []}}}, str(folder))
    options: OrofacialOptions = config.orofacial
    network = OrofacialNetwork(len(said["channels"]), options.model, said["system"], said["outputs"])
    finite.load_all(network, checkpoints.below("network", tensors), weights, _AGAIN)
    if missing := [name for name in _SCALES if name not in tensors]:
        raise UserError(f"{weights}: {missing[0]} is missing; {_AGAIN}")
    return OrofacialModel(
        network=network.eval(),
        system=said["system"],
        outputs=said["outputs"],
        classes=said["classes"],
        channels=said["channels"],
        scale=SpeechScale(*(tensors[f"scale.{name}"].numpy() for name in ("mean", "deviation"))),
        targets=MovementScale.from_tensors(checkpoints.below("targets", tensors)),
        blendshapes=BlendshapeMap(*(tensors[f"blendshapes.{name}"].numpy() for name in ("weight", "bias"))),
        rest=tensors["rest"].numpy(),
        config=config,
        trained_on=said["trained_on"],
    )


def _description(folder: Path) -> dict[str, Any]:
    file = folder / "model.json"
    try:
        said = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        raise UserError(
            f"{folder}: no orofacial model; expected a folder with model.json and weights.safetensors, such as"
            " results/orofacial/joint/model, which `snakemake orofacial` makes"
        ) from None
    if not isinstance(said, dict) or said.get("kind") != "avpretext orofacial model":
        raise UserError(f"{file}: not the description of an orofacial model; expected results/orofacial/*/model")
    if said["format"] > FORMAT:
        raise UserError(
            f"{file}: of format {said['format']}, this program reads up to {FORMAT}: install a newer avpretext"
        )
    return said
