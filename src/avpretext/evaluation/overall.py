"""The stage `overall`: scores of systems over several corpora, and what pre-training is worth on all of them.

Each corpus counts the same, however many clips and settings it has. Two questions, each with its own p:

1. Other speakers of these corpora, and other trainings: `p`, as in `evaluate`, the speakers of each corpus resampled
   apart.
2. Other corpora: `p_corpora`, Student's t over the corpora's differences. Few corpora prove little: of three, all must
   agree closely.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from avpretext import shards
from avpretext.config import Config, EvaluateOptions
from avpretext.evaluation import intervals, scores
from avpretext.evaluation.evaluate import by_initialisation
from avpretext.evaluation.kinds import IN_UNITS, LESS_IS_BETTER, SCORINGS, Scoring, within_bounds
from avpretext.evaluation.metrics import Floats
from avpretext.evaluation.open_run import OpenRun, Rows
from avpretext.evaluation.scores import Scored, known
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.run.plan import ScoredTogether
from avpretext.systems import SCRATCH, stands_beside

LEAST_SPEAKERS = 3
"""Test speakers of a corpus, of which the mean over corpora is taken."""


@dataclass(frozen=True)
class TestedCorpus:
    """A tested corpus: for each of its settings the systems by name, and all its test speakers, sorted."""

    name: str
    settings: Sequence[Mapping[str, Scored]]
    speakers: Sequence[str]


@dataclass(frozen=True)
class Drawn:
    """Scores of a system on a corpus: of each seed on all speakers, (seeds,), and of each resample, (resamples, seeds).

    With these `seeds`; the runs start from so many `pretrainings`.
    """

    scores: Floats
    resampled: Floats
    seeds: Sequence[int]
    pretrainings: int

    def less(self, other: "Drawn") -> "Drawn":
        """Return the difference to another system, seed by seed; a single run stands beside every seed of the other."""
        if len(self.seeds) == 1:
            return Drawn(self.scores - other.scores, self.resampled - other.resampled, other.seeds, self.pretrainings)
        shared = [seed for seed in other.seeds if seed in set(self.seeds)]
        own, its = ([one.seeds.index(seed) for seed in shared] for one in (self, other))
        resampled = self.resampled[:, own] - other.resampled[:, its]
        return Drawn(self.scores[own] - other.scores[its], resampled, shared, self.pretrainings)


def run(config: Config, output: Path) -> None:
    """Write `overall`: every system over the corpora of each group that the plan knows.

    Parameters
    ----------
    config
        The whole configuration; the predictions of all settings are read below its results folder.
    output
        The table.
    """
    opened = OpenRun(config)
    rows = [row for group in opened.plan.groups for row in group_rows(group, opened)]
    made_by = provenance("overall", {"evaluate": config.evaluate.model_dump(mode="json"), "seed": config.seed})
    shards.write_table(output, rows, schema_of("overall"), made_by)


def group_rows(group: ScoredTogether, run: OpenRun) -> Rows:
    """Return the rows of a group: every measure of every system that all its settings have."""
    scoring, config = SCORINGS[group.kind], run.config
    found = [_corpus(name, settings, run) for name, settings in group.settings.items()]
    corpora = [one for one in found if len(one.speakers) >= LEAST_SPEAKERS]
    left_out = [one.name for one in found if one not in corpora]
    if len(corpora) < 2:
        return []
    names = [name for name in corpora[0].settings[0] if all(name in one for of in corpora for one in of.settings)]
    drawn = {name: _drawn(name, corpora, scoring, config.evaluate, config.seed) for name in names}
    named = {"kind": group.kind, "tested": group.tested, "left_out": left_out}
    rows: Rows = []
    for measure in [name for name in scoring.measures if name not in IN_UNITS]:
        of_measure = {name: [found[measure] for found in drawn[name]] for name in names}
        rows += _scope_rows(of_measure, corpora, config.evaluate, named | {"measure": measure, "corpus": None})
        for place, corpus in enumerate(corpora):
            alone = {name: [found[place]] for name, found in of_measure.items()}
            own = named | {"measure": measure, "corpus": corpus.name}
            rows += _scope_rows(alone, [corpus], config.evaluate, own)
    return rows


def _corpus(name: str, settings: Sequence[tuple[str, str]], run: OpenRun) -> TestedCorpus:
    systems = []
    for corpus, setting in settings:
        files = [Path(file) for file in run.plan.predictions(corpus, setting)]
        task = scores.task_of(files)
        found = by_initialisation(files, task.scoring)
        systems.append({start: scores.sums_of(start, rows, task) for start, rows in found})
    speakers = sorted({speaker for of in systems for one in of.values() for speaker in one.speakers})
    return TestedCorpus(name, systems, speakers)


def _drawn(
    name: str, corpora: Sequence[TestedCorpus], scoring: Scoring, options: EvaluateOptions, seed: int
) -> list[dict[str, Drawn]]:
    """Return each measure of a system on each corpus, whose speakers are drawn as `evaluate` draws them."""
    return [_on_corpus(name, corpus, scoring, options, [seed, scores.RESAMPLES]) for corpus in corpora]


def _on_corpus(
    name: str, corpus: TestedCorpus, scoring: Scoring, options: EvaluateOptions, seed: Sequence[int]
) -> dict[str, Drawn]:
    """Return each measure of a system on a corpus: the mean over its settings, speakers resampled together."""
    weights = intervals.draw_resamples(len(corpus.speakers), options.bootstrap, seed)
    place = {speaker: column for column, speaker in enumerate(corpus.speakers)}
    systems = [systems[name] for systems in corpus.settings]
    whole, resampled = [], []
    for one in systems:
        own = weights[:, [place[speaker] for speaker in one.speakers]]
        whole.append(scoring.scores(intervals.pooled(one.sums)))
        resampled.append(scoring.scores(intervals.pooled(one.sums, own)))
    first = systems[0]
    return {
        measure: Drawn(
            np.mean([found[measure] for found in whole], axis=0),
            np.mean([found[measure] for found in resampled], axis=0),
            first.seeds,
            first.pretrainings,
        )
        for measure in scoring.measures
    }


def _scope_rows(
    drawn: Mapping[str, Sequence[Drawn]],
    corpora: Sequence[TestedCorpus],
    options: EvaluateOptions,
    named: dict[str, Any],
) -> Rows:
    """Return a row for each system over these corpora, p-values corrected within its family."""
    rows = [_row(name, found, corpora, options, named) for name, found in drawn.items()]
    for family in ("pretext", "baseline") if SCRATCH in drawn else ():
        members = [row for row in rows if row["family"] == family and row["initialisation"] != SCRATCH]
        sign = -1 if named["measure"] in LESS_IS_BETTER else 1
        compared = [_compared(drawn[row["initialisation"]], drawn[SCRATCH], corpora, options, sign) for row in members]
        for row, cells in zip(members, scores.corrected(compared, "p_value"), strict=True):
            row |= cells
    return rows


def _row(
    name: str, found: Sequence[Drawn], corpora: Sequence[TestedCorpus], options: EvaluateOptions, named: dict[str, Any]
) -> dict[str, Any]:
    value, trainings = _estimate(found, corpora)
    low, high = within_bounds(named["measure"], value.interval(options.level))
    counts = {"corpora": len(corpora), "speakers": sum(len(one.speakers) for one in corpora)}
    counts["settings"] = sum(len(one.settings) for one in corpora)
    return named | {
        "initialisation": name, "family": "baseline" if stands_beside(name) else "pretext", "value": known(value.value),
        "ci_low": known(low), "ci_high": known(high), **counts, "seeds": trainings,
        "pretrainings": found[0].pretrainings or None,
    }  # fmt: skip


def _compared(
    system: Sequence[Drawn],
    scratch: Sequence[Drawn],
    corpora: Sequence[TestedCorpus],
    options: EvaluateOptions,
    sign: int,
) -> dict[str, Any]:
    """Return the cells of a system beside scratch; `p_value` is NaN without a score, `sign` -1 where less is better."""
    differences = [one.less(other) for one, other in zip(system, scratch, strict=True)]
    found, _ = _estimate(differences, corpora)
    low, high = found.interval(options.level)
    each = np.array([one.scores.mean() for one in differences])
    return {
        "difference": known(found.value), "difference_low": known(low), "difference_high": known(high),
        "p_value": found.p_value, "better": int((sign * each > 0).sum()), "p_corpora": known(over_corpora(each)),
    }  # fmt: skip


def _estimate(drawn: Sequence[Drawn], corpora: Sequence[TestedCorpus]) -> tuple[intervals.Estimate, int]:
    """Return the mean over the corpora, and how many trainings it is of."""
    trainings = scores.trainings_of(len(drawn[0].seeds), [one.pretrainings for one in drawn])
    speakers = [len(one.speakers) for one in corpora]
    of_all = [one.scores for one in drawn], [one.resampled for one in drawn]
    return intervals.estimate_over(*of_all, speakers, trainings), trainings


def over_corpora(differences: Floats) -> float:
    """Return the two-sided p of a mean difference of 0 over corpora (one-sample t); NaN of fewer than three.

    >>> round(over_corpora(np.array([0.02, 0.04, 0.03])), 4), over_corpora(np.array([0.02, 0.04]))
    (0.0351, nan)
    """
    if len(differences) < 3 or np.isnan(differences).any():
        return float("nan")
    deviation = float(differences.std(ddof=1))
    if deviation == 0:
        return float("nan")
    t = float(differences.mean()) / (deviation / len(differences) ** 0.5)
    return float(2 * stats.t.sf(abs(t), len(differences) - 1))
