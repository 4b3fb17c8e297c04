"""The report: self-contained, well formed, honest about the demo, and safe against what clips are called."""

import base64
import hashlib
import itertools
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from avpretext import shards
from avpretext.config import Config, ReportOptions
from avpretext.config_file import parse
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.paths import Layout
from avpretext.report import page

VOID = {"meta", "link", "br", "img", "hr", "input", "col"}
LOADING = {"src", "srcset", "poster", "data", "action", "formaction", "background"}


class Outline(HTMLParser):
    """Elements, attributes and text of a page; fails when an end tag does not fit."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append((self.open[-1] if self.open else "", data.strip()))

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] or "" for _, attributes in self.elements if attribute in attributes]


def outline(text: str) -> Outline:
    parsed = Outline()
    parsed.feed(text)
    parsed.close()
    assert parsed.open == []
    return parsed


@pytest.fixture(scope="module")
def parsed(html: str) -> Outline:
    return outline(html)


def test_first_line_says_that_it_is_the_demo(parsed: Outline) -> None:
    shown = [text for tag, text in parsed.text if tag not in ("title", "style")]
    assert shown[0].startswith("This report speaks of the demo: all of its corpora are synthetic")


def test_real_corpora_are_not_called_a_demo(tmp_path: Path) -> None:
    corpora = {"mine": {"path": ".", "reader": "folder", "use": ["pretrain"]}}
    html = page.render(parse({"results": str(tmp_path / "none"), "corpora": corpora}))
    assert "demo" not in html
    assert "synthetic" not in html


def test_nothing_is_loaded_from_elsewhere(html: str, parsed: Outline) -> None:
    addresses = [value for name in LOADING for value in parsed.values(name)]
    addresses += [value for name in ("href", "xlink:href") for value in parsed.values(name)]
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert not re.findall(r"@import|url\((?!#)", html)
    assert scripts(parsed) == OURS


OURS: list[str | None] = ["application/json", None, None, None, None]
"""Kinds of the scripts of the page: the data of the explorer, and `page.SCRIPTS`."""


def scripts(parsed: Outline) -> list[str | None]:
    return [attributes.get("type") for tag, attributes in parsed.elements if tag == "script"]


def test_policy_allows_the_scripts_of_the_page_and_no_request(html: str, parsed: Outline) -> None:
    (policy,) = (attributes["content"] or "" for _, attributes in parsed.elements if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src" not in policy
    for code in re.findall(r"<script>(.*?)</script>", html, re.DOTALL):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'" in policy


def test_identifiers_are_unique_and_every_link_has_its_target(html: str, parsed: Outline) -> None:
    identifiers = parsed.values("id")
    assert len(identifiers) == len(set(identifiers))
    anchors = [value[1:] for value in parsed.values("href") if value.startswith("#")]
    wanted = {value for value in anchors if not value.startswith("clip=")}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", html))
    assert wanted <= set(identifiers)
    shown = {clip["id"] for clip in explored(html)["clips"]} | {clip["clip_id"] for clip in explored(html)["refused"]}
    linked = {value.removeprefix("clip=") for value in anchors if value.startswith("clip=")}
    assert len(linked) > 10
    assert linked <= shown


def explored(html: str) -> dict[str, Any]:
    """Return the data of the explorer."""
    found = re.search(r'<script type="application/json" id="explorer-data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_page_is_readable_by_a_screen_reader(parsed: Outline) -> None:
    assert dict(parsed.elements)["html"] == {"lang": "en"}
    drawings = [attributes for tag, attributes in parsed.elements if tag == "svg"]
    assert drawings
    assert all(attributes.get("role") == "img" and attributes.get("aria-label") for attributes in drawings)
    headings = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch(r"h\d", tag)]
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings))
    scrolling = [attributes for _, attributes in parsed.elements if "scroll" in (attributes.get("class") or "").split()]
    assert all(attributes.get("tabindex") == "0" and attributes.get("aria-label") for attributes in scrolling)


def test_every_section_is_there_with_captions(parsed: Outline) -> None:
    sections = {attributes.get("id") for tag, attributes in parsed.elements if tag == "section"}
    assert sections == {
        "results", "confusions", "trust", "data", "features", "labels", "faces", "sample", "clips", "training", "truth",
        "provenance",
    }  # fmt: skip
    figures = [tag for tag, _ in parsed.elements if tag in ("figure", "figcaption")]
    assert figures == ["figure", "figcaption"] * (len(figures) // 2)
    assert len(figures) >= 2 * 15


def test_results_stand_in_a_section_for_each_corpus_and_setting(html: str, parsed: Outline) -> None:
    headings = [text for tag, text in parsed.text if tag == "h3"]
    acted, shares, rated = (
        "demo_acted, target acted, protocol speaker_kfold",
        "demo_acted, target voice-distribution, protocol speaker_kfold",
        "demo_rated, target arousal, protocol partitions",
    )
    assert headings[:5] == [acted, shares, rated, acted, shares]
    matrices = [label for label in parsed.values("aria-label") if label.startswith("Confusion matrix")]
    assert len(matrices) == 6
    warnings = [text for tag, text in parsed.text if tag == "p" and text.startswith("NOT speaker-independent")]
    assert len(warnings) == 1
    assert html.index(warnings[0]) > html.index(rated)
    assert "Protocol partitions: 4 folds" in html


def test_trust_shows_calibration_speakers_sexes_and_raters_of_the_settings_that_have_them(html: str) -> None:
    section = html.split('<section id="trust">')[1].split("</section>")[0]
    acted, shares, rated = section.split("<h3>")[1:]
    for part in (acted, shares):
        assert part.count('aria-label="Reliability of ') == 3
        assert "<caption><span>A row is a system. Expected calibration error" in part
        assert "female − male" in part
    assert "Expected calibration error" not in rated
    assert "By sex: not known, the reader <code>folder</code>" in rated
    assert all(part.count('aria-label="Macro-F1 of each test speaker: scratch, 8 speakers') for part in (acted, shares))
    assert [part.count("Confusion of single raters, recall: anger ") for part in (acted, shares, rated)] == [0, 1, 0]
    assert [part.count("<h4>Noise, codecs and rooms") for part in (acted, shares, rated)] == [1, 0, 0]
    assert re.search(
        r'aria-label="Macro-F1 by condition of the test clips: svm\w*: clean 0\.\d+, noise10 0\.\d+', acted
    )
    assert all(f'class="number">{name}</th>' in acted for name in ("clean", "noise10", "noise0", "telephone"))


@pytest.mark.usefixtures("plain_charts")
def test_a_run_before_the_stage_trust_has_no_section_on_it(results: Config, tmp_path: Path) -> None:
    shutil.copytree(results.results, tmp_path, dirs_exist_ok=True)
    for corpus in ("demo_acted", "demo_rated"):
        shutil.rmtree(tmp_path / corpus / "trust")
    assert "#trust" not in page.render(results.model_copy(update={"results": str(tmp_path)}))


@pytest.mark.usefixtures("plain_charts")
def test_classes_have_no_section_where_only_numbers_are_learnt(results: Config, tmp_path: Path) -> None:
    shutil.copytree(results.results, tmp_path, dirs_exist_ok=True)
    for part in ("pretrain", "demo_acted/evaluate", "demo_rated/finetune"):
        shutil.rmtree(tmp_path / part)
    html = page.render(results.model_copy(update={"results": str(tmp_path)}))
    assert "#results" in html
    assert "confusions" not in html


def test_sample_shows_frames_with_landmarks_and_a_frame_without_face(parsed: Outline) -> None:
    frames = [attributes["aria-label"] or "" for tag, attributes in parsed.elements
              if tag == "svg" and (attributes["aria-label"] or "").startswith("Frame at")]  # fmt: skip
    assert len(frames) == 8
    assert any("landmarks" in label for label in frames)


def copy_without_training(results: Config, folder: Path) -> Config:
    """Copy the results but for what takes long to draw; return the configuration that names the copy."""
    shutil.copytree(results.results, folder, dirs_exist_ok=True)
    for part in ("pretrain", "demo_acted/finetune", "demo_acted/evaluate", "demo_rated"):
        shutil.rmtree(folder / part)
    return results.model_copy(update={"results": str(folder)})


def rename_all(corpus: Path, prefix: str) -> None:
    """Put a prefix before every clip_id and speaker in the files of a corpus."""
    for path in corpus.rglob("*.parquet"):
        rows, made_by = pq.read_table(path), shards.read_provenance(path)
        for column in {"clip_id", "speaker"} & set(rows.column_names):
            values = [value and prefix + value for value in rows[column].to_pylist()]
            rows = rows.set_column(rows.column_names.index(column), column, [values])
        shards.write_table(path, rows, rows.schema, made_by)


@pytest.mark.usefixtures("plain_charts")
def test_hostile_names_are_text_not_markup(results: Config, tmp_path: Path) -> None:
    hostile = '"><script>alert(\'1\')</script> & "Zoë" 🎬'
    config, layout = copy_without_training(results, tmp_path), Layout(tmp_path)
    rename_all(tmp_path / "demo_talk", hostile)
    refused = [{"clip_id": hostile, "path": hostile, "stage": "split", "reason": "no_audio", "detail": hostile}]
    shards.write_table(layout.path("rejects", corpus="demo_talk"), refused, schema_of("rejects"), {})
    html = page.render(config)
    assert scripts(outline(html)) == OURS
    assert [row["detail"] for row in explored(html)["refused"] if row["corpus"] == "demo_talk"] == [hostile]
    assert "&lt;script&gt;alert(" in section(html, "sample")
    assert section(html, "faces").count("&lt;script&gt;") > 10
    assert section(html, "labels").count("&lt;script&gt;") >= 10  # the table of speakers


def section(html: str, name: str) -> str:
    start = html.index(f'<section id="{name}">')
    return html[start : html.index("</section>", start) + len("</section>")]


def test_faces_show_pictures_of_each_label_and_what_the_units_make_of_it(html: str) -> None:
    shown = outline(section(html, "faces"))
    pictures = [attributes for tag, attributes in shown.elements if tag == "img"]
    assert {(attributes["alt"] or "").split(",")[0].removeprefix("Face labelled ") for attributes in pictures} == {
        "anger", "disgust", "fear", "happiness", "neutral", "sadness",
    }  # fmt: skip
    assert all((attributes["src"] or "").startswith("data:image/jpeg;base64,/9j/") for attributes in pictures)
    assert any(label.startswith("How often each action unit is active: AU01") for label in shown.values("aria-label"))
    assert any(label.startswith("Combinations of action units") for label in shown.values("aria-label"))
    titles = {attributes["title"] for tag, attributes in shown.elements if tag == "th" and "title" in attributes}
    assert {"lip corner puller", "eyes closed"} <= titles
    assert len(titles) == len(ACTION_UNITS)


def without_pictures(config: Config) -> Config:
    return config.model_copy(update={"report": ReportOptions(pictures=False)})


@pytest.mark.usefixtures("plain_charts")
def test_page_without_pictures_shows_no_face_but_all_else(results: Config, tmp_path: Path) -> None:
    config = copy_without_training(results, tmp_path)
    page.run(without_pictures(config), tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text("utf-8")
    assert "data:image/jpeg;base64,/9j/" not in html
    assert not any("pictures" in clip for clip in explored(html)["clips"])
    assert '"energy":"' in html
    assert "Face labelled" not in html
    assert "How often each action unit is active" in section(html, "faces")
    assert "Energy, facial motion, action units" in section(html, "sample")


@pytest.mark.usefixtures("plain_charts")
def test_same_results_give_the_same_bytes_and_time_lies_beside(results: Config, tmp_path: Path) -> None:
    page.run(copy_without_training(results, tmp_path / "one"), tmp_path / "one.html")
    before = (tmp_path / "time.csv").read_text()
    (tmp_path / "one").rename(tmp_path / "moved")
    for path in (tmp_path / "moved" / "benchmarks").rglob("*.tsv"):
        path.write_text("s\th:m:s\tmax_rss\n9.9\t0:00:09\tNA\n")
    page.run(results.model_copy(update={"results": str(tmp_path / "moved")}), tmp_path / "two.html")
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    after = (tmp_path / "time.csv").read_text()
    assert before.splitlines()[0] == "stage,jobs,all_s,longest_s,memory_mb"
    assert after != before
    assert "9.9" in after


@pytest.mark.usefixtures("plain_charts")
def test_audio_only_corpus_shows_its_energy_alone(results: Config, tmp_path: Path) -> None:
    config = copy_without_training(results, tmp_path)
    for stage in ("landmarks", "motion", "action_units", "labels_activation", "labels_emotion"):
        shutil.rmtree(tmp_path / "demo_talk" / stage)
    for name in ("action_units", "au_combinations"):
        Path(Layout(tmp_path).path("tables", table=f"{name}.csv")).unlink()
    html = page.render(config)
    labels = outline(html).values("aria-label")
    assert any(label.startswith("Energy of 1100") for label in labels)
    assert "Face speed" not in html
    assert 'id="faces"' not in html


@pytest.mark.usefixtures("plain_charts")
def test_page_of_an_unfinished_run_leaves_out_what_is_missing(tmp_path: Path) -> None:
    corpora = {"mine": {"path": ".", "reader": "folder", "use": ["pretrain"]}}
    config = parse({"results": str(tmp_path / "none"), "corpora": corpora})
    page.run(config, tmp_path / "report.html")
    elements = outline((tmp_path / "report.html").read_text("utf-8")).elements
    sections = [attributes.get("id") for tag, attributes in elements if tag == "section"]
    assert sections == ["data", "provenance"]


@pytest.mark.usefixtures("plain_charts")
def test_what_is_not_made_of_a_silent_corpus_is_said_where_it_would_be(results: Config) -> None:
    mute = results.corpora["demo_talk"].model_copy(update={"audio": False})
    text = page.render(results.model_copy(update={"corpora": results.corpora | {"demo_talk": mute}}))
    outline(text)
    assert "demo_talk: its sound is not read (audio: false). Its faces give labels of activation and emotion." in text
    assert "no labels of energy, and no model is trained on its clips" in text
    assert "No model is pre-trained: no corpus of" in text
    assert text.count('<span class="tag">video only</span>') == 1
    assert "No labels of energy: its sound is not read" in text
    assert "<dt>Video alone</dt>" in text
    assert "Facial motion, action units and chunk labels of" in text
