"""Task 2: is the face active in a chunk?

The value is the mean landmark speed of the chosen region over the video frames of the chunk, head motion removed. The
chunks are those of the speech, so labels and model input cover the same time.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.chunks import FRAME_S, SAMPLES_PER_FRAME
from avpretext.config import ActivationLabelOptions, ChunkOptions
from avpretext.flow.provenance import provenance
from avpretext.labels import chunk_labels
from avpretext.progress import progress

Track = tuple[NDArray[np.float64], NDArray[np.float64]]


def run(
    motion: Sequence[Path], audio: Sequence[Path], options: ActivationLabelOptions, chunks: ChunkOptions, output: Path
) -> None:
    """Label the chunks of a corpus by the motion of the face.

    Parameters
    ----------
    motion
        All shards of `motion`, one for each of `audio`.
    audio
        All shards of `split/audio`, which know the length of each clip's speech, and the speakers.
    output
        Where the artefact goes: one row per chunk, also of clips without a face (not measured).
    """
    made_by = provenance(
        "labels_activation",
        {"labels.activation": options.model_dump(mode="json"), "chunks": chunks.model_dump(mode="json")},
    )
    measured = chunk_labels.MeasuredChunks()
    label = f"labels_activation {output.parent.parent.name}"
    pairs = list(zip(motion, audio, strict=True))
    for motion_shard, audio_shard in progress(pairs, total=len(pairs), unit="shards", label=label):
        tracks = read_tracks(motion_shard, options.region)
        known = shards.read(audio_shard, ["clip_id", "speaker", "samples"])
        for clip_id, speaker, samples in known.iter_rows():
            starts, ends = chunk_labels.grid(max(1, samples // SAMPLES_PER_FRAME), chunks)
            value = np.full(len(starts), np.nan)
            if clip_id in tracks:
                value = chunk_motion(*tracks[clip_id], starts * FRAME_S, ends * FRAME_S, options.min_coverage)
            measured.add(clip_id, chunk_labels.group_of(clip_id, speaker, options), starts, ends, value)
    chunk_labels.write(output, "labels_activation", measured, options, made_by)


def read_tracks(motion: Path, region: str) -> dict[str, Track]:
    """Return time and speed of a region in each clip of a shard; NaN in gaps."""
    column = f"speed_{region}"
    return {
        clip_id: (rows["time_s"].to_numpy(), rows[column].to_numpy().astype(np.float64))
        for clip_id, rows in shards.iterate_clips(motion, ["time_s", column])
    }


def chunk_motion(
    time_s: NDArray[np.floating],
    speed: NDArray[np.floating],
    start_s: NDArray[np.floating],
    end_s: NDArray[np.floating],
    min_coverage: float,
) -> NDArray[np.float64]:
    """Return the mean over each chunk of speed (F,), NaN in gaps; NaN where a chunk is not measured.

    A frame belongs to a chunk when ``start_s <= time_s < end_s``. A chunk is measured when at least `min_coverage` of
    its frames, and at least one, has a speed.

    >>> starts, ends = np.array([0.0, 0.04]), np.array([0.04, 0.1])
    >>> chunk_motion(np.array([0, 0.04, 0.08]), np.array([np.nan, 1, 3]), starts, ends, 0.5)
    array([nan,  2.])
    """
    # Frames and chunks can begin at the same instant: rounding must not part them.
    first, last = (np.searchsorted(np.round(time_s, 6), np.round(bound, 6)) for bound in (start_s, end_s))
    seen = np.concatenate([[0], np.cumsum(np.isfinite(speed))])
    total = np.concatenate([[0.0], np.cumsum(np.nan_to_num(speed, nan=0.0))])
    count, frames = seen[last] - seen[first], last - first
    measured = (count > 0) & (count >= min_coverage * frames)
    return np.where(measured, (total[last] - total[first]) / np.maximum(count, 1), np.nan)
