"""Stage `export`: networks trained on all labelled clips of a setting, as a folder that can be taken away."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext import __version__, shards
from avpretext.chunks import FRAME_S
from avpretext.config import Config
from avpretext.corpora.settings import NUMBERS
from avpretext.errors import UserError
from avpretext.flow.paths import original_of
from avpretext.models.penalty import co_occurrences, penalties
from avpretext.options.pretrained_encoders import EncoderOptions, TuningOptions
from avpretext.progress import progress
from avpretext.systems import BEST, SCRATCH
from avpretext.training import memory, model_folder, together
from avpretext.training.checkpoint import Body
from avpretext.training.co_occurrence import Matrix, training_votes
from avpretext.training.data import SpeechChunks
from avpretext.training.encoder_front import EncoderFront
from avpretext.training.finetune import EVERY_CLIP, RunSeeds, body_of_run, train
from avpretext.training.fold_parts import Fold
from avpretext.training.labelled_clips import LabelledClips, read_starts
from avpretext.training.loop import LAYER_SCORES, torch_device
from avpretext.training.model_folder import Description, EncoderDescription, LearntFrom, MediaSettings, Normalisation
from avpretext.training.objectives import Scale
from avpretext.training.predictions import LabelledFolds
from avpretext.training.run_pool import grid_map


@together.in_processes(lambda config: config.finetune)
@memory.bounded("export", "finetune")
def run(
    name: str,
    features: Mapping[str, Mapping[str, Sequence[Path]]],
    targets: Mapping[str, Path],
    folds: Path,
    histories: Mapping[str, Path] | None,
    starts: Mapping[str, Sequence[Path]] | None,
    config: Config,
    output: Path,
    threads: int,
) -> None:
    """Train on all clips that the folds name, whatever their part, and write `model.safetensors` and `model.json`.

    No clip is left to choose the epoch by: each network is trained for all epochs, as fine-tuning does in a fold
    without dev clips.

    Parameters
    ----------
    name
        What fine-tuning starts from, or `best`: the one whose dev scores are best, see `choose`.
    features, targets, folds
        As for fine-tuning.
    histories
        initialisation: `history.parquet` of its fine-tuning; needed for `best` alone.
    starts
        initialisation: checkpoints, one for each pre-training. The networks start from them in turn, so that no
        pre-training has to be chosen. None: from scratch.
    config
        Read: `seed`, `chunks`, `model`, `finetune`, `export`, where sound is heard `encoders`, and of `split` what
        shapes sound.
    output
        The folder to write.
    threads
        Networks trained at a time.
    """
    torch.set_num_threads(1)
    labelled = LabelledFolds.read(targets, folds)
    chosen, scores = choose(histories or {}) if name == BEST else (name, {})
    heard, bodies = read_starts(features, labelled, checkpoints_of(chosen, starts or {}), config, threads)
    clips = heard[0]
    rows = {"train": learnt_rows(clips), "dev": np.empty(0, np.int64)}
    networks = trained(heard, rows, bodies, penalty_of(labelled, config), config, threads)
    if not together.is_first():
        return
    normalisation = None
    if config.model.normalise == "train" and clips.start is None:
        normalisation = Normalisation(*clips.chunks.mean_and_deviation(rows["train"]))
    origin: dict[str, Any] = {
        "initialisation": chosen,
        "dev_scores": scores,
        "pretrainings": min(len(bodies), len(networks)),
    }
    if clips.chunks.encoder is not None:
        tuning = None if clips.start is None else config.finetune.encoder
        origin["encoder"] = encoder_of(clips.chunks, networks, tuning)
    description = describe(labelled, clips, rows["train"], config, **origin, **feature_settings(features))
    model_folder.write(output, description, networks, normalisation)


def describe(
    labelled: LabelledFolds, clips: LabelledClips, learnt: NDArray[np.int64], config: Config, **origin: Any
) -> Description:
    """Return the description of a model that is trained on these rows; `origin` are further fields of it."""
    said = labelled.provenance()
    return Description(
        format=model_folder.FORMAT,
        package_version=__version__,
        **{name: said[name] for name in ("setting", "target", "kind", "classes")},
        speaker_leaks=bool(said.get("speaker_leaks", False)),
        corpora=learnt_from(clips, learnt),
        seed=config.seed,
        networks=config.export.networks,
        channels=clips.chunks.channels,
        chunks=config.chunks,
        model=config.model,
        scale=scale_of(clips, learnt),
        media=MediaSettings(**{field: getattr(config.split, field) for field in MediaSettings.model_fields}),
        **origin,
    )


def scale_of(clips: LabelledClips, learnt: NDArray[np.int64]) -> Scale | list[Scale] | None:
    """Return mean and deviation of an attribute over these rows, of several attributes a list; None of classes."""
    if clips.kind not in NUMBERS:
        return None
    scales = Scale.of_each(clips.values[learnt])
    return scales[0] if clips.kind == "attribute" else list(scales)


def encoder_of(
    chunks: SpeechChunks, networks: Sequence[Mapping[str, Tensor]], tuning: TuningOptions | None = None
) -> EncoderDescription | None:
    """Return what is to be known of the pre-trained encoder of pooled features, and the mean weights of its layers.

    `tuning` says how it learnt, where the networks have weights of it that are not those of its files.
    """
    if (by := chunks.encoder) is None:
        return None
    weights = [one[LAYER_SCORES].softmax(0).double() for one in networks if LAYER_SCORES in one]
    said = {name: getattr(by, name) for name in ("name", "kind", "hub", "layers", "digests")}
    mean = [round(value, 6) for value in torch.stack(weights).mean(0).tolist()] if weights else []
    options = EncoderOptions(**by.options)
    return EncoderDescription(**said, size=len(chunks.channels), options=options, weights=mean, tuning=tuning)


def checkpoints_of(start: str, starts: Mapping[str, Sequence[Path]]) -> Sequence[Path]:
    """Return the checkpoints of an initialisation, none from scratch.

    Raises
    ------
    UserError
        They are not given.
    """
    if start == SCRATCH:
        return []
    if start not in starts:
        raise UserError(f"export {start}: its checkpoint is needed; name it: --starts {start}=FILE")
    return starts[start]


def choose(histories: Mapping[str, Path]) -> tuple[str, dict[str, float]]:
    """Return the initialisation with the best dev score, and the scores of all.

    A score is the mean over folds and seeds of the best epoch's; of equals the first is taken. Where no clips are dev,
    nothing but test clips could choose, and so scratch is taken.
    """
    scores: dict[str, float] = {}
    for name, history in histories.items():
        measured = shards.read(history).filter(split="dev", measure="score")
        best = measured.group_by("fold", "seed").agg(pl.col("value").max())["value"].sort()
        if len(best):
            scores[name] = float(best.to_numpy().mean())
    return max(scores, key=lambda name: scores[name], default=SCRATCH), scores


def front_of(clips: LabelledClips, rows: NDArray[np.int64]) -> dict[str, Tensor]:
    """Return what is to be kept of an encoder that has learnt in pre-training alone; nothing of any other."""
    if clips.start is None or clips.sounds is not None:
        return {}
    front = EncoderFront(clips.start.shared, {}, clips.start.merged, *clips.chunks.mean_and_deviation(rows))
    return {f"front.{name}": value for name, value in front.state_dict().items()}


def learnt_rows(clips: LabelledClips) -> NDArray[np.int64]:
    """Return the rows of the clips that are no copies at another speed."""
    corpora = [name.partition("/")[0] for name in clips.chunks.clip_ids]
    return np.flatnonzero(["@" not in corpus for corpus in corpora])


def learnt_from(clips: LabelledClips, rows: NDArray[np.int64]) -> dict[str, LearntFrom]:
    """Return clips, speakers and hours of each corpus."""
    names = np.array([clips.chunks.clip_ids[row].partition("/")[0] for row in rows])
    speakers = np.array([clips.chunks.speakers[row] for row in rows])
    hours = clips.chunks.moments[0][rows].max(1) * FRAME_S / 3600
    return {
        str(corpus): LearntFrom(
            clips=int((names == corpus).sum()),
            speakers=len(set(speakers[names == corpus])),
            hours=round(float(hours[names == corpus].sum()), 4),
        )
        for corpus in np.unique(names)
    }


def feature_settings(features: Mapping[str, Mapping[str, Sequence[Path]]]) -> dict[str, Any]:
    """Return the settings of `speech` and `log_mel`, None where not heard, as the shards say that made them.

    Raises
    ------
    UserError
        Corpora that are learnt together were described with different settings.
    """
    settings: dict[str, Any] = {"speech": None, "log_mel": None}
    for corpus, by_name in features.items():
        for name in settings.keys() & by_name.keys():
            made_by = shards.read_provenance(by_name[name][0]).get("options", {})
            if settings[name] not in (None, made_by):
                raise UserError(
                    f"{name} of {original_of(corpus)} was made with other settings than that of the other corpora;"
                    f" redo the stage {name}"
                )
            settings[name] = made_by
    return settings


def penalty_of(labelled: LabelledFolds, config: Config) -> Matrix | None:
    """Return the matrix (K, K) of the penalty loss over all clips, None for another loss."""
    if config.finetune.loss != "penalty":
        return None
    everyone = Fold(EVERY_CLIP, {"train": frozenset(labelled.table.by_key)})
    matrix: Matrix = penalties(co_occurrences(torch.from_numpy(training_votes(labelled.known, everyone)))).numpy()
    return matrix


def trained(
    heard: Sequence[LabelledClips],
    rows: Mapping[str, NDArray[np.int64]],
    bodies: Sequence[Body],
    penalty: Matrix | None,
    config: Config,
    threads: int,
) -> list[dict[str, Tensor]]:
    """Return the weights of `export.networks` networks, each with a seed of its own; `heard` are from `read_starts`."""
    device = torch_device(config.finetune.device)
    normalised = [
        clips
        if clips.sounds is not None
        else replace(clips, steps=clips.heard.normalised(rows["train"], config.model).steps)
        for clips in heard
    ]

    def weights_of(seeds: RunSeeds) -> dict[str, NDArray[Any]]:
        """Train one network; return its weights as arrays, which another process can send."""
        place = seeds.run % len(normalised)
        state, _ = train(normalised[place], rows, seeds, body_of_run(bodies, seeds.run), config, penalty)
        weights = {**state.best, **front_of(heard[place], rows["train"])}
        return {name: value.detach().cpu().numpy() for name, value in weights.items()}

    jobs = [RunSeeds(number, EVERY_CLIP) for number in range(config.export.networks)]
    runs, early = grid_map(weights_of, jobs, threads, device), config.finetune.stops_early
    done = progress(runs, total=len(jobs), unit="networks", label="export", at_most=early)
    return [{name: torch.from_numpy(value) for name, value in weights.items()} for weights in done]
