"""What pre-training gains, and the verdict on it: a sentence that claims no more than the corrected test allows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from avpretext.config import Config
from avpretext.evaluation.formats import probability
from avpretext.evaluation.kinds import Scoring
from avpretext.evaluation.open_run import Rows
from avpretext.evaluation.printed import SIGNIFICANT, start_name, with_interval
from avpretext.evaluation.printed_overall import Overall
from avpretext.report.figures import Mark


class Gain(NamedTuple):
    """By how much a set of pretext tasks changes the main measure, with the ends of its interval.

    `p` is corrected by Holm; None: not tested.
    """

    name: str
    difference: float
    low: float | None
    high: float | None
    p: float | None

    @property
    def sure(self) -> bool:
        """Whether the set is significantly better than scratch."""
        return self.difference > 0 and self.p is not None and self.p < SIGNIFICANT

    @property
    def mark(self) -> Mark:
        """What a chart shows of it."""
        return Mark(self.name, self.difference, self.low, self.high)

    def __str__(self) -> str:
        ends = {"x": self.difference, "x_low": self.low, "x_high": self.high}
        return with_interval(ends, "x", sign=True)


def of_table(rows: Rows, scoring: Scoring, config: Config) -> list[Gain]:
    """Return the gain of each set of pretext tasks, from rows of the main table."""
    compared = [row for row in rows if not row["baseline"]]
    return _gains(compared, f"{scoring.main}_difference", f"{scoring.main}_p_holm", config)


def of_overall(one: Overall, config: Config) -> list[Gain]:
    """Return the mean gain of each set of pretext tasks over the corpora."""
    compared = [row for row in one.rows if row["family"] == "pretext"]
    return _gains(compared, "difference", "p_holm", config)


def _gains(rows: Sequence[dict[str, Any]], value: str, p: str, config: Config) -> list[Gain]:
    return [
        Gain(
            start_name(row["initialisation"], config), row[value], row[f"{value}_low"], row[f"{value}_high"], row.get(p)
        )
        for row in rows
        if row.get(value) is not None
    ]


def verdict(found: Sequence[Gain], measure: str) -> tuple[str, str]:
    """Return the verdict in a few words, and its evidence in a sentence.

    Among sets that are significantly better than scratch the best counts, else the best of all.

    >>> verdict([Gain("energy", -0.05, -0.08, -0.02, 0.01)], "UAR")
    ('Pre-training does not help here.', 'With energy, UAR changes by −0.050 [−0.080, −0.020].')
    """
    if not found:
        return "Nothing was compared.", "Either training from scratch or pre-training is missing."
    sure = [one for one in found if one.sure]
    best = max(sure or found, key=lambda one: one.difference)
    only = ", the best" if len(found) > 1 and not sure else ""
    said = f"With {best.name}{only}, {measure} changes by {best}"
    if best.difference <= 0:
        return "Pre-training does not help here.", f"{said}."
    words = "Pre-training helps here." if sure else "Pre-training is not shown to help."
    return words, f"{said}: {_judged(best, len(found))}."


def _judged(best: Gain, compared: int) -> str:
    if best.p is None:
        return "not tested"
    judged = "significant" if best.sure else "not significant"
    of = f"{compared} comparison{'s' if compared > 1 else ''}"
    return f"{judged} after correction for {of} (Holm p = {probability(best.p)})"
