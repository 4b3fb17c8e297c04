"""Stage `split`: each source is read once, and becomes 16 kHz audio and frames on one clock.

Frames are stored as JPEG, or looked at as they come (stage `watch`); no later stage opens a video. Clips that cannot be
read become rows in `rejects`, and the run goes on.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from avpretext import shards
from avpretext.config import MediaOptions
from avpretext.flow import schemas
from avpretext.media import ffmpeg
from avpretext.media.decode import Decoded, Picture, decode
from avpretext.media.fingerprint import fingerprint_of
from avpretext.media.stretches import Stretch
from avpretext.pool import ordered_map
from avpretext.progress import progress
from avpretext.refusal import Refusal, reject_row

FRAMES_PER_GROUP = 256
"""Frames that a reader of the shard holds at a time."""
_AUDIO_BATCH_BYTES = 8 << 20


class Watcher(Protocol):
    """What looks at frames as they come."""

    def look(self, clip_id: str, pictures: Iterator[Picture]) -> Any:
        """Look at the frames of a clip; several clips may be looked at, at a time."""

    def keep(self, seen: Any) -> None:
        """Keep what was seen of a clip, now that it is known to be good; clips come one by one, in order."""


def run(
    index: Path,
    folder: Path,
    options: MediaOptions,
    audio: Path,
    frames: Path | None,
    rejects: Path,
    threads: int = 1,
    watcher: Watcher | None = None,
) -> None:
    """Split the clips of one shard.

    Parameters
    ----------
    index
        The shard's clips: whole files, or stretches of them from `start_s` to `end_s`.
    folder
        Folder that their paths are relative to.
    options
        Grid, height, quality, durations allowed, ffmpeg program.
    audio
        `schemas.AUDIO`, one row per clip, sorted by clip_id.
    frames
        `schemas.FRAMES`, one row per frame; None for a corpus of which only audio is read, and with a watcher.
    rejects
        `schemas.REJECTS`.
    threads
        Clips that are decoded at a time.
    watcher
        Looks at the frames in place of their being stored.
    """
    program = ffmpeg.program(options.ffmpeg)
    made_by = shards.provenance("split", options.model_dump(), ffmpeg=ffmpeg.version(program))
    clips = shards.read(index).sort("clip_id").to_dicts()
    Path(audio).parent.mkdir(parents=True, exist_ok=True)

    def work(clip: dict[str, Any]) -> Decoded | Refusal:
        """Decode one clip, or say why not."""
        source = Path(folder) / clip["path"]
        stretch = Stretch(clip["start_s"] or 0.0, clip["end_s"])
        look = partial(watcher.look, clip["clip_id"]) if watcher else None
        video = frames is not None or watcher is not None
        return decode(source, program, options, video, Path(audio).parent, stretch, look)

    with _Writers(audio, frames, rejects, made_by, options.fps) as writers:
        label = f"{'watch' if watcher else 'split'} {Path(index).absolute().parents[1].name}/{Path(index).stem}"
        results = progress(ordered_map(work, clips, threads), total=len(clips), unit="clips", label=label)
        for clip, result in zip(clips, results, strict=True):
            if isinstance(result, Refusal):
                writers.refuse(clip, result)
            else:
                writers.keep(clip, result)
                if watcher is not None:
                    watcher.keep(result.seen)


class _Writers:
    """The three shards that a run fills, and the rows that wait to be written."""

    def __init__(self, audio: Path, frames: Path | None, rejects: Path, made_by: dict[str, Any], fps: float) -> None:
        self._fps = fps
        self._audio = shards.ShardWriter(audio, schemas.AUDIO, made_by, compression="none", row_group=64)
        self._rejects = shards.ShardWriter(rejects, schemas.REJECTS, made_by)
        self._frames: shards.ShardWriter | None = None
        if frames is not None:
            self._frames = shards.ShardWriter(
                frames, schemas.FRAMES, made_by, compression="none", row_group=FRAMES_PER_GROUP
            )
        self._waiting: list[dict[str, Any]] = []
        self._stack = ExitStack()

    def __enter__(self) -> "_Writers":
        for writer in (self._audio, self._rejects, self._frames):
            if writer is not None:
                self._stack.enter_context(writer)
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            self._flush()
        self._stack.__exit__(*error)

    def refuse(self, clip: dict[str, Any], refusal: Refusal) -> None:
        """Note a clip that could not be split."""
        self._rejects.write([reject_row(clip["clip_id"], clip["path"], "split", refusal)])

    def keep(self, clip: dict[str, Any], decoded: Decoded) -> None:
        """Write a clip's audio and frames."""
        self._waiting.append(
            {
                "clip_id": clip["clip_id"],
                "speaker": clip["speaker"],
                "label": clip["label"],
                "duration_s": decoded.samples / schemas.SAMPLE_RATE_HZ,
                "samples": decoded.samples,
                "content": decoded.content,
                "audio": {"bytes": decoded.flac, "path": f"{clip['clip_id']}.flac"},
                "video_frames": decoded.video_frames,
                "fps": self._fps,
                "mix": decoded.mix,
                "clipped": decoded.clipped,
                "fingerprint": fingerprint_of(decoded.flac),
            }
        )
        if sum(len(row["audio"]["bytes"]) for row in self._waiting) > _AUDIO_BATCH_BYTES:
            self._flush()
        for batch in frame_batches(clip["clip_id"], decoded, self._fps):
            if self._frames is not None:
                self._frames.write(batch)

    def _flush(self) -> None:
        self._audio.write(self._waiting)
        self._waiting = []


def frame_batches(clip_id: str, decoded: Decoded, fps: float) -> Iterator[dict[str, Any]]:
    """Yield a clip's frames as columns of `schemas.FRAMES`, a row group's worth at a time; frees them."""
    images = decoded.images()
    total = len(decoded.frame_bytes)
    for start in range(0, total, FRAMES_PER_GROUP):
        numbers = list(range(start, min(start + FRAMES_PER_GROUP, total)))
        stored = pa.array([next(images) for _ in numbers], pa.binary())
        names = pa.array([f"{clip_id}/{number:06d}.jpg" for number in numbers])
        yield {
            "clip_id": [clip_id] * len(numbers),
            "frame": numbers,
            "time_s": [number / fps for number in numbers],
            "image": pa.StructArray.from_arrays([stored, names], fields=list(schemas.MEDIA)),
        }
    images.close()
