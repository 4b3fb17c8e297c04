"""Mel spectrograms as DeepEmoCluster hears them: power, in chunks, in deviations from the training clips' mean."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext.models.chunking import ChunkGrid
from avpretext.training.data import SpeechChunks, concatenate, cut, in_deviations
from avpretext.training.frames import read_frames

BANDS = "mel[*"
"""Pattern of the columns of `log_mel` that are heard."""

Rows = NDArray[np.int64]


def read_spectrograms(
    features: Mapping[str, Mapping[str, Sequence[Path]]], speakers: Mapping[str, Mapping[str, str]], grid: ChunkGrid
) -> SpeechChunks:
    """Read natural-log mel power, corpus: {"log_mel": shards}, and cut it into chunks of mel power.

    `speakers` are by corpus and clip_id: the clips wanted; those without features are left out, with a warning.
    """
    parts = {}
    for corpus, clips in sorted(speakers.items()):
        store = read_frames(features[corpus], clips.keys(), [BANDS])
        np.exp(store.frames, out=store.frames)
        parts[corpus] = cut(store, clips, grid)
    return concatenate(parts)


class Sound:
    """Chunks in deviations, made batch by batch and put on a device, so that all folds share one array.

    Mean and deviation are taken over the frames of the clips of the rows `train`; spectrograms are mel power, (N, K, m,
    bands).
    """

    def __init__(self, spectrograms: SpeechChunks, train: Rows, device: torch.device) -> None:
        self.mean, self.deviation = spectrograms.mean_and_deviation(train)
        self.steps, self.mask, self.device = spectrograms.steps, spectrograms.mask, device

    @property
    def chunks(self) -> int:
        """Number of chunks of a clip."""
        return self.steps.shape[1]

    def batch(self, clips: Rows, places: Rows) -> Tensor:
        """Return chunk `places[i]` of clip `clips[i]`, (N, m, bands), in deviations: NaN and padding 0, clipped."""
        at = torch.from_numpy(clips), torch.from_numpy(places)
        steps, mask = (stored[at].to(self.device) for stored in (self.steps, self.mask))
        return in_deviations(steps, self.mean, self.deviation) * mask.unsqueeze(-1)
