"""Labels of chunks: what tasks 1 and 2 share, from a measured value per chunk to the artefact."""

import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext import shards
from avpretext.chunks import FRAME_S, chunk_span, chunk_starts, frames_of
from avpretext.config import ChunkOptions, ThresholdOptions
from avpretext.flow.artefacts import schema_of
from avpretext.labels.thresholds import UNLABELLED, Labels, label_by_quantile

FEW = 0.02
"""A class with a smaller share of the labels than this is nearly empty."""


def grid(frames: int, options: ChunkOptions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return first and last-but-one frame of each chunk of a clip of `frames` 10 ms frames, shape (chunks,) each."""
    length = frames_of(options.length_s)
    shape = (frames, length, options.count, options.factor, options.method)
    starts = chunk_starts(*shape)
    return starts, np.minimum(starts + chunk_span(*shape), frames)


class MeasuredChunks:
    """The measured chunks of a corpus, gathered clip by clip in the artefact's columns before they are labelled.

    Attributes
    ----------
    clip_id, group, count
        Of each clip: its name, whom it shares a threshold with, and the number of its chunks.
    start_s, end_s, value
        Of each chunk of these clips, one clip after another.
    """

    def __init__(self) -> None:
        self.clip_id: list[str] = []
        self.group: list[str] = []
        self.count = array("q")
        self.start_s, self.end_s, self.value = array("d"), array("d"), array("d")

    def add(
        self, clip_id: str, group: str, starts: NDArray[np.int64], ends: NDArray[np.int64], value: NDArray[np.floating]
    ) -> None:
        """Append the chunks of one clip: frames of the grid and value of each, shape (chunks,)."""
        self.clip_id.append(clip_id)
        self.group.append(sys.intern(group))
        self.count.append(len(starts))
        for column, values in (
            (self.start_s, np.round(starts * FRAME_S, 6)),
            (self.end_s, np.round(ends * FRAME_S, 6)),
            (self.value, value),
        ):
            column.frombytes(np.asarray(values, dtype=np.float64).tobytes())


def group_of(clip_id: str, speaker: str | None, options: ThresholdOptions) -> str:
    """Return what a clip shares its threshold with: a clip of unknown speaker is a speaker of its own."""
    if options.scope == "corpus":
        return "corpus"
    if options.scope == "clip" or speaker is None:
        return f"clip {clip_id}"
    return f"speaker {speaker}"


def write(
    output: Path, stage: str, chunks: MeasuredChunks, options: ThresholdOptions, made_by: Mapping[str, Any]
) -> None:
    """Label the chunks of a corpus, write them sorted by clip and chunk, and report how the labels are balanced."""
    value, count = np.array(chunks.value), np.array(chunks.count)
    groups = np.unique(np.array(chunks.group, dtype=object), return_inverse=True)[1]
    labels = label_by_quantile(value, np.repeat(groups, count), options.quantile, options.dead_zone)
    with shards.ShardWriter(output, schema_of(stage), made_by) as writer:
        for clips, rows in _sorted(chunks.clip_id, count):
            writer.write(_columns(chunks, labels, clips, rows).to_arrow())
    named = {"high": int((labels.label == 1).sum()), "low": int((labels.label == 0).sum())}
    dropped = {
        "dead zone": int(((labels.label == UNLABELLED) & np.isfinite(value)).sum()),
        "not measured": int(np.isnan(value).sum()),
    }
    report_balance(stage, named, dropped)


def _sorted(clip_ids: Sequence[str], count: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the clip and the place of each chunk, sorted by name and chunk, a row group at a time."""
    order = np.array(sorted(range(len(clip_ids)), key=clip_ids.__getitem__), np.int64)
    clips = np.repeat(order, count[order])
    first = (np.cumsum(count) - count)[order] - (np.cumsum(count[order]) - count[order])
    rows = np.repeat(first, count[order]) + np.arange(len(clips))
    for begin in range(0, len(rows), shards.ROW_GROUP):
        block = slice(begin, begin + shards.ROW_GROUP)
        yield clips[block], rows[block]


def _columns(chunks: MeasuredChunks, labels: Labels, clips: NDArray[np.int64], rows: NDArray[np.int64]) -> pl.DataFrame:
    """Return the artefact's columns of the chunks at these places, of these clips."""
    first = np.cumsum(chunks.count) - np.array(chunks.count)
    return pl.DataFrame(
        {
            "clip_id": pl.Series([chunks.clip_id[clip] for clip in clips.tolist()], dtype=pl.String),
            "chunk": pl.Series((rows - first[clips]).astype(np.int32)),
            "start_s": pl.Series(np.frombuffer(chunks.start_s)[rows]),
            "end_s": pl.Series(np.frombuffer(chunks.end_s)[rows]),
            "value": pl.Series(np.frombuffer(chunks.value)[rows]).fill_nan(None),
            "label": pl.Series(labels.label[rows]).replace(UNLABELLED, None),
            "confidence": pl.Series(labels.confidence[rows].astype(np.float32)).fill_nan(None),
            "threshold": pl.Series(labels.threshold[rows]).fill_nan(None),
        }
    )


def report_balance(stage: str, labelled: Mapping[str, int], dropped: Mapping[str, int]) -> None:
    """Tell on standard error how often each label was given, and warn of classes that are nearly empty."""
    total = sum(labelled.values()) + sum(dropped.values())
    parts = [f"{name} {count} ({_percent(count, total)})" for name, count in {**labelled, **dropped}.items()]
    print(f"{stage}: {', '.join(parts)}", file=sys.stderr)
    for name in nearly_empty(labelled):
        share = _percent(labelled[name], sum(labelled.values()))
        print(f"{stage}: warning: the class {name!r} is nearly empty ({share} of the labels)", file=sys.stderr)


def nearly_empty(labelled: Mapping[str, int]) -> Sequence[str]:
    """Return the classes with less than `FEW` of the labels.

    >>> nearly_empty({"high": 99, "low": 1})
    ['low']
    """
    total = sum(labelled.values())
    return [name for name, count in labelled.items() if count < FEW * total or total == 0]


def _percent(count: int, total: int) -> str:
    return f"{count / total:.1%}" if total else "0.0%"
