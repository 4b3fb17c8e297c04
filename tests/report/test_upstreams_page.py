"""The page of the upstreams: of what the tables say, self-contained, sortable, no wider than a small window."""

from pathlib import Path

import pytest
from tests.evaluation.test_compare_upstreams import TEACHING, configuration, write
from tests.report.browser import Browser
from tests.report.test_page import outline

from avpretext.evaluation import compare_upstreams, printed_upstreams
from avpretext.report import upstreams_page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of predictions made by hand."""
    folder = tmp_path_factory.mktemp("upstreams")
    config = configuration(folder / "results")
    write(config, TEACHING)
    upstreams_page.run(config, folder / "results/tables", folder / "results/upstreams.html")
    return folder / "results" / "upstreams.html"


def test_page_has_a_chart_of_gains_for_each_upstream_and_what_the_tables_print(page: Path) -> None:
    html, config = page.read_text("utf-8"), configuration(page.parent)
    parsed = outline(html)
    charts = parsed.values("aria-label")
    gains = [label for label in charts if "gain in WAR" in label]
    assert [label.partition(":")[0] for label in gains] == ["lld", "wavlm"]
    assert "energy +0.300, from +0." in gains[0]
    assert "clusters −0.300".replace("−", "-") in gains[1]
    (found,) = compare_upstreams.run(config, page.parent / "again")
    texts = [cell for row in found.systems for cell in printed_upstreams.cells(row, found, config)]
    texts += printed_upstreams.headline(found, config)
    escaped = html.replace("&lt;", "<")
    assert all(text in escaped for text in texts)
    identifiers = parsed.values("id")
    assert len(identifiers) == len(set(identifiers))
    assert (page.parent / "again/upstreams.csv").read_bytes() == (page.parent / "tables/upstreams.csv").read_bytes()


def test_significant_gains_and_differences_are_bold_each_by_its_own_p(page: Path) -> None:
    rows = page.read_text("utf-8").partition('class="main sortable')[2].partition("</table>")[0].split("<tr")[2:]
    bold = [[cell for cell in row.split("<td") if 'class="number sure"' in cell] for row in rows]
    assert [len(cells) for cells in bold] == [0, 1, 0, 1, 1, 1], "energy on lld; wavlm alone and after energy; clusters"
    assert "+0.300 [" in bold[1][0]
    assert "−0.300 [" in bold[5][0]


def test_page_fits_a_small_window_and_its_table_sorts(page: Path, browser: Browser) -> None:
    browser.open(page, width=700)
    gains = "return [...document.querySelector('.sortable').tBodies[0].rows].map(row => row.cells[4].dataset.value)"
    browser.run("document.querySelector('.sortable').tHead.rows[0].cells[4].querySelector('button').click()")
    sorted_gains = [float(value) for value in browser.run(gains) if value is not None]
    assert sorted_gains == sorted(sorted_gains, reverse=True)
    assert browser.run("return document.documentElement.scrollWidth") <= 700
    assert browser.messages() == []
