"""The first screen: a verdict that claims what the test allows, points of trust, and a title that fits the run."""

import re
import shutil
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
from tests.report.test_page import copy_without_training, outline, section

from avpretext import shards
from avpretext.config import Config
from avpretext.evaluation.kinds import MEASURE_NAMES
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.artefacts import schema_of
from avpretext.flow.paths import Layout
from avpretext.options.corpora import ProtocolName
from avpretext.report import first_screen, glossary, page
from avpretext.report.gains import Gain, verdict

pytestmark = pytest.mark.usefixtures("plain_charts")

BETTER, LUCKY, WORSE = (
    Gain("energy", 0.05, 0.02, 0.08, 0.01),
    Gain("emotion", 0.07, -0.01, 0.15, 0.3),
    Gain("clusters", -0.02, -0.05, 0.01, 1.0),
)


def test_verdict_claims_a_gain_only_where_the_corrected_test_does() -> None:
    assert verdict([BETTER, LUCKY, WORSE], "UAR") == (
        "Pre-training helps here.",
        "With energy, UAR changes by +0.050 [+0.020, +0.080]: significant after correction for 3 comparisons"
        " (Holm p = 0.010).",
    )
    words, evidence = verdict([LUCKY, WORSE], "UAR")
    assert words == "Pre-training is not shown to help."
    assert evidence.startswith("With emotion, the best, UAR changes by +0.070")
    assert "not significant after correction for 2 comparisons (Holm p = 0.300)" in evidence
    assert verdict([WORSE], "UAR")[0] == "Pre-training does not help here."
    assert verdict([WORSE._replace(difference=0.01, p=None)], "UAR")[1].endswith(": not tested.")
    assert verdict([], "UAR")[0] == "Nothing was compared."


def checks_of(config: Config) -> dict[str, first_screen.Check]:
    run = OpenRun(config)
    return {f"{one.name} {one.section}": one for one in first_screen.checks(run, page.facts(run))}


def test_points_of_trust_count_what_the_files_hold(results: Config, tmp_path: Path) -> None:
    found = checks_of(copy_without_training(results, tmp_path))
    assert found["Refused clips data"].says == "6 of 222 (3 %)"
    emotion = pl.read_parquet(Path(results.results) / "demo_talk" / "labels_emotion" / "all.parquet")
    given = emotion["confidence"].drop_nulls()
    share = f"{100 * (given < 0.5).mean():.0f} % unsure (confidence below 0.5)"  # type: ignore[operator]
    assert found["Emotion labels faces"].says == f"{share}; how many are wrong is not known: look at the faces"
    assert not found["Emotion labels faces"].fine, "no truth is at hand"
    seen = pl.concat(
        [pl.read_parquet(file, columns=["detected"]) for file in Path(tmp_path).glob("*/landmarks/*.parquet")]
    )["detected"]
    percent = float(100 * np.mean(seen.to_numpy()))
    assert found["Faces found faces"] == ("Faces found", f"in {percent:.0f} % of the frames", percent >= 90, "faces")
    assert found["Warnings labels"] == ("Warnings", "none", True, "labels")


def test_a_rare_label_and_many_refusals_are_to_be_looked_at(results: Config, tmp_path: Path) -> None:
    config = copy_without_training(results, tmp_path)
    path = Layout(tmp_path).path("labels_emotion", corpus="demo_talk")
    rows, made_by = pl.read_parquet(path), shards.read_provenance(path)
    rare = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("fear")).otherwise(pl.lit("anger"))
    two = rows.filter(pl.col("label").is_not_null()).drop("score_disgust", "score_happiness", "score_neutral")
    labelled = two.drop("score_sadness").with_columns(label=rare)
    columns = {"score_*": ["score_anger", "score_fear"]}
    shards.write_table(path, labelled.to_dicts(), schema_of("labels_emotion", columns), made_by)
    refused = [
        {"clip_id": f"x{n}", "path": f"x{n}", "stage": "index", "reason": "unreadable", "detail": ""} for n in range(50)
    ]
    shards.write_table(Layout(tmp_path).path("rejects", corpus="demo_talk"), refused, schema_of("rejects"), {})
    found = checks_of(config)
    share = 100 / labelled.height
    assert found["Label balance labels"] == (
        "Label balance",
        f"of the emotion labels fear is rarest ({share:.0f} %), anger most frequent ({100 - share:.0f} %)",
        False,
        "labels",
    )  # fmt: skip
    assert not found["Refused clips data"].fine
    html = page.render(config)
    assert len(re.findall(r'<li class="look"><a href="#\w+"><b>! look</b>', html)) >= 2
    assert "Look at the points marked" in html


def test_several_settings_are_judged_one_by_one_and_their_warnings_counted(results: Config) -> None:
    html = page.render(results)
    assert html.count('<p class="verdict">') == 3
    assert "Warnings: 1 about the results" in html
    assert '<a href="#trust"><b>! look</b> <span>Test speakers: 6, too few to tell small gains from luck</span>' in html


def unlabelled(results: Config, folder: Path, *without: str) -> Config:
    """Copy the results of the corpus that is pre-trained on alone; its speakers are not known."""
    shutil.copytree(results.results, folder, dirs_exist_ok=True)
    for part in ("demo_acted", "demo_rated", *without):
        shutil.rmtree(folder / part)
    for file in folder.rglob("index/*.parquet"):
        rows, made_by = pl.read_parquet(file), shards.read_provenance(file)
        nameless = rows.with_columns(speaker=pl.lit(None, dtype=pl.String))
        shards.write_table(file, nameless.to_dicts(), schema_of("index"), made_by)
    return results.model_copy(update={"results": str(folder), "corpora": {"demo_talk": results.corpora["demo_talk"]}})


def title(html: str) -> str:
    found = re.search(r"<h1>(.*?)</h1>", html)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("without", "heading", "verdict_words"),
    [
        ((), "A speech encoder, pre-trained on labels read off talking faces", "Nothing was compared."),
        (("pretrain",), "Labels read off talking faces", "Nothing was trained or compared."),
    ],
)
def test_a_run_without_labelled_corpora_promises_no_comparison(
    results: Config, tmp_path: Path, without: tuple[str, ...], heading: str, verdict_words: str
) -> None:
    html = page.render(unlabelled(results, tmp_path, *without))
    outline(html)
    assert title(html) == heading
    assert f"<strong>{verdict_words}</strong>" in html
    assert "worth to speech emotion recognition" not in html
    assert "compared with the same encoder" not in html
    assert "<dt>Speakers</dt><dd>not known</dd>" in html
    assert '<td class="number">not known</td>' in section(html, "data")
    assert 'href="#results"' not in html


def test_every_table_says_what_a_row_is(html: str) -> None:
    tables = list(re.finditer(r"<table.*?</table>", html, re.DOTALL))
    assert len(tables) > 30
    for table in tables:
        shared = re.match(r'<table class="heat (confusion|agreement)"', table[0])  # several below one figcaption
        said = html[table.end() :].partition("</figcaption>")[0] if shared else table[0].partition("</caption>")[0]
        assert re.search(r"\b(A|Each) row\b", said), said[:300]


def test_each_word_is_explained_once_where_it_is_tapped(html: str) -> None:
    parsed = outline(html)
    explained = [name for name in parsed.values("id") if name.startswith("word-")]
    assert sorted(parsed.values("popovertarget")) == sorted(explained)
    assert {"word-macro-f1", "word-uar", "word-holm", "word-ccc", "word-units", "word-protocol-speaker-kfold"} <= set(
        explained
    )
    assert "AU12 lip corner puller" in html


def test_every_measure_and_protocol_has_an_explanation() -> None:
    assert set(glossary.PROTOCOLS) == set(get_args(ProtocolName))
    assert set(glossary.MEASURES) == set(MEASURE_NAMES)


def test_labels_of_low_confidence_are_called_unsure(results: Config, tmp_path: Path) -> None:
    config = copy_without_training(results, tmp_path)
    path = Layout(tmp_path).path("labels_emotion", corpus="demo_talk")
    rows: list[dict[str, Any]] = pl.read_parquet(path).to_dicts()
    sure = [{**row, "confidence": 0.9 if row["label"] == "anger" else 0.3} for row in rows]
    names = [name for name in rows[0] if name.startswith("score_")]
    schema = schema_of("labels_emotion", {"score_*": names})
    shards.write_table(path, sure, schema, shards.read_provenance(path))
    pictures = re.findall(r'alt="Face labelled (\w+),.*?<b>(0\.\d\d)</b>(.*?)<br>', page.render(config), re.DOTALL)
    assert {label for label, _, _ in pictures} >= {"anger", "fear"}
    assert all(("unsure" in after) == (label != "anger") for label, _, after in pictures)
