"""What a check finds, and how findings are printed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

Status = Literal["ok", "warning", "missing"]


@dataclass(frozen=True)
class Check:
    """One line of the doctor's.

    Attributes
    ----------
    name
        What was looked at.
    status
        `missing`: it is not there, or not fit for use.
    found
        What was seen.
    fix
        The command or the edit that mends it; empty where nothing is to be mended.
    needed
        Whether the configuration cannot be run without it.
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


_SHOWN = {
    ("ok", True): ("OK", "green"),
    ("ok", False): ("OK", "green"),
    ("warning", True): ("warning", "yellow"),
    ("warning", False): ("warning", "yellow"),
    ("missing", True): ("missing", "bold red"),
    ("missing", False): ("not there", "dim"),
}
"""Word and style of a status, by whether it is needed."""


def show(checks: Sequence[Check], console: Console) -> None:
    """Print a line for each check, the fix under it, and a verdict."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        word, style = _SHOWN[check.status, check.needed]
        found = Text(check.found, "dim" if word == "not there" else "")
        if check.fix:
            found.append(f"\n→ {check.fix}", "dim" if word == "not there" else "bold")
        table.add_row(Text(word, style), check.name, found)
    console.print(table)
    lost = failed(checks)
    if lost:
        console.print(f"\nMissing: {', '.join(check.name for check in lost)}.", style="bold red")
    else:
        console.print("\nEverything that the configuration needs is there.", style="green")
