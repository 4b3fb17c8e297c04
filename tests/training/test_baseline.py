"""The baseline: scikit-learn's machine on standardised functionals, chosen on dev, tested on test."""

import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.svm import SVC, LinearSVC

from avpretext import shards
from avpretext.config import BaselineOptions
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.training import baseline

from .conftest import CLASSES, VALUES, TinyCorpus

D = 8


def functionals_of(corpus: TinyCorpus, seed: int = 0) -> Path:
    """Write functionals of which two tell the class, each speaker at a place of its own, one is constant."""
    rng = np.random.default_rng(seed)
    offset = {f"s{speaker}": rng.normal(0, 40, D) for speaker in range(corpus.speakers)}
    rows = []
    for row in sorted(corpus.rows, key=lambda row: row["clip_id"]):
        values = rng.normal(size=D) + offset[row["speaker"]]
        if row["label"] in CLASSES:
            values[CLASSES.index(row["label"])] += 4
        values[-1] = 0.1
        rows.append({"clip_id": row["clip_id"], "values": values.tolist()})
    path = corpus.folder / "functionals.parquet"
    shards.write_table(path, rows, schema_of("functionals"), provenance("functionals", {}, names=["x"] * D))
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> TinyCorpus:
    tiny = TinyCorpus(tmp_path_factory.mktemp("baseline"), clips_each=15).write()
    functionals_of(tiny)
    return tiny


def run(
    corpus: TinyCorpus, output: Path, kind: str = "hard", costs: list[float] | None = None, **options: object
) -> pl.DataFrame:
    options |= {"costs": {"linear": costs}} if costs else {}
    vectors = {corpus.name: {"functionals": [corpus.folder / "functionals.parquet"]}}
    settings = BaselineOptions.model_validate(options)
    baseline.run(vectors, {corpus.name: corpus.targets(kind)}, corpus.folds, settings, output)
    return shards.read(output)


def arrays(corpus: TinyCorpus) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return functionals, speakers and labels by clip_id."""
    rows = sorted(corpus.rows, key=lambda row: row["clip_id"])
    inputs = np.array(shards.read(corpus.folder / "functionals.parquet")["values"].to_list(), np.float64)
    return inputs, np.array([row["speaker"] for row in rows]), np.array([row["label"] for row in rows])


def test_predictions_are_those_of_scikit_learn_by_hand(corpus: TinyCorpus, tmp_path: Path) -> None:
    found = run(corpus, tmp_path / "out.parquet", costs=[1e-3]).filter(fold=0)
    inputs, speakers, labels = arrays(corpus)
    inputs = inputs[:, :-1]  # the last one is constant
    dev, test = (np.isin(speakers, names) for names in (["s1", "s4"], ["s0", "s3"]))
    for part, learnt, asked in (("dev", ~dev & ~test, dev), ("test", ~test, test)):
        mean, deviation = inputs[learnt].mean(0), inputs[learnt].std(0)
        machine = LinearSVC(C=1e-3, class_weight="balanced", random_state=0, tol=1e-3)
        machine.fit((inputs[learnt] - mean) / deviation, labels[learnt])
        expected = machine.predict((inputs[asked] - mean) / deviation)
        assert found.filter(split=part)["predicted"].to_list() == expected.tolist()
        assert found.filter(split=part)["label"].to_list() == labels[asked].tolist()


def test_each_speaker_is_standardised_by_hand_and_so_is_heard_better(corpus: TinyCorpus, tmp_path: Path) -> None:
    found = run(corpus, tmp_path / "out.parquet", normalise=["train", "speaker"], costs=[1e-3])
    test = found.filter(split="test").with_columns(right=pl.col("label") == pl.col("predicted"))
    accuracy = dict(test.group_by("initialisation").agg(pl.col("right").mean()).iter_rows())
    assert accuracy["svm_speaker"] > 0.85 > 0.6 > accuracy["svm"]
    inputs, speakers, labels = arrays(corpus)
    inputs = inputs[:, :-1]
    for speaker in np.unique(speakers):
        own = speakers == speaker
        inputs[own] = (inputs[own] - inputs[own].mean(0)) / inputs[own].std(0)
    tested = np.isin(speakers, ["s0", "s3"])
    machine = LinearSVC(C=1e-3, class_weight="balanced", random_state=0, tol=1e-3)
    expected = machine.fit(inputs[~tested], labels[~tested]).predict(inputs[tested])
    of_fold = test.filter(fold=0, initialisation="svm_speaker")
    assert of_fold["predicted"].to_list() == expected.tolist()


def test_probabilities_add_up_to_one_and_are_largest_for_the_class_predicted(
    corpus: TinyCorpus, tmp_path: Path
) -> None:
    found = run(corpus, tmp_path / "out.parquet", costs=[1e-2])
    for row in found.iter_rows(named=True):
        assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-6)
        assert CLASSES[int(np.argmax(row["probabilities"]))] == row["predicted"]
        assert row["truth"] == VALUES["hard"][row["label"]]
    assert set(found["seed"]) == {0}
    made_by = shards.read_provenance(tmp_path / "out.parquet")
    assert (made_by["kind"], made_by["setting"]) == ("hard", "acted.speaker_kfold")


def test_decision_values_become_the_probabilities_under_which_dev_is_likeliest() -> None:
    # Ten clips, of which the machine, always as sure, is right on eight: p = .8 where the odds, exp(2 s), are 4.
    decided = np.array([[0.35, -0.35]] * 10)
    labels = np.array([0] * 8 + [1] * 2)
    sharpness = baseline.choose_sharpness(decided, labels)
    assert sharpness == 2.0, "of the powers of two the nearest to ln(4) / .7 = 1.98"
    assert baseline.probabilities(decided, sharpness)[0] == pytest.approx([0.802, 0.198], abs=1e-3)


def test_copies_at_another_speed_are_learnt_from_where_their_clips_are_and_nowhere_else(
    corpus: TinyCorpus, tmp_path: Path
) -> None:
    rows = shards.read(corpus.folder / "functionals.parquet")
    inputs, speakers, labels = arrays(corpus)
    moved = [[value + 1.0 for value in values] for values in rows["values"]]
    made_by = provenance("functionals", {}, names=["x"] * D)
    faster = tmp_path / "faster.parquet"
    shards.write_table(faster, {"clip_id": rows["clip_id"], "values": moved}, schema_of("functionals"), made_by)
    own = corpus.folder / "functionals.parquet"
    shards_of = {corpus.name: {"functionals": [own]}, f"{corpus.name}@1.1": {"functionals": [faster]}}
    options = BaselineOptions(costs={"linear": [1e-3]})
    baseline.run(shards_of, {corpus.name: corpus.targets()}, corpus.folds, options, tmp_path / "out.parquet")
    found = shards.read(tmp_path / "out.parquet").filter(fold=0, split="test")
    inputs, learnt = inputs[:, :-1], ~np.isin(speakers, ["s0", "s3"])
    mean, deviation = inputs[learnt].mean(0), inputs[learnt].std(0)
    both = np.concatenate([(inputs[learnt] - mean) / deviation, (inputs[learnt] + 1 - mean) / deviation])
    machine = LinearSVC(C=1e-3, class_weight="balanced", random_state=0, tol=1e-3)
    machine.fit(both, np.concatenate([labels[learnt], labels[learnt]]))
    expected = machine.predict((inputs[~learnt] - mean) / deviation)
    assert found["predicted"].to_list() == expected.tolist()
    assert len(found) == (~learnt).sum(), "copies are learnt from, not tested"


def test_the_kernel_is_that_of_its_formula() -> None:
    rng = np.random.default_rng(3)
    inputs, labels = rng.normal(size=(40, 5)), rng.integers(0, 3, 40)
    shown = baseline.kernel(inputs, inputs)
    machine = baseline.fit(shown, labels, 3.0, "rbf", BaselineOptions())
    kernel = np.exp(-np.square(inputs[:, None] - inputs[None]).sum(2) / (2 * 5))
    by_hand = SVC(C=3.0, kernel="precomputed", class_weight="balanced").fit(kernel, labels)
    assert shown == pytest.approx(kernel, abs=1e-12)
    assert baseline.decisions(machine, shown, 3) == pytest.approx(by_hand.decision_function(kernel), abs=1e-3)


def test_the_discriminant_is_that_of_its_formula() -> None:
    rng = np.random.default_rng(5)
    labels = rng.permutation(np.repeat([0, 1, 2], [10, 20, 30]))
    inputs = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4)) + labels[:, None]
    machine = baseline.fit(inputs, labels, 9, "lda", BaselineOptions())  # of 4 values, all are kept
    rotated = machine[0].transform(inputs)
    means = np.array([rotated[labels == label].mean(0) for label in range(3)])
    spread = [rotated[labels == label].std(0) for label in range(3)]
    shrunk = [
        ledoit_wolf((rotated[labels == k] - means[k]) / spread[k])[0] * np.outer(spread[k], spread[k]) for k in range(3)
    ]
    weights = np.linalg.solve(
        np.mean(shrunk, 0), means.T
    ).T  # classes are equally likely, so their covariances count alike
    expected = rotated @ weights.T - 0.5 * (weights * means).sum(1) + np.log(1 / 3)
    assert baseline.decisions(machine, inputs, 3) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert (expected.argmax(1) == labels).mean() > 0.9


def test_a_discriminant_learns_a_class_of_one_clip_without_a_warning() -> None:
    rng, labels = np.random.default_rng(5), np.repeat([0, 1, 2], [10, 20, 1])
    inputs = rng.normal(size=(31, 4)) + 5 * labels[:, None]
    with warnings.catch_warnings(action="error"):
        machine = baseline.fit(inputs, labels, 4, "lda", BaselineOptions())
    assert (baseline.decisions(machine, inputs, 3).argmax(1) == labels).mean() > 0.9


def test_a_discriminant_is_a_row_of_its_own_and_keeps_at_most_as_many_components_as_there_are(
    corpus: TinyCorpus, tmp_path: Path
) -> None:
    found = run(corpus, tmp_path / "out.parquet", normalise=["speaker"], discriminants=[1, 5, 500])
    test = found.filter(split="test")
    right = {name[0]: (rows["label"] == rows["predicted"]).mean() for name, rows in test.group_by("initialisation")}
    assert set(right) == {"svm_speaker", "lda_speaker"}
    assert right["lda_speaker"] > 0.85, "with 1 component of 8 it could not tell the classes"


def test_every_combination_asked_for_is_a_baseline_of_its_own(corpus: TinyCorpus, tmp_path: Path) -> None:
    own = corpus.folder / "functionals.parquet"
    squares = tmp_path / "statistics.parquet"
    rows = shards.read(own)
    values = [[value * value for value in values] for values in rows["values"]]
    shards.write_table(
        squares, {"clip_id": rows["clip_id"], "values": values}, schema_of("functionals"), {"names": ["y"]}
    )
    vectors = {corpus.name: {"functionals": [own], "statistics": [squares]}}
    options = BaselineOptions(vectors=["functionals", "statistics"], kernels=["linear", "rbf"], normalise=["speaker"])
    baseline.run(vectors, {corpus.name: corpus.targets()}, corpus.folds, options, tmp_path / "out.parquet")
    found = shards.read(tmp_path / "out.parquet").filter(split="test")
    right = {name[0]: (rows["label"] == rows["predicted"]).mean() for name, rows in found.group_by("initialisation")}
    assert set(right) == {"svm_speaker", "svm_rbf_speaker", "svm_statistics_speaker", "svm_statistics_rbf_speaker"}
    assert min(right["svm_speaker"], right["svm_rbf_speaker"]) > 0.85
    assert right["svm_statistics_speaker"] != right["svm_speaker"]


def test_a_class_that_was_not_learnt_has_probability_zero() -> None:
    machine = baseline.fit(np.array([[-1.0], [1.0]]), np.array([0, 2]), 1.0, "linear", BaselineOptions())
    shares = baseline.probabilities(baseline.decisions(machine, np.array([[0.5]]), 3), 4.0)
    assert shares[0, 1] == 0
    assert shares[0, 2] > shares[0, 0] > 0


def test_a_constant_functional_is_zero() -> None:
    source = np.array([[1, 0.1, 7], [3, 0.1, 7]], np.float32)
    asked = np.array([[5, 0.2, 9]], np.float32)
    assert baseline.standardise(asked, source, np.arange(2)).tolist() == [[3.0, 0.0, 0.0]]


def test_what_hardly_varies_in_training_is_cut_off_elsewhere() -> None:
    source = np.array([[-1.0], [1.0]], np.float32)
    assert baseline.standardise(np.array([[9.0], [-12531.0]], np.float32), source, np.arange(2)).tolist() == [
        [9.0],
        [-10.0],
    ]


def test_a_speaker_with_a_single_clip_is_standardised_by_the_training_clips() -> None:
    values = np.array([[0], [2], [4], [9]], np.float32)
    clips = baseline.DescribedClips(
        list("abcd"), np.array(["s", "s", "t", "u"]), values, np.zeros(4, np.int64), np.arange(4)
    )
    rows = {"train": np.array([0, 1]), "dev": np.array([2]), "test": np.array([3])}
    inputs = baseline.normalised(clips, rows, rows["train"], "speaker")
    assert inputs.flatten().tolist() == [-1, 1, 3, 8]


def test_dev_chooses_the_cost_and_test_does_not(
    corpus: TinyCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is right on dev for one C only: that C is learnt again, with dev, for test."""
    asked: list[tuple[float, int]] = []
    real = baseline.fit

    def fit(inputs: np.ndarray, labels: np.ndarray, cost: float, kernel: str, options: BaselineOptions) -> object:
        asked.append((cost, len(inputs)))
        return real(inputs if cost == 0.5 else inputs * 0, labels, cost, kernel, options)

    monkeypatch.setattr(baseline, "fit", fit)
    run(corpus, tmp_path / "out.parquet", costs=[0.9, 0.5, 0.1], normalise=["speaker"])
    assert asked[:4] == [(0.1, 30), (0.5, 30), (0.9, 30), (0.5, 60)]


@pytest.mark.parametrize(("costs", "chosen"), [([1e-2, 1e-4], 1e-4), ([1e-2, 1e-3], 1e-2)])
def test_without_dev_the_usual_cost_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, costs: list[float], chosen: float
) -> None:
    corpus = TinyCorpus(tmp_path).write()
    functionals_of(corpus)
    corpus.write_folds([row for row in corpus.fold_rows() if row["part"] != "dev"])
    real = baseline.fit
    asked: list[float] = []

    def fit(inputs: np.ndarray, labels: np.ndarray, cost: float, kernel: str, options: BaselineOptions) -> object:
        asked.append(cost)
        return real(inputs, labels, cost, kernel, options)

    monkeypatch.setattr(baseline, "fit", fit)
    found = run(corpus, tmp_path / "out.parquet", costs=costs)
    assert set(found["split"]) == {"test"}
    assert asked == [chosen] * 3


def test_one_corpus_is_learnt_and_another_tested(tmp_path: Path) -> None:
    ours = TinyCorpus(tmp_path / "ours", name="ours", clips_each=12).write()
    theirs = TinyCorpus(tmp_path / "theirs", name="theirs", speakers=3, clips_each=12).write()
    shards_of = {
        "ours": {"functionals": [functionals_of(ours)]},
        "theirs": {"functionals": [functionals_of(theirs, seed=9)]},
    }
    parts = [(row, "dev" if row["speaker"] == "s0" else "train") for row in ours.rows]
    rows = [{**row, "fold": 0, "name": "theirs", "corpus": "ours", "part": part} for row, part in parts]
    rows += [{**row, "fold": 0, "name": "theirs", "corpus": "theirs", "part": "test"} for row in theirs.rows]
    targets = {"ours": ours.targets(), "theirs": theirs.targets()}
    options = BaselineOptions(normalise=["speaker"])
    baseline.run(shards_of, targets, theirs.write_folds(rows), options, tmp_path / "out.parquet")
    test = shards.read(tmp_path / "out.parquet").filter(split="test")
    assert test["clip_id"].to_list() == sorted(row["clip_id"] for row in theirs.rows)
    assert (test["label"] == test["predicted"]).mean() > 0.85  # type: ignore[operator]


def test_twice_the_same_run_gives_the_same_bytes(corpus: TinyCorpus, tmp_path: Path) -> None:
    for name in ("first", "second"):
        run(corpus, tmp_path / name, costs=[1e-3, 1e-2])
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_clips_without_functionals_are_left_out_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = TinyCorpus(tmp_path).write()
    path = functionals_of(corpus)
    rows, made_by = shards.read(path), shards.read_provenance(path)
    shards.write_table(path, rows[1:], schema_of("functionals"), made_by)
    found = run(corpus, tmp_path / "out.parquet", costs=[1e-3])
    assert "1 of 36 clips have no functionals" in capsys.readouterr().err
    assert "s0_0" not in set(found["clip_id"])


def test_what_the_baseline_cannot_learn_is_told(corpus: TinyCorpus, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="learns targets of kind hard, not distribution"):
        run(corpus, tmp_path / "out.parquet", kind="distribution")
    with pytest.raises(UserError, match="the folds name tiny, of which no functionals are given"):
        baseline.run({}, {"tiny": corpus.targets()}, corpus.folds, BaselineOptions(), tmp_path / "out.parquet")


def test_functionals_of_different_sets_are_told(tmp_path: Path) -> None:
    ours, theirs = (TinyCorpus(tmp_path / name, name=name).write() for name in ("ours", "theirs"))
    files = {"ours": {"functionals": [functionals_of(ours)]}, "theirs": {"functionals": [functionals_of(theirs)]}}
    own = files["ours"]["functionals"][0]
    shards.write_table(own, shards.read(own), schema_of("functionals"), {"names": ["y"] * D})
    targets = {"ours": ours.targets(), "theirs": theirs.targets()}
    folds = theirs.write_folds([*ours.fold_rows(), *theirs.fold_rows()])
    with pytest.raises(UserError, match="functionals are of different feature sets"):
        baseline.run(files, targets, folds, BaselineOptions(), tmp_path / "out.parquet")


def test_a_machine_that_is_not_learnt_to_the_end_is_told_of(
    corpus: TinyCorpus, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs, _, labels = arrays(corpus)
    baseline.fit(inputs, labels, 1e-4, "linear", BaselineOptions())
    assert not capsys.readouterr().err
    monkeypatch.setattr(baseline, "ITERATIONS", 1)
    for _ in range(2):
        baseline.fit(inputs, labels, 10.0, "linear", BaselineOptions())
    assert capsys.readouterr().err.count("C = 10 is not learnt to the end after 1 passes over 90 clips") == 2
