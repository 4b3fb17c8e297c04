"""A pre-trained encoder in the whole workflow: learnt from, shown, taken away; its files are known by their content."""

import re
import shutil
from pathlib import Path

import pytest

import avpretext
from avpretext.demo import random_encoder
from avpretext.training import model_folder
from tests.workflow.project import Project, small_config
from tests.workflow.test_corpora import own_corpus, rows_of


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory, corpus_folder: Path) -> Project:
    """A finished run on sound alone, heard by a tiny WavLM with random weights."""
    folder = tmp_path_factory.mktemp("encoder")
    random_encoder.write("wavlm", folder / "wavlm")
    config = {
        "results": "results",
        "corpora": {"mine": own_corpus(corpus_folder, folder)},
        "encoders": {"tiny": {"folder": "wavlm"}},
        "model": {"features": ["tiny"], "width": 8},
        "pretrain": {"task_sets": [["energy", "clusters"]], "epochs": 2, "seeds": 1, "clusters": {"count": 3}},
        "finetune": {"seeds": 2, "epochs": 2},
        "baseline": {"vectors": ["tiny"], "costs": {"linear": [0.1]}},
        "evaluate": small_config()["evaluate"],
        "upstreams": {
            "lld": {"model": {"features": ["speech"], "step_frames": 20}, "pretrain": {"task_sets": [["energy"]]}},
            "alone": {},
        },
    }
    project = Project(folder, config)
    project.snakemake("all", "upstreams")
    return project


@pytest.mark.workflow
def test_every_system_is_in_the_tables_and_the_weights_of_the_layers_too(heard: Project) -> None:
    main = rows_of(heard.folder / "results/tables/main.csv")
    assert {row["initialisation"] for row in main} == {"scratch", "energy-clusters", "svm_tiny"}
    weights = rows_of(heard.folder / "results/tables/layer_weights.csv")
    assert [row["layer"] for row in weights] == ["0", "1", "2"] * 2
    assert sum(float(row["weight"]) for row in weights) == pytest.approx(2, abs=1e-3)
    assert "Weights of layers: scratch: layer" in (heard.folder / "results/report.html").read_text()


@pytest.mark.workflow
def test_the_model_predicts_with_the_encoder_and_its_card_says_so(heard: Project) -> None:
    folder = heard.folder / "results/mine/export/seen.partitions/best"
    said = model_folder.read_description(folder)
    assert said.encoder is not None
    assert (said.encoder.kind, said.encoder.layers, said.speech) == ("wavlm", [0, 1, 2], None)
    model = avpretext.load(folder, heard.folder / "wavlm")
    assert model.predict(sorted((heard.folder / "clips").iterdir())[0]).probabilities.shape[0] == 1
    card = (folder / "README.md").read_text()
    assert "Hears a pre-trained encoder, frozen: wavlm (tiny), 3 layers of 16 numbers, a mean per chunk" in card
    assert 'avpretext.load("FOLDER", encoder="TINY")' in card


@pytest.mark.workflow
def test_an_opened_run_has_its_hidden_states(heard: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(heard.folder)
    run = avpretext.open()
    rows = run.features("tiny", run.clips()["clip_id"][0])
    assert rows["frame"].to_list() == [0, 1, 2, 3, 4]
    assert rows["values"].to_numpy().shape == (5, 48)


@pytest.mark.workflow
def test_the_files_are_known_by_their_content(heard: Project) -> None:
    shutil.copytree(heard.folder / "wavlm", heard.folder / "elsewhere")
    assert not heard.snakemake("-n", encoders={"tiny": {"folder": "elsewhere"}}).would_run()
    random_encoder.write("wavlm", heard.folder / "elsewhere", seed=1)
    again = heard.snakemake("-n", encoders={"tiny": {"folder": "elsewhere"}}).would_run()
    assert {"encoder", "pretrain", "finetune", "baseline", "export"} <= set(again)
    assert not {"split", "labels_energy", "folds"} & set(again)


@pytest.mark.workflow
def test_what_is_missing_is_said_before_anything_runs(heard: Project) -> None:
    run = heard.snakemake("-n", check=False, encoders={"tiny": {"hub": "nobody/nothing"}})
    assert "nobody/nothing (main) is not in the hub's cache" in run.text
    assert re.search(r"run `.*avpretext models tiny` where there is network, or set encoders.tiny.folder", run.text)


@pytest.mark.workflow
def test_an_edit_of_the_chunks_redoes_the_means_of_chunks(heard: Project) -> None:
    again = heard.snakemake("-n", chunks={"count": 4}).would_run()
    assert {"encoder", "labels_energy"} <= set(again)


@pytest.mark.workflow
def test_upstreams_are_compared_and_what_the_main_table_has_is_trained_once(heard: Project) -> None:
    rows = rows_of(heard.folder / "results/tables/upstreams.csv")
    assert [(row["upstream"], row["initialisation"]) for row in rows] == [
        ("lld", "scratch"), ("lld", "energy"), ("alone", "scratch"), ("alone", "energy-clusters"),
        ("", "svm_tiny"),
    ]  # fmt: skip
    main = {row["initialisation"]: row for row in rows_of(heard.folder / "results/tables/main.csv")}
    for row in rows[2:4]:
        assert float(row["uar"]) == pytest.approx(float(main[row["initialisation"]]["uar"]), abs=1e-4)
    gain = float(main["energy-clusters"]["macro_f1_difference"])
    assert float(rows[3]["gain"]) == pytest.approx(gain, abs=1e-4)
    made = {path.name for path in (heard.folder / "results/mine/finetune/seen.partitions").iterdir()}
    assert made == {"base.mean", "base.mean.lld"}
    pretrained = {f"{path.parent.name}/{path.name}" for path in (heard.folder / "results/pretrain").glob("*/*")}
    assert pretrained == {"mean/energy-clusters", "mean.lld/energy"}
    page = (heard.folder / "results/upstreams.html").read_text()
    assert "What do pretext tasks add to each upstream?" in page


@pytest.mark.workflow
def test_an_edit_of_an_upstream_redoes_that_upstream_alone(heard: Project) -> None:
    assert heard.snakemake("upstreams", "-n").would_run() == {}
    own = heard.config["upstreams"]
    slower = {**own, "slow": {"finetune": {"learning_rate": 0.0001}}}
    added = heard.snakemake("upstreams", "-n", upstreams=slower).would_run()
    assert added == {"finetune": 2, "upstreams": 1}, "it starts from the pre-trainings that there are"
    wider = {**own, "lld": {**own["lld"], "model": {**own["lld"]["model"], "width": 6}}}
    run = heard.snakemake("upstreams", "-n", upstreams=wider)
    assert run.would_run() == {"pretrain": 1, "finetune": 2, "upstreams": 1}
    assert "base.mean.lld" in run.text


@pytest.mark.workflow
def test_weights_that_an_upstream_lacks_are_named_before_anything_runs(heard: Project) -> None:
    more = {**heard.config["encoders"], "other": {"folder": "nowhere"}}
    run = heard.snakemake("upstreams", "-n", check=False, encoders=more, upstreams={})
    assert run.status != 0
    assert "nowhere" in run.text
    assert not heard.snakemake("-n", encoders=more).would_run().keys() & {"encoder", "pretrain", "finetune"}
    none = heard.snakemake("upstreams", "-n", check=False, encoders={}, upstreams={}, model={}, baseline={})
    assert "upstreams: nothing to compare: name a pre-trained encoder in `encoders`" in none.text
