"""The report in a real browser: no errors, no requests, tables that sort, an explorer that finds, readable anywhere."""

import re
import shutil
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait
from tests.report.browser import Browser
from tests.report.test_page import copy_without_training, explored, rename_all, without_pictures

from avpretext.config import Config
from avpretext.flow.paths import Layout
from avpretext.report import page
from avpretext.report.theme import COLOURS

FOLDED = ("confusions", "trust", "data", "features", "labels", "faces", "sample", "clips", "training", "truth")

HOSTILE = "</script><script>document.title='taken'</script>\"'&<img src=x onerror=\"document.title='taken'\">"

CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const rgba = colour => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
};
const over = (top, below) => [0, 1, 2].map(k => top[k] * top[3] + below[k] * (1 - top[3]));
const background = element => {
  const layers = [];
  for (let at = element; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
};
const luminance = colour => colour.map(v => v / 255)
  .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
const opacity = element => {
  let all = 1;
  for (let at = element; at; at = at.parentElement) all *= getComputedStyle(at).opacity;
  return all;
};
const skipped = 'script, style, noscript, option, :disabled, [aria-hidden=true]';
const poor = new Map();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
  if (!text || !element.checkVisibility() || element.closest(skipped)) continue;
  const below = background(element), style = getComputedStyle(element);
  const ink = rgba(element.closest('svg') ? style.fill : style.color);
  ink[3] *= opacity(element);
  const [light, dark] = [luminance(over(ink, below)), luminance(below)].sort((one, other) => other - one);
  const ratio = (light + 0.05) / (dark + 0.05);
  const name = `${element.tagName}.${element.getAttribute('class')} ${text.slice(0, 30)}`;
  if (ratio < 4.5) poor.set(name, ratio.toFixed(2));
}
return [...poor];
"""
"""Text whose contrast with what is behind it is below 4.5, the level AA of WCAG 2.2 for text of any size."""


def unfold(browser: Browser) -> None:
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_opens_from_disk_without_messages_or_requests_and_fits_its_width(
    browser: Browser, report_file: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    browser.open(report_file, width=width, scheme=scheme)
    unfold(browser)
    assert browser.run("return document.documentElement.scrollWidth") == width
    assert len(browser.all(".clip")) == 20
    assert browser.messages() == []
    assert browser.requests() == [report_file.as_uri()]
    assert browser.run(CONTRAST) == []
    names = browser.run("return [...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(names) == len(set(names))


def test_the_page_could_not_load_anything_if_it_tried(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    browser.run("document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/x.png' }))")
    browser.run("fetch('http://127.0.0.1:9/').catch(() => {})")
    said = browser.messages()
    assert len(said) >= 2
    assert all("Content Security Policy" in message for message in said)


def is_open(browser: Browser, section: str) -> bool:
    return bool(browser.run("return document.getElementById(arguments[0]).checkVisibility()", section))


def test_first_screen_has_verdict_differences_and_trust_and_the_rest_is_folded(
    browser: Browser, report_file: Path
) -> None:
    browser.open(report_file, width=1200)
    for part in (".verdict strong", ".first figure svg", ".checks li:last-child", ".next"):
        assert browser.run("return document.querySelector(arguments[0]).getBoundingClientRect().bottom", part) <= 900
    assert browser.find("#results table.main").is_displayed()
    assert not any(is_open(browser, section) for section in FOLDED)


@pytest.mark.parametrize("scripts", ["", ".disabled"])
def test_a_link_opens_its_section_and_so_does_an_address(
    browser: Browser, report_file: Path, tmp_path: Path, scripts: str
) -> None:
    file = tmp_path / "report.html"
    file.write_text(report_file.read_text("utf-8").replace("script-src ", f"script-src{scripts} "), "utf-8")
    browser.open(file)
    for section in FOLDED:
        browser.find(f"nav a[href='#{section}']").click()
        assert is_open(browser, section)
        assert browser.run("return document.getElementById(arguments[0]).getBoundingClientRect().top", section) > 0
    browser.open(file, "#labels")
    assert is_open(browser, "labels")
    assert not is_open(browser, "faces")
    browser.find("details.fold:has(#faces) > summary").click()
    assert is_open(browser, "faces")
    browser.find(".checks a[href='#data']").click()
    assert is_open(browser, "data")


def test_a_word_is_explained_by_a_tap(browser: Browser, report_file: Path) -> None:
    browser.open(report_file, width=400)
    word = browser.find("#word-holm")
    assert not word.is_displayed()
    browser.find("[popovertarget=word-holm]").click()
    assert "Holm 1979" in word.text
    box = browser.run("const at = arguments[0].getBoundingClientRect(); return [at.left, at.right]", word)
    assert 0 <= box[0] < box[1] <= 400
    ActionChains(browser.driver).send_keys(Keys.ESCAPE).perform()
    assert not word.is_displayed()


SMALLEST_TEXT = """
return [...document.querySelectorAll('figure svg')].filter(svg => svg.querySelector('text')).map(svg => {
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  const sizes = [...svg.querySelectorAll('text')].map(text => scale * parseFloat(getComputedStyle(text).fontSize));
  const box = svg.closest('.scroll, .panel').getBoundingClientRect();
  return [svg.ariaLabel.slice(0, 40), Math.min(...sizes), box.left >= 0 && box.right <= innerWidth];
});
"""


def test_on_a_phone_charts_can_be_read_and_the_main_table_keeps_its_names(browser: Browser, report_file: Path) -> None:
    browser.open(report_file, width=400)
    unfold(browser)
    charts = browser.run(SMALLEST_TEXT)
    assert len(charts) > 20
    assert [chart for chart in charts if chart[1] < 9 or not chart[2]] == []
    box = browser.find("#results .scroll:has(> table.main)")
    browser.run("arguments[0].scrollLeft = 300", box)
    place = "return arguments[0].querySelector(arguments[1]).getBoundingClientRect().left"
    left = browser.run("return arguments[0].getBoundingClientRect().left", box)
    assert browser.run(place, box, "tbody th") == left
    assert browser.run(place, box, "tbody td") < left
    assert browser.run("return arguments[0].querySelector('tbody th').offsetWidth", box) < 170


def number(text: str) -> float | None:
    """Return the number that a cell begins with."""
    found = re.search(r"[-+]?\d*\.?\d+", text.replace("−", "-").replace(",", ""))
    return float(found[0]) if found else None


SORT_EVERY_COLUMN = """
return [...document.querySelectorAll('table.sortable')].flatMap(table => {
  const heads = [...[...table.tHead.rows].at(-1).cells], marked = table.querySelector('[data-value]') !== null;
  return heads.map((head, place) => {
    const cells = () => [...table.tBodies[0].rows].map(row => row.cells[place].textContent.trim());
    const states = [head.ariaSort], orders = [cells()];
    for (let click = 0; click < 3; click++) {
      head.querySelector('button').click();
      states.push(head.ariaSort);
      orders.push(cells());
    }
    return { numbers: head.classList.contains('number') && !marked, states, orders };
  });
});
"""


def test_every_column_of_every_table_sorts_both_ways_and_back(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    columns = browser.run(SORT_EVERY_COLUMN)
    assert len(columns) > 100
    for column in columns:
        none, first, second, back = column["states"]
        assert (none, back, {first, second}) == (None, None, {"ascending", "descending"})
        reading, once, twice, again = column["orders"]
        assert again == reading
        assert sorted(once) == sorted(twice) == sorted(reading)
        if column["numbers"]:
            assert first == "descending"
            values = [value for value in map(number, once) if value is not None]
            assert values == sorted(values, reverse=True)
    assert sum(column["numbers"] for column in columns) > 40


def test_missing_values_come_last_whichever_way_a_table_is_sorted(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    script = """
      const tables = [...document.querySelectorAll('table.sortable')];
      const table = tables.find(one => one.caption?.textContent.includes(arguments[0]));
      const head = [...table.tHead.rows[0].cells].findIndex(one => one.textContent === arguments[1]);
      const button = table.tHead.rows[0].cells[head].querySelector('button'), found = [];
      for (let click = 0; click < 2; click++) {
        button.click();
        found.push([...table.tBodies[0].rows].map(row => row.cells[head].textContent));
      }
      return found;
    """
    for order in browser.run(script, "Synthetic demo corpus", "difference to scratch"):
        assert order[-1] == "–"
        assert "–" not in order[:-1]


def test_a_table_sorts_by_the_keyboard_alone(browser: Browser, report_file: Path) -> None:
    browser.open(report_file)
    head = browser.find("table.main thead th:nth-child(2)")
    browser.run("arguments[0].querySelector('button').focus()", head)
    for key, state in ((Keys.ENTER, "descending"), (Keys.SPACE, "ascending"), (Keys.ENTER, None)):
        ActionChains(browser.driver).send_keys(key).perform()
        assert head.get_attribute("aria-sort") == state
    ActionChains(browser.driver).send_keys(Keys.TAB).perform()
    assert (
        browser.run("return document.activeElement.textContent")
        == browser.find("table.main thead th:nth-child(3)").text
    )


def ids(browser: Browser) -> list[str]:
    return [link.text for link in browser.all(".clip .who a")]


def status(browser: Browser) -> str:
    return browser.find("#explorer-found").text


def choose(browser: Browser, facet: str, value: str) -> None:
    Select(browser.find(f"#explorer-{facet}")).select_by_value(value)


@pytest.fixture
def data(html: str) -> dict[str, Any]:
    return explored(html)


def test_explorer_shows_labels_pictures_and_traces_of_every_clip(
    browser: Browser, report_file: Path, data: dict[str, Any]
) -> None:
    browser.open(report_file, "#clips")
    everything = len(data["clips"]) + len(data["refused"])
    assert everything == 12 * (10 + 8 + 6) + 9
    assert status(browser) == f"{everything} of {everything} clips; 1 to 20 are shown."
    choose(browser, "corpus", "demo_acted")
    assert status(browser).startswith(f"{96 + 3} of {everything} clips")
    choose(browser, "corpus", "demo_talk")
    row = browser.find(".clip")
    clip = next(clip for clip in data["clips"] if clip["corpus"] == "demo_talk" and clip["id"] == ids(browser)[0])
    assert clip["emotion"] in row.text
    assert f"{clip['seconds']:.2f}" in row.text
    assert browser.run("return [...arguments[0].querySelectorAll('img')].map(one => one.naturalWidth)", row) == [
        80,
        80,
        80,
    ]
    drawings = browser.run(
        "return [...arguments[0].querySelectorAll('svg')].map(one => one.getAttribute('aria-label'))", row
    )
    high = clip["energy_labels"].count("h")
    assert drawings[:3] == ["energy over the clip", f"{high} of 5 chunks high", "motion over the clip"]
    assert len(drawings) == 4 + 3
    assert browser.run("return arguments[0].querySelectorAll('.energy rect.high').length", row) == high


def test_explorer_filters_by_label_speaker_reason_and_name(
    browser: Browser, report_file: Path, data: dict[str, Any]
) -> None:
    browser.open(report_file, "#clips")
    total = len(data["clips"]) + len(data["refused"])
    angry = [clip for clip in data["clips"] if clip.get("emotion") == "anger"]
    choose(browser, "emotion", "anger")
    assert status(browser).startswith(f"{len(angry)} of {total} clips")
    both = [clip["id"] for clip in angry if clip["speaker"] == angry[0]["speaker"]]
    choose(browser, "speaker", angry[0]["speaker"])
    assert ids(browser) == both
    browser.find("#explorer-filters button").click()
    assert status(browser).startswith(f"{total} of {total}")
    choose(browser, "status", "no_face")
    assert len(browser.all(".clip.refused")) == 3
    assert "no face is found in enough of the frames: <b>&" in browser.find(".clip .why").text
    choose(browser, "status", "refused")
    assert len(browser.all(".clip.refused")) == 9
    choose(browser, "status", "")
    browser.find("#explorer-text").send_keys("1103_dfa_FEA_1")
    assert set(ids(browser)) == {"1103_DFA_FEA_1"}
    browser.find("#explorer-text").send_keys("nothing")
    assert status(browser) == f"None of {total} clips fits."
    assert browser.all(".clip") == []


def test_explorer_filters_by_chunk_labels_and_orders_by_sureness(
    browser: Browser, report_file: Path, data: dict[str, Any]
) -> None:
    browser.open(report_file, "#clips")
    loud = [c for c in data["clips"] if c.get("energy_labels", "").count("h") > c.get("energy_labels", "").count("l")]
    choose(browser, "energy", "mostly high")
    assert status(browser).startswith(f"{len(loud)} of ")
    choose(browser, "order", "sure")
    best = max(clip["sure"] for clip in loud if "sure" in clip)
    assert f"{best:.2f}" in browser.find(".clip .emotion").text
    choose(browser, "order", "unsure")
    least = min(clip["sure"] for clip in loud if "sure" in clip)
    assert f"{least:.2f}, unsure" in browser.find(".clip .emotion").text


def test_explorer_turns_its_pages_by_the_keyboard(browser: Browser, report_file: Path) -> None:
    browser.open(report_file, "#clips")
    first = ids(browser)
    buttons = browser.all("#explorer-pages button")
    assert [button.is_enabled() for button in buttons] == [False, True]
    buttons[1].send_keys(Keys.ENTER)
    assert "Page 2 of" in browser.find("#explorer-pages").text
    assert set(zip(ids(browser), first, strict=True)) & {(one, one) for one in first} == set()
    browser.run("document.getElementById('explorer-text').focus()")
    names = []
    for _ in range(4):
        names.append(browser.run("return document.activeElement.id"))
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
    assert names == ["explorer-text", "explorer-status", "explorer-corpus", "explorer-emotion"]
    outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_a_link_to_a_clip_shows_that_clip_from_anywhere_on_the_page(browser: Browser, report_file: Path) -> None:
    browser.open(report_file, "#clip=1105_DFA_SAD_1")
    assert status(browser).startswith("The clip 1105_DFA_SAD_1.")
    assert set(ids(browser)) == {"1105_DFA_SAD_1"}
    assert browser.run("return Math.abs(document.getElementById('clips').getBoundingClientRect().top) < 200")
    unfold(browser)
    link = browser.find("#faces .emotions a")
    browser.run("arguments[0].click()", link)
    assert status(browser).startswith(f"The clip {link.text}.")
    browser.find("#explorer-found button").click()
    assert "1 to 20 are shown" in status(browser)
    browser.open(report_file, "#clip=no%20such")
    assert status(browser).startswith("No clip no such is among those shown here.")


def test_names_that_look_like_markup_are_text(browser: Browser, results: Config, tmp_path: Path) -> None:
    config = copy_without_training(results, tmp_path / "run")
    rename_all(tmp_path / "run" / "demo_talk", HOSTILE)
    file = tmp_path / "report.html"
    page.run(config, file)
    browser.open(file, "#clip=" + page.anchor(HOSTILE + "1100_DFA_ANG_0"))
    assert browser.run("return document.title") == "avpretext report (demo)"
    assert browser.messages() == []
    assert ids(browser) == [HOSTILE + "1100_DFA_ANG_0"]
    assert browser.run("return document.querySelectorAll('.clip img').length") == 3
    assert browser.run("return document.querySelectorAll('img[onerror]').length") == 0


def test_without_pictures_the_explorer_shows_traces_alone(browser: Browser, results: Config, tmp_path: Path) -> None:
    config = without_pictures(copy_without_training(results, tmp_path / "run"))
    file = tmp_path / "report.html"
    page.run(config, file)
    browser.open(file, "#clips")
    assert browser.all("img, image") == []
    assert len(browser.all(".clip .traces svg")) > 20


def test_prints_without_the_explorer_in_black_on_white_however_dark_the_screen(
    browser: Browser, report_file: Path
) -> None:
    browser.open(report_file, scheme="dark")
    browser.emulate("print", "dark")
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not browser.find("#clips").is_displayed()
    assert browser.run("return document.querySelector('#labels .speakers').checkVisibility()")
    printed = browser.pdf()
    assert printed.startswith(b"%PDF")
    assert 5 < len(re.findall(rb"/Type\s*/Page\b", printed)) < 60


def test_a_click_saves_a_chart_as_svg_in_light_colours_as_wide_as_a_column(
    browser: Browser, report_file: Path, tmp_path: Path
) -> None:
    browser.open(report_file, scheme="dark")
    unfold(browser)
    assert len(browser.all(".save")) == len(browser.all("figure svg[data-name]")) > 20
    browser.download_to(tmp_path)
    browser.run("document.querySelector('.save[aria-label$=result-0-score]').click()")
    file = tmp_path / "result-0-score.svg"
    WebDriverWait(browser.driver, 20).until(lambda _: file.is_file())
    drawing = ElementTree.parse(file).getroot()
    assert drawing.get("width") == "85mm"
    assert "energy + activation + emotion" in "".join(drawing.itertext())
    text = file.read_text("utf-8")
    assert "var(" not in text
    assert COLOURS["accent"] in text
    assert browser.messages() == []


def test_explorer_of_a_corpus_without_faces_or_refusals_opens_without_messages(
    browser: Browser, results: Config, tmp_path: Path
) -> None:
    config = copy_without_training(results, tmp_path / "run")
    for stage in ("landmarks", "motion", "action_units", "labels_activation", "labels_emotion", "rejects"):
        shutil.rmtree(tmp_path / "run" / "demo_talk" / stage)
    for name in ("action_units", "au_combinations"):
        Path(Layout(config.results).path("tables", table=f"{name}.csv")).unlink()
    file = tmp_path / "report.html"
    page.run(config, file)
    browser.open(file, "#clips", width=400)
    assert browser.messages() == []
    choose(browser, "corpus", "demo_talk")
    assert browser.run("return document.querySelector('.clip').querySelectorAll('svg').length") == 2
