"""Stage `orofacial_system`: speech moves a face; every fold and seed of a system in one job, and the model to keep."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext.config import Config, ModelOptions
from avpretext.corpora.protocols import Fold
from avpretext.errors import UserError
from avpretext.models.losses import NO_LABEL
from avpretext.models.network import SpeechNetwork
from avpretext.options.orofacial import OrofacialOptions
from avpretext.orofacial import movement_folds, visemes
from avpretext.orofacial.movement_data import OrofacialClips, inputs_of, read_corpora
from avpretext.orofacial.movement_objective import OrofacialObjective
from avpretext.orofacial.movement_targets import BlendshapeMap, MovementScale, padded, pieces
from avpretext.orofacial.networks import EMOTION, MOVEMENT, VISEME, make_orofacial_network
from avpretext.orofacial.run_results import write_results
from avpretext.orofacial.saved_model import OrofacialModel, SpeechScale, write_model
from avpretext.progress import progress
from avpretext.systems import OrofacialSystem
from avpretext.training import checkpoint as checkpoints
from avpretext.training import finite
from avpretext.training.finished import FinishedRuns, Run, UnfinishedRun, fingerprint
from avpretext.training.loop import ClipSet, HistoryRow, Target, epochs, network_seed, start, torch_device
from avpretext.training.predictions import Prediction
from avpretext.training.run_pool import grid_map

HELPERS = (VISEME, EMOTION)


def run(
    system: OrofacialSystem,
    features: Mapping[str, Mapping[str, Sequence[Path]]],
    movement: Mapping[str, Sequence[Path]],
    index: Mapping[str, Sequence[Path]],
    shape: Mapping[str, Path],
    config: Config,
    output: Path,
    threads: int,
    phones: Mapping[str, Sequence[Path]] | None = None,
    emotions: Mapping[str, Path] | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Train one system; write `predictions.parquet`, `clips.parquet`, `history.parquet` and the folder `model`.

    The dev clips of a fold choose the epoch by the CCC of the movement; without dev all epochs are trained and the last
    is kept. All systems see the same clips, folds, seeds, order of batches and number of epochs. The model that is kept
    is trained on all clips but those of its dev speakers.

    Parameters
    ----------
    system
        `single`, `joint` or `cascade`.
    features
        Shards of per-frame features by corpus and name.
    movement, index
        By corpus: shards of `lower_face`, and of the stage that lists the clips.
    shape
        By corpus: the artefact of `resting_shape`.
    config
        Read: `seed`, `split.fps`, `phones.visemes`, `orofacial`, and `model` of a checkpoint to start from.
    output
        The folder to write.
    threads
        Runs at a time, each with one CPU thread.
    phones
        By corpus: shards of `phones`; none where visemes are not known.
    emotions
        By corpus: table with `clip_id` and `label`: pseudo-labels or label targets; none where they are not known.
    checkpoint
        Of `pretrain`, that the trunk starts from; None: from scratch.

    Raises
    ------
    UserError
        There are no clips, too few speakers, or the checkpoint does not fit.
    """
    torch.set_num_threads(1)
    corpora = inputs_of(features, movement, index, shape, phones or {}, emotions or {})
    options, fps = config.orofacial, config.split.fps
    names = visemes.classes(visemes.read_table(config.phones.visemes))
    clips = read_corpora(corpora, options.channels, fps, options.context, names)
    folds = movement_folds.divide(clips.names, clips.speakers, options, config.seed)
    body = read_trunk(checkpoint, clips.channels, options) if checkpoint else {}
    finished = FinishedRuns(output, _made_from(system, clips, folds, body, config))
    job = functools.partial(_once, system=system, clips=clips, body=body, config=config, finished=finished)
    jobs = [_Job(fold, seed) for fold in folds for seed in range(options.seeds)]
    device = torch_device(options.device)
    runs = grid_map(job, jobs, threads, device)
    done = list(progress(runs, total=len(jobs), unit="runs", label=f"orofacial {system}"))
    last = movement_folds.whole(clips.names, clips.speakers, options, config.seed)
    kept, _ = train(system, clips, last, 0, body, config)
    write_model(kept, output / "model")
    write_results(done, system, clips, folds, config, output, started=checkpoint is not None)
    finished.remove()


class _Job(NamedTuple):
    fold: Fold
    seed: int

    def __str__(self) -> str:
        return f"orofacial: fold {self.fold.number}, seed {self.seed}"


def _once(
    job: _Job,
    system: OrofacialSystem,
    clips: OrofacialClips,
    body: Mapping[str, Tensor],
    config: Config,
    finished: FinishedRuns,
) -> Run:
    """Return one fold and seed: as it was kept, or trained now."""

    def make(unfinished: UnfinishedRun) -> Run:
        model, history = train(system, clips, job.fold, job.seed, body, config, unfinished)
        return Run(job.fold.number, job.seed, predictions(model, clips, job.fold), history)

    return finished.once(f"{job.fold.number}-{job.seed}", make)


def _made_from(
    system: str, clips: OrofacialClips, folds: Sequence[Fold], body: Mapping[str, Tensor], config: Config
) -> str:
    """Return what tells the runs of this job from those of any other."""
    said = {
        "system": system,
        "options": config.orofacial.model_dump(mode="json", exclude={"threads", "checkpoint", "films", "systems"}),
        "seed": [config.seed, config.split.fps],
        "clips": [clips.names, clips.speakers, clips.channels, clips.classes],
        "folds": [[fold.number, fold.train, fold.dev, fold.test] for fold in folds],
        "body": sorted(body),
    }
    arrays: list[Tensor | NDArray[np.generic]] = [body[name] for name in sorted(body)]
    return fingerprint(
        "orofacial_system", said, [*arrays, *clips.steps, *clips.movement, *clips.visemes, clips.emotion]
    )


@dataclass(frozen=True)
class _Part:
    """The clips of a part of a fold, cut into pieces: of each the clip's row and its frames."""

    rows: list[int]
    places: list[slice]


def train(
    system: OrofacialSystem,
    clips: OrofacialClips,
    fold: Fold,
    seed: int,
    body: Mapping[str, Tensor],
    config: Config,
    unfinished: UnfinishedRun | None = None,
) -> tuple[OrofacialModel, list[HistoryRow]]:
    """Train on one fold with one seed; return the model of the best dev epoch, or of the last, and the history.

    Its state is kept while it trains, if there is where to.
    """
    options = config.orofacial
    rows = {part: _rows(clips, getattr(fold, part)) for part in ("train", "dev")}
    scale = SpeechScale.of([clips.steps[row] for row in rows["train"]])
    movement, shown = _seen(clips, rows["train"])
    targets = MovementScale.of(movement, options.components)
    objective = OrofacialObjective(torch.from_numpy(targets.weights), options.weights, options.loss)
    sets = {part: _clip_set(clips, chosen, scale, targets, config) for part, chosen in rows.items() if len(chosen)}
    outputs = {MOVEMENT: len(targets.basis)} | {
        task: len(clips.classes[task]) for task in HELPERS if _asked(task, options)
    }
    network = make_orofacial_network(
        len(clips.channels), options.model, system, outputs, network_seed(config.seed, seed)
    )
    network.load_state_dict({**network.state_dict(), **body})
    state = start(network, options, network_seed(config.seed, seed, fold.number + 1))
    if unfinished:
        unfinished.restore(functools.partial(checkpoints.unpack, state))
    where = f"orofacial {system}: fold {fold.number}, seed {seed}"
    for _ in epochs(state, sets["train"], sets.get("dev"), objective.loss, objective.score, options, where=where):
        if unfinished:
            unfinished.keep(functools.partial(checkpoints.pack, state))
    network.load_state_dict(state.best)
    network.cpu().eval()
    model = OrofacialModel(
        network=network,
        system=system,
        outputs=outputs,
        classes=clips.classes,
        channels=clips.channels,
        scale=scale,
        targets=targets,
        blendshapes=BlendshapeMap.of(movement, shown),
        rest=_mean_rest(clips, rows["train"]),
        config=config,
        trained_on={
            "clips": len(rows["train"]),
            "speakers": len({clips.speakers[row] for row in rows["train"]}),
            "corpora": sorted({clips.names[row].partition("/")[0] for row in rows["train"]}),
        },
    )
    return model, state.history


def _mean_rest(clips: OrofacialClips, rows: Sequence[int]) -> NDArray[np.float32]:
    """Return the mean resting shape of the speakers of some clips, (P, 2)."""
    of_speaker = {clips.speakers[row]: clips.rest[row] for row in rows}
    shapes = np.stack([of_speaker[speaker] for speaker in sorted(of_speaker)])
    return np.asarray(shapes.mean(axis=0, dtype=np.float64), np.float32)


def _asked(task: str, options: OrofacialOptions) -> bool:
    """Tell whether a helper task counts in the loss."""
    return bool(getattr(options.weights, task) > 0)


def _rows(clips: OrofacialClips, names: Sequence[str]) -> list[int]:
    wanted = set(names)
    return [row for row, name in enumerate(clips.names) if name in wanted]


def _seen(clips: OrofacialClips, rows: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return movement and blendshapes of the frames of some clips that show a face.

    Raises
    ------
    UserError
        There are fewer than two.
    """
    movement, shown = (np.concatenate([part[row] for row in rows]) for part in (clips.movement, clips.blendshapes))
    seen = np.isfinite(movement).all(axis=1) & np.isfinite(shown).all(axis=1)
    if seen.sum() < 2:
        raise UserError("orofacial: the training clips of a fold show no face; see results/*/rejects")
    return np.asarray(movement[seen]), np.asarray(shown[seen])


def _clip_set(
    clips: OrofacialClips, rows: Sequence[int], scale: SpeechScale, targets: MovementScale, config: Config
) -> ClipSet:
    """Return input and targets of some clips, in pieces, a piece being one chunk of the training loop."""
    longest = max(1, round(config.orofacial.piece_s * config.split.fps))
    cut = [(row, place) for row in rows for place in pieces(len(clips.steps[row]), longest)]
    steps = padded([scale.normalised(clips.steps[row][place]) for row, place in cut], 0.0)
    mask = padded([np.ones(place.stop - place.start, bool) for _, place in cut], False)
    moved = padded([targets.outputs(clips.movement[row][place]) for row, place in cut], np.nan)
    shown = torch.isfinite(moved).all(-1)
    viseme = padded([clips.visemes[row][place] for row, place in cut], NO_LABEL)
    emotion = torch.from_numpy(clips.emotion[[row for row, _ in cut]])
    learnt = {
        MOVEMENT: Target(moved.nan_to_num(0.0), shown.float()),
        VISEME: Target(viseme, (viseme != NO_LABEL).float()),
        EMOTION: Target(emotion, (emotion != NO_LABEL).float()),
    }
    return ClipSet(steps.unsqueeze(1), mask.unsqueeze(1), learnt)


def predictions(model: OrofacialModel, clips: OrofacialClips, fold: Fold) -> list[Prediction]:
    """Return what a model says of the test clips: movement and, where they are asked, visemes, frame by frame.

    The frames of the clips stand one after the other; emotion has one row per clip.
    """
    names = [clips.names[row] for row in _rows(clips, fold.test)]
    said = [model.predict(clips.steps[row]) for row in _rows(clips, fold.test)]
    parts = [Prediction(MOVEMENT, names, np.concatenate([part.movement for part in said]))]
    if model.has(VISEME):
        parts.append(Prediction(VISEME, names, np.concatenate([part.viseme for part in said])))
    if model.has(EMOTION):
        parts.append(Prediction(EMOTION, names, np.stack([part.emotion for part in said])))
    return sorted(parts)


def read_trunk(path: Path, channels: Sequence[str], options: OrofacialOptions) -> dict[str, Tensor]:
    """Return the weights of a pretext checkpoint's encoder, by the names they have in an orofacial network.

    Further layers of the trunk stay as they were drawn.

    Raises
    ------
    UserError
        It is no checkpoint of `pretrain`, its encoder is another, or its channels or sizes are not those of the trunk.
    """
    tensors, metadata = checkpoints.read(path)
    then = metadata.get("config", {}).get("model", {})
    if then.get("encoder") != "blstm":
        raise UserError(
            f"{path}: its encoder is {then.get('encoder')!r}; an orofacial trunk starts from blstm: pre-train with"
            " model.encoder: blstm"
        )
    if list(channels) != metadata["channels"]:
        fix = "set orofacial.context: 0" if options.context else "use one `speech`, the same features and channels"
        raise UserError(
            f"{path} was pre-trained on {len(metadata['channels'])} channels, not the {len(channels)} of here: {fix}"
        )
    if then["width"] != options.model.width or then["layers"] > options.model.layers:
        raise UserError(
            f"{path} has width {then['width']} and {then['layers']} layers, orofacial.model width {options.model.width}"
            f" and {options.model.layers}: set orofacial.model.width: {then['width']} and orofacial.model.layers:"
            f" {then['layers']} or more"
        )
    with torch.device("meta"):
        network = SpeechNetwork(len(channels), ModelOptions.model_validate(then), {})
    lstm = network.get_submodule("encoder.lstm")
    finite.load_all(
        lstm, checkpoints.below("best.encoder.lstm", tensors), path, "pre-train again, or name another checkpoint"
    )
    return {f"encoder.lstm.{name}": value for name, value in lstm.state_dict().items()}
