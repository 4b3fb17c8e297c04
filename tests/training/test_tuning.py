"""A pre-trained encoder learns: in each way, from where its frozen features stand, the same however it is computed."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
import torch
import transformers
from safetensors.torch import load_file

import avpretext
from avpretext import shards
from avpretext.config import Config, MediaOptions
from avpretext.demo import random_encoder
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.media import split
from avpretext.sound.audio_shards import decode, read_clips
from avpretext.training import encoder_front, export, finetune, labelled_clips, loop, model_folder, together, tunable
from avpretext.training.encoder_start import open_encoder
from avpretext.training.finetune import EVERY_CLIP, RunSeeds
from avpretext.training.finished import UnfinishedRun
from avpretext.training.objectives import make_objective
from avpretext.training.predictions import LabelledFolds
from avpretext.training.tunable import TunableEncoder

from . import sounding
from .conftest import TinyCorpus

KINDS = ("wav2vec2", "hubert", "data2vec", "wavlm", "whisper", "w2vbert")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoders")
    for kind in KINDS:
        sounding.model(kind, folder / kind)
    return folder


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyCorpus, list[Path]]:
    corpus = TinyCorpus(tmp_path_factory.mktemp("sounding"), clips_each=3).write()
    return corpus, sounding.write_audio(corpus)


def read(heard: tuple[TinyCorpus, list[Path]], settings: Config) -> tuple[labelled_clips.LabelledClips, LabelledFolds]:
    corpus, audio = heard
    labelled = LabelledFolds.read({"tiny": corpus.targets()}, corpus.folds)
    clips, _ = labelled_clips.read_starts({"tiny": {"tiny": audio}}, labelled, [], settings, 1)
    return clips[0], labelled


def run(heard: Any, output: Path, settings: Config, starts: list[Path] | None = None, threads: int = 1) -> Path:
    corpus, audio = heard
    features, targets = {"tiny": {"tiny": audio}}, {"tiny": corpus.targets()}
    finetune.run("scratch", starts, features, targets, corpus.folds, None, settings, output, threads)
    return output


@pytest.mark.parametrize("kind", KINDS)
def test_untouched_weights_give_the_logits_of_the_frozen_features(
    heard: tuple[TinyCorpus, list[Path]], models: Path, tmp_path: Path, kind: str
):
    corpus, audio = heard
    frozen = sounding.learning(models / kind)
    shard_files = sounding.encode(audio, frozen, tmp_path)
    labelled = LabelledFolds.read({"tiny": corpus.targets()}, corpus.folds)
    stored = labelled_clips.read_clips({"tiny": {"tiny": shard_files}}, labelled, frozen)
    fold = labelled.table.folds[0]
    expected = logits(labelled_clips.clips_of_fold(stored, fold, frozen.model), fold, frozen)
    for tune in ("lora",) if kind == "whisper" else ("last_n", "lora", "full"):  # Whisper always computes 30 s
        settings = sounding.learning(models / kind, tune)
        clips, _ = read(heard, settings)
        assert clips.chunks.clip_ids == stored.chunks.clip_ids
        assert clips.chunks.steps.numpy() == pytest.approx(stored.chunks.steps.numpy(), abs=1e-5)
        found = logits(labelled_clips.clips_of_fold(clips, fold, settings.model), fold, settings)
        assert found == pytest.approx(expected, abs=1e-4)


def logits(clips: labelled_clips.LabelledClips, fold: Any, settings: Config) -> np.ndarray:
    rows = fold.rows(clips.chunks.clip_ids)
    network = finetune.initial_network(clips, None, settings, 3, rows["train"])
    objective = make_objective(clips.kind, clips.values[rows["train"]], settings.finetune, None)
    found = loop.predict(network, finetune.clip_set(clips, rows["test"], objective), settings.finetune)
    return next(iter(found.values())).numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tune", ["last_n", "lora", "full"])
def test_every_weight_that_learns_moves_and_no_other(heard: Any, models: Path, kind: str, tune: str):
    settings = sounding.learning(models / kind, tune, finetune={"epochs": 2, "mixup": 0.0})
    clips, labelled = read(heard, settings)
    fold = labelled.table.folds[0]
    of_fold = labelled_clips.clips_of_fold(clips, fold, settings.model)
    rows = fold.rows(of_fold.chunks.clip_ids)
    assert of_fold.start is not None
    encoder = of_fold.start.shared
    encoder.put({})
    before = {name: value.clone() for name, value in encoder.speech.model.state_dict().items()}
    state, _ = finetune.train(of_fold, rows, finetune.RunSeeds(0, fold.number), None, settings)
    first = encoder.first_weights(loop.network_seed(settings.seed, 0))
    learnt = {name: state.best[f"front.learning.{name.replace('.', '/')}"] for name in encoder.start}
    # A key's bias changes no attention: it moves by rounding alone.
    still = [name for name in first if not torch.equal(first[name], learnt[name]) or "k_proj.bias" in name]
    assert sorted(still) == sorted(first)
    encoder.put({})
    after = encoder.speech.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before if "lora_" not in name)
    kept = {name for name in state.best if name.startswith("front.")}
    assert kept == {"front.mean", "front.deviation", *(f"front.learning.{name.replace('.', '/')}" for name in first)}


def test_long_clips_are_heard_in_windows_as_the_stage_hears_them(heard: Any, models: Path, tmp_path: Path):
    """Windows of 0.2 s, and parts of 0.1 s, of clips of 0.3 s and more."""
    windows = {"window_s": 0.2}
    frozen = sounding.learning(models / "wavlm", heard=windows)
    files = sounding.encode(heard[1], frozen, tmp_path)
    labelled = LabelledFolds.read({"tiny": heard[0].targets()}, heard[0].folds)
    stored = labelled_clips.read_clips({"tiny": {"tiny": files}}, labelled, frozen)
    clips, _ = read(heard, sounding.learning(models / "wavlm", "lora", {"batch_s": 0.1}, heard=windows))
    assert clips.chunks.steps.numpy() == pytest.approx(stored.chunks.steps.numpy(), abs=1e-5)
    short = gradients(heard, models / "wavlm", "lora", {"batch_s": 0.1}, windows)
    whole = gradients(heard, models / "wavlm", "lora", {}, windows)
    for name, gradient in whole.items():
        assert short[name].numpy() == pytest.approx(gradient.numpy(), rel=1e-3, abs=1e-6)


def on_a_gpu(encoder: TunableEncoder, lengths: list[int]) -> list[list[int]]:
    """Return the batches in which a GPU would compute signals of these lengths."""
    encoder.speech.device = torch.device("cuda")
    found = list(encoder._batches(lengths))
    encoder.speech.device = CPU
    return found


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "data2vec", "wavlm"])
def test_a_gpus_batches_of_unequal_lengths_have_the_states_of_each_alone(models: Path, kind: str):
    settings = sounding.learning(models / kind, "full")
    encoder = open_encoder(settings, settings.finetune.encoder, CPU).shared
    if kind == "data2vec":  # several convolutions tell its positions, and padding would go from one to the next
        assert not encoder.speech.pads
        assert [len(batch) for batch in on_a_gpu(encoder, [4800, 5000, 4800])] == [2, 1]
        return
    assert [len(batch) for batch in on_a_gpu(encoder, [4800, 5000, 4800])] == [3]
    signals = [sounding.signal_of({"clip_id": name, "label": "sad"}).astype(np.float32) for name in ("a", "b", "c")]
    assert len({len(signal) for signal in signals}) == 3
    for state, signal in zip(encoder.speech.states(signals), signals, strict=True):
        (alone,) = encoder.speech.states([signal])
        assert state.times_s.tolist() == alone.times_s.tolist()
        assert state.values.numpy() == pytest.approx(alone.values.numpy(), abs=2e-4)


def test_conv_front_end_learns_in_full_alone(models: Path):
    for tune, learns in (("full", True), ("last_n", False), ("lora", False)):
        settings = sounding.learning(models / "wav2vec2", tune)
        names = open_encoder(settings, settings.finetune.encoder, CPU).shared.start
        assert any(name.startswith("feature_extractor.") for name in names) is learns
    settings = sounding.learning(models / "wav2vec2", "last_n")
    names = open_encoder(settings, settings.finetune.encoder, CPU).shared.start
    assert {name.split(".")[2] for name in names} == {"1"}
    settings = sounding.learning(models / "wav2vec2", "last_n", heard={"layers": [0, 1]})
    names = open_encoder(settings, settings.finetune.encoder, CPU).shared.start
    assert {name.split(".")[2] for name in names} == {"0"}


def gradients(
    heard: Any, folder: Path, tune: str, encoder: dict[str, Any], windows: dict[str, Any] | None = None
) -> dict[str, torch.Tensor]:
    """Return the gradient of each weight, of all training clips as one batch."""
    still = {"mixup": 0.0, "noise": 0.0, "time_mask": 0.0}
    settings = sounding.learning(folder, tune, encoder, finetune=still, heard=windows or {})
    clips, labelled = read(heard, settings)
    fold = labelled.table.folds[0]
    rows = fold.rows(clips.chunks.clip_ids)
    network = finetune.initial_network(clips, None, settings, 3, rows["train"]).train()
    objective = make_objective(clips.kind, clips.values[rows["train"]], settings.finetune, None)
    torch.manual_seed(5)
    learnt = finetune.clip_set(clips, rows["train"], objective)
    batch = learnt.take(torch.arange(learnt.clips))
    loop.batch_loss(network, batch, objective.loss, settings.finetune).backward()
    return {name: value.grad for name, value in network.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("tune", ["lora", "full"])
@pytest.mark.parametrize(
    "changes", [{"batch_s": 0.7}, {"checkpointing": True}, {"batch_s": 0.7, "checkpointing": True}]
)
def test_parts_and_checkpointing_change_no_gradient(heard: Any, models: Path, tune: str, changes: dict[str, Any]):
    folder = sounding.model("wavlm", models / "dropping", hidden_dropout=0.2, attention_dropout=0.2)
    whole = gradients(heard, folder, tune, {})
    parts = gradients(heard, folder, tune, changes)
    assert whole.keys() == parts.keys()
    assert any("front" in name for name in whole)
    for name, gradient in whole.items():
        assert parts[name].numpy() == pytest.approx(gradient.numpy(), rel=1e-3, abs=1e-6)


def test_a_full_gpu_halves_the_parts_and_changes_no_gradient(
    heard: Any, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """A GPU that holds three clips, in place of one that there may not be."""
    whole = gradients(heard, models / "wavlm", "lora", {})
    vectors, limit = TunableEncoder.vectors, [3]
    computed: list[int] = []

    def means(self: Any, part: list[int]) -> torch.Tensor:
        if len(part) > limit[0]:
            raise torch.OutOfMemoryError
        computed.append(len(part))
        return torch.cat([vectors(self.shared, [self.signals[place]]) for place in part])

    monkeypatch.setattr(encoder_front._Batch, "_means", means)
    halved = gradients(heard, models / "wavlm", "lora", {})
    assert max(computed) <= 3
    assert "the GPU's memory is full: parts of 30 s of speech from now on" in capsys.readouterr().err
    for name, gradient in whole.items():
        assert halved[name].numpy() == pytest.approx(gradient.numpy(), rel=1e-3, abs=1e-6)
    limit[0] = 0
    with pytest.raises(UserError, match=r"does not hold the training of an encoder on 0 s of speech: set encoder"):
        gradients(heard, models / "wavlm", "lora", {})


def test_each_clip_is_computed_by_one_process_whatever_the_parts_of_each(
    heard: Any, models: Path, monkeypatch: pytest.MonkeyPatch
):
    """The GPU of the second process was full, that of the first was not."""
    settings = sounding.learning(models / "wavlm", "lora")
    clips, _ = read(heard, settings)
    assert clips.start is not None
    assert clips.sounds is not None
    front = clips.start.front(clips.chunks, np.arange(len(clips.sounds)), 1, settings.finetune)
    monkeypatch.setattr(together, "processes", lambda: 2)
    shares = []
    for place, batch_s in ((0, 60.0), (1, 1.0)):
        monkeypatch.setattr(together, "place", lambda place=place: place)
        monkeypatch.setattr(front.shared, "batch_s", batch_s)
        shares.append(encoder_front._Batch(front, clips.sounds).own)
    assert [len(share) > 1 for share in shares] == [False, True]
    assert sorted(np.concatenate([*shares[0], *shares[1]])) == list(range(len(clips.sounds)))


def test_fewer_gpus_than_processes_are_refused_for_the_training_that_has_them(
    models: Path, monkeypatch: pytest.MonkeyPatch
):
    tuning = {"tune": "lora", "processes": 2}
    groups = {"finetune": {"device": "cpu", "encoder": tuning}, "pretrain": {"device": "cuda", "encoder": tuning}}
    settings = sounding.learning(models / "wavlm", **groups)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    together.check_device(settings.finetune)
    with pytest.raises(UserError, match=r"encoder.processes: 2, and there are 1 GPUs: set 1"):
        together.check_device(settings.pretrain)


def test_batch_normalisation_keeps_the_statistics_of_the_files(heard: Any, tmp_path: Path):
    """Those of a part would depend on how a batch is cut, and would be in no checkpoint."""
    sizes = {**random_encoder.SIZES["tiny"], **random_encoder.CONV, "conv_depthwise_kernel_size": 3}
    model = transformers.Wav2Vec2ConformerModel(transformers.Wav2Vec2ConformerConfig(**sizes))
    model.save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    assert any(isinstance(module, torch.nn.BatchNorm1d) for module in model.modules())
    settings = sounding.learning(tmp_path, "full")
    encoder = open_encoder(settings, settings.finetune.encoder, CPU).shared
    encoder.drop_out(True)
    encoder.vectors([sounding.signal_of({"clip_id": "a", "label": "sad"}).astype(np.float32)])
    assert encoder.speech.model.training
    found = dict(encoder.speech.model.named_buffers())
    assert all(torch.equal(value, found[name]) for name, value in model.named_buffers())


def test_a_stretch_of_the_sound_is_silenced():
    torch.manual_seed(1)
    for _ in range(20):
        changed = encoder_front._silenced(np.ones(1000, np.float32), 0.4)
        silent = np.flatnonzero(changed == 0)
        assert len(silent) <= 400
        assert np.array_equal(silent, np.arange(len(silent)) + (silent[0] if len(silent) else 0))


def test_a_gradient_is_that_of_differences(heard: Any, models: Path):
    """The loss changes along the gradient as it says, which is known by moving one weight up and down."""
    settings = sounding.learning(models / "hubert", "full", finetune={"mixup": 0.0, "noise": 0.0, "time_mask": 0.0})
    settings = settings.model_copy(
        update={"finetune": settings.finetune.model_copy(update={"channel_dropout": 0.0}),
                "model": settings.model.model_copy(update={"dropout": 0.0, "head_dropout": 0.0})}
    )  # fmt: skip
    clips, labelled = read(heard, settings)
    rows = labelled.table.folds[0].rows(clips.chunks.clip_ids)
    network = finetune.initial_network(clips, None, settings, 3, rows["train"]).train()
    objective = make_objective(clips.kind, clips.values[rows["train"]], settings.finetune, None)
    learnt = finetune.clip_set(clips, rows["train"], objective)
    batch = learnt.take(torch.arange(learnt.clips))

    def loss() -> torch.Tensor:
        torch.manual_seed(5)
        return loop.batch_loss(network, batch, objective.loss, settings.finetune)

    loss().backward()
    front = network.get_submodule("front")
    weight = front.learning["encoder/layers/1/feed_forward/output_dense/weight"]
    assert weight.grad is not None
    direction = weight.grad / weight.grad.norm()
    expected = float(weight.grad.norm())
    step = 0.02
    with torch.no_grad():
        weight += step * direction
        above = float(loss())
        weight -= 2 * step * direction
        below = float(loss())
    assert (above - below) / (2 * step) == pytest.approx(expected, rel=0.05)


def test_what_it_learns_is_predicted_from_files_too(heard: Any, models: Path, tmp_path: Path):
    corpus, _ = heard
    files = wavs(heard[1], tmp_path)
    audio = [as_split_makes_it(files, tmp_path)]
    for kind, tune in (("wavlm", "lora"), ("data2vec", "last_n"), ("w2vbert", "full")):
        settings = sounding.learning(models / kind, tune, export={"networks": 2})
        folder = tmp_path / tune
        targets, features = {"tiny": corpus.targets()}, {"tiny": {"tiny": audio}}
        export.run("scratch", features, targets, corpus.folds, None, None, settings, folder, 1)
        said = model_folder.read_description(folder)
        assert said.encoder is not None
        assert said.encoder.tuning == settings.finetune.encoder
        model = avpretext.load(folder, models / kind)
        found = {
            Path(one.source).stem: one.probabilities[0] for one in model.predict_many(files.values(), min_speech=0)
        }
        assert found.keys() == files.keys()
        expected = of_networks((corpus, audio), settings)
        for name, values in found.items():
            assert values == pytest.approx(expected[name], abs=1e-5)
        along = model.predict(files["s0_0"], along_time=(0.2, 0.1), min_speech=0)
        assert len(along) > 1
        with pytest.raises(UserError, match="not the file that the model was trained with"):
            avpretext.load(folder, models / "hubert")


def wavs(audio: list[Path], folder: Path) -> dict[str, Path]:
    """Write the sound of shards as files, by the names of the clips."""
    found = {}
    for clip in (clip for shard in audio for clip in read_clips(shard)):
        found[clip.clip_id] = folder / f"{clip.clip_id}.wav"
        soundfile.write(found[clip.clip_id], decode(clip), 16_000, "PCM_16")
    return found


def as_split_makes_it(files: dict[str, Path], folder: Path) -> Path:
    """Return the audio shard that the stage `split` makes of files."""
    index = [{"clip_id": name, "path": file.name, "speaker": name[:2]} for name, file in files.items()]
    shards.write_table(folder / "index.parquet", index, schema_of("index"), {})
    split.run(folder / "index.parquet", folder, MediaOptions(), folder / "0.parquet", None, folder / "rejects.parquet")
    return folder / "0.parquet"


def of_networks(heard: Any, settings: Config) -> dict[str, np.ndarray]:
    """Return what the networks of an export, trained again, predict in training, by the names of the clips."""
    clips, _ = read(heard, settings)
    rows = {"train": export.learnt_rows(clips), "dev": np.empty(0, np.int64)}
    said = []
    for number in range(settings.export.networks):
        state, objective = finetune.train(clips, rows, RunSeeds(number, EVERY_CLIP), None, settings)
        said.append(finetune.best_predictions(state, clips, rows["train"], objective, settings))
    return {name.partition("/")[2]: row for name, row in zip(clips.chunks.clip_ids, np.mean(said, 0), strict=True)}


@pytest.mark.parametrize("tune", ["last_n", "lora", "full"])
def test_the_classes_are_learnt_and_threads_change_no_byte(heard: Any, models: Path, tmp_path: Path, tune: str):
    settings = sounding.learning(models / "wavlm", tune, finetune={"epochs": 3, "seeds": 2})
    one, two = (run(heard, tmp_path / f"{tune}{threads}", settings, threads=threads) for threads in (1, 2))
    for name in ("predictions.parquet", "history.parquet"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    losses = shards.read(one / "history.parquet").filter(split="train", measure="loss")
    by_epoch = losses.group_by("epoch").agg(pl.col("value").mean()).sort("epoch")["value"]
    assert by_epoch[2] < by_epoch[0]


def test_a_killed_run_ends_as_an_undisturbed_one(heard: Any, models: Path, tmp_path: Path):
    settings = sounding.learning(models / "wavlm", "lora", finetune={"epochs": 3})
    clips, labelled = read(heard, settings)
    fold = labelled.table.folds[0]
    rows = fold.rows(clips.chunks.clip_ids)

    def state_of(kept: UnfinishedRun | None) -> dict[str, torch.Tensor]:
        return finetune.train(clips, rows, RunSeeds(0, 0), None, settings, None, kept)[0].best

    whole = state_of(None)
    unfinished = UnfinishedRun(tmp_path / "one.safetensors", "it", share=math.inf)
    keep = unfinished.keep

    def killed(pack: Any) -> None:
        keep(pack)
        raise KeyboardInterrupt

    unfinished.keep = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        state_of(unfinished)
    names = load_file(unfinished.path)
    assert not any(name.startswith("model.front.") and "lora_" not in name for name in names if "/" in name)
    resumed = state_of(UnfinishedRun(tmp_path / "one.safetensors", "it", share=math.inf))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_what_cannot_be_is_said(heard: Any, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match=r"encoder.last: 3: encoders.tiny has 2 layers up to the highest that is kept"):
        run(heard, tmp_path, sounding.learning(models / "wavlm", "last_n", {"last": 3}))
    with pytest.raises(UserError, match=r"encoder.last: 1: encoders.tiny has 0 layers up to the highest"):
        run(heard, tmp_path, sounding.learning(models / "wavlm", "last_n", heard={"layers": [0]}))
    monkeypatch.setattr(tunable, "_computing", lambda speech: ["feature_projection.projection"])
    with pytest.raises(UserError, match=r"encoders.tiny: a model of type 'wavlm' has no linear layers that adapters"):
        run(heard, tmp_path, sounding.learning(models / "wavlm", "lora"))
    corpus, _ = heard
    frozen = sounding.learning(models / "wavlm")
    stored = sounding.encode(sounding.write_audio(corpus, "again"), frozen, tmp_path)
    with pytest.raises(UserError, match=r"the encoder learns from sound: give shards of split.audio as features"):
        run((corpus, stored), tmp_path, sounding.learning(models / "wavlm", "lora"))


def test_clips_in_a_condition_are_heard_by_the_encoder_that_has_learnt(
    heard: tuple[TinyCorpus, list[Path]], models: Path, tmp_path: Path
) -> None:
    corpus, audio = heard
    features, targets = {"tiny": {"tiny": audio}, "tiny@telephone": {"tiny": audio}}, {"tiny": corpus.targets()}
    settings = sounding.learning(models / "wav2vec2", "lora", finetune={"epochs": 1})
    finetune.run("scratch", None, features, targets, corpus.folds, None, settings, tmp_path, 1)
    found = shards.read(tmp_path / "predictions.parquet").sort("fold", "clip_id")
    clean, same = (found.filter(split=split).drop("split") for split in ("test", "test@telephone"))
    assert same.equals(clean)
    assert clean.height == len(corpus.rows)
