"""The stage `upstreams`: upstreams x initialisations, each compared with the upstream alone and with one reference.

Four questions, each with its own family of tests, corrected by Holm over all comparisons of a setting.

1. Does a set of pretext tasks help on top of an upstream? `gain`: the difference to scratch on the same upstream.
2. Is a system on another upstream better than the first upstream alone? `difference`, as in `ablate`.
3. Does an upstream, or a set of tasks, help over all else? The effects of `ablate`.
4. Does a set of tasks help more on one upstream than on the first? The difference of two gains.
"""

from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from avpretext import shards
from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.evaluation import ablate, printed_upstreams, scores
from avpretext.evaluation.ablate import Grid, Levels, SeedScores
from avpretext.evaluation.ablated import GAIN, UPSTREAM_COLUMNS, UPSTREAM_FACTORS, Ablated, write_tables
from avpretext.evaluation.open_run import Evaluated, OpenRun, Rows, present
from avpretext.run.upstream_plan import UpstreamPlan
from avpretext.shards import PathLike
from avpretext.systems import SCRATCH


def run(config: Config, output_dir: PathLike) -> list[Ablated]:
    """Write `upstreams.csv`, `upstreams_effects.csv`, `upstreams.md` and `upstreams.tex`.

    What the first two hold is returned, rounded as they are.

    Parameters
    ----------
    config
        The whole configuration; the predictions that `upstreams` asks for are read below its results folder.
    output_dir
        Folder for the tables.

    Raises
    ------
    UserError
        There is nothing to compare; predictions are missing, or are not of the same folds and seeds.
    """
    run = OpenRun(config)
    plan = UpstreamPlan(run.plan)
    found = [compared(one, run, plan) for one in run.settings()]
    return write_tables(found, output_dir, UPSTREAM_COLUMNS, printed_upstreams.document(found, run))


def compared(one: Evaluated, run: OpenRun, plan: UpstreamPlan) -> Ablated:
    """Score and compare the upstreams of one setting; the first, from scratch, is the reference."""
    files = {
        Levels(start, upstream=name): run.predictions(one, variant.name, start)
        for (name, start), variant in plan.systems().items()
    }
    shared, left_out = _shared_clips(files)
    grid = ablate.grid_of(one, run, files, next(iter(files)), "upstreams", UPSTREAM_FACTORS, shared)
    effects = [*ablate.effect_rows(grid, run.config), *gain_effects(grid, run.config)]
    first_of_file = {path: levels for levels, path in reversed(files.items())}
    return Ablated(one, grid.measure, system_rows(grid, run.config, first_of_file.values()), effects, left_out)


def _shared_clips(files: Mapping[Levels, str]) -> tuple[pl.Expr, int]:
    """Return which clips were tested by every system, and how many only by some: an encoder may leave clips out.

    Raises
    ------
    UserError
        There are none.
    """
    found = [shards.read(path, ["split", "clip_id"]) for path in present(list(files.values()))]
    tested = [set(rows.filter(pl.col("split") == "test")["clip_id"]) for rows in found] or [set()]
    shared, known = set.intersection(*tested), set.union(*tested)
    if known and not shared:
        raise UserError("upstreams: no test clip has the features of every upstream: compare fewer of them")
    return pl.col("clip_id").is_in(sorted(shared)), len(known) - len(shared)


def system_rows(grid: Grid, config: Config, distinct: Collection[Levels]) -> Rows:
    """Return the rows of `ablate.system_rows` with `gain`, the difference to the upstream alone, and its test.

    Systems on the first upstream have the same difference as `gain` alone. Of equal systems only the first, which is
    `distinct`, is compared: the others would be comparisons of nothing new.
    """
    first = grid.reference.upstream
    rows = ablate.system_rows(grid, config, lambda levels: levels.upstream != first and levels in distinct)
    gains = {
        levels: ablate.difference(grid, system, grid.systems[_alone(levels)], "gain", "gain_", config)
        for levels, system in grid.systems.items()
        if levels != _alone(levels)
    }
    tested = [{"p": gain["gain_p"]} for gain in gains.values()]
    for gain, test in zip(gains.values(), scores.corrected(tested, "p"), strict=True):
        gain |= {"gain_p": test["p"], "gain_p_holm": test["p_holm"]}
    below: Rows = [{} for _ in grid.baselines]
    return [row | gain for row, gain in zip(rows, [*(gains.get(one, {}) for one in grid.systems), *below], strict=True)]


def _alone(levels: Levels) -> Levels:
    return levels._replace(initialisation=SCRATCH)


def gain_effects(grid: Grid, config: Config) -> Rows:
    """Return, for each set of tasks, its gain on the first upstream, then that on each other one against it."""
    of_systems = ablate.seed_scores(grid, config)
    gains = {
        levels: SeedScores(
            *(mine - less for mine, less in zip(of_systems[levels], of_systems[_alone(levels)], strict=True))
        )
        for levels in grid.systems
        if levels != _alone(levels)
    }
    rows: Rows = []
    for start in dict.fromkeys(levels.initialisation for levels in gains):
        of_start = {levels.upstream: gain for levels, gain in gains.items() if levels.initialisation == start}
        first = grid.reference.upstream
        if first in of_start and len(of_start) > 1:
            rows += [_gain_row(grid, start, upstream, first, of_start, config) for upstream in of_start]
    return ablate.corrected_effects(rows)


def _gain_row(
    grid: Grid, start: str, upstream: str, first: str, gains: Mapping[str, SeedScores], config: Config
) -> dict[str, Any]:
    row = ablate.level_row(grid, GAIN, upstream, first, [gains[upstream]], [gains[first]], config)
    ends = {name: scores.known(row[name]) for name in ("value_low", "value_high")}
    return row | ends | {"initialisation": start}
