"""A pre-trained encoder with the weights that it has learnt, for predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avpretext.config import ChunkOptions
from avpretext.errors import UserError
from avpretext.options.pretrained_encoders import EncoderOptions, TuningOptions
from avpretext.sound.encoder_files import EncoderFiles
from avpretext.sound.encoder_live import checked, one_thread
from avpretext.sound.encoder_model import Floats
from avpretext.training.checkpoint import front_weights
from avpretext.training.data import in_deviations
from avpretext.training.tunable import TunableEncoder, open_tunable


@dataclass(frozen=True)
class TunedEncoder:
    """The encoder of one network, and the mean and deviation (L D,) that its vectors are normalised by."""

    encoder: TunableEncoder
    mean: Tensor
    deviation: Tensor

    def steps(self, signal: Floats) -> Floats:
        """Return the normalised means of a signal (samples,), (K, L, D)."""
        with torch.inference_mode():
            steps: Floats = in_deviations(self.encoder.vectors([signal])[0], self.mean, self.deviation).numpy()
        return steps


def tuned_encoders(
    files: EncoderFiles,
    options: EncoderOptions,
    chunks: ChunkOptions,
    tuning: TuningOptions,
    digests: Mapping[str, str],
    fronts: Sequence[Mapping[str, Tensor]],
) -> list[TunedEncoder]:
    """Return the encoder of each network; what none of them has learnt is in memory once.

    Raises
    ------
    UserError
        The files are others than in training, or have no such weights.
    """
    checked(files, digests)
    with one_thread():
        first = open_tunable(files, options, chunks, tuning, "cpu")
        found = []
        for place, front in enumerate(fronts):
            encoder = first.twin() if place else first
            weights = front_weights(tuning, front)
            _check({**weights.merged, **weights.learning}, encoder, files)
            found.append(TunedEncoder(encoder, front["mean"], front["deviation"]))
        for tuned, front in zip(found, fronts, strict=True):
            weights = front_weights(tuning, front)
            tuned.encoder.put({**weights.merged, **weights.learning})
    return found


def _check(weights: Mapping[str, Tensor], encoder: TunableEncoder, files: EncoderFiles) -> None:
    for name, value in weights.items():
        known = encoder.shape_of(name)
        if known != value.shape:
            raise UserError(f"{files.folder}: the model's weights {name} do not fit this encoder; export it again")
