"""Tables as text: well formed whatever the cells hold."""

import csv
from pathlib import Path

import pytest

from avpretext.evaluation import formats

AWKWARD = ["a_b", "5 % & more", "x|y", "{#$~^\\}", "<script>"]


def test_csv_reads_back_whatever_the_cells_hold(tmp_path: Path) -> None:
    rows = [{"name": name, "value": 0.123456, "flag": True, "none": None} for name in [*AWKWARD, 'quo"te, and\nline']]
    formats.write_csv(tmp_path / "t.csv", ["name", "value", "flag", "none"], rows)
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["name"] for row in read] == [row["name"] for row in rows]
    assert read[0] == {"name": "a_b", "value": "0.1235", "flag": "1", "none": ""}


def test_csv_takes_names_that_are_not_unicode(tmp_path: Path) -> None:
    formats.write_csv(tmp_path / "t.csv", ["name"], [{"name": b"caf\xe9".decode("utf-8", "surrogateescape")}])
    assert "caf" in (tmp_path / "t.csv").read_text(encoding="utf-8")


def test_markdown_has_as_many_cells_in_every_line() -> None:
    text = formats.markdown(["name", "value"], [[name, "1"] for name in AWKWARD], numbers=1)
    assert {line.replace("\\|", "").count("|") for line in text.splitlines()} == {3}


def test_latex_is_balanced_and_escaped() -> None:
    text = formats.latex(["name", "value"], [[name, "1 ± 2"] for name in AWKWARD], 1, "50 % of a_b", "main_a b")
    for opened, closed in ((r"\begin{table*}", r"\end{table*}"), (r"\begin{tabular}{lr}", r"\end{tabular}")):
        assert text.count(opened) == text.count(closed) == 1
    assert r"\label{tab:main-a-b}" in text
    rows = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:]
    assert all(row.count(" & ") == 1 and row.endswith(r"\\") for row in rows)
    assert r"a\_b" in text
    assert r"\textbackslash{}" in text
    assert "±" not in text


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5000"), (-0.00001, "0.0000"), (float("nan"), ""), (None, ""), (-0.25, "-0.2500")]
)
def test_decimal(value: float | None, text: str) -> None:
    assert formats.decimal(value) == text
