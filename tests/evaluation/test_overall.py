"""The stage `overall`: systems over several corpora, each of which counts the same."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from avpretext import escapes, shards
from avpretext.config import Config, EvaluateOptions
from avpretext.config_file import parse
from avpretext.evaluation import evaluate, intervals, overall, printed_overall
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.run.plan import Plan

MAP = {"hot": "warm", "cold": "cold"}


def a_config(folder: Path) -> Config:
    """Return a configuration of three corpora tested within, and three times across; the last has two speakers."""
    (folder / "clips.csv").write_text("path,speaker,mood\na.wav,s1,hot\nb.wav,s2,cold\n", "utf-8")
    table = {"path": str(folder), "table": str(folder / "clips.csv"), "targets": ["mood"], "video": False}
    three = {name: {**table, "use": ["finetune"]} for name in ("one", "two", "few")}
    three["one"] |= {"use": ["pretrain", "finetune"]}

    def by(tested: str, *train: str) -> dict[str, Any]:
        return {
            "of": tested,
            "targets": ["mood"],
            "label_map": MAP,
            "protocol": {"name": "cross_corpus", "train": train},
        }

    across = {"one_by_two": by("one", "two"), "one_by_few": by("one", "few"), "two_by_one": by("two", "one")}
    content = {
        "results": str(folder / "results"),
        "corpora": three | across,
        "pretrain": {"task_sets": [["energy"]]},
        "baseline": {"normalise": []},
        "evaluate": {"bootstrap": 500},
    }
    return parse(content)


def write_predictions(path: str, start: str, right: dict[str, list[int]], seeds: int = 4) -> None:
    """Write predictions: of each speaker, the number of ten clips per class that are right, by seed."""
    rows = [
        {"initialisation": start, "fold": 0, "seed": seed, "pretraining": None if start == "scratch" else seed,
         "split": "test", "speaker": speaker, "clip_id": f"{speaker}-{label}-{take}", "label": label,
         "predicted": label if take < right[speaker][seed] else other, "probabilities": [0.5, 0.5]}
        for speaker in right
        for seed in range(seeds)
        for label, other in (("cold", "hot"), ("hot", "cold"))
        for take in range(10)
    ]  # fmt: skip
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    shards.write_table(path, rows, schema_of("finetune.predictions"), provenance("finetune", kind="hard"))


def fill(config: Config, gain: dict[str, int]) -> None:
    """Write predictions of every setting: `energy` is right on so many clips of ten more than scratch, by corpus."""
    plan = Plan(config)
    for corpus, settings in plan.settings.items():
        rng = np.random.default_rng(sum(map(ord, corpus)))
        speakers = 2 if config.clips_of(corpus) == "few" else 6
        base = {f"s{n}": rng.integers(3, 6, 4).tolist() for n in range(speakers)}
        for setting in settings:
            for path, start in zip(plan.predictions(corpus, setting), config.initialisations(), strict=True):
                more = gain.get(corpus, 0) if start == "energy" else 0
                write_predictions(path, start, {name: [seed + more for seed in own] for name, own in base.items()})


@pytest.fixture
def scored(tmp_path: Path) -> pl.DataFrame:
    config = a_config(tmp_path)
    fill(config, {"one": 2, "two": 4, "one_by_two": 3, "one_by_few": 1, "two_by_one": 1})
    overall.run(config, tmp_path / "results" / "overall.parquet")
    return shards.read(tmp_path / "results" / "overall.parquet")


def row_of(table: pl.DataFrame, tested: str, corpus: str | None = None, measure: str = "uar") -> dict[str, Any]:
    rows = table.filter(
        pl.col("corpus").eq_missing(pl.lit(corpus)), tested=tested, measure=measure, initialisation="energy"
    )
    return rows.row(0, named=True)


def test_corpora_count_alike_and_settings_of_one_corpus_share_its_weight(scored: pl.DataFrame) -> None:
    within, across = row_of(scored, "within"), row_of(scored, "across")
    assert within["difference"] == pytest.approx((0.2 + 0.4) / 2)
    assert across["difference"] == pytest.approx(((0.3 + 0.1) / 2 + 0.1) / 2)
    assert (across["corpora"], across["settings"], across["speakers"]) == (2, 3, 12)
    assert row_of(scored, "across", "one")["difference"] == pytest.approx(0.2)
    assert (within["better"], within["p_corpora"]) == (2, None)


def test_a_corpus_with_one_setting_has_the_intervals_of_evaluate(scored: pl.DataFrame, tmp_path: Path) -> None:
    config = a_config(tmp_path)
    (setting,) = Plan(config).settings["two"]
    files = [Path(file) for file in Plan(config).predictions("two", setting)]
    evaluate.run(files, config.evaluate, config.seed, tmp_path / "two")
    found = {"measure": "uar", "initialisation": "energy"}
    own = row_of(scored, "within", "two")
    metrics = shards.read(tmp_path / "two" / "metrics.parquet").filter(pl.col("class").is_null(), **found)
    assert metrics.select("value", "ci_low", "ci_high").row(0) == (own["value"], own["ci_low"], own["ci_high"])
    compared = shards.read(tmp_path / "two" / "comparisons.parquet").filter(**found).row(0, named=True)
    pairs = {"difference": "difference", "ci_low": "difference_low", "ci_high": "difference_high", "p_holm": "p_holm"}
    assert {name: compared[name] for name in pairs} == {name: own[other] for name, other in pairs.items()}


def test_less_is_better_where_it_is_so() -> None:
    corpora = [overall.TestedCorpus(name, [], ["a", "b", "c"]) for name in ("one", "two")]
    lower = [overall.Drawn(np.array([value]), np.array([[value], [value]]), [0], 0) for value in (0.1, 0.3)]
    higher = [overall.Drawn(np.array([0.2]), np.array([[0.2], [0.2]]), [0], 0)] * 2
    named = {"measure": "kl_divergence"}
    rows = overall._scope_rows({"scratch": higher, "energy": lower}, corpora, EvaluateOptions(), named)
    assert rows[1]["better"] == 1
    assert (
        overall._scope_rows({"scratch": higher, "energy": higher}, corpora, EvaluateOptions(), named)[1]["better"] == 0
    )


def test_a_corpus_of_two_speakers_is_left_out_of_the_mean_and_named(scored: pl.DataFrame) -> None:
    assert row_of(scored, "within")["left_out"] == ["few"]
    assert "few" not in scored["corpus"].unique().to_list()


def test_a_gain_that_is_the_same_for_every_speaker_and_seed_has_no_spread(scored: pl.DataFrame) -> None:
    within = row_of(scored, "within")
    assert within["difference_low"] == pytest.approx(within["difference"]) == pytest.approx(within["difference_high"])


def test_printed_tables_name_every_corpus_and_claim_no_more_than_the_test(tmp_path: Path) -> None:
    config = a_config(tmp_path)
    fill(config, {"one": -1, "two": -2})
    overall.run(config, tmp_path / "results" / "overall.parquet")
    document = printed_overall.document(OpenRun(config))
    text = " ".join(document.markdown().split())
    assert "No set of pretext tasks is better than scratch on average; the nearest is energy: −0.150" in text
    assert "Too few test speakers for a mean: few" in text
    assert "one (mood), two (mood); 12 test speakers." in text
    assert "one (mood-mapped), two (mood-mapped); 12 test speakers in 3 settings." in text
    assert document.sections[0].tables[0].header[6:8] == ("one", "two")
    assert escapes.latex("−") in document.latex()


def test_the_standard_error_over_corpora_is_that_of_independent_means() -> None:
    rng = np.random.default_rng(0)
    scores = [np.full(1, 0.5), np.full(1, 0.7)]
    drawn = [rng.normal(0.5, 0.04, (20_000, 1)), rng.normal(0.7, 0.03, (20_000, 1))]
    found = intervals.estimate_over(scores, drawn, [5, 9], 1)
    variances = np.array([0.04**2 * 5 / 4, 0.03**2 * 9 / 8]) / 4
    assert found.value == pytest.approx(0.6)
    assert found.std_error == pytest.approx(variances.sum() ** 0.5, rel=0.02)
    assert found.df == pytest.approx(variances.sum() ** 2 / (variances**2 / [4, 8]).sum(), rel=0.02)


def test_over_one_corpus_the_estimate_is_that_of_the_corpus() -> None:
    rng = np.random.default_rng(1)
    scores, drawn = rng.normal(0.5, 0.02, 6), rng.normal(0.5, 0.04, (300, 6))
    assert intervals.estimate_over([scores], [drawn], [7], 3) == intervals.estimate(scores, drawn, 7, 3)


def test_p_over_corpora_is_that_of_a_t_test() -> None:
    differences = np.array([0.03, -0.01, 0.05, 0.02])
    assert overall.over_corpora(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert np.isnan(overall.over_corpora(differences[:2]))


def test_systems_are_paired_by_seed() -> None:
    drawn = overall.Drawn(np.array([0.1, 0.2, 0.4]), np.ones((2, 3)), [0, 1, 2], 3)
    other = overall.Drawn(np.array([0.3, 0.1]), np.zeros((2, 2)), [2, 0], 0)
    assert drawn.less(other).scores.tolist() == pytest.approx([0.1, 0.0])
    once = overall.Drawn(np.array([0.5]), np.ones((2, 1)), [0], 0)
    assert once.less(other).scores.tolist() == pytest.approx([0.2, 0.4])
