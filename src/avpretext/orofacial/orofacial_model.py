"""A trained orofacial model: from per-frame features of speech to a moving face; a folder without pickles.

`model.json` holds what a person may want to read: system, options, names of channels, classes, points and blendshapes;
`weights.safetensors` holds the numbers: network, normalisation, movement scale, blendshape map.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext import __version__, machine
from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.errors import UserError, expect_folder
from avpretext.face.blendshapes import MOUTH_BLENDSHAPES
from avpretext.face.points import OROFACIAL
from avpretext.orofacial.networks import EMOTION, MOVEMENT, VISEME, OrofacialNetwork
from avpretext.programs import workflow
from avpretext.shards import atomic_path
from avpretext.training import checkpoint as checkpoints
from avpretext.training import finite
from avpretext.training.data import CLIP

Floats = NDArray[np.float32]

FORMAT = 1
"""Of the folder; raised when older programs could no longer read it."""

KIND = "avpretext orofacial model"

MARGIN_S = 1.0
"""Context on each side of a piece of a long recording, dropped from the output, so that pieces join."""

RIDGE = 1e-2
"""Of the map to blendshapes, as a share of the mean variance of the movement: coordinates nearly repeat each other."""

_SHAPING = ("seed", "speech", "log_mel", "orofacial")
_PLACES = {name: {"checkpoint", "threads"} for name in _SHAPING[1:]}


def _again() -> str:
    return f"take the folder again from where it was made, or run `{workflow('orofacial')}` again"


class _Arrays:
    """A dataclass of arrays, kept as tensors of the same names."""

    @classmethod
    def names(cls) -> list[str]:
        return [field.name for field in fields(cls)]  # type: ignore[arg-type]

    def tensors(self) -> dict[str, Tensor]:
        return {name: torch.from_numpy(getattr(self, name)) for name in self.names()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        return cls(*(tensors[name].numpy() for name in cls.names()))


@dataclass(frozen=True)
class SpeechScale(_Arrays):
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


@dataclass(frozen=True)
class MovementScale(_Arrays):
    """What a network's movement outputs are in inter-ocular distances, found on training clips alone.

    Attributes
    ----------
    mean
        (D,) of the movement.
    basis
        (K, D): a movement is ``mean + outputs @ basis``. Of coordinates a diagonal of deviations; of principal
        components each times its deviation.
    inverse
        (D, K): outputs are ``(movement - mean) @ inverse``.
    weights
        (K,) how much each output counts, mean 1: components by their share of the variance, coordinates alike.
    """

    mean: Floats
    basis: Floats
    inverse: Floats
    weights: Floats

    @classmethod
    def of(cls, movement: Floats, components: int) -> Self:
        """Find it in the movement of training frames, (T, D), without NaN; see `OrofacialOptions.components`."""
        frames = movement.astype(np.float64)
        if components:
            # Of the covariance, as the frames of a large corpus are too many to be taken apart.
            strength, columns = np.linalg.eigh(np.cov(frames, rowvar=False, bias=True))
            kept = min(components, int((strength > 1e-9 * strength[-1]).sum()))
            variances, directions = strength[::-1][:kept], columns.T[::-1][:kept]
            # The largest entry of a direction is positive, so that its sign does not hang on the library.
            largest = np.abs(directions).argmax(axis=1)
            signed = directions * np.sign(directions[np.arange(kept), largest])[:, None]
            size = np.sqrt(variances)[:, None]
            parts = [signed * size, (signed / size).T, variances / variances.mean()]
        else:
            deviation = np.maximum(frames.std(axis=0), 1e-6)
            parts = [np.diag(deviation), np.diag(1 / deviation), np.ones(len(deviation))]
        return cls(*(np.asarray(part, np.float32) for part in (frames.mean(axis=0), *parts)))

    def outputs(self, movement: Floats) -> Floats:
        """Return the network outputs (..., K) that stand for movements (..., D)."""
        return np.asarray((movement - self.mean) @ self.inverse, np.float32)

    def movement(self, outputs: Floats) -> Floats:
        """Return the movements (..., D) of outputs (..., K)."""
        moved: Floats = outputs @ self.basis + self.mean
        return moved


@dataclass(frozen=True)
class BlendshapeMap(_Arrays):
    """A linear map from movement to mouth and jaw blendshapes, so that what a model predicts drives a rig.

    It is ``movement @ weight + bias``, cut to 0..1, of weight (D, B) and bias (B,).
    """

    weight: Floats
    bias: Floats

    @classmethod
    def of(cls, movement: Floats, blendshapes: Floats) -> Self:
        """Find it by ridge regression on training frames, (T, D) and (T, B), without NaN."""
        x, y = movement.astype(np.float64), blendshapes.astype(np.float64)
        x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
        covariance = (x - x_mean).T @ (x - x_mean) / len(x)
        strength = RIDGE * max(float(np.trace(covariance)) / len(covariance), 1e-12)
        cross = (x - x_mean).T @ (y - y_mean) / len(x)
        weight = np.linalg.solve(covariance + strength * np.eye(len(covariance)), cross)
        return cls(weight.astype(np.float32), (y_mean - x_mean @ weight).astype(np.float32))

    def __call__(self, movement: Floats) -> Floats:
        """Return the blendshapes (T, B), 0..1, of movements (T, D)."""
        shown: Floats = (movement @ self.weight + self.bias).clip(0, 1)
        return shown


_PARTS: Mapping[str, type[_Arrays]] = {"scale": SpeechScale, "targets": MovementScale, "blendshapes": BlendshapeMap}
"""Fields of a model that are arrays, by their names."""


class Said(NamedTuple):
    """The prediction for a clip: movement (T, D) in inter-ocular distances from rest, and probabilities.

    `viseme` is (T, classes), `emotion` (classes,); of a model without them (T, 0) and (0,).
    """

    movement: Floats
    viseme: Floats
    emotion: Floats


@dataclass(frozen=True)
class OrofacialModel:
    """A network with all that it needs to move a face.

    `channels` (F,) are the names of its input; `rest` (P, 2) is the mean resting shape of the training speakers, see
    `resting_shape`; `trained_on` has the number of clips and speakers, and names of corpora.
    """

    network: OrofacialNetwork
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
        """Frames per second of the prediction."""
        return self.config.split.fps

    @torch.no_grad()
    def predict(self, steps: Floats) -> Said:
        """Return the prediction for a clip, (T, F) in the units of the features; long ones piece by piece."""
        scaled = self.scale.normalised(steps)
        longest, margin = max(1, round(self.config.orofacial.piece_s * self.fps)), round(MARGIN_S * self.fps)
        moved, seen = [], []
        emotion = np.zeros(self.network.outputs[EMOTION] if EMOTION in self.network.helpers else 0)
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
        found = Said(self.targets.movement(np.concatenate(moved)), viseme, emotion.astype(np.float32))
        for values in found:
            finite.check_values(values, "what an orofacial model says", "it has diverged: train it again")
        return found


def pieces(frames: int, longest: int) -> list[slice]:
    """Cut a clip into pieces of about equal length, none longer than `longest` frames.

    >>> pieces(5, 10), pieces(7, 3)
    ([slice(0, 5, None)], [slice(0, 3, None), slice(3, 5, None), slice(5, 7, None)])
    """
    parts = np.array_split(np.arange(frames), max(1, -(-frames // longest)))
    return [slice(int(part[0]), int(part[-1]) + 1) for part in parts if len(part)]


def write_model(model: OrofacialModel, folder: Path) -> None:
    """Write a model's folder: the numbers first, so that a folder with `model.json` is whole."""
    tensors = {f"network.{name}": value for name, value in model.network.state_dict().items()}
    for part in _PARTS:
        tensors |= {f"{part}.{name}": value for name, value in getattr(model, part).tensors().items()}
    tensors["rest"] = torch.from_numpy(model.rest)
    checkpoints.write(folder / "weights.safetensors", tensors, {"format": FORMAT})
    # A path of the machine that trained it means nothing elsewhere, and would be different bytes for the same model.
    options = model.config.model_dump(mode="json", include={*_SHAPING}, exclude=_PLACES)
    description = {
        "format": FORMAT,
        "kind": KIND,
        "package_version": __version__,
        "machine": machine.facts(),
        "system": model.network.system,
        "fps": model.fps,
        "outputs": dict(model.network.outputs),
        "classes": {task: list(names) for task, names in model.classes.items()},
        "points": {region: points.tolist() for region, points in OROFACIAL.items()},
        "unit": "inter-ocular distances (between the outer eye corners); x to the right of the picture, y down",
        "blendshapes": list(MOUTH_BLENDSHAPES),
        "channels": list(model.channels),
        "trained_on": dict(model.trained_on),
        "options": {"split": {"fps": model.fps}} | {name: options[name] for name in _SHAPING},
    }
    with atomic_path(folder / "model.json") as temporary:
        temporary.write_text(json.dumps(description, indent=1, sort_keys=True, allow_nan=False) + "\n", "utf-8")


def read_model(folder: Path) -> OrofacialModel:
    """Read a model's folder.

    It is an error if it is no such folder, if it is of a later format, or if its numbers are not those of its network,
    or not finite.
    """
    said, weights = _description(folder), folder / "weights.safetensors"
    tensors, _ = checkpoints.read(weights)
    config = parse({**said["options"], "corpora": {"none": {"path": ".", "use": []}}}, str(folder))
    network = OrofacialNetwork(len(said["channels"]), config.orofacial.model, said["system"], said["outputs"])
    finite.load_all(network, checkpoints.below("network", tensors), weights, _again())
    for needed in (*(f"{part}.{name}" for part, kind in _PARTS.items() for name in kind.names()), "rest"):
        if needed not in tensors:
            raise UserError(f"{weights}: {needed} is missing; {_again()}")
    parts: dict[str, Any] = {part: kind.from_tensors(checkpoints.below(part, tensors)) for part, kind in _PARTS.items()}
    same = {name: said[name] for name in ("classes", "channels", "trained_on")}
    return OrofacialModel(network=network.eval(), rest=tensors["rest"].numpy(), config=config, **parts, **same)


def _description(folder: Path) -> dict[str, Any]:
    file, makes = folder / "model.json", f"which `{workflow('orofacial')}` makes"
    expect_folder(folder, f"expected an orofacial model, such as results/orofacial/joint/model, {makes}")
    try:
        said = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        raise UserError(
            f"{folder}: no orofacial model; expected a folder with model.json and weights.safetensors, such as"
            f" results/orofacial/joint/model, {makes}"
        ) from None
    if not isinstance(said, dict) or said.get("kind") != KIND:
        raise UserError(f"{file}: not the description of an orofacial model; expected results/orofacial/*/model")
    if said["format"] > FORMAT:
        raise UserError(
            f"{file}: of format {said['format']}, this program reads up to {FORMAT}: install a newer avpretext"
        )
    return said
