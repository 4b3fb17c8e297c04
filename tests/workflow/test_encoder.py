"""A pre-trained encoder in the whole workflow: learnt from, shown, taken away; its files are known by their content."""

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
    }
    project = Project(folder, config)
    project.snakemake()
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
    assert "run `avpretext models tiny` where there is network, or set encoders.tiny.folder" in run.text


@pytest.mark.workflow
def test_an_edit_of_the_chunks_redoes_the_means_of_chunks(heard: Project) -> None:
    again = heard.snakemake("-n", chunks={"count": 4}).would_run()
    assert {"encoder", "labels_energy"} <= set(again)
