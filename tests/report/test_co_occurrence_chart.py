"""The page's heat maps of co-occurrence and penalty."""

import re
from pathlib import Path

import pytest

from avpretext import shards
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.report.figures import heat_maps
from avpretext.report.theme import COLOURS


def cells(svg: str) -> list[float]:
    """Return how opaque the cells are, in the order in which they are drawn."""
    found = re.findall(r'style="fill: var\(--accent\); opacity: ([\d.]+)', svg)
    return [float(opacity) for opacity in found]


def test_the_pages_heat_maps_take_the_pages_colours_and_show_every_number(tmp_path: Path) -> None:
    rows = [
        {"fold": fold, "target": target, "predicted": predicted, "count": 1.0}
        | {"frequency": 1.0 - penalty, "penalty": penalty}
        for fold in (0, 1)
        for target, predicted, penalty in (("a", "a", 0), ("a", "b", 0.25 + fold / 8), ("b", "a", 0.75), ("b", "b", 0))
    ]
    path = tmp_path / "table.parquet"
    shards.write_table(path, rows, schema_of("co_occurrence"), provenance("co_occurrence", classes=["a", "b"]))
    svg = heat_maps(path, "co-occurrence")
    assert svg is not None
    numbers = re.findall(r">(\d\.\d\d)<", svg)
    assert numbers == ["1.00", "0.75", "0.25", "1.00", "0.00", "0.25", "0.75", "0.00"]
    assert not any(colour in svg for colour in COLOURS.values())
    assert "var(--ink)" in svg
    opacities = cells(svg)
    assert opacities[1] == pytest.approx(3 * opacities[2])
    assert "b for a costs least, 0.25; a for b costs most, 0.75" in svg
