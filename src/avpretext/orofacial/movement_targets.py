"""From movement to what a network learns and back: deviations of coordinates, or principal components; blendshapes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float32]

RIDGE = 1e-2
"""Of the map to blendshapes, as a share of the mean variance of the movement: coordinates nearly repeat each other."""


@dataclass(frozen=True)
class MovementScale:
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
        mean: NDArray[np.float64] = frames.mean(axis=0)
        if not components:
            deviation = np.maximum(frames.std(axis=0), 1e-6)
            parts: tuple[NDArray[np.float64], ...] = (
                mean,
                np.diag(deviation),
                np.diag(1 / deviation),
                np.ones(len(deviation)),
            )
        else:
            # Of the covariance, as the frames of a large corpus are too many to be taken apart.
            strength, columns = np.linalg.eigh(np.cov(frames, rowvar=False, bias=True))
            kept = min(components, int((strength > 1e-9 * strength[-1]).sum()))
            variances, directions = strength[::-1][:kept], columns.T[::-1][:kept]
            # The largest entry of a direction is positive, so that its sign does not hang on the library.
            largest = np.abs(directions).argmax(axis=1)
            signed = directions * np.sign(directions[np.arange(kept), largest])[:, None]
            size = np.sqrt(variances)[:, None]
            parts = (mean, signed * size, (signed / size).T, np.asarray(variances / variances.mean()))
        return cls(*(np.asarray(part, np.float32) for part in parts))

    def outputs(self, movement: Floats) -> Floats:
        """Return what a network is to say of movements (..., D): (..., K)."""
        return np.asarray((movement - self.mean) @ self.inverse, np.float32)

    def movement(self, outputs: Floats) -> Floats:
        """Return the movements (..., D) of outputs (..., K)."""
        moved: Floats = outputs @ self.basis + self.mean
        return moved

    def tensors(self) -> dict[str, Tensor]:
        """Return its parts by name."""
        return {name: torch.from_numpy(getattr(self, name)) for name in ("mean", "basis", "inverse", "weights")}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Put the parts of `tensors` together."""
        return cls(*(tensors[name].numpy() for name in ("mean", "basis", "inverse", "weights")))


@dataclass(frozen=True)
class BlendshapeMap:
    """A linear map from movement to mouth and jaw blendshapes, so that what a model predicts drives a rig.

    Attributes
    ----------
    weight, bias
        (D, B) and (B,): ``movement @ weight + bias``, cut to 0..1.
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


def pieces(frames: int, longest: int) -> list[slice]:
    """Cut a clip into pieces of about equal length, none longer than `longest` frames.

    >>> pieces(5, 10), pieces(7, 3)
    ([slice(0, 5, None)], [slice(0, 3, None), slice(3, 5, None), slice(5, 7, None)])
    """
    count = max(1, -(-frames // longest))
    ends = np.cumsum([len(part) for part in np.array_split(np.empty(frames), count)]).tolist()
    return [slice(first, last) for first, last in zip([0, *ends[:-1]], ends, strict=True)]


def padded(parts: Sequence[NDArray[np.generic]], fill: float) -> Tensor:
    """Return clips (T_i, ...) as one tensor (N, T, ...), filled up at their ends."""
    longest = max(len(part) for part in parts)
    whole = np.full((len(parts), longest, *parts[0].shape[1:]), fill, parts[0].dtype)
    for row, part in enumerate(parts):
        whole[row, : len(part)] = part
    return torch.from_numpy(whole)
