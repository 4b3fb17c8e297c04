"""Where per-frame features come from: shards of a stage, or Parquet files of the user's own.

A stage's shards stand on the 10 ms clock already. Features of one's own have the columns `clip_id`, `time_s` (seconds
from the start of the clip, rising evenly) and numbers: one column each, or all in one column of lists, `values`. Each
10 ms frame takes the row nearest in time, of two equally near the earlier. Null and NaN say that there is no value.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from avpretext import shards
from avpretext.chunks import FRAME_S
from avpretext.errors import UserError
from avpretext.flow.paths import expand

STAGES = ("speech", "log_mel")
"""Stages whose shards are per-frame features; every other name is of the user's own."""

LONGEST_STEP_S = 1.0
"""Rows further apart are no per-frame features; as a rule, their times are not in seconds."""

SLACK_S = 0.25
"""Rows may begin so much late, and end so much before or after the clip, and a step more: windows do not fit evenly."""

_KEYS = ("clip_id", "frame", "time_s")
_VALUES = "values"
_SHAPING = ("stage_version", "options")
_NEEDED = "features of your own have columns clip_id, time_s and columns of numbers, or one column of lists, `values`"


class Extent(NamedTuple):
    """How many 10 ms frames the rows of a clip make, and how far off the clip's number they may be."""

    frames: int
    slack: float


@dataclass(frozen=True)
class Source:
    """Per-frame features of a corpus from the shards of a stage: row k of a clip is its frame k.

    Attributes
    ----------
    name
        Of the features.
    files
        In which they lie.
    channels
        Names of their columns of numbers.
    on_clock
        Whether each row is a frame of the 10 ms clock.
    """

    name: str
    files: list[Path]
    channels: list[str]
    on_clock: ClassVar[bool] = True

    def extents(self, wanted: Collection[str]) -> dict[str, Extent]:
        """Return the length of each wanted clip that is there."""
        counts: dict[str, int] = {}
        for file in self.files:
            counts |= {clip_id: rows for clip_id, rows in shards.rows_per_clip(file).items() if clip_id in wanted}
        return {clip_id: Extent(count, 0) for clip_id, count in counts.items()}

    def clips(self, channels: Sequence[str], lengths: Mapping[str, int]) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yield clip_id and (T, channels) values on the clock of the clips that have a length T."""
        for file in self.files:
            for clip_id, rows in shards.iterate_clips(file, channels):
                if clip_id in lengths:
                    yield clip_id, _matrix(rows, channels)

    def no_clip_message(self, wanted: Collection[str]) -> str:
        """Return the error message for files without any of the wanted clips."""
        return (
            f"none of {len(wanted)} clips is in the {self.name} shards ({self.files[0]}, ...);"
            f" check that index, labels and {self.name} are of one corpus, and rejects for refused clips"
        )

    def length_message(self, clip_id: str, frames: int, expected: int, clock: str) -> str:
        """Return the error message for a clip whose length is not that in the features named `clock`."""
        return (
            f"clip {clip_id}: {frames} frames in {self.name}, {expected} in {clock}: not of the same audio; redo both"
            " stages"
        )


class OwnSource(Source):
    """Per-frame features from Parquet files of the user's own, at any rate."""

    on_clock = False

    def extents(self, wanted: Collection[str]) -> dict[str, Extent]:
        """Return the length of each wanted clip that is there, by its times.

        Raises
        ------
        UserError
            The rows of a clip stand in several places, or its times are none of a clip.
        """
        found: dict[str, Extent] = {}
        for file in self.files:
            for clip_id, rows in shards.iterate_clips(file, ["time_s"]):
                if clip_id in found:
                    raise UserError(
                        f"{file}: rows of clip {clip_id} stand in several places; write each clip once, its rows"
                        " together, sorted by time_s"
                    )
                if clip_id in wanted:
                    found[clip_id] = extent(_times(rows), f"{file}: clip {clip_id}")
        return found

    def clips(self, channels: Sequence[str], lengths: Mapping[str, int]) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yield clip_id and (T, channels) values, of the nearest row at each 10 ms, of the clips that have a length T.

        Raises
        ------
        UserError
            A clip has infinite values, or lists of another length than the first.
        """
        listed = _VALUES in shards.columns_of(self.files[0])
        columns = [_VALUES] if listed else list(channels)
        chosen = [self.channels.index(name) for name in channels]
        for file in self.files:
            for clip_id, rows in shards.iterate_clips(file, ["time_s", *columns]):
                if clip_id not in lengths:
                    continue
                where = f"{file}: clip {clip_id}"
                values = _lists(rows, len(self.channels), where)[:, chosen] if listed else _matrix(rows, columns)
                if np.isinf(values).any():
                    raise UserError(f"{where} has infinite values; write null where there is none, and redo the file")
                yield clip_id, values[nearest_rows(_times(rows), lengths[clip_id])]

    def no_clip_message(self, wanted: Collection[str]) -> str:
        """Return the error message for files without any of the wanted clips; it names a clip of both."""
        there = next((clip_id for clip_id, _ in shards.iterate_parts(self.files[0], [])), None)
        return (
            f"features {self.name}: none of {len(wanted)} clips is in {self.files[0].parent}, which has clips such as"
            f" {there!r}; clip_id must be that of the corpus's index, such as {min(wanted, default=None)!r}"
        )

    def length_message(self, clip_id: str, frames: int, expected: int, clock: str) -> str:
        """Return the error message for a clip that lasts longer or shorter than in `clock`, in seconds."""
        return (
            f"features {self.name}, clip {clip_id}: {frames * FRAME_S:.2f} s of rows, {expected * FRAME_S:.2f} s by"
            f" {clock}; compute them from the whole clip, results/*/split/audio, with time_s in seconds from its start"
        )


def open_source(name: str, paths: Sequence[shards.PathLike]) -> Source:
    """Return the features of a name (`speech`, `log_mel`, or the user's own), their columns checked.

    `paths` are files, or folders of Parquet files.

    Raises
    ------
    UserError
        There are no files, or their columns are not those of features, or not the same in all.
    """
    files = [file for path in paths for file in expand(os.fspath(path))]
    if not files or (name not in STAGES and not files[0].exists()):
        where = ", ".join(map(str, paths)) or "its folder"
        raise UserError(f"features {name}: no Parquet file in {where}; docs/features.md says what to write there")
    channels = _channels(name, files[0])
    for file in files[1:]:
        if _channels(name, file) != channels:
            raise UserError(f"{file}: other columns than {files[0]}; write all files of {name} anew, with the same")
    if name in STAGES:
        _refuse_other_versions(name, files)
    return (Source if name in STAGES else OwnSource)(name, files, channels)


def _refuse_other_versions(name: str, files: Sequence[Path]) -> None:
    """Raise an error where shards of a stage were made by other versions of it, or with other options."""
    first, *rest = ({part: shards.read_provenance(file).get(part) for part in _SHAPING} for file in files)
    for file, said in zip(files[1:], rest, strict=True):
        for part in _SHAPING:
            if said[part] != first[part]:
                raise UserError(f"{file}: other {part} than {files[0]}; redo the stage {name} of this corpus")


def _channels(name: str, file: Path) -> list[str]:
    if name in STAGES:
        return [column for column in shards.columns_of(file) if column not in _KEYS]
    return _own_channels(name, file)


def _own_channels(name: str, file: Path) -> list[str]:
    """Return the names of the columns of numbers; those of lists are `name[0]`, `name[1]`, ..."""
    schema = shards.read_schema(file)
    for key, right in (("clip_id", _is_text), ("time_s", _is_number)):
        if key not in schema.names:
            raise UserError(f"{file}: no column {key}; {_NEEDED}")
        if not right(schema.field(key).type):
            raise UserError(f"{file}: column {key} is of type {schema.field(key).type}; {_NEEDED}, clip_id being text")
    fields = [field for field in schema if field.name not in _KEYS]
    if [field.name for field in fields] == [_VALUES] and _is_list(fields[0].type):
        return [f"{name}[{place}]" for place in range(_list_length(file))]
    for field in fields:
        if not _is_number(field.type):
            raise UserError(f"{file}: column {field.name} is of type {field.type}; {_NEEDED}: leave it out")
    if not fields:
        raise UserError(f"{file}: no column of numbers; {_NEEDED}")
    return [field.name for field in fields]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _is_list(kind: pa.DataType) -> bool:
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in lists) and _is_number(kind.value_type)


def _list_length(file: Path) -> int:
    first = next((rows for _, rows in shards.iterate_parts(file, [_VALUES])), None)
    return 0 if first is None else len(first[_VALUES][0].as_py() or [])


def _matrix(rows: pa.Table, columns: Sequence[str]) -> NDArray[np.float32]:
    """Return columns as (rows, columns) float32, NaN where null."""
    table = rows.select(list(columns))
    if any(kind != pa.float32() for kind in table.schema.types):
        table = table.cast(pa.schema([pa.field(name, pa.float32()) for name in columns]), safe=False)
    batch = table.combine_chunks().to_batches()[0]
    values: NDArray[np.float32] = batch.to_tensor(null_to_nan=True).to_numpy()
    return values


def _lists(rows: pa.Table, length: int, where: str) -> NDArray[np.float32]:
    """Return a column of lists as (rows, length) float32, NaN where null.

    Raises
    ------
    UserError
        A list has another length.
    """
    column = rows[_VALUES].combine_chunks()
    sizes = set(pc.list_value_length(column).to_pylist())
    if sizes != {length}:
        other = next(iter(sizes - {length}))
        raise UserError(
            f"{where} has `values` of {other or 0} numbers, the first clip of {length}; all must be as long"
        )
    flat = pc.list_flatten(column).cast(pa.float32(), safe=False)
    values: NDArray[np.float32] = flat.to_numpy(zero_copy_only=False).reshape(len(column), length)
    return values


def _times(rows: pa.Table) -> NDArray[np.float64]:
    times: NDArray[np.float64] = rows["time_s"].to_numpy().astype(np.float64)
    return times


def extent(times: NDArray[np.float64], where: str) -> Extent:
    """Return the length of a clip whose rows have these times, in seconds; `where` is for messages.

    Raises
    ------
    UserError
        The times do not rise evenly from about zero.
    """
    if not np.isfinite(times).all():
        raise UserError(f"{where} has rows without time_s; write the seconds from the start of the clip")
    steps = np.diff(times)
    if len(steps) and steps.min() <= 0:
        row = int(steps.argmin())
        raise UserError(
            f"{where}: time_s goes from {times[row]:g} to {times[row + 1]:g}; sort its rows by time_s, each time once"
        )
    step = float(np.median(steps)) if len(steps) else FRAME_S
    if step > LONGEST_STEP_S:
        raise UserError(
            f"{where} has rows {step:g} s apart, more than {LONGEST_STEP_S:g} s; time_s is in seconds, not in"
            " milliseconds or frames"
        )
    if len(steps) and steps.max() > 2 * step + FRAME_S:
        raise UserError(
            f"{where} has rows {step:g} s apart, but a gap of {steps.max():g} s; write a row for each time, null where"
            " there is no value"
        )
    if not -SLACK_S - step <= times[0] <= SLACK_S + step:
        raise UserError(f"{where} begins at {times[0]:g} s; time_s counts from the start of the clip, not of a file")
    return Extent(max(1, round(len(times) * step / FRAME_S)), (SLACK_S + step) / FRAME_S)


def nearest_rows(times: NDArray[np.float64], frames: int) -> NDArray[np.int64]:
    """Return the row nearest in time to each of the 10 ms frames, of two equally near the earlier.

    >>> nearest_rows(np.array([0.0, 0.02, 0.04]), 6)
    array([0, 0, 1, 1, 2, 2])
    """
    middles = (times[1:] + times[:-1]) / 2
    # Half the resolution of sensible times early, so that rounding does not decide between two that are equally near.
    return np.searchsorted(middles, np.arange(frames) * FRAME_S - 1e-6, side="left")
