"""How far two backends agree on the action units of the same clips: the command `compare-aus`.

A frame of the first is matched with the frame of the same clip in the second that is nearest in time, at most half a
frame away, so that the two may differ in frame rate and in order. All measures are over the frames that both measured:

- `pearson_r`: over all these frames: does the AU go up and down, within clips and from clip to clip, in both alike?
- `clip_r`: the mean of the correlations within each clip, without what differs from clip to clip. Clips count that
  share at least `MIN_FRAMES` frames and in which the AU moves in both.
- `f1`: of "present", which is at least `truth.PRESENT`; it is the same whichever of the two comes first.
- `mean_first`, `mean_second`: mean intensity.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from avpretext import shards
from avpretext.errors import UserError
from avpretext.evaluation import formats
from avpretext.evaluation.formats import decimal
from avpretext.evaluation.open_run import OpenRun
from avpretext.evaluation.truth import PRESENT, pearson
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.paths import expand

Floats = NDArray[np.float64]

MIN_FRAMES = 10
"""Of fewer frames a correlation says nothing of a clip."""

MEASURES = ("pearson_r", "clip_r", "f1", "mean_first", "mean_second")
COLUMNS = ("action_unit", *MEASURES, "frames", "clips", "note")
MEAN = "mean"
_SECOND = "_second"


def run(first: Sequence[Path], second: Sequence[Path], output: Path | None = None) -> None:
    """Print how far two sets of action units agree, and write it as CSV if a file is named.

    Parameters
    ----------
    first, second
        Shards of `action_units` of two backends, of the same clips; see `paths.expand`.
    output
        CSV file to write, one row per AU and one for the mean over the AUs.
    """
    table = compare(first, second)
    Console().print(render(table))
    if output is not None:
        formats.write_csv(output, COLUMNS, table.to_dicts())


def rows_of(run: OpenRun) -> list[dict[str, Any]]:
    """Compare the action units of each corpus with those of another run; a row per corpus and AU, `COLUMNS` and corpus.

    Raises
    ------
    UserError
        The other run has measured the action units of none of the corpora.
    """
    config = run.config
    if config.report.compare_action_units is None:
        return []
    other, rows = Path(config.report.compare_action_units), list[dict[str, Any]]()
    for corpus in config.with_video():
        second = expand(other / corpus / "action_units")
        if second and second[0].is_file():
            first = [Path(path) for path in run.files(corpus, "action_units")]
            rows += [{"corpus": corpus, **row} for row in compare(first, second).to_dicts()]
    if not rows:
        wanted = f"{other}/{(config.with_video() or ['CORPUS'])[0]}/action_units"
        raise UserError(f"report.compare_action_units: no action units in {wanted}; name the results folder of a run")
    return rows


def compare(first: Sequence[Path], second: Sequence[Path]) -> pl.DataFrame:
    """Compare two sets of shards of `action_units`.

    The columns are `COLUMNS`, with a row for each of `ACTION_UNITS`, then the mean over those that have a correlation.
    Null is what cannot be said; `note` says why.

    Raises
    ------
    UserError
        The files are not of `action_units`, or the two sets have no clip or no instant in common.
    """
    pairs = matched(_read(first), _read(second))
    rows = [_agreement(unit, pairs) for unit in ACTION_UNITS]
    kinds = dict.fromkeys(MEASURES, pl.Float64) | {"frames": pl.Int64, "clips": pl.Int64}
    return pl.DataFrame([*rows, _mean(rows)], schema={name: kinds.get(name, pl.String) for name in COLUMNS})


def render(table: pl.DataFrame) -> Table:
    """Return what `rich` prints of a comparison."""
    caption = (
        f"r: over all frames that both measured; clip r: mean of the clips; F1: of at least {PRESENT:g}, in both;"
        " 1st, 2nd: mean intensity"
    )
    printed = Table(box=SIMPLE_HEAD, caption=caption, caption_justify="left", pad_edge=False, collapse_padding=True)
    printed.add_column("AU")
    for heading in ("r", "clip r", "F1", "1st", "2nd", "frames", "clips"):
        printed.add_column(heading, justify="right", no_wrap=True)
    printed.add_column("")
    for row in table.to_dicts():
        if row["action_unit"] == MEAN:
            printed.add_section()
        counts = ["" if row[name] is None else str(row[name]) for name in ("frames", "clips")]
        printed.add_row(row["action_unit"], *(decimal(row[name], 3) for name in MEASURES), *counts, row["note"] or "")
    return printed


def matched(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """Return the frames of the first that have a match in the second, in order; the AUs of the second end in `_second`.

    Both have clip_id, time_s and the action units, sorted by clip_id and time_s.
    """
    ours, theirs = (frames["clip_id"].unique().sort() for frames in (first, second))
    if not ours.is_in(theirs.implode()).any():
        raise UserError(
            f"no clip in common: the first set has {len(ours)} clips, such as {ours.first()!r}, the second"
            f" {len(theirs)}, such as {theirs.first()!r}; compare two backends on the same corpus"
        )
    half = min(_frame_s(first), _frame_s(second)) / 2
    pairs = first.join_asof(
        second.with_columns(_there=True), on="time_s", by="clip_id", strategy="nearest", tolerance=half, suffix=_SECOND,
        check_sortedness=False,
    ).filter(pl.col("_there"))  # fmt: skip
    if pairs.is_empty():
        raise UserError(
            f"no frame of the first set is within {half:.3f} s of one of the second: are they of the same recordings?"
        )
    return pairs


def _read(paths: Sequence[Path]) -> pl.DataFrame:
    """Read shards of action units, sorted by clip and time."""
    columns = ["clip_id", "frame", "time_s", *ACTION_UNITS]
    for path in paths:
        if missing := [name for name in columns if name not in shards.columns_of(path)]:
            raise UserError(f"{path}: expected a shard of action_units, it lacks the column {missing[0]}")
    if not paths:
        raise UserError("a folder without shards (*.parquet): expected one of action_units")
    table = shards.read(paths, columns)
    if table.is_empty():
        raise UserError(f"{paths[0]}: no frames in any of {len(paths)} shards; expected those of action_units")
    twice = table.filter(table.select("clip_id", "frame").is_duplicated())
    if len(twice):
        raise UserError(
            f"{paths[0].parent}: clip {twice['clip_id'][0]!r} is in several shards, left from another number of shards;"
            " name the number as FOLDER@COUNT"
        )
    return table.drop("frame").sort("clip_id", "time_s")


def _frame_s(frames: pl.DataFrame) -> float:
    """Return the time from frame to frame; 0 if no clip has two."""
    steps = frames.select(pl.col("time_s").diff().over("clip_id")).to_series().drop_nulls()
    return float(np.median(steps.to_numpy())) if len(steps) else 0.0


def _agreement(unit: str, pairs: pl.DataFrame) -> dict[str, Any]:
    both = pairs.select("clip_id", x=pl.col(unit).cast(pl.Float64), y=pl.col(unit + _SECOND).cast(pl.Float64))
    shared = both.drop_nulls()
    x, y = shared["x"].to_numpy(), shared["y"].to_numpy()
    return {
        "action_unit": unit,
        "pearson_r": _mean_of([pearson(x, y)]),
        "clip_r": _mean_of(clip_correlations(shared)),
        "f1": _mean_of([f1_between(x, y)]),
        "mean_first": _mean_of(x),
        "mean_second": _mean_of(y),
        "frames": len(shared),
        "clips": shared["clip_id"].n_unique(),
        "note": _why(both, x, y),
    }


def clip_correlations(shared: pl.DataFrame) -> Floats:
    """Return the correlation of `x` and `y` within each clip, those without one left out.

    They are too short (`MIN_FRAMES`), or one of the two does not move.
    """
    moves = (pl.col("x").max() > pl.col("x").min()) & (pl.col("y").max() > pl.col("y").min())
    clips = shared.group_by("clip_id", maintain_order=True).agg(
        r=pl.corr("x", "y"), counts=moves & (pl.len() >= MIN_FRAMES)
    )
    return clips.filter("counts")["r"].to_numpy()


def f1_between(x: NDArray[np.floating], y: NDArray[np.floating]) -> float:
    """Return the F1 score of "at least `PRESENT`" between two series; NaN where neither ever is.

    >>> f1_between(np.array([0.5, 0.5, 0.0]), np.array([0.9, 0.0, 0.0])).__round__(3)
    0.667
    """
    one, other = x >= PRESENT, y >= PRESENT
    total = one.sum() + other.sum()
    return float(2 * (one & other).sum() / total) if total else float("nan")


def _why(both: pl.DataFrame, x: Floats, y: Floats) -> str | None:
    """Say why an action unit has no correlation; None if it has one."""
    absent = [name for name, column in (("1st", "x"), ("2nd", "y")) if both[column].null_count() == len(both)]
    if absent:
        return f"not measured in {_named(absent)}"
    if len(x) < 2:
        return "never in both at once"
    constant = [name for name, values in (("1st", x), ("2nd", y)) if np.ptp(values) == 0]
    return f"constant in {_named(constant)}" if constant else None


def _named(sets: list[str]) -> str:
    return "both" if len(sets) == 2 else sets[0]


def _mean(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the row of the mean over the action units that have a correlation: those that both sets show."""
    shown = [row for row in rows if row["pearson_r"] is not None]
    means = {name: _mean_of([row[name] for row in shown if row[name] is not None]) for name in MEASURES}
    return {"action_unit": MEAN, **means, "frames": None, "clips": None, "note": f"of {len(shown)} AUs"}


def _mean_of(values: Sequence[float] | Floats) -> float | None:
    """Return the mean of the numbers among the values; None if there are none."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) else None
