"""A pre-trained encoder that learns in the whole workflow: its stage is not made, its weights go the whole way."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

import avpretext
from avpretext.demo import random_encoder
from avpretext.training import model_folder
from tests.workflow.project import Project, small_config
from tests.workflow.test_corpora import own_corpus, rows_of

LORA = {"tune": "lora", "rank": 2}


def project(folder: Path, corpus_folder: Path, **changes: Any) -> Project:
    random_encoder.write("wavlm", folder / "wavlm")
    config = {
        "results": "results",
        "corpora": {"mine": own_corpus(corpus_folder, folder)},
        "encoders": {"tiny": {"folder": "wavlm"}},
        "model": {"features": ["tiny"], "width": 8},
        "pretrain": {"task_sets": [["energy"]], "epochs": 1, "seeds": 1, "encoder": LORA},
        "finetune": {"seeds": 1, "epochs": 1, "encoder": {**LORA, "processes": 2}},
        "export": {"networks": 1, "initialisations": ["energy"]},
        "baseline": {"normalise": []},
        "evaluate": small_config()["evaluate"],
        **changes,
    }
    return Project(folder, config)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory, corpus_folder: Path) -> Project:
    """A finished run whose encoder learns in pre-training and in fine-tuning, the latter in two processes."""
    made = project(tmp_path_factory.mktemp("tuning"), corpus_folder)
    made.snakemake()
    return made


@pytest.mark.workflow
def test_it_learns_from_sound_and_its_stage_is_not_made(learnt: Project) -> None:
    assert not (learnt.folder / "results/mine/encoder").exists()
    main = rows_of(learnt.folder / "results/tables/main.csv")
    assert {row["initialisation"] for row in main} == {"scratch", "energy"}
    folder = learnt.folder / "results/pretrain/mean/energy/0/encoder"
    assert transformers.AutoModel.from_pretrained(folder).config.model_type == "wavlm"
    manifest = json.loads((learnt.folder / "results/manifest.json").read_text())
    assert "pretrain.encoder" in {entry["artefact"] for entry in manifest["artefacts"]}


@pytest.mark.workflow
def test_the_model_carries_what_it_has_learnt_and_its_card_says_so(learnt: Project) -> None:
    folder = learnt.folder / "results/mine/export/seen.partitions/energy"
    said = model_folder.read_description(folder)
    assert said.encoder is not None
    assert said.encoder.tuning is not None
    model = avpretext.load(folder, learnt.folder / "wavlm")
    assert model.predict(sorted((learnt.folder / "clips").iterdir())[0]).probabilities.shape[0] == 1
    assert "with adapters of rank 2 that have learnt" in (folder / "README.md").read_text()


@pytest.mark.workflow
def test_nothing_is_redone_but_what_an_edit_touches(learnt: Project) -> None:
    assert not learnt.snakemake("-n").would_run()
    after = {"finetune": {"seeds": 1, "epochs": 1, "encoder": {**LORA, "processes": 1}}}
    assert not learnt.snakemake("-n", **after).would_run()
    edited = {"finetune": {"seeds": 1, "epochs": 1, "encoder": {**LORA, "rank": 3}}}
    again = learnt.snakemake("-n", **edited).would_run()
    assert {"finetune", "export"} <= set(again)
    assert not {"pretrain", "split"} & set(again)
    random_encoder.write("wavlm", learnt.folder / "other", seed=1)
    again = learnt.snakemake("-n", encoders={"tiny": {"folder": "other"}}).would_run()
    assert {"pretrain", "finetune", "export"} <= set(again)
    assert not {"split", "labels_energy"} & set(again)


@pytest.mark.workflow
def test_a_frozen_fine_tuning_reads_sound_only_where_pre_training_changed_the_encoder(learnt: Project) -> None:
    frozen = {"finetune": {"seeds": 1, "epochs": 1}}
    again = learnt.snakemake("-n", **frozen).would_run()
    assert {"encoder", "finetune"} <= set(again)  # scratch hears stored features
    assert "pretrain" not in again
