"""Augmentation of normalised chunks: no clip is heard twice alike, so less of it is learnt by heart."""

import torch
from torch import Tensor

from avpretext.config import LoopOptions


def augment(steps: Tensor, mask: Tensor, options: LoopOptions) -> Tensor:
    """Return a randomly changed copy of a batch.

    Every value gets noise, some channels of a clip and a stretch of each chunk fall silent (Park et al., "SpecAugment",
    Interspeech 2019). Padding stays zero, and so do channels that are zero in a whole clip, for those are hidden.

    Parameters
    ----------
    steps, mask
        (B, K, m, F) in deviations, and (B, K, m).
    options
        `noise`, `channel_dropout`, `time_mask`; 0 leaves a part out.
    """
    batch, _, _, features = steps.shape
    heard = steps.flatten(1, 2).any(1)[:, None, None]  # (B, 1, 1, F)
    if options.noise:
        steps = steps + options.noise * torch.randn_like(steps)
    if options.channel_dropout:
        drawn = torch.rand(batch, 1, 1, features, device=steps.device)
        steps = steps * (drawn >= options.channel_dropout)
    if options.time_mask:
        steps = steps * _time_mask(steps, options.time_mask)
    return steps * (mask.unsqueeze(-1) & heard)


def _time_mask(steps: Tensor, longest: float) -> Tensor:
    """Return (B, K, m, 1), zero over one random stretch of each chunk, one where it is kept."""
    batch, chunks, length, _ = steps.shape
    width = torch.rand(batch, chunks, 1, device=steps.device) * longest * length
    start = torch.rand(batch, chunks, 1, device=steps.device) * (length - width)
    place = torch.arange(length, device=steps.device)
    return ((place < start) | (place >= start + width)).to(steps.dtype).unsqueeze(-1)
