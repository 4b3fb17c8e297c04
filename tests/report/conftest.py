"""What the tests of tables and pages share: a finished run, its report, and a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from tests.conftest import MadeOnce
from tests.report.browser import Browser
from tests.report.whole_run import build, configured

from avpretext.config import Config
from avpretext.report import clip_panels, distribution_charts, figures, page, trust_page


@pytest.fixture(scope="session")
def results(made_once: MadeOnce) -> Config:
    """The configuration of a finished run whose every file is there."""
    return configured(made_once("a whole run", build))


@pytest.fixture(scope="session")
def report_file(results: Config, made_once: MadeOnce) -> Path:
    """The report of that run, on disk."""

    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "report.html").write_text(page.render(results), encoding="utf-8")

    return made_once("a report", write) / "report.html"


@pytest.fixture(scope="session")
def html(report_file: Path) -> str:
    """The report of that run."""
    return report_file.read_text(encoding="utf-8")


@pytest.fixture
def plain_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts as their descriptions alone: for tests that are about other parts of the page, ten times as fast."""

    def described(chart: Figure, name: str, description: str) -> Markup:
        return Markup(f'<svg role="img" aria-label="{escape(description)}"></svg>')

    for module in (clip_panels, distribution_charts, figures, trust_page):
        monkeypatch.setattr(module, "inline", described)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium; without one, the tests that ask for it are skipped."""
    with Browser.start(tmp_path_factory.mktemp("browser")) as started:
        yield started
