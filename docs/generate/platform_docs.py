"""The table of `docs/start.md`: what can be installed on which platform and Python.

`PYTHONPATH=envs python docs/generate/platform_docs.py docs/start.md` rewrites it from `envs/wheels.csv`; needs no
network. `make locks` writes both.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from marked import replaced
from wheels import PLATFORMS, PYTHONS, Target, lacking, oldest_system, read_table

from avpretext.evaluation.formats import markdown, write_text

NO_COMPILER = {"connection-pool", "immutables"}
"""Packages that pip builds from source without a compiler; immutables where IMMUTABLES_EXT=0 is set."""

SYSTEMS = {"Linux": "glibc 2.{}", "Darwin": "macOS {}"}
"""The oldest system that the wheels allow. Not Windows: avpretext imports modules of POSIX (`fcntl`, `resource`)."""


def cell(target: Target, rows: Sequence[Mapping[str, str]]) -> str:
    """Return what can be installed from wheels on a target, in words."""
    lost = {package: extras for package, extras in lacking(target, rows).items() if package not in NO_COMPILER}
    of_all = [package for package, extras in lost.items() if "base" in extras]
    if of_all:
        return f"nothing: no {', '.join(of_all)}"
    extras = sorted({extra for extras in lost.values() for extra in extras})
    return f"all but {', '.join(extras)}" if extras else "all"


def generated() -> dict[str, str]:
    """Return the table as Markdown, by the name in its marks."""
    rows, lines = read_table(), []
    for name, (system, machine) in PLATFORMS.items():
        if system not in SYSTEMS:
            lines.append([name, "WSL, as Linux", *("nothing" for _ in PYTHONS)])
            continue
        targets = [Target(system, machine, python) for python in PYTHONS]
        oldest = SYSTEMS[system].format(max(oldest_system(target, rows) for target in targets))
        lines.append([name, oldest, *(cell(target, rows) for target in targets)])
    return {"platforms": markdown(["", "needs", *(f"Python {python}" for python in PYTHONS)], lines, numbers=6)}


if __name__ == "__main__":
    for page in map(Path, sys.argv[1:]):
        write_text(page, replaced(page.read_text("utf-8"), generated()))
