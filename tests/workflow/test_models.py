"""The models of the field side by side, in small: every stage that a configuration has to ask for, and the ablation."""

import statistics
from pathlib import Path

import polars as pl
import pytest

from avpretext import shards
from tests.workflow.project import Project, small_config
from tests.workflow.test_corpora import own_corpus, rows_of

TRAINED = {"energy", "clusters"}
BESIDE = {
    "svm", "svm_rbf", "svm_statistics", "svm_statistics_rbf", "deepemocluster", "together:scratch+svm_statistics_rbf",
}  # fmt: skip


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, corpus_folder: Path) -> Project:
    """A finished run, and its ablation, on clips with votes, their silence cut off, heard at two speeds."""
    folder = tmp_path_factory.mktemp("models")
    config = {
        "results": "results",
        "corpora": {"mine": own_corpus(corpus_folder, folder)},
        "split": {"trim_db": 30},
        "log_mel": {"bands": 16},
        "model": {"features": ["speech", "log_mel"], "encoder": "conv", "width": 8},
        "pretrain": {"task_sets": [["energy"], ["clusters"]], "epochs": 2, "clusters": {"count": 3}},
        "finetune": {"seeds": 2, "epochs": 2, "speeds": [1.1], "loss": "penalty", "threads": 2},
        "ablation": {"initialisations": ["scratch", "clusters"], "aggregators": ["mean", "gated"]},
        "deepemocluster": {"variants": ["head_trained"], "clusters": 3, "epochs": 2, "width": 4},
        "baseline": {"vectors": ["functionals", "statistics"], "kernels": ["linear", "rbf"], "speeds": [1.1]},
        "ensemble": {"members": [["scratch", "svm_statistics_rbf"]]},
        "evaluate": {**small_config()["evaluate"], "conditions": ["noise0"]},
    }
    project = Project(folder, config)
    project.snakemake("all", "ablation")
    return project


@pytest.mark.workflow
def test_every_system_is_a_row_of_the_main_table(compared: Project) -> None:
    rows = rows_of(compared.folder / "results/tables/main.csv")
    assert {row["initialisation"] for row in rows} == {"scratch", *TRAINED, *BESIDE}
    assert all(0 <= float(row["uar"]) <= 1 for row in rows)


@pytest.mark.workflow
def test_two_pretrainings_reach_the_tables(compared: Project) -> None:
    tables = compared.folder / "results/tables"
    main = {row["initialisation"]: row for row in rows_of(tables / "main.csv")}
    seeds = [row for row in rows_of(tables / "seeds.csv") if row["measure"] == "macro_f1"]
    for name in TRAINED:
        assert [row["pretraining"] for row in seeds if row["initialisation"] == name] == ["0", "1"]
        assert (main[name]["seeds"], main[name]["pretrainings"]) == ("2", "2")
        values = [float(row["value"]) for row in seeds if row["initialisation"] == name]
        assert float(main[name]["macro_f1_seed_std"]) == pytest.approx(statistics.stdev(values), abs=2e-4)
        gains = [float(row["difference"]) for row in seeds if row["initialisation"] == name]
        assert float(main[name]["macro_f1_difference"]) == pytest.approx(statistics.mean(gains), abs=2e-4)
        assert len(list((compared.folder / "results/pretrain/mean" / name).glob("*/checkpoint.safetensors"))) == 2
    assert main["scratch"]["pretrainings"] == main["svm"]["pretrainings"] == ""
    told = " ".join((tables / "main.md").read_text("utf-8").split())
    assert "One test speaker tells nothing of others: there are no intervals and no p." in told
    assert "One training: DeepEmoCluster, head trained; together: scratch; frame statistics + RBF SVM." in told
    once = compared.snakemake("--dry-run", pretrain={**compared.config["pretrain"], "seeds": 1}).would_run()
    assert {"pretrain", "finetune", "tables"} <= set(once)
    wrong = compared.snakemake("--dry-run", check=False, pretrain={**compared.config["pretrain"], "seeds": 3})
    assert "2 runs per fold cannot start from 3 pre-trainings (pretrain.seeds) equally often" in wrong.text


@pytest.mark.workflow
def test_the_ablation_holds_every_combination_and_what_stands_beside(compared: Project) -> None:
    rows = rows_of(compared.folder / "results/tables/ablation.csv")
    grid = {(row["initialisation"], row["loss"], row["aggregator"]) for row in rows if row["role"] != "baseline"}
    assert grid == {
        (start, loss, aggregator)
        for start in ("scratch", "clusters")
        for loss in ("base", "penalty")
        for aggregator in ("mean", "gated")
    }
    main = {row["initialisation"]: row for row in rows_of(compared.folder / "results/tables/main.csv")}
    same = [row for row in rows if (row["loss"], row["aggregator"]) == ("penalty", "mean")]
    assert {row["initialisation"] for row in same} == {"scratch", "clusters"}
    for row in same:  # what the main table has is not trained again, and scored alike
        assert float(row["uar"]) == pytest.approx(float(main[row["initialisation"]]["uar"]), abs=1e-4)
    assert (compared.folder / "results/ablation.html").read_text().startswith("<!doctype html>")


@pytest.mark.workflow
def test_silence_is_cut_off_every_artefact_alike(compared: Project) -> None:
    results = compared.folder / "results"
    lengths = {}
    for corpus in ("mine", "mine@1.1"):
        audio = shards.read(sorted((results / corpus / "split/audio").glob("*.parquet")), ["clip_id", "duration_s"])
        lengths[corpus] = audio.sort("clip_id")
        for stage in ("speech", "log_mel"):
            frames = shards.read(sorted((results / corpus / stage).glob("*.parquet")), ["clip_id"])
            counted = frames.group_by("clip_id").len().sort("clip_id")["len"].to_list()
            assert counted == (audio.sort("clip_id")["duration_s"] * 100 + 1e-6).cast(pl.Int64).to_list()
    ratio = lengths["mine"]["duration_s"] / lengths["mine@1.1"]["duration_s"]
    assert ratio.min() > 1.09
    assert ratio.max() < 1.11


@pytest.mark.workflow
def test_every_system_but_deepemocluster_is_tested_in_noise_and_another_condition_decodes_nothing_anew(
    compared: Project,
) -> None:
    rows = [row for row in rows_of(compared.folder / "results/tables/conditions.csv") if row["measure"] == "uar"]
    tested = {row["initialisation"] for row in rows if row["condition"] == "noise0"}
    main = {row["initialisation"] for row in rows_of(compared.folder / "results/tables/main.csv")}
    assert main - tested == {name for name in main if name.startswith("deepemocluster")} != set()
    assert {row["condition"] for row in rows} == {"clean", "noise0"}
    assert "by condition of the test clips: scratch: clean" in (compared.folder / "results/report.html").read_text()
    more = {**compared.config["evaluate"], "conditions": ["noise0", "telephone"]}
    again = compared.snakemake("--dry-run", evaluate=more).would_run()
    assert {"degrade", "finetune", "baseline", "trust"} <= set(again)
    assert not {"split_audio", "index", "pretrain", "folds", "deepemocluster"} & set(again)
    assert {"finetune", "trust"} <= set(
        compared.snakemake("--dry-run", evaluate=small_config()["evaluate"]).would_run()
    )


@pytest.mark.workflow
def test_copies_are_learnt_from_and_never_tested(compared: Project) -> None:
    results = compared.folder / "results/mine"
    predicted = shards.read(results / "baseline/seen.partitions/predictions.parquet")
    tuned = shards.read(results / "finetune/seen.partitions/penalty.mean/scratch/predictions.parquet")
    clips = set(shards.read(sorted((results / "index").glob("*.parquet")), ["clip_id"])["clip_id"])
    assert set(predicted["clip_id"]) | set(tuned["clip_id"]) <= clips
    assert not tuned.is_duplicated().any()


@pytest.mark.workflow
def test_the_penalty_is_that_of_the_training_votes(compared: Project) -> None:
    rows = rows_of(compared.folder / "results/tables/co_occurrence.csv")
    diagonal = [float(row["frequency"]) for row in rows if row["emotion"] == row["with"]]
    assert diagonal == [1.0] * len(diagonal)
    named_with_others = {row["emotion"]: float(row["frequency"]) for row in rows if row["with"] == "ANG"}
    assert named_with_others["NEU"] == 1.0, "one rater in four says neutral of every clip"
    assert named_with_others["SAD"] == 0.0


@pytest.mark.workflow
def test_another_member_redoes_the_ensemble_and_trains_nothing(compared: Project) -> None:
    runs = compared.snakemake("--dry-run", ensemble={"members": [["scratch", "clusters"]]}).would_run()
    assert {"ensemble", "evaluate", "tables", "report"} <= set(runs)
    assert not {"finetune", "pretrain", "baseline", "deepemocluster", "speech", "split_audio"} & set(runs)


@pytest.mark.workflow
def test_more_runs_at_a_time_train_nothing_again(compared: Project) -> None:
    threads = {**compared.config["finetune"], "threads": 1}
    runs = compared.snakemake("--dry-run", "all", "ablation", finetune=threads).would_run()
    assert set(runs) <= {"ablate", "ablation", "tables", "report"}, "which print the configuration"


@pytest.mark.workflow
def test_a_member_that_nobody_trains_stops_the_run_at_once(compared: Project) -> None:
    run = compared.snakemake("--dry-run", check=False, ensemble={"members": [["scratch", "svm_speaker"]]})
    assert run.status != 0
    assert "ensemble.members: 'svm_speaker' is none of scratch, energy, clusters, svm" in run.text
