"""The stage `figures`: every chart of the report as a file for a paper."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from avpretext import shards
from avpretext.config import Config
from avpretext.evaluation import formats
from avpretext.report import page
from avpretext.report.theme import UNDATED, also

OF_LETTERS: Any = {"svg.fonttype": "path", "pdf.fonttype": 42}
"""Outlines in SVG; in PDF an embedded TrueType font, since publishers refuse matplotlib's default, Type 3."""

METADATA: dict[str, Any] = {"svg": UNDATED, "pdf": {"CreationDate": None, "Creator": None, "Producer": None}}
"""Of each format, without what differs from run to run."""


def run(config: Config, output: Path) -> None:
    """Write `NAME.svg` and `NAME.pdf` for each chart of the report, and `figures.csv`.

    Parameters
    ----------
    output
        The folder. Its `figures.csv` has a row per chart: `name`, and `shows`, its title and values in words.
    """
    output.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, str]] = []

    def write(chart: Figure, name: str, description: str) -> None:
        chart.set_layout_engine("none")  # all is placed; to do it again takes longer than drawing
        for form, metadata in METADATA.items():
            with shards.atomic_path(output / f"{name}.{form}") as path, mpl.rc_context(OF_LETTERS):
                chart.savefig(path, format=form, metadata=metadata)
        rows.append({"name": name, "shows": description})

    with also(write):
        page.render(config)
    formats.write_csv(output / "figures.csv", ["name", "shows"], rows)
