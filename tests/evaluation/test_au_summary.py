"""How often action units fire: counted by hand on a corpus of five clips in two shards."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avpretext import shards
from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.evaluation.au_summary import BINS, COMBINATIONS, Firing, action_unit_rows, combination_rows
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.paths import Layout

UNKNOWN = "AU24"


def clip(clip_id: str, gaps: int = 0, **units: list[float]) -> list[dict[str, Any]]:
    """Return four frames: the given units, all others 0, AU24 not known; the last `gaps` without a face."""
    rows = []
    for frame in range(4):
        values: dict[str, float | None] = {unit: units.get(unit, [0.0] * 4)[frame] for unit in ACTION_UNITS}
        values[UNKNOWN] = None
        if frame >= 4 - gaps:
            values = dict.fromkeys(ACTION_UNITS)
        rows.append({"clip_id": clip_id, "frame": frame, "time_s": frame / 25, **values})
    return rows


@pytest.fixture
def corpus(tmp_path: Path) -> Config:
    options = {"path": ".", "use": ["pretrain"], "shards": 2}
    config = parse({"results": str(tmp_path), "corpora": {"one": options, "unseen": options}})
    layout = Layout(tmp_path)
    first = clip("a", AU04=[0.6, 0.2, 0.2, 0.2], AU12=[0.8] * 4) + clip("b", AU12=[0.6, 0.6, 0.4, 0.4])
    second = clip("c") + clip("d", gaps=2, AU12=[1.0, 1.0, 0, 0]) + clip("e", gaps=4)
    for number, rows in enumerate((first, second)):
        shards.write_table(layout.path("action_units", corpus="one", shard=number), rows, schema_of("action_units"), {})
    labels = [
        {"clip_id": name, "outcome": "labelled" if label else outcome, "label": label}
        for name, label, outcome in (
            ("a", "HAP", ""), ("b", "HAP", ""), ("c", "NEU", ""), ("d", None, "none"), ("e", None, "unmeasured"),
        )
    ]  # fmt: skip
    known = [{"value": None, "confidence": None, "score_HAP": None, **row} for row in labels]
    shards.write_table(
        layout.path("labels_emotion", corpus="one"),
        known,
        schema_of("labels_emotion", {"score_*": [f"score_{name}" for name in ["HAP"]]}),
        {},
    )
    return config


def test_intensities_beyond_their_range_count_at_its_ends_and_for_no_other_action_unit() -> None:
    frames = np.full((10, len(ACTION_UNITS)), 0.5)
    frames[:, 0], frames[:, 1], frames[:, -1] = 1.4, -0.3, 1.004
    firing = Firing()
    firing.add(frames, frames[0])
    assert firing.histogram.sum(axis=1).tolist() == [10] * len(ACTION_UNITS)
    assert firing.quantile(0.9)[[0, 1, 2, -1]].tolist() == [1.0, 0.0, 0.5, 1.0]


def test_frames_clips_and_quantiles_of_each_unit_are_those_counted_by_hand(corpus: Config) -> None:
    rows, *_ = action_unit_rows(OpenRun(corpus))
    smile, brows, unknown = (
        next(row for row in rows if (row["label"], row["action_unit"]) == ("all", unit))
        for unit in ("AU12", "AU04", UNKNOWN)
    )
    # Frames with a face: 4 + 4 + 4 + 2. AU12 at .5 or more: 4 of a, 2 of b, 2 of d.
    assert (smile["clips"], smile["frames"]) == (5, 14)
    assert smile["active_frames"] == pytest.approx(8 / 14)
    assert smile["active_clips"] == pytest.approx(3 / 4)
    assert smile["mean"] == pytest.approx((4 * 0.8 + 2 * 0.6 + 2 * 0.4 + 2 * 1.0) / 14)
    assert smile["quantile_90"] == 1.0
    # Clip intensities by the quantile .6: .8, .56 (of .4, .4, .6, .6), 0, 1;
    # of AU04 by the upper quantile: (.2 + .75 * 3 frames) -> .3, 0, 0, 0.
    assert smile["clip_intensity"] == pytest.approx((0.8 + 0.56 + 0 + 1.0) / 4)
    assert brows["clip_intensity"] == pytest.approx(np.quantile([0.6, 0.2, 0.2, 0.2], 0.75) / 4)
    # One frame in four reaches .5, the clip does not.
    assert brows["active_clips"] == 0
    assert unknown["frames"] == 0
    assert {unknown[name] for name in ("active_frames", "active_clips", "mean", "clip_intensity")} == {None}


def test_each_label_has_its_own_rows_with_the_intensity_that_it_was_made_of(corpus: Config) -> None:
    rows, *_ = action_unit_rows(OpenRun(corpus))
    assert list(dict.fromkeys(row["label"] for row in rows)) == ["all", "HAP", "NEU", "none", "unmeasured"]
    assert len(rows) == 5 * 20
    assert {row["corpus"] for row in rows} == {"one"}
    found = {row["label"]: (row["clips"], row["clip_intensity"]) for row in rows if row["action_unit"] == "AU12"}
    assert found["HAP"] == (2, pytest.approx((0.8 + 0.56) / 2))
    assert found["NEU"] == (1, 0.0)
    assert found["unmeasured"] == (1, None)


def test_combinations_are_counted_over_measured_clips_with_the_labels_they_got(corpus: Config) -> None:
    _, rows, _ = action_unit_rows(OpenRun(corpus))
    assert [(row["rank"], row["action_units"], row["clips"], row["share"], row["labels"]) for row in rows] == [
        (1, "AU12", 3, 0.75, "HAP 2; none 1"),
        (2, "(none)", 1, 0.25, "NEU 1"),
    ]


def test_only_the_most_frequent_combinations_are_listed_ties_by_name() -> None:
    sets = {(unit,): Counter({"HAP": 1}) for unit in ACTION_UNITS} | {("AU01", "AU43"): Counter({"FEA": 3})}
    rows = combination_rows(sets)
    assert len(rows) == COMBINATIONS
    assert [row["action_units"] for row in rows[:3]] == ["AU01+AU43", "AU01", "AU02"]


def test_quantiles_are_exact_to_half_a_step_however_many_frames() -> None:
    frames = np.random.default_rng(1).beta(0.5, 2, (3000, len(ACTION_UNITS)))
    firing = Firing()
    for part in np.split(frames, 30):
        firing.add(part, part.mean(axis=0))
    exact = np.quantile(frames, 0.9, axis=0, method="inverted_cdf")
    np.testing.assert_allclose(firing.quantile(0.9), exact, atol=0.5 / BINS + 1e-12)
    assert firing.histogram.size == len(ACTION_UNITS) * (BINS + 1)


def test_a_corpus_without_labels_has_the_rows_of_all_clips(corpus: Config) -> None:
    Path(Layout(corpus.results).path("labels_emotion", corpus="one")).unlink()
    rows, together, _ = action_unit_rows(OpenRun(corpus))
    assert {row["label"] for row in rows} == {"all"}
    assert together[0]["labels"] == "unlabelled 3"
