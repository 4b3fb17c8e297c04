"""What can be read off each pre-trained encoder by a linear probe, on speakers that the probe has not heard.

python benchmarks/probes.py CONFIG
CONFIG is a configuration whose run is finished, such as examples/real-speech.yaml. The encoders stay as pre-training
has left them. Beside them: the untrained network, and the mean of its input over the clip.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from avpretext import shards
from avpretext.config import Config
from avpretext.config_file import load
from avpretext.models.network import SpeechNetwork, make_network
from avpretext.run.plan import Plan
from avpretext.systems import SCRATCH
from avpretext.training.batches import normalise
from avpretext.training.checkpoint import read_body
from avpretext.training.data import SpeechChunks, load_corpora

Vectors = NDArray[np.float32]
PITCH, LOUDNESS = "F0final_sma", "loudness"
FOLDS = 4


def clip_vectors(network: SpeechNetwork, chunks: SpeechChunks) -> Vectors:
    """Return the clip vectors (N, D) of a network."""
    network.eval()
    with torch.inference_mode():
        parts = [
            network.aggregator(network.chunk_vectors(chunks.steps[rows], chunks.mask[rows]))
            for rows in torch.arange(len(chunks)).split(64)
        ]
    return np.asarray(torch.cat(parts))


def input_means(chunks: SpeechChunks) -> Vectors:
    """Return the mean of the input over each clip, (N, F)."""
    weight = chunks.mask.unsqueeze(-1)
    return np.asarray((chunks.steps * weight).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1))


def relative(values: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """Return values in deviations of the speaker's own."""
    column = pl.col(name)
    shown = ((column - column.mean().over("speaker")) / column.std().over("speaker")).alias("value")
    return values.select(shown)["value"].to_numpy()


def class_score(vectors: Vectors, labels: NDArray[np.str_], groups: NDArray[np.str_] | None) -> float:
    """Return the UAR of a logistic regression; `groups` are held out whole."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000, class_weight="balanced"))
    return float(balanced_accuracy_score(labels, _predicted(probe, vectors, labels, groups)))


def number_score(vectors: Vectors, values: NDArray[np.float64], groups: NDArray[np.str_] | None) -> float:
    """Return R squared of a ridge regression."""
    probe = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 4, 9)))
    return float(r2_score(values, _predicted(probe, vectors, values, groups)))


def _predicted(probe: object, vectors: Vectors, wanted: NDArray, groups: NDArray[np.str_] | None) -> NDArray:
    apart = GroupKFold(FOLDS) if groups is not None else KFold(FOLDS, shuffle=True, random_state=0)
    return cross_val_predict(probe, vectors, wanted, groups=groups, cv=apart)


def known_of(plan: Plan, corpus: str) -> pl.DataFrame:
    """Return what the probes ask for: clip_id, speaker, label, sentence, energy label, pitch and loudness."""
    clips = shards.read(plan.shards(corpus, plan.clips(corpus)), ["clip_id", "speaker", "label", "sentence"])
    frames = shards.read(plan.shards(corpus, "speech"), ["clip_id", PITCH, LOUDNESS])
    voiced = pl.col(PITCH).filter(pl.col(PITCH) > 0).mean().alias("pitch")
    means = frames.group_by("clip_id").agg(voiced, pl.col(LOUDNESS).mean().alias("loudness"))
    found = clips.join(means, on="clip_id")
    for task in ("energy", "activation"):
        path = plan.shards(corpus, f"labels_{task}")[0]
        if Path(path).is_file():
            labels = shards.read(path, ["clip_id", "label"]).group_by("clip_id").agg(pl.col("label").max().alias(task))
            found = found.join(labels, on="clip_id", how="left")
    return found


def probes_of(known: pl.DataFrame) -> dict[str, Callable[[Vectors], float]]:
    """Return the probes of a corpus, by what they ask for."""
    several = known["speaker"].n_unique() >= FOLDS
    found: dict[str, Callable[[Vectors], float]] = {}

    def classes(name: str, column: str, held_out: bool) -> None:
        number = known[column].drop_nulls().n_unique() if column in known.columns else 0
        if not 2 <= number <= len(known) / FOLDS:  # one class alone, or one for nearly each clip
            return
        rows = known[column].is_not_null().to_numpy()
        labels, groups = known[column].cast(pl.String).to_numpy()[rows], known["speaker"].to_numpy()[rows]
        found[name] = lambda vectors: class_score(vectors[rows], labels, groups if held_out else None)

    def numbers(name: str) -> None:
        values = relative(known, name)
        rows = np.isfinite(values)
        groups = known["speaker"].to_numpy()[rows] if several else None
        found[f"{name}, R2"] = lambda vectors: number_score(vectors[rows], values[rows], groups)

    classes("emotion", "label", several)
    classes("energy label", "energy", several)
    classes("activation label", "activation", several)
    numbers("pitch")
    numbers("loudness")
    classes("sentence", "sentence", several)
    classes("speaker", "speaker", False)
    return found


def networks_of(plan: Plan, config: Config, chunks: SpeechChunks) -> Mapping[str, list[SpeechNetwork]]:
    """Return the networks by the tasks that they were pre-trained on, and as many that are untrained."""
    size = len(chunks.channels)
    found = {SCRATCH: [make_network(size, config.model, {}, seed) for seed in range(config.pretrainings)]}
    for tasks in config.task_sets():
        found[tasks] = []
        for path in plan.checkpoints(config.variant.network, tasks):
            network = make_network(size, config.model, {}, 0)
            network.load_state_dict(read_body(Path(path), chunks.channels, config).weights)
            found[tasks].append(network)
    return found


def main() -> None:
    """Print a table for each corpus that pre-training has heard and that has enough clips."""
    config = load(sys.argv[1])
    plan = Plan(config)
    for corpus in config.heard_for_pretraining():
        known = known_of(plan, corpus)
        speakers = {corpus: dict(known.select("clip_id", "speaker").iter_rows())}
        chunks = load_corpora(plan_features(plan, corpus), speakers, config.chunks, config.model)
        steps = normalise(chunks, np.arange(len(chunks)), "speaker").index_select(0, torch.arange(len(chunks)))
        chunks = replace(chunks, steps=steps)
        order = pl.DataFrame({"clip_id": [name.partition("/")[2] for name in chunks.clip_ids]})
        probes = probes_of(order.join(known, on="clip_id", how="left", maintain_order="left"))
        if len(chunks) < 100:
            continue
        print(f"\n### {corpus}: {len(chunks)} clips of {known['speaker'].n_unique()} speakers\n")
        print("| encoder |", " | ".join(probes), "|\n|---|" + "---|" * len(probes))
        means = input_means(chunks)
        print("| mean of the input |", " | ".join(f"{probe(means):.3f}" for probe in probes.values()), "|")
        for tasks, networks in networks_of(plan, config, chunks).items():
            vectors = [clip_vectors(network, chunks) for network in networks]
            scores = [np.mean([probe(one) for one in vectors]) for probe in probes.values()]
            name = "untrained" if tasks == SCRATCH else tasks
            print(f"| {name} |", " | ".join(f"{score:.3f}" for score in scores), "|", flush=True)


def plan_features(plan: Plan, corpus: str) -> Mapping[str, Mapping[str, list[str]]]:
    """Return the shards of what the network hears of a corpus."""
    files = plan.features([corpus])
    return {corpus: {key.partition(".")[2]: paths for key, paths in files.items()}}


if __name__ == "__main__":
    main()
