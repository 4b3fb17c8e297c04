"""Pre-training: resuming, determinism, what is hidden, and what is missing."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from avpretext import shards
from avpretext.config import Config, PretrainOptions
from avpretext.errors import UserError
from avpretext.models.losses import NO_LABEL
from avpretext.models.network import make_network
from avpretext.training import checkpoint as checkpoints
from avpretext.training import pretrain
from avpretext.training.batches import NormalisedSteps, Rows
from avpretext.training.cluster_labels import ClusterLabels, unclustered
from avpretext.training.data import SpeechChunks, hidden_channels
from avpretext.training.encoder_start import Heard
from avpretext.training.loop import ClipSet, Target, TrainingState, epochs, network_seed, start

from .conftest import TinyCorpus, config

ALL = ("energy", "activation", "emotion")


CLUSTERED = ("energy", "clusters")
FEW: dict[str, object] = {"clusters": {"count": 4}}
FIRST = Path("0", "checkpoint.safetensors")
RESUME = Path("0", pretrain.RESUME)


def speech_of(tiny: TinyCorpus) -> dict[str, dict[str, list[Path]]]:
    return {"tiny": {"speech": tiny.speech}}


def run(
    tiny: TinyCorpus,
    output: Path,
    tasks: tuple[str, ...] = ALL,
    settings: Config | None = None,
    threads: int = 1,
    seeds: int = 1,
) -> Path:
    labels = {"tiny": {task: tiny.labels[task] for task in tasks if task in tiny.labels}}
    settings = settings or config()
    settings = settings.model_copy(update={"pretrain": settings.pretrain.model_copy(update={"seeds": seeds})})
    pretrain.run(tasks, speech_of(tiny), {"tiny": tiny.index}, labels, settings, output, threads)
    return output / FIRST


class Killed(Exception):
    """Stands for a job that is killed."""


@pytest.mark.parametrize(
    ("encoder", "tasks"), [("conv", ALL), ("conv_gru", ALL), ("conv", ("clusters",)), ("conv", CLUSTERED)]
)
def test_a_run_taken_up_again_gives_the_bytes_of_an_undisturbed_one(
    tiny: TinyCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: str, tasks: tuple[str, ...]
) -> None:
    settings = config(model={"encoder": encoder}, pretrain={"mixup": 0.3, "time_mask": 0.3, **FEW})
    undisturbed = run(tiny, tmp_path / "undisturbed", tasks, settings)
    write, epochs_written = checkpoints.write, []

    def write_and_die(path: Path, *content: object) -> None:
        write(path, *content)  # type: ignore[arg-type]
        epochs_written.append(path)
        if len(epochs_written) == 2:
            raise Killed

    monkeypatch.setattr(checkpoints, "write", write_and_die)
    with pytest.raises(Killed):
        run(tiny, tmp_path / "killed", tasks, settings)
    monkeypatch.setattr(checkpoints, "write", write)
    assert (tmp_path / "killed" / RESUME).exists()
    torch.rand(5)
    resumed = run(tiny, tmp_path / "killed", tasks, settings)
    assert resumed.read_bytes() == undisturbed.read_bytes()
    for name in (FIRST, Path("history.parquet")):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
    assert not (tmp_path / "killed" / RESUME).exists()


def test_each_seed_is_a_training_of_its_own_and_threads_change_no_byte(tiny: TinyCorpus, tmp_path: Path) -> None:
    settings = config(pretrain=FEW)
    for threads in (1, 2, 3):
        run(tiny, tmp_path / str(threads), CLUSTERED, settings, threads, seeds=3)
    files = [Path(str(seed), "checkpoint.safetensors") for seed in range(3)]
    for name in (*files, Path("history.parquet")):
        assert len({(tmp_path / str(threads) / name).read_bytes() for threads in (1, 2, 3)}) == 1
    whole = [checkpoints.read(tmp_path / "1" / name) for name in files]
    assert [metadata["seed"] for _, metadata in whole] == [0, 1, 2]
    assert len({tuple(tensors["best.encoder.blocks.0.conv.weight"].flatten().tolist()) for tensors, _ in whole}) == 3
    history = shards.read(tmp_path / "1" / "history.parquet")
    assert history["seed"].unique().sort().to_list() == [0, 1, 2]
    once = run(tiny, tmp_path / "once", CLUSTERED, config(pretrain=FEW))
    assert once.read_bytes() == (tmp_path / "1" / FIRST).read_bytes()


def test_seeds_that_are_done_are_not_trained_again(
    tiny: TinyCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tiny, tmp_path / "undisturbed", ("energy",), seeds=2)
    train = pretrain._run_once

    def train_the_first(*arguments: Any) -> Any:
        if arguments[-1].seed == 1:
            raise Killed
        return train(*arguments)

    monkeypatch.setattr(pretrain, "_run_once", train_the_first)
    with pytest.raises(Killed):
        run(tiny, tmp_path / "killed", ("energy",), seeds=2)
    monkeypatch.setattr(pretrain, "_run_once", train)
    (tmp_path / "killed" / FIRST).unlink()  # as Snakemake does with what a killed job has written
    run(tiny, tmp_path / "killed", ("energy",), seeds=2)
    assert capsys.readouterr().err.count("going on after epoch 4") == 1
    for name in (FIRST, Path("1", "checkpoint.safetensors"), Path("history.parquet")):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()


def test_a_run_with_other_options_is_not_taken_up(
    tiny: TinyCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = run(tiny, tmp_path / "plain", ("energy",))
    tensors, metadata = checkpoints.read(run(tiny, tmp_path / "other", ("energy",), config(pretrain={"epochs": 2})))
    checkpoints.write(tmp_path / "again" / RESUME, tensors, metadata)
    assert run(tiny, tmp_path / "again", ("energy",)).read_bytes() == plain.read_bytes()
    assert "starting afresh" in capsys.readouterr().err


def test_hidden_channels_have_no_influence(tiny: TinyCorpus, tmp_path: Path) -> None:
    settings = config(pretrain={"hidden_channels": ["*RMSenergy*", "energy", "loudness"]})
    path = run(tiny, tmp_path, settings=settings)
    _, metadata = checkpoints.read(path)
    assert metadata["hidden_channels"] == ["energy", "loudness", "pcm_RMSenergy_sma"]
    chunks = pretrain.read_clips(speech_of(tiny), {"tiny": tiny.index}, settings).chunks
    hidden = hidden_channels(chunks.channels, settings.pretrain.hidden_channels)
    rows = np.arange(len(chunks))
    louder = chunks.steps.clone()
    louder[..., torch.from_numpy(hidden)] += torch.randn(louder[..., torch.from_numpy(hidden)].shape)
    targets = pretrain.read_targets(chunks, ["energy"], {"tiny": tiny.labels}, {}, settings.pretrain)

    def heard(changed: SpeechChunks) -> torch.Tensor:
        clips = Heard(changed).normalised(rows, settings.model).set_of(targets, rows)
        return pretrain.hide(clips, hidden, ["energy"]).take(torch.from_numpy(rows)).steps

    normal = heard(chunks)
    assert torch.equal(heard(replace(chunks, steps=louder)), normal)
    assert not normal[..., torch.from_numpy(hidden)].any()
    assert normal[..., torch.from_numpy(~hidden)].any()


def test_augmentation_does_not_bring_hidden_channels_back(tiny: TinyCorpus, tmp_path: Path) -> None:
    """Their first-layer weights keep their start, up to weight decay, unless a task may hear them."""
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
        begin = make_network(len(metadata["channels"]), settings.model, {}, network_seed(settings.seed, 0))
        first = begin.state_dict()["encoder.blocks.0.conv.weight"]
        trained = tensors["model.encoder.blocks.0.conv.weight"]
        assert torch.equal(trained[:, place], first[:, place]) != learnt
        assert not torch.equal(trained[:, place - 1], first[:, place - 1])


def test_a_task_that_must_not_hear_a_channel_is_asked_only_without_it() -> None:
    mask = torch.ones(4, 3, 5, dtype=torch.bool)
    stored, plain, none = (
        Rows.of_all(torch.ones(4, 3, 5, 2)),
        torch.tensor([0.0, 1.0]),
        torch.zeros(4, dtype=torch.bool),
    )
    scales = plain.view(2, 1, 1, 1).expand(2, 1, 1, 2)  # mean 0, deviation 1
    steps = NormalisedSteps(stored, mask, torch.zeros(4, dtype=torch.int32), scales, torch.zeros(2).bool(), none)
    energy, emotion = (Target(torch.ones(size, dtype=torch.int64), torch.ones(size)) for size in ((4, 3), (4,)))
    hidden = np.array([True, False])
    both = ClipSet(steps, Rows.of_all(mask), {"energy": energy, "emotion": emotion})
    clips = pretrain.hide(both, hidden, ["energy"]).take(torch.arange(8))
    assert clips.mask.all()
    hears = clips.steps[..., 0].flatten(1).any(1)
    assert hears.tolist() == [False] * 4 + [True] * 4
    assert clips.steps[..., 1].all()
    assert torch.equal((clips.targets["energy"].labels != NO_LABEL).all(1), ~hears)
    assert torch.equal((clips.targets["energy"].labels == NO_LABEL).all(1), hears)
    assert torch.equal(clips.targets["emotion"].labels != NO_LABEL, hears)
    assert both.take(torch.arange(4)).steps.all()
    alone = pretrain.hide(ClipSet(steps, mask, {"emotion": emotion}), hidden, ["energy"]).take(torch.arange(4))
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


@pytest.mark.parametrize("tasks", [("energy",), ("activation", "emotion"), ("emotion",), ("clusters",)])
def test_any_subset_of_the_tasks(tiny: TinyCorpus, tmp_path: Path, tasks: tuple[str, ...]) -> None:
    _, metadata = checkpoints.read(run(tiny, tmp_path, tasks, config(pretrain=FEW)))
    assert metadata["tasks"] == list(tasks)


def test_labels_stand_at_their_clip_and_chunk(tiny: TinyCorpus) -> None:
    settings = config()
    chunks = pretrain.read_clips(speech_of(tiny), {"tiny": tiny.index}, settings).chunks
    table = shards.read(tiny.labels["energy"]).row(7, named=True)
    targets = pretrain.label_target(chunks, {"tiny": tiny.labels["energy"]}, None, confidence=True)
    place = chunks.clip_ids.index(f"tiny/{table['clip_id']}")
    assert int(targets.labels[place, table["chunk"]]) == table["label"]
    emotion = pretrain.label_target(chunks, {"tiny": tiny.labels["emotion"]}, ["angry", "happy", "sad"], True)
    assert emotion.labels.tolist() == [int(clip_id[-1]) % 3 for clip_id in chunks.clip_ids]
    assert emotion.weights.tolist() == [0.5] * len(chunks)
    elsewhere = pretrain.label_target(chunks, {"other": tiny.labels["energy"]}, None, confidence=True)
    assert (elsewhere.labels == NO_LABEL).all()


SURE = (0.2, 0.7, 0.9)
"""Confidences of the labels of `sure_of`, by speaker modulo 3."""


def sure_of(tiny: TinyCorpus, task: str, folder: Path) -> Path:
    """Write the labels of a task with the confidences of `SURE`; return the table."""
    rows = shards.read(tiny.labels[task])
    speakers = rows["clip_id"].str.extract(r"^s(\d+)_").cast(pl.Int64)
    confidences = [SURE[speaker % 3] for speaker in speakers]
    path = folder / f"{task}.parquet"
    rows.with_columns(confidence=pl.Series(confidences, dtype=pl.Float32)).write_parquet(path)
    return path


@pytest.mark.parametrize("task", ["energy", "emotion"])
@pytest.mark.parametrize(("least", "taught"), [(0.0, SURE), (0.2, SURE), (0.7, (0.7, 0.9)), (0.71, (0.9,))])
def test_labels_below_the_least_confidence_do_not_teach(
    tiny: TinyCorpus,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    task: str,
    least: float,
    taught: tuple[float, ...],
) -> None:
    chunks = pretrain.read_clips(speech_of(tiny), {"tiny": tiny.index}, config()).chunks
    tables = {"tiny": {task: sure_of(tiny, task, tmp_path)}}
    names = {"energy": [], "emotion": ["angry", "happy", "sad"]}
    known = [SURE[int(clip_id.split("/")[1][1 : clip_id.split("/")[1].index("_")]) % 3] for clip_id in chunks.clip_ids]
    for weighs in (False, True):
        options = PretrainOptions(min_confidence={task: least}, confidence=weighs)
        labels, weights = pretrain.read_targets(chunks, [task], tables, names, options)[task]
        teaches = np.isin(known, taught)
        assert ((labels != NO_LABEL).reshape(len(known), -1).numpy() == teaches[:, None]).all()
        expected = np.array(known, np.float32) if weighs else np.ones(len(known), np.float32)
        assert (weights.reshape(len(known), -1).numpy()[teaches] == expected[teaches, None]).all()
        told = f"{int((labels == NO_LABEL).sum())} of {labels.numel()} labels are below confidence {least:g}"
        assert (told in capsys.readouterr().err) == (not teaches.all())


def test_confidence_weighs_losses_and_labels_left_out_give_none() -> None:
    """By hand: cross-entropies of two classes are log(1 + exp(-d)) for logits that are d ahead."""
    logits = {"energy": torch.tensor([[2.0, -1.0, 3.0]])}
    labels = torch.tensor([[1, 1, NO_LABEL]])
    losses = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(1))]
    objective = pretrain.Objective({}, {}, PretrainOptions())
    for weights, mean in (((1.0, 1.0), sum(losses) / 2), ((0.9, 0.1), 0.9 * losses[0] + 0.1 * losses[1])):
        target = Target(labels, torch.tensor([[*weights, 5.0]]))
        assert float(objective.loss(logits, {"energy": target})) == pytest.approx(mean)


def test_the_least_confidence_of_a_task_is_its_own(tiny: TinyCorpus) -> None:
    chunks = pretrain.read_clips(speech_of(tiny), {"tiny": tiny.index}, config()).chunks
    options = PretrainOptions(min_confidence={"emotion": 0.6})  # the labels of emotion have .5
    targets = pretrain.read_targets(chunks, ["energy"], {"tiny": tiny.labels}, {}, options)
    assert (targets["energy"].labels != NO_LABEL).all()
    with pytest.raises(UserError, match=r"no clip with speech has a label of task 'emotion'.*pretrain.min_confidence"):
        pretrain.read_targets(chunks, ["emotion"], {"tiny": tiny.labels}, {"emotion": ["sad"]}, options)


def test_a_task_without_any_label_is_an_error(tiny: TinyCorpus, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no clip with speech has a label of task 'energy'"):
        pretrain.run(["energy"], speech_of(tiny), {"tiny": tiny.index}, {"tiny": {}}, config(), tmp_path, 1)


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


def test_clusters_are_told_of_in_the_history(tiny: TinyCorpus, tmp_path: Path) -> None:
    run(tiny, tmp_path, CLUSTERED, config(pretrain=FEW))
    history = shards.read(tmp_path / "history.parquet")
    values = {measure: history.filter(measure=f"clusters_{measure}") for measure in ("nmi", "largest", "smallest")}
    assert values["nmi"]["epoch"].to_list() == [2, 3, 4]
    assert values["nmi"]["value"].is_between(0, 1).all()
    assert values["largest"]["epoch"].to_list() == [1, 2, 3, 4]
    chunks = 30 * 3  # of the five speakers learnt from
    shares = history.filter(measure="clusters_largest_share")["value"]
    assert (values["largest"]["value"] / chunks).to_list() == pytest.approx(shares.to_list())
    assert (values["smallest"]["value"] * 4 <= chunks).all()
    assert {"clusters_loss", "clusters_uar"} <= set(history.filter(split="dev")["measure"])


def labelled_by_clusters(heard: int = 3) -> tuple[ClusterLabels, TrainingState, ClipSet, ClipSet]:
    """Return labels before the first epoch, of clips of three chunks, of which this many are no padding."""
    settings = config(pretrain=FEW)
    torch.manual_seed(0)
    sets = []
    for clips in (12, 4):
        mask = torch.ones(clips, 3, 6, dtype=torch.bool)
        mask[:, heard:] = False
        sets.append(ClipSet(torch.randn(clips, 3, 6, 5), mask, {"clusters": unclustered(mask)}))
    state = start(make_network(5, settings.model, {"clusters": 4}, 1), settings.pretrain, 1)
    return ClusterLabels(*sets, settings.pretrain, seed=1), state, *sets


def test_every_chunk_that_is_heard_has_a_cluster_and_every_cluster_counts_the_same() -> None:
    labels, state, learnt, held_out = labelled_by_clusters(heard=2)
    labels.renew(state)
    numbers, weights = learnt.targets["clusters"]
    assert (numbers[:, 2] == NO_LABEL).all()
    assert (numbers[:, :2] != NO_LABEL).all()
    assert (held_out.targets["clusters"].labels[:, :2] != NO_LABEL).all()
    heard = numbers != NO_LABEL
    sums = torch.stack([weights[heard & (numbers == name)].sum() for name in range(4)])
    torch.testing.assert_close(sums, sums.mean().expand(4))
    assert float(weights[heard].mean()) == pytest.approx(1)


def test_the_top_layer_begins_with_the_nearest_centre_and_forgets_the_one_before() -> None:
    labels, state, learnt, held_out = labelled_by_clusters()
    objective = pretrain.Objective(learnt.targets, {"clusters": list("abcd")}, config().pretrain)
    labels.renew(state)
    for clips in (learnt, held_out):
        logits = state.averaged.eval()(clips.steps, clips.mask)["clusters"]
        named = clips.targets["clusters"].labels
        assert torch.equal(logits.argmax(-1)[named != NO_LABEL], named[named != NO_LABEL])
    next(epochs(state, learnt, held_out, objective.loss, objective.score, config().pretrain))
    top = set(state.network.heads["clusters"].parameters())
    assert top <= set(state.optimiser.state)
    labels.renew(state)
    assert not top & set(state.optimiser.state)
    assert len(state.optimiser.state) > 0


def test_a_chunk_that_must_not_hear_a_channel_is_clustered_without_it(tiny: TinyCorpus, tmp_path: Path) -> None:
    """What is asked about is each chunk once, be its clip there twice or not."""
    hidden_from = {"hidden": ["energy", "clusters"], "heard": ["energy"]}
    for name, tasks in hidden_from.items():
        settings = config(pretrain={**FEW, "hidden_channels": ["*RMSenergy*"], "hidden_from": tasks})
        run(tiny, tmp_path / name, CLUSTERED, settings)
    histories = [shards.read(tmp_path / name / "history.parquet") for name in hidden_from]
    sizes = [history.filter(measure="clusters_largest") for history in histories]
    assert not sizes[0].equals(sizes[1])
    for history, size in zip(histories, sizes, strict=True):
        chunks = size["value"] / history.filter(measure="clusters_largest_share")["value"]
        assert chunks.to_list() == pytest.approx([90] * 4)


def test_with_clusters_the_last_epoch_is_kept(
    tiny: TinyCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hasty = {"epochs": 6, "patience": 1, "learning_rate": 0.3, "averaging": 0.0, "keep": "best", **FEW}
    _, metadata = checkpoints.read(run(tiny, tmp_path, CLUSTERED, config(pretrain=hasty)))
    assert metadata["best_epoch"] == metadata["epoch"] == 6
    assert "the last epoch is kept, whatever pretrain.keep says" in capsys.readouterr().err


def test_more_clusters_than_chunks_are_an_error(tiny: TinyCorpus, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"pretrain\.clusters\.count = 91: there are only 90 chunks"):
        run(tiny, tmp_path, ("clusters",), config(pretrain={"clusters": {"count": 91}}))


def test_clusters_that_collapse_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    labels, state, learnt, _ = labelled_by_clusters()
    learnt.steps.zero_()
    labels.renew(state)
    assert "epoch 1: 100% of the chunks are in one of 4 clusters" in capsys.readouterr().err
