"""The table of visemes and the grid of video frames."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from avpretext.errors import UserError
from avpretext.orofacial import visemes

CLASSES = visemes.classes(visemes.read_table(None))


def test_shipped_table_gives_each_phone_one_class() -> None:
    table = visemes.read_table(None)
    assert sorted(table) == sorted(visemes.PHONES)
    assert len(visemes.PHONES) == 40
    assert len(visemes.classes(table)) == 14
    assert table["B"] == table["M"] == "P"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("P: [PP]", "'PP' is no phone; did you mean 'P'"),
        ("P: [P]\nB: [P]", "P is in the classes P and B"),
        ("P: [P]", "no class for SIL, AA"),
        ("[P, B]", "expected CLASS: [PHONE, ...]"),
        ("P: P", "expected CLASS: [PHONE, ...]"),
        ("P: [P", "not YAML"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=r"mine\.yaml") as error:
        visemes.read_table(file)
    assert said in str(error.value)


def test_missing_table_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"phones.visemes = .*cannot be read"):
        visemes.read_table(tmp_path / "none.yaml")


def test_grid_gives_each_frame_the_interval_under_way() -> None:
    rows = pl.DataFrame(
        {
            "start_s": [0.0, 0.12, 0.3],
            "end_s": [0.12, 0.3, 0.41],
            "viseme": ["SIL", "AA", "odd"],
            "phone": ["SIL", "AA", "B"],
        }
    )
    # Frames at 0, .04, .08 | .12 (a boundary: the new one) .. .28 | .32, .36, .40 | .44 is outside.
    expected = [0, 0, 0, 9, 9, 9, 9, 9, -1, -1, -1, -1]
    assert visemes.phones_on_grid(rows, 12, 25.0, CLASSES).tolist() == expected
    phones = visemes.phones_on_grid(rows, 11, 25.0, visemes.PHONES, "phone")
    assert [visemes.PHONES[number] for number in phones] == ["SIL"] * 3 + ["AA"] * 5 + ["B"] * 3
    assert visemes.phones_on_grid(rows.clear(), 2, 25.0, CLASSES).tolist() == [-1, -1]


def test_grid_agrees_with_counting_by_hand_on_any_boundaries() -> None:
    rng = np.random.default_rng(0)
    edges = np.concatenate([[0.0], np.sort(rng.choice(np.arange(1, 300), 40, replace=False)) / 100, [3.0]])
    names = rng.choice(CLASSES, 41)
    rows = pl.DataFrame({"start_s": edges[:-1], "end_s": edges[1:], "viseme": names})
    found = visemes.phones_on_grid(rows, 90, 30.0, CLASSES)
    slow = [
        next(name for a, b, name in rows.iter_rows() if 100 * a <= 100 * k / 30 + 1e-6 < 100 * b) for k in range(90)
    ]
    assert [CLASSES[number] for number in found] == slow
