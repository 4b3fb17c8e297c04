"""The paired tests behind the main table, as rows to print."""

from dataclasses import dataclass

from avpretext.config import Config
from avpretext.evaluation import printed, results
from avpretext.evaluation.formats import decimal, probability
from avpretext.evaluation.kinds import MEASURE_NAMES
from avpretext.evaluation.results import Evaluated
from avpretext.flow.paths import Layout


@dataclass(frozen=True)
class PairedTest:
    """A system against scratch in one measure.

    Attributes
    ----------
    name, measure, family, speakers, seeds
        The system, the measure, what it was corrected together with, over how many speakers and trainings.
    numbers
        Difference, both ends of its interval, p and corrected p: as text, as numbers to sort by, and whether they are
        to stand out.
    """

    name: str
    measure: str
    family: str
    speakers: int
    seeds: int
    numbers: list[tuple[str, float | None, bool]]


def tests_of(one: Evaluated, config: Config, layout: Layout) -> list[PairedTest]:
    """Return every test of a setting, the main measure first."""
    rows = sorted(results.significance_rows(one, layout), key=lambda row: row["measure"] != one.scoring.main)
    found = []
    for row in rows:
        sure = row["p_holm"] is not None and row["p_holm"] < printed.SIGNIFICANT
        signed = [(decimal(row[name], 3, sign=True), row[name], False) for name in ("difference", "ci_low", "ci_high")]
        chances = [
            (probability(row["p_value"]), row["p_value"], False),
            (probability(row["p_holm"]), row["p_holm"], sure),
        ]
        found.append(
            PairedTest(
                name=printed.start_name(row["initialisation"], config),
                measure=MEASURE_NAMES[row["measure"]],
                family=row["family"],
                speakers=row["speakers"],
                seeds=row["seeds"],
                numbers=[(text.replace("-", "−"), value, bold) for text, value, bold in (*signed, *chances)],
            )
        )
    return found
