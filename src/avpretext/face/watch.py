"""Stage `watch`: `split` and `landmarks` in one, frames looked at as they are decoded in place of stored.

What it writes are their artefacts, and frames are not encoded, written, read and decoded again in between.
"""

from collections.abc import Iterator
from pathlib import Path

from avpretext import shards
from avpretext.config import LandmarkOptions, MediaOptions
from avpretext.face.landmarks import Artefacts, ClipSeen, Frame, LandmarkWriter
from avpretext.media import split
from avpretext.media.decode import Picture


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
) -> None:
    """Decode the clips of one shard, and follow the face in them.

    Parameters
    ----------
    index, folder, media, audio, rejects
        See `split.run`.
    model, options, artefacts
        See `landmarks.run`.
    threads
        Clips that are decoded at a time.
    """
    clips = sorted(shards.read(index, ["clip_id"])["clip_id"])
    with LandmarkWriter(model, options, artefacts, clips) as writer:
        split.run(index, folder, media, audio, None, rejects, threads, _Watcher(writer, media.fps))


class _Watcher:
    """See `split.Watcher`."""

    def __init__(self, writer: LandmarkWriter, fps: float) -> None:
        self._writer, self._fps = writer, fps

    def look(self, clip_id: str, pictures: Iterator[Picture]) -> ClipSeen:
        """Follow the face through a clip."""
        frames: Iterator[Frame] = ((number, number / self._fps, image) for number, image in enumerate(pictures))
        return self._writer.look(clip_id, frames)

    def keep(self, seen: ClipSeen) -> None:
        """Write what was seen of a good clip."""
        self._writer.keep(seen)
