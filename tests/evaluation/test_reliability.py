"""Calibration by numbers worked by hand, and as scikit-learn has it."""

import numpy as np
import polars as pl
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from avpretext.config import EvaluateOptions
from avpretext.corpora.settings import Kind
from avpretext.evaluation import reliability, scores
from avpretext.evaluation.scores import Task

CLASSES = ["a", "b", "c"]
OPTIONS = EvaluateOptions(bootstrap=100)
Floats = np.ndarray


def predictions(said: Floats, truth: Floats, seed: Floats | None = None) -> pl.DataFrame:
    """Return test predictions of clips of five speakers: probabilities and one-hot truth, each (clips, classes)."""
    seeds = np.zeros(len(said), int) if seed is None else seed
    clips = [f"{row % (len(said) // (seeds.max() + 1)):04d}" for row in range(len(said))]
    names = np.array(CLASSES)
    return pl.DataFrame(
        {"fold": 0, "seed": seeds, "pretraining": pl.Series([None] * len(said), dtype=pl.Int32), "clip_id": clips,
         "speaker": [f"s{int(clip) % 5}" for clip in clips], "label": names[truth.argmax(1)],
         "predicted": names[said.argmax(1)], "truth": truth.tolist(), "probabilities": said.tolist()}
    )  # fmt: skip


def drawn(clips: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Return probabilities that are too sure of themselves, and what is true."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(3), clips)
    truth = np.eye(3)[[rng.choice(3, p=share) for share in shares]]
    sharp = shares**2
    return sharp / sharp.sum(1, keepdims=True), truth


def calibrated(rows: pl.DataFrame, kind: Kind = "hard") -> reliability.Calibrated:
    task = Task(kind, CLASSES, None, None)
    return reliability.of_system(scores.sums_of("scratch", rows, task), rows, task)


def values(found: reliability.Calibrated) -> dict[str, float]:
    return {row["measure"]: row["value"] for row in reliability.calibration_rows([found], OPTIONS, 1)}


def test_four_clips_worked_by_hand() -> None:
    said = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.4, 0.0, 0.6], [0.3, 0.2, 0.5]])
    truth = np.eye(3)[[0, 0, 2, 2]]
    found = values(calibrated(predictions(said, truth)))
    # Each forecast is alone in its bin, and the second is wrong.
    assert found["ece"] == pytest.approx((0.1 + 0.8 + 0.4 + 0.5) / 4)
    assert found["overconfidence"] == pytest.approx((0.9 + 0.8 + 0.6 + 0.5 - 3) / 4)
    squares = [0.01 + 0.01, 0.64 + 0.64, 0.16 + 0.16, 0.09 + 0.04 + 0.25]
    assert found["brier"] == pytest.approx(sum(squares) / 4)


def test_the_diagram_and_its_error_are_those_of_scikit_learn() -> None:
    said, truth = drawn(503)
    found = calibrated(predictions(said, truth))
    sure, right = said.max(1), said.argmax(1) == truth.argmax(1)
    share, mean = calibration_curve(right, sure, n_bins=reliability.BINS, strategy="quantile")
    rows = reliability.reliability_rows([found])
    assert [row["probability"] for row in rows] == pytest.approx(mean.tolist())
    assert [row["outcome"] for row in rows] == pytest.approx(share.tolist())
    counts = np.array([row["count"] for row in rows])
    assert counts.sum() == 503
    assert counts.max() - counts.min() <= 2
    measured = values(found)
    assert measured["ece"] == pytest.approx(float(counts @ np.abs(share - mean) / 503))
    labels = np.array(CLASSES)[truth.argmax(1)]
    assert measured["brier"] == pytest.approx(brier_score_loss(labels, said, labels=CLASSES, scale_by_half=False))
    assert measured["overconfidence"] == pytest.approx(sure.mean() - right.mean())


def test_scores_are_of_each_seed_and_averaged() -> None:
    parts = [drawn(100, seed) for seed in (1, 2)]
    alone = [values(calibrated(predictions(*part))) for part in parts]
    said, truth = (np.concatenate(both) for both in zip(*parts, strict=True))
    together = values(calibrated(predictions(said, truth, np.repeat([0, 1], 100))))
    for measure, value in together.items():
        assert value == pytest.approx(np.mean([one[measure] for one in alone])), measure


def test_a_calibrated_system_has_the_error_that_chance_gives() -> None:
    rng = np.random.default_rng(5)
    probability = rng.uniform(0.3, 1.0, (400, 1))
    seeds, found = np.zeros(400, int), []
    for _ in range(300):
        outcome = (rng.random((400, 1)) < probability).astype(float)
        sums = reliability.tally(reliability.Forecasts(probability, outcome, np.zeros(400)), seeds).sum(0)
        found.append(float(reliability.measures(sums)["ece"]))
    forecasts = reliability.Forecasts(probability, probability, np.zeros(400))
    assert reliability.by_chance(forecasts, seeds) == pytest.approx(np.mean(found), rel=0.05)


def test_equal_probabilities_share_a_bin_and_empty_bins_have_no_row() -> None:
    said = np.tile([0.5, 0.3, 0.2], (20, 1))
    truth = np.eye(3)[[0] * 15 + [1] * 5]
    found = calibrated(predictions(said, truth))
    rows = reliability.reliability_rows([found])
    assert [(row["probability"], row["outcome"], row["count"]) for row in rows] == [(0.5, 0.75, 20)]
    assert values(found)["ece"] == pytest.approx(0.25)


def test_of_several_labels_every_class_is_a_forecast() -> None:
    said = np.array([[0.9, 0.4, 0.2], [0.1, 0.7, 0.6]])
    truth = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    found = values(calibrated(predictions(said, truth), "multi_label"))
    assert found["ece"] == pytest.approx((0.1 + 0.6 + 0.2 + 0.1 + 0.3 + 0.6) / 6)
    assert found["overconfidence"] == pytest.approx((2.9 - 3) / 6)
    shares = values(calibrated(predictions(said, truth), "distribution"))
    assert shares["ece_by_chance"] is None
    assert "overconfidence" not in shares, "shares sum to 1, in truth as in the forecast"
