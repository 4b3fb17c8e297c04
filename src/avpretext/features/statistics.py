"""Stage `statistics`: how each per-frame feature is distributed over a clip and how it moves, one vector per clip."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext import schemas, shards
from avpretext.chunks import FRAME_S
from avpretext.config import StatisticsOptions
from avpretext.errors import UserError
from avpretext.features.functionals import CLIPS_PER_GROUP, Described, in_groups
from avpretext.progress import progress

PERCENTILES = (10, 50, 90)
OF_EACH = ("mean", "std", *(f"p{percent}" for percent in PERCENTILES), "change_std", "change_size")
"""Statistics of each feature; see `statistics`."""

DURATION = "ln_duration"

_KEYS = ("clip_id", "frame", "time_s")

Floats = NDArray[np.float32]


def run(features: Mapping[str, Path], options: StatisticsOptions, output: Path) -> None:
    """Describe each clip of one shard by one vector.

    Parameters
    ----------
    features
        name: that shard of each stage of `options.features`.
    options
        Which features, and how long a step is.
    output
        `schemas.FUNCTIONALS`, in the order of the features; `names` in its provenance names the values.

    Raises
    ------
    UserError
        The features are not of the same clips.
    """
    files: dict[str, Path] = {name: features[name] for name in options.features}
    names = [f"{channel}:{each}" for file in files.values() for each in OF_EACH for channel in _channels(file)]
    made_by = shards.provenance("statistics", options.model_dump(), names=[*names, DURATION])
    with shards.ShardWriter(output, schemas.FUNCTIONALS, made_by, row_group=CLIPS_PER_GROUP) as writer:
        for group in in_groups(_described(files, options.step_frames, output)):
            writer.write(group)


def _described(files: Mapping[str, Path], step_frames: int, output: Path) -> Iterator[Described]:
    """Yield the vector of each clip."""
    frames = _frames_of_each(files)
    readers = [_clips(file) for file in files.values()]
    label = f"statistics {Path(output).absolute().parents[1].name}/{Path(output).stem}"
    for of_clip in progress(zip(*readers, strict=True), total=len(frames), label=label):
        clip_id = of_clip[0][0]
        described = [statistics(in_steps(values, step_frames)) for _, values in of_clip]
        yield Described(clip_id, np.append(np.concatenate(described), np.float32(np.log(frames[clip_id] * FRAME_S))))


def _frames_of_each(files: Mapping[str, Path]) -> dict[str, int]:
    """Return {clip_id: frames}, which must be the same, in the same order, in all files."""
    counts: dict[str, dict[str, int]] = {}
    for name, file in files.items():
        counts[name] = {}
        for clip_id, rows in shards.iterate_parts(file, []):
            counts[name][clip_id] = counts[name].get(clip_id, 0) + len(rows)
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


def _clips(file: Path) -> Iterator[tuple[str, Floats]]:
    """Yield clip_id and values (T, channels) of each clip; 0 where there is none."""
    channels = _channels(file)
    for clip_id, rows in shards.iterate_clips(file, channels):
        yield clip_id, np.nan_to_num(np.column_stack([rows[name].to_numpy() for name in channels]))


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
    changes = np.diff(values, axis=0) if len(values) > 1 else np.zeros_like(values)
    parts = [values.mean(0), values.std(0), *np.percentile(values, PERCENTILES, axis=0)]
    return np.concatenate([*parts, changes.std(0), np.abs(changes).mean(0)]).astype(np.float32)
