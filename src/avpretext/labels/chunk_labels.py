"""Labels of chunks: what tasks 1 and 2 share, from a measured value per chunk to the artefact."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass
class MeasuredChunks:
    """The measured chunks of a corpus, gathered clip by clip; the artefact's columns before they are labelled."""

    clip_id: list[str] = field(default_factory=list)
    group: list[str] = field(default_factory=list)
    chunk: list[int] = field(default_factory=list)
    start_s: list[float] = field(default_factory=list)
    end_s: list[float] = field(default_factory=list)
    value: list[float] = field(default_factory=list)

    def add(
        self, clip_id: str, group: str, starts: NDArray[np.int64], ends: NDArray[np.int64], value: NDArray[np.floating]
    ) -> None:
        """Append the chunks of one clip: frames of the grid and value of each, shape (chunks,)."""
        self.clip_id += [clip_id] * len(starts)
        self.group += [group] * len(starts)
        self.chunk += range(len(starts))
        self.start_s += np.round(starts * FRAME_S, 6).tolist()
        self.end_s += np.round(ends * FRAME_S, 6).tolist()
        self.value += np.asarray(value, dtype=np.float64).tolist()


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
    value = np.array(chunks.value, dtype=np.float64)
    labels = label_by_quantile(value, np.array(chunks.group, dtype=object), options.quantile, options.dead_zone)
    shards.write_table(output, _columns(chunks, value, labels).sort("clip_id", "chunk"), schema_of(stage), made_by)
    named = {"high": int((labels.label == 1).sum()), "low": int((labels.label == 0).sum())}
    dropped = {
        "dead zone": int(((labels.label == UNLABELLED) & np.isfinite(value)).sum()),
        "not measured": int(np.isnan(value).sum()),
    }
    report_balance(stage, named, dropped)


def _columns(chunks: MeasuredChunks, value: NDArray[np.float64], labels: Labels) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "clip_id": pl.Series(chunks.clip_id, dtype=pl.String),
            "chunk": pl.Series(chunks.chunk, dtype=pl.Int32),
            "start_s": pl.Series(chunks.start_s, dtype=pl.Float64),
            "end_s": pl.Series(chunks.end_s, dtype=pl.Float64),
            "value": pl.Series(value).fill_nan(None),
            "label": pl.Series(labels.label).replace(UNLABELLED, None),
            "confidence": pl.Series(labels.confidence.astype(np.float32)).fill_nan(None),
            "threshold": pl.Series(labels.threshold).fill_nan(None),
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
