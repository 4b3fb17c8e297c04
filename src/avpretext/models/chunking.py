"""Frames of clips to the steps of their chunks: one gather for a whole batch, of clips that lie end to end."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from avpretext.chunks import ChunkMethod, chunk_places


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


def gather_chunks(frames: Tensor, first: Tensor, lengths: Tensor, grid: ChunkGrid, out: Tensor | None = None) -> Chunks:
    """Cut clips into chunks on the grid of :mod:`avpretext.chunks`.

    Step j of a chunk is the mean of its frames ``floor(j * L / m)`` to ``ceil((j + 1) * L / m) - 1``, where L is the
    span of the chunk, at least the nominal length. With one frame per step and chunks of nominal length the mean is
    over one frame, and the result is the published formula's slices.

    Parameters
    ----------
    frames
        (T, F), the frames of all clips, end to end.
    first, lengths
        (B,) first row of each clip in `frames`, and how many are its own; on any device.
    grid
        The grid.
    out
        (B, K, m, F), contiguous, to be filled and returned as `steps`; the caller's own for large batches, whose
        fresh memory costs more than the copying. Gradients do not pass.

    Returns
    -------
    Chunks with steps (B, K, m, F), zero where padded, and mask (B, K, m), on the device of `frames`.
    """
    places, spans = chunk_places(lengths.cpu().numpy(), grid.length, grid.count, grid.factor, grid.method)
    starts = (first.cpu()[:, None] + torch.from_numpy(places)).to(frames.device)  # (B, K)
    shape = (len(lengths), grid.chunks, grid.steps, frames.shape[1])
    if grid.steps == grid.length and (spans == grid.length).all():
        return Chunks(_windows(frames, starts, shape, out), frames.new_ones(shape[:3], dtype=torch.bool))
    low, high = _steps(torch.from_numpy(spans).to(frames.device), grid)
    steps = _means(frames, starts, low, high).view(shape)
    if out is not None:
        steps = out.copy_(steps)
    return Chunks(steps, (high > low)[:, None].expand(shape[:3]))


def _windows(frames: Tensor, starts: Tensor, shape: tuple[int, ...], out: Tensor | None) -> Tensor:
    """Return chunks of one frame per step: a chunk is one stretch of memory, copied as it stands."""
    stretch = shape[2] * shape[3]
    windows = frames.contiguous().as_strided((len(frames) - shape[2] + 1, stretch), (shape[3], 1))
    if out is None:
        return windows.index_select(0, starts.flatten()).view(shape)
    torch.index_select(windows, 0, starts.flatten(), out=out.view(-1, stretch))
    return out


def _steps(spans: Tensor, grid: ChunkGrid) -> tuple[Tensor, Tensor]:
    """Return the frames of each step, ``low`` up to but not ``high``, counted from the start of the chunk, (B, m)."""
    step = torch.arange(grid.steps, device=spans.device)
    stretch = spans.clamp(min=grid.length)[:, None]  # (B, 1)
    low = step * stretch // grid.steps
    high = torch.minimum(-(-(step + 1) * stretch // grid.steps), spans[:, None])
    return low, torch.maximum(low, high)


def _means(frames: Tensor, starts: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return the mean of the frames of each step, (B * K * m, F), zero where there are none."""
    counts = (high - low)[:, None].expand(-1, starts.shape[1], -1).flatten()  # (B * K * m,)
    begin = (starts[:, :, None] + low[:, None]).flatten()
    ends = counts.cumsum(0)
    # Frame by frame of step by step: where the step begins, and on from there.
    rows = torch.repeat_interleave(begin - (ends - counts), counts) + torch.arange(int(ends[-1]), device=frames.device)
    return functional.embedding_bag(rows, frames, ends - counts, mode="mean")
