"""Distributions and the values behind the labels, worked out by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.report.whole_run import TABLE

from avpretext import shards
from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import ACTION_UNITS, MOTION_REGIONS
from avpretext.flow.paths import Layout
from avpretext.report import distributions
from avpretext.report.distributions import Histogram, fastest, feature_distributions, histogram_of
from avpretext.report.label_page import SPEAKERS_SHOWN, agreement_tables, speaker_tables


def test_histogram_counts_edges_upwards_and_what_lies_beyond_at_the_ends() -> None:
    histogram = Histogram(0, 1, 4, mark=0.5)
    histogram.add(np.array([[-3.0, 0.0, 0.25], [0.5, 1.0, 7.0]]))
    histogram.add(np.array([np.nan]))
    assert histogram.counts.tolist() == [2, 1, 1, 2]
    assert (histogram.total, histogram.above) == (6, 3)
    assert histogram.edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert histogram.quantile(0.5) == 0.5


def test_values_that_are_edges_of_narrow_bins_fall_into_the_bin_that_they_begin() -> None:
    histogram = Histogram(0, 1, 50)
    histogram.add(np.arange(50) / 50)
    assert histogram.counts.tolist() == [1] * 50


def test_logarithmic_histogram_has_bins_of_equal_ratio() -> None:
    histogram = Histogram(-2, 1, 3, log=True)
    histogram.add(np.array([0.0, 0.02, 0.1, 0.5, 2.0, 50.0]))
    assert histogram.counts.tolist() == [2, 2, 2]
    assert histogram.edges == pytest.approx([0.01, 0.1, 1, 10])


def test_no_bin_lies_on_both_sides_of_a_threshold() -> None:
    groups = {"low": [0.0, 1.0, 2.9], "high": [3.1, 10.0], "none": [np.nan]}
    histograms = histogram_of(groups, edge=3.0, bins=4)
    assert {name: one.total for name, one in histograms.items()} == {"low": 3, "high": 2, "none": 0}
    edges = histograms["low"].edges
    assert edges[0] <= 0
    assert edges[-1] >= 10
    assert 3.0 in edges
    assert not np.any((histograms["low"].counts > 0) & (histograms["high"].counts > 0))


def test_every_frame_of_every_shard_is_counted_once(results: Config) -> None:
    layout = Layout(results.results)
    found = {one.corpus: one for one in feature_distributions(OpenRun(results))}
    assert set(found) == {"demo_talk", "demo_acted", "demo_rated"}
    talk = found["demo_talk"]
    frames = sum(shards.count_rows(path) for path in layout.shards("speech", "demo_talk", 2))
    assert talk.energy is not None
    assert talk.energy.total == frames
    units = shards.read(layout.shards("action_units", "demo_talk", 2))
    assert set(talk.units) == set(ACTION_UNITS)
    assert talk.units["AU01"].total == units["AU01"].drop_nulls().len() < units.height
    assert talk.units["AU01"].above == (units["AU01"] >= 0.5).sum() > 0
    motion = shards.read(layout.shards("motion", "demo_talk", 2))["speed_face"].drop_nulls().to_numpy()
    assert set(talk.motion) == set(MOTION_REGIONS)
    assert talk.motion["face"].quantile(0.5) == pytest.approx(np.median(motion), rel=0.13)
    assert fastest([talk]) == talk.motion["face"].quantile(0.99)
    assert fastest([]) == 1


def labelled(folder: Path, task: str, rows: list[dict[str, Any]], schema: Any, **made_by: Any) -> OpenRun:
    """Return a run of a corpus `one` with these labels of a task."""
    config = parse({"results": str(folder), "corpora": {"one": {"path": ".", "use": ["pretrain"]}}})
    path, filled = Layout(folder).path(f"labels_{task}", corpus="one"), dict.fromkeys(schema.names)
    shards.write_table(path, [filled | row for row in rows], schema, made_by)
    return OpenRun(config)


def test_chunk_values_are_told_apart_by_what_became_of_them(tmp_path: Path) -> None:
    values = [(1.0, 0, 3.0), (2.9, None, 3.0), (4.0, 1, 3.0), (5.0, 1, 4.5), (None, None, None)]
    rows = [{"clip_id": "a", "value": value, "label": label, "threshold": limit} for value, label, limit in values]
    options = {"labels.energy": {"measure": "mean", "scope": "speaker"}}
    run = labelled(tmp_path / "x", "energy", rows, schema_of("labels_energy"), options=options)
    (one,) = distributions.of_chunks(run, "one", "energy")
    assert one.title == "Mean energy over the chunk, dB"
    assert {name: histogram.total for name, histogram in one.groups.items()} == {"high": 2, "low": 1, "dead zone": 1}
    assert (one.thresholds, one.several) == ((3.0, 3.75, 4.5), 2)
    empty = labelled(tmp_path / "y", "energy", [], schema_of("labels_energy"))
    assert distributions.of_chunks(empty, "one", "energy") == []


def test_emotions_are_shown_by_their_two_decisions(tmp_path: Path) -> None:
    def clip(outcome: str, label: str | None, anger: float | None, joy: float | None, calm: float) -> dict[str, Any]:
        return {"clip_id": f"{outcome}{label}", "outcome": outcome, "label": label, "score_anger": anger,
                "score_joy": joy, "score_calm": calm}  # fmt: skip

    rows = [
        clip("labelled", "anger", 0.6, 0.2, 0.2), clip("ambiguous", None, 0.41, 0.39, 0.2),
        clip("labelled", "calm", 0.1, 0.0, 0.9), clip("none", None, 0.34, 0.33, 0.33),
        clip("labelled", "joy", None, 0.6, 0.4), clip("unmeasured", None, None, None, 0.0),
    ]  # fmt: skip
    limits = {"min_confidence": 0.35, "min_margin": 0.05}
    schema = schema_of("labels_emotion", {"score_*": [f"score_{name}" for name in ["anger", "joy", "calm"]]})
    run = labelled(tmp_path, "emotion", rows, schema, options=limits, table={**TABLE, "neutral": "calm"})
    best, lead = distributions.of_emotions(run, "one")
    totals = [{name: one.total for name, one in chart.groups.items()} for chart in (best, lead)]
    assert totals == [{"an emotion": 2, "neutral": 1, "ambiguous": 1, "none": 1}] * 2
    assert [chart.thresholds[1] for chart in (best, lead)] == [0.35, 0.05]
    assert best.groups["neutral"].quantile(0.5) == pytest.approx(0.9, abs=0.05)
    assert lead.groups["ambiguous"].quantile(0.5) == pytest.approx(0.02, abs=0.03)


def test_a_neutral_class_without_a_name_counts_among_the_probabilities(tmp_path: Path) -> None:
    """It has what the emotions leave: this clip is `none` for it is neutral by .8, .65 ahead of the next."""
    row = {"clip_id": "a", "outcome": "none", "value": 0.8, "score_anger": 0.15, "score_joy": 0.05}
    schema = schema_of("labels_emotion", {"score_*": ["score_anger", "score_joy"]})
    limits = {"min_confidence": 0.35, "min_margin": 0.05}
    run = labelled(tmp_path, "emotion", [row], schema, options=limits, table={**TABLE, "neutral": None})
    best, lead = distributions.of_emotions(run, "one")
    assert best.groups["none"].quantile(0.5) == pytest.approx(0.8, abs=0.04)
    assert lead.groups["none"].quantile(0.5) == pytest.approx(0.65, abs=0.04)


def test_speakers_have_a_column_for_each_label_and_few_speakers_a_row(results: Config) -> None:
    tables = speaker_tables(OpenRun(results))
    talk = tables["demo_talk"]
    assert [(group.task, group.labels[:2]) for group in talk.groups] == [
        ("energy", ["high", "no label"]), ("activation", ["high", "no label"]), ("emotion", ["anger", "disgust"]),
    ]  # fmt: skip
    assert talk.groups[2].labels[-1] == "no label"
    assert len(talk.rows) == talk.speakers == 10 <= SPEAKERS_SHOWN
    name, clips, cells = talk.rows[0]
    assert (name, clips, len(cells)) == ("1100", 12, 2 + 2 + 7)
    emotions = [cell for task, cell in cells if task == "emotion" and cell]
    assert sum(count for count, _ in emotions) == 12
    assert sum(share for _, share in emotions) == pytest.approx(1)
    assert [group.target for group in tables["demo_acted"].groups] == ["acted", "voice-distribution"]
    assert "demo_rated" not in tables


def test_agreement_says_what_was_counted(results: Config) -> None:
    one, *_ = agreement_tables(OpenRun(results))["demo_talk"]
    assert one["title"] == "activation by energy"
    assert "Cohen’s κ" in one["says"]
    assert one["says"].endswith("chunks of 120 clips")
    for _, cells in one["rows"]:
        assert sum(share for _, share in cells) == pytest.approx(1)
