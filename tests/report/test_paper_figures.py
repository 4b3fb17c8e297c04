"""The stage `figures`: charts as files that a paper can take up."""

import csv
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.report import figures, page, paper_figures

NAMES = ["scores", "curves"]


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Config:
    """A configuration whose report has two charts."""

    def render(config: Config) -> str:
        marks = [figures.Mark("energy + emotion", 0.5, 0.4, 0.6), figures.Mark("größer", 0.4, None, None, "baseline")]
        drawn = [figures.intervals(marks, "scores", "Macro-F1")]
        drawn.append(figures.curves({"dev": ([1, 2], [0.5, 0.6])}, "curves", "UAR", {"dev": "accent"}))
        return "".join(drawn)

    monkeypatch.setattr(page, "render", render)
    return parse({"corpora": {"mine": {"path": ".", "use": []}}})


@pytest.fixture
def folder(config: Config, tmp_path: Path) -> Path:
    paper_figures.run(config, tmp_path / "figures")
    return tmp_path / "figures"


def test_each_chart_is_there_as_svg_and_pdf_and_in_words(folder: Path) -> None:
    files = {"figures.csv", *(f"{name}.{form}" for name in NAMES for form in ("svg", "pdf"))}
    assert {path.name for path in folder.iterdir()} == files
    with (folder / "figures.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == NAMES
    assert rows[0]["shows"].startswith("Macro-F1: energy + emotion 0.500, from 0.400 to 0.600; größer")


def test_letters_are_outlines_in_svg_and_an_embedded_font_in_pdf(folder: Path) -> None:
    drawing = ElementTree.parse(folder / "scores.svg").getroot()
    names = {element.tag.rpartition("}")[2] for element in drawing.iter()}
    assert "text" not in names
    assert "path" in names
    pdf = (folder / "scores.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf


def test_letters_are_readable_in_a_column_of_a_paper(folder: Path) -> None:
    for path in folder.glob("*.pdf"):
        box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+)", path.read_bytes())
        assert box is not None
        smallest, column = 11, 85 / 25.4 * 72
        assert smallest * column / float(box[1]) >= 6, "points"


def test_the_same_charts_give_the_same_bytes(config: Config, folder: Path, tmp_path: Path) -> None:
    paper_figures.run(config, tmp_path / "again")
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name
