"""Stage `statistics`: how each per-frame feature is distributed over a clip and how it moves, one vector per clip."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.chunks import FRAME_S
from avpretext.config import StatisticsOptions
from avpretext.errors import UserError
from avpretext.flow.provenance import provenance
from avpretext.sound import vectors

PERCENTILES = (10, 50, 90)
OF_EACH = ("mean", "std", *(f"p{percent}" for percent in PERCENTILES), "change_std", "change_size")
"""Statistics of each feature; see `statistics`."""

DURATION = "ln_duration"

CHANNELS_AT_A_TIME = 8

_KEYS = ("clip_id", "frame", "time_s")

Floats = NDArray[np.float32]


def run(features: Mapping[str, Path], options: StatisticsOptions, output: Path) -> None:
    """Describe each clip of one shard by one vector.

    Parameters
    ----------
    features
        name: that shard of each stage of `options.features`.
    output
        `functionals`, in the order of the features; `names` in its provenance names the values.

    Raises
    ------
    UserError
        One of the features is not given, or they are not of the same clips.
    """
    if missing := [name for name in options.features if name not in features]:
        raise UserError(f"statistics.features names {missing[0]!r}: give its shard, --features {missing[0]}=SHARD")
    files: dict[str, Path] = {name: features[name] for name in options.features}
    names = [f"{channel}:{each}" for file in files.values() for each in OF_EACH for channel in _channels(file)]
    made_by = provenance("statistics", options.model_dump(), names=[*names, DURATION])
    frames = _frames_of_each(files)
    vectors.write("statistics", output, _described(files, frames, options.step_frames), made_by, len(frames))


def _described(files: Mapping[str, Path], frames: Mapping[str, int], step_frames: int) -> Iterator[vectors.Vector]:
    for of_clip in zip(*(_clips(file, step_frames) for file in files.values()), strict=True):
        clip_id, duration = of_clip[0][0], np.float32(np.log(frames[of_clip[0][0]] * FRAME_S))
        yield vectors.Vector(clip_id, np.append(np.concatenate([values for _, values in of_clip]), duration))


def _frames_of_each(files: Mapping[str, Path]) -> dict[str, int]:
    """Return {clip_id: frames}, which must be the same, in the same order, in all files."""
    counts = {name: shards.rows_per_clip(file) for name, file in files.items()}
    first = next(iter(files))
    for name, of_file in counts.items():
        if list(of_file.items()) != list(counts[first].items()):
            raise UserError(
                f"{files[name]}: clips or their frames are not those of {files[first]}; redo the stages {first} and"
                f" {name}"
            )
    return counts[first]


def _channels(file: Path) -> list[str]:
    return [column for column in shards.columns_of(file) if column not in _KEYS]


def _clips(file: Path, step_frames: int) -> Iterator[tuple[str, Floats]]:
    """Yield clip_id and `statistics`, in steps, of each clip; what has no value counts as 0."""
    channels = _channels(file)
    for clip_id, parts in groupby(shards.iterate_parts(file, channels), key=lambda part: part[0]):
        values = (np.nan_to_num(np.column_stack([rows[name].to_numpy() for name in channels])) for _, rows in parts)
        yield clip_id, statistics(_steps_of(values, step_frames))


def _steps_of(parts: Iterable[Floats], step_frames: int) -> Floats:
    """Return `in_steps` of parts put together, so that the frames of a long clip are never held all at a time."""
    steps, rest = list[Floats](), None
    for part in parts:
        values = part if rest is None else np.concatenate([rest, part])
        whole = len(values) // step_frames * step_frames
        if whole:
            steps.append(in_steps(values[:whole], step_frames))
        rest = values[whole:]
    assert rest is not None
    return np.concatenate(steps) if steps else in_steps(rest, step_frames)


def in_steps(values: Floats, step_frames: int) -> Floats:
    """Return the means of so many frames at a time, (T // step_frames, channels); of fewer frames, one step of all."""
    steps = max(1, len(values) // step_frames)
    kept = values[: steps * step_frames] if len(values) >= step_frames else values
    means: Floats = kept.reshape(steps, -1, values.shape[1]).mean(1)
    return means


def statistics(values: Floats) -> Floats:
    """Return `OF_EACH` of the features x of a clip, shape (7 * channels,): all means first, then all deviations, ...

    Mean, standard deviation (divisor T), percentiles (between two values, linearly), and of the changes
    x[t] - x[t - 1] the standard deviation and the mean size; 0 for a single step.

    Parameters
    ----------
    values
        (T, channels).
    """
    parts = [values.mean(0), values.std(0), *_percentiles(values)]
    changes = np.diff(values, axis=0) if len(values) > 1 else np.zeros_like(values)
    return np.concatenate([*parts, changes.std(0), np.abs(changes, out=changes).mean(0)]).astype(np.float32)


def _percentiles(values: Floats) -> NDArray[np.floating]:
    """Return `PERCENTILES` of each feature, (percentiles, channels); a few features at a time, as it copies them."""
    parts = [values[:, first : first + CHANNELS_AT_A_TIME] for first in range(0, values.shape[1], CHANNELS_AT_A_TIME)]
    return np.concatenate([np.percentile(part, PERCENTILES, axis=0) for part in parts], axis=1)
