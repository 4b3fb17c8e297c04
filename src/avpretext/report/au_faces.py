"""What the faces show: how action units fire, what the emotion labels make of them, and pictures to judge both by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from avpretext.action_units.formulas import FORMULAS
from avpretext.evaluation.au_summary import ALL
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.schemas import ACTION_UNITS
from avpretext.report import figures
from avpretext.report.pictures import Picture, emotion_pictures

NAMES = {unit: FORMULAS[unit].name for unit in ACTION_UNITS}


@dataclass(frozen=True)
class Faces:
    """What is shown of a corpus.

    Attributes
    ----------
    pictures
        Emotion, number of clips with that label, and its pictures.
    heat
        Label, its clips, and of each action unit the mean intensity and its share of the largest (None: not known).
    chart
        How often each action unit fires.
    combinations
        The rows of `au_combinations`.
    """

    corpus: str
    pictures: list[tuple[str, int, list[Picture]]] = field(default_factory=list)
    heat: list[tuple[str, int, list[tuple[float, float] | None]]] = field(default_factory=list)
    chart: Markup | None = None
    combinations: Sequence[Mapping[str, str]] = ()


def found_faces(run: OpenRun) -> list[Faces]:
    """Return what there is to show of each corpus, by the tables `action_units` and `au_combinations`."""
    units, combinations = run.table("action_units"), run.table("au_combinations")
    found = []
    for number, corpus in enumerate(run.config.corpora):
        mine = [row for row in units if row["corpus"] == corpus]
        shown = list(emotion_pictures(run, corpus)) if run.config.report.pictures else []
        if mine or shown:
            together = [row for row in combinations if row["corpus"] == corpus]
            found.append(Faces(corpus, shown, heat_rows(mine), _chart(mine, f"firing-{number}"), together))
    return found


def pictured(shown: Sequence[Faces]) -> list[tuple[str, str]]:
    """Return corpus and clip_id of every clip that is pictured."""
    return [(one.corpus, picture.clip_id) for one in shown for _, _, pictures in one.pictures for picture in pictures]


def heat_rows(units: Sequence[Mapping[str, str]]) -> list[tuple[str, int, list[tuple[float, float] | None]]]:
    """Return the mean clip intensity of each action unit under each label, all clips last."""
    table: dict[str, dict[str, Mapping[str, str]]] = {}
    for row in units:
        table.setdefault(row["label"], {})[row["action_unit"]] = row
    known = [float(row["clip_intensity"]) for row in units if row["clip_intensity"]]
    largest = max([*known, 1e-9])
    ordered = sorted(table, key=lambda label: label == ALL)
    return [
        (label, _clips(table[label]), [_cell(table[label].get(unit), largest) for unit in NAMES]) for label in ordered
    ]


def _clips(rows: Mapping[str, Mapping[str, str]]) -> int:
    return int(next(iter(rows.values()))["clips"])


def _cell(row: Mapping[str, str] | None, largest: float) -> tuple[float, float] | None:
    if row is None or not row["clip_intensity"]:
        return None
    value = float(row["clip_intensity"])
    return value, value / largest


def _chart(units: Sequence[Mapping[str, str]], name: str) -> Markup | None:
    rows = [
        (row["action_unit"], float(row["active_clips"]), float(row["active_frames"]))
        for row in units
        if row["label"] == ALL and row["active_clips"]
    ]
    return figures.firing(rows, name) if rows else None
