"""Augmentation of normalised chunks: no clip is heard twice alike, so less of it is learnt by heart."""

import torch
from torch import Tensor

from avpretext.config import LoopOptions


def augment(steps: Tensor, mask: Tensor, options: LoopOptions) -> Tensor:
    """Return a randomly changed copy of steps (B, K, m, F), in deviations, with mask (B, K, m).

    By `noise` every value gets noise; by `channel_dropout` some channels of a clip, by `time_mask` a stretch of each
    chunk fall silent (Park et al., "SpecAugment", Interspeech 2019); 0 leaves a part out. Padding stays zero, and so do
    channels that are zero in a whole clip, for those are hidden.
    """
    batch, _, _, features = steps.shape
    channels = (steps.abs().amax((1, 2)) > 0)[:, None, None]  # (B, 1, 1, F)
    changed = torch.randn_like(steps).mul_(options.noise).add_(steps) if options.noise else steps.clone()
    if options.channel_dropout:
        channels = channels & (torch.rand(batch, 1, 1, features, device=steps.device) >= options.channel_dropout)
    if options.time_mask:
        mask = mask & _heard(mask, options.time_mask)
    # In place and in one type, for this is the largest array of a training step: memory is what takes time here.
    return changed.mul_(channels.to(steps.dtype)).mul_(mask.unsqueeze(-1).to(steps.dtype))


def _heard(mask: Tensor, longest: float) -> Tensor:
    """Return (B, K, m), False over one random stretch of each chunk, no longer than this share of it."""
    batch, chunks, length = mask.shape
    width = torch.rand(batch, chunks, 1, device=mask.device) * longest * length
    start = torch.rand(batch, chunks, 1, device=mask.device) * (length - width)
    place = torch.arange(length, device=mask.device)
    return (place < start) | (place >= start + width)
