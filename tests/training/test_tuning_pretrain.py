"""Pre-training goes on with the encoder itself; its result is a model for transformers, and a start for fine-tuning."""

import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

import avpretext
from avpretext import shards
from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.sound.encoder_files import look_at
from avpretext.sound.encoder_model import SpeechEncoder
from avpretext.training import batches, checkpoint, export, finetune, labelled_clips, pretrain, together
from avpretext.training.encoder_start import open_encoder
from avpretext.training.finetune import EVERY_CLIP, RunSeeds
from avpretext.training.predictions import LabelledFolds

from . import sounding
from .conftest import TinyCorpus, processes

TASKS = ["energy", "emotion", "clusters"]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyCorpus, list[Path]]:
    corpus = TinyCorpus(tmp_path_factory.mktemp("sounding"), clips_each=3).write()
    return corpus, sounding.write_audio(corpus)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sounding.model("hubert", tmp_path_factory.mktemp("encoder"))


def learning(weights: Path, before: str, after: str = "frozen", **changes: Any) -> Config:
    tuning = {"tune": before, "last": 1, "rank": 2, "learning_rate": 0.003}
    groups = {"pretrain": {"seeds": 2, "encoder": tuning, "clusters": {"count": 3}}, "finetune": {"seeds": 2}}
    return sounding.learning(weights, after, **{**groups, **changes})


def run(heard: Any, output: Path, settings: Config) -> list[Path]:
    corpus, audio = heard
    labels = {"tiny": {task: corpus.labels[task] for task in ("energy", "emotion")}}
    pretrain.run(TASKS, {"tiny": {"tiny": audio}}, {"tiny": corpus.index}, labels, settings, output, 1)
    return [output / str(seed) / "checkpoint.safetensors" for seed in range(settings.pretrainings)]


@pytest.fixture(scope="module")
def pretrained(heard: Any, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Checkpoints of two pre-trainings in each way."""
    folder = tmp_path_factory.mktemp("pretrained")
    return {tune: run(heard, folder / tune, learning(weights, tune)) for tune in ("last_n", "lora", "full")}


def signals(heard: Any, count: int = 3) -> list[np.ndarray]:
    return [sounding.signal_of(row).astype(np.float32) for row in heard[0].rows[:count]]


def start_of(weights: Path, path: Path, before: str, after: str = "frozen") -> Any:
    """Return what a fine-tuning starts with after a checkpoint."""
    settings = learning(weights, before, after)
    opened = open_encoder(settings, settings.finetune.encoder, CPU)
    body = checkpoint.read_body(path, opened.channels, settings, opened.by)
    assert body.front is not None
    return opened.start(body.front)


@pytest.mark.parametrize("tune", ["last_n", "lora", "full"])
def test_transformers_opens_the_encoder_as_it_has_learnt(heard: Any, weights: Path, pretrained: Any, tune: str):
    path = pretrained[tune][0]
    folder = path.parent / "encoder"
    assert {file.name for file in folder.iterdir()} == {"config.json", "model.safetensors", "preprocessor_config.json"}
    model, found = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not found["missing_keys"]
    assert not found["unexpected_keys"]
    assert transformers.AutoFeatureExtractor.from_pretrained(folder).sampling_rate == 16_000
    assert model.config.layerdrop == transformers.AutoConfig.from_pretrained(weights).layerdrop
    start = start_of(weights, path, tune)
    start.shared.put(start.merged)
    written = SpeechEncoder(look_at("it", folder, "it"), start.shared.options)
    first = SpeechEncoder(look_at("it", weights, "it"), start.shared.options)
    for signal in signals(heard):
        (rows,), (before,) = written.rows([signal]), first.rows([signal])
        assert rows.values == pytest.approx(start.shared.states([signal])[0].values.detach().numpy(), abs=1e-5)
        assert np.abs(rows.values - before.values).max() > 1e-3


def test_each_pre_training_has_its_own(pretrained: Any):
    one, two = (load_file(path.parent / "encoder" / "model.safetensors") for path in pretrained["full"])
    assert any(not torch.equal(one[name], two[name]) for name in one)
    small, whole = (
        sum(value.numel() for value in load_file(pretrained[tune][0]).values()) for tune in ("lora", "full")
    )
    assert small < whole / 2  # what does not learn is not kept


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("lora", "lora"),
        ("lora", "full"),
        ("full", "lora"),
        ("last_n", "last_n"),
        ("full", "last_n"),
        ("lora", "frozen"),
    ],
)
def test_fine_tuning_starts_from_the_encoder_that_has_learnt(
    heard: Any, weights: Path, pretrained: Any, before: str, after: str
):
    path = pretrained[before][1]
    start = start_of(weights, path, before, after)
    learning_now = start.shared.first_weights(3) if start.learning is None else start.learning
    start.shared.put({**start.merged, **learning_now})
    written = SpeechEncoder(look_at("it", path.parent / "encoder", "it"), start.shared.options)
    for signal in signals(heard):
        found = start.shared.states([signal])[0].values.detach().numpy()
        assert found == pytest.approx(written.rows([signal])[0].values, abs=1e-5)


def test_a_frozen_model_after_it_predicts_with_its_weights(heard: Any, weights: Path, pretrained: Any, tmp_path: Path):
    corpus, audio = heard
    settings = learning(weights, "lora", export={"networks": 2})
    targets, features = {"tiny": corpus.targets()}, {"tiny": {"tiny": audio}}
    starts = pretrained["lora"]
    export.run("a", features, targets, corpus.folds, None, {"a": starts}, settings, tmp_path / "model", 1)
    model = avpretext.load(tmp_path / "model", weights)
    labelled = LabelledFolds.read(targets, corpus.folds)
    clips, bodies = labelled_clips.read_starts(features, labelled, starts, settings, 1)
    assert len(clips) == len(bodies) == 2
    rows = {"train": export.learnt_rows(clips[0]), "dev": np.empty(0, np.int64)}
    said = []
    for number in (0, 1):
        normal = batches.normalise(clips[number].chunks, rows["train"], "train")
        of_body = labelled_clips.replace(clips[number], steps=normal)
        state, objective = finetune.train(of_body, rows, RunSeeds(number, EVERY_CLIP), bodies[number], settings)
        said.append(finetune.best_predictions(state, of_body, rows["train"], objective, settings))
    expected = np.mean(said, 0)
    for row in (0, 5):
        signal = sounding.signal_of(corpus.rows[row]).astype(np.float32)
        place = clips[0].chunks.clip_ids.index(f"tiny/{corpus.rows[row]['clip_id']}")
        steps = model._hearing.steps(np.round(signal * 32768).astype(np.float32) / 32768).chunks
        chunks = torch.from_numpy(steps)[None].chunk(2, 2)
        with torch.no_grad():
            logits = [
                net(part, torch.ones(part.shape[:3], dtype=bool))["ser"]
                for net, part in zip(model._networks, chunks, strict=True)
            ]
        found = torch.stack(logits).softmax(-1).mean(0)[0].numpy()
        assert found == pytest.approx(expected[place], abs=1e-5)


def test_a_killed_pre_training_ends_as_an_undisturbed_one(
    heard: Any, weights: Path, pretrained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = learning(weights, "lora")
    keep = pretrain.UnfinishedRun.keep

    def killed(self: Any, pack: Any) -> None:
        keep(self, pack)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pretrain.UnfinishedRun, "keep", killed)
        with pytest.raises(KeyboardInterrupt):
            run(heard, tmp_path, settings)
    paths = run(heard, tmp_path, settings)
    for path, whole in zip(paths, pretrained["lora"], strict=True):
        assert path.read_bytes() == whole.read_bytes()
        names = ("config.json", "model.safetensors", "preprocessor_config.json")
        assert all(
            (path.parent / "encoder" / name).read_bytes() == (whole.parent / "encoder" / name).read_bytes()
            for name in names
        )


def test_stored_features_are_refused_after_it(heard: Any, weights: Path, pretrained: Any, tmp_path: Path):
    corpus, audio = heard
    settings = sounding.learning(weights)
    stored = {"tiny": {"tiny": sounding.encode(audio, settings, tmp_path)}}
    targets = {"tiny": corpus.targets()}
    with pytest.raises(
        UserError, match=r"was pre-trained with pretrain.encoder.tune: full: set that here too, or name"
    ):
        finetune.run("a", pretrained["full"], stored, targets, corpus.folds, None, settings, tmp_path / "out", 1)


def test_two_processes_learn_what_one_does(heard: Any, weights: Path, tmp_path: Path):
    """Sums over clips are taken in another order: weights are the same but for rounding, which training makes grow."""
    noisy = sounding.model("hubert", tmp_path / "noisy", hidden_dropout=0.1)
    corpus, audio = heard
    found = {}
    for count in (1, 2):
        tuning = {"tune": "lora", "processes": count, "batch_s": 1.0, "rank": 2}
        changes: dict[str, Any] = {
            "finetune": {"seeds": 1, "encoder": tuning},
            "pretrain": {"seeds": 1, "encoder": tuning},
        }
        settings = learning(noisy, "lora", **changes)
        paths = run(heard, tmp_path / f"pretrained{count}", settings)
        features, targets, output = {"tiny": {"tiny": audio}}, {"tiny": corpus.targets()}, tmp_path / str(count)
        finetune.run("a", paths, features, targets, corpus.folds, None, settings, output, 1)
        assert not (output / "runs").exists()
        predictions = shards.read(output / "predictions.parquet")
        found[count] = (np.stack(predictions["probabilities"].to_list()), load_file(paths[0]))
        assert "AVPRETEXT_PROCESS" not in os.environ
        assert not torch.distributed.is_initialized()
    (one, checkpoint_one), (two, checkpoint_two) = found[1], found[2]
    assert two == pytest.approx(one, abs=1e-4)
    assert set(shards.read_provenance(output / "predictions.parquet")["models"]) > {"config.json", "model.safetensors"}
    best = [name for name in checkpoint_one if name.startswith("best.")]
    assert any("lora_" in name for name in best)
    for name in best:
        assert checkpoint_two[name].numpy() == pytest.approx(checkpoint_one[name].numpy(), abs=1e-4)


def tuned_with(heard: Any, weights: Path, output: Path, variables: dict[str, str], **shared: int) -> Path:
    """Fine-tune with such an environment and return the predictions."""
    corpus, audio = heard
    settings = learning(weights, "frozen", "lora", finetune={"seeds": 1, "epochs": 1})
    encoder = settings.finetune.encoder.model_copy(update=shared)
    settings = settings.model_copy(update={"finetune": settings.finetune.model_copy(update={"encoder": encoder})})
    os.environ |= variables
    targets = {"tiny": corpus.targets()}
    finetune.run("scratch", [], {"tiny": {"tiny": audio}}, targets, corpus.folds, None, settings, output, 1)
    return output / "predictions.parquet"


def test_two_machines_learn_what_two_processes_do(heard: Any, weights: Path, tmp_path: Path):
    """Started on each by torchrun, whose environment this is; both are this machine."""
    with pytest.raises(UserError, match=r"encoder.machines: 2, and this is no job of Slurm: use the profile slurm, or"):
        tuned_with(heard, weights, tmp_path, {}, machines=2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    machines = []
    for number in ("0", "1"):
        launched = {"TORCHELASTIC_RUN_ID": "1", "LOCAL_WORLD_SIZE": "1", "GROUP_WORLD_SIZE": "2", "GROUP_RANK": number}
        launched |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        given = (heard, weights, tmp_path / "machines", launched)
        machines.append(processes().Process(target=tuned_with, args=given, kwargs={"machines": 2}))
        machines[-1].start()
    for machine in machines:
        machine.join(300)
        assert machine.exitcode == 0
    two = tuned_with(heard, weights, tmp_path / "processes", {}, processes=2)
    assert shards.read(tmp_path / "machines/predictions.parquet").equals(shards.read(two))


SRUN = {"SLURM_JOB_ID": "70", "SLURM_STEP_ID": "1", "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.1", "SLURM_PROCID": "1"}


def test_the_machine_is_known_by_what_launchers_say():
    assert together.started_on({**SRUN, "SLURM_STEP_NUM_TASKS": "2"}) == (1, 2, "10.0.0.1", 20_491)
    assert together.started_on({**SRUN, "SLURM_STEP_NUM_TASKS": "1"}).total == 1
    with pytest.raises(UserError, match="torchrun --nproc-per-node: one for each machine"):
        together.started_on({"TORCHELASTIC_RUN_ID": "1", "LOCAL_WORLD_SIZE": "2"})


def test_a_mistake_in_several_processes_is_one_line(heard: Any, weights: Path, tmp_path: Path):
    tuning = {"tune": "last_n", "last": 9, "processes": 2}
    settings = learning(weights, "last_n", pretrain={"seeds": 1, "encoder": tuning})
    with pytest.raises(UserError, match=r"^encoder.last: 9: encoders.tiny has 2 layers"):
        run(heard, tmp_path, settings)
