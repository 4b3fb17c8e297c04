"""Stage `degrade`: a corpus in noise, by telephone, through a codec or in a room, to test models that heard it clean.

The copy is a corpus like any other, `{corpus}@{condition}`, of which features are computed; only test clips are heard
so, and nothing is learnt of them.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from avpretext.flow.provenance import provenance
from avpretext.media import ffmpeg
from avpretext.options.conditions import Condition
from avpretext.sound.copies import write_copy
from avpretext.sound.degradations import degraded


def run(audio: Path, condition: str, seed: int, output: Path, threads: int = 1) -> None:
    """Degrade the clips of one shard.

    Parameters
    ----------
    condition
        Such as `noise10`, `telephone`, `mp3_32`, `opus_12`, `room600`.
    output
        `split.audio`: clips of the same length. A clip that cannot be read back is left out; the stage `speech` refuses
        it.
    """
    asked = Condition.of(condition)

    def change(clip_id: str, clip: soundfile.SoundFile) -> Iterable[NDArray[np.float32]]:
        yield degraded(clip.read(dtype="float32"), asked, generator_of(clip_id, asked, seed))

    options = {"condition": condition, "seed": seed}
    if asked.codec:
        options["ffmpeg"] = ffmpeg.version(ffmpeg.program("bundled"))
    write_copy(f"degrade {condition}", audio, output, provenance("degrade", options), change, threads)


def generator_of(clip_id: str, condition: Condition, seed: int) -> np.random.Generator:
    """Return what a clip's noise or room is drawn by: the same noise at every SNR, whatever shard the clip is in."""
    named = f"{condition.kind}/{clip_id}".encode("utf-8", "surrogateescape")
    return np.random.default_rng([seed, int.from_bytes(hashlib.blake2b(named, digest_size=8).digest(), "big")])
