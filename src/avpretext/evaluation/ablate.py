"""The stage `ablate`: initialisations x losses x aggregators, compared with one reference and factor by factor.

Two questions, each with its own family of tests, corrected by Holm over all comparisons of a setting.

1. Is this system better than the reference? As in `evaluate`: difference of the two scores, interval by bootstrap over
   speakers and over trainings, paired test by the same standard error.
2. Does this level of a factor help, over all else? Let s(a, c) be the score of the system with level a of the factor
   and levels c of the other factors, averaged over the seeds. The effect of level a against the first level 0 is
   D(a) = mean over c of [s(a, c) - s(0, c)]: every combination of the others weighs the same, and both sides of every
   difference share all but the factor. Its standard error comes from D(a) of each seed, and from resampling speakers,
   the same ones in all systems: `intervals.estimate`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from avpretext.config import Config, Variant
from avpretext.errors import UserError
from avpretext.evaluation import formats, intervals, printed_ablation, scores
from avpretext.evaluation.ablated import COLUMNS, FACTORS, Ablated, measure_of, settings_compared, write_tables
from avpretext.evaluation.kinds import within_bounds
from avpretext.evaluation.metrics import Floats
from avpretext.evaluation.open_run import Evaluated, OpenRun, Rows, present
from avpretext.evaluation.results import CO_OCCURRENCE_COLUMNS, by_system, co_occurrence_rows
from avpretext.evaluation.scores import Scored, Task, known
from avpretext.programs import workflow
from avpretext.shards import PathLike
from avpretext.systems import SCRATCH


class Levels(NamedTuple):
    """Which level of each factor a system has; empty where a comparison does not vary it."""

    initialisation: str
    loss: str = ""
    aggregator: str = ""
    upstream: str = ""

    @property
    def name(self) -> str:
        """As messages have it."""
        return ", ".join(filter(None, (self.upstream, self.initialisation, self.loss, self.aggregator)))


class SeedScores(NamedTuple):
    """Scores of a system: of each seed on all speakers, (seeds,), and in each resample, (resamples, seeds)."""

    whole: Floats
    resampled: Floats


@dataclass(frozen=True)
class Grid:
    """The systems of one setting, in reading order, all tested on the same speakers with the same seeds.

    `reference` is the system that the others are compared with by `measure`; `baselines` are not of the grid. `factors`
    are what the systems differ in.
    """

    one: Evaluated
    task: Task
    measure: str
    systems: dict[Levels, Scored]
    reference: Levels
    baselines: list[Scored]
    factors: Sequence[str] = FACTORS

    def statistic(self, sums: Floats) -> Floats:
        """Return the tested measure of sums."""
        return self.task.scoring.scores(sums)[self.measure]

    @property
    def pretrainings(self) -> list[int]:
        """Numbers of pre-trainings of the systems that start from any."""
        return [system.pretrainings for system in self.systems.values() if system.pretrainings]

    @property
    def trainings(self) -> int:
        """How many of the seeds are trainings of their own in all systems."""
        return scores.trainings_of(len(self.systems[self.reference].seeds), self.pretrainings)

    @property
    def speakers(self) -> int:
        """Number of test speakers."""
        return len(self.systems[self.reference].speakers)


def run(config: Config, output_dir: PathLike) -> list[Ablated]:
    """Write `ablation.csv`, `ablation_effects.csv`, `ablation_co_occurrence.csv`, `ablation.md` and `ablation.tex`.

    What the first two hold is returned, rounded as they are.

    Parameters
    ----------
    config
        The whole configuration; the predictions that `ablation` asks for are read below its results folder.
    output_dir
        Folder for the tables.

    Raises
    ------
    UserError
        Predictions are missing, or are not of the same folds and seeds; the measure is not one of the kind of target.
    """
    run, folder = OpenRun(config), Path(output_dir)
    found = [ablated(one, run) for one in settings_compared(config)]
    named_together = [row for one in found for row in co_occurrence_rows(run, one.one)]
    formats.write_csv(folder / "ablation_co_occurrence.csv", CO_OCCURRENCE_COLUMNS, named_together)
    return write_tables(found, folder, COLUMNS, printed_ablation.document(found, run))


def ablated(one: Evaluated, run: OpenRun) -> Ablated:
    """Score and compare the systems of one setting."""
    grid = read_grid(one, run)
    return Ablated(one, grid.measure, system_rows(grid, run.config), effect_rows(grid, run.config))


def levels_of(one: Evaluated, config: Config) -> list[Levels]:
    """Return the grid of a setting, in reading order.

    Raises
    ------
    UserError
        Nothing is left of it: the penalty alone is asked for, and the target has no votes.
    """
    variants = list(dict.fromkeys(config.ablated(one.setting.votes)))
    if not variants:
        raise UserError(
            f"ablation.losses: [penalty] for {one.heading}, which has no votes to take the penalty from; add base, or"
            " name targets with votes in ablation.targets"
        )
    return [
        Levels(start, variant.loss, variant.aggregator) for start in config.ablated_starts() for variant in variants
    ]


def reference_of(grid: Sequence[Levels], own: Variant) -> Levels:
    """Return what the systems of a grid are compared with: scratch with the main table's variant, else the first."""
    wanted = Levels(SCRATCH, own.loss, own.aggregator)
    return wanted if wanted in grid else grid[0]


def read_grid(one: Evaluated, run: OpenRun) -> Grid:
    """Read the predictions of every system, see `grid_of`."""
    files = {
        levels: run.predictions(one, f"{levels.loss}.{levels.aggregator}", levels.initialisation)
        for levels in levels_of(one, run.config)
    }
    return grid_of(one, run, files, reference_of(list(files), run.config.variant), "ablation")


def grid_of(
    one: Evaluated,
    run: OpenRun,
    files: Mapping[Levels, str],
    reference: Levels,
    target: str,
    factors: Sequence[str] = FACTORS,
    clips: pl.Expr | None = None,
) -> Grid:
    """Read the predictions of systems, a file at a time, down to sums per speaker and seed.

    `target` is the target of the workflow that makes them, `clips` which test clips count: all by default.

    Raises
    ------
    UserError
        Predictions are missing, or are not of the same folds and seeds.
    """
    for levels, path in files.items():
        if not present([path]):
            raise UserError(f"{path}: no predictions of {levels.name}; run `{workflow(target)}`, which makes them")
    beside = run.predictions_beside(one)
    task = scores.task_of([*files.values(), *beside])
    counted = pl.lit(value=True) if clips is None else clips
    systems = {
        levels: scores.collect(levels.name, scores.read_test([path], task.scoring).filter(counted), task)
        for levels, path in files.items()
    }
    _check_same_runs(systems, reference, target)
    return Grid(one, task, measure_of(one, run.config), systems, reference, _baselines(beside, task, counted), factors)


def _baselines(files: Sequence[str], task: Task, counted: pl.Expr) -> list[Scored]:
    found = []
    for path in files:
        rows = scores.read_test([path], task.scoring).filter(counted)
        for name in rows["initialisation"].unique(maintain_order=True):
            found.append(scores.collect(name, rows.filter(pl.col("initialisation") == name), task))
    return found


def _check_same_runs(systems: dict[Levels, Scored], reference: Levels, target: str) -> None:
    """Raise where a system was not tested on the speakers, clips, folds and seeds of the others."""
    expected = systems[reference]
    for levels, system in systems.items():
        same = (system.speakers, system.clips, list(system.runs)) == (
            expected.speakers,
            expected.clips,
            list(expected.runs),
        )
        if not same:
            raise UserError(
                f"{levels.name}: {_extent(system)}, but {_extent(expected)} of {reference.name}; systems that are"
                f" compared need the same folds and seeds: run `{workflow(target)}` again"
            )


def _extent(system: Scored) -> str:
    return f"{len(system.runs)} runs on {system.clips} clips of {len(system.speakers)} speakers"


def system_rows(grid: Grid, config: Config, tested: Callable[[Levels], bool] = lambda levels: True) -> Rows:
    """Return a row per system, then a row per baseline: every measure, and the tested one against the reference.

    P-values are corrected over all systems of the grid that are `tested`, and apart from them over the baselines.
    """
    cells = by_system(
        scores.metric_rows([*grid.systems.values(), *grid.baselines], grid.task, config.evaluate, config.seed)
    )
    reference = _row(grid, grid.reference._asdict(), "reference")
    rows = {levels: _row(grid, levels._asdict(), "system") | cells[levels.name] for levels in grid.systems}
    rows[grid.reference] = reference | cells[grid.reference.name]
    others = {levels: one for levels, one in grid.systems.items() if levels != grid.reference and tested(levels)}
    compared = [_compared(grid, system, levels._asdict(), "system", config) for levels, system in others.items()]
    rows |= {
        levels: row | cells[levels.name] for levels, row in zip(others, scores.corrected(compared, "p"), strict=True)
    }
    beside = [_compared(grid, system, {FACTORS[0]: system.name}, "baseline", config) for system in grid.baselines]
    below = [row | cells[row[FACTORS[0]]] for row in scores.corrected(beside, "p")]
    return [*(rows[levels] for levels in grid.systems), *below]


def _row(grid: Grid, levels: dict[str, str], role: str) -> dict[str, Any]:
    return (
        grid.one.named | dict.fromkeys((*FACTORS, *grid.factors), "") | levels | {"role": role, "measure": grid.measure}
    )


def _compared(grid: Grid, system: Scored, levels: dict[str, str], role: str, config: Config) -> dict[str, Any]:
    return _row(grid, levels, role) | difference(grid, system, grid.systems[grid.reference], "difference", "", config)


def difference(
    grid: Grid, system: Scored, other: Scored, name: str, before: str, config: Config
) -> dict[str, float | None]:
    """Return the cells of a system beside another: difference `name` and its interval; `p` and `df` after `before`."""
    found = scores.compare(system, other, grid.measure, grid.task.scoring, config.evaluate, config.seed)
    names = {"difference": name, "ci_low": f"{name}_low", "ci_high": f"{name}_high", "p_value": f"{before}p",
             "df": f"{before}df"}  # fmt: skip
    return {new: found[old] for old, new in names.items()}


def seed_scores(grid: Grid, config: Config) -> dict[Levels, SeedScores]:
    """Return the scores of every system of each seed, on all speakers and in each resample of them."""
    weights = intervals.draw_resamples(grid.speakers, config.evaluate.bootstrap, [config.seed, scores.RESAMPLES])
    return {
        levels: SeedScores(*(grid.statistic(intervals.pooled(system.sums, drawn)) for drawn in (None, weights)))
        for levels, system in grid.systems.items()
    }


def effect_rows(grid: Grid, config: Config) -> Rows:
    """Return, for each factor with several levels, its first level and then each other one against it.

    P-values are corrected over the levels of all factors.
    """
    of_systems = seed_scores(grid, config)
    rows: Rows = []
    for factor in grid.factors:
        found = list(dict.fromkeys(getattr(levels, factor) for levels in grid.systems))
        if len(found) > 1:
            rows += [_effect_row(grid, factor, level, found[0], of_systems, config) for level in found]
    return corrected_effects(rows)


def corrected_effects(rows: Rows) -> Rows:
    """Return effects of one family with `p_holm`, where they are no first level, which has no p."""
    compared = iter(scores.corrected([row for row in rows if row["level"] != row["against"]], "p"))
    return [row if row["level"] == row["against"] else next(compared) for row in rows]


def _effect_row(
    grid: Grid, factor: str, level: str, against: str, of_systems: dict[Levels, SeedScores], config: Config
) -> dict[str, Any]:
    """Return score and effect of one level; the row of the first level has no effect."""
    pairs = partners(list(grid.systems), factor, level, against)
    have, lack = ([of_systems[pair[side]] for pair in pairs] for side in (0, 1))
    row = level_row(grid, factor, level, against, have, lack, config)
    low, high = within_bounds(grid.measure, (row["value_low"], row["value_high"]))
    return row | {"value_low": known(low), "value_high": known(high)}


def level_row(
    grid: Grid,
    factor: str,
    level: str,
    against: str,
    have: Sequence[SeedScores],
    lack: Sequence[SeedScores],
    config: Config,
) -> dict[str, Any]:
    """Return the mean of what has a level and, where it is not the first, its difference to what lacks it."""
    value, gap = (_estimate(grid, have, minus) for minus in ([], lack))
    low, high = value.interval(config.evaluate.level)
    row = grid.one.named | {
        "factor": factor, "level": level, "against": against, "measure": grid.measure, "systems": len(have),
        "speakers": grid.speakers, "seeds": grid.trainings, "pretrainings": min(grid.pretrainings, default=None),
        "value": known(value.value), "value_low": low, "value_high": high,
    }  # fmt: skip
    if level == against:
        return row
    low, high = gap.interval(config.evaluate.level)
    return row | {
        "difference": known(gap.value), "difference_low": known(low), "difference_high": known(high),
        "p": gap.p_value, "df": known(gap.df),
    }  # fmt: skip


def _estimate(grid: Grid, plus: Sequence[SeedScores], minus: Sequence[SeedScores]) -> intervals.Estimate:
    """Return the mean over systems, less that over others if there are any, with what is known of it."""
    whole, resampled = (np.mean(parts, axis=0) for parts in zip(*plus, strict=True))
    if minus:
        less = [np.mean(parts, axis=0) for parts in zip(*minus, strict=True)]
        whole, resampled = whole - less[0], resampled - less[1]
    return intervals.estimate(whole, resampled, grid.speakers, grid.trainings)


def partners(grid: Sequence[Levels], factor: str, level: str, against: str) -> list[tuple[Levels, Levels]]:
    """Return the systems with a level of a factor, each with the one that differs from it in having another level.

    Systems without such a partner are left out: an upstream may have fewer sets of tasks than another.

    >>> grid = [Levels("scratch", loss, "mean") for loss in ("base", "penalty")]
    >>> partners(grid, "loss", "penalty", "base") == [(grid[1], grid[0])]
    True
    """
    pairs = [(one, one._replace(**{factor: against})) for one in grid if getattr(one, factor) == level]
    return [(one, partner) for one, partner in pairs if partner in grid]
