"""Scores against known truth, on numbers worked by hand."""

from pathlib import Path

import numpy as np
import pytest

from avpretext import shards
from avpretext.config_file import parse
from avpretext.evaluation import truth
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.artefacts import landmarks_schema, schema_of
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.paths import Layout


def test_correlations_are_those_of_the_books() -> None:
    x, y = np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])
    assert truth.pearson(x, y) == pytest.approx(0.8)
    assert truth.pearson(x, -y) == pytest.approx(-0.8)
    assert truth.spearman(x, y**3) == pytest.approx(0.8)
    assert np.isnan(truth.pearson(x, np.ones(4)))
    assert np.isnan(truth.spearman(np.array([np.nan]), np.array([1.0])))


def test_f1_counts_what_is_present_in_both() -> None:
    measured, true = np.array([0.4, 0.4, 0.4, 0.0, np.nan]), np.array([0.5, 0.5, 0.1, 0.5, 0.5])
    # Found 3, there 3, both 2.
    assert truth.f1_of_presence(measured, true) == pytest.approx(2 * 2 / 6)
    assert np.isnan(truth.f1_of_presence(measured, np.zeros(5)))


def test_emotion_labels_are_scored_where_there_are_any() -> None:
    scores = truth.emotion_scores(["A", "A", "B", None], ["A", "B", "B", "B"])
    assert scores["labelled_share"] == 0.75
    assert scores["agreement"] == pytest.approx(2 / 3)
    assert scores["chance_agreement"] == pytest.approx((2 * 1 + 1 * 2) / 9)
    assert scores["largest_class"] == pytest.approx(2 / 3)
    assert truth.emotion_scores([None], ["A"]) == {"labelled_share": 0.0}


@pytest.fixture
def run(tmp_path: Path) -> OpenRun:
    """Results of a corpus of two shards, whose truth is known, and of another, whose truth is not."""
    truth_folder = tmp_path / "truth"
    corpus = {"path": "nowhere", "use": ["pretrain"], "shards": 2, "truth": str(truth_folder)}
    other = {"path": "nowhere", "use": ["pretrain"]}
    config = parse({"results": str(tmp_path / "results"), "corpora": {"known": corpus, "other": other}})
    layout = Layout(config.results)
    clips = {"a": ("HAP", 1.0, 5.0), "b": ("SAD", 2.0, 4.0), "c": ("HAP", 3.0, 3.0), "d": ("ANG", 4.0, 2.0)}
    shards.write_table(
        truth_folder / "clips.parquet",
        [
            {"corpus": "part", "clip_id": clip, "speaker": "s", "emotion": emotion, "sentence": None, "text": None,
             "vocal_energy": energy, "facial_activation": motion}
            for clip, (emotion, energy, motion) in clips.items()
        ],
        schema_of("truth.clips"),
        {},
    )  # fmt: skip
    frames = [{"clip_id": clip, "frame": k, "time_s": k / 25} for clip in clips for k in range(2)]
    units = [dict.fromkeys(ACTION_UNITS, 0.0) | {"AU12": k / 7, "AU04": 0.5} for k in range(8)]
    true = [{"corpus": "part"} | frame | values for frame, values in zip(frames, units, strict=True)]
    shards.write_table(truth_folder / "action_units.parquet", true, schema_of("truth.action_units"), {})
    measured = [frame | values | {"AU12": values["AU12"] / 2} for frame, values in zip(frames, units, strict=True)]
    for shard in range(2):
        rows = measured[4 * shard : 4 * shard + 4]
        shards.write_table(
            layout.path("action_units", corpus="known", shard=shard), rows, schema_of("action_units"), {}
        )
        empty = dict.fromkeys(landmarks_schema(68).names)
        found = [empty | {"clip_id": row["clip_id"], "detected": k > 0} for k, row in enumerate(rows)]
        shards.write_table(layout.path("landmarks", corpus="known", shard=shard), found, landmarks_schema(68), {})
    chunk = {"chunk": 0, "start_s": 0.0, "end_s": 1.0, "label": None, "confidence": None, "threshold": None}
    for task in ("energy", "activation"):
        labels = [{"clip_id": clip, "value": value} | chunk for clip, value in zip(clips, (1, 3, 4, 5), strict=True)]
        shards.write_table(layout.path(f"labels_{task}", corpus="known"), labels, schema_of("labels_energy"), {})
    emotions = [
        {"clip_id": clip, "outcome": "labelled", "label": label, "value": 1.0, "confidence": 1.0}
        for clip, label in zip(clips, ("HAP", "SAD", "SAD", None), strict=True)
    ]
    shards.write_table(
        layout.path("labels_emotion", corpus="known"),
        emotions,
        schema_of("labels_emotion", {"score_*": [f"score_{name}" for name in []]}),
        {},
    )
    return OpenRun(config)


def test_each_stage_is_scored_against_what_is_known(run: OpenRun) -> None:
    rows = {(row["stage"], row["measure"]): row["value"] for row in truth.truth_rows(run)}
    assert rows[("landmarks", "face_found")] == 0.75
    assert rows[("action_units", "mean_pearson_r")] == pytest.approx(1.0)
    assert rows[("labels_energy", "agreement")] == 1.0
    assert rows[("labels_energy", "spearman_rho")] == pytest.approx(1.0)
    assert rows[("labels_activation", "agreement")] == 0.0
    assert rows[("labels_activation", "spearman_rho")] == pytest.approx(-1.0)
    assert rows[("labels_emotion", "agreement")] == pytest.approx(2 / 3)
    assert rows[("labels_emotion", "labelled_share")] == 0.75


def test_clips_without_a_true_emotion_are_left_out(run: OpenRun) -> None:
    assert truth.confidence_rows(run) == [{"confidence": 1.0, "clips": 3, "right": pytest.approx(2 / 3)}]
    file = f"{run.config.corpora['known'].truth}/clips.parquet"
    known = [row for row in shards.read(file).to_dicts() if row["clip_id"] != "c"]
    shards.write_table(file, known, schema_of("truth.clips"), {})
    again = OpenRun(run.config)
    assert truth.confidence_rows(again) == [{"confidence": 1.0, "clips": 2, "right": 1.0}]
    rows = {(row["stage"], row["measure"]): row["value"] for row in truth.truth_rows(again)}
    assert rows[("labels_emotion", "agreement")] == 1.0
    assert rows[("labels_emotion", "labelled_share")] == pytest.approx(2 / 3)


def test_each_action_unit_is_scored_and_those_never_shown_are_not(run: OpenRun) -> None:
    rows = {row["action_unit"]: row for row in truth.action_unit_rows(run)}
    assert list(rows) == list(ACTION_UNITS)
    assert rows["AU12"]["pearson_r"] == pytest.approx(1.0)
    # Present: true intensities from 3/7 on, five frames of eight. Half is measured: found from 5/7 on, three frames.
    assert rows["AU12"]["f1"] == pytest.approx(2 * 3 / (3 + 5))
    assert rows["AU04"] == {"action_unit": "AU04", "pearson_r": None, "f1": 1.0}
    assert rows["AU01"] == {"action_unit": "AU01", "pearson_r": None, "f1": None}


def test_without_truth_or_results_there_is_nothing_to_say(tmp_path: Path) -> None:
    config = parse({"results": str(tmp_path), "corpora": {"mine": {"path": "x", "use": ["pretrain"]}}})
    assert truth.truth_rows(OpenRun(config)) == []
    assert truth.action_unit_rows(OpenRun(config)) == []
