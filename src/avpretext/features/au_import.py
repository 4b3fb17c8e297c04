"""The backend `import`: action units that OpenFace 2 or py-feat measured elsewhere, one CSV per clip, on our frames.

The CSV of a clip is `{clip_id}.csv` below the folder, else the one file anywhere below it that is named like the last
part of the clip_id. Between two frames in which the tool found the face, at most `MAX_GAP_S` apart, values are
interpolated over time; where they are further apart, frames are gaps, except those that stand for the same instant.
What a CSV does not know is null: AUs that its tool lacks, and all of a clip without CSV.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from avpretext import schemas, shards
from avpretext.config import ActionUnitOptions
from avpretext.errors import UserError
from avpretext.features.au_csv import Track, read_track, tool_of
from avpretext.paths import is_outside
from avpretext.progress import progress
from avpretext.schemas import ACTION_UNITS

Floats = NDArray[np.float64]

MAX_GAP_S = 0.2
"""Longer than a blink or a frame lost in between, shorter than most expressions."""

ROUNDING_S = 0.001
"""OpenFace rounds its timestamps to milliseconds."""

LENGTH_TOLERANCE, LENGTH_TOLERANCE_S = 0.1, 0.5
"""A CSV that is longer or shorter than its clip by more than this share, and this time, is told of."""

EXAMPLES = 5


@dataclass(frozen=True)
class Found:
    """The CSV files of some clips.

    Attributes
    ----------
    files
        Clip to file.
    missing, ambiguous
        Clips without a file, and those that several files could be meant for.
    """

    files: dict[str, Path]
    missing: list[str]
    ambiguous: list[str]


@dataclass
class _Tally:
    """What is told at the end: clips by what is odd about them, and frames."""

    clips: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    frames: int = 0
    measured: int = 0


def run(landmarks: Path, options: ActionUnitOptions, output: Path) -> None:
    """Bring the action units of other tools to the frames of a shard.

    Parameters
    ----------
    landmarks
        Shard of `landmarks`; only its grid is read: clip_id, frame, time_s.
    options
        Where the CSV files are.
    output
        Where the shard goes: a row for every row of `landmarks`.

    Raises
    ------
    UserError
        The folder is not named or not there, none of the clips has a CSV in it, or a CSV is of neither tool.
    """
    folder = folder_of(options)
    clip_ids = shards.read(landmarks, ["clip_id"])["clip_id"].unique(maintain_order=True).to_list()
    found = find_files(folder, clip_ids)
    if clip_ids and not found.files:
        raise UserError(_nothing_found(folder, found))
    counts = {"missing": len(found.missing), "ambiguous": len(found.ambiguous), **tools_of(found.files.values())}
    made_by = shards.provenance("action_units", {"backend": "import"}, imported=counts)
    tally = _Tally()
    label = f"action_units {output.parent.parent.name}/{output.stem}"
    with shards.ShardWriter(output, schemas.ACTION_UNIT_FRAMES, made_by) as writer:
        clips = shards.iterate_clips(landmarks, ["frame", "time_s"])
        for clip_id, rows in progress(clips, total=len(clip_ids), unit="clips", label=label):
            values = _clip(clip_id, found.files.get(clip_id), rows["time_s"].to_numpy(), tally)
            columns = {name: rows[name] for name in ("clip_id", "frame", "time_s")}
            columns |= {unit: shards.nullable(values[:, k]) for k, unit in enumerate(ACTION_UNITS)}
            writer.write(columns)
    _report(folder, found, counts, tally)


def folder_of(options: ActionUnitOptions) -> Path:
    """Return the folder of the CSV files, or raise an error that says how to name it."""
    if options.imports is None:
        raise UserError(
            "action_units.imports = null: the backend 'import' needs the folder of the CSV files of OpenFace 2 or"
            " py-feat, one per clip"
        )
    folder = Path(options.imports)
    if not folder.is_dir():
        raise UserError(f"action_units.imports = {options.imports!r}: no such folder; expected one with a CSV per clip")
    return folder


def find_files(folder: Path, clip_ids: Sequence[str]) -> Found:
    """Find the CSV of each clip below a folder."""
    direct = {clip_id: folder / f"{clip_id}.csv" for clip_id in clip_ids}
    # A table names its clips as it likes: "../a" and "/a" are no names of files in the folder.
    files = {clip_id: path for clip_id, path in direct.items() if not is_outside(clip_id) and path.is_file()}
    missing: list[str] = []
    ambiguous: list[str] = []
    named = _by_stem(folder) if len(files) < len(direct) else {}
    for clip_id in (clip_id for clip_id in direct if clip_id not in files):
        candidates = named.get(PurePosixPath(clip_id).name, [])
        if len(candidates) == 1:
            files[clip_id] = candidates[0]
        else:
            (ambiguous if candidates else missing).append(clip_id)
    return Found(files, missing, ambiguous)


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    named: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*.csv")):
        named[path.stem].append(path)
    return named


def tools_of(files: Iterable[Path]) -> dict[str, int]:
    """Count the files of each tool, and empty ones, by their first line; a file of neither tool is an error."""
    return dict(sorted(Counter(tool_of(path) or "empty" for path in files).items()))


def _clip(clip_id: str, path: Path | None, grid: Floats, tally: _Tally) -> Floats:
    """Return the action units of one clip on its frames, and note what is odd about its file."""
    track = read_track(path) if path else None
    values = np.full((len(grid), len(ACTION_UNITS)), np.nan) if track is None else on_grid(track, grid)
    tally.frames += len(grid)
    tally.measured += int(np.isfinite(values).any(axis=1).sum())
    for oddity in _oddities(track, duration_s(grid)) if path else []:
        tally.clips[oddity].append(clip_id)
    return values


def _oddities(track: Track | None, clip_s: float) -> Iterable[str]:
    """Yield what a user should know about a file."""
    if track is None:
        yield "have a CSV without rows: all of them is a gap"
        return
    if track.faces > 1:
        yield "show several faces: one is followed"
    if track.time_s is None:
        yield "have a CSV without usable times: its frames are spread evenly over the clip"
        return
    apart = abs(track.frames * track.step_s - clip_s)
    if apart > LENGTH_TOLERANCE_S and apart > LENGTH_TOLERANCE * clip_s:
        yield "are longer or shorter than the frames of their CSV: is it of the same clip, at its true frame rate?"


def duration_s(grid: Floats) -> float:
    """Return how long the frames of a clip last, in seconds; 0 for fewer than two."""
    return float(len(grid) * np.median(np.diff(grid))) if len(grid) > 1 else 0.0


def on_grid(track: Track, grid: NDArray[np.floating]) -> Floats:
    """Bring a track to the frames of a clip.

    Parameters
    ----------
    track
        Without times, its frames are taken to be evenly spread over the clip: right to about a frame at its end.
    grid
        Times of the clip's frames in seconds, shape (F,), evenly spaced.

    Returns
    -------
    Shape (F, 20); NaN in gaps and in the columns of AUs that the tool lacks.
    """
    if track.time_s is not None:
        return resample(track.time_s, track.values, track.step_s, grid)
    step_s = duration_s(np.asarray(grid)) / max(track.frames, 1)
    return resample(track.frame * step_s, track.values, step_s, grid)


def resample(
    time_s: NDArray[np.floating], values: NDArray[np.floating], step_s: float, grid: NDArray[np.floating]
) -> Floats:
    """Interpolate linearly between neighbours that are at most `MAX_GAP_S` apart.

    Parameters
    ----------
    time_s
        When the face was found, rising, shape (N,).
    values
        Shape (N, K).
    step_s
        From one frame of the source to the next: each speaks for the half of it before and after. NaN: for its instant.
    grid
        Times wanted, shape (F,).

    Returns
    -------
    Shape (F, K); NaN in gaps.

    Examples
    --------
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
    bridged = (since >= 0) & (share <= 1) & (span > 0) & (span <= MAX_GAP_S + 1e-9)
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


def _report(folder: Path, found: Found, counts: Mapping[str, int], tally: _Tally) -> None:
    """Tell how much was found, and of clips about which something is odd."""
    share = tally.measured / tally.frames if tally.frames else 0.0
    parts = [f"{count} {name}" for name, count in counts.items() if count]
    print(f"action_units: CSV files: {', '.join(parts)}; {share:.1%} of the frames measured", file=sys.stderr)
    _warn(f"have no CSV below {folder}: all of them is a gap", found.missing)
    _warn(f"could each mean several CSV files below {folder}: all of them is a gap", found.ambiguous)
    for oddity, clip_ids in tally.clips.items():
        _warn(oddity, clip_ids)


def _warn(what: str, clip_ids: Sequence[str]) -> None:
    if clip_ids:
        more = ", ..." if len(clip_ids) > EXAMPLES else ""
        print(
            f"action_units: warning: {len(clip_ids)} clips {what}: {', '.join(clip_ids[:EXAMPLES])}{more}",
            file=sys.stderr,
        )
