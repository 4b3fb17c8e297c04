"""Targets of every kind, from prediction files to scores: numbers of scikit-learn, and worked out by hand."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score, precision_score

from avpretext import shards
from avpretext.config import EvaluateOptions
from avpretext.errors import UserError
from avpretext.evaluation import evaluate
from avpretext.evaluation.kinds import MEASURE_NAMES, SCORINGS, places
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.options.training import Measure

OPTIONS = EvaluateOptions(bootstrap=300, permutations=500)
CLASSES = ["anger", "fear", "neutral"]


def write(path: Path, start: str, kind: str, noise: float, seeds: int = 2, **told: Any) -> Path:
    """Write test predictions of 6 speakers with 8 clips each, in two folds: the truth with so much noise."""
    rng, facts = np.random.default_rng(5), np.random.default_rng(9)
    classes = ["arousal"] if kind == "attribute" else CLASSES
    rows = []
    for number in range(48):
        shares = facts.dirichlet(np.ones(3))
        truth = {"attribute": shares[:1] * 6 + 1, "distribution": shares, "multi_label": (shares > 0.3) * 1.0}[kind]
        for seed in range(seeds):
            found = truth + noise * rng.normal(0, 1, len(classes))
            if kind == "distribution":
                found = np.abs(found) / np.abs(found).sum()
            rows.append(
                {"initialisation": start, "fold": number % 2, "seed": seed, "split": "test", "clip_id": f"c{number}",
                 "speaker": f"s{number % 6}", "label": None, "predicted": None, "truth": truth.tolist(),
                 "probabilities": found.tolist()}
            )  # fmt: skip
    made_by = provenance("finetune", {}, **{"kind": kind, "classes": classes, **told})
    shards.write_table(path, rows, schema_of("finetune.predictions"), made_by)
    return path


def scored(files: list[Path], folder: Path, name: str = "metrics") -> pl.DataFrame:
    evaluate.run(files, OPTIONS, 1, folder)
    return shards.read(folder / f"{name}.parquet")


def arrays(path: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rows = shards.read(path).filter(seed=seed)
    return np.array(rows["truth"].to_list()), np.array(rows["probabilities"].to_list())


@pytest.mark.parametrize(("kind", "least"), [("multi_label", 0.5), ("distribution", 1 / 3)])
def test_decisions_are_those_of_scikit_learn_at_the_threshold(kind: str, least: float, tmp_path: Path) -> None:
    file = write(tmp_path / "p.parquet", "scratch", kind, 0.3)
    rows = scored([file], tmp_path)
    truth, found = zip(*(arrays(file, seed) for seed in range(2)), strict=True)
    for measure, average, score in (
        ("macro_f1", "macro", f1_score), ("micro_f1", "micro", f1_score), ("macro_precision", "macro", precision_score)
    ):  # fmt: skip
        expected = np.mean([score(t >= least, f >= least, average=average) for t, f in zip(truth, found, strict=True)])
        assert rows.filter(measure=measure)["value"].item() == pytest.approx(expected), measure
    fear = rows.filter(**{"measure": "f1", "class": "fear"}).row(0, named=True)
    by_seed = [f1_score((t >= least)[:, 1], (f >= least)[:, 1]) for t, f in zip(truth, found, strict=True)]
    assert fear["value"] == pytest.approx(np.mean(by_seed))
    assert fear["clips"] == (truth[0][:, 1] >= least).sum()


def test_share_of_exactly_one_over_the_number_of_classes_is_there() -> None:
    rows = pl.DataFrame(
        {"truth": [[1 / 3, 1 / 3, 1 / 3], [0.4, 0.6, 0.0]], "probabilities": [[0.2, 0.4, 0.4], [0.2, 0.4, 0.4]]},
        schema={"truth": pl.List(pl.Float32), "probabilities": pl.List(pl.Float32)},
    )
    sums = SCORINGS["distribution"].tally(rows, CLASSES).sum(axis=0)
    support = SCORINGS["distribution"].support(sums)
    assert support is not None
    assert support.tolist() == [2, 2, 1]


def test_divergence_is_the_mean_over_the_clips(tmp_path: Path) -> None:
    file = write(tmp_path / "p.parquet", "scratch", "distribution", 0.1, seeds=1)
    truth, found = arrays(file, 0)
    value = scored([file], tmp_path).filter(measure="kl_divergence")["value"].item()
    assert value == pytest.approx((truth * np.log(truth / found)).sum(axis=1).mean(), rel=1e-5)


def test_concordance_is_on_all_clips_of_a_seed_with_an_interval_around_it(tmp_path: Path) -> None:
    file = write(tmp_path / "p.parquet", "scratch", "attribute", 0.8)
    rows = scored([file], tmp_path)
    by_seed = []
    for seed in range(2):
        x, y = (values[:, 0] for values in arrays(file, seed))
        by_seed.append(2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))
    row = rows.filter(measure="ccc").row(0, named=True)
    assert row["value"] == pytest.approx(np.mean(by_seed), rel=1e-5)
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert (row["speakers"], row["clips"], row["runs"]) == (6, 48, 4)
    assert rows["measure"].to_list() == ["ccc", "pearson", "rmse"]


@pytest.mark.parametrize("kind", ["multi_label", "distribution", "attribute"])
def test_each_kind_is_compared_with_scratch_in_each_measure_and_has_no_confusions(kind: str, tmp_path: Path) -> None:
    files = [write(tmp_path / "e.parquet", "energy", kind, 0.05), write(tmp_path / "s.parquet", "scratch", kind, 0.6)]
    rows = scored(files, tmp_path, "comparisons")
    assert rows["measure"].to_list() == list(SCORINGS[kind].measures)  # type: ignore[index]
    main = rows.filter(measure=SCORINGS[kind].main).row(0, named=True)  # type: ignore[index]
    assert main["difference"] > 0.05
    assert main["ci_low"] > 0
    assert main["p_value"] < 0.03
    assert shards.count_rows(tmp_path / "confusion.parquet") == 0
    assert shards.count_rows(tmp_path / "runs.parquet") == 4 * shards.count_rows(tmp_path / "metrics.parquet")


def test_same_number_for_every_clip_leaves_gaps_not_errors(tmp_path: Path) -> None:
    scratch = write(tmp_path / "s.parquet", "scratch", "attribute", 0.5)
    flat = shards.read(scratch).with_columns(
        pl.lit("energy").alias("initialisation"), pl.lit([4.0], pl.List(pl.Float32)).alias("probabilities")
    )
    shards.write_table(tmp_path / "e.parquet", flat, schema_of("finetune.predictions"), shards.read_provenance(scratch))
    metrics = scored([scratch, tmp_path / "e.parquet"], tmp_path).filter(initialisation="energy")
    assert metrics.filter(measure="ccc")["value"].item() == 0
    assert metrics.filter(measure="pearson")["value"].item() is None
    row = shards.read(tmp_path / "comparisons.parquet").filter(measure="pearson").row(0, named=True)
    assert row["difference"] is row["p_value"] is row["p_holm"] is None


def test_clips_without_a_target_are_not_scored(tmp_path: Path) -> None:
    file = write(tmp_path / "p.parquet", "scratch", "multi_label", 0.1)
    rows = shards.read(file).with_columns(pl.when(pl.col("clip_id") != "c0").then(pl.col("truth")).alias("truth"))
    shards.write_table(file, rows, schema_of("finetune.predictions"), shards.read_provenance(file))
    assert scored([file], tmp_path).filter(measure="macro_f1")["clips"].item() == 47


def test_results_name_target_and_setting(tmp_path: Path) -> None:
    file = write(tmp_path / "p.parquet", "scratch", "multi_label", 0.1, target="voice-multi_label", setting="v.chou")
    scored([file], tmp_path)
    for name in ("metrics", "runs", "comparisons", "confusion"):
        told = shards.read_provenance(tmp_path / f"{name}.parquet")
        assert (told["kind"], told["target"], told["setting"]) == ("multi_label", "voice-multi_label", "v.chou")
        assert told["classes"] == CLASSES


def test_predictions_of_different_targets_are_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "a.parquet", "scratch", "multi_label", 0.1)
    with pytest.raises(UserError, match="of the kinds attribute, multi_label"):
        evaluate.run([one, write(tmp_path / "b.parquet", "energy", "attribute", 0.1)], OPTIONS, 1, tmp_path)
    other = write(tmp_path / "c.parquet", "energy", "multi_label", 0.1, classes=["anger", "fear", "joy"])
    with pytest.raises(UserError, match="joy"):
        evaluate.run([one, other], OPTIONS, 1, tmp_path)


def test_balance_says_how_many_clips_have_what() -> None:
    def rows(values: list[list[float]], labels: list[str | None]) -> pl.DataFrame:
        return pl.DataFrame({"label": labels, "values": values}, schema_overrides={"values": pl.List(pl.Float32)})

    hard = rows([[0, 1, 0], [0, 1, 0], [1, 0, 0]], ["fear", "fear", "anger"])
    assert SCORINGS["hard"].balance(CLASSES, hard) == {"anger": 1, "fear": 2}
    several = rows([[1, 1, 0], [0, 1, 0]], ["anger+fear", "fear"])
    assert SCORINGS["multi_label"].balance(CLASSES, several) == {"anger": 1, "fear": 2, "neutral": 0}
    shares = rows([[0.5, 0.5, 0], [0.25, 0.75, 0]], [None, "fear"])
    assert SCORINGS["distribution"].balance(CLASSES, shares) == {"anger": 0.75, "fear": 1.25, "neutral": 0}
    numbers = rows([[1.0], [1.5], [7.0]], [None] * 3)
    found = SCORINGS["attribute"].balance(["arousal"], numbers)
    assert next(iter(found.items())) == ("1.00 to 2.00", 2)
    assert sum(found.values()) == 3
    several = rows([[1.0, 2.0], [1.5, 3.0], [7.0, 2.0]], [None] * 3)
    both = SCORINGS["attributes"].balance(["arousal", "valence"], several)
    assert both == {f"arousal {name}": count for name, count in found.items()} | {
        name: count for name, count in both.items() if name.startswith("valence ")
    }
    assert both["valence 2.00 to 2.17"] == 2


def test_each_of_several_attributes_is_scored_and_the_mean_of_them(tmp_path: Path) -> None:
    truth = np.array([[1, 10], [2, 30], [3, 20], [2, 20]], np.float64)
    said = np.array([[2, 10], [2, 30], [5, 20], [3, 20]], np.float64)
    # of the first: means 2 and 3, variances 1/2 and 3/2, covariance 3/4, so CCC 1.5 / (1/2 + 3/2 + 1) = 1/2
    rows = [
        {"initialisation": "scratch", "fold": 0, "seed": 0, "split": "test", "clip_id": f"c{number}",
         "speaker": f"s{number}", "label": None, "predicted": None, "truth": true, "probabilities": found}
        for number, (true, found) in enumerate(zip(truth.tolist(), said.tolist(), strict=True))
    ]  # fmt: skip
    made_by = provenance("finetune", {}, kind="attributes", classes=["arousal", "valence"])
    shards.write_table(tmp_path / "p.parquet", rows, schema_of("finetune.predictions"), made_by)
    found = scored([tmp_path / "p.parquet"], tmp_path)
    measured = {(row["class"], row["measure"]): row["value"] for row in found.iter_rows(named=True)}
    assert [measured["arousal", name] for name in ("ccc", "mae", "rmse")] == pytest.approx([0.5, 1.0, 1.5**0.5])
    assert measured["arousal", "pearson"] == pytest.approx(0.75 / (0.5 * 1.5) ** 0.5)
    assert [measured["valence", name] for name in ("ccc", "pearson", "mae", "rmse")] == pytest.approx([1, 1, 0, 0])
    for name in ("ccc", "pearson", "mae", "rmse"):
        assert measured[None, name] == pytest.approx((measured["arousal", name] + measured["valence", name]) / 2)
    assert set(found["clips"]) == {4}


def test_a_constant_prediction_of_one_of_several_attributes_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"initialisation": "scratch", "fold": 0, "seed": 0, "split": "test", "clip_id": f"c{number}",
         "speaker": f"s{number}", "label": None, "predicted": None, "truth": [number, number % 2],
         "probabilities": [float(number), 0.5]}
        for number in range(4)
    ]  # fmt: skip
    made_by = provenance("finetune", {}, kind="attributes", classes=["arousal", "valence"])
    shards.write_table(tmp_path / "p.parquet", rows, schema_of("finetune.predictions"), made_by)
    scored([tmp_path / "p.parquet"], tmp_path)
    said = capsys.readouterr().err
    assert "scratch predicts the same valence for all test clips in 1 of 1 runs" in said
    assert "same arousal" not in said


def test_every_measure_has_a_printed_name() -> None:
    for scoring in SCORINGS.values():
        assert {scoring.main, *scoring.shown} <= set(scoring.measures) <= set(MEASURE_NAMES)


def test_value_among_no_names_is_an_error() -> None:
    with pytest.raises(ValueError, match="joy"):
        places(["anger", "joy"], CLASSES)


def test_options_know_every_measure() -> None:
    assert get_args(Measure) == tuple(MEASURE_NAMES)
