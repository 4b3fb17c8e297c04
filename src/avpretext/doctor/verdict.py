"""What the doctor finds by a check, and how it is printed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

Status = Literal["ok", "warning", "missing"]


@dataclass(frozen=True)
class Check:
    """One line of the doctor's.

    `status` is `missing` for what is not there, or not fit for use. `fix` is the command or the edit that mends it;
    empty where nothing is to be mended. `needed`: whether the configuration cannot be run without it.
    """

    name: str
    status: Status
    found: str
    fix: str = ""
    needed: bool = True


def failed(checks: Sequence[Check]) -> list[Check]:
    """Return what is missing and needed."""
    return [check for check in checks if check.status == "missing" and check.needed]


def as_json(checks: Sequence[Check]) -> dict[str, Any]:
    """Return the findings as plain values: `ok`, and each check."""
    return {"ok": not failed(checks), "checks": [asdict(check) for check in checks]}


_SHOWN = {"ok": ("OK", "green"), "warning": ("warning", "yellow"), "missing": ("missing", "bold red")}
"""Word and style of a status."""


def show(checks: Sequence[Check], console: Console) -> None:
    """Print a line for each check, the fix under it, and a verdict."""
    table = Table.grid(Column(no_wrap=True), Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2))
    for check in checks:
        spare = check.status == "missing" and not check.needed
        word, style = ("not there", "dim") if spare else _SHOWN[check.status]
        found = Text(check.found, "dim" if spare else "")
        if check.fix:
            found.append(f"\n→ {check.fix}", "dim" if spare else "bold")
        table.add_row(Text(word, style), check.name, found)
    console.print(table)
    if lost := failed(checks):
        console.print(f"\nMissing: {', '.join(check.name for check in lost)}.", style="bold red")
    else:
        console.print("\nEverything that the configuration needs is there.", style="green")
