"""Pre-training: resuming, determinism, what is hidden, and what is missing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avpretext import shards
from avpretext.config import Config, PretrainOptions
from avpretext.errors import UserError
from avpretext.models.losses import NO_LABEL
from avpretext.training import checkpoint as checkpoints
from avpretext.training import pretrain
from avpretext.training.data import SpeechChunks, hidden_channels, normalise
from avpretext.training.loop import ClipSet, Target

from .conftest import TinyCorpus, config

ALL = ("energy", "activation", "emotion")


def run(tiny: TinyCorpus, output: Path, tasks: tuple[str, ...] = ALL, settings: Config | None = None) -> Path:
    labels = {"tiny": {task: tiny.labels[task] for task in tasks}}
    pretrain.run(tasks, {"tiny": tiny.speech}, {"tiny": tiny.index}, labels, settings or config(), output, 1)
    return output / "checkpoint.safetensors"


class Killed(Exception):
    """Stands for a job that is killed."""


@pytest.mark.parametrize("encoder", ["conv", "conv_gru"])
def test_a_run_taken_up_again_gives_the_bytes_of_an_undisturbed_one(
    tiny: TinyCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: str
) -> None:
    settings = config(model={"encoder": encoder}, pretrain={"mixup": 0.3, "time_mask": 0.3})
    undisturbed = run(tiny, tmp_path / "undisturbed", settings=settings)
    write, epochs_written = checkpoints.write, []

    def write_and_die(path: Path, *content: object) -> None:
        write(path, *content)  # type: ignore[arg-type]
        epochs_written.append(path)
        if len(epochs_written) == 2:
            raise Killed

    monkeypatch.setattr(checkpoints, "write", write_and_die)
    with pytest.raises(Killed):
        run(tiny, tmp_path / "killed", settings=settings)
    monkeypatch.setattr(checkpoints, "write", write)
    assert (tmp_path / "killed" / pretrain.RESUME).exists()
    torch.rand(5)
    resumed = run(tiny, tmp_path / "killed", settings=settings)
    assert resumed.read_bytes() == undisturbed.read_bytes()
    for name in ("checkpoint.safetensors", "history.parquet"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
    assert not (tmp_path / "killed" / pretrain.RESUME).exists()


def test_a_run_with_other_options_is_not_taken_up(
    tiny: TinyCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = run(tiny, tmp_path / "plain", ("energy",))
    tensors, metadata = checkpoints.read(run(tiny, tmp_path / "other", ("energy",), config(pretrain={"epochs": 2})))
    checkpoints.write(tmp_path / "again" / pretrain.RESUME, tensors, metadata)
    assert run(tiny, tmp_path / "again", ("energy",)).read_bytes() == plain.read_bytes()
    assert "starting afresh" in capsys.readouterr().err


def test_hidden_channels_have_no_influence(tiny: TinyCorpus, tmp_path: Path) -> None:
    settings = config(pretrain={"hidden_channels": ["*RMSenergy*", "energy", "loudness"]})
    path = run(tiny, tmp_path, settings=settings)
    _, metadata = checkpoints.read(path)
    assert metadata["hidden_channels"] == ["energy", "loudness", "pcm_RMSenergy_sma"]
    chunks = pretrain.read_chunks({"tiny": tiny.speech}, {"tiny": tiny.index}, settings)
    hidden = hidden_channels(chunks.channels, settings.pretrain.hidden_channels)
    rows = np.arange(len(chunks))
    louder = chunks.steps.clone()
    louder[..., torch.from_numpy(hidden)] += torch.randn(louder[..., torch.from_numpy(hidden)].shape)
    targets = pretrain.read_targets(chunks, ["energy"], {"tiny": tiny.labels}, {}, settings.pretrain)

    def heard(changed: SpeechChunks) -> torch.Tensor:
        clips = pretrain.clip_set(normalise(changed, rows, "train"), targets, rows)
        return pretrain.hide(clips, hidden, ["energy"]).steps

    normal = heard(chunks)
    assert torch.equal(heard(replace(chunks, steps=louder)), normal)
    assert not normal[..., torch.from_numpy(hidden)].any()
    assert normal[..., torch.from_numpy(~hidden)].any()


def test_augmentation_does_not_bring_hidden_channels_back(tiny: TinyCorpus, tmp_path: Path) -> None:
    """Their first-layer weights keep their start, up to weight decay, unless a task may hear them."""
    from avpretext.models.network import make_network

    hiding = {"hidden_channels": ["*RMSenergy*"], "noise": 0.5, "weight_decay": 0.0}
    for tasks, hidden_from, learnt in (
        (("energy",), ["energy"], False),
        (ALL, ALL, False),
        (ALL, ["energy"], True),
        (("emotion",), ["energy"], True),
    ):
        settings = config(pretrain={**hiding, "hidden_from": hidden_from})
        tensors, metadata = checkpoints.read(run(tiny, tmp_path, tasks, settings))
        place = metadata["channels"].index("pcm_RMSenergy_sma")
        begin = make_network(len(metadata["channels"]), settings.model, {}, settings.seed)
        first = begin.state_dict()["encoder.blocks.0.conv.weight"]
        trained = tensors["model.encoder.blocks.0.conv.weight"]
        assert torch.equal(trained[:, place], first[:, place]) != learnt
        assert not torch.equal(trained[:, place - 1], first[:, place - 1])


def test_a_task_that_must_not_hear_a_channel_is_asked_only_without_it() -> None:
    steps, mask = torch.ones(4, 3, 5, 2), torch.ones(4, 3, 5, dtype=torch.bool)
    energy, emotion = (Target(torch.ones(size, dtype=torch.int64), torch.ones(size)) for size in ((4, 3), (4,)))
    hidden = np.array([True, False])
    clips = pretrain.hide(ClipSet(steps, mask, {"energy": energy, "emotion": emotion}), hidden, ["energy"])
    hears = clips.steps[..., 0].flatten(1).any(1)
    assert hears.tolist() == [False] * 4 + [True] * 4
    assert clips.steps[..., 1].all()
    assert torch.equal((clips.targets["energy"].labels != NO_LABEL).all(1), ~hears)
    assert torch.equal((clips.targets["energy"].labels == NO_LABEL).all(1), hears)
    assert torch.equal(clips.targets["emotion"].labels != NO_LABEL, hears)
    assert steps.all()
    alone = pretrain.hide(ClipSet(steps, mask, {"emotion": emotion}), hidden, ["energy"])
    assert alone.steps.all()
    assert len(alone.steps) == 4


def test_classes_of_low_confidence_count_as_much_as_others() -> None:
    target = Target(torch.tensor([0, 0, 1, 1]), torch.tensor([0.9, 0.7, 0.2, 0.2]))
    objective = pretrain.Objective({"emotion": target}, {"emotion": ["angry", "sad"]}, PretrainOptions())
    logits = torch.zeros(4, 2, requires_grad=True)
    objective.loss({"emotion": logits}, {"emotion": target}).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad.sum(0), torch.zeros(2))


def test_the_checkpoint_holds_all_that_was_promised(tiny: TinyCorpus, tmp_path: Path) -> None:
    tensors, metadata = checkpoints.read(run(tiny, tmp_path))
    groups = {name.split(".")[0] for name in tensors}
    assert groups == {"model", "averaged", "best", "optimiser", "random", "input"}
    assert {"random.torch", "random.batches", "input.mean", "input.deviation"} <= set(tensors)
    assert metadata["tasks"] == list(ALL)
    assert metadata["classes"] == {"emotion": ["angry", "happy", "sad"]}
    assert metadata["epoch"] == 4
    assert 1 <= metadata["best_epoch"] <= 4
    assert metadata["config"]["pretrain"]["batch_size"] == 8
    history = shards.read(tmp_path / "history.parquet")
    assert set(history["measure"]) >= {"loss", "energy_loss", "energy_uar", "activation_uar", "emotion_macro_f1"}


def test_the_last_epoch_is_kept_or_the_best(tiny: TinyCorpus, tmp_path: Path) -> None:
    # At this learning rate the first epochs are the best ones.
    hasty = {"epochs": 12, "patience": 2, "learning_rate": 0.3, "averaging": 0.0}
    for keep, whole in (("last", True), ("best", False)):
        _, metadata = checkpoints.read(run(tiny, tmp_path / keep, ALL, config(pretrain={**hasty, "keep": keep})))
        assert (metadata["epoch"] == 12) == whole
        assert metadata["best_epoch"] == metadata["epoch"] - (0 if whole else 2)


@pytest.mark.parametrize("tasks", [("energy",), ("activation", "emotion"), ("emotion",)])
def test_any_subset_of_the_tasks(tiny: TinyCorpus, tmp_path: Path, tasks: tuple[str, ...]) -> None:
    _, metadata = checkpoints.read(run(tiny, tmp_path, tasks))
    assert metadata["tasks"] == list(tasks)


def test_labels_stand_at_their_clip_and_chunk(tiny: TinyCorpus) -> None:
    settings = config()
    chunks = pretrain.read_chunks({"tiny": tiny.speech}, {"tiny": tiny.index}, settings)
    table = shards.read(tiny.labels["energy"]).row(7, named=True)
    targets = pretrain.chunk_targets(chunks, {"tiny": tiny.labels["energy"]}, confidence=True)
    place = chunks.clip_ids.index(f"tiny/{table['clip_id']}")
    assert int(targets.labels[place, table["chunk"]]) == table["label"]
    emotion = pretrain.clip_targets(chunks, {"tiny": tiny.labels["emotion"]}, ["angry", "happy", "sad"], True)
    assert emotion.labels.tolist() == [int(clip_id[-1]) % 3 for clip_id in chunks.clip_ids]
    assert emotion.weights.tolist() == [0.5] * len(chunks)
    elsewhere = pretrain.chunk_targets(chunks, {"other": tiny.labels["energy"]}, confidence=True)
    assert (elsewhere.labels == NO_LABEL).all()


def test_a_task_without_any_label_is_an_error(tiny: TinyCorpus, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no clip with speech has a label of task 'energy'"):
        pretrain.run(["energy"], {"tiny": tiny.speech}, {"tiny": tiny.index}, {"tiny": {}}, config(), tmp_path, 1)


def test_labels_of_another_grid_are_an_error(tiny: TinyCorpus, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"chunk 2 of s0_0, but clips have 2 chunks; redo the labels"):
        run(tiny, tmp_path, ("energy",), config(chunks={"count": 2}))


def test_held_out_speakers_are_never_learnt_from() -> None:
    speakers = [f"s{number % 7}" for number in range(50)]
    learnt, held_out = pretrain.hold_out_speakers(speakers, 0.2, seed=3)
    heard, unheard = {speakers[row] for row in learnt}, {speakers[row] for row in held_out}
    assert not heard & unheard
    assert len(unheard) == 1
    assert sorted([*learnt, *held_out]) == list(range(50))
    with pytest.raises(UserError, match="1 speaker"):
        pretrain.hold_out_speakers(["only"] * 5, 0.2, seed=3)
