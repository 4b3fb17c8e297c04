"""What a network hears, made from clips on disk when a batch is taken: gathered, normalised, parts of it hidden."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext.flow.paths import original_of
from avpretext.training import mapped
from avpretext.training.data import SpeechChunks, scales, standardise

Chosen = Tensor | NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """B clips of an array; they are taken from like a tensor whose first dimension is the clips.

    Attributes
    ----------
    stored
        (N, ...) of all clips.
    rows
        (B,) which of them these clips are.
    device
        Where they are wanted.
    """

    stored: Tensor
    rows: Tensor
    device: torch.device

    @classmethod
    def of_all(cls, stored: Tensor) -> Self:
        """Return all clips of an array."""
        return cls(stored, torch.arange(len(stored)), torch.device("cpu"))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: Chosen) -> Self:
        return replace(self, rows=self.rows[chosen])

    def index_select(self, dimension: int, chosen: Tensor) -> Tensor:
        """Read the clips of these rows; `dimension` is 0."""
        return self.stored.index_select(dimension, self.rows[chosen]).to(self.device, non_blocking=True)

    def to(self, device: torch.device, non_blocking: bool = False) -> Self:
        """Return the clips, to be put on a device."""
        return replace(self, device=device)


@dataclass(frozen=True)
class NormalisedSteps:
    """The steps of B clips in deviations from a mean: NaN and padding 0, clipped; taken from like `Rows`.

    Attributes
    ----------
    steps
        (B, K, m, F) as they are stored.
    mask
        (N, K, m) of all clips, False where a step is padding.
    groups
        (N,) of all clips: whose mean and deviation are theirs.
    scales
        (2, G, L, F) mean and 1 / deviation of each group; L is 1, or m where the steps are layers.
    hidden
        (F,) True for the channels that are 0 in some clips.
    hides
        (B,) True for these clips.
    """

    steps: Rows
    mask: Tensor
    groups: Tensor
    scales: Tensor
    hidden: Tensor
    hides: Tensor

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def device(self) -> torch.device:
        """Where the clips are wanted."""
        return self.steps.device

    def __getitem__(self, chosen: Chosen) -> Self:
        return replace(self, steps=self.steps[chosen], hides=self.hides[chosen])

    def index_select(self, dimension: int, chosen: Tensor) -> Tensor:
        """Read and normalise the clips of these rows; `dimension` is 0."""
        raw, rows = self.steps.index_select(dimension, chosen), self.steps.rows[chosen]
        mean, scale = self.scales[:, self.groups[rows], None].to(self.device)  # (M, 1, L, F)
        steps = standardise(raw.float(), mean, scale).to(raw.dtype)
        steps *= self.mask.index_select(dimension, rows).to(self.device).unsqueeze(-1)
        if self.hides[chosen].any():
            steps.masked_fill_((self.hides[chosen, None, None, None] & self.hidden).to(self.device), 0.0)
        return steps

    def to(self, device: torch.device, non_blocking: bool = False) -> Self:
        """Return the clips, to be put on a device."""
        return replace(self, steps=self.steps.to(device))

    def will_need(self, chosen: Tensor) -> None:
        """Let the system read the clips of these rows meanwhile."""
        mapped.will_need(self.steps.stored, self.steps.rows[chosen])

    def hiding(self, hidden: Tensor) -> Self:
        """Return the clips with the channels `hidden` (F,) at 0."""
        return replace(self, hidden=hidden, hides=torch.ones(len(self), dtype=torch.bool))

    def followed_by(self, others: Self) -> Self:
        """Return these clips and others of the same array."""
        rows = torch.cat([self.steps.rows, others.steps.rows])
        return replace(self, steps=replace(self.steps, rows=rows), hides=torch.cat([self.hides, others.hides]))


def normalise(
    chunks: SpeechChunks,
    train: NDArray[np.int64],
    by: str,
    used: NDArray[np.int64] | None = None,
    whole: Collection[str] = (),
) -> NormalisedSteps:
    """Return the steps of all clips in deviations from the mean.

    Mean and deviation are over the frames of the rows `train`, or, by `speaker`, over each speaker's own clips among
    the rows `used`; the others are not to be taken. None: all are used. A corpus in `whole` counts as one speaker.
    """
    count, features = len(chunks), chunks.steps.shape[-1]
    if by == "train":
        sources, groups = [train], torch.zeros(1, dtype=torch.int32).expand(count)
    else:
        corpora = [name.partition("/")[0] for name in chunks.speakers]
        pairs = zip(chunks.speakers, corpora, strict=True)
        names = [corpus if original_of(corpus) in whole else speaker for speaker, corpus in pairs]
        sources, groups = _of_speakers(names, np.arange(count) if used is None else used)
    table = mapped.empty_tensor((2, len(sources), chunks.layers, features), "f4")
    for place, source in enumerate(sources):
        table[:, place] = torch.stack(scales(*chunks.mean_and_deviation(source), features))
    nothing = torch.zeros(1, dtype=torch.bool)
    return NormalisedSteps(
        Rows.of_all(chunks.steps), chunks.mask, groups, table, nothing.expand(features), nothing.expand(count)
    )


def _of_speakers(speakers: Sequence[str], rows: NDArray[np.int64]) -> tuple[list[NDArray[np.int64]], Tensor]:
    """Return the rows of each speaker among these, and the number of the speaker of each clip."""
    names = np.array(speakers)[rows]
    numbers = np.zeros(len(speakers), np.int32)
    _, numbers[rows] = np.unique(names, return_inverse=True)
    order = rows[np.argsort(numbers[rows], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1), torch.from_numpy(numbers)
