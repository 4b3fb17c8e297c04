"""The page of the ablation: self-contained, well formed, sortable, and of what the tables say."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from tests.report.browser import Browser
from tests.report.test_page import LOADING, Outline, outline

from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.evaluation import ablate, ablated, printed_ablation
from avpretext.evaluation.ablated import Ablated
from avpretext.report import ablation_page

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "ablation.md"


@pytest.fixture(scope="module")
def config(results: Config, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A results folder with what the ablation compares, apart from that of the other tests."""
    folder = tmp_path_factory.mktemp("ablation")
    for corpus in ("demo_acted", "demo_rated"):
        for part in ("finetune", "baseline", "folds"):
            shutil.copytree(Path(results.results) / corpus / part, folder / corpus / part)
    return results.model_copy(update={"results": str(folder)})


@pytest.fixture(scope="module")
def found(config: Config) -> list[Ablated]:
    return ablate.run(config, Path(config.results) / "tables")


@pytest.fixture(scope="module")
def html(config: Config, found: list[Ablated]) -> str:
    return ablation_page.render(config, found)


@pytest.fixture(scope="module")
def parsed(html: str) -> Outline:
    return outline(html)


def test_every_kind_is_compared_by_its_own_measure_and_losses(found: list[Ablated]) -> None:
    assert [(one.one.setting.kind, one.measure) for one in found] == [
        ("hard", "macro_f1"), ("distribution", "macro_f1"), ("attribute", "ccc"),
    ]  # fmt: skip
    roles = [[row["role"] for row in one.systems] for one in found]
    assert [names.count("system") for names in roles] == [3, 7, 3]
    assert all(names[0] == "reference" for names in roles)
    # Support vector machines learn one class of each clip, nothing else.
    assert [names.count("baseline") for names in roles] == [2, 0, 0]
    for one in found:
        assert all(row[name] is not None for row in one.systems for name in one.one.scoring.measures)


def test_page_has_a_section_for_each_setting_with_charts_of_every_level_and_system(parsed: Outline) -> None:
    headings = [text for tag, text in parsed.text if tag == "h2"]
    assert headings == [
        "demo_acted, target acted, protocol speaker_kfold",
        "demo_acted, target voice-distribution, protocol speaker_kfold",
        "demo_rated, target arousal, protocol partitions",
        "How it was tested",
    ]
    charts = [label for label in parsed.values("aria-label") if label.startswith(("macro-F1, effect", "CCC, effect"))]
    assert len(charts) == 3
    assert "loss: penalty against base" in charts[1]
    panels = [label for label in parsed.values("aria-label") if label.startswith("emotion: ")]
    assert panels[1].count("emotion, penalty, gated 0.") == 1
    assert sum(text.startswith("NOT speaker-independent") for tag, text in parsed.text if tag == "p") == 1


def test_page_prints_what_the_markdown_prints(html: str, config: Config, found: list[Ablated]) -> None:
    markdown = (Path(config.results) / "tables" / "ablation.md").read_text("utf-8")
    for one in found:
        for row in one.systems:
            for cell in printed_ablation.cells(row, one, config)[3:]:
                assert cell in html
                assert cell in markdown
        for sentence in printed_ablation.headline(one, config):
            assert sentence in html
            assert sentence in " ".join(markdown.split())


def test_page_loads_nothing_and_says_that_it_is_the_demo(html: str, parsed: Outline) -> None:
    addresses = [value for name in (*LOADING, "href", "xlink:href") for value in parsed.values(name)]
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert not re.findall(r"@import|url\((?!#)|https?://(?!www.w3.org)", html)
    assert next(text for tag, text in parsed.text if tag == "p").startswith("This report speaks of the demo")
    identifiers = parsed.values("id")
    assert len(identifiers) == len(set(identifiers))
    assert {value[1:] for value in parsed.values("href") if value.startswith("#")} <= set(identifiers)


def test_page_is_the_same_bytes_each_time(html: str, config: Config, tmp_path: Path) -> None:
    ablation_page.run(config, Path(config.results) / "tables", tmp_path / "ablation.html")
    assert (tmp_path / "ablation.html").read_text("utf-8") == html


def test_headline_claims_no_more_than_the_corrected_p(config: Config, found: list[Ablated]) -> None:
    one = found[1]
    level = next(row for row in one.effects if row["level"] == "penalty")
    sure, unsure = (
        " ".join(printed_ablation.headline(Ablated(one.one, one.measure, one.systems, [level | {"p_holm": p}]), config))
        for p in (0.04, 0.06)
    )
    assert "these levels change macro-F1: penalty against base" in sure
    assert "No level of a factor differs significantly" in unsure


def test_headline_of_a_measure_of_which_less_is_better_names_the_least(config: Config, found: list[Ablated]) -> None:
    rows = [dict(row) for row in found[2].systems]
    for row, difference in zip(rows[1:4], (0.5, -0.2, 0.1), strict=True):
        row["difference"] = difference
    said = " ".join(printed_ablation.headline(Ablated(found[2].one, "rmse", rows, []), config))
    assert f"{printed_ablation.system_name(rows[2], config)} is best" in said


def test_table_sorts_by_a_click_and_a_third_click_restores_reading_order(
    html: str, found: list[Ablated], browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "ablation.html"
    file.write_text(html, encoding="utf-8")
    browser.open(file, width=700)
    column = "return [...document.querySelector('.sortable').tBodies[0].rows].map(row => +row.cells[3].dataset.value)"
    orders = [browser.run(column)]
    for _ in range(3):
        browser.run("document.querySelector('.sortable').tHead.rows[0].cells[3].querySelector('button').click()")
        orders.append(browser.run(column))
    reading, falling, rising, restored = orders
    assert reading == [row["macro_f1"] for row in found[0].systems] == restored
    assert falling == sorted(reading, reverse=True)
    assert rising == sorted(reading)
    assert browser.run("return document.documentElement.scrollWidth") <= 700
    assert browser.messages() == []


def test_example_in_the_documentation_is_a_configuration_of_as_many_runs_as_it_says() -> None:
    text = DOCUMENT.read_text("utf-8")
    example = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    config = parse(yaml.safe_load(example[1]))
    (one,) = ablated.settings_compared(config)
    assert (one.named["target"], one.named["protocol"]) == ("voice-distribution", "chou")
    assert (len(ablate.levels_of(one, config)), ablated.measure_of(one, config)) == (24, "macro_f1")
    assert "24 systems × 5 folds × 4 seeds = 480 runs" in " ".join(text.split())
    assert config.finetune.seeds == 4
