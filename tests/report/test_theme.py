"""Charts within the page: its colours, its font, no identifiers in common."""

import re

import pytest

from avpretext.flow.tasks import TASKS
from avpretext.report import figures
from avpretext.report.page import environment
from avpretext.report.theme import COLOURS

ROWS = [("a_b <c> $x$", 3.0, "3 & more"), ("none", 1.0, "1")]


def test_colours_are_the_pages_own_so_that_they_follow_dark_and_print() -> None:
    svg = figures.bars(ROWS, "one", "Title & <more>", "energy", ["none"])
    assert "var(--energy)" in svg
    assert not re.findall(r"#[0-9a-f]{6}", svg)
    assert "font-family" not in svg
    assert "<style" not in svg


@pytest.mark.parametrize("name", [*TASKS, *COLOURS])
def test_every_task_and_every_colour_is_a_colour_of_the_page_in_light_dark_and_print(name: str) -> None:
    assert name in COLOURS
    page = environment().get_template("report.css").render()
    assert len(re.findall(rf"--{name}: #[0-9a-f]{{6}};", page)) == 3


def test_text_is_text_and_is_escaped() -> None:
    svg = figures.bars(ROWS, "one", "Title & <more>", "energy")
    assert "Title &amp; &lt;more&gt;" in svg
    assert "a_b &lt;c&gt; $x$" in svg


def test_two_charts_share_no_identifier() -> None:
    lines = {"train": ([1.0, 2.0], [0.5, 0.4]), "dev": ([1.0, 2.0], [0.6, 0.5])}
    colours = {"train": "muted", "dev": "accent"}
    identifiers = [
        set(re.findall(r' id="([^"]+)"', figures.curves(lines, name, "Loss", colours))) for name in ("one", "two")
    ]
    assert identifiers[0]
    assert not identifiers[0] & identifiers[1]


def test_drawing_twice_gives_the_same_bytes() -> None:
    marks = [figures.Mark("scratch", 0.5, None, None, "scratch")]
    first, second = (figures.intervals(marks, "one", "Macro-F1", zero=0.0) for _ in range(2))
    assert first == second
    assert "scratch 0.500" in first


def test_interval_ends_within_the_chart_and_its_name_is_drawn_whole() -> None:
    name = "wav2vec2-large-xlsr means + RBF SVM, speaker z-norm"
    svg = figures.intervals([figures.Mark(name, 0.5, 0.1, 0.9, "baseline")], "one", "CCC")
    assert f">{name}</text>" in svg
    assert "from 0.100 to 0.900" in svg
    width = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
    line = re.findall(r'd="M ([\d.]+) [\d.]+\nL ([\d.]+) [\d.]+\n"[^>]*stroke-width: 2.2', svg)
    assert len(line) == 1
    assert all(10 < float(x) < width - 10 for x in line[0])
