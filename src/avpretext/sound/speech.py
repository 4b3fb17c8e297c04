"""Stage `speech`: openSMILE low-level descriptors, energy and loudness of every 10 ms of every clip."""

from pathlib import Path

import numpy as np

from avpretext import shards
from avpretext.config import SpeechOptions
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.sound.audio_shards import Signal, write_frames
from avpretext.sound.descriptors import MARGIN_FRAMES, Descriptors, frame_energy, open_descriptors


def run(audio: Path, options: SpeechOptions, output: Path, rejects: Path, threads: int = 1) -> None:
    """Describe the clips of one shard.

    Parameters
    ----------
    output
        `speech`: T = max(1, samples // 160) rows per clip. Row k stands at k * 10 ms. `energy` is the RMS of
        the 25 ms around it, linear, full scale 1; `loudness` is openSMILE's.
    rejects
        `rejects`: clips whose audio cannot be read back.
    """
    made_by = provenance("speech", options.model_dump())
    with (
        open_descriptors(options) as descriptors,
        shards.ShardWriter(rejects, schema_of("rejects"), made_by) as refused,
    ):

        def measure(signal: Signal, first: int, stop: int, frames: int) -> Signal:
            return described(descriptors, signal, first, stop, frames)

        schema = schema_of("speech", {"DESCRIPTOR": descriptors.names})
        write_frames("speech", audio, output, schema, made_by, measure, MARGIN_FRAMES, threads, refused)


def described(descriptors: Descriptors, signal: Signal, first: int, stop: int, frames: int) -> Signal:
    """Return energy, loudness and descriptors of a part of a signal, (T, 2 + descriptors)."""
    values = descriptors.compute(signal, first, stop, frames)
    energy = frame_energy(signal)[first:stop]
    return np.concatenate([energy[:, None], descriptors.loudness(values)[:, None], values], axis=1)
