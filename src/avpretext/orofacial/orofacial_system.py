"""Stage `orofacial_system`: speech moves a face; every fold and seed of a system in one job, and the model to keep."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch

from avpretext import shards
from avpretext.config import Config
from avpretext.corpora.protocols import Fold
from avpretext.face.landmark_shards import lists
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.models.losses import NO_LABEL
from avpretext.orofacial import moved_clips, visemes
from avpretext.orofacial.moved_clips import MovedClip, MovedClips, OrofacialInputs
from avpretext.orofacial.movement_training import Training, predictions, read_trunk
from avpretext.orofacial.networks import EMOTION, MOVEMENT, VISEME
from avpretext.orofacial.orofacial_model import write_model
from avpretext.progress import progress
from avpretext.systems import OrofacialSystem
from avpretext.training.finished import FinishedRuns, UnfinishedRun, fingerprint
from avpretext.training.loop import torch_device
from avpretext.training.predictions import Run
from avpretext.training.run_pool import grid_map


def run(
    system: OrofacialSystem,
    corpora: Mapping[str, OrofacialInputs],
    config: Config,
    output: Path,
    threads: int,
    checkpoint: Path | None = None,
) -> None:
    """Train one system; write `predictions.parquet`, `clips.parquet`, `history.parquet` and the folder `model`.

    The dev clips of a fold choose the epoch by the CCC of the movement; without dev all epochs are trained and the last
    is kept. All systems see the same clips, folds, seeds, order of batches and number of epochs. The model that is kept
    is trained on all clips but those of its dev speakers. `threads` runs are worked on at a time, each with one CPU
    thread. It is an error if there are no clips or too few speakers, or if the checkpoint does not fit.

    Parameters
    ----------
    system
        `single`, `joint` or `cascade`.
    config
        Read: `seed`, `split.fps`, `phones.visemes`, `orofacial`, and `model` of a checkpoint to start from.
    output
        The folder to write.
    checkpoint
        Of `pretrain`, that the trunk starts from; None: from scratch.
    """
    torch.set_num_threads(1)
    options = config.orofacial
    names = visemes.classes(visemes.read_table(config.phones.visemes))
    clips = moved_clips.read_corpora(corpora, options, config.split.fps, names)
    folds = moved_clips.divide(clips.speaker_of, options, config.seed)
    body = read_trunk(checkpoint, clips.channels, options) if checkpoint else {}
    training = Training(system, clips, config, body)
    finished = FinishedRuns(output, _cache_key(training, folds))
    jobs = [_Job(fold, seed) for fold in folds for seed in range(options.seeds)]
    runs = grid_map(functools.partial(_once, training, finished), jobs, threads, torch_device(options.device))
    label, early = f"orofacial {system}", options.stops_early
    done = list(progress(runs, total=len(jobs), unit="runs", label=label, at_most=early))
    kept, _ = training.fold(moved_clips.whole(clips.speaker_of, options, config.seed), 0)
    write_model(kept, output / "model")
    write_results(done, training, folds, output)
    finished.remove()


class _Job(NamedTuple):
    fold: Fold
    seed: int

    def __str__(self) -> str:
        return f"orofacial: fold {self.fold.number}, seed {self.seed}"


def _once(training: Training, finished: FinishedRuns, job: _Job) -> Run:
    """Return one fold and seed: as it was kept, or trained now."""

    def make(unfinished: UnfinishedRun) -> Run:
        model, history = training.fold(job.fold, job.seed, unfinished)
        tested = predictions(model, training.clips.named(job.fold.test))
        return Run(job.fold.number, job.seed, tested, history)

    return finished.once(f"{job.fold.number}-{job.seed}", make)


def _cache_key(training: Training, folds: Sequence[Fold]) -> str:
    clips, config, body = training.clips, training.config, dict(sorted(training.body.items()))
    said = {
        "system": training.system,
        "options": config.orofacial.model_dump(mode="json", exclude={"threads", "checkpoint", "films", "systems"}),
        "seed": [config.seed, config.split.fps],
        "clips": [[clip.name, clip.speaker, clip.emotion] for clip in clips.clips],
        "channels": [clips.channels, clips.classes],
        "folds": [[fold.number, fold.train, fold.dev, fold.test] for fold in folds],
        "body": list(body),
    }
    arrays = [array for clip in clips.clips for array in (clip.steps, clip.movement, clip.visemes)]
    return fingerprint("orofacial_system", said, [*body.values(), *arrays])


def write_results(runs: Sequence[Run], training: Training, folds: Sequence[Fold], output: Path) -> None:
    """Write predictions by fold, seed, clip and frame, those of each clip, and the history."""
    config, clips = training.config, training.clips
    made_by = provenance(
        "orofacial_system",
        {"seed": config.seed, "orofacial": config.orofacial.model_dump(mode="json", exclude={"threads", "checkpoint"})},
        system=training.system,
        classes=clips.classes,
        fps=config.split.fps,
        protocol=config.orofacial.protocol,
        folds=len(folds),
        speaker_leaks=moved_clips.speaker_leaks(folds, clips.speaker_of),
        started=bool(training.body),
    )
    with shards.ShardWriter(
        output / "predictions.parquet", schema_of("orofacial_system.predictions"), made_by
    ) as writer:
        for table in shards.in_groups((table for run in runs for table in _frames(run, clips)), 10_000):
            writer.write(table)
    rows = [row for run in runs for row in _clip_rows(run, clips)]
    shards.write_table(output / "clips.parquet", rows, schema_of("orofacial_system.clips"), made_by)
    history = [{"fold": run.fold, "seed": run.seed, **row._asdict()} for run in runs for row in run.history]
    shards.write_table(output / "history.parquet", history, schema_of("orofacial_system.history"), made_by)


def _tested(run: Run, clips: MovedClips) -> tuple[list[MovedClip], dict[str, Any]]:
    values = {part.split: part.probabilities for part in run.predictions}
    return clips.named(run.predictions[0].names), values


def _key(run: Run, clip: MovedClip) -> dict[str, Any]:
    corpus, _, clip_id = clip.name.partition("/")
    return {"fold": run.fold, "seed": run.seed, "corpus": corpus, "clip_id": clip_id, "speaker": clip.speaker}


def _frames(run: Run, clips: MovedClips) -> Iterator[pa.Table]:
    tested, said = _tested(run, clips)
    names, place = clips.classes[VISEME], 0
    for clip in tested:
        count = len(clip.steps)
        frames = slice(place, place + count)
        place += count
        true = [None if number == NO_LABEL else names[number] for number in clip.visemes]
        likeliest = [names[number] for number in said[VISEME][frames].argmax(axis=1)] if VISEME in said else None
        columns = {name: pa.repeat(value, count) for name, value in _key(run, clip).items()} | {
            "frame": pa.array(np.arange(count)), "movement": lists(said[MOVEMENT][frames]),
            "truth": lists(clip.movement), "viseme": pa.array(likeliest or [None] * count, pa.string()),
            "true_viseme": pa.array(true, pa.string()),
        }  # fmt: skip
        yield pa.table(
            {field.name: columns[field.name].cast(field.type) for field in schema_of("orofacial_system.predictions")}
        )


def _clip_rows(run: Run, clips: MovedClips) -> Iterator[dict[str, Any]]:
    tested, said = _tested(run, clips)
    names = clips.classes[EMOTION]
    for place, clip in enumerate(tested):
        shares = said[EMOTION][place] if EMOTION in said else None
        yield _key(run, clip) | {
            "emotion": clip.emotion,
            "predicted": None if shares is None else names[int(shares.argmax())],
            "probabilities": None if shares is None else shares.tolist(),
        }
