"""A pre-trained encoder that learns in the whole workflow: its stage is not made, its weights go the whole way."""

from pathlib import Path
from typing import Any

import pytest
import transformers

import avpretext
from avpretext import shards
from avpretext.demo import random_encoder
from avpretext.run.recipes import recorded
from avpretext.training import model_folder
from tests.workflow.project import Project, small_config
from tests.workflow.test_corpora import own_corpus, rows_of

LORA = {"tune": "lora", "rank": 2}
TARGETS = (
    "results/mine/finetune/seen.partitions/base.mean/energy/predictions.parquet",
    "results/mine/export/seen.partitions/energy/model.json",
)


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
    """A run up to a model whose encoder learns in pre-training and in fine-tuning, the latter in two processes."""
    made = project(tmp_path_factory.mktemp("tuning"), corpus_folder)
    made.snakemake(*TARGETS)
    return made


@pytest.mark.workflow
def test_it_learns_from_sound_and_its_stage_is_not_made(learnt: Project) -> None:
    assert not (learnt.folder / "results/mine/encoder").exists()
    predictions = shards.read(learnt.folder / TARGETS[0])
    assert predictions["initialisation"].unique().to_list() == ["energy"]
    folder = learnt.folder / "results/pretrain/mean/energy/0/encoder"
    assert transformers.AutoModel.from_pretrained(folder).config.model_type == "wavlm"
    recipe = recorded(folder / "model.safetensors")
    assert recipe is not None
    assert recipe.options["pretrain"]["encoder"]["rank"] == 2


@pytest.mark.workflow
def test_the_model_carries_what_it_has_learnt(learnt: Project) -> None:
    folder = learnt.folder / "results/mine/export/seen.partitions/energy"
    said = model_folder.read_description(folder)
    assert said.encoder is not None
    assert said.encoder.tuning is not None
    model = avpretext.load(folder, learnt.folder / "wavlm")
    assert model.predict(sorted((learnt.folder / "clips").iterdir())[0]).probabilities.shape[0] == 1


@pytest.mark.workflow
def test_an_upstream_whose_encoder_stays_frozen_stands_beside_one_that_learns(learnt: Project, tmp_path: Path) -> None:
    both = learnt.copy(tmp_path / "both")
    frozen = {"encoder": {"tune": "frozen"}}
    both.snakemake("upstreams", upstreams={"frozen": {"pretrain": frozen, "finetune": frozen}, "learnt": {}})
    rows = rows_of(both.folder / "results/tables/upstreams.csv")
    systems = [("frozen", "scratch"), ("frozen", "energy"), ("learnt", "scratch"), ("learnt", "energy")]
    assert [(row["upstream"], row["initialisation"]) for row in rows] == systems
    encoders = (both.folder / "results/pretrain").glob("*/energy/0/encoder/model.safetensors")
    assert [path.parts[-5] for path in encoders] == ["mean"], "not of mean.frozen"
    assert list((both.folder / "results/mine/encoder").rglob("*.parquet")), "what the frozen one hears"


@pytest.mark.workflow
def test_nothing_is_redone_but_what_an_edit_touches(learnt: Project) -> None:
    assert not learnt.snakemake("-n", *TARGETS).would_run()
    after = {"finetune": {"seeds": 1, "epochs": 1, "encoder": {**LORA, "processes": 1}}}
    assert not learnt.snakemake("-n", *TARGETS, **after).would_run()
    edited = {"finetune": {"seeds": 1, "epochs": 1, "encoder": {**LORA, "rank": 3}}}
    again = learnt.snakemake("-n", *TARGETS, **edited).would_run()
    assert {"finetune", "export"} <= set(again)
    assert not {"pretrain_encoder", "split"} & set(again)
    random_encoder.write("wavlm", learnt.folder / "other", seed=1)
    again = learnt.snakemake("-n", *TARGETS, encoders={"tiny": {"folder": "other"}}).would_run()
    assert {"pretrain_encoder", "finetune", "export"} <= set(again)
    assert not {"split", "labels_energy"} & set(again)


@pytest.mark.workflow
def test_a_frozen_fine_tuning_reads_sound_only_where_pre_training_changed_the_encoder(learnt: Project) -> None:
    frozen = {"finetune": {"seeds": 1, "epochs": 1}}
    again = learnt.snakemake("-n", *TARGETS, **frozen).would_run()
    assert {"finetune", "export"} <= set(again)
    assert not {"encoder", "pretrain_encoder"} & set(again)
    scratch = TARGETS[0].replace("energy", "scratch")
    assert {"encoder", "finetune"} <= set(learnt.snakemake("-n", scratch, **frozen).would_run())
