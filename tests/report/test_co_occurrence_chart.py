"""CREMA-D's penalty matrices, counted without the package; the document, its picture and the page's heat maps."""

import csv
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avpretext import shards
from avpretext.corpora import crema_d
from avpretext.flow import schemas
from avpretext.report.action_unit_docs import marks
from avpretext.report.co_occurrence_chart import (
    GROUPS,
    crema_d_folds,
    crema_d_rated,
    generated,
    heat_maps,
    rated,
    write_picture,
    written_anew,
)
from avpretext.report.theme import COLOURS

DOCUMENTS = [Path(__file__).parents[2] / folder / "penalty.md" for folder in ("docs", "benchmarks")]
COMMAND = "python -m avpretext.report.co_occurrence_chart docs/penalty.md benchmarks/penalty.md CREMA-D"


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> Path:
    if not (shared_data / "crema-d" / crema_d.VOTES).is_file():
        pytest.skip("CREMA-D's votes are absent")
    return shared_data / "crema-d"


def counted(corpus: Path, digit: str) -> dict[str, str]:
    """Return the emotions named in each clip by raters whose numbers start so, as letters."""
    with (corpus / crema_d.VOTES).open(encoding="utf-8", newline="") as file:
        return {
            row["fileName"]: "".join(letter for letter in "ADFHNS" if int(row[letter]))
            for row in csv.DictReader(file)
            if row[""].startswith(digit)
        }


@pytest.mark.parametrize(("place", "digit"), [(0, "1"), (1, "2"), (2, "3")])
def test_all_of_crema_ds_clips_are_counted_as_without_the_package(corpus: Path, place: int, digit: str) -> None:
    found, named = crema_d_rated(corpus)[place], counted(corpus, digit)
    assert found.clips == len(named) == 7442
    for (i, one), (j, other) in product(enumerate("ADFHNS"), repeat=2):
        both = sum(one in letters and other in letters for letters in named.values())
        alone = sum(other in letters for letters in named.values())
        assert found.counts[i, j] == both
        assert found.penalty[i, j] == pytest.approx(1 - both / alone, abs=1e-12)


def test_the_folds_are_trained_on_three_of_the_five_sessions(corpus: Path) -> None:
    folds, named = crema_d_folds(corpus), counted(corpus, "1")
    # fold 1 is tested on session 1, dev is session 5: it is trained on sessions 2, 3 and 4
    trained = {
        name: letters
        for name, letters in named.items()
        if 1001 <= int(name[:4]) <= 1018 or 1055 <= int(name[:4]) <= 1091
    }
    assert len(folds) == 5
    assert folds[1].clips == len(trained) == 4496
    assert folds[1].counts[4, 5] == sum("N" in letters and "S" in letters for letters in trained.values())


def test_the_documents_have_the_numbers_of_the_votes(corpus: Path) -> None:
    text = "".join(document.read_text("utf-8") for document in DOCUMENTS)
    for name, table in generated(corpus).items():
        begin, end = marks(name)
        assert text[text.index(begin) + len(begin) : text.index(end)] == table, COMMAND


def test_tables_are_written_between_their_marks_and_the_rest_stays() -> None:
    begin, end = marks("counts")
    old = f"before\n{begin}stale\n{end}after\n"
    assert written_anew(old, {"counts": "| 1 |\n", "weights": "| 2 |\n"}) == f"before\n{begin}| 1 |\n{end}after\n"


def test_the_picture_has_a_panel_for_each_group_and_the_same_bytes_again(tmp_path: Path) -> None:
    votes = np.array([[3.0, 1, 0], [0, 2, 2], [1, 0, 0]])
    for name, sets in (("one", 1), ("three", 3), ("again", 3)):
        write_picture([rated(group, votes) for group in list(GROUPS)[:sets]], ["a", "b", "c"], tmp_path / f"{name}.png")
    one, three = (Image.open(tmp_path / f"{name}.png").size for name in ("one", "three"))
    assert three[0] == pytest.approx(3 * one[0], abs=3)
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "three.png").read_bytes()


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
    shards.write_table(path, rows, schemas.CO_OCCURRENCE, shards.provenance("co_occurrence", classes=["a", "b"]))
    svg = heat_maps(path, "co-occurrence")
    numbers = re.findall(r">(\d\.\d\d)<", svg)
    assert numbers == ["1.00", "0.75", "0.25", "1.00", "0.00", "0.25", "0.75", "0.00"]
    assert not any(colour in svg for colour in COLOURS.values())
    assert "var(--ink)" in svg
    opacities = cells(svg)
    assert opacities[1] == pytest.approx(3 * opacities[2])
    assert "b for a costs least, 0.25; a for b costs most, 0.75" in svg
    assert "0.38" in heat_maps(path, "other", fold=1)
