"""A model to take away: trained on all clips by the recipe of fine-tuning, whatever the kind of target."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avpretext import shards
from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.models.chunking import Chunks
from avpretext.training import export, model_folder
from avpretext.training.data import in_deviations, mean_and_deviation
from avpretext.training.labelled_clips import read_clips
from avpretext.training.model_folder import TrainedModel
from avpretext.training.objectives import TASK, outputs_of
from avpretext.training.predictions import LabelledFolds

from .conftest import CLASSES, NAMES, TinyCorpus, config

EASY = {"epochs": 20, "batch_size": 4, "learning_rate": 0.02, "mixup": 0, "time_mask": 0}


def run(
    tiny: TinyCorpus, output: Path, name: str = "scratch", kind: str = "hard", threads: int = 1, **more: Any
) -> TrainedModel:
    histories, starts = more.pop("histories", {}), more.pop("starts", {})
    settings: Config = config(**more)
    features = {tiny.name: {"speech": tiny.speech}}
    targets = {tiny.name: tiny.targets(kind)}
    export.run(name, features, targets, tiny.folds, histories, starts, settings, output, threads)
    return model_folder.read(output)


def said_of(trained: TrainedModel, tiny: TinyCorpus, kind: str = "hard") -> tuple[np.ndarray, np.ndarray]:
    """Return what a model says of all clips of its corpus, and the truth."""
    labelled = LabelledFolds.read({tiny.name: tiny.targets(kind)}, tiny.folds)
    clips = read_clips({tiny.name: {"speech": tiny.speech}}, labelled, config())
    assert trained.normalisation is not None
    steps = in_deviations(clips.chunks.steps.clone(), trained.normalisation.mean, trained.normalisation.deviation)
    heard = Chunks(steps * clips.chunks.mask.unsqueeze(-1), clips.chunks.mask)
    with torch.no_grad():
        logits = [network(*heard)[TASK] for network in trained.networks]
    said = np.mean([outputs_of(trained.description.kind, values, trained.scales) for values in logits], axis=0)
    return said, clips.values


def history(path: Path, **by_run: list[float]) -> Path:
    """Write a history whose dev scores are these, by epoch, of run r0, r1, ..."""
    rows = [
        {"initialisation": "x", "fold": int(run[1:]), "seed": 0, "epoch": epoch, "split": "dev", "measure": "score",
         "value": value}
        for run, values in by_run.items()
        for epoch, value in enumerate(values, 1)
    ]  # fmt: skip
    shards.write_table(path, rows, schema_of("finetune.history"), {})
    return path


def test_what_can_be_heard_is_learnt_from_all_clips(tiny: TinyCorpus, tmp_path: Path) -> None:
    trained = run(tiny, tmp_path, finetune=EASY)
    said, truth = said_of(trained, tiny)
    assert (said.argmax(1) == truth.argmax(1)).mean() > 0.9
    description = trained.description
    assert description.classes == sorted(CLASSES)
    assert description.setting == "acted.speaker_kfold"
    learnt = description.corpora["tiny"]
    assert (learnt.clips, learnt.speakers) == (36, 6)
    frames = sum(len(rows) for path in tiny.speech for _, rows in shards.iterate_clips(path, ["frame"]))
    assert learnt.hours == pytest.approx(frames * 0.01 / 3600, abs=1e-4)
    assert len(trained.networks) == description.networks == 3


def test_it_is_normalised_by_all_clips(tiny: TinyCorpus, tmp_path: Path) -> None:
    trained = run(tiny, tmp_path, export={"networks": 1})
    chosen = trained.description.channels
    frames = np.concatenate([shards.read(path, chosen).to_numpy() for path in tiny.speech]).astype(np.float64)
    assert trained.normalisation is not None
    assert trained.normalisation.mean == pytest.approx(frames.mean(0))
    varied = frames.std(0) > 1e-5
    assert trained.normalisation.deviation[varied] == pytest.approx(frames.std(0)[varied], rel=1e-4)
    clips = np.array([[[10.0, 4.0]], [[50.0, 12.0]], [[254.0, 40.0]]])
    assert [part.tolist() for part in mean_and_deviation(clips)] == [[5.0, 3.0], [pytest.approx(0.4**0.5), 1.0]]


@pytest.mark.parametrize("kind", ["multi_label", "distribution", "attribute", "attributes"])
def test_every_kind_of_target_can_be_taken_away(tiny: TinyCorpus, tmp_path: Path, kind: str) -> None:
    trained = run(tiny, tmp_path, kind=kind, finetune={**EASY, "epochs": 30}, export={"networks": 2})
    said, truth = said_of(trained, tiny, kind)
    assert trained.description.kind == kind
    if kind == "attribute":
        assert trained.description.classes == ["arousal"]
        assert trained.scales == ((15.0, pytest.approx(np.std([10, 15, 20]))),)
        assert np.corrcoef(said[:, 0], truth[:, 0])[0, 1] > 0.9
        assert said.mean() == pytest.approx(15, abs=1.5), "in the unit of the target"
    elif kind == "attributes":
        assert trained.description.classes == NAMES[kind]
        assert [scale.mean for scale in trained.scales] == pytest.approx([15, 2, 4])
        assert [np.corrcoef(said[:, place], truth[:, place])[0, 1] > 0.9 for place in range(3)] == [True] * 3
        assert said.mean(0) == pytest.approx([15, 2, 4], abs=1.5), "each in its own unit"
    else:
        assert np.corrcoef(said.ravel(), truth.ravel())[0, 1] > 0.8
    if kind == "distribution":
        assert said.sum(1) == pytest.approx(1)


def test_any_number_of_threads_gives_the_same_bytes(tiny: TinyCorpus, tmp_path: Path) -> None:
    for threads, name in ((1, "one"), (1, "again"), (2, "two")):
        run(tiny, tmp_path / name, threads=threads)
    for file in (model_folder.DESCRIPTION, model_folder.WEIGHTS):
        contents = {(tmp_path / name / file).read_bytes() for name in ("one", "again", "two")}
        assert len(contents) == 1


def test_networks_differ_by_their_seeds(tiny: TinyCorpus, tmp_path: Path) -> None:
    trained = run(tiny, tmp_path, export={"networks": 2})
    first, second = (network.state_dict() for network in trained.networks)
    assert not torch.equal(first["heads.ser.fc2.weight"], second["heads.ser.fc2.weight"])


def test_the_best_is_chosen_by_the_dev_score_of_its_best_epochs(tmp_path: Path) -> None:
    late = history(tmp_path / "a.parquet", r0=[0.2, 0.6, 0.1], r1=[0.4, 0.2])
    early = history(tmp_path / "b.parquet", r0=[0.55], r1=[0.55])
    chosen, scores = export.choose({"scratch": late, "energy": early})
    assert (chosen, scores) == ("energy", {"scratch": pytest.approx(0.5), "energy": pytest.approx(0.55)})
    assert export.choose({"scratch": early, "energy": early})[0] == "scratch", "of equals the first"


def test_without_dev_clips_it_starts_from_scratch(tmp_path: Path) -> None:
    nothing = history(tmp_path / "a.parquet")
    assert export.choose({"scratch": nothing, "energy": nothing}) == ("scratch", {})


def test_the_best_starts_from_its_checkpoint(tiny: TinyCorpus, tmp_path: Path, pretrained_twice: list[Path]) -> None:
    start = pretrained_twice[:1]
    histories = {
        "scratch": history(tmp_path / "a.parquet", r0=[0.3]),
        "energy": history(tmp_path / "b.parquet", r0=[0.4]),
    }
    trained = run(tiny, tmp_path / "best", "best", histories=histories, starts={"energy": start})
    assert trained.description.initialisation == "energy"
    assert trained.description.dev_scores == {"scratch": 0.3, "energy": 0.4}
    named = run(tiny, tmp_path / "named", "energy", starts={"energy": start})
    weights = [(tmp_path / name / model_folder.WEIGHTS).read_bytes() for name in ("best", "named")]
    assert weights[0] == weights[1]
    assert named.description.dev_scores == {}
    assert named.description.pretrainings == 1
    assert run(tiny, tmp_path / "scratch").description.pretrainings == 0
    with pytest.raises(UserError, match="export energy: its checkpoint is needed"):
        run(tiny, tmp_path / "none", "energy")


def test_networks_start_from_the_pretrainings_in_turn(
    tiny: TinyCorpus, tmp_path: Path, pretrained_twice: list[Path]
) -> None:
    starts = pretrained_twice
    trained = run(tiny, tmp_path / "both", "energy", starts={"energy": starts}, export={"networks": 3})
    assert trained.description.pretrainings == 2
    for number, network in enumerate(trained.networks):
        only = {"energy": [starts[number % 2]]}
        alone = run(tiny, tmp_path / f"alone{number}", "energy", starts=only, export={"networks": number + 1})
        expected, found = (one.state_dict() for one in (alone.networks[number], network))
        assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_model_by_speaker_carries_no_normalisation(tiny: TinyCorpus, tmp_path: Path) -> None:
    trained = run(tiny, tmp_path, model={"normalise": "speaker"}, export={"networks": 1})
    assert trained.normalisation is None


def test_the_penalty_is_that_of_all_votes(tiny: TinyCorpus) -> None:
    labelled = LabelledFolds.read({tiny.name: tiny.targets()}, tiny.folds)
    assert export.penalty_of(labelled, config()) is None
    votes = {"angry": [2, 1, 0], "happy": [0, 3, 0], "sad": [0, 0, 3]}
    voted = {f"tiny/{row['clip_id']}": np.array(votes[row["label"]], np.float32) for row in tiny.rows}
    known = replace(labelled.known, votes=voted)
    penalty = export.penalty_of(labelled._replace(known=known), config(finetune={"loss": "penalty"}))
    # Of 24 clips that anyone calls happy, 12 are called angry too; all 12 angry ones are called happy too.
    assert penalty is not None
    assert penalty.tolist() == [[0, 0.5, 1], [0, 0, 1], [1, 1, 0]]


def test_copies_at_other_speeds_are_learnt_from_and_count_for_nothing_else(tiny: TinyCorpus, tmp_path: Path) -> None:
    features = {"tiny": {"speech": tiny.speech}, "tiny@1.1": {"speech": tiny.speech}}
    targets = {"tiny": tiny.targets()}
    clips = read_clips(features, LabelledFolds.read(targets, tiny.folds), config())
    assert len(clips.chunks) == 72
    assert len(export.learnt_rows(clips)) == 36
    export.run("scratch", features, targets, tiny.folds, {}, {}, config(export={"networks": 1}), tmp_path / "both", 1)
    both = model_folder.read(tmp_path / "both")
    alone = run(tiny, tmp_path / "alone", export={"networks": 1})
    assert both.description.corpora == alone.description.corpora
    assert both.normalisation is not None
    assert alone.normalisation is not None
    assert np.array_equal(both.normalisation.mean, alone.normalisation.mean), "by the clips themselves"


def test_the_penalty_is_learnt_with(tiny: TinyCorpus, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="penalty needs raters' votes"):
        run(tiny, tmp_path, finetune={"loss": "penalty"})
