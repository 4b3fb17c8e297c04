"""A toy of orofacial training: speech whose first channel opens the mouth, and a network that trains for a moment."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.corpora.protocols import Fold
from avpretext.face.blendshapes import MOUTH_BLENDSHAPES
from avpretext.face.points import INNER_LIPS, OROFACIAL_POINTS
from avpretext.orofacial.moved_clips import MovedClip, MovedClips, divide
from avpretext.orofacial.movement_training import Training
from avpretext.orofacial.networks import EMOTION, VISEME
from avpretext.training import checkpoint as checkpoints

D, B = 2 * len(OROFACIAL_POINTS), len(MOUTH_BLENDSHAPES)
LOWER = OROFACIAL_POINTS.tolist().index(INNER_LIPS[1])


def config(**changes: Any) -> Config:
    """A small network that trains for a moment; nothing is masked, as little is to be learnt."""
    small = {
        "epochs": 30, "patience": 30, "learning_rate": 0.02, "batch_size": 4, "noise": 0, "channel_dropout": 0,
        "time_mask": 0, "averaging": 0.5, "components": 2, "folds": 3, "dev_speakers": 1,
        "model": {"width": 16, "dropout": 0.0, "helper_width": 4},
    }  # fmt: skip
    corpora = {"toy": {"path": ".", "use": ["pretrain"]}}
    return parse(
        {"corpora": corpora, "orofacial": {**small, **changes}, "evaluate": {"bootstrap": 20, "permutations": 20}}
    )


def toy(clips: int = 24, speakers: int = 6, frames: int = 30) -> MovedClips:
    """Speech whose first channel opens the mouth, its sign being the viseme; the second tells the emotion."""
    rng = np.random.default_rng(7)
    made = []
    for clip in range(clips):
        steps = rng.normal(size=(frames, 3)).astype(np.float32)
        steps[:, 0] = np.convolve(steps[:, 0], np.ones(3), "same")
        steps[:, 1] += 3 * (clip % 2)
        movement = 0.001 * rng.normal(size=(frames, D)).astype(np.float32)
        movement[:, 2 * LOWER + 1] += 0.1 * steps[:, 0]
        made.append(
            MovedClip(
                name=f"toy/{clip:02d}",
                speaker=f"toy/s{clip % speakers}",
                steps=steps,
                movement=movement,
                blendshapes=np.tile(movement[:, 2 * LOWER + 1 : 2 * LOWER + 2], B),
                rest=np.zeros((D // 2, 2), np.float32),
                visemes=(steps[:, 0] > 0).astype(np.int64),
                emotion=["ANG", "SAD"][clip % 2],
            )
        )
    return MovedClips(made, ["one", "two", "three"], {VISEME: ["SIL", "P"], EMOTION: ["ANG", "SAD"]})


def training(system: Any, clips: MovedClips, options: Config, body: Any = None) -> tuple[Training, list[Fold]]:
    """The training of a system, and its folds."""
    return Training(system, clips, options, body or {}), divide(clips.speaker_of, options.orofacial, 1)


def first_model(system: Any, clips: MovedClips, options: Config, body: Any = None) -> Any:
    """Train on the first fold; return the model and its history."""
    shared, folds = training(system, clips, options, body)
    return shared.fold(folds[0], 0)


def pretext_checkpoint(path: Path, **model: Any) -> None:
    """A checkpoint such as `pretrain` writes: an encoder of these sizes on the toy's channels."""
    lstm = torch.nn.LSTM(3, 8, batch_first=True, bidirectional=True)
    tensors = {f"best.encoder.lstm.{name}": value for name, value in lstm.state_dict().items()}
    said = {"encoder": "blstm", "width": 16, "layers": 1, **model}
    checkpoints.write(path, tensors, {"channels": ["one", "two", "three"], "config": {"model": said}})
