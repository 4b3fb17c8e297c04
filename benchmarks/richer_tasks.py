"""Do pretext tasks that ask for more than one bit of a chunk teach more? Regressions, tried on dev speakers.

python benchmarks/richer_tasks.py CONFIG CORPUS FOLDER
CONFIG is a configuration whose run is finished, such as examples/real-speech.yaml; CORPUS one that it fine-tunes;
FOLDER is for checkpoints and predictions. Each trial pre-trains as `pretrain` does, with other targets and their Huber
loss, and fine-tunes all folds. `dev`: mean over the runs of the best epoch's UAR on dev speakers, and its difference to
scratch, run by run; `test` is shown, and nothing was chosen by it.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from avpretext import shards
from avpretext.config import Config
from avpretext.config_file import load
from avpretext.corpora.who import speaker_of_each
from avpretext.flow.tasks import CLUSTERS
from avpretext.run.plan import Plan
from avpretext.systems import SCRATCH
from avpretext.training import checkpoint, data, finetune, loop, pretrain
from avpretext.training.data import SpeechChunks
from avpretext.training.encoder_start import Heard, hear
from avpretext.training.loop import Target

Values = NDArray[np.float32]
FARTHEST = 4.0


@dataclass(frozen=True)
class Trial:
    """What is asked of each chunk, how much of the input is masked, and whether energy is hidden from it."""

    targets: Callable[[Plan, SpeechChunks], Values]
    time_mask: float = 0.4
    channel_dropout: float = 0.1
    hidden: bool = False


def voice(plan: Plan, chunks: SpeechChunks) -> Values:
    """Return mean and deviation of every input channel over the chunk, (N, K, 2F), to be told from masked input."""
    mask = chunks.mask.unsqueeze(-1)
    count = mask.sum(2).clamp(min=1)
    mean = (chunks.steps * mask).sum(2) / count
    spread = (((chunks.steps - mean.unsqueeze(2)) * mask).square().sum(2) / count).sqrt()
    found = torch.cat([mean, spread], -1)
    found[~chunks.mask.any(2)] = torch.nan
    return relative(chunks, found.numpy())


def levels(plan: Plan, chunks: SpeechChunks) -> Values:
    """Return energy, facial activation, motion per region, and mean and deviation of every action unit."""
    parts = [relative(chunks, labels_of(plan, chunks, task)) for task in ("energy", "activation")]
    return np.concatenate([*parts, relative(chunks, faces(plan, chunks))], -1)


def relative(chunks: SpeechChunks, values: Values) -> Values:
    """Return values (N, K, D) in deviations of the speaker's own, NaN where not measured."""
    found, speakers = np.full_like(values, np.nan), np.array(chunks.speakers)
    for speaker in np.unique(speakers):
        own = values[speakers == speaker]
        if np.isfinite(own).any():
            found[speakers == speaker] = (own - np.nanmean(own, (0, 1))) / (np.nanstd(own, (0, 1)) + 1e-6)
    return np.clip(found, -FARTHEST, FARTHEST)


def labels_of(plan: Plan, chunks: SpeechChunks, task: str) -> Values:
    """Return what a labelled task measured, (N, K, 1)."""
    files = [(corpus, plan.shards(corpus, f"labels_{task}")[0]) for corpus in corpora_of(chunks)]
    tables = [shards.read(file).with_columns(corpus=pl.lit(corpus)) for corpus, file in files if Path(file).is_file()]
    return placed(chunks, pl.concat(tables), ["value"])


def faces(plan: Plan, chunks: SpeechChunks) -> Values:
    """Return the mean of motion and action units over each chunk, and the deviation of these, (N, K, D)."""
    tables = []
    for corpus in corpora_of(chunks):
        if not Path(plan.shards(corpus, "motion")[0]).is_file():
            continue
        motion, units = (shards.read(plan.shards(corpus, stage)) for stage in ("motion", "action_units"))
        spans = shards.read(plan.shards(corpus, "labels_energy"), ["clip_id", "chunk", "start_s", "end_s"])
        frames = motion.join(units.drop("time_s"), on=["clip_id", "frame"]).join(spans, on="clip_id")
        inside = frames.filter(pl.col("time_s").is_between("start_s", "end_s", closed="left"))
        measured = pl.col("^(speed_|AU).*$")
        means = inside.group_by("clip_id", "chunk").agg(measured.mean(), measured.std().name.suffix("_deviation"))
        tables.append(means.with_columns(corpus=pl.lit(corpus)))
    found = pl.concat(tables)
    return placed(chunks, found, [name for name in found.columns if name not in ("clip_id", "chunk", "corpus")])


def placed(chunks: SpeechChunks, table: pl.DataFrame, columns: list[str]) -> Values:
    """Return columns of a table of chunks in the order of the clips, (N, K, D)."""
    row = {name: place for place, name in enumerate(chunks.clip_ids)}
    found = np.full((*chunks.mask.shape[:2], len(columns)), np.nan, np.float32)
    for corpus, clip_id, chunk, *values in table.select("corpus", "clip_id", "chunk", *columns).iter_rows():
        if (place := row.get(f"{corpus}/{clip_id}")) is not None:
            found[place, chunk] = [np.nan if value is None else value for value in values]
    return found


def corpora_of(chunks: SpeechChunks) -> list[str]:
    """Return the corpora of the clips."""
    return sorted({name.partition("/")[0] for name in chunks.clip_ids})


TRIALS = {
    "voice, masked": Trial(voice, time_mask=0.6, channel_dropout=0.4),
    "levels of energy, face, action units": Trial(levels, hidden=True),
    "voice, energy hidden": Trial(voice, time_mask=0.6, hidden=True),
}


def error(logits: Mapping[str, Tensor], targets: Mapping[str, Target]) -> Tensor:
    """Return the mean Huber loss of the numbers that are measured in any chunk."""
    values, known = targets[CLUSTERS]
    losses = functional.smooth_l1_loss(logits[CLUSTERS], values, reduction="none") * known
    counts = known.sum((0, 1))
    return (losses.sum((0, 1)) / counts.clamp(min=1))[counts > 0].sum() / (counts > 0).sum().clamp(min=1)


def teach(heard: Heard, trial: Trial, plan: Plan, config: Config, folder: Path) -> list[Path]:
    """Pre-train once for each seed; return the checkpoints."""
    augmented = {"time_mask": trial.time_mask, "channel_dropout": trial.channel_dropout}
    options, chunks, files = config.pretrain.model_copy(update=augmented), heard.chunks, []
    everyone = np.arange(len(chunks))
    steps = heard.normalised(everyone, config.model).input.index_select(0, torch.from_numpy(everyone))
    values = trial.targets(plan, replace(chunks, steps=steps))
    target = Target(torch.from_numpy(np.nan_to_num(values)), torch.from_numpy(np.isfinite(values)).float())
    hidden = data.hidden_channels(chunks.channels, options.hidden_channels) & trial.hidden
    for number in range(config.pretrainings):
        seed = loop.network_seed(config.seed, number)
        parts = pretrain.hold_out_speakers(chunks.speakers, options.dev_fraction, seed)
        asked = [rows[target.weights[rows].sum((1, 2)).numpy() > 0] for rows in parts]
        normalised = heard.normalised(parts[0], config.model)
        sets = [
            pretrain.hide(normalised.set_of({CLUSTERS: target.of_clips(rows)}, rows), hidden, [CLUSTERS])
            for rows in asked
        ]
        network = heard.network(config.model, {CLUSTERS: values.shape[-1]}, seed, parts[0], options)
        state = loop.start(network, options, seed)
        for _ in loop.epochs(state, *sets, error, lambda *of: {"score": -float(error(*of))}, options, "last"):
            pass
        said = pretrain.describe(chunks, {CLUSTERS: [""] * values.shape[-1]}, hidden, config)
        said["hidden_from"] = [CLUSTERS] if trial.hidden else []
        tensors, counters = checkpoint.pack(state)
        files.append(folder / str(number) / "checkpoint.safetensors")
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write(files[-1], tensors, {**said, "seed": number, **counters})
    return files


def fine_tuned(corpus: str, name: str, starts: list[Path], plan: Plan, config: Config, folder: Path) -> NDArray:
    """Fine-tune from these checkpoints; print the test UAR and return the dev UAR of each run."""
    setting = next(iter(plan.settings[corpus]))
    features = {heard: by_name(plan.features([heard]), heard) for heard in plan.heard("finetune", corpus)}
    tables = {other: Path(file) for other, (file,) in plan.target_tables(corpus, setting).items()}
    folds = Path(plan.layout.path("folds", corpus=corpus, setting=setting))
    folder.mkdir(parents=True, exist_ok=True)
    finetune.run(name, starts, features, tables, folds, None, config, folder, threads=1)
    tested = shards.read(folder / "predictions.parquet").filter(split="test")
    recalls = tested.group_by("seed", "label").agg((pl.col("label") == pl.col("predicted")).mean().alias("recall"))
    measured = shards.read(folder / "history.parquet").filter(split="dev", measure="uar")
    dev = measured.group_by("fold", "seed").agg(pl.col("value").max()).sort("fold", "seed")["value"].to_numpy()
    print(f"{name}: test {recalls['recall'].mean():.3f}, dev {dev.mean():.3f}", flush=True)
    return dev


def by_name(features: Mapping[str, list[str]], corpus: str) -> dict[str, list[Path]]:
    """Return the files of each feature of a corpus."""
    return {key.removeprefix(f"{corpus}."): [Path(file) for file in files] for key, files in features.items()}


def main() -> None:
    """Print a line for each trial."""
    torch.set_num_threads(1)
    config, corpus, folder = load(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    plan = Plan(config)
    heard_corpora = config.heard_for_pretraining()
    speakers = {name: speaker_of_each(plan.shards(name, plan.clips(name))) for name in sorted(heard_corpora)}
    features = {name: by_name(plan.features([name]), name) for name in heard_corpora}
    heard = hear(features, speakers, config, config.pretrain, threads=1)
    full_rate = config.model_copy(update={"finetune": config.finetune.model_copy(update={"body_rate": 1.0})})
    scratch = fine_tuned(corpus, SCRATCH, [], plan, config, folder / SCRATCH)
    for tasks in config.task_sets():
        starts = [Path(file) for file in plan.checkpoints(config.variant.network, tasks)]
        for name, rate in ((tasks, config), (f"{tasks}, full rate", full_rate)):
            compare(scratch, fine_tuned(corpus, name, starts, plan, rate, folder / name))
    for name, trial in TRIALS.items():
        starts = teach(heard, trial, plan, config, folder / name)
        compare(scratch, fine_tuned(corpus, name, starts, plan, full_rate, folder / name))


def compare(scratch: NDArray, found: NDArray) -> None:
    """Print the mean difference over the runs, and its standard error."""
    difference = found - scratch
    print(f"  dev, difference {difference.mean():+.3f}, s.e. {difference.std(ddof=1) / len(difference) ** 0.5:.3f}")


if __name__ == "__main__":
    main()
