"""A trained model as one network from the feature frames of a clip to its outputs, in a form that ONNX can hold."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from avpretext.models.chunking import ChunkGrid
from avpretext.training.data import chunk_grid, scales, standardise
from avpretext.training.model_folder import TrainedModel
from avpretext.training.objectives import TASK, output_tensor

_Number = TypeVar("_Number", int, Tensor)

_larger: Callable[[int, int], int] = torch.sym_max
_smaller: Callable[[int, int], int] = torch.sym_min
"""`max` and `min`, also of a length that is known only when the graph runs."""


class ClipGraph(nn.Module):
    """Chunks, normalisation, networks and their mean for one clip of any length.

    The values are those of `predict.model.Model.of_frames`. A clip shorter than a chunk gives chunks of fewer steps in
    place of padding: encoders give the same vectors for both.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, trained: TrainedModel) -> None:
        super().__init__()
        said = trained.description
        self.grid = chunk_grid(said.chunks, said.model.step_frames)
        self.kind, self.attribute_scales = said.kind, trained.scales
        self.networks = nn.ModuleList(trained.networks)
        if trained.normalisation is None:
            raise ValueError("a model whose normalisation is not that of the training clips")
        known = scales(trained.normalisation.mean, trained.normalisation.deviation, len(said.channels))
        for name, values in zip(("mean", "scale"), known, strict=True):
            self.register_buffer(name, values)

    def forward(self, frames: Tensor) -> Tensor:
        """Map feature frames (T, F) to probabilities or values of attributes, (C,)."""
        steps = standardise(chunk_steps(frames, self.grid), self.mean, self.scale).unsqueeze(0)  # (1, K, m, F)
        mask = steps.new_ones(steps.shape[:3], dtype=torch.bool)
        outputs = [output_tensor(self.kind, net(steps, mask)[TASK], self.attribute_scales) for net in self.networks]
        return torch.stack(outputs).mean(0)[0].float()


def chunk_steps(frames: Tensor, grid: ChunkGrid) -> Tensor:
    """Return the steps of the chunks of one clip, (K, m, F), without those that `gather_chunks` pads.

    It is the grid of `chunks.chunk_places` in operations that ONNX has; no number that is divided is negative, since
    ONNX rounds integers towards zero.
    """
    starts, span = _places(frames.shape[0], grid)
    stretch = _larger(span, grid.length)
    steps = _smaller(grid.steps, _ceil_div(span * grid.steps, grid.length))
    place = torch.arange(steps, device=frames.device)
    low = place * stretch // grid.steps  # (m,)
    high = _ceil_div((place + 1) * stretch, grid.steps).clamp(max=span)
    widest = torch.arange(_ceil_div(stretch, grid.steps) + 1, device=frames.device)
    rows = low[:, None] + widest  # (m, W)
    inside = rows < high[:, None]
    values = frames[starts[:, None, None] + torch.minimum(rows, high[:, None] - 1)]  # (K, m, W, F)
    total: Tensor = torch.where(inside[..., None], values, 0.0).sum(2)
    return total / (high - low)[:, None]


def _places(frames: int, grid: ChunkGrid) -> tuple[Tensor, int]:
    """Return the first frame of each chunk, (K,), and the frames that a chunk spans; see `chunks.chunk_places`."""
    order, gaps = torch.arange(grid.chunks), max(grid.chunks - 1, 1)
    if grid.method == "published":
        return order * ((frames - grid.length) // gaps), grid.length
    span = _smaller(frames, _larger(grid.length, _ceil_div(frames, grid.chunks)))
    return (2 * order * (frames - span) + gaps) // (2 * gaps), span


def _ceil_div(number: _Number, by: int) -> _Number:
    """Return a number that is not negative, divided and rounded up."""
    return (number + by - 1) // by
