"""Which clips the explorer shows, and what is known of each."""

import base64
import io
import itertools
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from avpretext import shards
from avpretext.config import Config, ReportOptions
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.paths import Layout
from avpretext.report import chosen_clips, explorer
from avpretext.report.explorer import GAP, POINTS, trace


def limited(config: Config, clips: int) -> Config:
    return config.model_copy(update={"report": ReportOptions(explorer_clips=clips)})


def test_all_clips_are_shown_where_they_are_few(results: Config) -> None:
    chosen = chosen_clips.choose(OpenRun(results))
    assert (chosen.shown, chosen.total) == (12 * 24, 12 * 24)
    assert chosen.sentence() == "All 288 clips, and the 9 that were refused."
    assert ("demo_talk", "1100_DFA_ANG_0") in chosen.ids()


def test_a_sample_holds_wanted_surest_and_ambiguous_clips_and_every_refused_one(
    results: Config, tmp_path: Path
) -> None:
    layout = Layout(results.results)
    labels = shards.read(layout.path("labels_emotion", corpus="demo_talk"))
    unsure = labels.filter(pl.col("label").is_null())["clip_id"].head(3).to_list()
    surest = {
        part.sort("confidence", "clip_id", descending=[True, False])["clip_id"][0]
        for _, part in labels.filter(pl.col("label").is_not_null()).group_by("label")
    }
    listed = {
        "demo_talk": labels.select("clip_id", pl.lit("someone").alias("speaker"), "label", "confidence").with_columns(
            pl.when(pl.col("clip_id").is_in(unsure)).then(pl.lit("ambiguous")).otherwise(pl.lit("x")).alias("outcome")
        )
    }
    chosen = set(
        chosen_clips._sample(listed, 30, [("demo_talk", "1109_DFA_SAD_1"), ("gone", "x")])["demo_talk"]["clip_id"]
    )
    assert len(chosen) == 30
    assert surest | set(unsure) | {"1109_DFA_SAD_1"} <= chosen
    whole = chosen_clips.choose(OpenRun(limited(results, 30)))
    assert (whole.shown, whole.refused.height) == (30, 9)
    assert whole.sentence().startswith("A sample of 30 of 288 clips (report.explorer_clips): the surest of each")


def test_the_sample_depends_on_names_alone(results: Config) -> None:
    one = chosen_clips.choose(OpenRun(limited(results, 50)))
    other = chosen_clips.choose(OpenRun(limited(results, 50)))
    assert one.ids() == other.ids()
    assert one.ids() < chosen_clips.choose(OpenRun(limited(results, 120))).ids()
    spread = {corpus: rows.height for corpus, rows in one.clips.items()}
    assert set(spread) == {"demo_talk", "demo_acted", "demo_rated"}


def test_refused_clips_beyond_the_limit_are_counted(results: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen_clips, "REFUSED_SHOWN", 4)
    chosen = chosen_clips.choose(OpenRun(results))
    assert (chosen.refused.height, chosen.refused_total) == (4, 9)
    assert "4 of the 9 that were refused" in chosen.sentence()


def test_nothing_is_gathered_if_nothing_is_wanted(results: Config) -> None:
    none = chosen_clips.choose(OpenRun(limited(results, 0)))
    assert (none.shown, none.refused.height) == (0, 0)
    assert explorer.explore(OpenRun(limited(results, 0)), none, 1.0) is None


def bytes_of(text: str) -> list[int]:
    return list(base64.b64decode(text))


def test_trace_is_the_mean_of_each_stretch_from_bottom_to_top() -> None:
    assert bytes_of(trace(np.array([-60.0, -30.0, 0.0, 6.0, -90.0]), -60, 0)) == [0, 127, 254, 254, 0]
    long = np.repeat(np.arange(POINTS) / (POINTS - 1), 3)
    assert bytes_of(trace(long, 0, 1)) == np.rint(np.arange(POINTS) / (POINTS - 1) * 254).tolist()
    assert len(bytes_of(trace(np.zeros(POINTS * 7 + 5), 0, 1))) == POINTS


def test_trace_knows_gaps_from_zeros() -> None:
    values = np.array([0.0, np.nan] * POINTS)
    values[:4] = np.nan
    assert bytes_of(trace(values, 0, 1)) == [GAP, GAP] + [0] * (POINTS - 2)
    assert trace(np.zeros(0), 0, 1) == ""


@pytest.fixture(scope="module")
def shown(results: Config) -> dict[str, dict[str, object]]:
    run = OpenRun(results)
    found = explorer.explore(run, chosen_clips.choose(run), 0.5)
    assert found is not None
    clips = json.loads(found["data"])["clips"]
    return {f"{clip['corpus']}/{clip['id']}": clip for clip in clips}


def test_clip_has_what_the_shards_have(results: Config, shown: dict[str, dict[str, object]]) -> None:
    layout, name = Layout(results.results), "1103_DFA_HAP_1"
    clip = shown[f"demo_talk/{name}"]
    labels = (
        shards.read(layout.path("labels_energy", corpus="demo_talk")).filter(pl.col("clip_id") == name).sort("chunk")
    )
    letters = "".join({1: "h", 0: "l", None: "-"}[label] for label in labels["label"])
    assert clip["energy_labels"] == letters
    assert clip["starts"] == labels["start_s"].round(2).to_list()
    speech = shards.read(layout.shards("speech", "demo_talk", 2)).filter(pl.col("clip_id") == name)
    level = 20 * np.log10(np.maximum(speech["energy"].to_numpy().astype(float), 1e-4))
    ends = np.linspace(0, len(level), POINTS + 1).astype(int)
    means = np.array([level[begin:end].mean() for begin, end in itertools.pairwise(ends)])
    assert bytes_of(str(clip["energy"])) == np.rint((means / 60 + 1) * 254).clip(0, 254).astype(int).tolist()
    units = shards.read(layout.shards("action_units", "demo_talk", 2)).filter(pl.col("clip_id") == name)
    peaks = {place: units[unit].max() for place, unit in enumerate(explorer.ACTION_UNITS)}
    (first, _), *_ = clip["strongest"]  # type: ignore[misc]
    assert peaks[first] == max(peaks.values())
    targets = shown["demo_acted/1103_DFA_HAP_1"]["targets"]
    assert isinstance(targets, dict)
    assert targets["acted"] == "happiness"


def test_pictures_are_small_and_of_the_clip(shown: dict[str, dict[str, object]]) -> None:
    pictures = shown["demo_talk/1103_DFA_HAP_1"]["pictures"]
    assert isinstance(pictures, list)
    assert [time for time, _ in pictures] == [0.08, 0.4, 0.84]
    image = Image.open(io.BytesIO(base64.b64decode(pictures[0][1])))
    assert (image.format, image.size) == ("JPEG", (explorer.PIXELS, explorer.PIXELS))


def test_data_cannot_end_its_element(results: Config) -> None:
    text = explorer.as_script({"id": "</script><!--&"})
    assert "<" not in text
    assert json.loads(text) == {"id": "</script><!--&"}
