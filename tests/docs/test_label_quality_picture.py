"""The picture of label quality shows what its page says."""

from pathlib import Path

import pytest
from label_quality_picture import draw, read, write
from PIL import Image

ROOT = Path(__file__).parents[2]
PAGE = """\
Before.

<!-- quality: begin -->
| labels             | clips that teach | right |             macro-F1 |                    difference to |     p |
| :----------------- | ---------------: | ----: | -------------------: | -------------------------------: | ----: |
| none: from scratch |                  |       | 0.500 [0.400, 0.600] |                                  |       |
| true emotions      |            1.000 | 1.000 | 0.575 [0.509, 0.641] | scratch: +0.075 [-0.046, +0.109] | 0.382 |
| 75 % made wrong    |            0.955 | 0.233 | 0.480 [0.409, 0.541] | scratch: -0.020 [-0.046, +0.009] | 0.382 |
<!-- quality: end -->
"""


def test_the_table_is_read_as_it_stands() -> None:
    scratch, (true, wrong) = read(PAGE)
    assert scratch == 0.5
    assert true == ("true emotions", 1.0, 0.575, (0.075, -0.046, 0.109))
    assert wrong == ("75 % made wrong", 0.233, 0.48, (-0.02, -0.046, 0.009))


def test_a_point_stands_at_its_quality_and_score_and_its_bar_around_the_line_of_scratch() -> None:
    (axes,) = draw(*read(PAGE)).axes
    points = {tuple(line.get_xydata()[0]) for line in axes.lines if line.get_marker() == "o"}
    assert points == {(1.0, 0.575), (0.233, 0.48)}
    bars = [line.get_ydata() for line in axes.lines if line.get_linewidth() == 2]
    assert sorted(bars[0]) == pytest.approx([0.454, 0.509])
    assert "75 % made wrong" in {text.get_text() for text in axes.texts}


def test_the_shipped_page_is_drawn(tmp_path: Path) -> None:
    write(ROOT / "benchmarks" / "label-quality.md", tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as drawn, Image.open(ROOT / "docs" / "label-quality.png") as shipped:
        assert drawn.size == shipped.size
