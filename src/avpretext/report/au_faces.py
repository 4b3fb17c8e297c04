"""The report's section on faces: pictures for each emotion label, and how often action units fire."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from avpretext.action_units.formulas import FORMULAS
from avpretext.evaluation.au_summary import ALL
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.columns import ACTION_UNITS
from avpretext.report import figures
from avpretext.report.pictures import emotion_pictures

NAMES = {unit: FORMULAS[unit].name for unit in ACTION_UNITS}


def found_faces(run: OpenRun) -> list[dict[str, Any]]:
    """Return what there is to show of each corpus.

    `pictures`: each emotion, how many clips have it, and pictures; `heat`: see `heat_rows`; `chart`: how often action
    units fire; `combinations`: the rows of the table `au_combinations`.
    """
    units, combinations = run.table("action_units"), run.table("au_combinations")
    found = []
    for number, corpus in enumerate(run.config.corpora):
        mine = [row for row in units if row["corpus"] == corpus]
        shown = list(emotion_pictures(run, corpus)) if run.config.report.pictures else []
        if mine or shown:
            together = [row for row in combinations if row["corpus"] == corpus]
            found.append(
                {"corpus": corpus, "pictures": shown, "heat": heat_rows(mine),
                 "chart": _chart(mine, f"firing-{number}"), "combinations": together}
            )  # fmt: skip
    return found


def pictured(shown: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return corpus and clip_id of every clip that is pictured."""
    return [
        (one["corpus"], picture.clip_id) for one in shown for _, _, pictures in one["pictures"] for picture in pictures
    ]


def heat_rows(units: Sequence[Mapping[str, str]]) -> list[tuple[str, int, list[tuple[float, float] | None]]]:
    """Return each label, its clips, and of each action unit the mean clip intensity and its share of the largest.

    All clips come last; None: not known.
    """
    clips = {row["label"]: int(row["clips"]) for row in units}
    means = {(row["label"], row["action_unit"]): float(row["clip_intensity"]) for row in units if row["clip_intensity"]}
    largest = max([*means.values(), 1e-9])
    cells = {key: (value, value / largest) for key, value in means.items()}
    ordered = sorted(clips, key=lambda label: label == ALL)
    return [(label, clips[label], [cells.get((label, unit)) for unit in NAMES]) for label in ordered]


def _chart(units: Sequence[Mapping[str, str]], name: str) -> Markup | None:
    rows = [
        (row["action_unit"], float(row["active_clips"]), float(row["active_frames"]))
        for row in units
        if row["label"] == ALL and row["active_clips"]
    ]
    return figures.firing(rows, name) if rows else None
