"""Stage `watch`: `split` and `landmarks` in one, frames looked at as they are decoded in place of stored.

What it writes are their artefacts, and frames are not encoded, written, read and decoded again in between.
"""

from pathlib import Path

from avpretext import shards
from avpretext.config import LandmarkOptions, MediaOptions
from avpretext.face.landmarks import Artefacts, LandmarkWriter
from avpretext.media import split


def run(
    index: Path,
    folder: Path,
    media: MediaOptions,
    audio: Path,
    rejects: Path,
    model: Path,
    options: LandmarkOptions,
    artefacts: Artefacts,
    threads: int = 1,
    sound: split.Hearing = "read",
) -> None:
    """Decode the clips of one shard, and follow the face in them.

    Parameters
    ----------
    index, folder, audio, rejects, sound
        See `split.run`.
    model
        The file `face_landmarker.task`.
    """
    clips = sorted(shards.read(index, ["clip_id"])["clip_id"])
    with LandmarkWriter(model, options, artefacts, clips) as writer:
        split.run(index, folder, media, audio, None, rejects, threads, writer, sound)
