"""The backend `import`: action units that OpenFace 2 or py-feat measured elsewhere, one CSV per clip, on our frames.

The CSV of a clip is `{clip_id}.csv` below the folder, else the one file anywhere below it that is named like the last
part of the clip_id; a stretch of a file may have that of the whole file. Rows are matched with the pictures of the file
by their numbers. Between two pictures in which the tool found the face, at most `MAX_GAP_S` apart (`MAX_LOST_S` if
pictures in between have no row), values are interpolated over time; else frames are gaps, except those that stand for
the same instant.
What a CSV does not know is null: AUs that its tool lacks, pictures without row, and all of a clip without CSV.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.action_units import unit_shards
from avpretext.action_units.au_csv import ROUNDING_S, read_track, tool_of
from avpretext.action_units.au_match import match
from avpretext.config import ActionUnitOptions
from avpretext.errors import UserError, expect_folder
from avpretext.face.landmark_shards import frame_s
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.paths import is_outside
from avpretext.media.container import pictures_of
from avpretext.media.stretches import Stretch
from avpretext.writing import warn_of

Floats = NDArray[np.float64]

MAX_GAP_S = 0.2
"""Longer than a blink or a frame lost in between, shorter than most expressions."""

MAX_LOST_S = 0.1
"""The same where pictures in between have no row. From every fifth picture of 25 a second, interpolated values would
correlate .93 with the truth, from every second .99."""


@dataclass(frozen=True)
class Found:
    """The CSV files of some clips.

    `of_recording` are clips whose file is of the recording that they are a stretch of; `ambiguous` are clips that
    several files could be meant for.
    """

    files: dict[str, Path]
    of_recording: set[str]
    missing: list[str]
    ambiguous: list[str]


def run(landmarks: Path, index: Path, corpus: Path, options: ActionUnitOptions, output: Path) -> None:
    """Bring the action units of other tools to the frames of a shard, a row for every row of `landmarks`.

    Of `landmarks` only the grid is read: clip_id, frame, time_s. `index` lists the clips: whole files, or stretches of
    files below `corpus`, which are read for the times of their pictures. It is an error if the folder of CSV files is
    not named or not there, if none of the clips has a CSV in it, or if a CSV is of neither tool.
    """
    folder = folder_of(options)
    clip_ids = shards.read(landmarks, ["clip_id"])["clip_id"].unique(maintain_order=True).to_list()
    sources = _sources(index, corpus)
    recordings = {clip_id: source.name for clip_id, source in sources.items() if not source.stretch.is_whole}
    found = find_files(folder, clip_ids, recordings)
    if clip_ids and not found.files:
        raise UserError(_nothing_found(folder, found))
    tools = Counter(tool_of(path) or "empty" for path in found.files.values())
    counts = {"missing": len(found.missing), "ambiguous": len(found.ambiguous), **dict(sorted(tools.items()))}
    # Of a file once for all of its clips that follow each other.
    track_of, times_of = lru_cache(1)(read_track), lru_cache(1)(pictures_of)
    odd: dict[str, list[str]] = defaultdict(list)
    frames = seen = 0

    def measured() -> Iterator[unit_shards.Units]:
        nonlocal frames, seen
        for clip_id, rows in shards.iterate_clips(landmarks, ["frame", "time_s"]):
            grid = rows["time_s"].to_numpy()
            values = np.full((len(grid), len(ACTION_UNITS)), np.nan)
            track = track_of(found.files[clip_id]) if clip_id in found.files else None
            if track is not None:
                source, of_file = sources[clip_id], clip_id in found.of_recording
                clip_s = len(grid) * frame_s(grid)
                matched = match(track, partial(times_of, source.path), source.stretch, clip_s, of_file)
                values = resample(matched.time_s, matched.values, matched.step_s, grid, matched.lost)
                for oddity in matched.oddities:
                    odd[oddity].append(clip_id)
            elif clip_id in found.files:
                odd["have a CSV without rows: all of them is a gap"].append(clip_id)
            frames += len(grid)
            seen += int(np.isfinite(values).any(axis=1).sum())
            yield {name: rows[name] for name in ("clip_id", "frame", "time_s")}, values

    unit_shards.write(output, measured(), len(clip_ids), {"backend": "import"}, imported=counts)
    _report(folder, found, counts, seen / frames if frames else 0.0, odd)


@dataclass(frozen=True)
class _Source:
    """The file of a clip, its name in the corpus without its ending, and what of it the clip is."""

    path: Path
    name: str
    stretch: Stretch


def _sources(index: Path, corpus: Path) -> dict[str, _Source]:
    rows = shards.read(index, ["clip_id", "path", "start_s", "end_s"]).iter_rows()
    return {
        clip_id: _Source(corpus / path, str(PurePosixPath(path).with_suffix("")), Stretch(start_s or 0.0, end_s))
        for clip_id, path, start_s, end_s in rows
    }


def folder_of(options: ActionUnitOptions) -> Path:
    """Return the folder of the CSV files, or raise an error that names the option."""
    if options.imports is None:
        raise UserError(
            "action_units.imports = null: the backend 'import' needs the folder of the CSV files of OpenFace 2 or"
            " py-feat, one per clip"
        )
    folder = Path(options.imports)
    expect_folder(folder, "expected one with a CSV per clip", f"action_units.imports = {options.imports!r}")
    return folder


def find_files(folder: Path, clip_ids: Sequence[str], recordings: Mapping[str, str] = MappingProxyType({})) -> Found:
    """Find the CSV of each clip below a folder.

    `recordings` names the file of each clip that is a stretch of one: the table of the file serves them all.
    """
    named: dict[str, list[Path]] | None = None
    found = Found({}, set(), [], [])
    for clip_id in clip_ids:
        if path := _named(folder, clip_id):
            found.files[clip_id] = path
            continue
        named = _by_stem(folder) if named is None else named
        recording = recordings.get(clip_id)
        candidates = named.get(PurePosixPath(clip_id).name, [])
        if not candidates and recording is not None:
            path = _named(folder, recording)
            candidates = [path] if path else named.get(PurePosixPath(recording).name, [])
            found.of_recording.add(clip_id)
        if len(candidates) == 1:
            found.files[clip_id] = candidates[0]
        else:
            (found.ambiguous if candidates else found.missing).append(clip_id)
    return found


def _named(folder: Path, name: str) -> Path | None:
    # A table names its clips as it likes: "../a" and "/a" are no names of files in the folder.
    path = folder / f"{name}.csv"
    return path if not is_outside(name) and path.is_file() else None


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    named: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*.csv")):
        named[path.stem].append(path)
    return named


def resample(
    time_s: NDArray[np.floating],
    values: NDArray[np.floating],
    step_s: float,
    grid: NDArray[np.floating],
    lost: NDArray[np.bool_] | None = None,
) -> Floats:
    """Interpolate values (N, K) linearly at the times of a grid (F,), between neighbours at most `MAX_GAP_S` apart.

    Parameters
    ----------
    time_s
        When the face was found, rising, shape (N,).
    step_s
        From one frame of the source to the next: each speaks for the half of it before and after. NaN: for its instant.
    lost
        Whether nobody looked at pictures between one and the one before, (N,); `MAX_LOST_S` counts there.

    Returns
    -------
    Shape (F, K); NaN in gaps.

    >>> resample(np.array([0.0, 0.1, 0.9]), np.array([[0.0], [1.0], [0.5]]), 0.1, np.array([0.05, 0.5, 0.9])).ravel()
    array([0.5, nan, 0.5])
    """
    if not len(time_s):
        return np.full((len(grid), values.shape[1]), np.nan)
    after = np.searchsorted(time_s, grid)
    before, after = (after - 1).clip(0), after.clip(max=len(time_s) - 1)
    span, since = time_s[after] - time_s[before], grid - time_s[before]
    share = since / np.where(span > 0, span, 1)
    between = values[before] + share[:, None] * (values[after] - values[before])
    longest_s = MAX_GAP_S if lost is None else np.where(lost[after], MAX_LOST_S, MAX_GAP_S)
    bridged = (since >= 0) & (share <= 1) & (span > 0) & (span <= longest_s + 1e-9)
    nearest = np.where(abs(since) <= abs(time_s[after] - grid), before, after)
    near = abs(time_s[nearest] - grid) <= np.nan_to_num(step_s / 2) + ROUNDING_S
    held = np.where(near[:, None], values[nearest], np.nan)
    return np.asarray(np.where(bridged[:, None], between, held))


def _nothing_found(folder: Path, found: Found) -> str:
    first = (found.missing or found.ambiguous)[0]
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.csv"))
    there = f"it holds {len(files)} CSV files, such as {files[0]!r}" if files else "it holds no CSV file"
    return (
        f"action_units.imports = {str(folder)!r}: no CSV for any of {len(found.missing) + len(found.ambiguous)} clips,"
        f" expected '{first}.csv'; {there}: name them by clip"
    )


def _report(folder: Path, found: Found, counts: Mapping[str, int], share: float, odd: Mapping[str, list[str]]) -> None:
    parts = [f"{count} {name}" for name, count in counts.items() if count]
    print(f"action_units: CSV files: {', '.join(parts)}; {share:.1%} of the frames measured", file=sys.stderr)
    warn_of("action_units", f"have no CSV below {folder}: all of them is a gap", found.missing)
    warn_of("action_units", f"could each mean several CSV files below {folder}: all of them is a gap", found.ambiguous)
    for oddity, clip_ids in odd.items():
        warn_of("action_units", oddity, clip_ids)
