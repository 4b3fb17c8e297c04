"""The report's section on a search of hyper-parameters, where the results have one."""

import re
from typing import Any

from markupsafe import Markup

from avpretext.evaluation import printed_search
from avpretext.evaluation.formats import decimal
from avpretext.evaluation.kinds import MEASURE_NAMES
from avpretext.evaluation.open_run import OpenRun
from avpretext.evaluation.printed import start_name, with_interval
from avpretext.report import figures

OWN = ("corpus", "setting", "initialisation", "trial", "measure", "dev")
"""Columns of `trials.csv` that are no searched keys."""

Table = list[dict[str, str]]


def found_search(run: OpenRun) -> list[dict[str, Any]]:
    """Return what the template shows of each corpus and setting that was searched; nothing without a search."""
    tables = printed_search.read(run.layout.folder / "search")
    if tables is None:
        return []
    headings = {(one.corpus, one.setting.name): one.heading for one in run.evaluated()}
    found = []
    for number, key in enumerate(key for key in _keys(tables["trials"]) if key in headings):
        own = {name: [row for row in rows if (row["corpus"], row["setting"]) == key] for name, rows in tables.items()}
        start = start_name(own["trials"][0]["initialisation"], run.config)
        found.append({"heading": headings[key], "start": start, **_of_setting(f"search-{number}", own)})
    return found


def _keys(rows: Table) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row["corpus"], row["setting"]) for row in rows))


def _of_setting(name: str, tables: dict[str, Table]) -> dict[str, Any]:
    scored = {row["choice"]: _numbers(row) for row in tables["test"] if row["measure"] == row["chosen_by"]}
    scored = {choice: scored[choice] for choice in printed_search.CHOICES if choice in scored}
    measure = MEASURE_NAMES[tables["trials"][0]["measure"]]
    keys = [column for column in tables["trials"][0] if column not in OWN]
    ranked = sorted(tables["trials"], key=lambda row: (-float(row["dev"]), int(row["trial"])))
    folds = {row["trial"]: [one["fold"] for one in tables["chosen"] if one["trial"] == row["trial"]] for row in ranked}
    return {
        "measure": measure,
        "trials": len(ranked),
        "chart": _chart(scored, name, f"{measure[0].upper()}{measure[1:]} on test"),
        "choices": [
            (choice, printed_search.CHOICES[choice], row["trials"], with_interval(row, "x"), row["speakers"])
            for choice, row in scored.items()
        ],
        "keys": keys,
        "rows": [
            (row["trial"], decimal(float(row["dev"]), 3), ", ".join(folds[row["trial"]]),
             [_value(row[key]) for key in keys])
            for row in ranked
        ],
    }  # fmt: skip


def _value(cell: str) -> str:
    """Return a cell of a searched key as people write it; the configuration's own value has an empty one."""
    return f"{float(cell):g}" if re.fullmatch(r"-?\d+\.\d+", cell) else cell or "as it is"


def _numbers(row: dict[str, str]) -> dict[str, Any]:
    """Return a row with its score and interval as numbers; None where a cell is empty."""
    of = {"x": "value", "x_low": "ci_low", "x_high": "ci_high"}
    return row | {name: float(row[column]) if row[column] else None for name, column in of.items()}


def _chart(scored: dict[str, dict[str, Any]], name: str, title: str) -> Markup:
    marks = [
        figures.Mark(choice, row["x"], row["x_low"], row["x_high"], "pretext" if choice == "nested" else "scratch")
        for choice, row in scored.items()
        if row["x"] is not None
    ]
    return figures.intervals(marks, name, title)
