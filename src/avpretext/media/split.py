"""Stage `split`: each source is read once, and becomes 16 kHz audio and frames on one clock.

Frames are stored as JPEG, or looked at as they come (stage `watch`); no later stage opens a video. Clips that cannot be
read become rows in `rejects`, and the run goes on.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa

from avpretext import shards
from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.config import MediaOptions
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import MEDIA, arrow_type
from avpretext.flow.provenance import provenance
from avpretext.media import ffmpeg
from avpretext.media.decode import Decoded, Picture, decode
from avpretext.media.fingerprint import fingerprint_of
from avpretext.media.stretches import Stretch
from avpretext.pool import ordered_map
from avpretext.progress import progress
from avpretext.refusal import Refusal, check_listed, reject_row
from avpretext.writing import label_of

FRAMES_PER_GROUP = 256
"""Frames that a reader of the shard holds at a time."""
_AUDIO_BATCH_BYTES = 8 << 20


Frame = tuple[int, float, Picture]
"""Number, time in seconds, and picture."""

Hearing = Literal["read", "ignored"]
"""What is done with the sound of a corpus."""


class Watcher(Protocol):
    """Callbacks over the frames of clips."""

    def look(self, clip_id: str, frames: Iterator[Frame]) -> Any:
        """Handle the frames of one clip; called from several threads."""

    def keep(self, seen: Any) -> None:
        """Store the result of `look` of an accepted clip; called in the order of the clips."""


def run(
    index: Path,
    folder: Path,
    options: MediaOptions,
    audio: Path,
    frames: Path | None,
    rejects: Path,
    threads: int = 1,
    watcher: Watcher | None = None,
    sound: Hearing = "read",
) -> None:
    """Split the clips of one shard; it is an error if neither sound nor frames are asked for.

    Parameters
    ----------
    index
        The shard's clips: whole files, or stretches of them from `start_s` to `end_s`.
    folder
        Folder that their paths are relative to.
    audio
        `split.audio`, one row per clip, sorted by clip_id.
    frames
        `split.frames`, one row per frame; None for a corpus of which only audio is read, and with a watcher.
    watcher
        Gets the frames, which are then not stored.
    sound
        `ignored`: of a corpus with `audio: false`, whose files need no sound; a clip is as long as its pictures.
    """
    video = frames is not None or watcher is not None
    if sound == "ignored" and not video:
        raise UserError("split: --sound ignored leaves frames alone to be read: name their shard by --frames")
    program = ffmpeg.program(options.ffmpeg)
    made_by = provenance("split", options.model_dump(), ffmpeg=ffmpeg.version(program))
    clips = shards.read(index).sort("clip_id").to_dicts()
    Path(audio).parent.mkdir(parents=True, exist_ok=True)

    def work(clip: dict[str, Any]) -> Decoded | Refusal:
        """Decode one clip, or say why not."""
        source = Path(folder) / clip["path"]
        stretch = Stretch(clip["start_s"] or 0.0, clip["end_s"])
        check_listed(str(source))
        look = partial(_watched, watcher, clip["clip_id"], options.fps) if watcher else None
        return decode(source, program, options, video, Path(audio).parent, stretch, look, sound == "read")

    label = label_of("watch" if watcher else "split", index)
    with ExitStack() as stack:

        def shard(path: Path, schema: pa.Schema, **layout: Any) -> shards.ShardWriter:
            return stack.enter_context(shards.ShardWriter(path, schema, made_by, **layout))

        written = shard(audio, schema_of("split.audio"), compression="none", row_group=64)
        refused = shard(rejects, schema_of("rejects"))
        stored = None
        if frames is not None:
            stored = shard(frames, schema_of("split.frames"), compression="none", row_group=FRAMES_PER_GROUP)
        results = progress(ordered_map(work, clips, threads), total=len(clips), unit="clips", label=label)
        _store(_accepted(clips, results, refused), written, stored, watcher, options.fps)


def _accepted(
    clips: Iterable[dict[str, Any]], results: Iterable[Decoded | Refusal], refused: shards.ShardWriter
) -> Iterator[tuple[dict[str, Any], Decoded]]:
    """Yield the clips that were decoded; the others are written to `rejects`."""
    for clip, result in zip(clips, results, strict=True):
        if isinstance(result, Refusal):
            refused.write([reject_row(clip["clip_id"], clip["path"], "split", result)])
        else:
            yield clip, result


def _store(
    accepted: Iterable[tuple[dict[str, Any], Decoded]],
    written: shards.ShardWriter,
    stored: shards.ShardWriter | None,
    watcher: Watcher | None,
    fps: float,
) -> None:
    """Write sound and frames of the clips, or give what was seen of them to the watcher."""
    waiting: list[dict[str, Any]] = []
    for clip, decoded in accepted:
        waiting.append(_audio_row(clip, decoded, fps))
        if sum(len(row["audio"]["bytes"]) for row in waiting if row["audio"]) > _AUDIO_BATCH_BYTES:
            written.write(waiting)
            waiting = []
        for batch in frame_batches(clip["clip_id"], decoded, fps):
            if stored is not None:
                stored.write(batch)
        if watcher is not None:
            watcher.keep(decoded.seen)
    written.write(waiting)


def _watched(watcher: Watcher, clip_id: str, fps: float, pictures: Iterator[Picture]) -> Any:
    return watcher.look(clip_id, ((number, number / fps, picture) for number, picture in enumerate(pictures)))


def _audio_row(clip: dict[str, Any], decoded: Decoded, fps: float) -> dict[str, Any]:
    return {
        "clip_id": clip["clip_id"],
        "speaker": clip["speaker"],
        "label": clip["label"],
        "duration_s": decoded.samples / SAMPLE_RATE_HZ,
        "samples": decoded.samples,
        "content": decoded.content,
        "audio": None if decoded.flac is None else {"bytes": decoded.flac, "path": f"{clip['clip_id']}.flac"},
        "video_frames": decoded.video_frames,
        "fps": fps,
        "mix": decoded.mix,
        "clipped": decoded.clipped,
        "fingerprint": None if decoded.flac is None else fingerprint_of(decoded.flac),
    }


def frame_batches(clip_id: str, decoded: Decoded, fps: float) -> Iterator[dict[str, Any]]:
    """Yield a clip's frames as columns of `split.frames`, a row group's worth at a time; frees them."""
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
            "image": pa.StructArray.from_arrays([stored, names], fields=list(arrow_type(MEDIA))),
        }
    images.close()
