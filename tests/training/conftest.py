"""A tiny corpus of shards whose classes can be heard."""

import multiprocessing
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avpretext import shards
from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.training import pretrain

CHANNELS = ["F0final_sma", "pcm_RMSenergy_sma", "mfcc_sma[1]", "mfcc_sma[2]"]
CLASSES = ("angry", "happy", "sad")
VALUES: dict[str, dict[str, list[float]]] = {
    "hard": {"angry": [1, 0, 0], "happy": [0, 1, 0], "sad": [0, 0, 1]},
    "multi_label": {"angry": [1, 0, 0], "happy": [1, 1, 0], "sad": [0, 0, 1]},
    "distribution": {"angry": [0.75, 0.25, 0], "happy": [0, 0.75, 0.25], "sad": [0, 0.25, 0.75]},
    "attribute": {"angry": [10], "happy": [15], "sad": [20]},
    "attributes": {"angry": [10, 3, 7], "happy": [15, 2, 4], "sad": [20, 1, 1]},
}
"""What each label is as a target of each kind."""
NAMES = {"attribute": ["arousal"], "attributes": ["arousal", "dominance", "valence"]}
FOLDS = 3
SMALL: dict[str, Any] = {
    "corpora": {"tiny": {"path": ".", "use": []}},
    "chunks": {"length_s": 0.2, "count": 3},
    "model": {"encoder": "conv", "width": 8, "layers": 1, "step_frames": 2},
    "pretrain": {"epochs": 4, "batch_size": 8},
    "finetune": {"epochs": 4, "batch_size": 8, "seeds": 2},
}


def config(**changes: dict[str, Any]) -> Config:
    """Return small options; `changes` replace single ones, by group."""
    groups = {name: {**SMALL.get(name, {}), **values} for name, values in changes.items()}
    return parse({**SMALL, **groups})


@dataclass
class TinyCorpus:
    """Shards of speech and index, and pseudo-labels, below a folder."""

    folder: Path
    speakers: int = 6
    clips_each: int = 6
    name: str = "tiny"
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for speaker in range(self.speakers):
            for clip in range(self.clips_each):
                label = CLASSES[clip % len(CLASSES)]
                self.rows.append({"clip_id": f"s{speaker}_{clip}", "speaker": f"s{speaker}", "label": label})

    def write(self) -> "TinyCorpus":
        """Write two shards of each stage and the label tables."""
        for shard in (0, 1):
            rows = self.rows[shard::2]
            shards.write_table(self.folder / f"index{shard}.parquet", rows, schema_of("index"), {})
            speech = [frame for row in rows for frame in frames_of(row)]
            shards.write_table(
                self.folder / f"speech{shard}.parquet", speech, schema_of("speech", {"DESCRIPTOR": CHANNELS}), {}
            )
        self._write_labels()
        self.write_folds(self.fold_rows())
        for kind in VALUES:
            self.write_targets(kind)
        return self

    def write_targets(self, kind: str, classes: tuple[str, ...] = CLASSES, **values: list[float]) -> None:
        """Write the targets of a kind; `values` are other ones for single labels."""
        known = {**VALUES[kind], **values}
        rows = [
            {**row, "label": None if kind in NAMES else row["label"], "values": known.get(row["label"])}
            for row in sorted(self.rows, key=lambda row: row["clip_id"])
        ]
        made_by = provenance("targets", {}, kind=kind, classes=NAMES.get(kind, list(classes)), target=f"of {self.name}")
        shards.write_table(self.targets(kind), rows, schema_of("targets"), made_by)

    def fold_rows(self) -> list[dict[str, Any]]:
        """Return folds by speaker of the labelled clips: each group tests once and is dev for the group before."""
        return [
            {"fold": fold, "name": str(fold), "corpus": self.name, "clip_id": row["clip_id"], "speaker": row["speaker"]}
            | {"part": {0: "test", 1: "dev"}.get((int(row["speaker"][1:]) - fold) % FOLDS, "train")}
            for fold in range(FOLDS)
            for row in self.rows
            if row["label"]
        ]

    def write_folds(self, rows: list[dict[str, Any]], setting: str = "acted.speaker_kfold") -> Path:
        """Write a table of folds."""
        made_by = provenance("folds", {}, setting=setting, sentence="By speaker.", speaker_leaks=False)
        shards.write_table(self.folds, rows, schema_of("folds"), made_by)
        return self.folds

    def targets(self, kind: str = "hard") -> Path:
        """Return the path of the targets of a kind."""
        return self.folder / f"{kind}.parquet"

    @property
    def folds(self) -> Path:
        return self.folder / "folds.parquet"

    def _write_labels(self) -> None:
        rng = np.random.default_rng(0)
        base = {"start_s": 0.0, "end_s": 0.0, "value": 0.0, "confidence": 1.0, "threshold": 0.0}
        for task in ("energy", "activation"):
            chunks = [
                {**base, "clip_id": row["clip_id"], "chunk": chunk, "label": int(rng.integers(2))}
                for row in self.rows
                for chunk in range(3)
            ]
            shards.write_table(self.folder / f"{task}.parquet", chunks, schema_of("labels_energy"), {})
        clips = [
            {"clip_id": row["clip_id"], "outcome": "labelled", "label": row["label"] or "sad", "value": 1.0}
            | {"confidence": 0.5, **{f"score_{name}": 0.0 for name in CLASSES}}
            for row in self.rows
        ]
        shards.write_table(
            self.folder / "emotion.parquet",
            clips,
            schema_of("labels_emotion", {"score_*": [f"score_{name}" for name in list(CLASSES)]}),
            {},
        )

    @property
    def speech(self) -> list[Path]:
        return [self.folder / f"speech{shard}.parquet" for shard in (0, 1)]

    @property
    def index(self) -> list[Path]:
        return [self.folder / f"index{shard}.parquet" for shard in (0, 1)]

    @property
    def labels(self) -> dict[str, Path]:
        return {task: self.folder / f"{task}.parquet" for task in ("energy", "activation", "emotion")}


def frames_of(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return speech in which one channel tells the class, in units of its own, among noise."""
    rng = np.random.default_rng([ord(letter) for letter in row["clip_id"]])
    count = int(rng.integers(15, 90))
    values = rng.normal(size=(count, len(CHANNELS))) * [50, 0.01, 5, 5] + [150, 0.02, 0, 0]
    if row["label"] in CLASSES:
        values[:, 2] += 8.0 * CLASSES.index(row["label"])
    return [
        {"clip_id": row["clip_id"], "frame": frame, "time_s": frame * 0.01, "energy": 0.1, "loudness": 1.0}
        | dict(zip(CHANNELS, values[frame].tolist(), strict=True))
        for frame in range(count)
    ]


def processes() -> ForkServerContext:
    """Return what starts processes that have torch loaded already, in place of an interpreter each."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [f"avpretext.training.{name}" for name in ("pretrain", "finetune", "deepemocluster")]
    )
    return context


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyCorpus:
    """Six speakers, six clips of 0.15 to 0.9 s each, three classes."""
    return TinyCorpus(tmp_path_factory.mktemp("tiny")).write()


@pytest.fixture(scope="session")
def pretrained_twice(tiny: TinyCorpus, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Checkpoints of two seeds, pre-trained on the task energy."""
    folder, labels = tmp_path_factory.mktemp("pretrained"), {"energy": tiny.labels["energy"]}
    settings = config(pretrain={"seeds": 2})
    features = {tiny.name: {"speech": tiny.speech}}
    pretrain.run(["energy"], features, {tiny.name: tiny.index}, {tiny.name: labels}, settings, folder, 1)
    return [folder / str(seed) / "checkpoint.safetensors" for seed in (0, 1)]
