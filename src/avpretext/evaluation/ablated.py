"""A comparison as rows: a row per system, a row per level of a factor; written as the two tables of its target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avpretext.config import Config
from avpretext.corpora.settings import settings_of
from avpretext.errors import UserError, nearest
from avpretext.evaluation import formats
from avpretext.evaluation.formats import Document
from avpretext.evaluation.kinds import measure_columns
from avpretext.evaluation.open_run import NAMED, Evaluated, Rows
from avpretext.evaluation.results import SCORE
from avpretext.shards import PathLike

FACTORS = ("initialisation", "loss", "aggregator")
"""What the systems of an ablation differ in."""

UPSTREAM_FACTORS = ("upstream", "initialisation")
"""What the systems of `snakemake upstreams` differ in."""

GAIN = "gain"
"""In place of a factor: what a set of tasks adds to an upstream, beside what it adds to the first."""

_COMPARED = ("difference", "difference_low", "difference_high", "p", "p_holm", "df")
_GAINED = ("gain", "gain_low", "gain_high", "gain_p", "gain_p_holm", "gain_df")
PLACES = 6
"""Decimals of the tables: the page is made from them, and prints three."""

_SIZES = ("speakers", "clips", "runs", "seeds", "pretrainings")
_EFFECT = (
    "measure", "systems", "speakers", "seeds", "pretrainings", "value", "value_low", "value_high", *_COMPARED,
)  # fmt: skip

COLUMNS = {
    "ablation": [*NAMED, *FACTORS, "role", *_SIZES, "measure", *_COMPARED],
    "ablation_effects": [*NAMED, "factor", "level", "against", *_EFFECT],
}
"""Columns of the two tables; `difference` and what follows are of `measure` alone. The first has every measure too."""

UPSTREAM_COLUMNS = {
    "upstreams": [*NAMED, *UPSTREAM_FACTORS, "role", *_SIZES, "measure", *_GAINED, *_COMPARED],
    "upstreams_effects": [*NAMED, "factor", "initialisation", "level", "against", *_EFFECT],
}
"""The same of `snakemake upstreams`; `gain` is the difference to the upstream alone."""


@dataclass(frozen=True)
class Ablated:
    """What a comparison found in one setting of a corpus; `measure` is what differences and tests are about.

    `systems` are the rows of `ablation.csv` or `upstreams.csv`; `role` is `reference`, `system`, or `baseline` for what
    is not of the grid. `effects` are those of `ablation_effects.csv` or `upstreams_effects.csv`: of each factor its
    first level, then the others against it. `left_out` counts test clips that not all systems have the features of.
    """

    one: Evaluated
    measure: str
    systems: Rows
    effects: Rows
    left_out: int = 0

    @property
    def reference(self) -> dict[str, Any]:
        """The system that the others are compared with."""
        return next(row for row in self.systems if row["role"] == "reference")

    def rounded(self) -> "Ablated":
        """Return the same with numbers as the tables have them; 0 has no minus."""
        systems, effects = (
            [{name: round(cell, PLACES) + 0.0 if isinstance(cell, float) else cell for name, cell in row.items()}
             for row in rows]
            for rows in (self.systems, self.effects)
        )  # fmt: skip
        return replace(self, systems=systems, effects=effects)


def settings_compared(config: Config) -> list[Evaluated]:
    """Return what the ablation is about: every setting of every corpus that is fine-tuned, by `ablation.targets`."""
    return [
        Evaluated(corpus, setting)
        for corpus in config.used_for("finetune")
        for setting in settings_of(config.corpora[corpus].ablated(config.ablation.targets))
    ]


def measure_of(one: Evaluated, config: Config) -> str:
    """Return what is tested: `ablation.measure` where the kind of target has it, else the main one of the kind.

    Raises
    ------
    UserError
        No setting that is compared has the measure.
    """
    wanted = config.ablation.measure
    known = [name for other in settings_compared(config) for name in other.scoring.measures]
    if wanted is not None and wanted not in known:
        raise UserError(
            f"ablation.measure: {wanted!r} is none of {', '.join(dict.fromkeys(known))}{nearest(wanted, known)}"
        )
    return wanted if wanted in one.scoring.measures else one.scoring.main


def write_tables(
    found: Sequence[Ablated], folder: PathLike, columns: Mapping[str, Sequence[str]], printed: Document
) -> list[Ablated]:
    """Write systems and effects, such as `ablation.csv` and `ablation_effects.csv`, and both as `ablation.md`, `.tex`.

    Return what the first two hold, rounded as they are.
    """
    systems, effects = columns
    measures = measure_columns(one.one.setting.kind for one in found)
    scored = [*columns[systems], *(f"{measure}{part}" for measure in measures for part in SCORE)]
    tables = (
        (systems, scored, [row for one in found for row in one.systems]),
        (effects, columns[effects], [row for one in found for row in one.effects]),
    )
    for name, of_table, rows in tables:
        formats.write_csv(Path(folder) / f"{name}.csv", of_table, rows, PLACES)
    formats.write_text(Path(folder) / f"{systems}.md", printed.markdown())
    formats.write_text(Path(folder) / f"{systems}.tex", printed.latex())
    return [one.rounded() for one in found]
