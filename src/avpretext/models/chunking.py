"""Frames of clips to the steps of their chunks: one gather for a whole batch."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from avpretext.chunks import ChunkMethod, chunk_span, chunk_starts


class Chunks(NamedTuple):
    """Chunks of a batch of clips.

    `steps` is (B, K, m, F): clips, chunks, steps, features; `mask` is (B, K, m), False where a step is padding.
    """

    steps: Tensor
    mask: Tensor


@dataclass(frozen=True)
class ChunkGrid:
    """How clips are cut: `length`, in frames, and `steps`, to which the frames of a chunk are averaged."""

    length: int
    count: int
    factor: int = 1
    method: ChunkMethod = "exact"
    step_frames: int = 1

    @property
    def chunks(self) -> int:
        """Number of chunks of every clip."""
        return self.count * self.factor

    @property
    def steps(self) -> int:
        """Number of steps of every chunk."""
        return -(-self.length // self.step_frames)


def gather_chunks(frames: Tensor, lengths: Tensor, grid: ChunkGrid) -> Chunks:
    """Cut clips into chunks on the grid of :mod:`avpretext.chunks`.

    Step j of a chunk is the mean of its frames ``floor(j * L / m)`` to ``ceil((j + 1) * L / m) - 1``, where L is the
    span of the chunk, at least the nominal length. With one frame per step and chunks of nominal length the mean is
    over one frame, and the result is the published formula's slices.

    Parameters
    ----------
    frames
        (B, T, F), each clip padded to the longest.
    lengths
        (B,) frames of each clip.
    grid
        The grid.

    Returns
    -------
    Chunks with steps (B, K, m, F), zero where padded, and mask (B, K, m).
    """
    starts, spans = _places(lengths, grid)
    starts, spans = starts.to(frames.device), spans.to(frames.device)
    step = torch.arange(grid.steps, device=frames.device)
    stretch = spans.clamp(min=grid.length)[:, None]  # (B, 1)
    low = step * stretch // grid.steps  # (B, m)
    high = torch.minimum(-(-(step + 1) * stretch // grid.steps), spans[:, None])  # (B, m)
    offset = torch.arange(int((high - low).max()), device=frames.device)
    used = low[..., None] + offset < high[..., None]  # (B, m, R)
    place = torch.where(used, low[..., None] + offset, 0)
    index = starts[:, :, None, None] + place[:, None]  # (B, K, m, R)
    batch = torch.arange(len(frames), device=frames.device)[:, None, None, None]
    picked = frames[batch, index].masked_fill(~used[:, None, ..., None], 0)  # (B, K, m, R, F)
    counts = used.sum(-1)  # (B, m)
    steps = picked.sum(3) / counts.clamp(min=1)[:, None, :, None]
    return Chunks(steps, (counts > 0)[:, None].expand(-1, grid.chunks, -1))


def _places(lengths: Tensor, grid: ChunkGrid) -> tuple[Tensor, Tensor]:
    """Return the starts (B, K) and the spans (B,) of the chunks of each clip, in frames."""
    rule = (grid.length, grid.count, grid.factor, grid.method)
    frames = lengths.tolist()
    starts = np.stack([chunk_starts(length, *rule) for length in frames])
    spans = np.array([chunk_span(length, *rule) for length in frames], dtype=np.int64)
    return torch.from_numpy(starts), torch.from_numpy(spans)
