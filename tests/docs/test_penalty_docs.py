"""CREMA-D's penalty matrices, counted without the package; the document and its picture."""

import csv
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from marked import marks, replaced
from penalty_docs import GROUPS, crema_d_folds, crema_d_rated, generated, rated, write_picture
from PIL import Image

from avpretext.corpora.readers import crema_d

DOCUMENTS = [Path(__file__).parents[2] / folder / "penalty.md" for folder in ("docs", "benchmarks")]
COMMAND = "python docs/generate/penalty_docs.py docs/penalty.md benchmarks/penalty.md CREMA-D"


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


def test_the_document_has_the_numbers_of_the_votes(corpus: Path) -> None:
    text = "".join(document.read_text("utf-8") for document in DOCUMENTS)
    for name, table in generated(corpus).items():
        begin, end = marks(name)
        assert text[text.index(begin) + len(begin) : text.index(end)] == table, COMMAND


def test_tables_are_written_between_their_marks_and_the_rest_stays() -> None:
    begin, end = marks("counts")
    old = f"before\n{begin}stale\n{end}after\n"
    assert replaced(old, {"counts": "| 1 |\n", "weights": "| 2 |\n"}) == f"before\n{begin}| 1 |\n{end}after\n"


def test_the_picture_has_a_panel_for_each_group_and_the_same_bytes_again(tmp_path: Path) -> None:
    votes = np.array([[3.0, 1, 0], [0, 2, 2], [1, 0, 0]])
    for name, sets in (("one", 1), ("three", 3), ("again", 3)):
        write_picture([rated(group, votes) for group in list(GROUPS)[:sets]], ["a", "b", "c"], tmp_path / f"{name}.png")
    one, three = (Image.open(tmp_path / f"{name}.png").size for name in ("one", "three"))
    assert three[0] == pytest.approx(3 * one[0], abs=3)
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "three.png").read_bytes()
